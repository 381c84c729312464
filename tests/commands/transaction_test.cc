#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
  TestClient other{&server};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "MULTI queues, EXEC runs, errors stay where they happen") {
  CHECK(c("MULTI") == "OK");
  CHECK(c("MULTI") == "(error) ERR MULTI calls can not be nested");
  CHECK(c("WATCH k") == "(error) ERR WATCH inside MULTI is not allowed");
  CHECK(c("SET k v") == "QUEUED");
  CHECK(other("GET k") == "(nil)");
  CHECK(c("INCR k") == "QUEUED");
  CHECK(c("GET k") == "QUEUED");
  CHECK(c("EXEC") == "[OK, (error) ERR value is not an integer or out of range, \"v\"]");
  CHECK(c("EXEC") == "(error) ERR EXEC without MULTI");
  CHECK(c("DISCARD") == "(error) ERR DISCARD without MULTI");
}

TEST_CASE_FIXTURE(Fixture, "a command that cannot be queued spoils the transaction") {
  c("MULTI");
  CHECK(c("GET").starts_with("(error) ERR wrong number"));
  CHECK(c("SET k v") == "QUEUED");
  CHECK(c("EXEC") == "(error) EXECABORT Transaction discarded because of previous errors.");
  CHECK(c("EXISTS k") == "(integer) 0");
  c("MULTI");
  CHECK(c("EXEC now") ==
        "(error) EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
        "command");
  CHECK(c("EXEC") == "(error) ERR EXEC without MULTI");
}

TEST_CASE_FIXTURE(Fixture, "WATCH") {
  SUBCASE("nothing happens") {
    c("WATCH k");
    other("GET k");
    c("MULTI");
    CHECK(c("EXEC") == "[]");
  }
  SUBCASE("another client changes the key") {
    c("WATCH none k");
    other("SET k v");
    c("MULTI");
    c("SET k mine");
    CHECK(c("EXEC") == "(nil)");
    CHECK(c("GET k") == "\"v\"");
    c("MULTI");
    CHECK(c("EXEC") == "[]");  // watches do not outlive EXEC
  }
  SUBCASE("so does oneself") {
    c("WATCH k");
    c("SET k v");
    c("MULTI");
    CHECK(c("EXEC") == "(nil)");
  }
  SUBCASE("UNWATCH forgets") {
    c("WATCH k");
    other("SET k v");
    CHECK(c("UNWATCH") == "OK");
    c("MULTI");
    CHECK(c("EXEC") == "[]");
  }
  SUBCASE("DISCARD forgets") {
    c("WATCH k");
    other("SET k v");
    c("MULTI");
    c("DISCARD");
    c("MULTI");
    CHECK(c("EXEC") == "[]");
  }
  SUBCASE("each database has its own keys") {
    c("WATCH k");
    other.session().db = 3;
    other("SET k v");
    c("MULTI");
    CHECK(c("EXEC") == "[]");
  }
  SUBCASE("a change to and fro is a change") {
    c("SET k v");
    c("WATCH k");
    other("RENAME k l");
    other("RENAME l k");
    c("MULTI");
    CHECK(c("EXEC") == "(nil)");
  }
  SUBCASE("a failed command is none") {
    c("SET k v");
    c("WATCH k");
    other("LPUSH k x");
    other("EXPIRE k 10 XX");
    other("DEL none");
    c("MULTI");
    CHECK(c("EXEC") == "[]");
  }
}

TEST_CASE_FIXTURE(Fixture, "WATCH and expiry") {
  SUBCASE("a key that expires while it is watched is changed") {
    server.engine().active_expire = false;
    c("SET k v PX 100");
    c("WATCH k");
    server.AdvanceMs(101);
    c("MULTI");
    CHECK(c("EXEC") == "(nil)");
  }
  SUBCASE("also when it is deleted at once") {
    c("SET k v PX 100");
    c("WATCH k");
    server.AdvanceMs(101);
    CHECK(c("DBSIZE") == "(integer) 0");
    c("MULTI");
    CHECK(c("EXEC") == "(nil)");
  }
  SUBCASE("one that had expired before is not, however it goes") {
    for (bool active : {false, true}) {
      server.engine().active_expire = false;
      c("SET k v PX 100");
      server.AdvanceMs(101);
      c("WATCH k");
      server.engine().active_expire = active;
      server.Turn();
      if (!active) other("GET k");
      CHECK(c("DBSIZE") == "(integer) 0");
      c("MULTI");
      CHECK(c("EXEC") == "[]");
    }
  }
  SUBCASE("unless it is made again") {
    server.engine().active_expire = false;
    c("SET k v PX 100");
    server.AdvanceMs(101);
    c("WATCH k");
    other("SET k new");
    c("MULTI");
    CHECK(c("EXEC") == "(nil)");
  }
  SUBCASE("flushing what had expired before changes nothing") {
    server.engine().active_expire = false;
    c("SET k v PX 100");
    server.AdvanceMs(101);
    c("WATCH k");
    other("FLUSHALL");
    c("MULTI");
    CHECK(c("EXEC") == "[]");
  }
}

TEST_CASE_FIXTURE(Fixture, "commands that would block do not, and wake others afterwards") {
  other("BLPOP l 0");
  c("MULTI");
  c("BLPOP none 0");
  c("RPUSH l a");
  c("LPOP l");
  c("RPUSH l b");
  CHECK(c("EXEC") == "[(nil), (integer) 1, \"a\", (integer) 1]");
  CHECK(other.Take() == "[\"l\", \"b\"]");
}

TEST_CASE_FIXTURE(Fixture, "a transaction is one batch") {
  c("MULTI");
  c("SET a 1");
  c("SET b 2");
  server.Turn();
  Lsn before = server.store().sealed();
  c("EXEC");
  server.Turn();
  CHECK(server.store().sealed() == before + 1);
}
