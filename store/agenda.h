// What falls due inside a stream, in order of time. Whoever wants to be asked at a moment stands in
// the agenda with it; the key's timer is the agenda's first moment.
//
// A moment may be earlier than what it announces: moving it back with every message would cost more
// than being asked once for nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "store/keyspace.h"

namespace sluice {

// On disk: never renumber.
enum class Duty : uint8_t {
  kGroup = 1,     // a consumer group's pending entries
  kProducer = 2,  // what a producer has sent is forgotten
  kStages = 3,    // entries that are not in the stream yet
  kExpiry = 4,    // entries whose time is over
};

class Agenda {
 public:
  Agenda(Env* env, Keyspace* keys, Key* key) : env_(env), keys_(keys), key_(key) {}

  struct Item {
    int64_t at_ms;
    Duty duty;
    uint32_t number;  // of the group, the producer
  };
  // Moves an item from one moment to another; 0 is no moment.
  void Move(Duty duty, uint32_t number, int64_t from_ms, int64_t to_ms);
  std::optional<Item> First() const;

 private:
  Env* env_;
  Keyspace* keys_;
  Key* key_;
};

}  // namespace sluice
