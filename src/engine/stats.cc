#include "src/engine/stats.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sluice {

// 0 to 15, and then eight to each power of two.
int Latencies::BucketOf(int64_t us) {
  uint64_t value = static_cast<uint64_t>(std::max<int64_t>(us, 0));
  if (value < 16) return static_cast<int>(value);
  int power = std::bit_width(value) - 1;
  int bucket = 16 + (power - 4) * 8 + static_cast<int>(value >> (power - 3) & 7);
  return std::min(bucket, kBuckets - 1);
}

int64_t Latencies::Highest(int bucket) {
  if (bucket < 16) return bucket;
  int power = (bucket - 16) / 8 + 4, eighth = (bucket - 16) % 8;
  return (int64_t{9 + eighth} << (power - 3)) - 1;
}

void Latencies::Add(int64_t us) {
  if (!counts_) counts_ = std::make_unique<uint32_t[]>(kBuckets);
  ++counts_[BucketOf(us)];
  ++count_;
}

double Latencies::Percentile(double percent) const {
  uint64_t wanted = static_cast<uint64_t>(std::ceil(static_cast<double>(count_) * percent / 100));
  wanted = std::clamp<uint64_t>(wanted, 1, std::max<uint64_t>(count_, 1));
  uint64_t seen = 0;
  for (int i = 0; counts_ && i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return static_cast<double>(Highest(i));
  }
  return 0;
}

uint64_t Latencies::CountBelow(int64_t us) const {
  uint64_t seen = 0;
  for (int i = 0; counts_ && i < kBuckets && Highest(i) < us; ++i) seen += counts_[i];
  return seen;
}

void Stats::Reset() {
  connections = rejected_connections = commands = 0;
  bytes_in = bytes_out = reads = writes = 0;
  expired_keys = keyspace_hits = keyspace_misses = 0;
  error_replies = unexpected_errors = 0;
  denied_commands = denied_keys = denied_channels = denied_passwords = 0;
  output_limit_disconnections = query_limit_disconnections = 0;
  turns = 0;
  slowest_turn_us = 0;
  for (CommandStats& of_row : commands_by_row) of_row = {};
  errors.clear();
  moments_.fill({});
}

void Stats::Sample(int64_t monotonic_us) {
  constexpr int64_t kApartUs = 100'000;
  if (monotonic_us - moments_[newest_].us < kApartUs) return;
  newest_ = (newest_ + 1) % moments_.size();
  moments_[newest_] = {monotonic_us, commands, bytes_in, bytes_out};
}

Stats::Rates Stats::RatesNow(int64_t monotonic_us) const {
  const Moment& oldest = moments_[(newest_ + 1) % moments_.size()];
  // Before the ring is full: since the first sample there is.
  const Moment* since = &oldest;
  for (size_t i = 1; since->us == 0 && i < moments_.size(); ++i) {
    since = &moments_[(newest_ + 1 + i) % moments_.size()];
  }
  double seconds = static_cast<double>(monotonic_us - since->us) / 1e6;
  if (since->us == 0 || seconds < 0.1) return {};
  return {static_cast<double>(commands - since->commands) / seconds,
          static_cast<double>(bytes_in - since->bytes_in) / seconds,
          static_cast<double>(bytes_out - since->bytes_out) / seconds};
}

}  // namespace sluice
