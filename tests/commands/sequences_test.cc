// Producers that number their messages.
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

TEST_CASE("a producer's mark outlives what the window knows of it") {
  TestServer server;
  TestClient c(&server);
  // Names that differ only behind what stands in a row's key.
  std::string one = std::string(600, 'p') + "1", two = std::string(600, 'p') + "2";
  c("XADD s * f v");
  c("XCFGSET s IDMP-SEQUENCE yes IDMP-DURATION 10");
  std::string id = c("XADD s IDMP " + one + " 7 * f v");
  CHECK(c("XADD s IDMP " + two + " 100 * f v") != id);
  CHECK(c("XADD s IDMP " + one + " 7 * f v") == id);
  server.AdvanceMs(10'000);
  CHECK(c("XADD s IDMP " + one + " 7 * f v").starts_with("(error) DUPSEQ "));
  CHECK(c("XLEN s") == "(integer) 3");
  CHECK(c("XADD s IDMP " + one + " 10 * f v") != id);
  CHECK(c("XINFO PRODUCERS s") == "[[\"" + one + "\", (integer) 10, (integer) 2], [\"" + two +
                                      "\", (integer) 100, (integer) 0]]");
  c("RENAME s t");
  CHECK(c("XADD t IDMP " + two + " 99 * f v").starts_with("(error) DUPSEQ "));
  c("DEL t");
  for (int i = 0; i < 5; ++i) server.Turn();
  CHECK_FALSE(Cursor(&server.store().env(), Table::kSequence).First());
}

TEST_CASE("numbers from one end to the other") {
  TestServer server;
  TestClient c(&server);
  c("XADD s * f v");
  c("XCFGSET s IDMP-SEQUENCE yes");
  c("XADD s IDMP p -9223372036854775808 * f v");
  c("XADD s IDMP p -9223372036854775807 * f v");
  c("XADD s IDMP p 0 * f v");
  CHECK(c("XINFO PRODUCERS s") == "[[\"p\", (integer) 0, (integer) 9223372036854775806]]");
}
