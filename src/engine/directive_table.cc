// The directives: first those that do something, then those that tools pass to a redis-server and
// that mean nothing here. Types and bounds are Redis's.
#include <strings.h>

#include <filesystem>

#include "src/engine/directive.h"
#include "store/keyspace.h"

namespace sluice {
namespace {

constexpr int64_t kMost = INT64_MAX;
constexpr int64_t kInt = INT32_MAX;

struct Names {
  Names(const char* only) : name(only) {}
  Names(const char* first, const char* other) : name(first), alias(other) {}
  std::string_view name, alias;
};

using Place = Directive::Place;

Directive Bool(Names n, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kBool, place, 0, 0, {}, flags};
}
Directive Integer(Names n, int64_t low, int64_t high, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kInteger, place, low, high, {}, flags};
}
Directive Memory(Names n, int64_t low, int64_t high, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kMemory, place, low, high, {}, flags};
}
Directive MemoryOrPercent(Names n, int64_t low, int64_t high, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kMemoryPercent, place, low, high, {}, flags};
}
Directive Choice(Names n, std::string_view words, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kChoice, place, 0, 0, words, flags};
}
Directive Choices(Names n, std::string_view words, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kChoices, place, 0, 0, words, flags};
}
Directive Text(Names n, Place place, int flags = 0) {
  return {n.name, n.alias, Directive::kText, place, 0, 0, {}, flags};
}
Directive Special(Names n, Directive::Kind kind, Place place, int flags = 0) {
  return {n.name, n.alias, kind, place, 0, 07777, {}, flags};
}

std::string ReadBind(const Config& c) {
  std::string out;
  for (const std::string& address : c.bind) out += (out.empty() ? "" : " ") + address;
  return out;
}

void WriteBind(Config* c, const std::string& canonical) {
  c->bind.clear();
  SplitWords(canonical, &c->bind);
}

std::string ReadFsync(const Config& c) {
  switch (c.appendfsync) {
    case FsyncPolicy::kAlways:
      return "always";
    case FsyncPolicy::kEverySec:
      return "everysec";
    case FsyncPolicy::kNo:
      return "no";
  }
  return {};
}

void WriteFsync(Config* c, const std::string& canonical) {
  c->appendfsync = canonical == "always"     ? FsyncPolicy::kAlways
                   : canonical == "everysec" ? FsyncPolicy::kEverySec
                                             : FsyncPolicy::kNo;
}

std::string ReadDir(const Config& c) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(c.dir, error).lexically_normal();
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  return error ? c.dir : path.string();
}

void WriteDir(Config* c, const std::string& canonical) { c->dir = canonical; }

std::string ReadHz(const Config& c) { return std::to_string(c.hz); }

void WriteHz(Config* c, const std::string& canonical) {
  c->hz = std::clamp<int64_t>(std::stoll(canonical), 1, 500);
}

// "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
std::string ReadLimits(const Config& c) {
  auto one = [](const char* name, const Config::OutputLimit& limit) {
    return std::string(name) + " " + std::to_string(limit.hard) + " " + std::to_string(limit.soft) +
           " " + std::to_string(limit.soft_seconds);
  };
  return one("normal", c.output_normal) + " " + one("slave", c.output_replica) + " " +
         one("pubsub", c.output_pubsub);
}

void WriteLimits(Config* c, const std::string& canonical) {
  std::vector<std::string> words;
  SplitWords(canonical, &words);
  for (size_t i = 0; i + 3 < words.size(); i += 4) {
    Config::OutputLimit& limit = words[i] == "normal"  ? c->output_normal
                                 : words[i] == "slave" ? c->output_replica
                                                       : c->output_pubsub;
    limit = {std::stoll(words[i + 1]), std::stoll(words[i + 2]), std::stoll(words[i + 3])};
  }
}

std::vector<Directive> MakeDirectives() {
  constexpr int kImmutable = Directive::kImmutable;
  return {
      // Network
      Special("bind", Directive::kWords, Directive::Access{ReadBind, WriteBind}),
      Integer("port", 0, 65535, &Config::port),
      Text("unixsocket", &Config::unixsocket, kImmutable),
      Special("unixsocketperm", Directive::kOctal, &Config::unixsocketperm, kImmutable),
      Text("metrics-bind", &Config::metrics_bind, kImmutable),
      Integer("metrics-port", 0, 65535, &Config::metrics_port, kImmutable),
      Integer("tcp-backlog", 0, kInt, &Config::tcp_backlog, kImmutable),
      Integer("tcp-keepalive", 0, kInt, &Config::tcp_keepalive),
      Integer("timeout", 0, kInt, &Config::timeout),
      Integer("maxclients", 1, UINT32_MAX, &Config::maxclients),
      Bool("protected-mode", &Config::protected_mode),
      // Limits
      Memory("client-query-buffer-limit", 1024 * 1024, kMost, &Config::client_query_buffer_limit),
      Special("client-output-buffer-limit", Directive::kOutputLimits,
              Directive::Access{ReadLimits, WriteLimits}),
      Memory("proto-max-bulk-len", 1024 * 1024, kMost, &Config::proto_max_bulk_len),
      Memory("maxmemory", 0, kMost, &Config::maxmemory),
      Memory("lua-memory-limit", 1024 * 1024, kMost, &Config::lua_memory_limit),
      Integer(Names{"busy-reply-threshold", "lua-time-limit"}, 0, kMost,
              &Config::busy_reply_threshold),
      Choice("maxmemory-policy",
             "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu "
             "allkeys-random noeviction",
             &Config::maxmemory_policy),
      // Durability
      Special("dir", Directive::kText, Directive::Access{ReadDir, WriteDir}, Directive::kProtected),
      Bool("appendonly", &Config::appendonly, Directive::kFixed),
      Choice("appendfsync", "everysec always no", Directive::Access{ReadFsync, WriteFsync}),
      Special("save", Directive::kSave, &Config::save),
      Memory("min-free-disk", 0, kMost, &Config::min_free_disk, Directive::kFixed),
      // Server
      Integer("databases", 1, kMaxDatabases, &Config::databases, kImmutable),
      Text("requirepass", &Config::requirepass, Directive::kSecret),
      Text("aclfile", &Config::aclfile, kImmutable),
      Choice("acl-pubsub-default", "allchannels resetchannels", &Config::acl_pubsub_default),
      Integer("acllog-max-len", 0, kMost, &Config::acllog_max_len),
      Choice("loglevel", "debug verbose notice warning", &Config::loglevel),
      Text("logfile", &Config::logfile, kImmutable),
      Bool("daemonize", &Config::daemonize, kImmutable),
      Text("pidfile", &Config::pidfile, kImmutable),
      Text("redis-version", &Config::redis_version, kImmutable),
      Choice("enable-debug-command", "no yes local", &Config::enable_debug_command, kImmutable),
      Integer("slowlog-log-slower-than", -1, kMost, &Config::slowlog_log_slower_than),
      Integer("slowlog-max-len", 0, kMost, &Config::slowlog_max_len),
      Integer("latency-monitor-threshold", 0, kMost, &Config::latency_monitor_threshold),
      Bool("latency-tracking", &Config::latency_tracking),
      Special("latency-tracking-info-percentiles", Directive::kPercentiles,
              &Config::latency_percentiles),
      Integer("hz", 0, kInt, Directive::Access{ReadHz, WriteHz}),
      Special("notify-keyspace-events", Directive::kKeyspaceEvents,
              &Config::notify_keyspace_events),
      // Shapes of values: MEMORY and OBJECT ENCODING look at some of them.
      Integer(Names{"list-max-listpack-size", "list-max-ziplist-size"}, -kInt - 1, kInt,
              &Config::list_max_listpack_size),
      Integer(Names{"hash-max-listpack-entries", "hash-max-ziplist-entries"}, 0, kMost,
              &Config::hash_max_listpack_entries),
      Memory(Names{"hash-max-listpack-value", "hash-max-ziplist-value"}, 0, kMost,
             &Config::hash_max_listpack_value),
      Integer("set-max-intset-entries", 0, kMost, &Config::set_max_intset_entries),
      Integer("set-max-listpack-entries", 0, kMost, &Config::set_max_listpack_entries),
      Memory("set-max-listpack-value", 0, kMost, &Config::set_max_listpack_value),
      Integer(Names{"zset-max-listpack-entries", "zset-max-ziplist-entries"}, 0, kMost,
              &Config::zset_max_listpack_entries),
      Memory(Names{"zset-max-listpack-value", "zset-max-ziplist-value"}, 0, kMost,
             &Config::zset_max_listpack_value),
      Memory("stream-node-max-bytes", 0, kMost, &Config::stream_node_max_bytes),
      Integer("stream-node-max-entries", 0, kMost, &Config::stream_node_max_entries),
      Integer("stream-idmp-duration", 1, 86400, &Config::stream_idmp_duration),
      Integer("stream-idmp-maxsize", 1, 10000, &Config::stream_idmp_maxsize),

      // What means nothing here, with Redis's defaults.
      Integer("active-defrag-cycle-max", 1, 99, "25"),
      Integer("active-defrag-cycle-min", 1, 99, "1"),
      Memory("active-defrag-ignore-bytes", 1, kMost, "104857600"),
      Integer("active-defrag-max-scan-fields", 1, kMost, "1000"),
      Integer("active-defrag-threshold-lower", 0, 1000, "10"),
      Integer("active-defrag-threshold-upper", 0, 1000, "100"),
      Integer("active-expire-effort", 1, 10, "1"),
      Bool("activedefrag", "no"),
      Bool("activerehashing", "yes"),
      Bool("always-show-logo", "no", Directive::kImmutable),
      Bool("aof-disable-auto-gc", "no"),
      Bool("aof-load-truncated", "yes"),
      Bool("aof-rewrite-incremental-fsync", "yes"),
      Bool("aof-timestamp-enabled", "no"),
      Bool("aof-use-rdb-preamble", "yes"),
      Text("aof_rewrite_cpulist", "", Directive::kImmutable),
      Text("appenddirname", "appendonlydir", Directive::kImmutable),
      Text("appendfilename", "appendonly.aof", Directive::kImmutable),
      Memory("auto-aof-rewrite-min-size", 0, kMost, "67108864"),
      Integer("auto-aof-rewrite-percentage", 0, kInt, "100"),
      Text("bgsave_cpulist", "", Directive::kImmutable),
      Text("bind-source-addr", ""),
      Text("bio_cpulist", "", Directive::kImmutable),
      Bool("cluster-allow-pubsubshard-when-down", "yes"),
      Bool("cluster-allow-reads-when-down", "no"),
      Bool("cluster-allow-replica-migration", "yes"),
      Integer("cluster-announce-bus-port", 0, 65535, "0"),
      Text("cluster-announce-hostname", ""),
      Text("cluster-announce-ip", ""),
      Integer("cluster-announce-port", 0, 65535, "0"),
      Integer("cluster-announce-tls-port", 0, 65535, "0"),
      Text("cluster-config-file", "nodes.conf", Directive::kImmutable),
      Bool("cluster-enabled", "no", Directive::kImmutable | Directive::kRefused),
      Memory("cluster-link-sendbuf-limit", 0, kMost, "0"),
      Integer("cluster-migration-barrier", 0, kInt, "1"),
      Integer("cluster-node-timeout", 0, kMost, "15000"),
      Integer("cluster-port", 0, 65535, "0", Directive::kImmutable),
      Choice("cluster-preferred-endpoint-type", "ip hostname unknown-endpoint", "ip"),
      Bool(Names{"cluster-replica-no-failover", "cluster-slave-no-failover"}, "no"),
      Integer(Names{"cluster-replica-validity-factor", "cluster-slave-validity-factor"}, 0, kInt,
              "10"),
      Bool("cluster-require-full-coverage", "yes"),
      Bool("crash-log-enabled", "yes"),
      Bool("crash-memcheck-enabled", "yes"),
      Text("dbfilename", "dump.rdb", Directive::kProtected),
      Bool("disable-thp", "yes", Directive::kImmutable),
      Bool("dynamic-hz", "yes"),
      Choice("enable-module-command", "no yes local", "no", Directive::kImmutable),
      Choice("enable-protected-configs", "no yes local", "no", Directive::kImmutable),
      Memory("hll-sparse-max-bytes", 0, kMost, "3000"),
      Text("ignore-warnings", ""),
      Integer("io-threads", 1, 128, "1", Directive::kImmutable),
      Bool("io-threads-do-reads", "no", Directive::kImmutable),
      Bool("jemalloc-bg-thread", "yes"),
      Bool("lazyfree-lazy-eviction", "no"),
      Bool("lazyfree-lazy-expire", "no"),
      Bool("lazyfree-lazy-server-del", "no"),
      Bool("lazyfree-lazy-user-del", "no"),
      Bool("lazyfree-lazy-user-flush", "no"),
      Integer("lfu-decay-time", 0, kInt, "1"),
      Integer("lfu-log-factor", 0, kInt, "10"),
      Integer("list-compress-depth", 0, kInt, "0"),
      Text("masterauth", "", Directive::kSecret),
      Text("masteruser", "", Directive::kSecret),
      Integer("max-new-connections-per-cycle", 1, 1000, "10"),
      Integer("max-new-tls-connections-per-cycle", 1, 1000, "1"),
      MemoryOrPercent("maxmemory-clients", 0, kMost, "0"),
      Integer("maxmemory-eviction-tenacity", 0, 100, "10"),
      Integer("maxmemory-samples", 1, kInt, "5"),
      Integer(Names{"min-replicas-max-lag", "min-slaves-max-lag"}, 0, kInt, "10"),
      Integer(Names{"min-replicas-to-write", "min-slaves-to-write"}, 0, kInt, "0"),
      Bool("no-appendfsync-on-rewrite", "no"),
      Choice("oom-score-adj", "no yes relative absolute", "no"),
      Special("oom-score-adj-values", Directive::kScoreAdjustments, "0 200 800"),
      Special("proc-title-template", Directive::kTitle, "{title} {listen-addr} {server-mode}"),
      Choice("propagation-error-behavior", "ignore panic panic-on-replicas", "ignore"),
      Bool("rdb-del-sync-files", "no"),
      Bool("rdb-save-incremental-fsync", "yes"),
      Bool("rdbchecksum", "yes", Directive::kImmutable),
      Bool("rdbcompression", "yes"),
      Memory("repl-backlog-size", 1, kMost, "1048576"),
      Integer("repl-backlog-ttl", 0, kMost, "3600"),
      Bool("repl-disable-tcp-nodelay", "no"),
      Choice("repl-diskless-load", "disabled on-empty-db swapdb", "disabled"),
      Bool("repl-diskless-sync", "yes"),
      Integer("repl-diskless-sync-delay", 0, kInt, "5"),
      Integer("repl-diskless-sync-max-replicas", 0, kInt, "0"),
      Integer(Names{"repl-ping-replica-period", "repl-ping-slave-period"}, 1, kInt, "10"),
      Integer("repl-timeout", 1, kInt, "60"),
      Text(Names{"replica-announce-ip", "slave-announce-ip"}, ""),
      Integer(Names{"replica-announce-port", "slave-announce-port"}, 0, 65535, "0"),
      Bool("replica-announced", "yes"),
      Bool("replica-ignore-disk-write-errors", "no"),
      Bool(Names{"replica-ignore-maxmemory", "slave-ignore-maxmemory"}, "yes"),
      Bool(Names{"replica-lazy-flush", "slave-lazy-flush"}, "no"),
      Integer(Names{"replica-priority", "slave-priority"}, 0, kInt, "100"),
      Bool(Names{"replica-read-only", "slave-read-only"}, "yes"),
      Bool(Names{"replica-serve-stale-data", "slave-serve-stale-data"}, "yes"),
      Special(Names{"replicaof", "slaveof"}, Directive::kWords, "",
              Directive::kImmutable | Directive::kRefused),
      Choice("sanitize-dump-payload", "no yes clients", "no"),
      Text("server_cpulist", "", Directive::kImmutable),
      Bool("set-proc-title", "yes", Directive::kImmutable),
      Choices("shutdown-on-sigint", "default save nosave now force", "default"),
      Choices("shutdown-on-sigterm", "default save nosave now force", "default"),
      Integer("shutdown-timeout", 0, kInt, "10"),
      Integer("socket-mark-id", 0, 4294967295, "0", Directive::kImmutable),
      Bool("stop-writes-on-bgsave-error", "yes"),
      Choice("supervised", "upstart systemd auto no", "no", Directive::kImmutable),
      Bool("syslog-enabled", "no", Directive::kImmutable),
      Choice("syslog-facility", "user local0 local1 local2 local3 local4 local5 local6 local7",
             "local0", Directive::kImmutable),
      Text("syslog-ident", "redis", Directive::kImmutable),
      Choice("tls-auth-clients", "no yes optional", "yes"),
      Text("tls-ca-cert-dir", ""),
      Text("tls-ca-cert-file", ""),
      Text("tls-cert-file", ""),
      Text("tls-ciphers", ""),
      Text("tls-ciphersuites", ""),
      Text("tls-client-cert-file", ""),
      Text("tls-client-key-file", ""),
      Text("tls-client-key-file-pass", "", Directive::kSecret),
      Bool("tls-cluster", "no"),
      Text("tls-dh-params-file", ""),
      Text("tls-key-file", ""),
      Text("tls-key-file-pass", "", Directive::kSecret),
      Integer("tls-port", 0, 65535, "0", Directive::kRefused),
      Bool("tls-prefer-server-ciphers", "no"),
      Text("tls-protocols", ""),
      Bool("tls-replication", "no"),
      Integer("tls-session-cache-size", 0, kInt, "20480"),
      Integer("tls-session-cache-timeout", 0, kInt, "300"),
      Bool("tls-session-caching", "yes"),
      Integer("tracking-table-max-keys", 0, kMost, "1000000"),
      Integer("key-load-delay", -kInt - 1, kInt, "0", Directive::kHidden),
      Integer("rdb-key-save-delay", -kInt - 1, kInt, "0", Directive::kHidden),
      Integer("watchdog-period", 0, kInt, "0", Directive::kHidden),
  };
}

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && !strncasecmp(a.data(), b.data(), a.size());
}

}  // namespace

const std::vector<Directive>& AllDirectives() {
  static const std::vector<Directive> all = MakeDirectives();
  return all;
}

const Directive* FindDirective(std::string_view name) {
  for (const Directive& d : AllDirectives()) {
    if (SameName(name, d.name) || (!d.alias.empty() && SameName(name, d.alias))) return &d;
  }
  return nullptr;
}

}  // namespace sluice
