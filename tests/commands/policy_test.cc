#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server}, a{&server}, b{&server};

  // One counter of XINFO POLICY, or a setting.
  std::string Info(std::string_view name) {
    TestClient reader(&server, 3);
    std::string reply = reader("XINFO POLICY s g");
    std::string start = "\"" + std::string(name) + "\" => ";
    size_t at = reply.find(start);
    if (at == std::string::npos) return reply;
    at += start.size();
    size_t end = reply.find(", \"", at);
    std::string value = reply.substr(at, end == std::string::npos ? end : end - at);
    if (value.starts_with("(integer) ")) value = value.substr(10);
    return value.ends_with("}") && value[0] != '{' ? value.substr(0, value.size() - 1) : value;
  }
  void Add(int n, const char* fields = "f v") {
    for (int i = 1; i <= n; ++i) {
      c("XADD s " + std::to_string(++last) + "-1 " + std::string(fields));
    }
  }
  std::string Entry(int id, const char* fields = "\"f\", \"v\"") {
    return "[\"" + std::to_string(id) + "-1\", [" + fields + "]]";
  }
  std::string Read(std::string_view more = "") {
    return c("XREADGROUP GROUP g c " + std::string(more) + " STREAMS s >");
  }
  static std::string Entries(const std::string& entries) { return "[[\"s\", [" + entries + "]]]"; }
  int last = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is not acknowledged in time comes back to a plain reader") {
  c("XGROUP CREATE s g $ MKSTREAM");
  CHECK(c("XGROUP CFGSET s g VISIBILITY 1000 BACKOFF 2 100 500 MAXDELIVERIES 3 DEADLETTER d") ==
        "OK");
  Add(1);
  CHECK(Read() == Entries(Entry(1)));
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  server.AdvanceMs(1099);
  CHECK(a.Take() == "(blocked)");
  CHECK(Info("waiting") == "1");
  CHECK(Info("in-flight") == "0");
  server.AdvanceMs(1);
  CHECK(a.Take() == Entries(Entry(1)));
  CHECK(Info("in-flight") == "1");
  server.AdvanceMs(1000);
  CHECK(Info("waiting") == "1");
  server.AdvanceMs(500);
  CHECK(Info("ready") == "1");
  CHECK(Read() == Entries(Entry(1)));
  CHECK(Info("redelivered") == "2");
  server.AdvanceMs(999);
  CHECK(c("EXISTS d") == "(integer) 0");
  server.AdvanceMs(1);
  CHECK(c("XPENDING s g") == "[(integer) 0, (nil), (nil), (nil)]");
  CHECK(Info("dead-lettered") == "1");
  std::string letter = c("XRANGE d - +");
  CHECK(letter.find(
            "[\"f\", \"v\", \"dlq-stream\", \"s\", \"dlq-group\", \"g\", \"dlq-id\", \"1-1\", "
            "\"dlq-reason\", \"max-deliveries\", \"dlq-deliveries\", \"3\"]") != std::string::npos);
  CHECK_FALSE(Cursor(&server.store().env(), Table::kDue).First());
  CHECK_FALSE(Cursor(&server.store().env(), Table::kTimer).First());
}

TEST_CASE_FIXTURE(Fixture, "an XACK in time leaves nothing behind") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g VISIBILITY 1000");
  Add(3);
  Read();
  CHECK(c("XACK s g 1-1 2-1 3-1") == "(integer) 3");
  server.AdvanceMs(5000);
  CHECK(Read() == "(nil)");
  CHECK_FALSE(Cursor(&server.store().env(), Table::kDue).First());
}

TEST_CASE_FIXTURE(Fixture, "XNACK waits as the mode and the policy have it") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g BACKOFF 1 100 MAXDELIVERIES 2 DEADLETTER d");
  Add(2);
  Read("COUNT 1");
  CHECK(c("XNACK s g FAIL IDS 1 1-1") == "(integer) 1");
  CHECK(Read() == Entries(Entry(2)));
  server.AdvanceMs(100);
  CHECK(Read() == Entries(Entry(1)));
  CHECK(c("XNACK s g SILENT IDS 1 1-1") == "(integer) 1");
  CHECK(Read() == Entries(Entry(1)));
  CHECK(c("XNACK s g SILENT IDS 1 1-1 DELAY 50") == "(integer) 1");
  CHECK(Read() == "(nil)");
  server.AdvanceMs(50);
  CHECK(Read() == Entries(Entry(1)));
  CHECK(c("XNACK s g FAIL IDS 1 1-1") == "(integer) 1");
  CHECK(c("XLEN d") == "(integer) 1");
  CHECK(c("XNACK s g FATAL IDS 1 2-1") == "(integer) 1");
  CHECK(c("XRANGE d - +").find("\"rejected\", \"dlq-deliveries\", \"1\"") != std::string::npos);
  CHECK(c("XPENDING s g") == "[(integer) 0, (nil), (nil), (nil)]");
}

TEST_CASE_FIXTURE(Fixture,
                  "without a place for dead letters an entry stays, marked, and can be redriven") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("SET d x");
  c("XGROUP CFGSET s g DEADLETTER d");
  Add(1);
  Read();
  c("XNACK s g FATAL IDS 1 1-1");
  CHECK(Info("dead") == "1");
  CHECK(c("XPENDING s g - + 9") ==
        "[[\"1-1\", \"c\", (integer) 0, (integer) 9223372036854775807]]");
  CHECK(Read() == "(nil)");
  CHECK(Read("CLAIM 0") == "(nil)");
  CHECK(c("XAUTOCLAIM s g c 0 0 JUSTID") == "[\"0-0\", [], []]");
  CHECK(c("XNACK s g SILENT IDS 1 1-1 RETRYCOUNT 0 FORCE") == "(integer) 1");
  CHECK(Info("dead") == "0");
  CHECK(Read() == Entries(Entry(1)));
}

TEST_CASE_FIXTURE(Fixture,
                  "MAXPENDING gives out no new entries at the cap, and wakes when there is room") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g MAXPENDING 2");
  Add(3);
  CHECK(Read() == Entries(Entry(1) + ", " + Entry(2)));
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  c("XACK s g 2-1");
  CHECK(a.Take() == Entries(Entry(3)));
  c("XNACK s g FAIL IDS 1 1-1");
  CHECK(Read() == Entries(Entry(1)));
}

TEST_CASE_FIXTURE(Fixture, "ORDERBY has one entry of each value in flight") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g ORDERBY k");
  c("XADD s 1-1 k a");
  c("XADD s 2-1 k a");
  c("XADD s 3-1 k b");
  c("XADD s 4-1 x y");
  c("XADD s 5-1 k a");
  CHECK(Read() == Entries(Entry(1, "\"k\", \"a\"") + ", " + Entry(3, "\"k\", \"b\"") + ", " +
                          Entry(4, "\"x\", \"y\"")));
  CHECK(Info("parked") == "2");
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  c("XNACK s g FAIL IDS 1 1-1");
  CHECK(a.Take() == Entries(Entry(1, "\"k\", \"a\"")));
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  c("XACK s g 3-1");
  CHECK(a.Take() == "(blocked)");
  c("XDEL s 2-1");
  c("XACK s g 1-1");
  CHECK(a.Take() == Entries(Entry(5, "\"k\", \"a\"")));
  CHECK(Info("parked") == "0");
  c("XACK s g 4-1 5-1");
  CHECK_FALSE(Cursor(&server.store().env(), Table::kOrder).First());
  CHECK_FALSE(Cursor(&server.store().env(), Table::kDue).First());
}

TEST_CASE_FIXTURE(Fixture, "ORDERBY, and a cursor that is set back") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g ORDERBY k");
  Add(2, "k a");
  std::string first = Entry(1, "\"k\", \"a\""), second = Entry(2, "\"k\", \"a\"");
  CHECK(Read() == Entries(first));
  SUBCASE("what is dead stays where it is") {
    c("XNACK s g FATAL IDS 1 1-1");
    CHECK(Read() == Entries(second));
    c("XGROUP SETID s g 0");
    CHECK(Read() == Entries(second));
    CHECK(Info("dead") == "1");
    CHECK(Info("parked") == "0");
  }
  SUBCASE("what is in flight is read once more, by one who does not acknowledge") {
    c("XGROUP SETID s g 0");
    CHECK(Read("COUNT 1 NOACK") == Entries(first));
    CHECK(Read() == "(nil)");
  }
  c("XACK s g 1-1 2-1");
  Read("NOACK");
  CHECK_FALSE(Cursor(&server.store().env(), Table::kOrder).First());
  CHECK_FALSE(Cursor(&server.store().env(), Table::kDue).First());
}

TEST_CASE_FIXTURE(Fixture, "ORDERBY, and entries that are taken ahead of their turn") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g ORDERBY k");
  Add(3, "k a");
  std::string first = Entry(1, "\"k\", \"a\""), second = Entry(2, "\"k\", \"a\"");
  SUBCASE("an older one that waits is not let go by a younger one that waits no more") {
    c("XNACK s g SILENT IDS 1 2-1 FORCE");
    CHECK(Read() == Entries(second));
    CHECK(Info("parked") == "2");
    c("XNACK s g SILENT IDS 1 3-1 FORCE");
    CHECK(Read() == "(nil)");
    CHECK(Info("parked") == "2");
  }
  SUBCASE("who has claimed one keeps it when its turn has come") {
    CHECK(Read("COUNT 1") == Entries(first));
    c("XNACK s g SILENT IDS 1 2-1 FORCE");
    CHECK(Read() == "(nil)");
    CHECK(Info("parked") == "2");
    CHECK(c("XCLAIM s g x 0 2-1 JUSTID") == "[\"2-1\"]");
    CHECK(c("XACK s g 1-1") == "(integer) 1");
    CHECK(Read() == "(nil)");
    CHECK(Info("in-flight") == "1");
  }
}

TEST_CASE_FIXTURE(Fixture, "a reader that waits is told when the cursor is set back") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g MAXPENDING 10");
  Add(1);
  Read("NOACK");
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  c("XGROUP SETID s g 0");
  CHECK(a.Take() == Entries(Entry(1)));
}

TEST_CASE_FIXTURE(Fixture, "a reader that waits to claim sees what XCLAIM has given to somebody") {
  c("XGROUP CREATE s g $ MKSTREAM");
  Add(1);
  Read("NOACK");
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 CLAIM 100 STREAMS s >") == "(blocked)");
  c("XCLAIM s g b 0 1-1 FORCE JUSTID");
  server.AdvanceMs(99);
  CHECK(a.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(a.Take() == "[[\"s\", [[\"1-1\", [\"f\", \"v\"], (integer) 100, (integer) 1]]]]");
}

TEST_CASE_FIXTURE(Fixture, "FILTER leaves out what does not match") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g FILTER type 2 order.* refund FILTER country 1 d?");
  c("XADD s 1-1 type order.new country de");
  c("XADD s 2-1 type order.new country fr");
  c("XADD s 3-1 type refund country dk");
  c("XADD s 4-1 country dk");
  CHECK(Read() == Entries(Entry(1, "\"type\", \"order.new\", \"country\", \"de\"") + ", " +
                          Entry(3, "\"type\", \"refund\", \"country\", \"dk\"")));
  CHECK(Info("filtered") == "2");
  CHECK(Info("ready") == "0");
  CHECK(c("XDELEX s ACKED IDS 1 2-1") == "[(integer) 1]");
  c("XGROUP CFGSET s g FILTER country 0");
  c("XADD s 5-1 type refund");
  CHECK(Read() == Entries(Entry(5, "\"type\", \"refund\"")));
}

TEST_CASE_FIXTURE(Fixture, "RATE is a bucket that starts full and fills all the time") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g RATE 2 1000 BURST 3");
  Add(6);
  CHECK(Read() == Entries(Entry(1) + ", " + Entry(2) + ", " + Entry(3)));
  CHECK(Read() == "(nil)");
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  server.AdvanceMs(499);
  CHECK(a.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(a.Take() == Entries(Entry(4)));
  CHECK(Info("throttled-ms") == "500");
  server.AdvanceMs(10000);
  CHECK(Read() == Entries(Entry(5) + ", " + Entry(6)));
}

TEST_CASE_FIXTURE(Fixture,
                  "a consumer that is deleted under a policy leaves its entries to the others") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g MAXPENDING 10");
  Add(2);
  c("XREADGROUP GROUP g x STREAMS s >");
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == "(blocked)");
  CHECK(c("XGROUP DELCONSUMER s g x") == "(integer) 2");
  CHECK(a.Take() == Entries(Entry(1) + ", " + Entry(2)));
}

TEST_CASE_FIXTURE(Fixture, "a policy goes where its key goes") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g VISIBILITY 100");
  Add(1);
  Read();
  c("COPY s t");
  c("RENAME s u");
  server.AdvanceMs(100);
  CHECK(c("XREADGROUP GROUP g y STREAMS u >") == "[[\"u\", [" + Entry(1) + "]]]");
  CHECK(c("XREADGROUP GROUP g y STREAMS t >") == "[[\"t\", [" + Entry(1) + "]]]");
  c("DEL t u");
  server.AdvanceMs(1000);
  CHECK_FALSE(Cursor(&server.store().env(), Table::kTimer).First());
}

TEST_CASE_FIXTURE(Fixture, "a policy that is taken off leaves Redis") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g VISIBILITY 100 ORDERBY k BACKOFF 1 5 MAXDELIVERIES 3 DEADLETTER d RATE 1 1");
  c("XADD s 1-1 k a");
  c("XADD s 2-1 k a");
  Read("COUNT 1");
  CHECK(Info("parked") == "0");
  server.AdvanceMs(1);
  Read();
  CHECK(Info("parked") == "1");
  c("XGROUP CFGSET s g VISIBILITY 0 ORDERBY '' BACKOFF 0 MAXDELIVERIES 0 DEADLETTER '' RATE 0 0");
  CHECK(Info("visibility") == "(nil)");
  CHECK(Read() == Entries(Entry(2, "\"k\", \"a\"")));
  server.AdvanceMs(1000);
  CHECK(Read() == "(nil)");
}
