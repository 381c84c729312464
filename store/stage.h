// Entries that are not in their stream yet: delayed ones wait for their moment, prepared ones for
// the word of whoever staged them. They stand outside the stream, under handles that look like ids.
//
// Each has a row of its own and one in the queue of its place, so that whatever is asked for next
// (the first that is due, the oldest that nobody has answered for) is found without a search. What
// became of an entry that has entered the stream is remembered for a while.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/stream.h"

namespace sluice {

// How a stream is trimmed when the entry enters it.
struct StagedTrim {
  Stream::TrimRule rule;
  uint8_t references = 0;  // the caller's; below 4
};

struct Staged {
  // On disk, as the number of a queue: never renumber.
  enum class Place : uint8_t {
    kDelayed = 1,   // until at_ms
    kPrepared = 2,  // since at_ms; when it was staged or asked about last
    kAskedOut = 3,  // prepared, and asked about as often as may be
  };
  StreamId handle;
  Place place = Place::kDelayed;
  int64_t at_ms = 0;
  uint64_t checks = 0;
  // Of a prepared one: what follows when it is committed. 0: nothing.
  int64_t delay_ms = 0;
  bool delay_is_moment = false;
  bool committed = false;  // it was prepared once
  std::optional<StagedTrim> trim;
  // How long it exists once it has entered the stream, or up to when; 0: for ever.
  int64_t lifetime_ms = 0;
  bool lifetime_is_moment = false;
  // Good until the next change of a stream.
  std::string_view fields_row;

  bool prepared() const { return place != Place::kDelayed; }
  EntryFields fields() const { return EntryFields(fields_row); }
};

class Stages {
 public:
  // The stream must outlive this. Changes of the stream's header are saved at once.
  explicit Stages(Stream* stream) : stream_(stream) {}

  const StageState& state() const { return stream_->extra_.stage; }
  int64_t timeout_ms() const { return state().timeout_ms ? state().timeout_ms : 6000; }
  uint64_t most_checks() const { return state().most_checks ? state().most_checks : 15; }
  // Whether one more entry, staged or not, is within the limit.
  bool HasRoom() const {
    return !state().max_backlog || stream_->length() + state().staged < state().max_backlog;
  }
  // Sets what is given; 0 is the default.
  void Configure(std::optional<int64_t> timeout_ms, std::optional<int64_t> most_checks,
                 std::optional<int64_t> max_backlog);

  // Stages an entry (field, value, ...) and returns its handle; what `entry` says of handle and
  // fields does not matter.
  StreamId Add(Staged entry, std::span<const std::string_view> pairs, int64_t now_ms);
  std::optional<Staged> Find(StreamId handle) const;
  // Calls `visit` for those with from <= handle <= to, in order, until it returns false.
  void Walk(StreamId from, StreamId to, const std::function<bool(const Staged&)>& visit) const;

  // All but handle and fields may change.
  void Change(const Staged& entry, const Staged& after);
  void Remove(const Staged& entry);
  // It has entered the stream as `id`, which is remembered until then.
  void Enter(const Staged& entry, StreamId id, int64_t until_ms);
  // What it became.
  std::optional<StreamId> FindEntered(StreamId handle) const;

  // The delayed entry that comes first; the prepared one that nobody has asked about for the
  // longest, and the same of those that are asked out.
  std::optional<Staged> First(Staged::Place place) const;
  // A delayed entry whose time has come, or an asked out one that was not answered for in time.
  std::optional<Staged> FirstDue(int64_t now_ms) const;
  // Forgets what became of up to `most` entries, if it is time.
  void Forget(int64_t now_ms, int most);
  // Puts the stages where they belong in the agenda, after due ones have been dealt with.
  void Rearm();

 private:
  struct Moment {
    int64_t at_ms;
    StreamId handle;
  };
  std::optional<Moment> FirstIn(uint8_t queue) const;
  RowKey RowOf(uint8_t kind, StreamId handle) const;
  RowKey DueRowOf(uint8_t queue, int64_t at_ms, StreamId handle) const;
  void Put(const Staged& entry);
  void ArmBy(const Staged& entry);
  void Arm(int64_t at_ms);
  StageState& mutable_state() { return stream_->extra_.stage; }
  Env* env() const { return stream_->env_; }

  Stream* stream_;
};

}  // namespace sluice
