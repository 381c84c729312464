// From values to a client's bytes: the one place that knows RESP2 from RESP3.
//
// Handlers say what they mean (a map, a double, nothing) and each client gets it in the protocol
// it speaks, byte for byte as Redis 7.0.15 writes it. A value that RESP2 lacks becomes what Redis
// sends instead, named at each method. Every call appends to the buffer; none can fail.
//
// A ReplyWriter is two words. Copy it freely; the buffer must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "resp/buffer.h"

namespace sluice::resp {

class ReplyWriter {
 public:
  explicit ReplyWriter(Buffer* buffer, int protocol = 2) : buffer_(buffer), protocol_(protocol) {}

  int protocol() const { return protocol_; }
  void set_protocol(int protocol) { protocol_ = protocol; }
  Buffer* buffer() const { return buffer_; }

  // "+text". Line breaks inside become spaces.
  void SimpleString(std::string_view text);
  void Ok() { Raw("+OK\r\n"); }
  // "-text", which starts with the error's code: "ERR no such key", "WRONGTYPE ...". Line breaks at
  // the end are dropped, others become spaces.
  void Error(std::string_view text);
  void Integer(int64_t value);
  void Bulk(std::string_view bytes);
  // A number as a bulk string.
  void BulkInteger(int64_t value);

  // No value. RESP2 "$-1", RESP3 "_".
  void Null() { Raw(protocol_ >= 3 ? "_\r\n" : "$-1\r\n"); }
  // No array, where a client waits for one (BLPOP's timeout). RESP2 "*-1", RESP3 "_".
  void NullArray() { Raw(protocol_ >= 3 ? "_\r\n" : "*-1\r\n"); }

  // RESP2: the bulk string of the same digits.
  void Double(double value);
  // A double that is spelled out already (a long double, a coordinate).
  void DoubleText(std::string_view digits);
  // RESP2: 1 or 0.
  void Bool(bool value);
  // Decimal digits with an optional sign. RESP2: bulk string.
  void BigNumber(std::string_view digits);
  // `format` has three letters: "txt", "mkd". RESP2: bulk string of the text alone.
  void Verbatim(std::string_view format, std::string_view text);

  // Headers: the caller writes exactly what they announce right after.
  void ArrayHeader(size_t n);
  // n pairs. RESP2: an array of 2n.
  void MapHeader(size_t n);
  // RESP2: array.
  void SetHeader(size_t n);
  // Out-of-band message. RESP2: array.
  void PushHeader(size_t n);
  // n pairs about the value that follows. Needs protocol 3: RESP2 has no place to put them.
  void AttributeHeader(size_t n);

  // Aggregates whose length is known only afterwards. Begin returns a mark for End, which fixes the
  // header. Nothing moves if the count has as many digits as the one `expected`; otherwise what was
  // written since is moved once. They nest. Between the two calls the buffer may grow but nothing
  // may be consumed from it.
  size_t BeginArray(size_t expected = 0);
  size_t BeginMap(size_t expected_pairs = 0);
  size_t BeginSet(size_t expected = 0);
  void EndArray(size_t mark, size_t n);
  void EndMap(size_t mark, size_t pairs);
  void EndSet(size_t mark, size_t n);
  // Takes back all that was written since the mark, header included.
  void Abandon(size_t mark) { buffer_->Truncate(mark); }

  // Bytes that are a reply already.
  void Raw(std::string_view bytes) { buffer_->Append(bytes); }

 private:
  void Header(char type, uint64_t n);
  void Line(char type, std::string_view text);
  size_t Begin(char type, uint64_t expected);
  void End(size_t mark, char type, uint64_t n);

  Buffer* buffer_;
  int protocol_;
};

// A double as Redis 7.0.15 spells it in replies of either protocol, 17 significant digits as C's
// %.17g has them: "0.10000000000000001", "3", "1e+17", "inf", "-inf", "-nan". Writes at most 32
// bytes to `out`, returns how many; no NUL.
size_t FormatDouble(double value, char* out);

}  // namespace sluice::resp
