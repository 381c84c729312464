#include <set>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
  TestClient other{&server};
};

constexpr const char* kSame = "(error) ERR source and destination objects are the same";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "DEL, UNLINK, EXISTS, TOUCH, TYPE") {
  c("MSET a 1 b 2");
  c("RPUSH l 1");
  CHECK(c("EXISTS a a none l") == "(integer) 3");
  CHECK(c("TOUCH a none l") == "(integer) 2");
  CHECK(c("TYPE l") == "list");
  CHECK(c("TYPE none") == "none");
  CHECK(c("DEL a a none") == "(integer) 1");
  CHECK(c("UNLINK b l") == "(integer) 2");
  CHECK(c("DBSIZE") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "RENAME takes the time to live along and drops what was there") {
  c("SET a 1 EX 100");
  c("RPUSH b x");
  CHECK(c("RENAME a b") == "OK");
  CHECK(c("GET b") == "\"1\"");
  CHECK(c("TTL b") == "(integer) 100");
  CHECK(c("EXISTS a") == "(integer) 0");
  CHECK(c("RENAME none none") == "(error) ERR no such key");
  CHECK(c("RENAME b b") == "OK");
  CHECK(c("RENAMENX b b") == "(integer) 0");
  c("SET d 1");
  CHECK(c("RENAMENX b d") == "(integer) 0");
  CHECK(c("RENAMENX b e") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture, "RENAME, COPY and MOVE wake who waits for the list") {
  for (const char* command : {"RENAME ready wanted", "COPY ready wanted", "MOVE wanted 0"}) {
    bool moves = std::string_view(command).starts_with("MOVE");
    CHECK(other("BLPOP wanted 0") == "(blocked)");
    TestClient mover(&server);
    if (moves) mover.session().db = 1;
    CHECK(mover(moves ? "RPUSH wanted x" : "RPUSH ready x") == "(integer) 1");
    mover(command);
    CHECK(other.Take() == "[\"wanted\", \"x\"]");
    mover("FLUSHALL");
  }
}

TEST_CASE_FIXTURE(Fixture, "SWAPDB wakes who waits, and breaks watches on what is there") {
  other("BLPOP wanted 0");
  TestClient one(&server), watcher(&server), idle(&server);
  one.session().db = 1;
  one("RPUSH wanted x");
  watcher("WATCH wanted");
  idle("WATCH something-else");
  CHECK(c("SWAPDB 0 1") == "OK");
  CHECK(other.Take() == "[\"wanted\", \"x\"]");
  watcher("MULTI");
  CHECK(watcher("EXEC") == "(nil)");
  idle("MULTI");
  CHECK(idle("EXEC") == "[]");
  CHECK(c("SWAPDB 0 99") == "(error) ERR DB index is out of range");
  CHECK(c("SWAPDB x 0") == "(error) ERR invalid first DB index");
  CHECK(c("SWAPDB 0 x") == "(error) ERR invalid second DB index");
  CHECK(c("SWAPDB 3 3") == "OK");
}

TEST_CASE_FIXTURE(Fixture, "COPY") {
  c("RPUSH l 1 2 3");
  c("LINSERT l BEFORE 2 x");
  CHECK(c("COPY l m") == "(integer) 1");
  c("RPOP l");
  CHECK(c("LRANGE m 0 -1") == "[\"1\", \"x\", \"2\", \"3\"]");
  CHECK(c("COPY l m") == "(integer) 0");
  CHECK(c("COPY l m REPLACE") == "(integer) 1");
  CHECK(c("LRANGE m 0 -1") == "[\"1\", \"x\", \"2\"]");
  CHECK(c("COPY l l") == kSame);
  CHECK(c("COPY l l DB 1") == "(integer) 1");
  CHECK(c("COPY none m") == "(integer) 0");
  CHECK(c("COPY l m DB 16") == "(error) ERR DB index is out of range");
  CHECK(c("COPY l m DB x") == "(error) ERR value is not an integer or out of range");
  CHECK(c("COPY l m DB") == "(error) ERR syntax error");
  c("DEL l");
  server.Turn();
  CHECK(c("LLEN m") == "(integer) 3");
}

TEST_CASE_FIXTURE(Fixture, "MOVE") {
  c("SET k v EX 100");
  CHECK(c("MOVE k 0") == kSame);
  CHECK(c("MOVE none 0") == kSame);
  CHECK(c("MOVE k 1") == "(integer) 1");
  CHECK(c("EXISTS k") == "(integer) 0");
  c("SET k w");
  CHECK(c("MOVE k 1") == "(integer) 0");
  CHECK(c("MOVE k 16") == "(error) ERR DB index is out of range");
  CHECK(c("MOVE k 99999999999") ==
        "(error) ERR value is out of range, value must between -2147483648 and 2147483647");
}

TEST_CASE_FIXTURE(Fixture, "KEYS and SCAN pass over what has expired") {
  server.engine().active_expire = false;
  c("SET gone v PX 10");
  c("SET kept v");
  c("RPUSH l 1");
  server.AdvanceMs(11);
  CHECK(c("KEYS g*") == "[]");
  CHECK(c("DBSIZE") == "(integer) 3");
  CHECK(c("KEYS k?[a-p]t") == "[\"kept\"]");
  CHECK(c("SCAN 0 MATCH g*") == "[\"0\", []]");
  CHECK(c("SCAN 0 TYPE LIST") == "[\"0\", [\"l\"]]");
  CHECK(c("SCAN 0 TYPE nonsense") == "[\"0\", []]");
  CHECK(c("SCAN 18446744073709551615") == "[\"0\", []]");
  CHECK(c("SCAN -1") == "[\"0\", []]");
  CHECK(c("SCAN x") == "(error) ERR invalid cursor");
  CHECK(c("SCAN 18446744073709551616") == "(error) ERR invalid cursor");
  CHECK(c("SCAN 0 COUNT 0") == "(error) ERR syntax error");
  CHECK(c("SCAN 0 COUNT") == "(error) ERR syntax error");
  CHECK(c("DBSIZE") == "(integer) 2");  // a scan deletes what it passes over
  std::set<std::string> names;
  for (int i = 0; i < 50; ++i) names.insert(c("RANDOMKEY"));
  CHECK(names == std::set<std::string>{"\"kept\"", "\"l\""});
}

TEST_CASE_FIXTURE(Fixture, "SCAN goes through everything once") {
  for (int i = 0; i < 300; ++i) c("SET key:" + std::to_string(i) + " v");
  std::multiset<std::string> seen;
  std::string cursor = "0";
  do {
    std::string reply = c("SCAN " + cursor + " COUNT 7");
    cursor = reply.substr(2, reply.find('"', 2) - 2);
    for (size_t at = reply.find("key:"); at != std::string::npos; at = reply.find("key:", at + 1)) {
      seen.insert(reply.substr(at, reply.find('"', at) - at));
    }
  } while (cursor != "0");
  CHECK(seen.size() == 300);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 300);
}

TEST_CASE_FIXTURE(Fixture, "FLUSHDB and FLUSHALL break watches on what was there") {
  for (const char* command : {"FLUSHDB", "FLUSHALL ASYNC"}) {
    c("SET k v");
    TestClient there(&server), absent(&server);
    there("WATCH k");
    absent("WATCH none");
    CHECK(c(command) == "OK");
    CHECK(c("DBSIZE") == "(integer) 0");
    there("MULTI");
    CHECK(there("EXEC") == "(nil)");
    absent("MULTI");
    CHECK(absent("EXEC") == "[]");
  }
  CHECK(c("FLUSHALL NOW") == "(error) ERR syntax error");
  CHECK(c("FLUSHDB SYNC SYNC") == "(error) ERR syntax error");
}

TEST_CASE_FIXTURE(Fixture, "OBJECT") {
  c("SET k v");
  server.AdvanceMs(5000);
  CHECK(c("OBJECT IDLETIME k") == "(integer) 5");
  c("GET k");
  CHECK(c("OBJECT IDLETIME k") == "(integer) 0");
  CHECK(c("OBJECT IDLETIME none") == "(nil)");
  CHECK(c("OBJECT FREQ none") == "(nil)");
  CHECK(c("OBJECT FREQ k").starts_with("(error) ERR An LFU maxmemory policy is not selected"));
  c("RPUSH l a");
  CHECK(c("OBJECT ENCODING l") == "\"listpack\"");
  for (int i = 0; i < 3; ++i) c("RPUSH l " + std::string(3000, 'x'));
  CHECK(c("OBJECT ENCODING l") == "\"quicklist\"");
  server.config().list_max_listpack_size = 2;
  c("RPUSH m a b");
  CHECK(c("OBJECT ENCODING m") == "\"listpack\"");
  c("RPUSH m c");
  CHECK(c("OBJECT ENCODING m") == "\"quicklist\"");
}
