// What a stream remembers of its producers' messages, so that one that is sent again is known: for
// each producer its last messages, so many of them and for so long, oldest forgotten first.
//
// Producers and messages are names of any length (group_names.h). A producer's messages carry
// numbers one after the other, so the oldest is found by its number, and forgetting one is O(1).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/group_names.h"
#include "store/stream.h"

namespace sluice {

class Idempotence {
 public:
  // The stream must outlive this. Changes of the stream's header are saved at once.
  explicit Idempotence(Stream* stream) : stream_(stream) {}

  const IdempotenceState& state() const { return stream_->extra_.idempotence; }
  bool in_use() const { return state().next_number != 0 || state().duration_s || state().max_size; }

  // What holds where the stream has no limits of its own.
  struct Limits {
    int64_t duration_s, max_size;
  };
  // The entry that this message became.
  std::optional<StreamId> Find(std::string_view producer, std::string_view message, int64_t now_ms,
                               const Limits& defaults);
  // The same message came again.
  void CountDuplicate();
  // `message` is not known.
  void Add(std::string_view producer, std::string_view message, StreamId id, int64_t now_ms,
           const Limits& defaults);
  // Sets the stream's own limits; a change forgets everything.
  void Configure(std::optional<int64_t> duration_s, std::optional<int64_t> max_size,
                 const Limits& defaults);
  // A producer's moment in the agenda has come: forgets what is too old.
  void Expire(uint32_t producer, int64_t armed_ms, int64_t now_ms, const Limits& defaults);

  // A name for a message that says the same whatever the order of its pairs.
  static std::string NameOf(std::span<const std::string_view> pairs);

 private:
  struct Producer;
  std::optional<Producer> FindProducer(std::string_view name);
  void SaveProducer(const Producer& producer);
  void ForgetOldest(Producer* producer);
  void ForgetExpired(Producer* producer, int64_t now_ms, int64_t duration_s);
  int64_t OldestMs(const Producer& producer);
  NameScope Producers() const;
  NameScope Messages(uint32_t producer) const;
  void Save() { stream_->Save(); }
  IdempotenceState& mutable_state() { return stream_->extra_.idempotence; }

  Stream* stream_;
};

}  // namespace sluice
