// The test clock of a whole server: timers fire when it is moved, and a restart ends it.
#include <ctime>

#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

TEST_SUITE("clock") {
  TEST_CASE("an hour passes at once") {
    Server server({"--enable-debug-command", "yes"});
    Client c(server.port()), waiter(server.port());
    CHECK(c("DEBUG CLOCK FREEZE") == "OK");
    c("SET session x EX 3600");
    waiter.Send("BLPOP jobs 1800");
    Until(c, "CLIENT LIST", "cmd=blpop");
    CHECK(c("DEBUG CLOCK ADVANCE 3600001") == "OK");
    CHECK(waiter.Receive() == "(nil)");
    CHECK(c("EXISTS session") == "0");
  }

  TEST_CASE("on a running clock a timer that was set for later comes earlier") {
    Server server({"--enable-debug-command", "yes"});
    Client c(server.port()), waiter(server.port());
    waiter.Send("BLPOP jobs 3600");
    Until(c, "CLIENT LIST", "cmd=blpop");
    CHECK(c("DEBUG CLOCK ADVANCE 3599950") == "OK");
    CHECK(waiter.Receive() == "(nil)");
  }

  TEST_CASE("a restart returns to real time") {
    Server server({"--enable-debug-command", "yes"});
    {
      Client c(server.port());
      CHECK(c("DEBUG CLOCK SET 4000000000000") == "OK");
      CHECK(c("TIME").starts_with("[4000000000 "));
    }
    server.Restart();
    Client c(server.port());
    CHECK(std::stoll(c("TIME").substr(1)) <= static_cast<long long>(std::time(nullptr)));
  }
}
