// A group with entries in every state, at the edges of the key space: what becomes of it when its
// key goes elsewhere, goes away or is used by a script; and that nothing is left of what is gone.
#include <algorithm>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

constexpr int64_t kDay = 86'400'000;

struct Fixture {
  TestServer server;
  TestClient c{&server}, other{&server};
  std::vector<size_t> empty = Rows();

  // How many rows each table has when there is nothing left to reclaim.
  std::vector<size_t> Rows() {
    server.Turn();
    while (server.store().Reclaim()) {
    }
    server.Turn();
    std::vector<size_t> rows;
    for (const TableRows& table : AllTables(&server.store().env())) rows.push_back(table.size());
    rows[static_cast<size_t>(Table::kMeta)] = 0;
    return rows;
  }
  bool NothingLeft() {
    for (int i = 0; i < 10; ++i) server.AdvanceMs(kDay);
    return Rows() == empty && c("DBSIZE") == "(integer) 0" &&
           !server.store().keys().NextMoment(Keyspace::Moment::kTimer) &&
           c("INFO queues").find("_0:") == std::string::npos;
  }

  // How many rows groups have in their queues; number 0 is the agenda's.
  size_t Queued() {
    size_t queued = 0;
    for (auto& [key, value] : AllRows(&server.store().env(), Table::kDue)) {
      queued += key.substr(8, 4) != std::string(4, '\0');
    }
    return queued;
  }

  // Some of XINFO POLICY's counters, and INFO queues says the same.
  std::string Counts() {
    std::string info = c("XINFO POLICY s g"), queues = c("INFO queues"), counts;
    queues = queues.substr(std::min(queues.find("key=s,group=g,"), queues.size()));
    for (std::string name : {"ready", "in-flight", "waiting", "parked", "dead"}) {
      size_t at = info.find("\"" + name + "\", ");
      if (at == std::string::npos) return info;
      at += name.size() + 4;
      std::string value = info.substr(at, info.find(",", at) - at);
      if (value.starts_with("(integer) ")) value = value.substr(10);
      counts += (counts.empty() ? "" : " ") + name + " " + value;
      std::replace(name.begin(), name.end(), '-', '_');
      CHECK(queues.find("," + name + "=" + value + ",") < queues.find("list_"));
    }
    return counts;
  }
  const std::string kEverything = "ready 4 in-flight 1 waiting 1 parked 2 dead 1";

  // What stands in a reply behind a field, of all entries.
  static std::string Values(const std::string& reply, const std::string& field) {
    std::string found, start = "\"" + field + "\", \"";
    for (size_t at = 0; (at = reply.find(start, at)) != std::string::npos;) {
      at += start.size();
      found += (found.empty() ? "" : " ") + reply.substr(at, reply.find('"', at) - at);
    }
    return found;
  }
  std::string Read(std::string_view more = "") {
    return Values(c("XREADGROUP GROUP g r " + std::string(more) + " STREAMS s >"), "f");
  }

  // Entries in every state there is, and what else a stream may have.
  void MakeEverything() {
    auto add = [&](const char* id, const char* k) {
      c("XADD s " + std::string(id) + " k " + k + " f " + std::string(id).substr(0, 1));
    };
    c("XGROUP CREATE s g $ MKSTREAM");
    CHECK(c("XGROUP CFGSET s g ORDERBY k VISIBILITY 1000 BACKOFF 1 5000") == "OK");
    add("1-1", "e");
    CHECK(Read() == "1");  // will be overdue
    server.AdvanceMs(5990);
    add("2-1", "a");  // in flight
    add("3-1", "a");  // passed over
    add("4-1", "b");  // dead
    add("5-1", "c");  // waiting
    add("6-1", "d");  // in line
    add("7-1", "a");  // parked
    CHECK(Read() == "2 4 5 6");
    c("XNACK s g SILENT IDS 1 7-1 FORCE");
    CHECK(Read() == "");
    c("XNACK s g FATAL IDS 1 4-1");
    c("XNACK s g FAIL IDS 1 5-1");
    c("XNACK s g SILENT IDS 1 6-1");
    add("8-1", "z");
    c("XADD s IDMP p m PX 50000 * k y f 9");
    c("XADD s DELAY 60000 * k w f delayed");
    c("XADD s PREPARE * k w f prepared");
    c("XBIND s copies");
    server.AdvanceMs(10);
    CHECK(Counts() == kEverything);
  }
  std::string LastId() {
    std::string reply = c("XREVRANGE s + - COUNT 1");
    return reply.substr(3, reply.find('"', 3) - 3);
  }
  std::string Eval(const std::string& script) { return c.Call({"EVAL", script, "1", "s"}); }
};

}  // namespace

// ---- the key goes elsewhere

TEST_CASE_FIXTURE(Fixture, "a group with everything goes where its key goes, and on from there") {
  MakeEverything();
  std::string policy = c("XINFO POLICY s g"), pending = c("XPENDING s g - + 100");
  std::string key = "t";
  int db = 0;
  SUBCASE("RENAME") { CHECK(c("RENAME s t") == "OK"); }
  SUBCASE("RENAME over another one") {
    c("COPY s t");
    c("XGROUP CREATE t more $");
    c("XGROUP CFGSET t more VISIBILITY 10");
    CHECK(c("RENAME s t") == "OK");
    CHECK(c("XINFO POLICY t more").starts_with("(error) NOGROUP"));
  }
  SUBCASE("COPY") {
    CHECK(c("COPY s t") == "(integer) 1");
    c("DEL s");
  }
  SUBCASE("COPY over another one") {
    c("COPY s t");
    c("XGROUP DESTROY t g");
    c("XGROUP CREATE t g $");
    c("XGROUP CFGSET t g VISIBILITY 10 RATE 1 1");
    CHECK(c("COPY s t REPLACE") == "(integer) 1");
    c("DEL s");
  }
  SUBCASE("MOVE") {
    CHECK(c("MOVE s 1") == "(integer) 1");
    key = "s";
    db = 1;
  }
  SUBCASE("SWAPDB") {
    CHECK(c("SWAPDB 0 1") == "OK");
    key = "s";
    db = 1;
  }
  SUBCASE("COPY to another database") {
    CHECK(c("COPY s t DB 1") == "(integer) 1");
    c("DEL s");
    db = 1;
  }
  c("SELECT " + std::to_string(db));
  CHECK(c("XINFO POLICY " + key + " g") == policy);
  CHECK(c("XPENDING " + key + " g - + 100") == pending);
  CHECK(c("XLEN " + key) == "(integer) 9");

  // It goes on as if nothing had happened: 2 is given up by who has it, which lets 3 go, and so on.
  other("SELECT " + std::to_string(db));
  CHECK(other("XREADGROUP GROUP g o COUNT 3 STREAMS " + key + " >").find("6-1") !=
        std::string::npos);
  CHECK(other("XREADGROUP GROUP g o COUNT 9 STREAMS " + key + " >") != "(nil)");
  CHECK(other("XREADGROUP GROUP g o BLOCK 0 STREAMS " + key + " >") == "(blocked)");
  c("XACK " + key + " g 2-1");
  CHECK(Values(other.Take(), "f") == "3");
  CHECK(other("XREADGROUP GROUP g o BLOCK 0 STREAMS " + key + " >") == "(blocked)");
  c("XACK " + key + " g 3-1");
  CHECK(Values(other.Take(), "f") == "7");
  server.AdvanceMs(60'000);
  CHECK(c("XLEN " + key) == "(integer) 9");  // one has expired, one has come
  c("DEL " + key + " copies");
  c("SELECT 0");
  c("DEL copies");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture, "a copy goes its own way") {
  MakeEverything();
  CHECK(c("COPY s t") == "(integer) 1");
  std::string policy = c("XINFO POLICY t g"), pending = c("XPENDING t g - + 100");
  c("XACK s g 1-1 2-1 4-1 5-1 6-1 7-1");
  c("XGROUP CFGSET s g VISIBILITY 0 BACKOFF 0 ORDERBY ''");
  CHECK(c("XINFO POLICY t g") == policy);
  CHECK(c("XPENDING t g - + 100") == pending);
  c("XGROUP DESTROY s g");
  server.AdvanceMs(kDay);
  CHECK(c("XLEN t") == "(integer) 9");
  // 3 waits behind 2, which came back by itself, and 7 behind 3.
  CHECK(Values(c("XREADGROUP GROUP g r STREAMS t >"), "f") == "6 5 1 2 8 delayed");
  c("DEL s t copies");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture, "dead letters go where the stream is") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g VISIBILITY 100 MAXDELIVERIES 1 DEADLETTER d");
  c("XADD s 1-1 f 1");
  CHECK(Read() == "1");
  other("SELECT 1");
  SUBCASE("another database") {
    c("MOVE s 1");
    server.AdvanceMs(100);
    CHECK(Values(other("XRANGE d - +"), "dlq-id") == "1-1");
    other("FLUSHDB");
  }
  SUBCASE("another database, and here is one that was there") {
    other("XADD d 1-1 f 1");
    c("SWAPDB 0 1");
    server.AdvanceMs(100);
    CHECK(c("XLEN d") == "(integer) 1");
    CHECK(other("XLEN d") == "(integer) 1");
    other("FLUSHDB");
  }
  SUBCASE("their own name") {
    c("RENAME s d");
    server.AdvanceMs(100);
    CHECK(c("XLEN d") == "(integer) 1");
    CHECK(c("XINFO POLICY d g").find("\"dead\", (integer) 1") != std::string::npos);
    // Away from there they can be redriven.
    c("RENAME d s");
    c("XNACK s g SILENT IDS 1 1-1 RETRYCOUNT 0 FORCE");
    CHECK(Read() == "1");
    server.AdvanceMs(100);
    CHECK(Values(c("XRANGE d - +"), "dlq-id") == "1-1");
  }
  SUBCASE("a key that expires in the same moment") {
    c("XADD d 1-1 f old");
    c("PEXPIRE d 99");
    server.AdvanceMs(1000);
    CHECK(Values(c("XRANGE d - +"), "f") == "1");
    CHECK(c("TTL d") == "(integer) -1");
  }
  c("FLUSHDB");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture, "who waits for a group finds the one that has come under its name") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g ORDERBY k");
  c("XGROUP CREATE t g $ MKSTREAM");
  c("XGROUP CFGSET t g VISIBILITY 100");
  c("XADD t 1-1 f 1");
  CHECK(c("XREADGROUP GROUP g r STREAMS t >") != "(nil)");
  CHECK(other("XREADGROUP GROUP g o BLOCK 0 STREAMS s >") == "(blocked)");
  SUBCASE("RENAME") { c("RENAME t s"); }
  SUBCASE("COPY") { c("COPY t s REPLACE"); }
  SUBCASE("in a transaction") {
    c("MULTI");
    c("DEL s");
    c("RENAME t s");
    c("EXEC");
  }
  SUBCASE("another database") {
    TestClient one(&server);
    one("SELECT 1");
    c("MOVE t 1");
    one("RENAME t s");
    c("SWAPDB 0 1");
  }
  CHECK(other.Take() == "(blocked)");
  server.AdvanceMs(100);
  CHECK(Values(other.Take(), "f") == "1");
  c("FLUSHALL");
  CHECK(NothingLeft());
}

// ---- the key goes away

TEST_CASE_FIXTURE(Fixture, "whatever ends a key ends all that is in it") {
  MakeEverything();
  c("RPUSH q a b c d");
  c("LCFGSET q BACKOFF 1 5000 MAXLEN 9 DEADLETTER s");
  c("LMPOP 1 q LEFT LEASE 100");
  c("LMPOP 1 q LEFT LEASE 60000");
  server.AdvanceMs(100);
  TestClient reader(&server);
  CHECK(reader("XREADGROUP GROUP g o BLOCK 0 STREAMS s >") != "(blocked)");
  CHECK(reader("XREADGROUP GROUP g o BLOCK 0 STREAMS s >") == "(blocked)");
  SUBCASE("DEL") { c("DEL s q copies"); }
  SUBCASE("UNLINK") { c("UNLINK s q copies"); }
  SUBCASE("FLUSHDB") { c("FLUSHDB"); }
  SUBCASE("FLUSHALL ASYNC") { c("FLUSHALL ASYNC"); }
  SUBCASE("FLUSHALL from another database") {
    other("SELECT 5");
    other("FLUSHALL SYNC");
  }
  SUBCASE("expiry") {
    for (const char* key : {"s", "q", "copies"}) c("PEXPIRE " + std::string(key) + " 10");
    server.AdvanceMs(11);
  }
  SUBCASE("expiry that a command finds") {
    for (const char* key : {"s", "q", "copies"}) c("PEXPIRE " + std::string(key) + " 10");
    server.AdvanceQuietlyMs(30'000);
    CHECK(c("XLEN s") == "(integer) 0");
    CHECK(c("LLEN q") == "(integer) 0");
  }
  SUBCASE("expiry while all timers are late") {
    for (const char* key : {"s", "q", "copies"}) c("PEXPIRE " + std::string(key) + " 10");
    server.AdvanceMs(kDay);
  }
  SUBCASE("expiry that nobody looks for") {
    for (const char* key : {"s", "q", "copies"}) c("PEXPIRE " + std::string(key) + " 10");
    server.engine().active_expire = false;
    server.AdvanceMs(kDay);
    c("DEL s q copies");
  }
  SUBCASE("SET") {
    c("SET s v");
    c("SET q v");
    c("DEL s q copies");
  }
  SUBCASE("RENAME of a string over it") {
    c("SET v v");
    c("RENAME v s");
    c("SET v v");
    c("RENAME v q");
    c("DEL s q copies");
  }
  CHECK(reader.Take().starts_with("(error) "));
  CHECK(NothingLeft());

  // Nothing of it comes back with the name.
  c("XADD s 1-1 k a f 1");
  CHECK(c("XINFO POLICY s g").starts_with("(error) NOGROUP"));
  c("XGROUP CREATE s g 0");
  CHECK(c("XPENDING s g") == "[(integer) 0, (nil), (nil), (nil)]");
  CHECK(c("XSTAGE RANGE s - +") == "[]");
  CHECK(c("XINFO BINDINGS s") == "[]");
  CHECK(Counts() == "ready 1 in-flight 0 waiting 0 parked 0 dead 0");
  c("RPUSH q a");
  CHECK(c("LLEASE PENDING q") == "[(integer) 0, (nil), (nil), (nil)]");
  CHECK(c("LLEASE POLICY q").find("\"maxlen\", (nil)") != std::string::npos);
  server.AdvanceMs(kDay);
  CHECK(c("XLEN s") == "(integer) 1");
  CHECK(c("LRANGE q 0 -1") == "[\"a\"]");
  c("DEL s q");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture, "a group that is destroyed leaves nothing to one of the same name") {
  MakeEverything();
  CHECK(other("XREADGROUP GROUP g o COUNT 9 STREAMS s >") != "(nil)");
  CHECK(other("XREADGROUP GROUP g o BLOCK 0 STREAMS s >") == "(blocked)");
  CHECK(c("XGROUP DESTROY s g") == "(integer) 1");
  CHECK(other.Take().starts_with("(error) NOGROUP"));
  for (Table table : {Table::kPending, Table::kPendingByOwner, Table::kOrder, Table::kGroup}) {
    CHECK_FALSE(Cursor(&server.store().env(), table).First());
  }
  CHECK(Queued() == 0);
  CHECK(c("XGROUP CREATE s g 0") == "OK");
  CHECK(c("XPENDING s g") == "[(integer) 0, (nil), (nil), (nil)]");
  CHECK(c("XINFO CONSUMERS s g") == "[]");
  // Without a policy: order is no more.
  CHECK(Read("COUNT 8") == "1 2 3 4 5 6 7 8");
  server.AdvanceMs(kDay);
  CHECK(Read() == "delayed");
  CHECK(c("XPENDING s g").starts_with("[(integer) 9"));
  c("DEL s copies");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture,
                  "a group with thousands of entries goes by and by, its successor stays") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g ORDERBY k VISIBILITY 1000 BACKOFF 1 5000");
  for (int i = 1; i <= 3000; ++i) {
    std::string id = std::to_string(i) + "-1";
    c("XADD s " + id + " k " + (i % 2 ? "same" : id) + " f " + std::to_string(i));
  }
  Read();
  CHECK(Counts() == "ready 0 in-flight 1501 waiting 0 parked 1499 dead 0");
  SUBCASE("destroyed") {
    c("XGROUP DESTROY s g");
    c("XGROUP CREATE s g 0");
  }
  SUBCASE("with its key") {
    c("COPY s t");
    c("XGROUP DESTROY t g");
    c("XGROUP CREATE t g 0");
    c("RENAME t s");
  }
  c("XGROUP CFGSET s g ORDERBY k VISIBILITY 1000");
  CHECK(Counts() == "ready 3000 in-flight 0 waiting 0 parked 0 dead 0");
  CHECK(Read("COUNT 3") == "1 2 4");
  std::vector<size_t> rows = Rows();
  for (int i = 0; i < 20; ++i) server.AdvanceMs(kDay);
  CHECK(Counts() == "ready 2999 in-flight 0 waiting 0 parked 1 dead 0");
  CHECK(rows[static_cast<size_t>(Table::kPending)] == 3);
  CHECK(rows[static_cast<size_t>(Table::kPendingByOwner)] == 3);
  CHECK(rows[static_cast<size_t>(Table::kOrder)] == 4);
  CHECK(Queued() == 7);  // three are overdue and somebody's, one is passed over
  c("DEL s");
  CHECK(NothingLeft());
}

// ---- the entries go away

TEST_CASE_FIXTURE(Fixture,
                  "entries that are deleted in every state are forgotten when it is time") {
  MakeEverything();
  bool references_stay = true;
  std::string all = "IDS 8 1-1 2-1 3-1 4-1 5-1 6-1 7-1 8-1";
  SUBCASE("XDEL") { CHECK(c("XDEL s 1-1 2-1 3-1 4-1 5-1 6-1 7-1 8-1") == "(integer) 8"); }
  SUBCASE("XTRIM") { CHECK(c("XTRIM s MINID 9-0") == "(integer) 8"); }
  SUBCASE("XDELEX") {
    std::string each = "(integer) 1";
    for (int i = 1; i < 8; ++i) each += ", (integer) 1";
    CHECK(c("XDELEX s KEEPREF " + all) == "[" + each + "]");
  }
  SUBCASE("XDELEX DELREF") {
    c("XDELEX s DELREF " + all);
    references_stay = false;
  }
  SUBCASE("XTRIM DELREF") {
    CHECK(c("XTRIM s MINID 9-0 DELREF") == "(integer) 8");
    references_stay = false;
  }
  SUBCASE("XACKDEL DELREF, one group's, of which some are not pending") {
    CHECK(c("XACKDEL s g DELREF " + all).find("(integer) -1, ") != std::string::npos);
    c("XDELEX s DELREF IDS 2 3-1 8-1");
    references_stay = false;
  }
  CHECK(c("XLEN s") == "(integer) 1");
  if (references_stay) {
    CHECK(c("XPENDING s g").starts_with("[(integer) 6"));
    // 2 is forgotten when it should come back, 5 when it has waited; what is dead stays.
    server.AdvanceMs(5000);
    CHECK(c("XPENDING s g - + 9 r").find("\"2-1\"") == std::string::npos);
    CHECK(Read() == "9");
    CHECK(Counts().ends_with("in-flight 1 waiting 0 parked 0 dead 1"));
    CHECK(c("XAUTOCLAIM s g r 0 0 COUNT 100 JUSTID").find("[\"4-1\"]") != std::string::npos);
  } else {
    CHECK(Counts().find("in-flight 0 waiting 0 parked 0 dead 0") != std::string::npos);
    CHECK(Read() == "9");
  }
  CHECK(c("XPENDING s g").starts_with("[(integer) 1"));
  server.AdvanceMs(kDay);
  c("XACK s g " + LastId());
  CHECK(Read() == "delayed");
  c("XACK s g " + LastId());
  CHECK(c("XPENDING s g") == "[(integer) 0, (nil), (nil), (nil)]");
  for (Table table : {Table::kPending, Table::kPendingByOwner, Table::kOrder, Table::kExpiring}) {
    CHECK_FALSE(Cursor(&server.store().env(), table).First());
  }
  CHECK(Queued() == 0);
  c("DEL s copies");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture, "only what all groups have done with is deleted by ACKED") {
  MakeEverything();
  std::string two = "(integer) 2", all = two;
  for (int i = 1; i < 8; ++i) all += ", " + two;
  CHECK(c("XDELEX s ACKED IDS 8 1-1 2-1 3-1 4-1 5-1 6-1 7-1 8-1") == "[" + all + "]");
  CHECK(c("XTRIM s MAXLEN 0 ACKED") == "(integer) 0");
  CHECK(Counts() == kEverything);
  c("XACK s g 2-1 4-1");
  CHECK(c("XTRIM s MAXLEN 0 ACKED") == "(integer) 2");
  CHECK(c("XLEN s") == "(integer) 7");
}

// ---- scripts

TEST_CASE_FIXTURE(Fixture, "a script reads, acknowledges and gives back under a policy") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g ORDERBY k VISIBILITY 100 MAXDELIVERIES 2 DEADLETTER d");
  for (int i = 1; i <= 4; ++i) {
    c("XADD s " + std::to_string(i) + "-1 k " + (i == 4 ? "b" : "a") + " f " + std::to_string(i));
  }
  std::string read =
      "local function read() local r = redis.call('XREADGROUP', 'GROUP', 'g', 'l', "
      "'BLOCK', 0, 'STREAMS', KEYS[1], '>') local ids = {} "
      "if r then for _, e in ipairs(r[1][2]) do ids[#ids + 1] = e[1] end end "
      "return table.concat(ids, ' ') end ";
  CHECK(Eval(read + "return read() .. ', ' .. read()") == "\"1-1 4-1, \"");
  CHECK(other("XREADGROUP GROUP g o BLOCK 0 STREAMS s >") == "(blocked)");
  SUBCASE("who waits gets what is left when it has ended") {
    CHECK(Eval(read + "redis.call('XACK', KEYS[1], 'g', '1-1') local first = read() "
                      "redis.call('XACK', KEYS[1], 'g', '2-1') return first") == "\"2-1\"");
    CHECK(Values(other.Take(), "f") == "3");
  }
  SUBCASE("given back, and read again") {
    CHECK(Eval(read + "redis.call('XNACK', KEYS[1], 'g', 'FAIL', 'IDS', 1, '1-1') "
                      "return read()") == "\"1-1\"");
    CHECK(other.Take() == "(blocked)");
    CHECK(Eval("return redis.call('XNACK', KEYS[1], 'g', 'FAIL', 'IDS', 1, '1-1')") ==
          "(integer) 1");
    CHECK(Values(other.Take(), "f") == "2");
    CHECK(c("XLEN d") == "(integer) 1");
  }
  SUBCASE("not acknowledged in time") {
    server.AdvanceMs(100);
    CHECK(Values(other.Take(), "f") == "1 4");
    CHECK(Eval(read + "return read()") == "\"\"");
    server.AdvanceMs(100);
    CHECK(Values(c("XRANGE d - +"), "dlq-id") == "1-1 4-1");
  }
  c("DEL s d");
  CHECK(NothingLeft());
}

TEST_CASE_FIXTURE(Fixture, "a rate holds back scripts, and time stands still for them") {
  c("XGROUP CREATE s g $ MKSTREAM");
  c("XGROUP CFGSET s g RATE 1 100 BURST 2");
  for (int i = 1; i <= 4; ++i) c("XADD s * f " + std::to_string(i));
  std::string script =
      "local n = 0 for i = 1, 9 do local r = redis.call('XREADGROUP', 'GROUP', 'g', 'l', 'COUNT', "
      "1, 'STREAMS', KEYS[1], '>') if r then n = n + 1 end end return n";
  CHECK(Eval(script) == "(integer) 2");
  CHECK(Eval(script) == "(integer) 0");
  server.AdvanceMs(100);
  CHECK(Eval(script) == "(integer) 1");
}

TEST_CASE_FIXTURE(Fixture, "a script that fails has done what it did: policy, stage, lease, copy") {
  c("RPUSH q a b");
  std::string script =
      "redis.call('XGROUP', 'CREATE', KEYS[1], 'g', '$', 'MKSTREAM') "
      "redis.call('XGROUP', 'CFGSET', KEYS[1], 'g', 'VISIBILITY', 100) "
      "redis.call('XBIND', KEYS[1], 'copies') "
      "redis.call('XADD', KEYS[1], 'DELAY', 100, '*', 'f', '2') "
      "redis.call('XADD', KEYS[1], '*', 'f', '1') "
      "redis.call('XREADGROUP', 'GROUP', 'g', 'l', 'STREAMS', KEYS[1], '>') "
      "local lease = redis.call('LMPOP', 1, 'q', 'LEFT', 'LEASE', 100) "
      "assert(lease[2][1][2] == 'a') "
      "return redis.call('XGROUP', 'CFGSET', KEYS[1], 'g', 'NONSENSE', 1)";
  CHECK(c.Call({"EVAL", script, "3", "s", "q", "copies"}).starts_with("(error)"));
  CHECK(c("XLEN copies") == "(integer) 1");
  CHECK(c("LLEN q") == "(integer) 1");
  CHECK(Counts() == "ready 0 in-flight 1 waiting 0 parked 0 dead 0");
  server.AdvanceMs(100);
  CHECK(c("XLEN copies") == "(integer) 2");
  CHECK(c("LRANGE q 0 -1") == "[\"a\", \"b\"]");
  CHECK(Read() == "1 2");
  c("DEL s q copies");
  CHECK(NothingLeft());
}
