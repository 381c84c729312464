// The tools that come with Redis, at work on a Sluice.
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

struct Outcome {
  int status;
  std::string text;
  bool Says(const std::string& words) const { return text.find(words) != std::string::npos; }
};

// Runs a shell line in which PORT stands for the server's; it must end by itself in a minute.
Outcome Shell(const Server& server, std::string line) {
  for (size_t at; (at = line.find("PORT")) != std::string::npos;) {
    line.replace(at, 4, std::to_string(server.port()));
  }
  std::FILE* pipe = ::popen(("exec timeout 60 sh -c '" + line + "' 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  Outcome outcome{};
  std::array<char, 4096> buffer;
  for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    outcome.text.append(buffer.data(), n);
  }
  outcome.status = WEXITSTATUS(::pclose(pipe));
  return outcome;
}

void Fill(const Server& server) {
  Client c(server.port());
  CHECK(c.Do({"SET", "text", std::string(5000, 'x')}) == "OK");
  for (int i = 0; i < 300; ++i) c("SET small:" + std::to_string(i) + " x");
  for (int i = 0; i < 50; ++i) c("RPUSH list element");
  for (int i = 1; i < 20; ++i) c("XADD stream " + std::to_string(i) + "-1 f v");
  for (int i = 0; i < 7; ++i) {
    std::string n = std::to_string(i);
    c("HSET hash field:" + n + " v");
    c("SADD set member:" + n);
    c("ZADD zset " + n + " member:" + n);
  }
}

}  // namespace

TEST_SUITE("tools") {
  TEST_CASE("redis-cli --bigkeys and --memkeys") {
    Server server;
    Fill(server);
    Outcome big = Shell(server, "redis-cli -p PORT --bigkeys");
    CHECK(big.status == 0);
    CHECK(big.Says("Sampled 306 keys in the keyspace!"));
    CHECK(big.Says("Biggest string found '\"text\"' has 5000 bytes"));
    CHECK(big.Says("Biggest   list found '\"list\"' has 50 items"));
    CHECK(big.Says("Biggest stream found '\"stream\"' has 19 entries"));
    CHECK(big.Says("Biggest   hash found '\"hash\"' has 7 fields"));
    CHECK(big.Says("Biggest    set found '\"set\"' has 7 members"));
    CHECK(big.Says("Biggest   zset found '\"zset\"' has 7 members"));
    Outcome memory = Shell(server, "redis-cli -p PORT --memkeys");
    CHECK(memory.status == 0);
    CHECK(memory.Says("Sampled 306 keys in the keyspace!"));
    for (std::string biggest :
         {"string found '\"text\"'", "  list found '\"list\"'", "stream found '\"stream\"'",
          "  hash found '\"hash\"'", "   set found '\"set\"'", "  zset found '\"zset\"'"}) {
      CHECK_MESSAGE(memory.Says("Biggest " + biggest + " has"), memory.text);
    }
  }

  TEST_CASE("redis-cli --scan") {
    Server server;
    Fill(server);
    CHECK(Shell(server, "redis-cli -p PORT --scan | wc -l").text == "306\n");
    CHECK(Shell(server, "redis-cli -p PORT --scan --pattern small:1* | wc -l").text == "111\n");
  }

  TEST_CASE("redis-cli --stat and --latency") {
    Server server;
    Fill(server);
    Outcome stat = Shell(server, "redis-cli -p PORT -i 0.02 --stat | head -n 5");
    CHECK(stat.status == 0);
    CHECK(stat.Says("keys"));
    CHECK(stat.Says("306"));
    Outcome latency = Shell(server, "redis-cli -p PORT -i 0.1 --latency");
    CHECK(latency.status == 0);
    int samples = 0;
    CHECK(std::sscanf(latency.text.c_str(), "%*f %*f %*f %d", &samples) == 1);
    CHECK(samples > 0);
  }

  TEST_CASE("redis-cli --pipe") {
    Server server;
    Outcome inline_form = Shell(
        server, "(for i in $(seq 1000); do echo RPUSH q $i; done) | redis-cli -p PORT --pipe");
    CHECK(inline_form.status == 0);
    CHECK(inline_form.Says("errors: 0, replies: 1000"));
    CHECK(Client(server.port())("LINDEX q -1") == "1000");
    Outcome failing = Shell(server, "(echo SET q x; echo LPUSH q y) | redis-cli -p PORT --pipe");
    CHECK(failing.Says("errors: 1, replies: 2"));
  }

  TEST_CASE("redis-cli listens and asks for help") {
    Server server;
    // Published until somebody hears it, and then until nobody does: a listener whose reader has
    // gone ends with the next message.
    Outcome listens = Shell(server,
                            "(until [ $(redis-cli -p PORT publish c hello) = 1 ]; do :; done; "
                            "while [ $(redis-cli -p PORT publish c more) = 1 ]; do :; done) & "
                            "redis-cli -p PORT subscribe c | head -n 6");
    CHECK(listens.Says("subscribe\nc\n1\nmessage\nc\nhello\n"));
    CHECK(Shell(server, "redis-cli -3 -p PORT command docs lpush").Says("element"));
    CHECK(Shell(server, "redis-cli -p PORT latency doctor").status == 0);
  }

  TEST_CASE("redis-benchmark") {
    Server server({"--appendonly", "no"});
    // All tests that it has, by not choosing any.
    for (std::string how : {"-P 1", "-P 16", "-P 4 -3"}) {
      Outcome outcome = Shell(server, "redis-benchmark -p PORT -q -n 400 -c 5 -r 50 " + how);
      CHECK_MESSAGE(outcome.status == 0, outcome.text);
      CHECK_MESSAGE(!outcome.Says("rror"), outcome.text);
      for (std::string test : {"PING_INLINE:", "PING_MBULK:", "SET:", "GET:", "INCR:", "LPUSH:",
                               "RPUSH:", "LPOP:", "RPOP:", "SADD:", "HSET:", "SPOP:", "ZADD:",
                               "ZPOPMIN:", "LRANGE_600 (first 600 elements):", "MSET (10 keys):"}) {
        CHECK_MESSAGE(outcome.Says(test), test);
      }
    }
  }
}
