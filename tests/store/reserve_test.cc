#include "store/reserve.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/store/fixture.h"

namespace sluice::testing {

TEST_CASE("reserve: what an earlier process kept is ours") {
  TempDir dir;
  {
    DiskReserve first(dir.path(), 1 << 20);
    CHECK_FALSE(first.held());
    REQUIRE(first.Take().ok());
    CHECK(first.held());
  }
  DiskReserve second(dir.path(), 1 << 20);
  CHECK(second.held());
  second.Release();
  CHECK_FALSE(second.held());
  CHECK_FALSE(DiskReserve(dir.path(), 1 << 20).held());
}

TEST_CASE("reserve: a name without space behind it is none") {
  TempDir dir;
  std::ofstream(dir.path() + "/reserve").close();
  DiskReserve reserve(dir.path(), 1 << 20);
  CHECK_FALSE(reserve.held());
  REQUIRE(reserve.Take().ok());
  CHECK(DiskReserve(dir.path(), 1 << 20).held());
}

}  // namespace sluice::testing
