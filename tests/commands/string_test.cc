#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
};

constexpr const char* kNotInteger = "(error) ERR value is not an integer or out of range";
constexpr const char* kNotFloat = "(error) ERR value is not a valid float";
constexpr const char* kWrongType =
    "(error) WRONGTYPE Operation against a key holding the wrong kind of value";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "SET: conditions and GET") {
  CHECK(c("SET k 1 XX") == "(nil)");
  CHECK(c("SET k 1 NX") == "OK");
  CHECK(c("SET k 2 nx") == "(nil)");
  CHECK(c("SET k 2 NX GET") == "\"1\"");
  CHECK(c("SET k 2 GET") == "\"1\"");
  CHECK(c("SET new 2 NX GET") == "(nil)");
  CHECK(c("GET new") == "\"2\"");
  CHECK(c("SET none 2 XX GET") == "(nil)");
  CHECK(c("EXISTS none") == "(integer) 0");
  CHECK(c("SET k 3 NX XX") == "(error) ERR syntax error");
  CHECK(c("GET k") == "\"2\"");
}

TEST_CASE_FIXTURE(Fixture, "SET replaces any type, and GET refuses to tell it") {
  c("RPUSH l a b");
  CHECK(c("SET l v GET") == kWrongType);
  CHECK(c("LLEN l") == "(integer) 2");
  CHECK(c("SET l v") == "OK");
  CHECK(c("GET l") == "\"v\"");
  CHECK(c("TYPE l") == "string");
}

TEST_CASE_FIXTURE(Fixture, "SET: times") {
  CHECK(c("SET k v EX 10") == "OK");
  CHECK(c("PTTL k") == "(integer) 10000");
  CHECK(c("SET k v KEEPTTL") == "OK");
  CHECK(c("PTTL k") == "(integer) 10000");
  CHECK(c("SET k v EX 10 EX 20") == "OK");
  CHECK(c("TTL k") == "(integer) 20");
  CHECK(c("SET k v") == "OK");
  CHECK(c("TTL k") == "(integer) -1");
  CHECK(c("SET k v PX 1500") == "OK");
  CHECK(c("PTTL k") == "(integer) 1500");
  CHECK(c("SET k v EX 10 PX 10") == "(error) ERR syntax error");
  CHECK(c("SET k v EX 10 KEEPTTL") == "(error) ERR syntax error");
  CHECK(c("SET k v EX") == "(error) ERR syntax error");
  CHECK(c("SET k v EX 0") == "(error) ERR invalid expire time in 'set' command");
  CHECK(c("SET k v EX 9223372036854775807") == "(error) ERR invalid expire time in 'set' command");
  CHECK(c("SET k v PX 9223372036854775807") == "(error) ERR invalid expire time in 'set' command");
  CHECK(c("SET k v PXAT 9223372036854775807") == "OK");
  CHECK(c("SET k v EX 1.5") == kNotInteger);
  CHECK(c("SETEX k 0 v") == "(error) ERR invalid expire time in 'setex' command");
  CHECK(c("PSETEX k -1 v") == "(error) ERR invalid expire time in 'psetex' command");
}

TEST_CASE_FIXTURE(Fixture, "SET with a moment that has passed") {
  server.engine().active_expire = false;
  CHECK(c("SET k v EXAT 1") == "OK");
  CHECK(c("DBSIZE") == "(integer) 1");
  CHECK(c("GET k") == "(nil)");
  CHECK(c("DBSIZE") == "(integer) 0");
}

TEST_CASE_FIXTURE(Fixture, "GETEX and GETDEL") {
  CHECK(c("GETEX k EX nonsense") == "(nil)");  // the key is looked up first
  c("SET k v");
  CHECK(c("GETEX k") == "\"v\"");
  CHECK(c("GETEX k PX 500") == "\"v\"");
  CHECK(c("PTTL k") == "(integer) 500");
  CHECK(c("GETEX k PERSIST") == "\"v\"");
  CHECK(c("TTL k") == "(integer) -1");
  CHECK(c("GETEX k EX 0") == "(error) ERR invalid expire time in 'getex' command");
  CHECK(c("GETEX k KEEPTTL") == "(error) ERR syntax error");
  CHECK(c("GETEX k EXAT 1") == "\"v\"");
  CHECK(c("EXISTS k") == "(integer) 0");
  c("SET k v");
  CHECK(c("GETDEL k") == "\"v\"");
  CHECK(c("GETDEL k") == "(nil)");
}

TEST_CASE_FIXTURE(Fixture, "MSET and MSETNX") {
  CHECK(c("MSET a 1 b 2 a 3") == "OK");
  CHECK(c("MGET a b none") == "[\"3\", \"2\", (nil)]");
  CHECK(c("MSET a 1 b") == "(error) ERR wrong number of arguments for 'mset' command");
  CHECK(c("MSETNX c 1 a 2") == "(integer) 0");
  CHECK(c("EXISTS c") == "(integer) 0");
  CHECK(c("MSETNX c 1 d 2") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture, "INCR and its family") {
  CHECK(c("INCR n") == "(integer) 1");
  CHECK(c("DECRBY n 11") == "(integer) -10");
  c("SET n 9223372036854775807");
  CHECK(c("INCR n") == "(error) ERR increment or decrement would overflow");
  CHECK(c("INCRBY n -1") == "(integer) 9223372036854775806");
  CHECK(c("DECRBY n -9223372036854775808") == "(error) ERR decrement would overflow");
  for (const char* odd :
       {"\"\"", "\" 1\"", "01", "-0", "+1", "1.0", "1e3", "9223372036854775808"}) {
    c("SET n " + std::string(odd));
    CHECK(c("INCR n") == kNotInteger);
  }
  c("SET n 5 EX 100");
  c("INCR n");
  CHECK(c("TTL n") == "(integer) 100");
  CHECK(c("INCRBY n x") == kNotInteger);
}

TEST_CASE_FIXTURE(Fixture, "INCRBYFLOAT") {
  CHECK(c("INCRBYFLOAT f 10.5") == "\"10.5\"");
  CHECK(c("INCRBYFLOAT f 0.1") == "\"10.6\"");
  CHECK(c("INCRBYFLOAT f -10.6") == "\"0\"");
  CHECK(c("INCRBYFLOAT f 3e2") == "\"300\"");
  CHECK(c("INCRBYFLOAT f x") == kNotFloat);
  CHECK(c("INCRBYFLOAT f inf") == "(error) ERR increment would produce NaN or Infinity");
  CHECK(c("INCRBYFLOAT f nan") == kNotFloat);
  CHECK(c("OBJECT ENCODING f") == "\"embstr\"");
  c("SET f 1e4000");
  CHECK(c("INCRBYFLOAT f 1e4000").size() == 4003);
  CHECK(c("STRLEN f") == "(integer) 4001");
  CHECK(c("INCRBYFLOAT f 1e4000").size() == 4003);  // and it can be read again
  c("SET f 1e4932");
  CHECK(c("INCRBYFLOAT f 1e4932") == "(error) ERR increment would produce NaN or Infinity");
}

TEST_CASE_FIXTURE(Fixture, "GETRANGE and SETRANGE") {
  c("SET k \"Hello World\"");
  CHECK(c("GETRANGE k 0 4") == "\"Hello\"");
  CHECK(c("GETRANGE k -5 -1") == "\"World\"");
  CHECK(c("GETRANGE k 4 2") == "\"\"");
  CHECK(c("GETRANGE k -100 -200") == "\"\"");
  CHECK(c("GETRANGE k -100 -100") == "\"H\"");
  CHECK(c("GETRANGE none x 1") == kNotInteger);
  CHECK(c("SUBSTR k 0 -1") == "\"Hello World\"");
  CHECK(c("SETRANGE k 6 Redis") == "(integer) 11");
  CHECK(c("GET k") == "\"Hello Redis\"");
  CHECK(c("SETRANGE new 2 x") == "(integer) 3");
  CHECK(c("GET new") == "\"\\x00\\x00x\"");
  CHECK(c("SETRANGE none 5 \"\"") == "(integer) 0");
  CHECK(c("EXISTS none") == "(integer) 0");
  CHECK(c("SETRANGE k -1 x") == "(error) ERR offset is out of range");
  const char* too_long = "(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)";
  CHECK(c("SETRANGE k 536870912 x") == too_long);
  CHECK(c("SETRANGE k 9223372036854775807 x") == too_long);
  CHECK(c("SETRANGE far 536870911 x") == "(integer) 536870912");
  CHECK(c("APPEND far x") == too_long);
  CHECK(c("GETRANGE far 536870910 -1") == "\"\\x00x\"");
}

TEST_CASE_FIXTURE(Fixture, "long values come back whole") {
  Random random(1);
  for (size_t size : {1024, 1025, 4080, 8160, 8161, 100'000, 3'000'000}) {
    std::string value = random.Bytes(size);
    CHECK(c.Call({"SET", "k", value}) == "OK");
    resp::Reply reply;
    reply.type = resp::Reply::Type::kString;
    reply.text = value;
    CHECK(c("GET k") == ToText(reply));
    reply.text = value.substr(500, size - 600);
    CHECK(c.Call({"GETRANGE", "k", "500", "-101"}) == ToText(reply));
    server.Turn();
  }
}

TEST_CASE_FIXTURE(Fixture, "OBJECT ENCODING remembers how a string came about") {
  auto encoding = [&](std::string_view command) {
    c(command);
    return c("OBJECT ENCODING k");
  };
  CHECK(encoding("SET k 123") == "\"int\"");
  CHECK(encoding("SET k 0123") == "\"embstr\"");
  CHECK(encoding("SET k " + std::string(44, 'x')) == "\"embstr\"");
  CHECK(encoding("SET k " + std::string(45, 'x')) == "\"raw\"");
  c("DEL k");
  CHECK(encoding("APPEND k 12") == "\"int\"");
  CHECK(encoding("APPEND k 3") == "\"raw\"");
  CHECK(encoding("INCR k") == "\"int\"");
  CHECK(encoding("INCRBYFLOAT k 1") == "\"embstr\"");
  CHECK(encoding("SETRANGE k 0 9") == "\"raw\"");
  c("COPY k copy");
  CHECK(c("OBJECT ENCODING copy") == "\"raw\"");
  CHECK(encoding("GETSET k 9") == "\"int\"");
  CHECK(c("OBJECT REFCOUNT k") == "(integer) 2147483647");
  c("SET k 10000");
  CHECK(c("OBJECT REFCOUNT k") == "(integer) 1");
}

TEST_CASE("RESP3: nothing is null") {
  TestServer server;
  TestClient c(&server, 3);
  c.Call({"GET", "none"});
  c.session().out.Consume(c.session().out.size());
  std::string_view args[] = {"MGET", "none"};
  server.engine().Execute(c.session(), args);
  CHECK(c.session().out.view() == "*1\r\n_\r\n");
}
