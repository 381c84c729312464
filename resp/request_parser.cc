#include "resp/request_parser.h"

#include <algorithm>
#include <climits>
#include <cstring>

namespace sluice::resp {
namespace {

// More than this and a client could make us count for ever.
constexpr int64_t kMaxArgs = INT_MAX;
// Scratch memory kept by Shrink.
constexpr size_t kKeepArgs = 32;
constexpr size_t kKeepText = 256;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// White space as the C locale has it.
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The one way to spell each 64-bit integer: no plus sign, no leading zero, no "-0", no blanks.
bool ReadInteger(std::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty()) return false;
  if (text.front() == '0') {
    *value = 0;
    return text.size() == 1 && !negative;
  }
  const uint64_t limit = negative ? uint64_t{1} << 63 : (uint64_t{1} << 63) - 1;
  uint64_t sum = 0;
  for (char c : text) {
    if (!IsDigit(c)) return false;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (sum > (limit - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  *value = static_cast<int64_t>(negative ? ~sum + 1 : sum);
  return true;
}

// The length lines nearly every client sends: one to nine digits, then the two bytes of the line's
// end. Returns the first byte behind them, or null for anything else, including a line not yet
// complete, to be examined at leisure.
inline const char* ReadShortLine(const char* p, const char* end, uint32_t* value) {
  if (end - p < 3) return nullptr;
  uint32_t sum = static_cast<uint32_t>(static_cast<unsigned char>(*p)) - '0';
  if (sum > 9) return nullptr;
  const bool zero = sum == 0;
  const char* stop = end - p > 11 ? p + 9 : end - 2;  // where the '\r' must be at the latest
  for (++p; *p != '\r'; ++p) {
    const uint32_t digit = static_cast<uint32_t>(static_cast<unsigned char>(*p)) - '0';
    if (digit > 9 || p >= stop || zero) return nullptr;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return p + 2;
}

}  // namespace

RequestParser::Outcome RequestParser::Parse(std::string_view input) {
  size_t skipped = 0;
  while (true) {
    const Outcome outcome = ParseOne(input.substr(skipped));
    if (outcome == Outcome::kRequest) {
      skipped += position_;
      state_ = State::kStart;
      if (args_.empty()) continue;
    }
    consumed_ = skipped;
    return outcome;
  }
}

RequestParser::Outcome RequestParser::ParseOne(std::string_view input) {
  switch (state_) {
    case State::kFailed:
      return Outcome::kError;
    case State::kInline:
      return ParseInline(input);
    case State::kStart:
      break;
    default:
      return ParseArray(input);
  }
  args_.clear();
  if (input.empty()) return NeedMore(input, 1);
  offsets_.clear();
  position_ = 0;
  scanned_ = 0;
  stuck_ = false;
  if (input.front() == '*') {
    state_ = State::kCount;
    return ParseArray(input);
  }
  state_ = State::kInline;
  return ParseInline(input);
}

RequestParser::Outcome RequestParser::ParseArray(std::string_view input) {
  const char* const base = input.data();
  const char* const end = base + input.size();
  const char* p = base + position_;
  while (true) {
    if (state_ != State::kBody) {
      const bool count = state_ == State::kCount;
      uint32_t value = 0;
      const char* next = nullptr;
      // A line seen in part before is not worth the short way: it would start over.
      if (scanned_ == 0 && p < end && *p == (count ? '*' : '$')) {
        next = ReadShortLine(p + 1, end, &value);
      }
      if (next != nullptr && authenticated_ && (count || value <= max_bulk_)) {
        if (count) {
          missing_ = value;
        } else {
          body_ = value;
        }
        p = next;
      } else {
        size_t line_end = 0;
        position_ = static_cast<size_t>(p - base);
        switch (FindLineEnd(input, '\r', &line_end)) {
          case Line::kPartial:
            return NeedMore(input, input.size() + 1);
          case Line::kTooLong:
            return Fail(count ? "too big mbulk count string" : "too big bulk count string");
          case Line::kComplete:
            break;
        }
        const std::string_view line = input.substr(position_, line_end - position_);
        if (!(count ? AcceptCount(line) : AcceptLength(line))) return Outcome::kError;
        p = base + line_end + 2;
        scanned_ = 0;
      }
      if (count) {
        if (missing_ <= 0) return Complete(input, static_cast<size_t>(p - base));
        state_ = State::kLength;
        continue;
      }
      state_ = State::kBody;
    }
    const size_t needed = body_ + 2;  // what ends the body is skipped unseen
    if (static_cast<size_t>(end - p) < needed) {
      position_ = static_cast<size_t>(p - base);
      return NeedMore(input, position_ + needed);
    }
    args_.emplace_back(p, body_);
    p += needed;
    state_ = State::kLength;
    if (--missing_ == 0) return Complete(input, static_cast<size_t>(p - base));
  }
}

bool RequestParser::AcceptCount(std::string_view line) {
  if (!ReadInteger(line.substr(1), &missing_) || missing_ > kMaxArgs) {
    Fail("invalid multibulk length");
    return false;
  }
  if (!authenticated_ && missing_ > kUnauthenticatedArgs) {
    Fail("unauthenticated multibulk length");
    return false;
  }
  return true;
}

bool RequestParser::AcceptLength(std::string_view line) {
  const char type = line.empty() ? '\r' : line.front();
  if (type != '$') {
    // A line break would end the reply early; Redis replaces it on the way out.
    const char shown = type == '\r' || type == '\n' ? ' ' : type;
    Fail(std::string("expected '$', got '") + shown + "'");
    return false;
  }
  int64_t length = 0;
  if (!ReadInteger(line.substr(1), &length) || length < 0 ||
      static_cast<uint64_t>(length) > max_bulk_) {
    Fail("invalid bulk length");
    return false;
  }
  if (!authenticated_ && length > kUnauthenticatedBulk) {
    Fail("unauthenticated bulk length");
    return false;
  }
  body_ = static_cast<size_t>(length);
  return true;
}

// The end of the line starting at position_, looking only at what has not been looked at. A '\r'
// counts once the byte behind it is there too.
RequestParser::Line RequestParser::FindLineEnd(std::string_view input, char terminator,
                                               size_t* end) {
  const size_t from = position_ + scanned_;
  if (!stuck_ && from < input.size()) {
    const char* start = input.data() + from;
    const size_t left = input.size() - from;
    const void* hit = std::memchr(start, terminator, left);
    const size_t clear =
        hit == nullptr ? left : static_cast<size_t>(static_cast<const char*>(hit) - start);
    if (std::memchr(start, '\0', clear) != nullptr) {
      stuck_ = true;
    } else {
      scanned_ += clear;
      if (hit != nullptr) {
        *end = from + clear;
        const bool whole = terminator == '\n' || *end + 1 < input.size();
        return whole ? Line::kComplete : Line::kPartial;
      }
    }
  }
  return input.size() - position_ > kMaxLine ? Line::kTooLong : Line::kPartial;
}

RequestParser::Outcome RequestParser::ParseInline(std::string_view input) {
  size_t line_end = 0;
  switch (FindLineEnd(input, '\n', &line_end)) {
    case Line::kPartial:
      return NeedMore(input, input.size() + 1);
    case Line::kTooLong:
      return Fail("too big inline request");
    case Line::kComplete:
      break;
  }
  std::string_view line = input.substr(0, line_end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!SplitInline(line)) return Fail("unbalanced quotes in request");
  return Complete(input, line_end + 1);
}

// Words end at blanks. A quote may start in the middle of a word but must end it. Words without
// quotes are views of the line; the others are spelled out in unquoted_. False: a quote is left
// open, or something sticks to its closing one.
bool RequestParser::SplitInline(std::string_view line) {
  const auto ends_word = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  unquoted_.clear();
  size_t i = 0;
  while (true) {
    while (i < line.size() && IsSpace(line[i])) ++i;
    if (i == line.size()) return true;
    const size_t start = i;
    while (i < line.size() && !ends_word(line[i]) && line[i] != '"' && line[i] != '\'') ++i;
    const std::string_view plain = line.substr(start, i - start);
    if (i == line.size() || ends_word(line[i])) {
      args_.push_back(plain);
      continue;
    }
    const char quote = line[i++];
    // No word is longer than its spelling, so one reservation keeps earlier views in place.
    if (unquoted_.empty()) unquoted_.reserve(line.size());
    const size_t word = unquoted_.size();
    unquoted_ += plain;
    for (; i < line.size() && line[i] != quote; ++i) {
      char c = line[i];
      if (c == '\\' && i + 1 < line.size()) {
        const char escaped = line[i + 1];
        if (quote == '\'') {
          if (escaped == '\'') c = line[++i];
        } else if (escaped == 'x' && i + 3 < line.size() && HexValue(line[i + 2]) >= 0 &&
                   HexValue(line[i + 3]) >= 0) {
          c = static_cast<char>(HexValue(line[i + 2]) * 16 + HexValue(line[i + 3]));
          i += 3;
        } else {
          ++i;
          switch (escaped) {
            case 'n':
              c = '\n';
              break;
            case 'r':
              c = '\r';
              break;
            case 't':
              c = '\t';
              break;
            case 'b':
              c = '\b';
              break;
            case 'a':
              c = '\a';
              break;
            default:
              c = escaped;
          }
        }
      }
      unquoted_ += c;
    }
    if (i == line.size()) return false;
    ++i;  // the closing quote
    if (i < line.size() && !IsSpace(line[i])) return false;
    args_.emplace_back(unquoted_.data() + word, unquoted_.size() - word);
  }
}

RequestParser::Outcome RequestParser::Complete(std::string_view input, size_t end) {
  for (size_t i = 0; i < offsets_.size(); ++i) {
    args_[i] = {input.data() + offsets_[i], args_[i].size()};
  }
  position_ = end;
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::NeedMore(std::string_view input, size_t wanted) {
  for (size_t i = offsets_.size(); i < args_.size(); ++i) {
    offsets_.push_back(static_cast<size_t>(args_[i].data() - input.data()));
  }
  wanted_ = wanted;
  return Outcome::kNeedMore;
}

RequestParser::Outcome RequestParser::Fail(std::string_view text) {
  state_ = State::kFailed;
  args_.clear();
  offsets_.clear();
  error_ = "ERR Protocol error: ";
  error_ += text;
  return Outcome::kError;
}

void RequestParser::Reset() {
  state_ = State::kStart;
  args_.clear();
  offsets_.clear();
  error_.clear();
  consumed_ = wanted_ = 0;
}

void RequestParser::Shrink() {
  if (state_ == State::kStart) args_.clear();
  if (args_.empty() && args_.capacity() > kKeepArgs) std::vector<std::string_view>().swap(args_);
  if (args_.empty() && offsets_.capacity() > kKeepArgs) std::vector<size_t>().swap(offsets_);
  if (unquoted_.capacity() > kKeepText) std::string().swap(unquoted_);
}

}  // namespace sluice::resp
