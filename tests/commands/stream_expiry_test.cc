// Entries that expire, with a clock that is moved by hand.
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server}, other{&server};

  std::string Policy(std::string_view name) {
    TestClient reader(&server, 3);
    std::string reply = reader("XINFO POLICY s g");
    std::string start = "\"" + std::string(name) + "\" => (integer) ";
    size_t at = reply.find(start);
    if (at == std::string::npos) return reply;
    at += start.size();
    return reply.substr(at, reply.find_first_not_of("0123456789", at) - at);
  }
  std::string Add(std::string_view options, std::string_view fields = "f v") {
    std::string id = c("XADD s " + std::string(options) + " * " + std::string(fields));
    return id.size() > 2 ? id.substr(1, id.size() - 2) : id;
  }
  // What stands in a field of all of d's entries.
  std::string Letters(std::string_view field) {
    std::string reply = c("XRANGE d - +"), found;
    std::string start = "\"" + std::string(field) + "\", \"";
    for (size_t at = 0; (at = reply.find(start, at)) != std::string::npos;) {
      at += start.size();
      found += (found.empty() ? "" : " ") + reply.substr(at, reply.find('"', at) - at);
    }
    return found;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an entry exists up to its moment and not in it") {
  std::string id = Add("PX 1000");
  CHECK(c("XLEN s") == "(integer) 1");
  server.AdvanceQuietlyMs(999);
  CHECK(c("XLEN s") == "(integer) 1");
  CHECK(c("XRANGE s - +") == "[[\"" + id + "\", [\"f\", \"v\"]]]");
  server.AdvanceQuietlyMs(1);
  SUBCASE("XRANGE") { CHECK(c("XRANGE s - +") == "[]"); }
  SUBCASE("XREVRANGE") { CHECK(c("XREVRANGE s + -") == "[]"); }
  SUBCASE("XREAD") { CHECK(c("XREAD STREAMS s 0") == "(nil)"); }
  SUBCASE("XREAD of the last") { CHECK(c("XREAD STREAMS s +") == "(nil)"); }
  SUBCASE("XDEL") { CHECK(c("XDEL s " + id) == "(integer) 0"); }
  SUBCASE("XDELEX") { CHECK(c("XDELEX s IDS 1 " + id) == "[(integer) -1]"); }
  SUBCASE("XTRIM") { CHECK(c("XTRIM s MAXLEN 0") == "(integer) 0"); }
  CHECK(c("XLEN s") == "(integer) 0");
  CHECK(c("EXISTS s") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture, "it goes by itself, and its rows with it") {
  Add("EX 1");
  std::string kept = Add("");
  server.AdvanceMs(1000);
  Cursor rows(&server.store().env(), Table::kStream);
  CHECK(rows.First());
  CHECK_FALSE(rows.Next());
  CHECK_FALSE(Cursor(&server.store().env(), Table::kExpiring).First());
  CHECK(c("XRANGE s - +") == "[[\"" + kept + "\", [\"f\", \"v\"]]]");
}

TEST_CASE_FIXTURE(Fixture, "moments of all kinds") {
  int64_t s = server.now_ms() / 1000;
  Add("EX 10");
  Add("PX 10000");
  Add("EXAT " + std::to_string(s + 10));
  Add("PXAT " + std::to_string(s * 1000 + 10000));
  CHECK(c("XLEN s") == "(integer) 4");
  server.AdvanceQuietlyMs(9999);
  CHECK(c("XLEN s") == "(integer) 4");
  server.AdvanceQuietlyMs(1000);
  CHECK(c("XLEN s") == "(integer) 0");
  // Of the past: it gets an id and is gone.
  CHECK(Add("PXAT 1").find('-') != std::string::npos);
  CHECK(c("XLEN s") == "(integer) 0");
  CHECK(Add("EXAT 1").find('-') != std::string::npos);
  CHECK(c("XLEN s") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "the ends of a stream are those of what exists") {
  std::string a = Add("PX 10"), b = Add("PX 20"), d = Add("PX 30"), e = Add("PX 10");
  TestClient three(&server, 3);
  auto info = [&](const char* what) {
    std::string reply = three("XINFO STREAM s");
    size_t at = reply.find(what);
    return reply.substr(at, reply.find(", \"", at + 1) - at);
  };
  server.AdvanceQuietlyMs(10);
  CHECK(info("recorded-first-entry-id").find(b) != std::string::npos);
  CHECK(info("first-entry").find(b) != std::string::npos);
  CHECK(info("last-entry").find(d) != std::string::npos);
  CHECK(info("max-deleted-entry-id").find(e) != std::string::npos);
  CHECK(info("last-generated-id").find(e) != std::string::npos);
  CHECK(info("length\" => (integer) 2") != "");
  server.AdvanceQuietlyMs(20);
  CHECK(three("XINFO STREAM s").find("\"first-entry\" => (nil)") != std::string::npos);
  CHECK(c("XLEN s") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "without a policy it is deleted as XDEL deletes: references stay") {
  c("XGROUP CREATE s g $ MKSTREAM");
  std::string id = Add("PX 100");
  c("XREADGROUP GROUP g c STREAMS s >");
  server.AdvanceQuietlyMs(100);
  CHECK(c("XREADGROUP GROUP g c STREAMS s 0") == "[[\"s\", [[\"" + id + "\", (nil)]]]]");
  CHECK(c("XPENDING s g").starts_with("[(integer) 1"));
  SUBCASE("XAUTOCLAIM") { CHECK(c("XAUTOCLAIM s g c 0 0") == "[\"0-0\", [], [\"" + id + "\"]]"); }
  SUBCASE("XCLAIM") { CHECK(c("XCLAIM s g c 0 " + id) == "[]"); }
  CHECK(c("XPENDING s g").starts_with("[(integer) 0"));
}

TEST_CASE_FIXTURE(Fixture, "what is pending or unread becomes a dead letter, once for each group") {
  for (const char* group : {"g", "h", "plain"}) {
    c("XGROUP CREATE s " + std::string(group) + " $ MKSTREAM");
  }
  c("XGROUP CFGSET s g DEADLETTER d");
  c("XGROUP CFGSET s h DEADLETTER d");
  std::string pending = Add("PX 100"), done = Add("PX 100"), unread = Add("PX 100"),
              stays = Add("");
  c("XREADGROUP GROUP g c COUNT 2 STREAMS s >");
  c("XACK s g " + done);
  server.AdvanceMs(99);
  CHECK(c("EXISTS d") == "(integer) 0");
  server.AdvanceMs(1);
  CHECK(Letters("dlq-id") == pending + " " + pending + " " + done + " " + unread + " " + unread);
  CHECK(Letters("dlq-group") == "g h h g h");
  CHECK(Letters("dlq-reason") == "expired expired expired expired expired");
  CHECK(Letters("dlq-deliveries") == "1 0 0 0 0");
  CHECK(Policy("expired") == "2");
  CHECK(Policy("dead-lettered") == "2");
  CHECK(c("XPENDING s g").starts_with("[(integer) 0"));
  CHECK(c("XREADGROUP GROUP g c STREAMS s >") ==
        "[[\"s\", [[\"" + stays + "\", [\"f\", \"v\"]]]]]");
}

TEST_CASE_FIXTURE(Fixture, "a command at the moment finds it dead and not put away yet") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g VISIBILITY 50 DEADLETTER d");
  std::string id = Add("PX 100");
  bool pending = true;
  SUBCASE("unread, behind it one that stays") {
    pending = false;
    std::string kept = Add("");
    server.AdvanceQuietlyMs(100);
    CHECK(c("XREADGROUP GROUP g c STREAMS s >") ==
          "[[\"s\", [[\"" + kept + "\", [\"f\", \"v\"]]]]]");
  }
  SUBCASE("unread, alone") {
    pending = false;
    server.AdvanceQuietlyMs(100);
    CHECK(c("XREADGROUP GROUP g c STREAMS s >") == "(nil)");
  }
  SUBCASE("unread, between others") {
    pending = false;
    c("XDEL s " + id);
    std::string first = Add("");
    id = Add("PX 100");
    std::string last = Add("");
    server.AdvanceQuietlyMs(100);
    CHECK(c("XREADGROUP GROUP g c STREAMS s >") ==
          "[[\"s\", [[\"" + first + "\", [\"f\", \"v\"]], [\"" + last + "\", [\"f\", \"v\"]]]]]");
    c("XACK s g " + first + " " + last);
  }
  SUBCASE("XCLAIM") {
    c("XREADGROUP GROUP g c STREAMS s >");
    server.AdvanceQuietlyMs(100);
    CHECK(c("XCLAIM s g c 0 " + id) == "[]");
  }
  SUBCASE("XAUTOCLAIM") {
    c("XREADGROUP GROUP g c STREAMS s >");
    server.AdvanceQuietlyMs(100);
    CHECK(c("XAUTOCLAIM s g c 0 0") == "[\"0-0\", [], [\"" + id + "\"]]");
  }
  SUBCASE("overdue") {
    c("XREADGROUP GROUP g c STREAMS s >");
    server.AdvanceMs(60);
    server.AdvanceQuietlyMs(40);
    CHECK(c("XREADGROUP GROUP g c STREAMS s >") == "(nil)");
  }
  SUBCASE("XNACK FATAL") {
    c("XREADGROUP GROUP g c STREAMS s >");
    server.AdvanceQuietlyMs(100);
    CHECK(c("XNACK s g FATAL IDS 1 " + id) == "(integer) 1");
  }
  server.Turn();
  CHECK(Letters("dlq-id") == id);
  CHECK(Letters("dlq-reason") == "expired");
  CHECK(Letters("dlq-deliveries") == (pending ? "1" : "0"));
  CHECK(Policy("expired") == "1");
}

TEST_CASE_FIXTURE(Fixture, "acknowledged before it is put away, it is no dead letter") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g DEADLETTER d");
  std::string id = Add("PX 100");
  c("XREADGROUP GROUP g c STREAMS s >");
  server.AdvanceQuietlyMs(100);
  CHECK(c("XACK s g " + id) == "(integer) 1");
  server.Turn();
  CHECK(c("EXISTS d") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture,
                  "what a filter leaves out is no dead letter; what waits for its turn is") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g DEADLETTER d ORDERBY k FILTER t 1 yes");
  Add("", "k a t yes");
  std::string behind = Add("PX 100", "k a t yes"), out = Add("PX 100", "k a t no"),
              unread_out = Add("PX 100", "k b t no");
  CHECK(c("XREADGROUP GROUP g c COUNT 1 STREAMS s >").find("yes") != std::string::npos);
  CHECK(c("XREADGROUP GROUP g c COUNT 1 STREAMS s >") == "(nil)");
  SUBCASE("by itself") { server.AdvanceMs(100); }
  SUBCASE("when those before it are done") {
    server.AdvanceQuietlyMs(100);
    std::string first = c("XRANGE s - +");
    c("XACK s g " + first.substr(3, first.find('"', 3) - 3));
    CHECK(c("XREADGROUP GROUP g c STREAMS s >") == "(nil)");
    server.Turn();
  }
  CHECK(Letters("dlq-id") == behind);
  CHECK(Policy("expired") == "1");
  CHECK(Policy("parked") == "0");
}

TEST_CASE_FIXTURE(Fixture, "dead letters without a place are lost when their time is over") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g DEADLETTER d");
  c("SET d text");
  Add("PX 100");
  server.AdvanceMs(100);
  CHECK(Policy("expired") == "1");
  CHECK(Policy("dead-lettered") == "0");
  CHECK(c("XLEN s") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "ten thousand of one moment are not seen by anyone, and go in slices") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g DEADLETTER d");
  c("XGROUP CREATE s plain $");
  std::string at = std::to_string(server.now_ms() + 1000);
  for (int i = 0; i < 10000; ++i) Add("PXAT " + at);
  std::string kept = Add("");
  std::string one = "[\"" + kept + "\", [\"f\", \"v\"]]";
  server.AdvanceQuietlyMs(1000);
  CHECK(c("XLEN s") == "(integer) 1");
  CHECK(c("XRANGE s - +") == "[" + one + "]");
  CHECK(c("XREVRANGE s + - COUNT 5") == "[" + one + "]");
  CHECK(c("XREAD STREAMS s 0") == "[[\"s\", [" + one + "]]]");
  CHECK(c("XREADGROUP GROUP plain c STREAMS s >") == "[[\"s\", [" + one + "]]]");
  // What has expired stands in the group's way for a while.
  CHECK(c("XREADGROUP GROUP g c STREAMS s >") == "(nil)");
  CHECK(other("XREADGROUP GROUP g c BLOCK 0 STREAMS s >") == "(blocked)");
  for (int i = 0; i < 10000 && other.Take() == "(blocked)"; ++i) server.Turn();
  for (int i = 0; i < 10000 && Policy("expired") != "10000"; ++i) server.Turn();
  CHECK(c("XLEN d") == "(integer) 10000");
  CHECK(Policy("dead-lettered") == "10000");
  CHECK(c("XLEN s") == "(integer) 1");
  server.Turn();
  CHECK_FALSE(server.store().keys().NextMoment(Keyspace::Moment::kTimer).has_value());
}

TEST_CASE_FIXTURE(Fixture, "trimming counts what exists and leaves what has to be put away") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g DEADLETTER d");
  std::string a = Add("PX 100"), b = Add(""), e = Add("PX 100"), f = Add("PX 500"), h = Add("");
  server.AdvanceQuietlyMs(100);
  CHECK(c("XTRIM s MAXLEN 1") == "(integer) 2");
  CHECK(c("XRANGE s - +") == "[[\"" + h + "\", [\"f\", \"v\"]]]");
  server.AdvanceMs(500);
  CHECK(Letters("dlq-id") == a + " " + e);
  CHECK_FALSE(Cursor(&server.store().env(), Table::kExpiring).First());
}

TEST_CASE_FIXTURE(Fixture, "a large trim leaves no dead letters behind") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g DEADLETTER d");
  for (int i = 0; i < 3000; ++i) Add(i % 2 ? "PX 100" : "PX 200");
  SUBCASE("all") { CHECK(c("XTRIM s MAXLEN 0") == "(integer) 3000"); }
  SUBCASE("most") { CHECK(c("XTRIM s MAXLEN 1") == "(integer) 2999"); }
  c("XTRIM s MAXLEN 0");
  std::string last = Add("PX 150");
  CHECK(c("XLEN s") == "(integer) 1");
  server.AdvanceQuietlyMs(149);
  CHECK(c("XLEN s") == "(integer) 1");
  server.AdvanceQuietlyMs(51);
  CHECK(c("XLEN s") == "(integer) 0");
  for (int i = 0; i < 20; ++i) server.Turn();
  CHECK(Letters("dlq-id") == last);
  CHECK_FALSE(Cursor(&server.store().env(), Table::kExpiring).First());
}

TEST_CASE_FIXTURE(Fixture, "ids that come again meet no moment of the first") {
  for (int i = 0; i < 3000; ++i) Add("PX 100");
  c("XTRIM s MAXLEN 0");
  CHECK(c("XSETID s 0-1") == "OK");
  Add("PX 500");
  server.AdvanceMs(100);
  CHECK(c("XLEN s") == "(integer) 1");
  server.AdvanceMs(400);
  CHECK(c("XLEN s") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "deleted ones take their moments with them") {
  std::string a = Add("PX 100"), b = Add("PX 100");
  CHECK(c("XDEL s " + a) == "(integer) 1");
  server.AdvanceQuietlyMs(100);
  CHECK(c("XLEN s") == "(integer) 0");
  server.Turn();
  CHECK_FALSE(Cursor(&server.store().env(), Table::kExpiring).First());
  CHECK_FALSE(server.store().keys().NextMoment(Keyspace::Moment::kTimer).has_value());
}

TEST_CASE_FIXTURE(Fixture, "COPY, RENAME and MOVE take moments along") {
  Add("PX 100");
  c("COPY s t");
  c("RENAME s u");
  c("COPY u m");
  c("MOVE m 1");
  other("SELECT 1");
  CHECK(other("XLEN m") == "(integer) 1");
  SUBCASE("looked at") { server.AdvanceQuietlyMs(100); }
  SUBCASE("by themselves") { server.AdvanceMs(100); }
  CHECK(c("XLEN t") == "(integer) 0");
  CHECK(c("XLEN u") == "(integer) 0");
  CHECK(other("XLEN m") == "(integer) 0");
  server.Turn();
  CHECK_FALSE(Cursor(&server.store().env(), Table::kExpiring).First());
}

TEST_CASE_FIXTURE(Fixture, "DEL drops moments") {
  Add("PX 100");
  c("DEL s");
  server.Turn();
  CHECK_FALSE(Cursor(&server.store().env(), Table::kExpiring).First());
  CHECK_FALSE(server.store().keys().NextMoment(Keyspace::Moment::kTimer).has_value());
}

TEST_CASE_FIXTURE(Fixture, "a clock that goes back hides nothing that comes now") {
  Add("PX 100");
  server.AdvanceMs(100);
  server.clock().AdvanceMs(-5000);
  server.engine().BeginTurn();
  Add("PX 100");
  CHECK(c("XLEN s") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture,
                  "a blocked reader is not given what has expired; one xdel is announced") {
  server.config().notify_keyspace_events = "KEA";
  other("SUBSCRIBE __keyspace@0__:s");
  other.Take();
  CHECK(Add("PX 100 MAXLEN 5") != "");
  CHECK(other.Take().find("xadd") != std::string::npos);
  Add("PX 100");
  other.Take();
  server.AdvanceMs(100);
  CHECK(other.Take() == "[\"message\", \"__keyspace@0__:s\", \"xdel\"]");
  c("XREAD BLOCK 0 STREAMS s $");
  TestClient adder(&server);
  adder("XADD s PXAT 1 * f v");
  CHECK(c.Take() == "(blocked)");
}

TEST_CASE_FIXTURE(Fixture, "who watches hears of it") {
  Add("PX 100");
  c("WATCH s");
  server.AdvanceMs(100);
  c("MULTI");
  c("XLEN s");
  CHECK(c("EXEC") == "(nil)");
}
