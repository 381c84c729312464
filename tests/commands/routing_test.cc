// Routing: what matches a topic, what the dialogue is too small for, and that bindings outlive a
// restart.
#include "src/commands/routing.h"

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

TEST_SUITE("routing") {
  TEST_CASE("topics") {
    CHECK(TopicMatch("a.b", "a.b"));
    CHECK(!TopicMatch("a.b", "a.c"));
    CHECK(!TopicMatch("a.b", "a"));
    CHECK(!TopicMatch("a", "a.b"));
    CHECK(TopicMatch("a.*", "a.b"));
    CHECK(TopicMatch("*.*", "a.b"));
    CHECK(!TopicMatch("*", "a.b"));
    CHECK(!TopicMatch("*", ""));
    CHECK(TopicMatch("*", "*"));
    CHECK(TopicMatch("a.*.c", "a..c"));
    CHECK(TopicMatch("#", ""));
    CHECK(TopicMatch("#", "a.b.c"));
    CHECK(TopicMatch("", ""));
    CHECK(!TopicMatch("", "a"));
    CHECK(TopicMatch("a.#", "a"));
    CHECK(TopicMatch("#.a", "a"));
    CHECK(TopicMatch("#.a.#", "b.a.c"));
    CHECK(TopicMatch("#.a.*", "a.a.b"));
    CHECK(!TopicMatch("#.a.*", "a.b.a"));
    CHECK(TopicMatch("#.#", ""));
    CHECK(TopicMatch("a.#.b.#.c", "a.b.b.b.c"));
    CHECK(!TopicMatch("a.#.b.#.c", "a.c.b"));
    CHECK(!TopicMatch("a.", "a"));
    CHECK(TopicMatch("a.*", "a."));
    CHECK(!TopicMatch("a*", "ab"));
  }

  TEST_CASE("names, fields and patterns of any length and bytes") {
    TestServer server;
    TestClient c(&server);
    std::string dest(1000, 'd'), field(3000, 'f'), value(70000, 'v');
    dest += '\0';
    CHECK(c.Call({"XBIND", "ex", dest, "FIELD", field, "DIRECT", value}) == "(integer) 1");
    CHECK(c.Call({"XBIND", "ex", dest, "FIELD", field, "DIRECT", value}) == "(integer) 0");
    c.Call({"XADD", "ex", "*", field, value});
    c.Call({"XADD", "ex", "*", field, "other"});
    server.Turn();
    CHECK(c.Call({"XLEN", dest}) == "(integer) 1");
    CHECK(c.Call({"XUNBIND", "ex", dest}) == "(integer) 1");
  }

  TEST_CASE("a stream has so many bindings and no more") {
    TestServer server;
    TestClient c(&server);
    for (uint64_t i = 0; i < kMaxBindings; ++i) {
      REQUIRE(c("XBIND ex d" + std::to_string(i)) == "(integer) 1");
    }
    CHECK(c("XBIND ex more") == "(error) ERR too many bindings");
    CHECK(c("XBIND ex d7") == "(integer) 0");
    c("XADD ex * f v");
    CHECK(c("DBSIZE") == "(integer) " + std::to_string(kMaxBindings + 1));
    CHECK(c("XUNBIND ex d7") == "(integer) 1");
    CHECK(c("XBIND ex more") == "(integer) 1");
  }

  TEST_CASE("one entry is copied so many times and no more") {
    TestServer server;
    TestClient c(&server);
    for (int i = 0; i < 5; ++i) {
      std::string hub = "hub" + std::to_string(i);
      REQUIRE(c("XBIND ex " + hub) == "(integer) 1");
      for (uint64_t k = 0; k < kMaxBindings; ++k) c("XBIND " + hub + " d" + std::to_string(k));
      for (uint64_t k = 0; k < kMaxBindings; ++k) {
        c("XUNBIND " + hub + " d" + std::to_string(k));
        c("XBIND " + hub + " e" + std::to_string(i * 10000 + static_cast<int>(k)));
      }
    }
    c("XADD ex * f v");
    CHECK(c("DBSIZE") == "(integer) " + std::to_string(kMaxCopies + 1));
    CHECK(c("XBIND above ex") == "(error) ERR too many destinations behind that one");
    CHECK(c("EXISTS above") == "(integer) 0");
  }

  TEST_CASE("a deleted stream leaves no rows of its bindings") {
    TestServer server;
    TestClient c(&server);
    c("XBIND ex a");
    c("XBIND ex b");
    c("DEL ex");
    for (int i = 0; i < 10; ++i) server.Turn();
    CHECK(AllRows(&server.store().env(), Table::kBinding).empty());
  }
}

TEST_SUITE("queues") {
  TEST_CASE("INFO queues shows so many, and how many more there are") {
    TestServer server;
    TestClient c(&server);
    for (int i = 0; i < 600; ++i) {
      std::string n = std::to_string(i);
      c("XGROUP CREATE s" + n + " g $ MKSTREAM");
      c("LCFGSET l" + n + " MAXLEN 5");
      c("SET k" + n + " v");
    }
    CHECK(c("INFO queues").find("queues_left_out:200") != std::string::npos);
    CHECK(c("INFO everything").find("queues_left_out:200") != std::string::npos);
    CHECK(c("INFO").find("queues_left_out") == std::string::npos);
    CHECK(c("INFO all").find("queues_left_out") == std::string::npos);
    c("SELECT 3");
    c("XGROUP CREATE s g $ MKSTREAM");
    CHECK(c("INFO queues").find("queues_left_out:201") != std::string::npos);
    c("FLUSHALL");
    CHECK(c("INFO queues") == "\"# Queues\\r\\nqueues_left_out:0\\r\\n\"");
    while (server.store().keys().has_garbage()) server.Turn();
    CHECK(AllRows(&server.store().env(), Table::kQueue).empty());
  }

  TEST_CASE("a queue is one as long as it has groups or settings") {
    TestServer server;
    TestClient c(&server);
    auto queues = [&] {
      (void)c("INFO queues");
      uint64_t counted = server.store().keys().Queues(0);
      CHECK(counted == server.store().keys().FindQueues(0, 100).size());
      return counted;
    };
    std::string name(1000, 'n');
    c.Call({"XADD", name, "*", "f", "v"});
    CHECK(queues() == 0);
    c.Call({"XGROUP", "CREATE", name, "g", "$"});
    CHECK(queues() == 1);
    c.Call({"RENAME", name, "s"});
    c.Call({"COPY", "s", "t"});
    CHECK(queues() == 2);
    c("XGROUP DESTROY s g");
    CHECK(queues() == 1);
    c("DEL t");
    CHECK(queues() == 0);
    c("RPUSH q a");
    c("LMPOP 1 q LEFT LEASE 1000");
    CHECK(queues() == 1);
    c("MOVE q 1");
    c("LCFGSET q MAXLEN 7");
    c("LCFGSET q MAXLEN 0");
    c("XGROUP CREATE x g $ MKSTREAM");
    CHECK(queues() == 2);
    c("SWAPDB 0 1");
    CHECK(queues() == 0);
  }
}
