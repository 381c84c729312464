// What there is to see of queues: one source of numbers for XINFO, INFO and, through INFO,
// /metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/commands/stream_common.h"

namespace sluice {

// What XINFO calls lag; nullopt: nobody knows.
std::optional<int64_t> GroupLag(const Stream& stream, const ConsumerGroup& group);

// What XINFO POLICY counts, of any group.
struct GroupCounts {
  std::optional<uint64_t> ready;
  uint64_t in_flight, waiting, parked, dead;
  uint64_t redelivered, dead_lettered, filtered, expired, throttled_ms;
  // The age of the oldest entry that is pending or has not been given out; 0 when there is none.
  uint64_t oldest_ms;
};
GroupCounts CountGroup(const Call& call, const Stream& stream, const ConsumerGroup& group);

// The section `queues` of INFO: a line for each group of a stream, and for each list with leases or
// settings, but no more than so many.
inline constexpr uint64_t kMaxQueuesShown = 1000;
void WriteQueues(Call& call, std::string* out);

}  // namespace sluice
