// Sets, SORT and the commands on bits where time, turns and large objects come in; the rest is in
// the dialogues.
#include <doctest/doctest.h>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient a{&server};

  void AddMembers(const std::string& key, int count) {
    for (int i = 0; i < count; ++i) a.Call({"SADD", key, "member " + std::to_string(i)});
  }
  size_t Rows(Table table) { return AllRows(&server.store().env(), table).size(); }
  void TurnsUntilClean(Table table) {
    for (int i = 0; i < 100 && Rows(table) > 0; ++i) server.Turn();
    CHECK(Rows(table) == 0);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a large set that goes as a whole is reclaimed, slice by slice") {
  for (const char* command :
       {"DEL k", "UNLINK k", "SET k v", "SINTERSTORE k none other", "SUNIONSTORE k small",
        "RENAME small k", "SORT none STORE k", "SPOP k 20000", "FLUSHALL", "PEXPIRE k 0"}) {
    CAPTURE(command);
    a("FLUSHALL");
    a("SADD small 1 2");
    AddMembers("k", 20000);
    CHECK(Rows(Table::kSet) == 20000);
    a(command);
    CHECK(Rows(Table::kSet) == 20000);
    server.Turn();
    CHECK(Rows(Table::kSet) > 0);
    CHECK(Rows(Table::kSet) < 20000);
    TurnsUntilClean(Table::kSet);
    a("SADD k new");
    for (int i = 0; i < 3; ++i) server.Turn();
    CHECK(a("EXISTS k") == "(integer) 1");
  }
}

TEST_CASE_FIXTURE(Fixture, "sets whose time is over are empty to every command") {
  auto again = [this] {
    a("DEL k to");
    a("SADD k 1 2 3");
    a("PEXPIRE k 10");
    server.AdvanceQuietlyMs(11);
  };
  for (const auto& asked :
       std::vector<std::pair<std::string, std::string>>{{"SCARD k", "(integer) 0"},
                                                        {"SMEMBERS k", "[]"},
                                                        {"SISMEMBER k 1", "(integer) 0"},
                                                        {"SPOP k", "(nil)"},
                                                        {"SRANDMEMBER k", "(nil)"},
                                                        {"SREM k 1", "(integer) 0"},
                                                        {"SMOVE k to 1", "(integer) 0"},
                                                        {"SINTERCARD 2 k k", "(integer) 0"},
                                                        {"SUNIONSTORE to k", "(integer) 0"},
                                                        {"SORT k", "[]"},
                                                        {"SORT k STORE to", "(integer) 0"},
                                                        {"SSCAN k 0", "[\"0\", []]"}}) {
    again();
    CHECK_MESSAGE(a(asked.first) == asked.second, asked.first);
    CHECK(a("EXISTS k to") == "(integer) 0");
  }
  again();
  CHECK(a("SADD k 9") == "(integer) 1");
  CHECK(a("SMEMBERS k") == "[\"9\"]");
  CHECK(a("PTTL k") == "(integer) -1");
}

TEST_CASE_FIXTURE(Fixture, "what stores a set or a list takes no time to live over") {
  a("SADD k 2 1");
  for (const char* command : {"SUNIONSTORE to k", "SINTERSTORE to k", "SDIFFSTORE to k",
                              "SORT k STORE to", "BITOP NOT to text"}) {
    a("SET text x");
    a("SET to old PX 1000");
    CHECK(a(command) != "(integer) 0");
    CHECK_MESSAGE(a("PTTL to") == "(integer) -1", command);
  }
  a("PEXPIRE k 1000");
  a("SADD k 3");
  a("SREM k 3");
  CHECK(a("PTTL k") == "(integer) 1000");
}

TEST_CASE_FIXTURE(Fixture,
                  "a set that outgrows its key's row keeps members, time and waiting clients") {
  a("SADD k first");
  a("PEXPIRE k 1000");
  CHECK(Rows(Table::kSet) == 0);
  AddMembers("k", 1000);
  CHECK(Rows(Table::kSet) == 1001);
  CHECK(a("SISMEMBER k first") == "(integer) 1");
  CHECK(a("PTTL k") == "(integer) 1000");
  a("COPY k copy");
  a("SREM copy first");
  CHECK(a("SCARD k") == "(integer) 1001");
  server.AdvanceMs(1001);
  CHECK(a("EXISTS k copy") == "(integer) 0");
  TurnsUntilClean(Table::kSet);
}

TEST_CASE_FIXTURE(Fixture, "SORT finds nothing behind keys whose time is over") {
  a("RPUSH l 1 2 3");
  a("MSET w_1 3 w_2 2 w_3 1 v_1 a v_2 b v_3 c");
  CHECK(a("SORT l BY w_* GET v_*") == "[\"c\", \"b\", \"a\"]");
  a("PEXPIRE w_1 10");
  a("PEXPIRE v_2 10");
  server.AdvanceQuietlyMs(11);
  CHECK(a("SORT l BY w_* GET v_*") == "[\"a\", \"c\", (nil)]");
  CHECK(a("EXISTS w_1 v_2") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "SORT of many elements, in windows and stored") {
  for (int i = 0; i < 5000; ++i) {
    a.Call({"RPUSH", "l", std::to_string(i * 7919 % 5000)});
  }
  CHECK(a("SORT l LIMIT 2500 3") == "[\"2500\", \"2501\", \"2502\"]");
  CHECK(a("SORT l DESC LIMIT 4998 10") == "[\"1\", \"0\"]");
  CHECK(a("SORT l STORE l") == "(integer) 5000");
  CHECK(a("LRANGE l 0 2") == "[\"0\", \"1\", \"2\"]");
  CHECK(a("LINDEX l 4999") == "\"4999\"");
}

TEST_CASE_FIXTURE(Fixture, "bits of a string of many pieces") {
  CHECK(a("SETBIT k 800000007 1") == "(integer) 0");
  CHECK(a("STRLEN k") == "(integer) 100000001");
  CHECK(Rows(Table::kChunk) < 10);  // what was never written costs nothing
  CHECK(a("BITCOUNT k") == "(integer) 1");
  CHECK(a("BITPOS k 1") == "(integer) 800000007");
  CHECK(a("BITPOS k 0") == "(integer) 0");
  CHECK(a("GETBIT k 800000007") == "(integer) 1");
  CHECK(a("GETBIT k 900000000") == "(integer) 0");
  // Across the border of two pieces, and behind the end.
  CHECK(a("BITFIELD k SET u16 32760 43690 GET u16 32760 GET u8 32768") ==
        "[(integer) 0, (integer) 43690, (integer) 170]");
  CHECK(a("BITFIELD k INCRBY i64 800000001 5") == "[(integer) 144115188075855877]");
  a("PEXPIRE k 10");
  CHECK(a("SETBIT k 0 1") == "(integer) 0");
  server.AdvanceQuietlyMs(11);
  CHECK(a("GETBIT k 0") == "(integer) 0");
  CHECK(a("BITCOUNT k") == "(integer) 0");
  TurnsUntilClean(Table::kChunk);
}

TEST_CASE_FIXTURE(Fixture, "BITOP of strings of different lengths, one of them over") {
  a("SET long \"" + std::string(10000, 'a') + "\"");
  a("SET short aaa");
  a("SET over aaa PX 10");
  server.AdvanceQuietlyMs(11);
  CHECK(a("BITOP AND to long short") == "(integer) 10000");
  CHECK(a("BITCOUNT to") == "(integer) 9");
  CHECK(a("BITOP OR to long over") == "(integer) 10000");
  CHECK(a("BITCOUNT to") == "(integer) 30000");
  CHECK(a("BITOP XOR long long long") == "(integer) 10000");  // onto itself
  CHECK(a("BITCOUNT long") == "(integer) 0");
  CHECK(a("BITOP NOT to over") == "(integer) 0");
  CHECK(a("EXISTS to over") == "(integer) 0");
  CHECK(a("LCS short over") == "\"\"");
}
