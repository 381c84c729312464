// INFO: the fields that clients, redis-cli and dashboards read, and a section of Sluice's own.
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

#include "src/commands/families.h"
#include "src/commands/queues.h"
#include "src/engine/call.h"
#include "src/engine/directive.h"
#include "src/engine/function.h"
#include "src/engine/process.h"
#include "src/engine/script.h"
#include "src/engine/version.h"

namespace sluice {
namespace {

// Collects the lines of one section.
class Section {
 public:
  Section(std::string* out, const char* title) : out_(out) {
    if (!out->empty()) *out += "\r\n";
    *out += std::string("# ") + title + "\r\n";
  }
  void Text(std::string_view name, std::string_view value) {
    out_->append(name).append(":").append(value).append("\r\n");
  }
  void Number(std::string_view name, uint64_t value) { Text(name, std::to_string(value)); }
  void Signed(std::string_view name, int64_t value) { Text(name, std::to_string(value)); }
  void Zeros(std::initializer_list<std::string_view> names) {
    for (std::string_view name : names) Text(name, "0");
  }
  // A number of bytes, and the same for people.
  void Bytes(std::string_view name, uint64_t value) {
    Number(name, value);
    Text(std::string(name) + "_human", HumanBytes(value));
  }
  __attribute__((format(printf, 3, 4))) void Format(std::string_view name, const char* format,
                                                    ...) {
    char text[256];
    va_list list;
    va_start(list, format);
    std::vsnprintf(text, sizeof text, format, list);
    va_end(list);
    Text(name, text);
  }

 private:
  std::string* out_;
};

void Server(Call& call, std::string* out) {
  Section s(out, "Server");
  const Config& config = call.engine.config();
  int64_t now_us = call.engine.now_us();
  int64_t uptime_s = (now_us / 1000 - call.engine.stats().started_ms) / 1000;
  s.Text("redis_version", config.redis_version);
  s.Text("redis_git_sha1", "00000000");
  s.Text("redis_git_dirty", "0");
  s.Text("redis_build_id", "0");
  s.Text("redis_mode", "standalone");
  s.Text("sluice_version", kVersion);
  s.Text("os", OperatingSystem());
  s.Number("arch_bits", sizeof(void*) * 8);
  s.Text("monotonic_clock", "POSIX clock_gettime");
  s.Text("multiplexing_api", "epoll");
  s.Text("gcc_version", __VERSION__);
  s.Signed("process_id", ::getpid());
  s.Text("process_supervised", "no");
  s.Text("run_id", call.engine.run_id());
  s.Signed("tcp_port", config.port);
  s.Signed("server_time_usec", now_us);
  s.Signed("uptime_in_seconds", uptime_s);
  s.Signed("uptime_in_days", uptime_s / 86400);
  s.Signed("hz", config.hz);
  s.Signed("configured_hz", config.hz);
  s.Signed("lru_clock", now_us / 1'000'000 & 0xffffff);
  s.Text("executable", ExecutablePath());
  s.Text("config_file", config.config_file);
  s.Text("io_threads_active", "0");
}

void Clients(Call& call, std::string* out) {
  Section s(out, "Clients");
  size_t input = 0, output = 0, watching = 0, watched = 0, timed = 0;
  for (auto& [id, session] : call.engine.sessions()) {
    call.engine.host().Measure(*session);
    input = std::max(input, session->query_buffer);
    output = std::max(output, session->out.size());
    watching += !session->watches.empty();
    watched += session->watches.size();
    timed += session->blocked && session->blocked->deadline_us;
  }
  s.Number("connected_clients", call.engine.sessions().size());
  s.Zeros({"cluster_connections"});
  s.Signed("maxclients", call.engine.config().maxclients);
  s.Number("client_recent_max_input_buffer", input);
  s.Number("client_recent_max_output_buffer", output);
  s.Number("blocked_clients", call.engine.blocked_clients());
  s.Zeros({"tracking_clients"});
  s.Number("pubsub_clients", call.engine.pubsub().sessions());
  s.Number("watching_clients", watching);
  s.Number("clients_in_timeout_table", timed);
  s.Number("total_watched_keys", watched);
}

void Scripts(Call& call, Section* s) {
  Scripting& scripting = call.engine.scripting();
  Functions& functions = scripting.functions();
  uint64_t eval = scripting.script_vm_bytes(), function = scripting.function_vm_bytes();
  uint64_t libraries = 0;
  for (auto& [name, library] : functions.libraries()) libraries += library->code.size();
  s->Number("used_memory_vm_eval", eval);
  s->Bytes("used_memory_lua", eval);
  s->Number("used_memory_scripts_eval", scripting.cached_bytes());
  s->Number("number_of_cached_scripts", scripting.cached());
  s->Number("number_of_functions", functions.function_count());
  s->Number("number_of_libraries", functions.libraries().size());
  s->Number("used_memory_vm_functions", function);
  s->Bytes("used_memory_vm_total", eval + function);
  s->Number("used_memory_functions", libraries);
  s->Bytes("used_memory_scripts", scripting.cached_bytes() + libraries);
}

void Memory(Call& call, std::string* out) {
  Section s(out, "Memory");
  Stats& stats = call.engine.stats();
  uint64_t used = AllocatedBytes(), resident = ResidentBytes();
  stats.peak_memory = std::max(stats.peak_memory, used);
  double peak = stats.peak_memory ? 100.0 * used / stats.peak_memory : 0;
  s.Bytes("used_memory", used);
  s.Bytes("used_memory_rss", resident);
  s.Bytes("used_memory_peak", stats.peak_memory);
  s.Format("used_memory_peak_perc", "%.2f%%", peak);
  s.Number("used_memory_overhead", used);
  s.Zeros({"used_memory_startup", "used_memory_dataset"});
  s.Text("used_memory_dataset_perc", "0.00%");
  s.Number("allocator_allocated", used);
  s.Number("allocator_active", used);
  s.Number("allocator_resident", resident);
  s.Bytes("total_system_memory", SystemMemoryBytes());
  Scripts(call, &s);
  s.Bytes("maxmemory", static_cast<uint64_t>(call.engine.config().maxmemory));
  // Whatever was configured: nothing is ever evicted, and job libraries look for these words.
  s.Text("maxmemory_policy", "noeviction");
  double ratio = used ? static_cast<double>(resident) / static_cast<double>(used) : 0;
  s.Format("mem_fragmentation_ratio", "%.2f", ratio);
  s.Number("mem_fragmentation_bytes", resident > used ? resident - used : 0);
  s.Zeros({"mem_not_counted_for_evict", "mem_replication_backlog", "mem_clients_slaves",
           "mem_clients_normal", "mem_cluster_links"});
  s.Number("mem_aof_buffer", call.store().batch_bytes());
  s.Text("mem_allocator", "libc");
  s.Zeros({"active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"});
}

void Persistence(Call& call, std::string* out) {
  Section s(out, "Persistence");
  const Stats& stats = call.engine.stats();
  bool durable = call.engine.config().appendonly;
  bool running = call.store().checkpoint_running();
  s.Zeros({"loading", "async_loading"});
  s.Number("rdb_changes_since_last_save", stats.dirty);
  s.Text("rdb_bgsave_in_progress", running ? "1" : "0");
  s.Signed("rdb_last_save_time", stats.last_save_s);
  s.Text("rdb_last_bgsave_status", "ok");
  s.Text("rdb_last_bgsave_time_sec", "0");
  s.Text("rdb_current_bgsave_time_sec", running ? "0" : "-1");
  s.Number("rdb_saves", call.store().stats().checkpoints);
  s.Text("aof_enabled", durable ? "1" : "0");
  s.Zeros({"aof_rewrite_in_progress", "aof_rewrite_scheduled"});
  s.Text("aof_last_rewrite_time_sec", "-1");
  s.Text("aof_current_rewrite_time_sec", "-1");
  s.Text("aof_last_bgrewrite_status", "ok");
  s.Text("aof_last_write_status", call.store().fatal().ok() ? "ok" : "err");
  if (!durable) return;
  s.Number("aof_current_size", call.store().stats().journal_bytes);
  s.Zeros({"aof_base_size", "aof_pending_rewrite"});
  s.Number("aof_buffer_length", call.store().batch_bytes());
  s.Number("aof_pending_bio_fsync", call.store().sealed() > call.store().released());
  s.Zeros({"aof_delayed_fsync"});
}

void StatsOf(Call& call, std::string* out) {
  Section s(out, "Stats");
  const Stats& stats = call.engine.stats();
  Stats::Rates rates = stats.RatesNow(call.engine.monotonic_us());
  s.Number("total_connections_received", stats.connections);
  s.Number("total_commands_processed", stats.commands);
  s.Number("instantaneous_ops_per_sec", static_cast<uint64_t>(rates.commands));
  s.Number("total_net_input_bytes", stats.bytes_in);
  s.Number("total_net_output_bytes", stats.bytes_out);
  s.Zeros({"total_net_repl_input_bytes", "total_net_repl_output_bytes"});
  s.Format("instantaneous_input_kbps", "%.2f", rates.bytes_in / 1024);
  s.Format("instantaneous_output_kbps", "%.2f", rates.bytes_out / 1024);
  s.Number("rejected_connections", stats.rejected_connections);
  s.Zeros({"sync_full", "sync_partial_ok", "sync_partial_err"});
  s.Number("expired_keys", stats.expired_keys);
  s.Text("expired_stale_perc", "0.00");
  s.Zeros({"expired_time_cap_reached_count", "evicted_keys", "evicted_clients"});
  s.Number("evicted_scripts", call.engine.scripting().evicted());
  s.Number("keyspace_hits", stats.keyspace_hits);
  s.Number("keyspace_misses", stats.keyspace_misses);
  s.Number("pubsub_channels", call.engine.pubsub().Count(Topic::kChannel));
  s.Number("pubsub_patterns", call.engine.pubsub().Count(Topic::kPattern));
  s.Number("pubsubshard_channels", call.engine.pubsub().Count(Topic::kShard));
  s.Zeros({"latest_fork_usec", "total_forks", "migrate_cached_sockets",
           "slave_expires_tracked_keys", "tracking_total_keys", "tracking_total_items",
           "tracking_total_prefixes"});
  s.Number("unexpected_error_replies", stats.unexpected_errors);
  s.Number("total_error_replies", stats.error_replies);
  s.Number("total_reads_processed", stats.reads);
  s.Number("total_writes_processed", stats.writes);
  s.Number("client_query_buffer_limit_disconnections", stats.query_limit_disconnections);
  s.Number("client_output_buffer_limit_disconnections", stats.output_limit_disconnections);
  s.Number("acl_access_denied_auth", stats.denied_passwords);
  s.Number("acl_access_denied_cmd", stats.denied_commands);
  s.Number("acl_access_denied_key", stats.denied_keys);
  s.Number("acl_access_denied_channel", stats.denied_channels);
}

void Replication(Call& call, std::string* out) {
  Section s(out, "Replication");
  s.Text("role", "master");
  s.Text("connected_slaves", "0");
  s.Text("master_failover_state", "no-failover");
  s.Text("master_replid", call.engine.run_id());
  s.Text("master_replid2", std::string(40, '0'));
  s.Text("master_repl_offset", "0");
  s.Text("second_repl_offset", "-1");
  s.Zeros({"repl_backlog_active", "repl_backlog_size", "repl_backlog_first_byte_offset",
           "repl_backlog_histlen"});
}

void Cpu(Call&, std::string* out) {
  Section s(out, "CPU");
  CpuSeconds process = CpuOfProcess(), children = CpuOfChildren(), thread = CpuOfThread();
  s.Format("used_cpu_sys", "%.6f", process.system);
  s.Format("used_cpu_user", "%.6f", process.user);
  s.Format("used_cpu_sys_children", "%.6f", children.system);
  s.Format("used_cpu_user_children", "%.6f", children.user);
  s.Format("used_cpu_sys_main_thread", "%.6f", thread.system);
  s.Format("used_cpu_user_main_thread", "%.6f", thread.user);
}

void Modules(Call&, std::string* out) { Section s(out, "Modules"); }

void CommandStatistics(Call& call, std::string* out) {
  Section s(out, "Commandstats");
  const auto& by_row = call.engine.stats().commands_by_row;
  for (size_t i = 0; i < by_row.size(); ++i) {
    const CommandStats& c = by_row[i];
    if (!c.calls && !c.rejected && !c.failed) continue;
    double each = c.calls ? static_cast<double>(c.microseconds) / static_cast<double>(c.calls) : 0;
    auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    s.Format("cmdstat_" + std::string(call.engine.table().at(static_cast<int>(i)).name),
             "calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
             n(c.calls), n(c.microseconds), each, n(c.rejected), n(c.failed));
  }
}

void ErrorStatistics(Call& call, std::string* out) {
  Section s(out, "Errorstats");
  for (auto& [code, count] : call.engine.stats().errors) {
    s.Text("errorstat_" + code, "count=" + std::to_string(count));
  }
}

void LatencyStatistics(Call& call, std::string* out) {
  Section s(out, "Latencystats");
  std::vector<std::string> percents;
  SplitWords(call.engine.config().latency_percentiles, &percents);
  const auto& by_row = call.engine.stats().commands_by_row;
  for (size_t i = 0; i < by_row.size(); ++i) {
    if (!by_row[i].latency.count()) continue;
    std::string line;
    for (const std::string& percent : percents) {
      char value[64];
      std::snprintf(value, sizeof value, "=%.3f",
                    by_row[i].latency.Percentile(std::strtod(percent.c_str(), nullptr)));
      line += (line.empty() ? "p" : ",p") + percent + value;
    }
    s.Text(
        "latency_percentiles_usec_" + std::string(call.engine.table().at(static_cast<int>(i)).name),
        line);
  }
}

void Cluster(Call&, std::string* out) { Section(out, "Cluster").Text("cluster_enabled", "0"); }

void KeyspaceOf(Call& call, std::string* out) {
  Section s(out, "Keyspace");
  for (int db = 0; db < call.keys().databases(); ++db) {
    uint64_t keys = call.keys().Size(db), expires = call.keys().Expires(db);
    if (!keys) continue;
    s.Text("db" + std::to_string(db),
           "keys=" + std::to_string(keys) + ",expires=" + std::to_string(expires) + ",avg_ttl=0");
  }
}

// What Redis has no words for.
void Sluice(Call& call, std::string* out) {
  Section s(out, "Sluice");
  Store& store = call.store();
  const Store::Stats& stats = store.stats();
  s.Number("lsn_sealed", store.sealed());
  s.Number("lsn_released", store.released());
  s.Number("journal_bytes", stats.journal_bytes);
  s.Number("replayed_batches", stats.replayed_batches);
  s.Number("checkpoints", stats.checkpoints);
  s.Text("checkpoint_running", store.checkpoint_running() ? "1" : "0");
  s.Number("data_bytes", store.env().file_bytes());
  s.Text("garbage", call.keys().has_garbage() ? "1" : "0");
  s.Text("disk_full", store.disk_full() ? "1" : "0");
  s.Number("turns", call.engine.stats().turns);
  s.Signed("slowest_turn_us", call.engine.stats().slowest_turn_us);
}

void Queues(Call& call, std::string* out) {
  Section s(out, "Queues");
  WriteQueues(call, out);
}

struct Known {
  std::string_view name;
  void (*write)(Call&, std::string*);
  bool by_default;
  bool in_all = true;
};

constexpr Known kSections[] = {
    {"SERVER", Server, true},
    {"CLIENTS", Clients, true},
    {"MEMORY", Memory, true},
    {"PERSISTENCE", Persistence, true},
    {"STATS", StatsOf, true},
    {"REPLICATION", Replication, true},
    {"CPU", Cpu, true},
    {"MODULES", Modules, true},
    {"COMMANDSTATS", CommandStatistics, false},
    {"ERRORSTATS", ErrorStatistics, true},
    {"LATENCYSTATS", LatencyStatistics, false},
    {"CLUSTER", Cluster, true},
    {"SLUICE", Sluice, true},
    {"KEYSPACE", KeyspaceOf, true},
    {"QUEUES", Queues, false, false},
};

void Info(Call& call) {
  std::string out;
  for (const Known& section : kSections) {
    bool wanted = call.args.size() == 1 && section.by_default;
    for (size_t i = 1; i < call.args.size(); ++i) {
      wanted = wanted || call.Is(i, section.name) || call.Is(i, "EVERYTHING") ||
               (call.Is(i, "ALL") && section.in_all) ||
               (call.Is(i, "DEFAULT") && section.by_default);
    }
    if (wanted) section.write(call, &out);
  }
  call.reply.Verbatim("txt", out);
}

}  // namespace

void AddInfoRows(Rows* rows) {
  rows->push_back(
      {"info",
       "[section...]",
       "Tells about the server, in sections.",
       "1.0.0",
       "O(1)",
       Group::kServer,
       -1,
       kLoading | kStale | kCatDangerous,
       {},
       Info,
       {"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}});
}

}  // namespace sluice
