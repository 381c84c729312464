// Directives: redis.conf's names, types and defaults. One table serves the command line, the
// configuration file, CONFIG GET / SET / REWRITE and their errors.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/journal.h"

namespace sluice {

// The values the server runs by; the table in config.cc binds each to its directive.
struct Config {
  // Network
  std::vector<std::string> bind = {"127.0.0.1", "-::1"};
  int64_t port = 6379;
  // Where /metrics is served; port 0: nowhere.
  std::string metrics_bind = "127.0.0.1";
  int64_t metrics_port = 0;
  std::string unixsocket;
  int64_t unixsocketperm = 0;
  int64_t tcp_backlog = 511;
  int64_t tcp_keepalive = 300;  // seconds
  int64_t timeout = 0;          // seconds
  int64_t maxclients = 10000;
  bool protected_mode = true;
  // Limits
  int64_t client_query_buffer_limit = 1 << 30;
  int64_t proto_max_bulk_len = 512 << 20;
  struct OutputLimit {
    int64_t hard = 0, soft = 0, soft_seconds = 0;
  };
  OutputLimit output_normal, output_replica{256 << 20, 64 << 20, 60},
      output_pubsub{32 << 20, 8 << 20, 60};
  int64_t maxmemory = 0;
  int64_t lua_memory_limit = 512 << 20;  // of each interpreter: scripts' and functions'
  int64_t busy_reply_threshold = 5000;   // milliseconds; 0: never
  std::string maxmemory_policy = "noeviction";
  // Durability
  std::string dir = ".";
  bool appendonly = true;
  FsyncPolicy appendfsync = FsyncPolicy::kAlways;
  std::string save;
  int64_t min_free_disk = 64 << 20;
  // Server
  int64_t databases = 16;
  std::string requirepass;
  std::string aclfile;                               // below dir
  std::vector<std::vector<std::string>> users;       // `user` lines: name and rules
  std::string acl_pubsub_default = "resetchannels";  // what new users begin with
  int64_t acllog_max_len = 128;
  std::string loglevel = "notice";
  std::string logfile;
  bool daemonize = false;
  std::string pidfile;
  std::string redis_version = "7.4.0";
  std::string enable_debug_command = "no";  // no, yes, local
  int64_t slowlog_log_slower_than = 10000;  // microseconds
  int64_t slowlog_max_len = 128;
  int64_t latency_monitor_threshold = 0;
  bool latency_tracking = true;
  std::string latency_percentiles = "50 99 99.9";
  int64_t hz = 10;
  std::string notify_keyspace_events;
  int64_t list_max_listpack_size = -2;
  int64_t hash_max_listpack_entries = 512;
  int64_t hash_max_listpack_value = 64;
  int64_t set_max_intset_entries = 512;
  int64_t set_max_listpack_entries = 128;
  int64_t set_max_listpack_value = 64;
  int64_t zset_max_listpack_entries = 128;
  int64_t zset_max_listpack_value = 64;
  int64_t stream_node_max_bytes = 4096;
  int64_t stream_node_max_entries = 100;
  int64_t stream_idmp_duration = 100;  // seconds
  int64_t stream_idmp_maxsize = 100;
  std::string config_file;  // the one read at start, for CONFIG REWRITE

  // Directives that mean nothing here but that tools pass: kept so that CONFIG GET answers.
  std::map<std::string, std::string> ignored;
  // Those of them that were given at start and differ from Redis's defaults, for a note in the log.
  std::map<std::string, std::string> ignored_given;
};

class Directives {
 public:
  explicit Directives(Config* config) : config_(config) {}

  // Called with the directive's name after its value was changed by Set; what it returns (empty:
  // all well) makes Set fail and go back to the old value.
  using Listener = std::function<std::string(std::string_view name)>;
  void SetListener(Listener listener) { listener_ = std::move(listener); }

  // One directive as a line of a configuration file or "--name value ..." says it. Empty on
  // success, else what is wrong, in Redis's words ("Bad directive or wrong number of arguments").
  std::string Configure(std::string_view name, const std::vector<std::string>& values);
  // A configuration file's text ("include" too); empty on success, else file, line and reason.
  std::string ConfigureFile(const std::string& path);

  // CONFIG SET: all or nothing. Empty on success, else Redis's error text.
  std::string Set(const std::vector<std::pair<std::string, std::string>>& pairs);
  // CONFIG GET: name and value of every directive that matches a glob; by an alias, too.
  std::vector<std::pair<std::string, std::string>> Get(
      const std::vector<std::string_view>& globs) const;
  // CONFIG REWRITE: puts what differs into the file read at start, and leaves its comments and its
  // order as they are. `users` are the lines that replace those of its users. Empty on success,
  // else the error's text.
  std::string Rewrite(const std::vector<std::string>& users = {});

 private:
  std::string ConfigureText(std::string_view text, const std::string& path, int depth);
  std::string Include(const std::string& pattern, int depth);
  std::string AddUser(const std::vector<std::string>& words);
  Config* config_;
  Listener listener_;
};

}  // namespace sluice
