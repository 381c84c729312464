// From a server's bytes to a tree of values, in either protocol: for tests, for tools and for
// scripts that look at replies. Servers do not need it on their way from a request to a reply, so
// it copies and allocates where that is simpler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/buffer.h"

namespace sluice::resp {

struct Reply {
  enum class Type : unsigned char {
    kNull,       // "_" or "$-1"
    kNullArray,  // "*-1"
    kStatus,     // text
    kError,      // text, from "-" or "!"
    kInteger,    // integer
    kString,     // text
    kDouble,     // number; text as it was spelled
    kBool,       // integer: 1 or 0
    kBigNumber,  // text
    kVerbatim,   // text; format
    kArray,      // elements
    kMap,        // elements: key, value, key, value
    kSet,        // elements
    kPush,       // elements
  };

  Type type = Type::kNull;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::string format;
  std::vector<Reply> elements;
  // Keys and values that came before the reply proper.
  std::vector<Reply> attributes;

  bool IsNull() const { return type == Type::kNull || type == Type::kNullArray; }
  bool IsError() const { return type == Type::kError; }
  bool operator==(const Reply&) const = default;
};

// A reply on one line, for messages and quick looks, in the manner of redis-cli:
//   OK   (error) ERR no   "a\x00b"   (integer) 3   (double) 0.5   (true)   (nil)
//   [1st, 2nd]   {key => value}   ~[members]   >[push]   (attributes) {key => value} reply
std::string ToText(const Reply& reply);

class ReplyReader {
 public:
  enum class Outcome {
    kNeedMore,  // no whole reply is left in what was fed
    kReply,
    kError,  // the bytes are no RESP, or exceed a limit; error() says what. Final.
  };

  // What a peer may make us hold. An announced length reserves nothing: memory follows the bytes.
  struct Limits {
    size_t max_depth = 128;                    // aggregates inside aggregates
    size_t max_elements = 1024 * 1024 * 1024;  // in one aggregate, keys and values both counted
    size_t max_bulk = 512 * 1024 * 1024;
    size_t max_line = 64 * 1024;
  };

  ReplyReader() = default;
  explicit ReplyReader(const Limits& limits) : limits_(limits) {}

  // Copies the bytes; any cut is fine, and no byte is looked at twice because of one.
  void Feed(std::string_view bytes) { input_.Append(bytes); }
  // Takes the next whole reply out. *reply is set for kReply only.
  Outcome Next(Reply* reply);
  // After kError; lives as long as the reader.
  std::string_view error() const { return error_; }
  // Nothing is waiting: neither bytes nor half a reply.
  bool empty() const { return input_.empty() && open_.empty() && !in_bulk_ && attributes_.empty(); }

 private:
  // An aggregate whose elements are still arriving.
  struct Open {
    Reply reply;
    size_t missing;
    bool attribute;
  };

  bool ReadLine(std::string_view* line);
  // Each returns false when it met an error.
  bool StartValue(std::string_view line, Reply* value, bool* complete);
  bool StartBulk(char type, std::string_view length, Reply* value, bool* complete);
  bool StartAggregate(char type, std::string_view length, Reply* value, bool* complete);
  bool FinishBulk(Reply* value);
  bool Place(Reply value, Reply* top);
  bool Fail(std::string text);

  Limits limits_;
  Buffer input_;
  size_t scanned_ = 0;  // bytes of the current line known to hold no '\n'
  bool in_bulk_ = false;
  size_t bulk_size_ = 0;
  Reply bulk_;  // the value whose body is still arriving
  std::vector<Open> open_;
  std::vector<Reply> attributes_;  // of the value that comes next
  bool failed_ = false;
  std::string error_;
};

}  // namespace sluice::resp
