// Staged entries of a whole server: they outlive it, and what fell due while it was down happens at
// its start.
#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

TEST_SUITE("stages") {
  TEST_CASE("staged entries, settings and what became of others survive SIGKILL") {
    Server server({"--enable-debug-command", "yes"});
    std::string delayed, prepared, committed, id;
    {
      Client c(server.port());
      delayed = c("XADD s DELAY 3600000 * f 1");
      prepared = c("XADD s IDMP p 7 PREPARE * f 2");
      committed = c("XADD s PREPARE * f 3");
      id = c("XSTAGE COMMIT s IDS 1 " + committed);
      CHECK(c("XCFGSET s STAGE-TIMEOUT 1000 STAGE-CHECKS 1 MAXBACKLOG 3") == "OK");
    }
    server.Restart();
    Client c(server.port());
    CHECK(c("XADD s * f 4") == "BACKLOG queue limit reached");
    CHECK(c("XADD s IDMP p 7 PREPARE * f 2") == prepared);
    CHECK(c("XSTAGE COMMIT s IDS 1 " + committed) == id);
    CHECK(c("XSTAGE DISCARD s IDS 1 " + committed) == "[2]");
    CHECK(c("DEBUG CLOCK FREEZE") == "OK");
    CHECK(c("DEBUG CLOCK ADVANCE 1000") == "OK");
    CHECK(c("XSTAGE CLAIM s 0").starts_with("[[" + prepared + " [f 2] "));
    CHECK(c("DEBUG CLOCK ADVANCE 3600000") == "OK");
    CHECK(c("XLEN s") == "2");
    CHECK(c("XSTAGE RANGE s - +") == "[]");
    CHECK(c("XSTAGE DISCARD s IDS 2 " + delayed + " " + prepared) == "[2 -1]");
  }

  TEST_CASE("what fell due while the server was down is in its stream after the start") {
    Server server;
    {
      Client c(server.port());
      c("XADD s DELAY 1 * f 1");
      c("XADD s DELAY 3600000 * f 2");
    }
    server.Restart();
    Client c(server.port());
    Until(c, "XLEN s", "1");
  }
}
