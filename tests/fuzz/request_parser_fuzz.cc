// The parsers must give the same answer however their input is cut, and stay inside it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "resp/reply_reader.h"
#include "resp/request_parser.h"

namespace {

using sluice::resp::Reply;
using sluice::resp::ReplyReader;
using sluice::resp::RequestParser;

// Piece lengths from a seed, so that a failing input fails again.
class Cuts {
 public:
  explicit Cuts(uint32_t seed) : state_(seed | 1) {}
  size_t Next() {
    state_ = state_ * 1664525 + 1013904223;
    const uint32_t r = state_ >> 16;
    return r % 4 == 0 ? 1 + r % 97 : 1 + r % 7;
  }

 private:
  uint32_t state_;
};

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Everything a client would notice, as one string.
std::string Requests(std::string_view bytes, bool authenticated, Cuts* cuts) {
  RequestParser parser;
  parser.set_authenticated(authenticated);
  parser.set_max_bulk(1 << 20);
  std::string seen;
  std::string pending;
  while (true) {
    // A copy of exactly this size: reading past it, or at an old address, is caught.
    auto input = std::make_unique<char[]>(pending.size());
    if (!pending.empty()) std::memcpy(input.get(), pending.data(), pending.size());
    const auto outcome = parser.Parse({input.get(), pending.size()});
    if (outcome == RequestParser::Outcome::kError) return seen + std::string(parser.error());
    Require(parser.consumed() <= pending.size(), "consumed more than there was");
    if (outcome == RequestParser::Outcome::kRequest) {
      Require(!parser.args().empty(), "a request without a name");
      Require(parser.consumed() > 0, "a request made of nothing");
      for (std::string_view arg : parser.args()) {
        seen += std::to_string(arg.size()) + ":" + std::string(arg) + ",";
      }
      seen += ";";
    }
    pending.erase(0, parser.consumed());
    if (outcome == RequestParser::Outcome::kRequest) continue;
    Require(parser.wanted() > pending.size(), "wants no more than it has");
    if (bytes.empty()) return seen + "+" + std::to_string(pending.size());
    const size_t n = cuts == nullptr ? bytes.size() : std::min(bytes.size(), cuts->Next());
    pending += bytes.substr(0, n);
    bytes.remove_prefix(n);
  }
}

std::string Replies(std::string_view bytes, Cuts* cuts) {
  ReplyReader reader;
  std::string seen;
  Reply reply;
  while (true) {
    const auto outcome = reader.Next(&reply);
    if (outcome == ReplyReader::Outcome::kError) return seen + std::string(reader.error());
    if (outcome == ReplyReader::Outcome::kReply) {
      seen += ToText(reply) + ";";
      continue;
    }
    if (bytes.empty()) return seen;
    const size_t n = cuts == nullptr ? bytes.size() : std::min(bytes.size(), cuts->Next());
    reader.Feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Longer input meets the limit on unfinished lines, which depends on the cut by design.
  if (size < 4 || size > RequestParser::kMaxLine) return 0;
  uint32_t seed;
  std::memcpy(&seed, data, 4);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
  for (bool authenticated : {true, false}) {
    Cuts cuts(seed);
    Require(Requests(bytes, authenticated, nullptr) == Requests(bytes, authenticated, &cuts),
            "a cut changed the requests");
  }
  Cuts cuts(seed);
  Require(Replies(bytes, nullptr) == Replies(bytes, &cuts), "a cut changed the replies");
  return 0;
}
