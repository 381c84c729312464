#include "src/net/metrics.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sluice {
namespace {

constexpr const char* kGauge = "gauge";
constexpr const char* kCounter = "counter";

struct Metric {
  std::string_view field;  // INFO's
  std::string_view name;   // behind "sluice_"
  const char* type;
  std::string_view help;
};

// Lines "field:number".
constexpr Metric kPlain[] = {
    {"uptime_in_seconds", "uptime_seconds", kGauge, "Seconds since the start."},
    {"connected_clients", "connected_clients", kGauge, "Clients, this scrape among them."},
    {"blocked_clients", "blocked_clients", kGauge, "Clients that wait for a key."},
    {"maxclients", "max_clients", kGauge, "How many clients may be connected."},
    {"pubsub_clients", "pubsub_clients", kGauge, "Clients that listen to channels."},
    {"used_memory", "memory_used_bytes", kGauge, "Memory allocated."},
    {"used_memory_rss", "memory_resident_bytes", kGauge, "Memory resident, the mapped data too."},
    {"rdb_last_save_time", "last_save_timestamp_seconds", kGauge, "When SAVE was done last."},
    {"total_connections_received", "connections_received_total", kCounter, "Connections."},
    {"rejected_connections", "connections_rejected_total", kCounter,
     "Connections refused because of maxclients."},
    {"total_commands_processed", "commands_processed_total", kCounter, "Commands executed."},
    {"total_net_input_bytes", "net_input_bytes_total", kCounter, "Bytes read from clients."},
    {"total_net_output_bytes", "net_output_bytes_total", kCounter, "Bytes sent to clients."},
    {"expired_keys", "expired_keys_total", kCounter, "Keys whose time has come."},
    {"keyspace_hits", "keyspace_hits_total", kCounter, "Keys looked up and found."},
    {"keyspace_misses", "keyspace_misses_total", kCounter, "Keys looked up and not found."},
    {"total_error_replies", "error_replies_total", kCounter, "Replies that were errors."},
    {"client_query_buffer_limit_disconnections", "query_buffer_disconnections_total", kCounter,
     "Clients closed because they sent too much at once."},
    {"client_output_buffer_limit_disconnections", "output_buffer_disconnections_total", kCounter,
     "Clients closed because they did not read."},
    {"lsn_sealed", "lsn_sealed", kGauge, "The last batch that was sealed."},
    {"lsn_released", "lsn_released", kGauge, "The last batch that is as durable as was asked for."},
    {"lsn_behind", "lsn_behind", kGauge, "Batches sealed and not released yet."},
    {"journal_bytes", "journal_bytes", kGauge, "Bytes in the journal since the last checkpoint."},
    {"replayed_batches", "replayed_batches", kGauge, "Batches replayed at the start."},
    {"checkpoints", "checkpoints_total", kCounter, "Checkpoints made."},
    {"checkpoint_running", "checkpoint_running", kGauge, "1 while one is being made."},
    {"data_bytes", "data_bytes", kGauge, "Bytes of data.mdb in use."},
    {"garbage", "garbage", kGauge, "1 while there is something to be reclaimed."},
    {"disk_full", "disk_full", kGauge, "1 while commands that need space are refused."},
    {"turns", "turns_total", kCounter, "Turns of the loop."},
    {"slowest_turn_us", "slowest_turn_microseconds", kGauge, "The longest turn so far."},
    {"queues_left_out", "queues_left_out", kGauge, "Queues beyond the number that is shown."},
};

// Lines "prefix...:name=number,...": the prefix stands before the field.
constexpr Metric kOfCommand[] = {
    {"calls", "command_calls_total", kCounter, "Executions of a command."},
    {"usec", "command_microseconds_total", kCounter, "Time spent in a command."},
    {"rejected_calls", "command_rejected_total", kCounter, "Calls refused before execution."},
    {"failed_calls", "command_failed_total", kCounter, "Calls that replied an error."},
};
constexpr Metric kOfError[] = {
    {"count", "errors_total", kCounter,
     "Error replies by code; BACKLOG is what a queue's limit has refused."},
};
constexpr Metric kOfDatabase[] = {
    {"keys", "keys", kGauge, "Keys of a database."},
    {"expires", "keys_expiring", kGauge, "Those of them that expire."},
};
constexpr Metric kOfGroup[] = {
    {"length", "group_length", kGauge, "Entries of the group's stream."},
    {"lag", "group_lag", kGauge, "Entries the group has not been given yet."},
    {"pending", "group_pending", kGauge, "Entries given out and not acknowledged."},
    {"ready", "group_ready", kGauge, "Entries that the next reader gets."},
    {"in_flight", "group_in_flight", kGauge, "Entries in a consumer's hands."},
    {"waiting", "group_waiting", kGauge, "Entries that wait for their backoff or delay."},
    {"parked", "group_parked", kGauge, "Entries behind another one with the same value."},
    {"dead", "group_dead", kGauge, "Entries given up that have no place to go."},
    {"redelivered", "group_redelivered_total", kCounter, "Deliveries that were not the first."},
    {"dead_lettered", "group_dead_lettered_total", kCounter, "Entries moved to the dead letters."},
    {"oldest_ms", "group_oldest_milliseconds", kGauge,
     "Age of the oldest entry that is pending or not given out."},
};
constexpr Metric kOfList[] = {
    {"length", "list_length", kGauge, "Elements of a list."},
    {"leased", "list_leased", kGauge, "Elements under a lease."},
    {"waiting", "list_waiting", kGauge, "Elements that wait for their backoff or delay."},
    {"dead", "list_dead", kGauge, "Elements given up that have no place to go."},
    {"redelivered", "list_redelivered_total", kCounter, "Leases that were not the first."},
    {"dead_lettered", "list_dead_lettered_total", kCounter, "Elements moved to the dead letters."},
};

std::string_view Cut(std::string_view* rest, char end) {
  size_t at = rest->find(end);
  std::string_view part = rest->substr(0, at);
  rest->remove_prefix(at == std::string_view::npos ? rest->size() : at + 1);
  return part;
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.-") == std::string_view::npos;
}

std::string Label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += "=\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  return out += '"';
}

class Writer {
 public:
  void Read(std::string_view info) {
    while (!info.empty()) {
      std::string_view line = Cut(&info, '\n');
      if (line.ends_with('\r')) line.remove_suffix(1);
      std::string_view name = Cut(&line, ':');
      if (!name.starts_with('#')) Field(name, line);
    }
    if (sealed_) {
      Field("lsn_behind", std::to_string(sealed_ > released_ ? sealed_ - released_ : 0));
    }
  }

  std::string Text() const {
    std::string out;
    for (const Metric* metric : order_) {
      std::string name = "sluice_" + std::string(metric->name);
      out.append("# HELP ").append(name).append(" ").append(metric->help).append("\n");
      out.append("# TYPE ").append(name).append(" ").append(metric->type).append("\n");
      for (const std::string& sample : samples_.at(metric)) out.append(name).append(sample);
    }
    return out;
  }

 private:
  void Field(std::string_view name, std::string_view value) {
    if (name == "lsn_sealed") sealed_ = std::stoull(std::string(value));
    if (name == "lsn_released") released_ = std::stoull(std::string(value));
    for (const Metric& metric : kPlain) {
      if (metric.field == name) return Add(&metric, {}, value);
    }
    if (name.starts_with("cmdstat_")) {
      Fields(kOfCommand, Label("command", name.substr(8)), value);
    } else if (name.starts_with("errorstat_")) {
      Fields(kOfError, Label("code", name.substr(10)), value);
    } else if (name.starts_with("group_")) {
      Queue(kOfGroup, value);
    } else if (name.starts_with("list_")) {
      Queue(kOfList, value);
    } else if (name.starts_with("db") && IsNumber(name.substr(2))) {
      Fields(kOfDatabase, Label("db", name.substr(2)), value);
    }
  }

  // db=...,key=...,[group=...,] and numbers
  void Queue(std::span<const Metric> metrics, std::string_view line) {
    std::string labels;
    for (std::string_view label : {"db", "key", "group"}) {
      std::string_view rest = line;
      std::string_view part = Cut(&rest, ',');
      if (Cut(&part, '=') != label) continue;
      labels += (labels.empty() ? "" : ",") + Label(label, part);
      line = rest;
    }
    Fields(metrics, labels, line);
  }

  void Fields(std::span<const Metric> metrics, const std::string& labels, std::string_view line) {
    while (!line.empty()) {
      std::string_view value = Cut(&line, ',');
      std::string_view name = Cut(&value, '=');
      for (const Metric& metric : metrics) {
        if (metric.field == name) Add(&metric, labels, value);
      }
    }
  }

  // What is no number (a lag that nobody knows) is no sample.
  void Add(const Metric* metric, const std::string& labels, std::string_view value) {
    if (!IsNumber(value)) return;
    auto [at, added] = samples_.try_emplace(metric);
    if (added) order_.push_back(metric);
    std::string sample = labels.empty() ? "" : "{" + labels + "}";
    at->second.push_back(sample.append(" ").append(value).append("\n"));
  }

  std::map<const Metric*, std::vector<std::string>> samples_;
  std::vector<const Metric*> order_;
  uint64_t sealed_ = 0, released_ = 0;
};

}  // namespace

std::string Exposition(std::string_view info) {
  Writer writer;
  writer.Read(info);
  return writer.Text();
}

}  // namespace sluice
