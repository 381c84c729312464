// What INFO counts.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

// How long executions took: counts by duration, exact below 16 us, within 1/8 above. Takes memory
// from the first count on.
class Latencies {
 public:
  void Add(int64_t us);
  uint64_t count() const { return count_; }
  // The duration, in microseconds, that so many percent of the executions did not exceed.
  double Percentile(double percent) const;
  // How many took less than so many microseconds.
  uint64_t CountBelow(int64_t us) const;

 private:
  static constexpr int kBuckets = 16 + 32 * 8;
  static int BucketOf(int64_t us);
  static int64_t Highest(int bucket);
  std::unique_ptr<uint32_t[]> counts_;
  uint64_t count_ = 0;
};

struct CommandStats {
  uint64_t calls = 0;
  uint64_t microseconds = 0;
  uint64_t rejected = 0;  // refused before execution
  uint64_t failed = 0;    // replied an error
  Latencies latency;
};

struct SlowlogEntry {
  uint64_t id;
  int64_t unix_seconds;
  int64_t microseconds;
  std::vector<std::string> args;  // shortened as Redis shortens them
  std::string address;
  std::string client_name;
};

struct Stats {
  int64_t started_ms = 0;
  uint64_t connections = 0;
  uint64_t rejected_connections = 0;
  uint64_t commands = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t reads = 0;   // of sockets
  uint64_t writes = 0;  // to sockets
  uint64_t expired_keys = 0;
  uint64_t keyspace_hits = 0;
  uint64_t keyspace_misses = 0;
  uint64_t error_replies = 0;
  uint64_t unexpected_errors = 0;
  // Refused by ACL rules, by what was in the way.
  uint64_t denied_commands = 0, denied_keys = 0, denied_channels = 0, denied_passwords = 0;
  uint64_t output_limit_disconnections = 0;
  uint64_t query_limit_disconnections = 0;
  uint64_t dirty = 0;  // changes since the last SAVE
  int64_t last_save_s = 0;
  uint64_t peak_memory = 0;
  uint64_t peak_clients = 0;
  uint64_t turns = 0;
  int64_t slowest_turn_us = 0;
  std::vector<CommandStats> commands_by_row;  // by Row::index
  std::map<std::string, uint64_t> errors;     // by code ("ERR", "WRONGTYPE")
  std::deque<SlowlogEntry> slowlog;           // newest first
  uint64_t next_slowlog_id = 0;

  // CONFIG RESETSTAT.
  void Reset();

  // How fast things go, over the last second or two; Sample is called every turn.
  struct Rates {
    double commands = 0, bytes_in = 0, bytes_out = 0;  // per second
  };
  void Sample(int64_t monotonic_us);
  Rates RatesNow(int64_t monotonic_us) const;

 private:
  struct Moment {
    int64_t us = 0;
    uint64_t commands = 0, bytes_in = 0, bytes_out = 0;
  };
  std::array<Moment, 16> moments_ = {};  // a ring, 100 ms or more apart
  size_t newest_ = 0;
};

}  // namespace sluice
