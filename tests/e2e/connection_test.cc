// Connections that misbehave, and the limits that stop them.
#include <sys/un.h>

#include <algorithm>

#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

void SendRaw(const Client& c, const std::string& bytes) {
  REQUIRE(::send(c.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
}

}  // namespace

TEST_SUITE("connections") {
  TEST_CASE("waiters are served in order of arrival") {
    Server server;
    Client a(server.port()), b(server.port()), c(server.port());
    a.Send("BLPOP q 0");
    Until(c, "INFO clients", "blocked_clients:1");
    b.Send("BLPOP q 0");
    Until(c, "INFO clients", "blocked_clients:2");
    CHECK(c("RPUSH q 1 2") == "2");
    CHECK(a.Receive() == "[q 1]");
    CHECK(b.Receive() == "[q 2]");
    CHECK(c("EXISTS q") == "0");
  }

  TEST_CASE("a client that vanishes while it waits swallows nothing") {
    Server server;
    Client c(server.port());
    for (int i = 0; i < 50; ++i) {
      Client gone(server.port());
      gone.Send("BLPOP q 0");
      Until(c, "INFO clients", "blocked_clients:1");
      // The push is on its way before the server can have noticed the end.
      c.Send("RPUSH q " + std::to_string(i));
      gone.Vanish();
      std::string pushed = c.Receive();
      Until(c, "INFO clients", "blocked_clients:0");
      // Either it was given to a client that was still there, or it is in the list: here the reader
      // is gone before it could read, so what counts is that no later element is lost.
      (void)pushed;
      c("DEL q");
    }
    Client gone(server.port());
    gone.Send("BRPOP q 0");
    Until(c, "INFO clients", "blocked_clients:1");
    gone.Vanish();
    CHECK(c("RPUSH q kept") == "1");
    CHECK(c("LRANGE q 0 -1") == "[kept]");
  }

  TEST_CASE("a request byte by byte does not hold others up") {
    Server server;
    Client slow(server.port()), fast(server.port());
    std::string request = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n";
    for (char byte : request) {
      SendRaw(slow, std::string(1, byte));
      CHECK(fast("PING") == "PONG");
    }
    CHECK(slow.Receive() == "OK");
  }

  TEST_CASE("a deep pipeline is answered in order") {
    Server server({"--appendfsync", "no"});
    Client c(server.port());
    std::string requests;
    for (int i = 0; i < 50'000; ++i) requests += "RPUSH q x\r\n";
    SendRaw(c, requests);
    for (int i = 1; i <= 50'000; ++i) REQUIRE(c.Receive() == std::to_string(i));
  }

  TEST_CASE("a client that never reads its replies does not take the memory") {
    Server server({"--appendfsync", "no"});
    Client c(server.port()), greedy(server.port());
    CHECK(c.Do({"SET", "big", std::string(1 << 20, 'x')}) == "OK");
    // 400 MB of replies asked for, none read.
    for (int i = 0; i < 400; ++i) greedy.Send("GET big");
    CHECK(c("PING") == "PONG");
    CHECK(server.Memory("RssAnon") < 200 * 1024);
    for (int i = 0; i < 400; ++i) REQUIRE(greedy.Receive().size() == 1 << 20);
  }

  TEST_CASE("client-output-buffer-limit disconnects") {
    Server server({"--client-output-buffer-limit", "normal", "4mb", "0", "0"});
    Client c(server.port()), greedy(server.port());
    CHECK(c.Do({"SET", "big", std::string(3 << 20, 'x')}) == "OK");
    greedy.Send("MGET big big");
    CHECK(greedy.Receive() == "(lost)");
    CHECK(c("PING") == "PONG");
  }

  TEST_CASE("client-query-buffer-limit disconnects") {
    Server server({"--client-query-buffer-limit", "2mb"});
    Client c(server.port()), greedy(server.port());
    SendRaw(greedy, "*2\r\n$4\r\nECHO\r\n$50000000\r\n");
    std::string piece(1 << 16, 'x');
    for (int i = 0; i < 200; ++i) {
      if (::send(greedy.fd(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
    }
    CHECK(greedy.Receive() == "(lost)");
    CHECK(c("PING") == "PONG");
  }

  TEST_CASE("maxclients refuses with an error") {
    Server server({"--maxclients", "3"});
    Client a(server.port());
    Until(a, "INFO clients", "connected_clients:1");
    Client b(server.port()), c(server.port());
    for (Client* one : {&a, &b, &c}) CHECK((*one)("PING") == "PONG");
    Client d(server.port());
    CHECK(d.Receive() == "ERR max number of clients reached");
    a.Vanish();
    Until(b, "INFO clients", "connected_clients:2");
    Client e(server.port());
    CHECK(e("PING") == "PONG");
  }

  TEST_CASE("a unix socket serves, with or without a port") {
    TempDir dir;
    std::string path = dir.path() + "/socket";
    Server server({"--unixsocket", path, "--unixsocketperm", "700"});
    Client c(path);
    CHECK(c("SET k v") == "OK");
    CHECK(Client(server.port())("GET k") == "v");
    CHECK(c("CLIENT INFO").find("addr=" + path + ":0") != std::string::npos);
  }

  TEST_CASE("requirepass: nothing without the password") {
    Server server({"--requirepass", "secret"});
    Client c(server.port());
    CHECK(c("GET k") == "NOAUTH Authentication required.");
    CHECK(c("AUTH wrong").starts_with("WRONGPASS"));
    CHECK(c("AUTH secret") == "OK");
    CHECK(c("GET k") == "(nil)");
  }

  TEST_CASE("CLIENT KILL ends a blocked client, which swallows nothing") {
    Server server;
    Client c(server.port()), waiting(server.port());
    std::string id = waiting("CLIENT ID");
    waiting.Send("BLMOVE a b LEFT RIGHT 0");
    Until(c, "INFO clients", "blocked_clients:1");
    CHECK(c("CLIENT KILL ID " + id) == "1");
    CHECK(waiting.Receive() == "(lost)");
    CHECK(c("RPUSH a 1") == "1");
    CHECK(c("LLEN b") == "0");
  }

  TEST_CASE("a very large delete does not hold the next command up for long") {
    Server server({"--appendfsync", "no"});
    Client c(server.port());
    std::vector<std::string> push = {"RPUSH", "q"};
    for (int i = 0; i < 1000; ++i) push.push_back(std::string(20, 'x'));
    for (int i = 0; i < 1000; ++i) c.Send(push);
    for (int i = 1; i <= 1000; ++i) REQUIRE(c.Receive() == std::to_string(i * 1000));
    CHECK(c("DEL q") == "1");
    CHECK(c("LLEN q") == "0");
    CHECK(c("RPUSH q again") == "1");
    CHECK(c("LRANGE q 0 -1") == "[again]");
    // The rows go by and by, without anybody asking.
    Until(c, "INFO sluice", "garbage:0");
    CHECK(c("LRANGE q 0 -1") == "[again]");
  }
}
