// Fields of hashes that expire, by a clock that is moved by hand.
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};

  // Fields f0, f1, ... that all expire `ms` from now.
  void Fill(int n, int64_t ms) {
    for (int i = 0; i < n; i += 100) {
      std::string line = "HSETEX h PX " + std::to_string(ms) + " FIELDS 100";
      for (int j = i; j < i + 100; ++j) line += " f" + std::to_string(j) + " v";
      REQUIRE(c(line) == "(integer) 1");
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a field lives through the millisecond it names") {
  for (const char* value : {"v", "long"}) {
    std::string text = value == std::string("v") ? value : std::string(5000, 'v');
    c("DEL h");
    c.Call({"HSET", "h", "f", text, "g", text});
    CHECK(c("HPEXPIRE h 100 FIELDS 1 f") == "[(integer) 1]");
    server.AdvanceMs(100);
    CHECK(c("HPTTL h FIELDS 1 f") == "[(integer) 0]");
    CHECK(c("HEXISTS h f") == "(integer) 1");
    server.AdvanceMs(1);
    CHECK(c("HPTTL h FIELDS 2 f g") == "[(integer) -2, (integer) -1]");
    CHECK(c("HLEN h") == "(integer) 1");
  }
}

TEST_CASE_FIXTURE(Fixture, "fields expire by themselves, when the engine says it will run next") {
  c("HSETEX h PX 100 FIELDS 1 a 1");
  c("HSETEX h PX 300 FIELDS 1 b 2");
  server.Turn();
  CHECK(server.engine().NextWakeUs() == 101'000);
  server.AdvanceMs(101);
  CHECK(server.engine().NextWakeUs() == 200'000);
  CHECK(c("DBSIZE") == "(integer) 1");
  server.AdvanceMs(200);
  CHECK(c("DBSIZE") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "whoever asks first finds what is over gone, and the key with the last") {
  for (const char* command : {"HGET h a", "HEXISTS h a", "HGETALL h", "HKEYS h", "HLEN h",
                              "HRANDFIELD h", "HRANDFIELD h 2", "HSCAN h 0", "HMGET h a",
                              "HTTL h FIELDS 1 a", "HGETDEL h FIELDS 1 a", "HGETEX h FIELDS 1 a",
                              "HPERSIST h FIELDS 1 a", "HEXPIRE h 10 FIELDS 1 a", "HDEL h a",
                              "HSETEX h FXX FIELDS 1 a 1"}) {
    INFO(command);
    std::string without = c(command);
    c("HSETEX h PX 10 FIELDS 1 a 1");
    server.AdvanceQuietlyMs(11);
    CHECK(c(command) == without);
    CHECK(c("EXISTS h") == "(integer) 0");
  }
}

TEST_CASE_FIXTURE(Fixture, "what is over can be set anew") {
  c("HSETEX h PX 10 FIELDS 3 a 1 n 5 x 1.5");
  server.AdvanceQuietlyMs(11);
  CHECK(c("HSET h a 2") == "(integer) 1");
  CHECK(c("HINCRBY h n 1") == "(integer) 1");
  CHECK(c("HINCRBYFLOAT h x 1") == "\"1\"");
  CHECK(c("HTTL h FIELDS 3 a n x") == "[(integer) -1, (integer) -1, (integer) -1]");
  CHECK(c("HSETEX h PX 10 FNX FIELDS 1 b 1") == "(integer) 1");
  server.AdvanceQuietlyMs(11);
  CHECK(c("HSETEX h FNX FIELDS 1 b 2") == "(integer) 1");
  CHECK(c("HGET h b") == "\"2\"");
}

TEST_CASE_FIXTURE(Fixture, "thousands of fields of one moment are over at once, and go in slices") {
  Fill(3000, 50);
  c("HSET h stays v");
  server.AdvanceQuietlyMs(51);
  CHECK(c("HLEN h") == "(integer) 1");
  CHECK(c("HGETALL h") == "[\"stays\", \"v\"]");
  CHECK(c("HRANDFIELD h 5") == "[\"stays\"]");
  CHECK(c("HGET h f2999") == "(nil)");
  Key* key = server.store().keys().Find(0, "h");
  CHECK(key->timer_ms > 0);
  server.Turn();
  CHECK(key->timer_ms == 0);
  CHECK(AllRows(&server.store().env(), Table::kHash).size() == 1);
  CHECK(AllRows(&server.store().env(), Table::kHashTimer).empty());
}

TEST_CASE_FIXTURE(Fixture, "a hash of thousands whose last field is over is no key any more") {
  Fill(3000, 50);
  server.AdvanceQuietlyMs(51);
  CHECK(c("HLEN h") == "(integer) 0");
  CHECK(c("EXISTS h") == "(integer) 0");
  CHECK(c("HSET h f1 new") == "(integer) 1");
  for (int i = 0; i < 10; ++i) server.AdvanceMs(100);
  CHECK(c("HGETALL h") == "[\"f1\", \"new\"]");
  CHECK(AllRows(&server.store().env(), Table::kHash).empty());
  CHECK(AllRows(&server.store().env(), Table::kHashTimer).empty());
}

TEST_CASE_FIXTURE(Fixture, "a field's expiry breaks a WATCH") {
  TestClient other(&server);
  c("HSETEX h PX 10 FIELDS 1 a 1");
  c("HSET h b 2");
  c("WATCH h");
  server.AdvanceMs(11);
  c("MULTI");
  c("SET k v");
  CHECK(c("EXEC") == "(nil)");
}

TEST_CASE_FIXTURE(Fixture, "a key's own expiry takes its fields' times along") {
  c("HSETEX h PX 100 FIELDS 1 a 1");
  c("PEXPIRE h 50");
  server.AdvanceMs(51);
  CHECK(c("EXISTS h") == "(integer) 0");
  CHECK(c("HSET h a 2") == "(integer) 1");
  server.AdvanceMs(100);
  CHECK(c("HGET h a") == "\"2\"");
}

TEST_CASE_FIXTURE(Fixture, "a copy's fields expire on their own, a renamed key's as before") {
  c("HSETEX h PX 100 FIELDS 1 a 1");
  c("HSET h b 2");
  c("COPY h copy");
  c("RENAME h renamed");
  c("HPEXPIRE copy 200 FIELDS 1 a");
  server.AdvanceMs(101);
  CHECK(c("HGETALL renamed") == "[\"b\", \"2\"]");
  CHECK(c("HGETALL copy") == "[\"a\", \"1\", \"b\", \"2\"]");
  server.AdvanceMs(100);
  CHECK(c("HGETALL copy") == "[\"b\", \"2\"]");
}
