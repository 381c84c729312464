// DEBUG CLOCK: time in the hands of a test suite.
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct ClockFixture {
  ClockFixture() { server.config().enable_debug_command = "yes"; }
  int64_t Now() {
    std::string time = a("TIME");  // ["seconds", "microseconds"]
    return std::stoll(time.substr(2)) * 1000 +
           std::stoll(time.substr(time.find(", \"") + 3)) / 1000;
  }
  TestServer server;
  TestClient a{&server}, b{&server}, d{&server};
};

}  // namespace

TEST_CASE_FIXTURE(ClockFixture, "a frozen clock stands, whatever the real one does") {
  CHECK(a("DEBUG CLOCK FREEZE") == "OK");
  int64_t frozen = Now();
  a("SET k v PX 100");
  CHECK(b("BLPOP q 1") == "(blocked)");
  server.AdvanceMs(10'000);
  CHECK(Now() == frozen);
  CHECK(a("PTTL k") == "(integer) 100");
  CHECK(b.Take() == "(blocked)");
  CHECK(a("DEBUG CLOCK ADVANCE 100") == "OK");
  CHECK(Now() == frozen + 100);
  CHECK(a("EXISTS k") == "(integer) 1");
  CHECK(a("DEBUG CLOCK ADVANCE 1") == "OK");
  CHECK(a("EXISTS k") == "(integer) 0");
  CHECK(b.Take() == "(blocked)");
  CHECK(a("DEBUG CLOCK ADVANCE 899") == "OK");
  CHECK(b.Take() == "(nil)");
}

TEST_CASE_FIXTURE(ClockFixture, "nothing wakes a server whose clock stands still") {
  auto sleeps = [&] {
    server.Turn();
    while (server.store().Reclaim()) {
    }
    server.Turn();
    return !server.engine().NextWakeUs().has_value();
  };
  a("DEBUG CLOCK FREEZE");
  a("SET k v PX 1");
  CHECK(b("BLPOP q 0.001") == "(blocked)");
  CHECK(sleeps());
  a("DEBUG CLOCK ADVANCE 5");
  CHECK(sleeps());
  a("SET k v PX 1");
  a("DEBUG CLOCK RESUME");
  server.Turn();
  CHECK(server.engine().NextWakeUs().has_value());
}

TEST_CASE_FIXTURE(ClockFixture, "what falls due does so in order, each at its moment") {
  server.config().notify_keyspace_events = "KEA";
  d("SUBSCRIBE __keyevent@0__:expired __keyevent@0__:hexpired");
  a("DEBUG CLOCK FREEZE");
  a("SET second v PX 200");
  a("SET first v PX 100");
  a("HSET h f v");
  a("HPEXPIRE h 150 FIELDS 1 f");
  a("SET last v PX 900");
  CHECK(a("DEBUG CLOCK ADVANCE 500") == "OK");
  while (d.Take().find("subscribe\"") != std::string::npos) {
  }
  std::string rest;
  for (std::string m; (m = d.Take()) != "(nothing)";) rest += m;
  CHECK(rest.find("\"h\"") < rest.find("\"second\""));
  CHECK(rest.find("last") == std::string::npos);
  CHECK(a("EXISTS first second h last") == "(integer) 1");
}

TEST_CASE_FIXTURE(ClockFixture, "streams' timers and blocked readers go by it") {
  a("DEBUG CLOCK FREEZE");
  a("XGROUP CREATE s g $ MKSTREAM");
  a("XGROUP CFGSET s g VISIBILITY 1000 BACKOFF 1 500");
  a("XADD s 1-1 f v");
  a("XREADGROUP GROUP g w STREAMS s >");
  CHECK(b("XREADGROUP GROUP g x BLOCK 1499 STREAMS s >") == "(blocked)");
  CHECK(d("XREADGROUP GROUP g y BLOCK 1501 STREAMS s >") == "(blocked)");
  CHECK(a("DEBUG CLOCK ADVANCE 100000") == "OK");
  CHECK(b.Take() == "(nil)");
  CHECK(d.Take() == "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]]]");
}

TEST_CASE_FIXTURE(ClockFixture, "CLIENT PAUSE ends by it, and does not hold it back") {
  a("DEBUG CLOCK FREEZE");
  a("CLIENT PAUSE 1000 ALL");
  CHECK(b("GET k") == "(blocked)");
  CHECK(a("DEBUG SLEEP 0") == "(blocked)");
  CHECK(d("DEBUG CLOCK ADVANCE 999") == "OK");
  CHECK(b.Take() == "(blocked)");
  CHECK(d("DEBUG CLOCK ADVANCE 1") == "OK");
  CHECK(b.Take() == "(nil)");
  CHECK(a.Take() == "OK");
}

TEST_CASE_FIXTURE(ClockFixture, "on a running clock ADVANCE lasts until RESUME") {
  int64_t before = Now();
  a("DEBUG CLOCK ADVANCE 60000");
  server.AdvanceMs(5);
  CHECK(Now() == before + 60'005);
  CHECK(b("BLPOP q 10") == "(blocked)");
  a("DEBUG CLOCK RESUME");
  server.AdvanceMs(1);
  CHECK(Now() == before + 6);
  // Whoever waits has waited for no longer than it is.
  server.AdvanceMs(9'998);
  CHECK(b.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(b.Take() == "(nil)");
}

TEST_CASE_FIXTURE(ClockFixture, "SET moves the wall clock; forwards, time passes") {
  a("DEBUG CLOCK FREEZE");
  CHECK(a("DEBUG CLOCK SET 2000000000000") == "OK");
  CHECK(Now() == 2'000'000'000'000);
  a("SET k v PXAT 2000000001000");
  CHECK(b("BLPOP q 5") == "(blocked)");
  a("DEBUG CLOCK SET 1900000000000");
  CHECK(Now() == 1'900'000'000'000);
  CHECK(a("EXISTS k") == "(integer) 1");
  CHECK(b.Take() == "(blocked)");
  a("DEBUG CLOCK SET 2000000001001");
  CHECK(a("EXISTS k") == "(integer) 0");
  CHECK(b.Take() == "(nil)");
  a("DEBUG CLOCK RESUME");
  CHECK(Now() == server.now_ms());
}

TEST_CASE_FIXTURE(ClockFixture, "a rate's reader asks again when the clock has been set") {
  a("DEBUG CLOCK FREEZE");
  a("XGROUP CREATE s g $ MKSTREAM");
  a("XGROUP CFGSET s g RATE 1 1000");
  a("XADD s 1-1 f v");
  a("XADD s 2-1 f v");
  a("XREADGROUP GROUP g w COUNT 1 STREAMS s >");
  CHECK(b("XREADGROUP GROUP g x BLOCK 0 STREAMS s >") == "(blocked)");
  a("DEBUG CLOCK ADVANCE 999");
  CHECK(b.Take() == "(blocked)");
  a("DEBUG CLOCK ADVANCE 1");
  CHECK(b.Take() == "[[\"s\", [[\"2-1\", [\"f\", \"v\"]]]]]");
}

TEST_CASE_FIXTURE(ClockFixture, "a jump is not counted as a slow command") {
  server.config().slowlog_log_slower_than = 1000;
  a("DEBUG CLOCK ADVANCE 86400000");
  CHECK(a("SLOWLOG LEN") == "(integer) 0");
}

TEST_CASE_FIXTURE(ClockFixture,
                  "thousands of keys that fall due at once are gone before it answers") {
  a("DEBUG CLOCK FREEZE");
  for (int i = 0; i < 3000; ++i) a("SET k" + std::to_string(i) + " v PX 50");
  a("DEBUG CLOCK ADVANCE 51");
  CHECK(a("DBSIZE") == "(integer) 0");
}

TEST_CASE_FIXTURE(ClockFixture, "DEBUG CLOCK: who may not, and what is none") {
  CHECK(a("DEBUG CLOCK ADVANCE") == "(error) ERR syntax error");
  CHECK(a("DEBUG CLOCK FREEZE 1") == "(error) ERR syntax error");
  CHECK(a("DEBUG CLOCK ADVANCE -1") == "(error) ERR value is not an integer or out of range");
  CHECK(a("DEBUG CLOCK ADVANCE 253402300800000") ==
        "(error) ERR value is not an integer or out of range");
  CHECK(a("DEBUG CLOCK STOP") == "(error) ERR syntax error");
  a("MULTI");
  a("DEBUG CLOCK FREEZE");
  CHECK(a("EXEC") == "[(error) ERR DEBUG CLOCK is not for transactions]");
  server.config().enable_debug_command = "no";
  CHECK(a("DEBUG CLOCK FREEZE").starts_with("(error) ERR DEBUG command not allowed."));
}
