#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
};

constexpr const char* kNoAuth = "(error) NOAUTH Authentication required.";
constexpr const char* kWrongPass =
    "(error) WRONGPASS invalid username-password pair or user is disabled.";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "nothing but AUTH, HELLO, QUIT and RESET goes without a password") {
  c("CONFIG SET requirepass secret");
  TestClient d(&server);
  CHECK(d("PING") == kNoAuth);
  CHECK(d("AUTH secre") == kWrongPass);
  CHECK(d("AUTH secretsecret") == kWrongPass);
  CHECK(d("AUTH \"\"") == kWrongPass);
  CHECK(d("AUTH someone secret") == kWrongPass);
  CHECK(d("HELLO 3").starts_with("(error) NOAUTH HELLO must be called"));
  CHECK(d("RESET") == "RESET");
  CHECK(d("AUTH secret") == "OK");
  CHECK(d("PING") == "PONG");
  CHECK(d("RESET") == "RESET");
  CHECK(d("PING") == kNoAuth);
  CHECK(d("AUTH default secret") == "OK");
}

TEST_CASE_FIXTURE(Fixture, "a HELLO that fails changes nothing") {
  CHECK(c("HELLO 3 SETNAME \"a b\"").starts_with("(error) ERR Client names cannot"));
  CHECK(c("HELLO 3 SETNAME me NONSENSE") == "(error) ERR Syntax error in HELLO option 'NONSENSE'");
  CHECK(c("HELLO 3 AUTH someone x SETNAME me") == kWrongPass);
  CHECK(c.session().reply.protocol() == 2);
  CHECK(c("CLIENT GETNAME") == "(nil)");
  CHECK(c("HELLO 4") == "(error) NOPROTO unsupported protocol version");
  CHECK(c("HELLO 3 SETNAME me").find("\"proto\" => (integer) 3") != std::string::npos);
  CHECK(c("CLIENT GETNAME") == "\"me\"");
  CHECK(c("CONFIG GET port") == "{\"port\" => \"6379\"}");
}

TEST_CASE_FIXTURE(Fixture, "RESET makes a connection like new") {
  c("HELLO 3 SETNAME me");
  c("SELECT 5");
  c("CLIENT SETINFO LIB-NAME lib");
  c("CLIENT NO-TOUCH ON");
  c("WATCH k");
  c("MULTI");
  CHECK(c("RESET") == "RESET");
  CHECK(c("EXEC") == "(error) ERR EXEC without MULTI");
  CHECK(c("CLIENT GETNAME") == "(nil)");
  CHECK(c.session().db == 0);
  CHECK(c.session().reply.protocol() == 2);
  CHECK(c.session().watches.empty());
  CHECK_FALSE(c.session().no_touch);
  CHECK(c.session().library_name == "lib");
}

TEST_CASE_FIXTURE(Fixture, "CLIENT REPLY keeps silent, or skips one") {
  CHECK(c("CLIENT REPLY SKIP") == "(nothing)");
  CHECK(c("PING") == "(nothing)");
  CHECK(c("PING") == "PONG");
  CHECK(c("CLIENT REPLY OFF") == "(nothing)");
  CHECK(c("CLIENT REPLY SKIP") == "(nothing)");
  CHECK(c("PING") == "(nothing)");
  CHECK(c("PING") == "(nothing)");
  CHECK(c("CLIENT REPLY ON") == "OK");
  CHECK(c("CLIENT REPLY perhaps") == "(error) ERR syntax error");
}

TEST_CASE_FIXTURE(Fixture, "CLIENT KILL chooses by everything it is told") {
  TestClient d(&server), e(&server);
  d.session().address = "10.0.0.1:1";
  e.session().address = "10.0.0.1:2";
  server.AdvanceMs(5000);
  TestClient young(&server);
  CHECK(c("CLIENT KILL 10.0.0.1:3") == "(error) ERR No such client");
  CHECK(c("CLIENT KILL 10.0.0.1:1") == "OK");
  CHECK(d.session().close_now);
  CHECK(c("CLIENT KILL ADDR 10.0.0.1:2 TYPE pubsub") == "(integer) 0");
  CHECK(c("CLIENT KILL ADDR 10.0.0.1:2 ID 999") == "(integer) 0");
  CHECK_FALSE(e.session().close_now);
  CHECK(c("CLIENT KILL MAXAGE 6") == "(integer) 0");
  CHECK(c("CLIENT KILL MAXAGE 5") == "(integer) 2");
  CHECK(e.session().close_now);
  CHECK_FALSE(young.session().close_now);
  CHECK(c("CLIENT KILL MAXAGE 0") == "(error) ERR maxage should be greater than 0");
  CHECK(c("CLIENT KILL SKIPME no ID " + std::to_string(c.session().id)) == "(integer) 1");
  CHECK(c.session().close_after_reply);
}

TEST_CASE_FIXTURE(Fixture, "CLIENT LIST shows what a connection is up to") {
  TestClient d(&server);
  d.session().address = "10.0.0.1:1";
  d("CLIENT SETNAME worker");
  d("CLIENT SETINFO lib-ver 1.2");
  d("WATCH a b");
  d("MULTI");
  d("PING");
  server.AdvanceMs(2500);
  std::string line = c("CLIENT LIST ID " + std::to_string(d.session().id) + " 999");
  CHECK(line.starts_with("\"id=" + std::to_string(d.session().id) +
                         " addr=10.0.0.1:1 laddr= fd=-1 "
                         "name=worker age=2 idle=2 flags=x db=0 sub=0 psub=0 ssub=0 multi=1 "
                         "watch=2 qbuf=0 "));
  CHECK(
      line.ends_with("events=r cmd=ping user=default redir=-1 resp=2 lib-name= lib-ver=1.2\\n\""));
  CHECK(c("CLIENT LIST TYPE master") == "\"\"");
  CHECK(c("CLIENT SETINFO lib-name \"a b\"") ==
        "(error) ERR lib-name cannot contain spaces, newlines or special characters.");
}

TEST_CASE_FIXTURE(Fixture, "CLIENT UNBLOCK ends a wait, by timeout or error") {
  TestClient d(&server);
  std::string id = std::to_string(d.session().id);
  CHECK(c("CLIENT UNBLOCK " + id) == "(integer) 0");
  CHECK(d("BLPOP l 0") == "(blocked)");
  CHECK(c("CLIENT UNBLOCK " + id) == "(integer) 1");
  CHECK(d.Take() == "(nil)");
  CHECK(d("BLPOP l 0") == "(blocked)");
  CHECK(c("CLIENT UNBLOCK " + id + " ERROR") == "(integer) 1");
  CHECK(d.Take() == "(error) UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

TEST_CASE_FIXTURE(Fixture, "a paused client waits, and CLIENT UNBLOCK does not help it") {
  TestClient d(&server);
  CHECK(c("CLIENT PAUSE 1000 WRITE") == "OK");
  CHECK(d("GET k") == "(nil)");
  CHECK(d("SET k v") == "(blocked)");
  CHECK(c("CLIENT UNBLOCK " + std::to_string(d.session().id)) == "(integer) 0");
  server.AdvanceMs(1000);
  CHECK(d.Take() == "OK");
}
