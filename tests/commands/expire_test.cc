#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a key lives through the millisecond it names") {
  server.engine().active_expire = false;
  c("SET k v PX 100");
  server.AdvanceMs(100);
  CHECK(c("PTTL k") == "(integer) 0");
  CHECK(c("GET k") == "\"v\"");
  server.AdvanceMs(1);
  CHECK(c("PTTL k") == "(integer) -2");
  CHECK(c("GET k") == "(nil)");
}

TEST_CASE_FIXTURE(Fixture, "keys expire by themselves, when the engine says it will run next") {
  c("SET k v PX 100");
  c("SET l v PX 300");
  server.Turn();
  CHECK(server.engine().NextWakeUs() == 101'000);
  server.AdvanceMs(101);
  CHECK(server.engine().NextWakeUs() == 200'000);
  CHECK(c("DBSIZE") == "(integer) 1");
  CHECK(server.engine().stats().expired_keys == 1);
}

TEST_CASE_FIXTURE(Fixture, "TTL rounds to the nearest second") {
  c("SET k v PX 1499");
  CHECK(c("TTL k") == "(integer) 1");
  c("PEXPIRE k 1500");
  CHECK(c("TTL k") == "(integer) 2");
  c("PEXPIREAT k 1800000000499");
  CHECK(c("EXPIRETIME k") == "(integer) 1800000000");
  c("PEXPIREAT k 1800000000500");
  CHECK(c("EXPIRETIME k") == "(integer) 1800000001");
  CHECK(c("PEXPIRETIME k") == "(integer) 1800000000500");
  CHECK(c("PERSIST k") == "(integer) 1");
  CHECK(c("PERSIST k") == "(integer) 0");
  CHECK(c("TTL k") == "(integer) -1");
  CHECK(c("TTL none") == "(integer) -2");
}

TEST_CASE_FIXTURE(Fixture, "EXPIRE into the past deletes") {
  for (const char* command : {"EXPIRE k 0", "EXPIRE k -1", "PEXPIREAT k 0", "EXPIREAT k -5",
                              "EXPIRE k -9223372036854775"}) {
    c("SET k v");
    CHECK(c(command) == "(integer) 1");
    CHECK(c("EXISTS k") == "(integer) 0");
  }
  CHECK(c("EXPIRE none -1") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "EXPIRE: conditions") {
  c("SET k v");
  CHECK(c("EXPIRE k 100 XX") == "(integer) 0");
  CHECK(c("EXPIRE k 100 GT") == "(integer) 0");
  CHECK(c("EXPIRE k 100 LT") == "(integer) 1");
  CHECK(c("EXPIRE k 200 NX") == "(integer) 0");
  CHECK(c("EXPIRE k 100 GT") == "(integer) 0");
  CHECK(c("EXPIRE k 200 XX GT") == "(integer) 1");
  CHECK(c("EXPIRE k 200 LT") == "(integer) 0");
  CHECK(c("EXPIRE k -1 GT") == "(integer) 0");
  CHECK(c("EXISTS k") == "(integer) 1");
  const char* nx = "(error) ERR NX and XX, GT or LT options at the same time are not compatible";
  CHECK(c("EXPIRE k 10 NX XX") == nx);
  CHECK(c("EXPIRE none x NX LT") == nx);
  CHECK(c("EXPIRE k 10 GT LT") ==
        "(error) ERR GT and LT options at the same time are not compatible");
  CHECK(c("EXPIRE k 10 SOON") == "(error) ERR Unsupported option SOON");
}

TEST_CASE_FIXTURE(Fixture, "EXPIRE: overflow") {
  c("SET k v");
  CHECK(c("EXPIRE k 9223372036854775807") == "(error) ERR invalid expire time in 'expire' command");
  CHECK(c("EXPIRE k 9223372036854775") == "(error) ERR invalid expire time in 'expire' command");
  CHECK(c("PEXPIRE k 9223372036854775807") ==
        "(error) ERR invalid expire time in 'pexpire' command");
  CHECK(c("EXPIREAT k -9223372036854775808") ==
        "(error) ERR invalid expire time in 'expireat' command");
  CHECK(c("PEXPIREAT k 9223372036854775807") == "(integer) 1");
  CHECK(c("PEXPIREAT k 9223372036854775808") ==
        "(error) ERR value is not an integer or out of range");
}

TEST_CASE_FIXTURE(Fixture, "a key that expires and is made again has nothing of the old one") {
  c("RPUSH l a b c");
  c("PEXPIRE l 10");
  server.AdvanceQuietlyMs(11);
  CHECK(c("RPUSH l d") == "(integer) 1");
  CHECK(c("LRANGE l 0 -1") == "[\"d\"]");
  CHECK(c("TTL l") == "(integer) -1");
  server.AdvanceMs(20);
  CHECK(c("LLEN l") == "(integer) 1");
}
