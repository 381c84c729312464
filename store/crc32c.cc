#include "store/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace sluice {
namespace {

// tables[k][b] is the checksum of byte b followed by k zero bytes (slicing by eight).
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; k++) {
    for (size_t byte = 0; byte < 256; byte++) {
      uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint64_t Load64(const unsigned char* p) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint32_t ExtendByTable(uint32_t crc, const unsigned char* p, size_t size) {
  for (; size >= 8; p += 8, size -= 8) {
    uint64_t word = Load64(p) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; k++) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; size > 0; p++, size--) crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xff];
  return crc;
}

#if defined(__x86_64__)

bool HasInstruction() { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) uint32_t ExtendByInstruction(uint32_t crc, const unsigned char* p,
                                                               size_t size) {
  uint64_t wide = crc;
  for (; size >= 8; p += 8, size -= 8) wide = __builtin_ia32_crc32di(wide, Load64(p));
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; p++, size--) crc = __builtin_ia32_crc32qi(crc, *p);
  return crc;
}

#elif defined(__aarch64__) && defined(__linux__)

bool HasInstruction() {
  static const bool has = (getauxval(AT_HWCAP) & (1 << 7)) != 0;  // HWCAP_CRC32
  return has;
}

// Written as assembly because the compilers disagree on how to enable the intrinsics for a single
// function.
uint32_t ExtendByInstruction(uint32_t crc, const unsigned char* p, size_t size) {
  for (; size >= 8; p += 8, size -= 8) {
    asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(Load64(p)));
  }
  for (; size > 0; p++, size--) {
    asm(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(uint32_t{*p}));
  }
  return crc;
}

#else

bool HasInstruction() { return false; }
uint32_t ExtendByInstruction(uint32_t crc, const unsigned char*, size_t) { return crc; }

#endif

}  // namespace

uint32_t Crc32c(uint32_t crc, const void* data, size_t size) {
  auto* p = static_cast<const unsigned char*>(data);
  return ~(HasInstruction() ? ExtendByInstruction(~crc, p, size) : ExtendByTable(~crc, p, size));
}

uint32_t Crc32cPortable(uint32_t crc, const void* data, size_t size) {
  return ~ExtendByTable(~crc, static_cast<const unsigned char*>(data), size);
}

}  // namespace sluice
