#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TestServer server;
  TestClient c{&server};
};

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "WAIT answers at once when nobody is waited for, else when time is up") {
  CHECK(c("WAIT 0 0") == "(integer) 0");
  CHECK(c("WAIT 1 100") == "(blocked)");
  server.AdvanceMs(99);
  CHECK(c.Take() == "(blocked)");
  server.AdvanceMs(1);
  CHECK(c.Take() == "(integer) 0");
  c("MULTI");
  c("WAIT 1 0");
  CHECK(c("EXEC") == "[(integer) 0]");
}

TEST_CASE_FIXTURE(Fixture, "WAITAOF") {
  CHECK(c("WAITAOF 1 0 0") == "[(integer) 1, (integer) 0]");
  CHECK(c("WAITAOF 0 1 50") == "(blocked)");
  server.AdvanceMs(50);
  CHECK(c.Take() == "[(integer) 0, (integer) 0]");
  CHECK(c("WAITAOF 2 0 0") == "(error) ERR value is out of range, value must between 0 and 1");
  CHECK(c("WAITAOF x 0 0") == "(error) ERR value is not an integer or out of range");
  server.config().appendonly = false;
  CHECK(c("WAITAOF 1 0 0") ==
        "(error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
}

TEST_CASE_FIXTURE(Fixture, "saving is a checkpoint; BGSAVE takes it at the end of the turn") {
  c("SET k v");
  uint64_t before = server.store().stats().checkpoints;
  CHECK(c("BGSAVE") == "Background saving started");
  CHECK(server.store().stats().checkpoints == before);
  server.Turn();
  CHECK(server.store().stats().checkpoints == before + 1);
  c("SET k w");
  CHECK(c("SAVE") == "OK");
  CHECK(server.store().stats().checkpoints == before + 2);
  CHECK(c("LASTSAVE") == "(integer) " + std::to_string(server.now_ms() / 1000));
  CHECK(c("BGSAVE NOW") == "(error) ERR syntax error");
}

TEST_CASE_FIXTURE(Fixture, "SHUTDOWN answers nothing and ends the server after the turn") {
  CHECK(c("SHUTDOWN ABORT") == "(error) ERR No shutdown in progress.");
  CHECK(c("SHUTDOWN SAVE NOSAVE") == "(error) ERR syntax error");
  CHECK_FALSE(server.engine().shutdown_requested);
  CHECK(c("SHUTDOWN NOSAVE NOW FORCE") == "(nothing)");
  CHECK(server.engine().shutdown_requested);
}

TEST_CASE_FIXTURE(Fixture, "MONITOR shows commands when they are done, and no secrets") {
  TestClient m(&server);
  c.session().address = "10.0.0.1:1";
  CHECK(m("MONITOR") == "OK");
  auto next = [&] {
    std::string line = m.Take();
    return line.size() > 17 ? line.substr(18) : line;
  };
  c("SELECT 2");
  CHECK(next() == "[2 10.0.0.1:1] \"SELECT\" \"2\"");
  c("MULTI");
  c("SET k \"a\\n\\x01\"");
  CHECK(next() == "[2 10.0.0.1:1] \"MULTI\"");
  CHECK(next() == "(nothing)");
  c("EXEC");
  CHECK(next() == "[2 10.0.0.1:1] \"SET\" \"k\" \"a\\n\\x01\"");
  CHECK(next() == "[2 10.0.0.1:1] \"EXEC\"");
  c("AUTH default secret");
  CHECK(next() == "[2 10.0.0.1:1] \"AUTH\" \"(redacted)\" \"(redacted)\"");
  c("HELLO 2 AUTH default secret SETNAME x");
  CHECK(next() ==
        "[2 10.0.0.1:1] \"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"x\"");
  c("CONFIG GET port");
  c("NONSENSE");
  CHECK(next() == "(nothing)");
  CHECK(m("RESET") == "RESET");
  c("PING");
  CHECK(next() == "(nothing)");
}

TEST_CASE_FIXTURE(Fixture, "SLOWLOG keeps what was slow, without secrets") {
  CHECK(c("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2") == "OK");
  c("CONFIG SET requirepass secret");
  CHECK(Has(c("SLOWLOG GET 1"), "[\"CONFIG\", \"SET\", \"requirepass\", \"(redacted)\"]"));
  c("PING");
  CHECK(c("SLOWLOG LEN") == "(integer) 2");
  CHECK(c("SLOWLOG RESET") == "OK");
  CHECK(c("SLOWLOG GET -2") == "(error) ERR count should be greater than or equal to -1");
}

TEST_CASE_FIXTURE(Fixture,
                  "INFO shows sections in their order, whatever the order of the question") {
  std::string info = c("INFO keyspace CLUSTER");
  CHECK(info == "\"# Cluster\\r\\ncluster_enabled:0\\r\\n\\r\\n# Keyspace\\r\\n\"");
  CHECK(c("INFO nothing") == "\"\"");
  CHECK_FALSE(Has(c("INFO"), "# Commandstats"));
  CHECK(Has(c("INFO all"), "# Commandstats"));
  CHECK(Has(c("INFO"), "maxmemory_policy:noeviction\\r\\n"));
  CHECK(Has(c("INFO"), "\\r\\nloading:0\\r\\n"));
  CHECK(Has(c("INFO sluice"), "lsn_sealed:"));
}

TEST_CASE_FIXTURE(Fixture, "INFO counts calls, failures and refusals apart") {
  c("CONFIG RESETSTAT");
  c("GET k");
  c("SET k v");
  c("GET k");
  c("GET");
  c("LPUSH k v");
  std::string stats = c("INFO commandstats");
  CHECK(
      Has(stats, "cmdstat_get:calls=2,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"));
  CHECK(Has(stats,
            "cmdstat_lpush:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"));
  CHECK(Has(c("INFO stats"), "keyspace_hits:1\\r\\nkeyspace_misses:1\\r\\n"));
  CHECK(Has(c("INFO errorstats"), "errorstat_ERR:count=1\\r\\nerrorstat_WRONGTYPE:count=1"));
  CHECK(
      Has(c("INFO latencystats"), "latency_percentiles_usec_get:p50=0.000,p99=0.000,p99.9=0.000"));
}

TEST_CASE("latencies: percentiles and cumulative counts") {
  Latencies latencies;
  for (int us = 1; us <= 1000; ++us) latencies.Add(us);
  CHECK(latencies.count() == 1000);
  CHECK(latencies.Percentile(50) >= 500);
  CHECK(latencies.Percentile(50) < 500 * 1.125);
  CHECK(latencies.Percentile(100) >= 1000);
  CHECK(latencies.CountBelow(9) == 8);
  CHECK(latencies.CountBelow(1 << 20) == 1000);
}

TEST_CASE_FIXTURE(Fixture, "DEBUG is locked unless the configuration opens it") {
  CHECK(c("DEBUG SLEEP 0").starts_with("(error) ERR DEBUG command not allowed."));
  server.config().enable_debug_command = "local";
  CHECK(c("DEBUG SLEEP 0").starts_with("(error) ERR DEBUG command not allowed."));
  c.session().address = "127.0.0.1:5";
  CHECK(c("DEBUG SLEEP 0") == "OK");
  server.config().enable_debug_command = "yes";
  c.session().address = "10.0.0.1:5";
  CHECK(c("DEBUG SET-ACTIVE-EXPIRE 0") == "OK");
  CHECK_FALSE(server.engine().active_expire);
  CHECK(c("DEBUG NONSENSE") ==
        "(error) ERR unknown subcommand or wrong number of arguments for 'NONSENSE'. Try DEBUG "
        "HELP.");
}

TEST_CASE_FIXTURE(Fixture, "MEMORY USAGE grows with the key") {
  CHECK(c("MEMORY USAGE none") == "(nil)");
  c("RPUSH l a b c");
  std::string small = c("MEMORY USAGE l");
  c("RPUSH l d e f g h i j");
  CHECK(c("MEMORY USAGE l SAMPLES 0") != small);
  c("XADD s 1-1 field value");
  std::string one = c("MEMORY USAGE s");
  c("XADD s 1-2 field value");
  CHECK(c("MEMORY USAGE s") != one);
  CHECK(c("MEMORY USAGE l SAMPLES -1") == "(error) ERR syntax error");
}
