#include <set>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient a{&server}, b{&server}, c{&server};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "BZPOPMIN waits for milliseconds") {
  CHECK(a("BZPOPMIN k 0.001") == "(blocked)");
  CHECK(b("BZPOPMAX k 0.0035") == "(blocked)");
  CHECK(c("BZMPOP 0.003 1 k MIN") == "(blocked)");
  server.Turn();
  CHECK(a.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(a.Take() == "(nil)");
  server.AdvanceMs(2);
  CHECK(c.Take() == "(nil)");
  CHECK(b.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(b.Take() == "(nil)");
}

TEST_CASE_FIXTURE(Fixture, "a member goes back when its taker is gone before it knew") {
  TestClient gone(&server);
  CHECK(gone("BZPOPMIN k 0") == "(blocked)");
  CHECK(a("ZADD k 1.5 x 2 y") == "(integer) 2");
  CHECK(a("ZCARD k") == "(integer) 1");
  gone.Close();
  CHECK(a("ZRANGE k 0 -1 WITHSCORES") == "[\"x\", \"1.5\", \"y\", \"2\"]");
}

TEST_CASE_FIXTURE(Fixture, "members that go back are given to whoever waits, scores and all") {
  TestClient gone(&server);
  std::string marker(2000, 'm');
  CHECK(gone("BZMPOP 0 1 k MAX COUNT 3") == "(blocked)");
  CHECK(a.Call({"ZADD", "k", "7225683968000005", marker, "-inf", "low"}) == "(integer) 2");
  CHECK(a("EXISTS k") == "(integer) 0");
  CHECK(b("BZPOPMAX k 0") == "(blocked)");
  gone.Close();
  CHECK(b.Take() == "[\"k\", \"" + marker + "\", \"7225683968000005\"]");
  CHECK(a("ZRANGE k 0 -1 WITHSCORES") == "[\"low\", \"-inf\"]");
}

TEST_CASE_FIXTURE(Fixture, "a member that was added anew meanwhile keeps its new score") {
  TestClient gone(&server);
  CHECK(gone("BZPOPMIN k 0") == "(blocked)");
  a("ZADD k 1 x");
  a("ZADD k 9 x");
  gone.Close();
  CHECK(a("ZRANGE k 0 -1 WITHSCORES") == "[\"x\", \"9\"]");
}

TEST_CASE_FIXTURE(Fixture, "nothing goes back to a name that means something else by now") {
  TestClient gone(&server);
  CHECK(gone("BZPOPMIN k 0") == "(blocked)");
  a("ZADD k 1 x");
  a("SET k v");
  gone.Close();
  CHECK(a("GET k") == "\"v\"");
}

TEST_CASE_FIXTURE(Fixture, "of members that begin alike the longest keep their order") {
  std::string stem(3000, 'j');
  for (int i = 9; i >= 0; --i) a.Call({"ZADD", "k", "1", stem + std::to_string(i)});
  CHECK(a.Call({"ZRANK", "k", stem + "7"}) == "(integer) 7");
  CHECK(a.Call({"ZLEXCOUNT", "k", "[" + stem + "2", "(" + stem + "5"}) == "(integer) 3");
  CHECK(a.Call({"ZREMRANGEBYLEX", "k", "[" + stem + "2", "(" + stem + "5"}) == "(integer) 3");
  CHECK(a("ZCARD k") == "(integer) 7");
  CHECK(a("ZPOPMAX k") == "[\"" + stem + "9\", \"1\"]");
  CHECK(a("ZPOPMIN k") == "[\"" + stem + "0\", \"1\"]");
  CHECK(a.Call({"ZADD", "k", "CH", "2", stem + "1"}) == "(integer) 1");
  CHECK(a.Call({"ZREM", "k", stem + "1", stem + "5", stem + "6", stem + "7"}) == "(integer) 4");
  CHECK(a("ZRANGE k 0 -1") == "[\"" + stem + "8\"]");
}

TEST_CASE_FIXTURE(Fixture, "ZSCAN shows each member that stays, once") {
  std::set<std::string> expected, seen;
  for (int i = 0; i < 500; ++i) {
    std::string member = "m" + std::to_string(i);
    a.Call({"ZADD", "k", std::to_string(i), member});
    expected.insert("\"" + member + "\"");
  }
  std::string cursor = "0";
  do {
    std::string reply = a("ZSCAN k " + cursor + " COUNT 7");  // ["17", ["m1", "1", ...]]
    cursor = reply.substr(2, reply.find('"', 2) - 2);
    for (size_t at = reply.find("\"m"); at != std::string::npos; at = reply.find("\"m", at + 1)) {
      CHECK(seen.insert(reply.substr(at, reply.find('"', at + 1) + 1 - at)).second);
    }
    a("ZADD k 1000 other" + cursor);
    a("ZREM k other" + cursor);
  } while (cursor != "0");
  CHECK(seen == expected);
}

TEST_CASE_FIXTURE(Fixture, "ZRANDMEMBER draws different members, or the same ones again") {
  for (int i = 0; i < 2000; ++i) a("ZADD k 1 " + std::to_string(i));
  for (int count : {3, 100, 1000, 1999, 2000, 3000}) {
    auto reply = a("ZRANDMEMBER k " + std::to_string(count));
    std::set<std::string> members;
    size_t n = 0;
    for (size_t at = reply.find('"'); at != std::string::npos; at = reply.find('"', at + 1), ++n) {
      size_t end = reply.find('"', at + 1);
      members.insert(reply.substr(at, end - at));
      at = end;
    }
    CHECK(n == static_cast<size_t>(std::min(count, 2000)));
    CHECK(members.size() == n);
  }
  std::string many = a("ZRANDMEMBER k -5000");
  CHECK(std::count(many.begin(), many.end(), ',') == 4999);
}

TEST_CASE_FIXTURE(Fixture, "a large set that goes as a whole leaves nothing behind") {
  for (const char* command :
       {"ZREMRANGEBYRANK k 0 -1", "ZREMRANGEBYSCORE k -inf +inf", "ZREMRANGEBYLEX k - +",
        "ZPOPMIN k 5000", "DEL k", "ZREMRANGEBYSCORE k (-1 3"}) {
    for (int i = 0; i < 3000; ++i) a.Call({"ZADD", "k", "1", std::to_string(i)});
    a(command);
    CHECK(a("EXISTS k") == "(integer) 0");
    a("ZADD k 1 new");
    for (int i = 0; i < 100; ++i) server.Turn();
    CHECK(a("ZRANGE k 0 -1") == "[\"new\"]");
    a("DEL k");
    for (int i = 0; i < 10; ++i) server.Turn();
    CHECK(AllRows(&server.store().env(), Table::kSortedSet).empty());
    CHECK(AllRows(&server.store().env(), Table::kMember).empty());
  }
}
