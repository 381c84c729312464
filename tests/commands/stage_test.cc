// What the model of staged entries (stage_model_test.cc) does not know.
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server}, a{&server};

  size_t RowsIn(Table table) {
    size_t rows = 0;
    Cursor cursor(&server.store().env(), table);
    for (bool more = cursor.First(); more; more = cursor.Next()) ++rows;
    return rows;
  }
};

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "thousands that fall due at once enter in the order of their moments") {
  for (int i = 0; i < 3000; ++i) {
    int due = 1000 + i * 7919 % 3000;
    c("XADD s DELAY " + std::to_string(due) + " * due " + std::to_string(due));
  }
  server.AdvanceQuietlyMs(100'000);
  server.Turn();
  CHECK(c("XLEN s") == "(integer) 3000");
  CHECK(c("XSTAGE RANGE s - +") == "[]");
  CHECK(c("XRANGE s - + COUNT 1") == "[[\"1700000100000-0\", [\"due\", \"1000\"]]]");
  CHECK(c("XRANGE s 1700000100000-1500 + COUNT 1") ==
        "[[\"1700000100000-1500\", [\"due\", \"2500\"]]]");
  CHECK(c("XREVRANGE s + - COUNT 1") == "[[\"1700000100000-2999\", [\"due\", \"3999\"]]]");
  // An hour later nothing is known of them any more.
  CHECK(RowsIn(Table::kStage) == 3000);
  server.AdvanceMs(3'600'000);
  CHECK(RowsIn(Table::kStage) == 0);
  CHECK(RowsIn(Table::kStageDue) == 0);
}

TEST_CASE_FIXTURE(Fixture, "fewer checks count from the next one on, more of them at once") {
  c("XADD s PREPARE * f v");
  c("XCFGSET s STAGE-TIMEOUT 100 STAGE-CHECKS 3");
  for (int i = 0; i < 2; ++i) {
    server.AdvanceMs(100);
    CHECK(c("XSTAGE CLAIM s 0") != "[]");
  }
  c("XCFGSET s STAGE-CHECKS 2");
  server.AdvanceMs(100);
  CHECK(c("XSTAGE RANGE s - +") ==
        "[[\"1700000000000-0\", \"prepared\", (integer) 1700000000300, (integer) 2, "
        "[\"f\", \"v\"]]]");
  CHECK(c("XSTAGE CLAIM s 0") == "[]");
  server.Turn();
  CHECK(c("XSTAGE RANGE s - +") == "[]");

  c("XADD s PREPARE * f w");
  c("XCFGSET s STAGE-CHECKS 1");
  server.AdvanceMs(100);
  CHECK(c("XSTAGE CLAIM s 0") != "[]");
  c("XCFGSET s STAGE-CHECKS 2");
  CHECK(a("XSTAGE CLAIM s 0 BLOCK 0") == "(blocked)");
  server.AdvanceMs(100);
  CHECK(a.Take() == "[[\"1700000000300-0\", [\"f\", \"w\"], (integer) 100, (integer) 1]]");
  server.AdvanceMs(100);
  CHECK(c("XSTAGE RANGE s - +") == "[]");
}

TEST_CASE_FIXTURE(Fixture, "a stream without ids takes nothing in, and drops nothing") {
  c("XADD s DELAY 1000 * f 1");
  c("XADD s PREPARE * f 2");
  CHECK(c("XSETID s 18446744073709551615-18446744073709551615") == "OK");
  CHECK(c("XADD s DELAY 5 * f 3").starts_with("(error) ERR The stream has exhausted"));
  CHECK(c("XSTAGE COMMIT s IDS 1 1700000000000-1") == "[(nil)]");
  server.AdvanceMs(1000);
  CHECK(c("XLEN s") == "(integer) 0");
  CHECK(c("XSETID s 1-1") == "OK");
  server.AdvanceMs(60'000);
  CHECK(c("XRANGE s - +") == "[[\"1700000061000-0\", [\"f\", \"1\"]]]");
  CHECK(c("XSTAGE COMMIT s IDS 1 1700000000000-1") == "[\"1700000061000-1\"]");
}

TEST_CASE_FIXTURE(Fixture, "fields and names of any bytes and length") {
  std::string name(1000, 'k'), field("\0\r\n", 3), value(100'000, 'v');
  std::string handle = a.Call({"XADD", name, "PREPARE", "DELAY", "10", "*", field, value, "", ""});
  handle = handle.substr(1, handle.size() - 2);
  std::string fields = a.Call({"XSTAGE", "RANGE", name, "-", "+"});
  CHECK(a.Call({"XSTAGE", "COMMIT", name, "IDS", "1", handle}) == "[" + Quoted(handle) + "]");
  server.AdvanceMs(10);
  std::string entries = a.Call({"XRANGE", name, "-", "+"});
  CHECK(entries.size() > value.size());
  CHECK(entries.substr(entries.find(", [")) == fields.substr(fields.find(", [")));
  CHECK(RowsIn(Table::kStage) == 1);
  a.Call({"DEL", name});
  while (server.store().Reclaim()) {
  }
  CHECK(RowsIn(Table::kStage) == 0);
  CHECK(RowsIn(Table::kStageDue) == 0);
}

TEST_CASE_FIXTURE(Fixture, "committed and prepared again: a wait for old entries sees the oldest") {
  CHECK(a("XSTAGE CLAIM s 0 BLOCK 0") == "(blocked)");
  c("XADD s PREPARE * f 1");
  server.AdvanceMs(3000);
  c("XADD s PREPARE * f 2");
  CHECK(c("XSTAGE COMMIT s IDS 1 1700000000000-0") == "[\"1700000003000-0\"]");
  server.AdvanceMs(3000);
  CHECK(a.Take() == "(blocked)");
  server.AdvanceMs(3000);
  CHECK(a.Take() == "[[\"1700000003000-0\", [\"f\", \"2\"], (integer) 6000, (integer) 0]]");
}
