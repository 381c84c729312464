#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server}, a{&server}, b{&server};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "XADD * follows the clock and never goes back") {
  CHECK(c("XADD s * f v") == "\"1700000000000-0\"");
  CHECK(c("XADD s * f v") == "\"1700000000000-1\"");
  server.AdvanceMs(5);
  CHECK(c("XADD s * f v") == "\"1700000000005-0\"");
  CHECK(c("XADD s 1800000000000-7 f v") == "\"1800000000000-7\"");
  CHECK(c("XADD s * f v") == "\"1800000000000-8\"");
}

TEST_CASE_FIXTURE(Fixture, "an error changes nothing") {
  for (const char* command :
       {"XADD s 0-0 f v", "XADD s x f v", "XADD s 1-1 f", "XADD s MAXLEN -1 * f v",
        "XADD s MAXLEN ~ 1 LIMIT x * f v", "XGROUP CREATE s g x MKSTREAM",
        "XGROUP CREATE s g 0 MKSTREAM ENTRIESREAD -2"}) {
    CHECK(c(command).starts_with("(error) ERR"));
    CHECK(c("EXISTS s") == "(integer) 0");
  }
  c("XADD s 5-1 f v");
  CHECK(c("XADD s 5-1 f v") ==
        "(error) ERR The ID specified in XADD is equal or smaller than the target stream top item");
  CHECK(c("XDEL s 5-1 x").starts_with("(error)"));
  CHECK(c("XLEN s") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture, "XREAD $ means the end as it was when the client began to wait") {
  c("XADD s 1-1 f v");
  CHECK(a("XREAD BLOCK 0 STREAMS s t $ $") == "(blocked)");
  CHECK(b("XREAD BLOCK 0 STREAMS t $") == "(blocked)");
  c("XADD s 2-1 f v");
  CHECK(a.Take() == "[[\"s\", [[\"2-1\", [\"f\", \"v\"]]]]]");
  CHECK(b.Take() == "(blocked)");
  c("XADD t 1-1 g w");
  CHECK(b.Take() == "[[\"t\", [[\"1-1\", [\"g\", \"w\"]]]]]");
}

TEST_CASE_FIXTURE(Fixture, "XREAD times out") {
  CHECK(a("XREAD BLOCK 100 STREAMS s $") == "(blocked)");
  server.AdvanceMs(99);
  CHECK(a.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(a.Take() == "(nil)");
}

TEST_CASE("XREAD in RESP3 is a map, XINFO too") {
  TestServer server;
  TestClient c(&server, 3);
  c("XADD s 1-1 f v");
  CHECK(c("XREAD STREAMS s 0") == "{\"s\" => [[\"1-1\", [\"f\", \"v\"]]]}");
  CHECK(c("XREAD STREAMS s $") == "(nil)");
  CHECK(c("XINFO STREAM s").starts_with("{\"length\" => (integer) 1, "));
}

TEST_CASE_FIXTURE(Fixture, "XREADGROUP serves waiting consumers in order of arrival") {
  c("XGROUP CREATE s g $ MKSTREAM");
  CHECK(a("XREADGROUP GROUP g a COUNT 1 BLOCK 0 STREAMS s >") == "(blocked)");
  CHECK(b("XREADGROUP GROUP g b COUNT 1 BLOCK 0 STREAMS s >") == "(blocked)");
  c("XADD s 1-1 f v");
  CHECK(a.Take() == "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]]]");
  CHECK(b.Take() == "(blocked)");
  c("XADD s 2-1 f v");
  CHECK(b.Take() == "[[\"s\", [[\"2-1\", [\"f\", \"v\"]]]]]");
}

TEST_CASE_FIXTURE(Fixture, "a waiting consumer is told when its group, key or type goes") {
  const char* wait = "XREADGROUP GROUP g a BLOCK 0 STREAMS s >";
  const std::string gone =
      "(error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
  for (const char* command : {"XGROUP DESTROY s g", "DEL s", "RENAME s t", "FLUSHALL"}) {
    c("DEL s t");
    c("XGROUP CREATE s g $ MKSTREAM");
    CHECK(a(wait) == "(blocked)");
    c(command);
    CHECK(a.Take() == gone);
  }
  c("XGROUP CREATE s g $ MKSTREAM");
  CHECK(a(wait) == "(blocked)");
  c("PEXPIRE s 10");
  server.AdvanceMs(20);
  CHECK(a.Take() == gone);
  c("XGROUP CREATE s g $ MKSTREAM");
  CHECK(a(wait) == "(blocked)");
  c("SET s v");
  CHECK(a.Take().starts_with("(error) WRONGTYPE"));
}

TEST_CASE_FIXTURE(Fixture, "seen and active, idle and inactive") {
  c("XGROUP CREATE s g 0 MKSTREAM");
  c("XREADGROUP GROUP g a STREAMS s >");
  auto consumer = [&](int pending, int idle, int inactive) {
    return "[[\"name\", \"a\", \"pending\", (integer) " + std::to_string(pending) +
           ", \"idle\", (integer) " + std::to_string(idle) + ", \"inactive\", (integer) " +
           std::to_string(inactive) + "]]";
  };
  CHECK(c("XINFO CONSUMERS s g") == consumer(0, 0, -1));
  server.AdvanceMs(1000);
  c("XADD s 1-1 f v");
  CHECK(c("XINFO CONSUMERS s g") == consumer(0, 1000, -1));
  c("XREADGROUP GROUP g a STREAMS s >");
  CHECK(c("XINFO CONSUMERS s g") == consumer(1, 0, 0));
  server.AdvanceMs(1000);
  c("XREADGROUP GROUP g a STREAMS s >");
  CHECK(c("XINFO CONSUMERS s g") == consumer(1, 0, 1000));
}

TEST_CASE_FIXTURE(Fixture, "polling an empty stream writes nothing") {
  c("XGROUP CREATE s g 0 MKSTREAM");
  c("XREADGROUP GROUP g a STREAMS s >");
  server.Turn();
  Lsn before = server.store().sealed();
  for (int i = 0; i < 10; ++i) c("XREADGROUP GROUP g a STREAMS s >");
  server.Turn();
  CHECK(server.store().sealed() == before);
}

TEST_CASE_FIXTURE(Fixture, "idle time decides who may claim") {
  c("XADD s 1-1 f v");
  c("XGROUP CREATE s g 0");
  c("XREADGROUP GROUP g a STREAMS s >");
  server.AdvanceMs(5000);
  CHECK(c("XPENDING s g IDLE 5001 - + 10") == "[]");
  CHECK(c("XPENDING s g IDLE 5000 - + 10") == "[[\"1-1\", \"a\", (integer) 5000, (integer) 1]]");
  CHECK(c("XCLAIM s g b 5001 1-1") == "[]");
  CHECK(c("XAUTOCLAIM s g b 5001 0") == "[\"0-0\", [], []]");
  CHECK(c("XAUTOCLAIM s g b 5000 0 JUSTID") == "[\"0-0\", [\"1-1\"], []]");
  CHECK(c("XPENDING s g - + 10") == "[[\"1-1\", \"b\", (integer) 0, (integer) 1]]");
  CHECK(c("XCLAIM s g a 0 1-1 IDLE 300 RETRYCOUNT 4 JUSTID") == "[\"1-1\"]");
  CHECK(c("XPENDING s g - + 10") == "[[\"1-1\", \"a\", (integer) 300, (integer) 4]]");
}

TEST_CASE_FIXTURE(Fixture, "WATCH hears of entries, not of what groups do") {
  c("XADD s 1-1 f v");
  c("XGROUP CREATE s g 0");
  auto broken_by = [&](const std::string& command) {
    a("WATCH s");
    c(command);
    a("MULTI");
    a("PING");
    return a("EXEC") == "(nil)";
  };
  CHECK_FALSE(broken_by("XREADGROUP GROUP g a STREAMS s >"));
  CHECK_FALSE(broken_by("XACK s g 1-1"));
  CHECK_FALSE(broken_by("XGROUP CREATE s h 0"));
  CHECK(broken_by("XADD s 2-1 f v"));
  CHECK_FALSE(broken_by("XTRIM s MAXLEN 5"));
  CHECK(broken_by("XTRIM s MAXLEN 1"));
  CHECK_FALSE(broken_by("XDEL s 9-9"));
  CHECK(broken_by("XDEL s 2-1"));
}

TEST_CASE_FIXTURE(Fixture,
                  "what XREADGROUP NOACK gave a reader that has vanished is given out again") {
  const std::string first = "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]]]";
  c("XGROUP CREATE s g $ MKSTREAM");
  CHECK(a("XREADGROUP GROUP g w NOACK BLOCK 0 STREAMS s >") == "(blocked)");

  SUBCASE("as if it had never been read") {
    c("XADD s 1-1 f v");
    CHECK(c("XINFO GROUPS s").find("\"lag\", (integer) 0") != std::string::npos);
    SUBCASE("by the next that asks") {
      a.Close();
      CHECK(c("XINFO GROUPS s").find("\"lag\", (integer) 1") != std::string::npos);
      CHECK(b("XREADGROUP GROUP g w2 STREAMS s >") == first);
    }
    SUBCASE("by one that waits") {
      CHECK(b("XREADGROUP GROUP g w2 BLOCK 0 STREAMS s >") == "(blocked)");
      a.Close();
      CHECK(b.Take() == first);
    }
    CHECK(c("XPENDING s g - + 10").find("\"w2\"") != std::string::npos);
  }
  SUBCASE("to whoever claims, when others have read on") {
    c("XADD s 1-1 f v");
    c("XADD s 2-1 f v");
    CHECK(b("XREADGROUP GROUP g w2 NOACK STREAMS s >").find("2-1") != std::string::npos);
    a.Close();
    CHECK(b("XREADGROUP GROUP g w2 CLAIM 0 STREAMS s >").find("1-1") != std::string::npos);
    CHECK(c("XPENDING s g").starts_with("[(integer) 1,"));
  }
  SUBCASE("first, under a policy") {
    c("XGROUP CFGSET s g VISIBILITY 1000");
    c("XADD s 1-1 f v");
    c("XADD s 2-1 f v");
    a.Close();
    CHECK(b("XREADGROUP GROUP g w2 COUNT 1 STREAMS s >") == first);
  }
  SUBCASE("not at all, when its group or the entry is gone") {
    c("XADD s 1-1 f v");
    c("XADD s 2-1 f v");
    b("XREADGROUP GROUP g w2 NOACK STREAMS s >");
    c("XDEL s 1-1");
    a.Close();
    CHECK(c("XPENDING s g").starts_with("[(integer) 0,"));
  }
}
