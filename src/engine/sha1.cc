#include "src/engine/sha1.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace sluice {
namespace {

struct Sha1 {
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

  void Block(const unsigned char* p) {
    uint32_t w[80];
    for (int i = 0; i < 16; ++i, p += 4) {
      w[i] = uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
    }
    for (int i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    auto step = [&](uint32_t f, uint32_t k, uint32_t word) {
      uint32_t t = std::rotl(a, 5) + f + e + k + word;
      e = d, d = c, c = std::rotl(b, 30), b = a, a = t;
    };
    for (int i = 0; i < 20; ++i) step((b & c) | (~b & d), 0x5a827999, w[i]);
    for (int i = 20; i < 40; ++i) step(b ^ c ^ d, 0x6ed9eba1, w[i]);
    for (int i = 40; i < 60; ++i) step((b & c) | (b & d) | (c & d), 0x8f1bbcdc, w[i]);
    for (int i = 60; i < 80; ++i) step(b ^ c ^ d, 0xca62c1d6, w[i]);
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
};

}  // namespace

std::string Sha1Hex(std::string_view bytes) {
  Sha1 sha;
  auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 64; p += 64, left -= 64) sha.Block(p);
  // What is left, a one bit, zeros, and the length in bits.
  unsigned char tail[128] = {};
  if (left) std::memcpy(tail, p, left);
  tail[left] = 0x80;
  size_t size = left < 56 ? 64 : 128;
  uint64_t bits = uint64_t{bytes.size()} * 8;
  for (int i = 0; i < 8; ++i) tail[size - 1 - i] = static_cast<unsigned char>(bits >> (8 * i));
  for (size_t at = 0; at < size; at += 64) sha.Block(tail + at);
  std::string hex;
  for (uint32_t word : sha.h) {
    for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[word >> shift & 15];
  }
  return hex;
}

}  // namespace sluice
