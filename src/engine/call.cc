#include "src/engine/call.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace sluice {

OwnedArgs::OwnedArgs(Args args) {
  for (std::string_view arg : args) bytes_ += arg.size();
  storage_ = std::make_unique_for_overwrite<char[]>(bytes_ + 1);
  views_.reserve(args.size());
  char* p = storage_.get();
  for (std::string_view arg : args) {
    std::memcpy(p, arg.data(), arg.size());
    views_.emplace_back(p, arg.size());
    p += arg.size();
  }
}

bool Call::LookupType(std::string_view name, Type type, Key** key) {
  *key = Lookup(name);
  if (!*key || (*key)->type == type) return true;
  // To a client that waits for a list, a key of another type is none, unless it wants to be told.
  if (retrying && !session.blocked->wake_on_removal) {
    const std::vector<std::string>& waits = session.blocked->keys;
    if (std::find(waits.begin(), waits.end(), name) != waits.end()) {
      *key = nullptr;
      return true;
    }
  }
  reply.Error(errors::kWrongType);
  return false;
}

void Call::WrongArity() {
  reply.Error("ERR wrong number of arguments for '" + std::string(row.name) + "' command");
}

bool Call::ReadInteger(size_t i, int64_t* value, std::string_view error) {
  std::optional<int64_t> parsed = ParseInteger(args[i]);
  if (!parsed) return reply.Error(error), false;
  *value = *parsed;
  return true;
}

bool Call::ReadRange(size_t i, int64_t low, int64_t high, int64_t* value, std::string_view error) {
  std::optional<int64_t> parsed = ParseInteger(args[i]);
  if (!parsed || *parsed < low || *parsed > high) return reply.Error(error), false;
  *value = *parsed;
  return true;
}

bool Call::ReadTimeout(size_t i, int64_t* timeout_ms) {
  std::optional<long double> seconds = ParseLongDouble(args[i]);
  if (!seconds || std::isnan(*seconds)) {
    return reply.Error("ERR timeout is not a float or out of range"), false;
  }
  if (*seconds < 0) return reply.Error("ERR timeout is negative"), false;
  long double ms = std::ceil(*seconds * 1000);
  if (ms > static_cast<long double>(INT64_MAX) - now_ms()) {
    return reply.Error("ERR timeout is out of range"), false;
  }
  *timeout_ms = static_cast<int64_t>(ms);
  return true;
}

bool Call::ReadTimeoutMs(size_t i, int64_t* timeout_ms) {
  std::optional<int64_t> parsed = ParseInteger(args[i]);
  if (!parsed) return reply.Error("ERR timeout is not an integer or out of range"), false;
  if (*parsed < 0) return reply.Error("ERR timeout is negative"), false;
  if (*parsed > INT64_MAX - now_ms()) return reply.Error("ERR timeout is out of range"), false;
  *timeout_ms = *parsed;
  return true;
}

bool Call::Same(std::string_view word, std::string_view keyword) {
  return word.size() == keyword.size() &&
         std::equal(word.begin(), word.end(), keyword.begin(),
                    [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  if (text.empty() || text.size() > 20) return std::nullopt;
  size_t digits = text[0] == '-' ? 1 : 0;
  // No leading zeros, no "-0".
  if (digits == text.size()) return std::nullopt;
  if (text[digits] == '0' && (text.size() > digits + 1 || digits)) return std::nullopt;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<long double> ParseLongDouble(std::string_view text) {
  char buffer[5120];  // INCRBYFLOAT writes up to 4953 digits
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  if (std::isspace(static_cast<unsigned char>(text[0]))) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  errno = 0;
  char* end = nullptr;
  long double value = std::strtold(buffer, &end);
  if (end != buffer + text.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::fabs(value) == HUGE_VALL || value == 0)) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  char buffer[256];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  if (std::isspace(static_cast<unsigned char>(text[0]))) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  errno = 0;
  char* end = nullptr;
  double value = std::strtod(buffer, &end);
  if (end != buffer + text.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::fabs(value) == HUGE_VAL || value == 0)) return std::nullopt;
  return value;
}

std::string SpellLongDouble(long double number) {
  std::string text(std::numeric_limits<long double>::max_exponent10 + 32, '\0');
  text.resize(std::snprintf(text.data(), text.size(), "%.17Lf", number));
  text.resize(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

namespace {

char FoldIf(char c, bool fold) {
  return fold ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : c;
}

// Matches `c` against the class that starts at p (behind the '['); moves p to its last character.
bool MatchClass(std::string_view pattern, size_t* p, char c, bool fold) {
  bool negate = *p < pattern.size() && pattern[*p] == '^';
  if (negate) ++*p;
  bool match = false;
  for (;; ++*p) {
    if (*p >= pattern.size()) {
      --*p;
      break;
    }
    if (pattern[*p] == '\\' && *p + 1 < pattern.size()) {
      ++*p;
      if (FoldIf(pattern[*p], fold) == FoldIf(c, fold)) match = true;
    } else if (pattern[*p] == ']') {
      break;
    } else if (*p + 2 < pattern.size() && pattern[*p + 1] == '-') {
      char low = FoldIf(pattern[*p], fold), high = FoldIf(pattern[*p + 2], fold);
      if (low > high) std::swap(low, high);
      *p += 2;
      char folded = FoldIf(c, fold);
      if (folded >= low && folded <= high) match = true;
    } else if (FoldIf(pattern[*p], fold) == FoldIf(c, fold)) {
      match = true;
    }
  }
  return negate ? !match : match;
}

}  // namespace

// Iterative: on a mismatch it goes back to the last star and lets that swallow one byte more, so a
// pattern costs at most its length times the text's, whatever stars it has.
bool GlobMatch(std::string_view pattern, std::string_view text, bool fold) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    bool match = false;
    size_t next = p + 1;
    if (p < pattern.size()) {
      switch (pattern[p]) {
        case '*':
          star = p++;
          star_text = t;
          continue;
        case '?':
          match = true;
          break;
        case '[': {
          size_t q = p + 1;
          match = MatchClass(pattern, &q, text[t], fold);
          next = q + 1;
          break;
        }
        case '\\':
          if (p + 1 < pattern.size()) {
            match = FoldIf(pattern[p + 1], fold) == FoldIf(text[t], fold);
            next = p + 2;
            break;
          }
          [[fallthrough]];
        default:
          match = FoldIf(pattern[p], fold) == FoldIf(text[t], fold);
      }
    }
    if (match) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p >= pattern.size();
}

}  // namespace sluice
