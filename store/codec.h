// How numbers and names become bytes on disk. Row keys sort as bytes, so numbers inside keys are
// big-endian; everything inside values is little-endian. See FORMAT.md.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sluice {

// LMDB's limit on the length of a key.
inline constexpr size_t kMaxRowKey = 511;

// A row key under construction; lives on the stack. Overflow is the caller's bug.
class RowKey {
 public:
  RowKey() = default;
  RowKey& U8(uint8_t v) {
    bytes_[size_++] = static_cast<char>(v);
    return *this;
  }
  RowKey& U32(uint32_t v) {
    v = __builtin_bswap32(v);
    return Raw(&v, sizeof v);
  }
  RowKey& U48(uint64_t v) {
    v = __builtin_bswap64(v << 16);
    return Raw(&v, 6);
  }
  RowKey& U64(uint64_t v) {
    v = __builtin_bswap64(v);
    return Raw(&v, sizeof v);
  }
  RowKey& Bytes(std::string_view s) { return Raw(s.data(), s.size()); }

  operator std::string_view() const { return {bytes_, size_}; }
  std::string_view view() const { return {bytes_, size_}; }
  size_t size() const { return size_; }
  void Truncate(size_t size) { size_ = size; }

 private:
  RowKey& Raw(const void* p, size_t n) {
    if (n) std::memcpy(bytes_ + size_, p, n);
    size_ += n;
    return *this;
  }
  char bytes_[kMaxRowKey + 1];
  size_t size_ = 0;
};

// Big-endian reads out of row keys; the caller knows that the bytes are there.
inline uint32_t ReadKeyU32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}
inline uint64_t ReadKeyU48(const char* p) {
  uint64_t v = 0;
  std::memcpy(&v, p, 6);
  return __builtin_bswap64(v) >> 16;
}
inline uint64_t ReadKeyU64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap64(v);
}

// Appends little-endian integers, LEB128 varints and length-prefixed bytes to a value.
template <typename T>
void PutFixed(std::string* out, T v) {
  out->append(reinterpret_cast<const char*>(&v), sizeof v);
}
void PutVarint(std::string* out, uint64_t v);
void PutBytes(std::string* out, std::string_view s);  // varint length, then the bytes

// Reads a value front to back. After a read past the end ok() is false and zeros come back, so a
// decoder checks once at its end.
class ValueReader {
 public:
  explicit ValueReader(std::string_view bytes) : p_(bytes.data()), end_(p_ + bytes.size()) {}

  template <typename T>
  T Fixed() {
    T v{};
    if (static_cast<size_t>(end_ - p_) < sizeof v) return Fail(), v;
    std::memcpy(&v, p_, sizeof v);
    p_ += sizeof v;
    return v;
  }
  uint64_t Varint();
  std::string_view Bytes();
  std::string_view Rest() { return {p_, static_cast<size_t>(end_ - p_)}; }
  bool AtEnd() const { return p_ == end_; }
  bool ok() const { return ok_; }

 private:
  void Fail() {
    ok_ = false;
    p_ = end_;
  }
  const char* p_;
  const char* end_;
  bool ok_ = true;
};

// A stable 64-bit hash of a name (FNV-1a, finalised). It orders rows, so flooding it costs nothing:
// the name itself follows the hash in the row key.
uint64_t HashName(std::string_view name);

// Names of any length inside row keys (keys, members, fields, groups, consumers).
//
// A name of up to kInlineName bytes stands in the row key as it is. A longer one contributes its
// first kInlineName bytes and a number of its own that tells names with the same start apart; the
// whole name is then kept in the value, where the reader compares it. The two forms never collide,
// because only the long form is longer than prefix + kInlineName.
inline constexpr size_t kInlineName = 460;

}  // namespace sluice
