// Scripts over sockets: what other clients get while one runs for long, and what is left of it.
#include <chrono>
#include <thread>

#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

constexpr const char* kEndless = "while true do end";
constexpr const char* kLibrary =
    "#!lua name=lib\nredis.register_function('f', function(keys, args) return "
    "redis.call('INCRBY', keys[1], args[1]) end)";

// Asked of the log first: a command that comes in the script's own turn is answered with it.
void UntilBusy(const Server& server, Client& client) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (server.LogText().find("a script has been running") == std::string::npos &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  Until(client, "GET k", "BUSY ");
}

}  // namespace

TEST_SUITE("scripts") {
  TEST_CASE("while a script runs for long others are answered BUSY, and one of them ends it") {
    Server server({"--busy-reply-threshold", "20"});
    Client runner(server.port()), waiting(server.port()), other(server.port());
    CHECK(other("SET k v") == "OK");
    waiting.Send("BLPOP q 0");
    runner.Send(std::vector<std::string>{"EVAL", kEndless, "0"});
    UntilBusy(server, other);
    // One who connects only now; many requests at once; one that arrives in pieces.
    Client late(server.port());
    CHECK(late("PING").starts_with("BUSY "));
    for (int i = 0; i < 100; ++i) late.Send("GET k");
    for (int i = 0; i < 100; ++i) CHECK(late.Receive().starts_with("BUSY "));
    std::string large(300'000, 'x');
    CHECK(late.Do({"SET", "k", large}).starts_with("BUSY "));
    CHECK(late("FUNCTION KILL").starts_with("BUSY "));
    CHECK(late("SHUTDOWN").starts_with("BUSY "));
    CHECK(late("MULTI") == "OK");
    CHECK(late("DISCARD") == "OK");
    {
      Client gone(server.port());
      CHECK(gone("PING").starts_with("BUSY "));
    }
    CHECK(other("SCRIPT KILL") == "OK");
    CHECK(runner.Receive().find("Script killed by user with SCRIPT KILL") != std::string::npos);
    CHECK(other("GET k") == "v");
    CHECK(other("RPUSH q x") == "1");
    CHECK(waiting.Receive() == "[q x]");
    CHECK(runner.Do({"EVAL", "return 1", "0"}) == "1");
  }

  TEST_CASE("a script that has written is only ended with the server, and then it never was") {
    Server server({"--busy-reply-threshold", "20"});
    {
      Client runner(server.port()), other(server.port());
      CHECK(other("SET before 1") == "OK");
      runner.Send(std::vector<std::string>{
          "EVAL", "redis.call('SET', 'half', 1) redis.call('SET', 'before', 2) while true do end",
          "0"});
      UntilBusy(server, other);
      CHECK(other("SCRIPT KILL").starts_with("UNKILLABLE "));
      CHECK(other("SHUTDOWN NOSAVE") == "(lost)");
      CHECK(runner.Receive() == "(lost)");
      CHECK(server.Wait() == 0);
    }
    server.Start();
    Client again(server.port());
    CHECK(again("GET half") == "(nil)");
    CHECK(again("GET before") == "1");
  }

  TEST_CASE("what a script was answered for survives SIGKILL, and so do functions") {
    Server server;
    {
      Client c(server.port());
      CHECK(c.Do({"FUNCTION", "LOAD", kLibrary}) == "lib");
      CHECK(c("FCALL f 1 k 5") == "5");
      CHECK(c.Do({"EVAL", "redis.call('RPUSH', 'q', 1, 2) return redis.call('LPOP', 'q')", "0"}) ==
            "1");
    }
    server.Restart(SIGKILL);
    {
      Client c(server.port());
      CHECK(c("LRANGE q 0 -1") == "[2]");
      CHECK(c("FCALL f 1 k 5") == "10");
      CHECK(c("FUNCTION DELETE lib") == "OK");
    }
    server.Restart(SIGKILL);
    Client c(server.port());
    CHECK(c("FCALL f 1 k 5") == "ERR Function not found");
    CHECK(c("GET k") == "10");
  }

  TEST_CASE("a script killed with the server is there whole or not at all") {
    Server server;
    std::string script = "for i = 1, 2000 do redis.call('RPUSH', 'q', i) end";
    for (int round = 0; round < 5; ++round) {
      Client c(server.port());
      for (int i = 0; i < 20; ++i) c.Send(std::vector<std::string>{"EVAL", script, "0"});
      CHECK(c.Receive() == "(nil)");
      server.Restart(SIGKILL);
      Client again(server.port());
      CHECK(std::stol(again("LLEN q")) % 2000 == 0);
    }
  }
}
