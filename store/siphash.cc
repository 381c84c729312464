#include "store/siphash.h"

#include <bit>
#include <cstring>

namespace sluice {
namespace {

// Any two numbers; never to be changed.
constexpr uint64_t kKey0 = 0x736c756963650001;
constexpr uint64_t kKey1 = 0x6d65737361676573;

struct State {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32) + v3;
    v2 += v1;
    v3 = std::rotl(v3, 21) ^ v0;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
  uint64_t Squeeze() {
    for (int i = 0; i < 4; ++i) Round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

Hash128 SipHash128(std::string_view bytes) {
  State s{kKey0 ^ 0x736f6d6570736575, kKey1 ^ 0x646f72616e646f6d ^ 0xee, kKey0 ^ 0x6c7967656e657261,
          kKey1 ^ 0x7465646279746573};
  size_t size = bytes.size();
  while (bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    s.Absorb(word);
    bytes.remove_prefix(8);
  }
  uint64_t last = 0;
  if (!bytes.empty()) std::memcpy(&last, bytes.data(), bytes.size());
  s.Absorb(last | static_cast<uint64_t>(size) << 56);
  s.v2 ^= 0xee;
  uint64_t low = s.Squeeze();
  s.v1 ^= 0xdd;
  return {low, s.Squeeze()};
}

}  // namespace sluice
