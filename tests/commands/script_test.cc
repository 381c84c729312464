#include "src/engine/script.h"

#include "src/engine/function.h"
#include "src/engine/function_dump.h"
#include "src/engine/sha1.h"
#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
  TestClient other{&server};
  Scripting& scripting() { return server.engine().scripting(); }
};

// What the others do while a script runs for long.
struct BusyHost : Host {
  std::function<void()> meanwhile = [] {};
  void WhileBusy(const Session&) override { meanwhile(); }
};

struct BusyFixture {
  BusyHost host;
  TestServer server{&host};
  TestClient c{&server};
  TestClient other{&server};
  std::vector<std::string> heard;
  BusyFixture() { server.config().busy_reply_threshold = 1; }
};

}  // namespace

TEST_CASE("SHA-1 of the standard's examples") {
  CHECK(Sha1Hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(Sha1Hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(Sha1Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  CHECK(Sha1Hex(std::string(1'000'000, 'a')) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  CHECK(Sha1Hex(std::string(55, 'a')) == "c1c8bbdc22796e28c0e15163d20899b65621d65a");
  CHECK(Sha1Hex(std::string(64, 'a')) == "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

TEST_CASE_FIXTURE(Fixture, "scripts of EVAL are forgotten, the longest unused first") {
  c("EVAL 'return 0' 0");
  std::string kept = c("SCRIPT LOAD 'return -1'");
  for (int i = 1; i < 500; ++i) c("EVAL 'return " + std::to_string(i) + "' 0");
  CHECK(scripting().cached() == 501);
  c("EVALSHA " + Sha1Hex("return 0") + " 0");  // used again
  c("EVAL 'return 500' 0");
  CHECK(scripting().cached() == 501);
  CHECK(scripting().evicted() == 1);
  CHECK(c("SCRIPT EXISTS " + Sha1Hex("return 0") + " " + Sha1Hex("return 1") + " " +
          Sha1Hex("return 2") + " " + kept) ==
        "[(integer) 1, (integer) 0, (integer) 1, (integer) 1]");
  // What was EVAL's and is loaded stays.
  c("SCRIPT LOAD 'return 2'");
  for (int i = 1000; i < 1600; ++i) c("EVAL 'return " + std::to_string(i) + "' 0");
  CHECK(c("EVALSHA " + Sha1Hex("return 2") + " 0") == "(integer) 2");
  c("SCRIPT FLUSH");
  CHECK(scripting().cached() == 0);
  CHECK(scripting().cached_bytes() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a script that needs too much memory ends, and the next finds room") {
  server.config().lua_memory_limit = 4 << 20;
  const std::string error = "(error) ERR the script needs more memory than lua-memory-limit allows";
  CHECK(c("EVAL \"redis.call('SET', 'k', 'v') return string.rep('x', 8000000)\" 0") == error);
  CHECK(c("GET k") == "\"v\"");
  CHECK(c("EVAL \"local t = {} for i = 1, 1e9 do t[i] = {i} end\" 0") == error);
  CHECK(c("EVAL \"local t = {} for i = 1, 1000 do t[i] = 'x' end return #t\" 0") ==
        "(integer) 1000");
  // Arguments and replies count too.
  std::string large(5'000'000, 'x');
  CHECK(c.Call({"EVAL", "return 1", "0", large}) == error);
  c.Call({"SET", "large", large});
  CHECK(c("EVAL \"return #redis.call('GET', 'large')\" 0") == error);
  CHECK(c("EVAL \"return 1\" 0") == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture, "what is caught does not count: memory") {
  server.config().lua_memory_limit = 4 << 20;
  CHECK(c("EVAL \"return tostring(pcall(string.rep, 'x', 8000000))\" 0") == "\"false\"");
}

TEST_CASE_FIXTURE(Fixture, "who stops the collector stops it for one script") {
  server.config().lua_memory_limit = 4 << 20;
  for (const char* how : {"'stop'", "'setpause', 100000", "'setstepmul', 1"}) {
    CAPTURE(how);
    c("EVAL \"collectgarbage(" + std::string(how) + ")\" 0");
    CHECK(c("EVAL \"for i = 1, 200000 do local s = ('x'):rep(100) .. i end return 1\" 0") ==
          "(integer) 1");
  }
}

TEST_CASE_FIXTURE(Fixture, "CLIENT PAUSE WRITE holds back scripts that might write") {
  c.Call({"FUNCTION", "LOAD",
          "#!lua name=l\nredis.register_function{function_name='r', callback=function() return 1 "
          "end, flags={'no-writes'}} redis.register_function('w', function() return 2 end)"});
  std::string reads = "#!lua flags=no-writes\nreturn 3";
  c.Call({"SCRIPT", "LOAD", reads});
  CHECK(c("CLIENT PAUSE 1000 WRITE") == "OK");
  CHECK(c("EVAL_RO 'return 1' 0") == "(integer) 1");
  CHECK(c.Call({"EVAL", reads, "0"}) == "(integer) 3");
  CHECK(c("EVALSHA " + Sha1Hex(reads) + " 0") == "(integer) 3");
  CHECK(c("FCALL r 0") == "(integer) 1");
  CHECK(c("FCALL_RO r 0") == "(integer) 1");
  CHECK(c("SCRIPT EXISTS x") == "[(integer) 0]");
  CHECK(c("EVAL 'return 1' 0") == "(blocked)");
  CHECK(other("FCALL w 0") == "(blocked)");
  server.AdvanceMs(1000);
  CHECK(c.Take() == "(integer) 1");
  CHECK(other.Take() == "(integer) 2");
}

TEST_CASE_FIXTURE(Fixture, "no script can reach the machine, or another script") {
  for (const char* name : {"io", "require", "module", "package", "dofile", "loadfile", "debug",
                           "getfenv", "setfenv", "newproxy", "print", "os.execute"}) {
    CAPTURE(name);
    std::string text = "EVAL \"return type(" + std::string(name) + ")\" 0";
    std::string reply = c(text);
    CHECK((reply == "\"nil\"" || reply.find("nonexistent global") != std::string::npos));
  }
  // Every way to a shared table that the standard library has.
  for (const char* attempt :
       {"_G.x = 1", "rawset(_G, 'x', 1)", "string.x = 1", "getmetatable('').__index.x = 1",
        "getmetatable('').x = 1", "setmetatable(_G, {})", "setmetatable(string, {})",
        "table.insert(string, 1)", "redis.call = 1", "getmetatable(_G).__index = 1",
        "local f, s = pairs(_G) s.x = 1", "local f, s = pairs(string) rawset(s, 'x', 1)",
        "cjson.x = 1", "os.clock = 1", "KEYS = 1", "redis.x = 1", "math.random = 1",
        "table.foreach(_G, function(k, v) if k == '_G' then v.x = 1 end end)",
        "for k, v in next, _G do if k == 'string' then v.x = 1 end end"}) {
    CAPTURE(attempt);
    std::string reply = c.Call({"EVAL", attempt, "0"});
    CHECK(reply.find("Attempt to modify a readonly table") != std::string::npos);
  }
  CHECK(c.Call({"EVAL", "return {tostring(rawget(_G, 'x')), tostring(string.x), #string}", "0"}) ==
        "[\"nil\", \"nil\", (integer) 0]");
  // Compiled code is not taken, whichever way it comes.
  for (const char* attempt :
       {"return loadstring(string.dump(function() end)) == nil",
        "local s = string.dump(function() end) return load(function() local x = s s = nil return "
        "x end) == nil",
        "local s = string.dump(function() end) local i = 0 return load(function() i = i + 1 if i "
        "> #s then return nil end return s:sub(i, i) end) == nil"}) {
    CAPTURE(attempt);
    CHECK(c.Call({"EVAL", attempt, "0"}) == "(integer) 1");
  }
  CHECK(c.Call({"EVAL", "\x1bLua", "0"}).find("char(27)") != std::string::npos);
}

TEST_CASE_FIXTURE(BusyFixture, "a script that runs for long: BUSY for others, until it is killed") {
  std::string function =
      "#!lua name=l\nredis.register_function('f', function() while true do end end)";
  c.Call({"FUNCTION", "LOAD", function});
  host.meanwhile = [&] {
    heard = {other("GET k"),          other("PING"),     other("EVAL 'return 1' 0"),
             other("MULTI"),          other("DISCARD"),  other("FUNCTION KILL"),
             other("FUNCTION STATS"), other("SHUTDOWN"), other("SCRIPT KILL")};
  };
  server.clock().TickUs(100'000);
  CHECK(c("EVAL 'while true do end' 0") ==
        "(error) ERR Script killed by user with SCRIPT KILL... script: " +
            Sha1Hex("while true do end") + ", on @user_script:1.");
  const std::string busy = "(error) " + std::string(errors::kBusyScript);
  CHECK(heard == std::vector<std::string>{busy, busy, busy, "OK", "OK", busy, busy, busy, "OK"});
  CHECK(other("SCRIPT KILL") == "(error) NOTBUSY No scripts in execution right now.");

  host.meanwhile = [&] { heard = {other("GET k"), other("SCRIPT KILL"), other("FUNCTION KILL")}; };
  CHECK(c("FCALL f 0") ==
        "(error) ERR Script killed by user with SCRIPT KILL... script: f, on @user_function:2.");
  const std::string busy_function = "(error) " + std::string(errors::kBusyFunction);
  CHECK(heard == std::vector<std::string>{busy_function, busy_function, "OK"});

  // It cannot be caught, nor in a coroutine.
  host.meanwhile = [&] { other("SCRIPT KILL"); };
  CHECK(c("EVAL 'while true do pcall(function() while true do end end) end' 0")
            .starts_with("(error) ERR Script killed"));
  CHECK(c("EVAL 'while true do coroutine.wrap(function() while true do end end)() end' 0")
            .find("Script killed") != std::string::npos);
  CHECK(c("EVAL 'return 1' 0") == "(integer) 1");
}

TEST_CASE_FIXTURE(BusyFixture,
                  "a script that has written is not killed; SHUTDOWN NOSAVE drops it") {
  c("SET before 1");
  server.Turn();
  host.meanwhile = [&] { heard = {other("SCRIPT KILL"), other("SHUTDOWN NOSAVE")}; };
  server.clock().TickUs(100'000);
  c("EVAL \"redis.call('SET', 'half', 1) while true do end\" 0");
  CHECK(heard[0].starts_with("(error) UNKILLABLE "));
  CHECK(server.engine().shutdown_requested);
  CHECK(c.session().close_now);
  CHECK(server.store().keys().Find(0, "half") == nullptr);
}

TEST_CASE_FIXTURE(BusyFixture, "busy-reply-threshold 0: nobody is told anything") {
  server.config().busy_reply_threshold = 0;
  server.clock().TickUs(100'000);
  host.meanwhile = [&] { heard.push_back("asked"); };
  CHECK(c("EVAL 'for i = 1, 2000000 do end return 1' 0") == "(integer) 1");
  CHECK(heard.empty());
}

TEST_CASE_FIXTURE(BusyFixture, "time stands still for a script, and goes on behind it") {
  server.clock().TickUs(100'000);
  CHECK(c("EVAL \"local a = redis.call('TIME') for i = 1, 2000000 do end local b = "
          "redis.call('TIME') return {a[1] == b[1], a[2] == b[2]}\" 0") ==
        "[(integer) 1, (integer) 1]");
  int64_t before = server.engine().now_us();
  c("EVAL 'for i = 1, 2000000 do end' 0");
  CHECK(server.engine().now_us() > before);
}

TEST_CASE_FIXTURE(BusyFixture, "a library that does not end loading is given up") {
  server.clock().TickUs(100'000);
  CHECK(c.Call({"FUNCTION", "LOAD", "#!lua name=l\nwhile true do end"}) ==
        "(error) ERR Error registering functions: ERR FUNCTION LOAD timeout");
  CHECK(c("FUNCTION LIST") == "[]");
}

TEST_CASE_FIXTURE(Fixture, "functions are kept with the data") {
  std::string code = "#!lua name=l\nredis.register_function('f', function() return 7 end)";
  CHECK(c.Call({"FUNCTION", "LOAD", code}) == "\"l\"");
  CHECK(c("FCALL f 0") == "(integer) 7");
  server.Turn();
  scripting().functions().Forget();  // as after a restart
  CHECK(c("FCALL F 0") == "(integer) 7");
  CHECK(c("FUNCTION DELETE l") == "OK");
  CHECK(c("FCALL f 0") == "(error) ERR Function not found");
}

TEST_CASE("FUNCTION DUMP and back; bytes that are no dump") {
  std::vector<std::string> codes{"a", std::string(100, 'b'), std::string(20'000, 'c'), ""};
  std::string dump = DumpLibraries({codes[0], codes[1], codes[2], codes[3]});
  std::vector<std::string> read;
  CHECK(ReadDump(dump, &read) == "");
  CHECK(read == codes);
  CHECK(Crc64("123456789") == 0xe9c6d914c4b8d9ca);
  for (size_t i = 0; i < dump.size(); i += 97) {
    std::string wrong = dump;
    wrong[i] ^= 1;
    CHECK(ReadDump(wrong, &read) == "ERR DUMP payload version or checksum are wrong");
  }
  // Literals, a repetition that overlaps itself, and what is not complete.
  CHECK(DecompressLzf({"\x01"
                       "ab"
                       "\x80\x01",
                       5},
                      8) == std::optional<std::string>("abababab"));
  CHECK(DecompressLzf({"\x01"
                       "ab"
                       "\x80\x01",
                       5},
                      7) == std::nullopt);
  CHECK(DecompressLzf({"\x01"
                       "ab"
                       "\x80\x02",
                       5},
                      8) == std::nullopt);
  CHECK(DecompressLzf({"\x05"
                       "ab",
                       3},
                      6) == std::nullopt);
  CHECK(DecompressLzf({"\xe0", 1}, 9) == std::nullopt);
  CHECK(DecompressLzf({"", 0}, 0) == std::optional<std::string>(""));
}
