#include "resp/reply_writer.h"

#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstring>

namespace sluice::resp {
namespace {

// A type byte, twenty digits or a minus sign and nineteen, and the line's end.
constexpr size_t kMaxLine = 1 + 20 + 2;

// "00" to "99".
constexpr std::array<char, 200> kPairs = [] {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

size_t CountDigits(uint64_t n) {
  size_t digits = 1;
  while (true) {
    if (n < 10) return digits;
    if (n < 100) return digits + 1;
    if (n < 1000) return digits + 2;
    if (n < 10000) return digits + 3;
    n /= 10000;
    digits += 4;
  }
}

// Returns the first byte behind the digits.
inline char* WriteDigits(char* p, uint64_t n) {
  if (n < 10) {
    *p = static_cast<char>('0' + n);
    return p + 1;
  }
  char* const end = p + CountDigits(n);
  char* at = end;
  while (n >= 100) {
    at -= 2;
    std::memcpy(at, &kPairs[2 * (n % 100)], 2);
    n /= 100;
  }
  if (n >= 10) {
    std::memcpy(at - 2, &kPairs[2 * n], 2);
  } else {
    at[-1] = static_cast<char>('0' + n);
  }
  return end;
}

inline char* WriteSigned(char* p, int64_t n) {
  if (n >= 0) return WriteDigits(p, static_cast<uint64_t>(n));
  *p = '-';
  return WriteDigits(p + 1, ~static_cast<uint64_t>(n) + 1);
}

inline char* WriteBreak(char* p) {
  std::memcpy(p, "\r\n", 2);
  return p + 2;
}

inline char* WriteHeader(char* p, char type, uint64_t n) {
  *p = type;
  return WriteBreak(WriteDigits(p + 1, n));
}

inline char* WriteBytes(char* p, std::string_view bytes) {
  // An empty view may have no address, which memcpy must not be given.
  if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
  return p + bytes.size();
}

}  // namespace

void ReplyWriter::Header(char type, uint64_t n) {
  char* start = buffer_->Reserve(kMaxLine);
  buffer_->Commit(static_cast<size_t>(WriteHeader(start, type, n) - start));
}

void ReplyWriter::Line(char type, std::string_view text) {
  char* const start = buffer_->Reserve(1 + text.size() + 2);
  *start = type;
  char* const end = WriteBytes(start + 1, text);
  for (char* p = start + 1; p < end; ++p) {
    if (*p == '\r' || *p == '\n') *p = ' ';
  }
  WriteBreak(end);
  buffer_->Commit(1 + text.size() + 2);
}

void ReplyWriter::SimpleString(std::string_view text) { Line('+', text); }

void ReplyWriter::Error(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  Line('-', text);
}

void ReplyWriter::Integer(int64_t value) {
  char* start = buffer_->Reserve(kMaxLine);
  *start = ':';
  buffer_->Commit(static_cast<size_t>(WriteBreak(WriteSigned(start + 1, value)) - start));
}

void ReplyWriter::Bulk(std::string_view bytes) {
  char* start = buffer_->Reserve(kMaxLine + bytes.size() + 2);
  char* end = WriteBreak(WriteBytes(WriteHeader(start, '$', bytes.size()), bytes));
  buffer_->Commit(static_cast<size_t>(end - start));
}

void ReplyWriter::BulkInteger(int64_t value) {
  char digits[20];
  Bulk({digits, static_cast<size_t>(WriteSigned(digits, value) - digits)});
}

void ReplyWriter::Double(double value) {
  char digits[32];
  DoubleText({digits, FormatDouble(value, digits)});
}

void ReplyWriter::DoubleText(std::string_view digits) {
  if (protocol_ >= 3) {
    Line(',', digits);
  } else {
    Bulk(digits);
  }
}

void ReplyWriter::Bool(bool value) {
  if (protocol_ >= 3) {
    Raw(value ? "#t\r\n" : "#f\r\n");
  } else {
    Integer(value ? 1 : 0);
  }
}

void ReplyWriter::BigNumber(std::string_view digits) {
  if (protocol_ >= 3) {
    Line('(', digits);
  } else {
    Bulk(digits);
  }
}

void ReplyWriter::Verbatim(std::string_view format, std::string_view text) {
  if (protocol_ < 3) {
    Bulk(text);
    return;
  }
  assert(format.size() == 3);
  char* start = buffer_->Reserve(kMaxLine + 4 + text.size() + 2);
  char* p = WriteBytes(WriteHeader(start, '=', text.size() + 4), format.substr(0, 3));
  *p = ':';
  char* end = WriteBreak(WriteBytes(p + 1, text));
  buffer_->Commit(static_cast<size_t>(end - start));
}

void ReplyWriter::ArrayHeader(size_t n) { Header('*', n); }

void ReplyWriter::MapHeader(size_t n) {
  if (protocol_ >= 3) {
    Header('%', n);
  } else {
    Header('*', 2 * n);
  }
}

void ReplyWriter::SetHeader(size_t n) { Header(protocol_ >= 3 ? '~' : '*', n); }

void ReplyWriter::PushHeader(size_t n) { Header(protocol_ >= 3 ? '>' : '*', n); }

void ReplyWriter::AttributeHeader(size_t n) {
  assert(protocol_ >= 3);
  Header('|', n);
}

size_t ReplyWriter::Begin(char type, uint64_t expected) {
  const size_t mark = buffer_->size();
  Header(type, expected);
  return mark;
}

size_t ReplyWriter::BeginArray(size_t expected) { return Begin('*', expected); }

size_t ReplyWriter::BeginMap(size_t expected_pairs) {
  return protocol_ >= 3 ? Begin('%', expected_pairs) : Begin('*', 2 * expected_pairs);
}

size_t ReplyWriter::BeginSet(size_t expected) {
  return Begin(protocol_ >= 3 ? '~' : '*', expected);
}

void ReplyWriter::End(size_t mark, char type, uint64_t n) {
  char header[kMaxLine];
  const size_t length = static_cast<size_t>(WriteHeader(header, type, n) - header);
  const size_t placeholder = buffer_->view().find('\n', mark) + 1 - mark;
  buffer_->Replace(mark, placeholder, {header, length});
}

void ReplyWriter::EndArray(size_t mark, size_t n) { End(mark, '*', n); }

void ReplyWriter::EndMap(size_t mark, size_t pairs) {
  if (protocol_ >= 3) {
    End(mark, '%', pairs);
  } else {
    End(mark, '*', 2 * pairs);
  }
}

void ReplyWriter::EndSet(size_t mark, size_t n) { End(mark, protocol_ >= 3 ? '~' : '*', n); }

size_t FormatDouble(double value, char* out) {
  // Whole numbers of up to 17 digits print as integers do, which is what most scores are. Minus
  // zero is not among them: it keeps its sign.
  if (std::abs(value) < 1e17) {
    const int64_t whole = static_cast<int64_t>(value);
    if (static_cast<double>(whole) == value && (whole != 0 || !std::signbit(value))) {
      return static_cast<size_t>(WriteSigned(out, whole) - out);
    }
  }
  return static_cast<size_t>(
      std::to_chars(out, out + 32, value, std::chars_format::general, 17).ptr - out);
}

}  // namespace sluice::resp
