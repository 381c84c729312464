// What a consumer group keeps about one pending entry, and about itself beyond what every group
// has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "store/stream_id.h"
#include "store/token_bucket.h"

namespace sluice {

// Where a pending entry stands. On disk: never renumber.
enum class Place : uint8_t {
  kNone = 0,      // not pending
  kHeld = 1,      // in a consumer's hands
  kReleased = 2,  // nobody's, in line for the next reader; `at` is its number in the line
  kWaiting = 3,   // not to be given out before `at`; nobody's, or still of him who took too long
  kOverdue = 4,   // still of him who took too long, but the next reader gets it; since `at`
  kDead = 5,      // given up, and there was nowhere to put it
  kParked = 6,    // nobody's, behind another entry with the same value (group_order.cc)
};

struct Pending {
  // The count of an entry that was rejected for good.
  static constexpr uint64_t kRejected = INT64_MAX;

  StreamId id;
  uint32_t consumer = 0;  // 0: nobody
  int64_t delivered_ms = 0;
  uint64_t deliveries = 0;
  Place place = Place::kNone;
  uint64_t at = 0;
  uint64_t before_rejected = 0;  // the count that kRejected took the place of
  // It stands for its value of the group's ORDERBY field.
  bool ordered = false;
  uint64_t value = 0;  // the value's hash

  bool exists() const { return place != Place::kNone; }
  // The count that one delivery more makes.
  uint64_t next_deliveries() const { return deliveries == kRejected ? kRejected : deliveries + 1; }
  uint64_t real_deliveries() const {
    return deliveries == kRejected ? before_rejected : deliveries;
  }
};

// To and from the value of a row in `pending`.
void EncodePending(const Pending& pending, std::string* out);
Pending DecodePending(StreamId id, std::string_view value);

// The queues of a group, in table `due`: queue, moment or number, entry id. On disk: never
// renumber.
enum class Queue : uint8_t {
  kHeld = 1,        // Place::kHeld by time of delivery
  kLapsed = 2,      // those of others that are still somebody's, by time of delivery
  kWaiting = 3,     // by the moment they fall due
  kOverdue = 4,     // by the moment they fell due
  kReleased = 5,    // by number
  kPassedOver = 6,  // not pending: behind others of the same value; by id -> the value's hash
  kUnparked = 7,    // not pending: the turn has come; by id -> the value's hash
};

// On disk as it stands here, little-endian, behind a group's state; later versions append to it. A
// group that is nothing but Redis's has all zeros here, and no bytes.
struct GroupExtra {
  static constexpr uint64_t kQueues = 1;  // Queue::kHeld is kept
  static constexpr uint64_t kPolicy =
      2;  // there is a policy; the rest of it is in a row of its own

  uint64_t flags = 0;
  int64_t armed_ms = 0;       // where it stands in the agenda; 0: nowhere
  uint64_t next_release = 0;  // number of the next in line
  // How many pending entries are where; the others are held.
  uint64_t released = 0, waiting = 0, overdue = 0, dead = 0;
  uint64_t unowned = 0;
  uint64_t parked = 0;
  // Not pending: passed over behind others of the same value; and those of them whose turn it is.
  uint64_t passed_over = 0, unparked = 0;
  // Since there is a policy.
  uint64_t redelivered = 0, dead_lettered = 0, filtered = 0, expired = 0;
  int64_t throttled_ms = 0, throttled_until_ms = 0;
  // The policy's numbers; 0: not set.
  int64_t visibility_ms = 0;
  uint64_t max_deliveries = 0, max_pending = 0;
  TokenBucket rate;

  bool has_policy() const { return flags & kPolicy; }
  bool keeps_queues() const { return flags & kQueues; }
  bool operator==(const GroupExtra&) const = default;
};
static_assert(sizeof(GroupExtra) == 25 * 8, "no padding");

}  // namespace sluice
