// Leases of a whole server: they outlive it, and what fell due while it was down happens at its
// start.
#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

std::string IdIn(const std::string& reply) {  // [q [[1-1 element]]]
  size_t from = reply.rfind('[') + 1;
  return reply.substr(from, reply.find(' ', from) - from);
}

}  // namespace

TEST_SUITE("leases") {
  TEST_CASE("leases, settings and counts survive SIGKILL") {
    Server server({"--enable-debug-command", "yes"});
    std::string id;
    {
      Client c(server.port());
      CHECK(c("LCFGSET q MAXDELIVERIES 2 DEADLETTER dead MAXLEN 5") == "OK");
      c("RPUSH q a b c");
      c("CLIENT SETNAME w1");
      id = IdIn(c("LMPOP 1 q LEFT LEASE 3600000"));
      CHECK(c("LMPOP 1 q LEFT COUNT 2 LEASE 7200000").starts_with("[q "));
      CHECK(c("EXISTS q") == "0");
    }
    server.Restart();
    Client c(server.port());
    CHECK(c("DBSIZE") == "0");
    CHECK(c("LLEASE PENDING q").ends_with("[[w1 3]]]"));
    CHECK(c("RPUSH q 1 2 3 4 5 6") == "BACKLOG queue limit reached");
    CHECK(c("LLEASE ACK q IDS 1 " + id) == "1");
    CHECK(c("LLEASE ACK q IDS 1 " + id) == "0");
    CHECK(c("DEBUG CLOCK ADVANCE 7200000") == "OK");
    CHECK(c("LRANGE q 0 -1") == "[b c]");
    // Their deliveries were remembered: the second is the last.
    CHECK(c("LMPOP 1 q LEFT COUNT 2 LEASE 1000").starts_with("[q "));
    server.Restart();
    Client after(server.port());
    CHECK(after("DEBUG CLOCK ADVANCE 7300000") == "OK");
    CHECK(after("LRANGE dead 0 -1") == "[b c]");
    CHECK(after("LLEASE PENDING q") == "[0 (nil) (nil) (nil)]");
  }

  TEST_CASE("what fell due while the server was down is there after its start") {
    Server server;
    {
      Client c(server.port());
      c("RPUSH q a");
      CHECK(c("LMPOP 1 q LEFT LEASE 1").starts_with("[q "));
    }
    server.Restart();
    Client c(server.port());
    Until(c, "LRANGE q 0 -1", "[a]");
    CHECK(c("LMPOP 1 q LEFT LEASE 3600000").starts_with("[q "));
    CHECK(c("LLEASE PENDING q - + 1").ends_with(" 2]]"));
  }

  TEST_CASE("what was leased to a client that has vanished is put back") {
    Server server;
    Client c(server.port());
    {
      Client waiter(server.port());
      waiter.Send("BLMPOP 0 1 q LEFT LEASE 3600000");
      Until(c, "CLIENT LIST", "cmd=blmpop");
      waiter.Vanish();
    }
    c("RPUSH q a");
    Until(c, "LRANGE q 0 -1", "[a]");
    Until(c, "LLEASE PENDING q", "[0 ");
  }
}
