#include "src/engine/pubsub.h"

#include "src/engine/notify.h"
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient a{&server}, b{&server}, c{&server, 3};
  PubSub& pubsub() { return server.engine().pubsub(); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "pubsub: a message reaches whoever listens, in the protocol it speaks") {
  CHECK(a("SUBSCRIBE news") == "[\"subscribe\", \"news\", (integer) 1]");
  CHECK(c("SUBSCRIBE news") == ">[\"subscribe\", \"news\", (integer) 1]");
  CHECK(b("PUBLISH news hello") == "(integer) 2");
  CHECK(a.Take() == "[\"message\", \"news\", \"hello\"]");
  CHECK(c.Take() == ">[\"message\", \"news\", \"hello\"]");
  CHECK(b.Take() == "(nothing)");
}

TEST_CASE_FIXTURE(Fixture, "pubsub: names are forgotten with their last listener") {
  a("SUBSCRIBE one");
  b("SUBSCRIBE one");
  a("PSUBSCRIBE o*");
  CHECK(pubsub().Count(Topic::kChannel) == 1);
  CHECK(pubsub().Listeners(Topic::kChannel, "one") == 2);
  CHECK(pubsub().sessions() == 2);
  a.Close();
  CHECK(pubsub().Listeners(Topic::kChannel, "one") == 1);
  CHECK(pubsub().Count(Topic::kPattern) == 0);
  b("UNSUBSCRIBE one");
  CHECK(pubsub().Count(Topic::kChannel) == 0);
  CHECK(pubsub().sessions() == 0);
  CHECK(b.session().subscriptions == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "pubsub: listeners are touched, so that the server sends to them") {
  a("SUBSCRIBE one");
  server.engine().TakeTouched();
  b("PUBLISH one x");
  CHECK(server.engine().TakeTouched() == std::vector<Session*>{&b.session(), &a.session()});
}

TEST_CASE_FIXTURE(Fixture, "pubsub: one's own messages follow the reply, also that of a wait") {
  server.config().notify_keyspace_events = "EA";
  c("PSUBSCRIBE __keyevent@0__:l*");
  CHECK(c("LPUSH q x") == "(integer) 1");
  CHECK(c.Take() == ">[\"pmessage\", \"__keyevent@0__:l*\", \"__keyevent@0__:lpush\", \"q\"]");
  c("LPOP q");
  c.Take();
  CHECK(c("BLPOP q 0") == "(blocked)");
  a("RPUSH q y");
  CHECK(c.Take() == "[\"q\", \"y\"]");
  CHECK(c.Take() == ">[\"pmessage\", \"__keyevent@0__:l*\", \"__keyevent@0__:lpop\", \"q\"]");
}

TEST_CASE_FIXTURE(Fixture, "pubsub: what expires at the end of a turn is announced") {
  server.config().notify_keyspace_events = "Ex";
  a("SUBSCRIBE __keyevent@0__:expired");
  b("SET k v PX 100");
  server.AdvanceMs(100);
  CHECK(a.Take() == "(nothing)");
  server.AdvanceMs(1);
  CHECK(a.Take() == "[\"message\", \"__keyevent@0__:expired\", \"k\"]");
}

TEST_CASE_FIXTURE(Fixture, "pubsub: replies switched off leave messages and confirmations") {
  CHECK(c("CLIENT REPLY OFF") == "(nothing)");
  CHECK(c("SUBSCRIBE one") == ">[\"subscribe\", \"one\", (integer) 1]");
  CHECK(c("PUBLISH one x") == ">[\"message\", \"one\", \"x\"]");
  CHECK(c("PING") == "(nothing)");
}

TEST_CASE_FIXTURE(Fixture, "pubsub: nothing follows the reply to QUIT") {
  a("SUBSCRIBE one");
  CHECK(a("QUIT") == "OK");
  CHECK(b("PUBLISH one x") == "(integer) 1");
  CHECK(a.Take() == "(nothing)");
}

TEST_CASE("notify: the class of an event follows from its name") {
  CHECK(EventClass("lpush") == 'l');
  CHECK(EventClass("zadd") == 'z');
  CHECK(EventClass("sortstore") == 'l');
  CHECK(EventClass("xgroup-create") == 't');
  CHECK(EventClass("hexpire") == 'h');
  CHECK(EventClass("expire") == 'g');
  CHECK(EventClass("expired") == 'x');
  CHECK(EventClass("push") == 0);
  CHECK(EventClass("") == 0);
  CHECK(IncludesEventClass("AKE", 'z'));
  CHECK(IncludesEventClass("z", 'z'));
  CHECK_FALSE(IncludesEventClass("AKE", 'm'));
  CHECK_FALSE(IncludesEventClass("AKE", 'n'));
  CHECK(IncludesEventClass("AnKE", 'n'));
  CHECK_FALSE(IncludesEventClass("KE$", 'z'));
}
