#include "store/codec.h"

namespace sluice {

void PutVarint(std::string* out, uint64_t v) {
  char buffer[10];
  size_t n = 0;
  while (v >= 0x80) {
    buffer[n++] = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  buffer[n++] = static_cast<char>(v);
  out->append(buffer, n);
}

void PutBytes(std::string* out, std::string_view s) {
  PutVarint(out, s.size());
  out->append(s);
}

uint64_t ValueReader::Varint() {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (p_ == end_) return Fail(), 0;
    uint8_t byte = static_cast<uint8_t>(*p_++);
    v |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return v;
  }
  return Fail(), 0;
}

std::string_view ValueReader::Bytes() {
  uint64_t n = Varint();
  if (n > static_cast<size_t>(end_ - p_)) return Fail(), std::string_view();
  std::string_view s(p_, n);
  p_ += n;
  return s;
}

uint64_t HashName(std::string_view name) {
  uint64_t h = 0xcbf29ce484222325;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3;
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15;
  return h ^ (h >> 29);
}

}  // namespace sluice
