#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server}, a{&server}, b{&server};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "a waiting CLAIM wakes in the millisecond in which an entry is idle enough") {
  c("XADD s 1-1 f v");
  c("XADD s 2-1 f v");
  c("XGROUP CREATE s g 0");
  c("XREADGROUP GROUP g x COUNT 1 STREAMS s >");
  server.AdvanceMs(10);
  c("XREADGROUP GROUP g x STREAMS s >");
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 CLAIM 100 STREAMS s >") == "(blocked)");
  CHECK(b("XREADGROUP GROUP g b BLOCK 0 CLAIM 100 STREAMS s >") == "(blocked)");
  server.AdvanceMs(89);
  CHECK(a.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(a.Take() == "[[\"s\", [[\"1-1\", [\"f\", \"v\"], (integer) 100, (integer) 1]]]]");
  CHECK(b.Take() == "(blocked)");
  server.AdvanceMs(9);
  CHECK(b.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(b.Take() == "[[\"s\", [[\"2-1\", [\"f\", \"v\"], (integer) 100, (integer) 1]]]]");
}

TEST_CASE_FIXTURE(
    Fixture, "a waiting CLAIM does not stumble over what exists no more, nor ask without end") {
  c("XADD s 1-1 f v");
  c("XADD s 2-1 f v");
  c("XGROUP CREATE s g 0");
  c("XREADGROUP GROUP g x STREAMS s >");
  c("XDEL s 1-1");
  server.AdvanceMs(50);
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 CLAIM 10 STREAMS s >").starts_with("[[\"s\", [[\"2-1\""));
  CHECK(a("XREADGROUP GROUP g a BLOCK 0 CLAIM 1000 STREAMS s >") == "(blocked)");
  server.Turn();
  CHECK(server.engine().NextWakeUs() == 950 * 1000);  // when 1-1 would be idle enough
  c("XACK s g 2-1");
  server.AdvanceMs(1000);
  CHECK(a.Take() == "(blocked)");
  CHECK(server.engine().NextWakeUs() != 0);
}

TEST_CASE_FIXTURE(Fixture, "a group that needs no queues keeps none, in the state of before") {
  c("XADD s 1-1 f v");
  c("XGROUP CREATE s g 0");
  c("XREADGROUP GROUP g x STREAMS s >");
  auto due = [&] { return Cursor(&server.store().env(), Table::kDue).First(); };
  CHECK_FALSE(due());
  c("XREADGROUP GROUP g x CLAIM 1000 STREAMS s >");
  CHECK(due());
  c("XACK s g 1-1");
  CHECK_FALSE(due());
  c("XADD s 2-1 f v");
  c("XREADGROUP GROUP g x STREAMS s >");
  c("XNACK s g FAIL IDS 1 2-1 DELAY 100");
  CHECK(due());
  c("XGROUP DESTROY s g");
  CHECK_FALSE(due());
}

TEST_CASE_FIXTURE(
    Fixture,
    "a delayed entry is claimable in the millisecond that was said, wherever its key went") {
  c("XADD s 1-1 f v");
  c("XGROUP CREATE s g 0");
  c("XREADGROUP GROUP g x STREAMS s >");
  c("XNACK s g FAIL IDS 1 1-1 DELAY 100");
  c("COPY s t");
  c("RENAME s u");
  server.AdvanceMs(99);
  CHECK(c("XAUTOCLAIM u g y 0 0 JUSTID") == "[\"0-0\", [], []]");
  server.AdvanceMs(1);
  CHECK(c("XAUTOCLAIM u g y 0 0 JUSTID") == "[\"0-0\", [\"1-1\"], []]");
  CHECK(c("XAUTOCLAIM t g y 0 0 JUSTID") == "[\"0-0\", [\"1-1\"], []]");
  CHECK_FALSE(Cursor(&server.store().env(), Table::kDue).First());
  CHECK_FALSE(Cursor(&server.store().env(), Table::kTimer).First());
}

TEST_CASE_FIXTURE(
    Fixture, "messages are known again for as long as was said, then forgotten without a trace") {
  c("XADD s * f v");
  c("XCFGSET s IDMP-DURATION 10 IDMP-MAXSIZE 3");
  std::string first = c("XADD s IDMP p 1 * f v");
  server.AdvanceMs(5000);
  std::string second = c("XADD s IDMP p 2 * f v");
  server.AdvanceMs(4999);
  CHECK(c("XADD s IDMP p 1 * f v") == first);
  server.AdvanceQuietlyMs(1);
  CHECK(c("XADD s IDMP p 1 * f v") != first);
  CHECK(c("XADD s IDMP p 2 * f v") == second);
  server.AdvanceMs(20000);
  CHECK_FALSE(Cursor(&server.store().env(), Table::kIdempotent).First());
  CHECK_FALSE(Cursor(&server.store().env(), Table::kTimer).First());
  CHECK(c("XINFO STREAM s").find("\"pids-tracked\", (integer) 0, \"iids-tracked\", (integer) 0") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "producers and messages may have names of any length") {
  std::string pid(5000, 'p'), iid(3000, 'i');
  std::string first = c.Call({"XADD", "s", "IDMP", pid, iid, "*", "f", "v"});
  std::string other = c.Call({"XADD", "s", "IDMP", pid, iid + "x", "*", "f", "v"});
  CHECK(first != other);
  CHECK(c.Call({"XADD", "s", "IDMP", pid, iid, "*", "f", "v"}) == first);
  CHECK(c.Call({"XADD", "s", "IDMP", pid, iid + "x", "*", "f", "v"}) == other);
  CHECK(c.Call({"XADD", "s", "IDMP", pid + "y", iid, "*", "f", "v"}) != first);
  server.AdvanceMs(101000);
  CHECK_FALSE(Cursor(&server.store().env(), Table::kIdempotent).First());
}
