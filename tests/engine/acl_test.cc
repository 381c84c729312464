// Users: what the rules make of them, how they are checked, kept in files and closed.
#include "src/engine/acl.h"

#include <fstream>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
};

// Rules applied to a user, and what becomes of it.
struct Rules {
  CommandTable table;
  Config config;
  Acl acl{&table, &config};

  std::string Set(std::vector<std::string_view> rules) { return acl.SetUser("u", rules); }
  std::string Text() { return acl.Describe().back(); }
  Denied Check(std::vector<std::string_view> call) {
    const Row* row = table.Find(call[0]);
    if (!row->subcommands.empty()) row = CommandTable::FindSub(*row, call[1]);
    return acl.Find("u")->Check(*row, call).denied;
  }
};

constexpr Denied kAllowed = Denied::kNothing;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE_FIXTURE(Rules,
                  "acl: the later rule about a command wins, and takes the older one's place") {
  CHECK(Set({"+get", "+@list", "-lpush"}) == "");
  CHECK(Text() == "user u off resetchannels -@all +get +@list -lpush");
  CHECK(Set({"-get", "+lpush"}) == "");
  CHECK(Text() == "user u off resetchannels -@all +@list -get +lpush");
  CHECK(Set({"-@list"}) == "");
  CHECK(Text() == "user u off resetchannels -@all -get +lpush -@list");
  CHECK(Check({"lpush", "k", "v"}) == Denied::kCommand);
  CHECK(Set({"+config|get", "+config|set", "+config"}) == "");
  CHECK(Text() == "user u off resetchannels -@all -get +lpush -@list +config");
  CHECK(Set({"-config|set"}) == "");
  CHECK(Check({"config", "get", "x"}) == kAllowed);
  CHECK(Check({"config", "set", "x", "y"}) == Denied::kCommand);
  CHECK(Set({"+@all"}) == "");
  CHECK(Text() == "user u off resetchannels +@all");
}

TEST_CASE_FIXTURE(Rules, "acl: a command's first argument can be all that is allowed") {
  CHECK(Set({"+select|0", "+select|One"}) == "");
  CHECK(Check({"select", "0"}) == kAllowed);
  CHECK(Check({"select", "oNE"}) == kAllowed);
  CHECK(Check({"select", "2"}) == Denied::kCommand);
  CHECK(Set({"+select"}) == "");
  CHECK(Check({"select", "2"}) == kAllowed);
  CHECK(Set({"-select"}) == "");
  CHECK(Check({"select", "0"}) == Denied::kCommand);
}

TEST_CASE_FIXTURE(Rules, "acl: a key pattern allows to read, to write, or both") {
  CHECK(Set({"+@all", "%R~r*", "%W~w*", "~b"}) == "");
  CHECK(Check({"get", "r1"}) == kAllowed);
  CHECK(Check({"get", "w1"}) == Denied::kKey);
  CHECK(Check({"set", "w1", "x"}) == kAllowed);
  CHECK(Check({"set", "w1", "x", "GET"}) == Denied::kKey);
  CHECK(Check({"set", "b", "x", "GET"}) == kAllowed);
  CHECK(Check({"mget", "r1", "b", "c"}) == Denied::kKey);
  CHECK(Check({"copy", "r1", "w1"}) == kAllowed);
  CHECK(Check({"copy", "w1", "r1"}) == Denied::kKey);
  CHECK(acl.Find("u")
            ->Check(*table.Find("mget"), std::vector<std::string_view>{"mget", "b", "x"})
            .arg == 2);
  // One pattern after another may say more about the same keys.
  CHECK(Set({"%W~r*"}) == "");
  CHECK(acl.Find("u")->selectors()[0].Keys() == "~r* %W~w* ~b");
}

TEST_CASE_FIXTURE(Rules, "acl: one selector must allow all of a call") {
  CHECK(Set({"+get", "~a", "(+set ~b)", "(+@read", "%R~c*", "&ch)"}) == "");
  CHECK(Check({"get", "a"}) == kAllowed);
  CHECK(Check({"set", "b", "x"}) == kAllowed);
  CHECK(Check({"set", "a", "x"}) == Denied::kKey);
  CHECK(Check({"mget", "c1", "c2"}) == kAllowed);
  CHECK(Check({"mget", "a", "c1"}) == Denied::kKey);
  CHECK(Check({"del", "a"}) == Denied::kCommand);
  CHECK_FALSE(acl.Find("u")->unrestricted());
  CHECK(Set({"(+@all allkeys allchannels)"}) == "");
  CHECK(acl.Find("u")->unrestricted());
  CHECK(Check({"del", "a"}) == kAllowed);
}

TEST_CASE_FIXTURE(Rules, "acl: a subscription to a pattern needs that very pattern") {
  CHECK(Set({"+@all", "&news:*", "&jobs"}) == "");
  CHECK(Check({"publish", "news:1", "m"}) == kAllowed);
  CHECK(Check({"publish", "job", "m"}) == Denied::kChannel);
  CHECK(Check({"subscribe", "jobs", "news:2"}) == kAllowed);
  CHECK(Check({"psubscribe", "news:*"}) == kAllowed);
  CHECK(Check({"psubscribe", "news:1"}) == Denied::kChannel);
  CHECK(Check({"unsubscribe", "else"}) == kAllowed);
}

TEST_CASE_FIXTURE(Rules, "acl: all rules of a call or none") {
  CHECK(Set({"on", ">x", "~a"}) == "");
  std::string before = Text();
  CHECK(Set({"off", "+get", "nonsense"}) ==
        "ERR Error in ACL SETUSER modifier 'nonsense': Syntax error");
  CHECK(Set({"off", "(+get ~x"}) ==
        "ERR Unmatched parenthesis in acl selector starting at '(+get ~x'.");
  CHECK(Text() == before);
}

TEST_CASE_FIXTURE(Rules, "acl: passwords are kept as hashes") {
  CHECK(Set({"on", ">abc"}) == "");
  CHECK(Text() ==
        "user u on #ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
        "resetchannels -@all");
  CHECK(acl.Authenticate("u", "abc") == acl.Find("u"));
  CHECK(acl.Authenticate("u", "ab") == nullptr);
  CHECK(acl.Authenticate("nobody", "abc") == nullptr);
  CHECK(Set({"off"}) == "");
  CHECK(acl.Authenticate("u", "abc") == nullptr);
  CHECK(acl.Authenticate("default", "whatever") == acl.default_user());
  acl.SetDefaultPassword("secret");
  CHECK(acl.auth_required());
  CHECK(acl.Authenticate("default", "whatever") == nullptr);
  acl.SetDefaultPassword("");
  CHECK_FALSE(acl.auth_required());
}

TEST_CASE_FIXTURE(Rules, "acl: what is saved comes back, quotes and parentheses too") {
  CHECK(Set({"on", "~a\"b", "%RW~*", "~z", "(+get ~x\\) ~\"y'z\")", "+select|')", "&(", "+get"}) ==
        "");
  CHECK(acl.SetUser("", {}) == "");
  std::vector<std::string> lines = acl.Describe();
  std::string text;
  for (const std::string& line : lines) text += line + "\r\n\n";
  Acl again(&table, &config);
  CHECK(again.LoadText(text, "f") == "");
  CHECK(again.Describe() == lines);
}

TEST_CASE_FIXTURE(Rules, "acl: a file with an error changes nothing, and every error is told") {
  CHECK(Set({"on"}) == "");
  CHECK(acl.LoadText("user a on\n# no\nuser a off\nuser b +x hello huh +y\nuser c (+get\n", "f") ==
        "f:2 should start with user keyword followed by the username. "
        "WARNING: Duplicate user 'a' found on line 3. "
        "f:4: Error in applying operation '+x': Unknown command or category name in ACL. "
        "f:4: Syntax error. "
        "f:4: Error in applying operation '+y': Unknown command or category name in ACL. "
        "f:5: Unmatched parenthesis in selector definition. "
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed");
  CHECK(acl.Find("a") == nullptr);
  CHECK(acl.Find("u") != nullptr);
}

TEST_CASE_FIXTURE(Rules,
                  "acl: loading keeps who stays, forgets who is gone, and makes default anew") {
  CHECK(Set({"on"}) == "");
  std::shared_ptr<AclUser> user = acl.Find("u"), root = acl.default_user();
  CHECK(acl.LoadText("user u off +get\nuser default on nopass +ping\n", "f") == "");
  CHECK(acl.Find("u") == user);
  CHECK(Text() == "user u off resetchannels -@all +get");
  CHECK(acl.default_user() == root);
  CHECK_FALSE(root->unrestricted());
  CHECK(acl.LoadText("user v on\n", "f") == "");
  CHECK_FALSE(acl.Exists(*user));
  CHECK(acl.Find("default") == root);
  CHECK(root->unrestricted());
}

TEST_CASE_FIXTURE(Rules, "acl: users of the configuration, or of a file, not both") {
  Directives directives(&config);
  CHECK(directives.Configure("user", {"a", "on", "(+get", "~x)"}) == "");
  CHECK(directives.Configure("user", {"a", "off"}) ==
        "Error in user declaration 'a': Duplicate user found. A user can only be defined once in "
        "config files");
  CHECK(directives.Configure("user", {}) == "Bad directive or wrong number of arguments");
  CHECK(directives.Configure("user", {"default", "on", ">x", "+@all"}) == "");
  CHECK(acl.LoadAtStart() == "");
  CHECK(acl.Describe()[0] == "user a on resetchannels -@all (~x resetchannels -@all +get)");
  CHECK(acl.auth_required());
  CHECK(directives.Configure("user", {"b", "+nope"}) == "");
  CHECK(acl.LoadAtStart() ==
        "Error in user declaration 'b': '+nope': Unknown command or category name in ACL");
  config.aclfile = "users.acl";
  CHECK(acl.LoadAtStart().starts_with("There are both an aclfile and users"));
}

TEST_CASE("acl: CONFIG REWRITE puts each user where it stood") {
  TempDir dir;
  std::string path = dir.path() + "/conf";
  std::ofstream(path) << "# first\nuser a on\nport 6379\nuser gone on\n";
  Config config;
  config.config_file = path;
  Directives directives(&config);
  CHECK(directives.Rewrite({"user a off", "user b on"}) == "");
  CHECK(ReadAll(path) ==
        "# first\nuser a off\nport 6379\n\n# Generated by CONFIG REWRITE\nuser b on\n");
}

TEST_CASE_FIXTURE(Fixture,
                  "acl: rights that are taken away count at once, also for what was queued") {
  TestClient d(&server);
  CHECK(c("ACL SETUSER u on nopass +@all ~*") == "OK");
  CHECK(d("AUTH u x") == "OK");
  CHECK(d("SET k v") == "OK");
  CHECK(d("MULTI") == "OK");
  CHECK(d("SET k w") == "QUEUED");
  CHECK(d("GET k") == "QUEUED");
  CHECK(c("ACL SETUSER u -set") == "OK");
  CHECK(d("EXEC").starts_with("[(error) NOPERM ACLs rules changed between the moment"));
  CHECK(c("GET k") == "\"v\"");
  CHECK(d("SET k w") == "(error) NOPERM this user has no permissions to run the 'set' command");
  CHECK(server.engine().stats().denied_commands == 2);
}

TEST_CASE_FIXTURE(Fixture, "acl: a waiting client is refused when it is woken without the right") {
  TestClient d(&server);
  c("ACL SETUSER u on nopass +@all ~*");
  d("AUTH u x");
  CHECK(d("BLPOP k 0") == "(blocked)");
  c("ACL SETUSER u resetkeys ~other");
  CHECK(c("RPUSH k 1") == "(integer) 1");
  CHECK(d.Take() ==
        "(error) NOPERM this user has no permissions to access one of the keys used as arguments");
  CHECK(c("LLEN k") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture,
                  "acl: a deleted user's clients are closed, and may do nothing until then") {
  TestClient d(&server), e(&server);
  c("ACL SETUSER u on nopass +@all ~*");
  d("AUTH u x");
  CHECK(c("ACL DELUSER u nobody") == "(integer) 1");
  CHECK(d.session().close_now);
  CHECK_FALSE(e.session().close_now);
  CHECK_FALSE(c.session().close_now);
  CHECK(d.session().user == server.engine().acl().default_user());
}

TEST_CASE_FIXTURE(Fixture, "acl: who may not hear a channel any more is closed") {
  TestClient d(&server), e(&server);
  c("ACL SETUSER u on nopass +@all &a &p*");
  d("AUTH u x");
  e("AUTH u x");
  d("SUBSCRIBE a");
  e("PSUBSCRIBE p*");
  c("ACL SETUSER u &more");
  CHECK_FALSE(d.session().close_now);
  c("ACL SETUSER u resetchannels &p*");
  CHECK(d.session().close_now);
  CHECK_FALSE(e.session().close_now);
  c("ACL SETUSER u resetchannels &*");
  CHECK_FALSE(e.session().close_now);
  c("ACL SETUSER u resetchannels &p");
  CHECK(e.session().close_now);
}

TEST_CASE_FIXTURE(Fixture,
                  "acl: the log counts the same refusal within a minute, and has a length") {
  TestClient d(&server, 3);
  c("ACL SETUSER u on nopass +@all -keys -scan");
  d("AUTH u x");
  d("KEYS *");
  server.AdvanceMs(59'000);
  d("KEYS *");
  const auto& entries = server.engine().acl().log().entries();
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].count == 2);
  CHECK(entries[0].updated_ms - entries[0].created_ms == 59'000);
  server.AdvanceMs(60'001);
  d("KEYS *");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].count == 1);
  CHECK(entries[0].id == 1);
  CHECK(entries[0].client.find("user=u") != std::string::npos);
  c("CONFIG SET acllog-max-len 1");
  d("SCAN 0");
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].object == "scan");
  server.AdvanceMs(1500);
  CHECK(c("ACL LOG").find("\"age-seconds\", \"1.5\"") != std::string::npos);
  CHECK(c("ACL LOG RESET") == "OK");
  CHECK(entries.empty());
}

TEST_CASE_FIXTURE(Fixture, "acl: SLOWLOG tells no secrets of users") {
  c("CONFIG SET slowlog-log-slower-than 0");
  c("ACL SETUSER u >secret");
  std::string log = c("SLOWLOG GET 1");
  CHECK(log.find("SETUSER") != std::string::npos);
  CHECK(log.find("secret") == std::string::npos);
  CHECK(log.find("(redacted)") != std::string::npos);
}
