#include "store/crc32c.h"

#include <doctest/doctest.h>

#include <numeric>
#include <random>
#include <string>

namespace sluice {
namespace {

uint32_t Both(const std::string& bytes) {
  uint32_t crc = Crc32c(0, bytes.data(), bytes.size());
  CHECK(crc == Crc32cPortable(0, bytes.data(), bytes.size()));
  return crc;
}

TEST_CASE("crc32c of known bytes") {
  // The first is the customary check value, the others are from RFC 3720, B.4.
  CHECK(Both("123456789") == 0xe3069283);
  CHECK(Both(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(Both(std::string(32, '\xff')) == 0x62a8ab43);
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  CHECK(Both(rising) == 0x46dd794e);
  CHECK(Both("") == 0);
}

TEST_CASE("crc32c goes on where it stopped, at any length and alignment") {
  std::mt19937 random(1);
  std::string bytes(300, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  uint32_t whole = Both(bytes);
  for (size_t cut = 0; cut <= bytes.size(); cut++) {
    uint32_t head = Crc32c(0, bytes.data(), cut);
    CHECK(Crc32c(head, bytes.data() + cut, bytes.size() - cut) == whole);
    uint32_t portable = Crc32cPortable(0, bytes.data(), cut);
    CHECK(portable == head);
    CHECK(Crc32cPortable(portable, bytes.data() + cut, bytes.size() - cut) == whole);
  }
}

}  // namespace
}  // namespace sluice
