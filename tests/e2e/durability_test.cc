// What survives which end.
#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

TEST_SUITE("durability") {
  TEST_CASE("what was answered survives SIGKILL") {
    Server server;
    {
      Client c(server.port());
      CHECK(c("RPUSH q a b c") == "3");
      CHECK(c("LPOP q") == "a");
      CHECK(c("SET s v EX 1000") == "OK");
      CHECK(c("XADD x 1-1 f v") == "1-1");
      CHECK(c("XGROUP CREATE x g 0") == "OK");
      CHECK(c("XREADGROUP GROUP g me STREAMS x >") == "[[x [[1-1 [f v]]]]]");
    }
    server.Restart(SIGKILL);
    Client c(server.port());
    CHECK(c("LRANGE q 0 -1") == "[b c]");
    CHECK(c("GET s") == "v");
    CHECK(c("TTL s") != "-1");
    CHECK(c("XPENDING x g") == "[1 1-1 1-1 [[me 1]]]");
    CHECK(c("XACK x g 1-1") == "1");
    server.Restart(SIGKILL);
    Client again(server.port());
    CHECK(again("XPENDING x g") == "[0 (nil) (nil) (nil)]");
  }

  TEST_CASE("SIGTERM and SIGINT end with status 0 and lose nothing") {
    for (int signal : {SIGTERM, SIGINT}) {
      Server server;
      Client c(server.port());
      for (int i = 0; i < 100; ++i) c.Send("RPUSH q " + std::to_string(i));
      for (int i = 0; i < 100; ++i) CHECK(c.Receive() == std::to_string(i + 1));
      CHECK(server.Stop(signal) == 0);
      server.Start();
      Client again(server.port());
      CHECK(again("LLEN q") == "100");
      CHECK(again("LINDEX q -1") == "99");
    }
  }

  TEST_CASE("SHUTDOWN ends with status 0") {
    Server server;
    Client c(server.port());
    CHECK(c("SET k v") == "OK");
    CHECK(c("SHUTDOWN") == "(lost)");
    CHECK(server.Wait() == 0);
    server.Start();
    Client again(server.port());
    CHECK(again("GET k") == "v");
  }

  TEST_CASE("a second server on the same directory refuses to start and says why") {
    Server server;
    Server second({"--dir", server.dir(), "--logfile", server.dir() + "/second"});
    CHECK_FALSE(second.running());
    CHECK(second.exit_status() == 1);
    std::ifstream in(server.dir() + "/second");
    std::string text{std::istreambuf_iterator<char>(in), {}};
    CHECK(text.find("is in use by another sluice") != std::string::npos);
    CHECK(Client(server.port())("PING") == "PONG");
  }

  TEST_CASE("appendonly no keeps nothing, and leaves nothing in the directory") {
    Server server({"--appendonly", "no"});
    {
      Client c(server.port());
      CHECK(c("RPUSH q a") == "1");
    }
    server.Restart(SIGKILL);
    CHECK(Client(server.port())("LLEN q") == "0");
    server.Stop();
    for (const auto& entry : std::filesystem::directory_iterator(server.dir())) {
      if (entry.path().filename() == "log") continue;
      // SIGKILL left an empty directory behind; a clean stop leaves none.
      CHECK(std::filesystem::is_empty(entry.path()));
    }
  }

  TEST_CASE("the policy can be changed while it runs") {
    Server server({"--appendfsync", "everysec"});
    {
      Client c(server.port());
      CHECK(c("SET a 1") == "OK");
      CHECK(c("CONFIG SET appendfsync always") == "OK");
      CHECK(c("SET b 2") == "OK");
      CHECK(c("CONFIG SET appendfsync no") == "OK");
      CHECK(c("SET c 3") == "OK");
    }
    server.Restart(SIGKILL);
    CHECK(Client(server.port())("MGET a b c") == "[1 2 3]");
  }

  TEST_CASE("many databases, many types, a flush: the same after a restart") {
    Server server;
    {
      Client c(server.port());
      for (int db = 0; db < 5; ++db) {
        CHECK(c("SELECT " + std::to_string(db)) == "OK");
        CHECK(c("SET k " + std::to_string(db)) == "OK");
      }
      CHECK(c("SWAPDB 0 1") == "OK");
      CHECK(c("SELECT 2") == "OK");
      CHECK(c("FLUSHDB") == "OK");
      CHECK(c("SET fresh 1") == "OK");
    }
    server.Restart(SIGKILL);
    Client c(server.port());
    CHECK(c("GET k") == "1");
    CHECK(c("SELECT 2") == "OK");
    CHECK(c("KEYS *") == "[fresh]");
    CHECK(c("SELECT 4") == "OK");
    CHECK(c("DBSIZE") == "1");
  }

  TEST_CASE("every type, small and large: the same after SIGKILL and after a stop") {
    Server server;
    std::vector<std::string> questions = {"DBSIZE"}, answers;
    {
      Client c(server.port());
      for (std::string size : {"3", "3000"}) {
        int n = std::stoi(size);
        for (int i = 0; i < n; ++i) {
          std::string word = std::to_string(i * 7919 % 10007);
          c.Send("HSET h" + size + " f" + word + " v" + word);
          c.Send("SADD s" + size + " m" + word);
          c.Send("SADD n" + size + " " + word);
          c.Send("ZADD z" + size + " " + word + ".5 m" + word);
          c.Send("SETBIT b" + size + " " + word + " 1");
        }
        for (int i = 0; i < 5 * n; ++i) c.Receive();
        c("HPEXPIREAT h" + size + " 9999999999999 FIELDS 1 f7919");
        c("SREM s" + size + " m7919");
        c("ZINCRBY z" + size + " 1e300 m0");
        c("SORT n" + size + " STORE l" + size);
        c("ZUNIONSTORE u" + size + " 2 z" + size + " s" + size);
        c.Do({"EVAL",
              "return redis.call('HSET', 'e' .. ARGV[1], 'a', redis.call('LLEN', 'l' .. ARGV[1]))",
              "0", size});
        for (std::string question : {"HLEN h", "HGET h", "HPEXPIRETIME h", "OBJECT ENCODING h",
                                     "SCARD s", "OBJECT ENCODING s", "OBJECT ENCODING n", "ZCARD z",
                                     "LRANGE l", "ZRANGE u", "HGETALL e", "BITCOUNT b"}) {
          std::string line = question + size;
          if (question == "HGET h") line += " f5831";
          if (question == "HPEXPIRETIME h") line += " FIELDS 2 f7919 f5831";
          if (question == "LRANGE l") line += " 0 -1";
          if (question == "ZRANGE u") line += " 0 -1 WITHSCORES";
          questions.push_back(line);
        }
      }
      c.Do({"FUNCTION", "LOAD",
            "#!lua name=l\nredis.register_function('f', function() return 1 end)"});
      questions.push_back("FCALL f 0");
      for (const std::string& question : questions) answers.push_back(c(question));
    }
    CHECK(answers[0] == "16");
    CHECK(answers[1] == "3");
    CHECK(answers.back() == "1");
    for (int signal : {SIGKILL, SIGTERM, SIGKILL}) {
      server.Restart(signal);
      Client c(server.port());
      for (size_t i = 0; i < questions.size(); ++i) {
        CHECK_MESSAGE(c(questions[i]) == answers[i], questions[i]);
      }
    }
  }

  TEST_CASE("a value of many megabytes goes in, survives and comes out") {
    Server server;
    std::string big(40 << 20, 'x');
    for (size_t i = 0; i < big.size(); i += 4099) big[i] = static_cast<char>(i);
    {
      Client c(server.port());
      CHECK(c.Do({"RPUSH", "q", big}) == "1");
      CHECK(c.Do({"SET", "s", big}) == "OK");
    }
    server.Restart(SIGKILL);
    Client c(server.port());
    CHECK((c("LPOP q") == big));
    CHECK((c("GET s") == big));
  }
}
