// From a client's bytes to the arguments of a command.
//
// Understands what Redis 7.0.15 understands: arrays of bulk strings and, for people at a telnet
// prompt, inline commands with quoting. It refuses the same bytes with the same words, and is
// lenient in the same places (the two bytes behind a bulk string are skipped, not compared).
//
//   while (true) {
//     switch (parser.Parse(buffer.view())) {
//       case RequestParser::Outcome::kRequest: Execute(parser.args()); break;
//       case RequestParser::Outcome::kError:   ReplyAndClose(parser.error()); return;
//       case RequestParser::Outcome::kNeedMore:
//         buffer.Consume(parser.consumed());
//         ReadInto(&buffer, parser.wanted());
//         continue;
//     }
//     buffer.Consume(parser.consumed());
//   }
//
// The caller owns the bytes and may move them between calls: the parser remembers offsets only,
// and never looks twice at a byte. A request costs time linear in its size however it is cut up,
// and in the steady state no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::resp {

class RequestParser {
 public:
  enum class Outcome {
    kNeedMore,  // everything in `input` is in order, but the request does not end in it
    kRequest,   // args() and consumed() describe one complete request
    kError,     // error() says why; the stream has no next request, so reply and close
  };

  static constexpr size_t kDefaultMaxBulk = 512ull * 1024 * 1024;
  // How long a line may grow without its end in sight.
  static constexpr size_t kMaxLine = 64 * 1024;
  // What a client that has not yet authenticated may ask us to hold.
  static constexpr int64_t kUnauthenticatedArgs = 10;
  static constexpr int64_t kUnauthenticatedBulk = 16384;

  // `input` starts at the first byte not yet consumed, and holds at least what the last call saw.
  // Empty requests (blank lines, "*0\r\n", "*-1\r\n") are passed over without an outcome. After an
  // error every further call reports that error, until Reset().
  Outcome Parse(std::string_view input);

  // How many bytes to drop from the front of `input` before the next call. To be respected after
  // kNeedMore too, where it covers empty requests passed over and is otherwise 0.
  size_t consumed() const { return consumed_; }

  // After kRequest: never empty; the first is the command's name. The views point into `input` or
  // into the parser; both must stay as they are while the arguments are in use. Good until the
  // next Parse or Reset.
  std::span<const std::string_view> args() const { return args_; }

  // After kNeedMore: the size `input` must at least have (after dropping consumed()) before
  // another call can get further. Grows as the request becomes known. A client's claim, bounded
  // by max_bulk: reserve it, do not fill it.
  size_t wanted() const { return wanted_; }

  // After kError: Redis's text without the leading '-', such as
  // "ERR Protocol error: invalid bulk length". Good until the next Reset.
  std::string_view error() const { return error_; }

  // proto-max-bulk-len. Takes effect at the next bulk length read.
  void set_max_bulk(size_t bytes) { max_bulk_ = bytes; }
  // False: the limits above apply to arrays. Takes effect at the next length read.
  void set_authenticated(bool yes) { authenticated_ = yes; }

  // Forgets the request under way and any error; the limits stay.
  void Reset();
  // True between requests: nothing of the next one has been looked at.
  bool idle() const { return state_ == State::kStart; }
  // Gives back the memory that requests with many arguments left behind. For idle connections;
  // ends the life of args().
  void Shrink();

 private:
  enum class State : uint8_t { kStart, kInline, kCount, kLength, kBody, kFailed };
  enum class Line : uint8_t { kComplete, kPartial, kTooLong };

  // Each takes the bytes from the current request's first one on. kRequest without arguments is an
  // empty request; it ends at position_.
  Outcome ParseOne(std::string_view input);
  Outcome ParseArray(std::string_view input);
  Outcome ParseInline(std::string_view input);

  bool SplitInline(std::string_view line);
  bool AcceptCount(std::string_view digits);
  bool AcceptLength(std::string_view line);
  Line FindLineEnd(std::string_view input, char terminator, size_t* end);
  Outcome Complete(std::string_view input, size_t end);
  Outcome NeedMore(std::string_view input, size_t wanted);
  Outcome Fail(std::string_view text);

  // All offsets count from the first byte of the current request.
  State state_ = State::kStart;
  bool authenticated_ = true;
  bool stuck_ = false;   // a NUL hides the rest of the line, as it does from C's string functions
  int64_t missing_ = 0;  // arguments still to come
  size_t position_ = 0;  // where the current line or body starts
  size_t scanned_ = 0;   // bytes of the current line known not to hold its end
  size_t body_ = 0;      // length of the current bulk string
  size_t consumed_ = 0;
  size_t wanted_ = 0;
  size_t max_bulk_ = kDefaultMaxBulk;

  std::vector<std::string_view> args_;
  // Where the first offsets_.size() arguments start; filled only when a request spans calls,
  // because the bytes may have moved before it is complete.
  std::vector<size_t> offsets_;
  std::string unquoted_;  // inline arguments that differ from their spelling
  std::string error_;
};

}  // namespace sluice::resp
