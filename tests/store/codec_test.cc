#include "store/codec.h"

#include <doctest/doctest.h>

#include <set>

using namespace sluice;

TEST_CASE("codec: numbers in row keys sort as numbers") {
  const uint64_t numbers[] = {0, 1, 255, 256, 65535, 65536, 0xffffffff, 0x100000000, 1ull << 47};
  std::string before;
  for (uint64_t n : numbers) {
    RowKey key;
    key.U8(7).U64(n);
    CHECK(before < key.view());
    CHECK(ReadKeyU64(key.view().data() + 1) == n);
    before = key.view();
    RowKey short_key;
    short_key.U48(n).U32(static_cast<uint32_t>(n));
    CHECK(short_key.size() == 10);
    CHECK(ReadKeyU48(short_key.view().data()) == n);
    CHECK(ReadKeyU32(short_key.view().data() + 6) == static_cast<uint32_t>(n));
  }
}

TEST_CASE("codec: varints") {
  for (uint64_t n : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{16383}, uint64_t{16384},
                     uint64_t{1} << 63, UINT64_MAX}) {
    std::string bytes;
    PutVarint(&bytes, n);
    ValueReader r(bytes);
    CHECK(r.Varint() == n);
    CHECK(r.AtEnd());
    CHECK(r.ok());
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      ValueReader torn(std::string_view(bytes).substr(0, cut));
      torn.Varint();
      CHECK_FALSE(torn.ok());
    }
  }
  CHECK_FALSE([] {
    ValueReader endless(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11));
    endless.Varint();
    return endless.ok();
  }());
}

TEST_CASE("codec: a reader past the end says so once and for all") {
  std::string bytes;
  PutFixed<uint32_t>(&bytes, 77);
  PutBytes(&bytes, std::string_view("a\0b", 3));
  PutBytes(&bytes, "");
  bytes += "rest";
  ValueReader r(bytes);
  CHECK(r.Fixed<uint32_t>() == 77);
  CHECK(r.Bytes() == std::string_view("a\0b", 3));
  CHECK(r.Bytes().empty());
  CHECK(r.Rest() == "rest");
  CHECK(r.Fixed<uint64_t>() == 0);
  CHECK_FALSE(r.ok());
  CHECK(r.AtEnd());
  CHECK(r.Fixed<uint8_t>() == 0);

  std::string lie;
  PutVarint(&lie, 1000);
  lie += "short";
  ValueReader liar(lie);
  CHECK(liar.Bytes().empty());
  CHECK_FALSE(liar.ok());
}

TEST_CASE("codec: the hash of a name is on disk, so it never changes") {
  CHECK(HashName("") == HashName(std::string()));
  CHECK(HashName("queue") == 15409738911584865699u);
  CHECK(HashName(std::string_view("\0", 1)) != HashName(""));
  std::set<uint64_t> hashes;
  for (int i = 0; i < 10000; ++i) hashes.insert(HashName("job:" + std::to_string(i)) >> 16);
  CHECK(hashes.size() == 10000);
}
