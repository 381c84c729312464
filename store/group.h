// Consumer groups: who reads a stream together, and who has what in hand.
//
// A group and each of its consumers is one row, found by name; inside other rows they are small
// numbers. An entry that was delivered and not acknowledged is two rows: one under the group (who
// has it, since when, how often) and an empty one under its owner, so that neither acknowledging
// nor listing what one consumer has ever walks what all have.
//
// A group may keep its pending entries in queues as well (by time of delivery, by the moment they
// fall due, in line for the next reader); one that needs none of them, as most do, pays for none.
//
// Changes of a ConsumerGroup or Consumer take effect with Save(); rows of pending entries change at
// once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/group_policy.h"
#include "store/stream.h"

namespace sluice {

struct Consumer {
  std::string name;
  uint32_t number = 0;
  int64_t seen_ms = 0;     // last attempt to read or claim
  int64_t active_ms = -1;  // last success; -1: none
  uint64_t pending = 0;
};

class ConsumerGroup {
 public:
  // The stream must outlive the group.
  static std::optional<ConsumerGroup> Find(Stream* stream, std::string_view name);
  // One that stands in the stream's agenda.
  static std::optional<ConsumerGroup> FindNumber(Stream* stream, uint32_t number);
  // `name` must not be a group of the stream yet. Saved at once.
  static void Create(Stream* stream, std::string_view name, StreamId last_id, int64_t entries_read);
  // In order of their names.
  static std::vector<ConsumerGroup> All(Stream* stream);

  const std::string& name() const { return name_; }
  StreamId last_id() const { return state_.last; }
  // How many of the stream's entries the group has been given, or Stream::kUnknown.
  int64_t entries_read() const { return state_.entries_read; }
  uint64_t pending() const { return state_.pending; }
  uint64_t consumers() const { return state_.consumers; }

  void SetCursor(StreamId last_id, int64_t entries_read);
  // The cursor has come to `id`, if it has not been there before; keeps entries_read.
  void Advance(StreamId id);
  // What Advance does not do for XCLAIM's LASTID: moves the cursor forward, counts nothing.
  void AdvanceUncounted(StreamId id) { state_.last = std::max(state_.last, id); }

  // Writes the group's row, and what changes of pending entries owe to owners' rows.
  void Save();
  // Removes the group with all it has. Rows may be reclaimed later.
  void Destroy();

  std::optional<Consumer> FindConsumer(std::string_view name) const;
  // There must be none of this name. Saved at once, except for the group's own row.
  Consumer CreateConsumer(std::string_view name, int64_t now_ms);
  void SaveConsumer(const Consumer& consumer);
  // Removes the consumer and its pending entries, or releases these; the group's own row is left to
  // Save.
  void RemoveConsumer(const Consumer& consumer, bool release = false);
  // In order of their names.
  std::vector<Consumer> Consumers() const;
  std::string ConsumerName(uint32_t number) const;

  // ---- pending entries
  // Of a group that has pending entries.
  StreamId first_pending() const;
  StreamId last_pending() const;
  std::optional<Pending> FindPending(StreamId id) const;
  // Hands `id` to a consumer as a first delivery, whoever had it before.
  void Deliver(StreamId id, Consumer* to, int64_t now_ms);
  // Makes `before`, or an entry nobody had (Place::kNone), one that `to` holds.
  void Reassign(const Pending& before, Consumer* to, int64_t delivered_ms, uint64_t deliveries);
  // `held`: a consumer object the caller will save himself, or nullptr.
  void RemovePending(const Pending& pending, Consumer* held);
  // Takes an entry from its owner, if it has one, and gives it to the next who asks: at once, at
  // the end of the line, or not before a moment (0: at once).
  void Release(const Pending& before, uint64_t deliveries, int64_t not_before_ms, Consumer* held);
  // The rows and counts of `before` become those of `after`, which has the same id. Everything
  // above is this.
  void Change(const Pending& before, const Pending& after, Consumer* held);

  // ---- the policy (group_policy.h)
  GroupPolicy ReadPolicy() const;
  // Saved at once, except for the group's own row. Without any setting there is no policy.
  void SavePolicy(const GroupPolicy& policy);

  // ---- queues (group_queues.cc)
  // Pending entries that XREADGROUP CLAIM may have, in its order: those released, first in, first
  // out; then the others, longest idle first, if they were delivered at `idle_since_ms` or before.
  // Calls `take` until it returns false. Nothing may be changed meanwhile.
  template <typename Take>
  void ForClaimable(int64_t idle_since_ms, Take take) const {
    WalkClaimable(
        idle_since_ms, [](void* f, const Pending& p) { return (*static_cast<Take*>(f))(p); },
        &take);
  }
  // Of those with an owner, the earliest delivery after a moment, if there is one.
  std::optional<int64_t> DeliveredAfter(int64_t since_ms) const;
  // Who is to be given out next: the first in line, else the one overdue for longest.
  std::optional<Pending> FirstReady() const;
  // Keeps the queues from now on. The first time it walks what is pending.
  void KeepQueues();
  // The first entry whose moment is at or before `by_ms`: one that waits, or is held.
  std::optional<Pending> FirstDue(int64_t by_ms) const;
  // Stands in the stream's agenda anew, as the queues are now.
  void Rearm();

  // ---- entries in order of a field's values (group_order.cc)
  // Makes `id` the one that stands for a value. False when another does.
  bool TakeValue(uint64_t value, StreamId id);
  // `id` stands for a value no more, and the next who waits for it has its turn; or it waits no
  // more.
  void FreeValue(uint64_t value, StreamId id);
  // Lets `id`, which is not pending, wait until its value is free.
  void PassOver(StreamId id, uint64_t value);
  // The same for a pending entry that is nobody's.
  void Park(const Pending& before, uint64_t value, Consumer* held);
  // Whether `id` was passed over and has not been given out since.
  bool WasPassedOver(StreamId id) const;
  // The first entry, not pending, whose turn has come.
  std::optional<StreamId> FirstUnparked() const;
  // The oldest that was passed over and has not been given out since.
  std::optional<StreamId> FirstPassedOver() const;
  // It is given out, and keeps the value.
  void RemoveUnparked(StreamId id);
  // `id` is to be given out no more, if it was to be.
  void ForgetPassedOver(StreamId id);
  // The cursor is set: what was passed over is given out no more.
  void ForgetAllPassedOver();
  // Order is no more: everyone's turn has come.
  void UnparkAll();

  // Whether something has become deliverable that was not; asking forgets it.
  bool TakeNews() { return std::exchange(news_, false); }

  const GroupExtra& extra() const { return extra_; }
  GroupExtra& extra() { return extra_; }
  uint32_t number() const { return state_.number; }

 private:
  friend class PendingEntries;
  // On disk as it stands here, little-endian; GroupExtra follows if it says anything.
  struct State {
    uint32_t number = 0;
    uint32_t next_consumer = 1;  // numbers are never used twice
    StreamId last;
    int64_t entries_read = Stream::kUnknown;
    uint64_t pending = 0;
    uint64_t consumers = 0;
    StreamId highest_pending;  // no entry behind it has ever been pending
  };
  static_assert(sizeof(State) == 64, "no padding");

  ConsumerGroup(Stream* stream, std::string_view name) : stream_(stream), name_(name) {}
  void ReadState(std::string_view bytes);
  Env* env() const { return stream_->env_; }
  ObjectId object() const { return stream_->key_->object; }
  RowKey PendingRow(StreamId id) const;
  RowKey OwnerRow(uint32_t consumer, StreamId id) const;
  void Abandon(const Pending& before, Consumer* held);
  void ChangeOwner(const Pending& before, const Pending& after, Consumer* held);
  void AddToOwner(uint32_t consumer, int64_t change, Consumer* held);
  void SettleOwner();
  void DropRange(Table table, const RowKey& from, const RowKey& to, uint64_t rows);

  void ChangeQueues(const Pending& before, const Pending& after);
  void Count(const Pending& pending, int64_t change);
  size_t QueueRows(const Pending& pending, RowKey* rows) const;
  std::optional<StreamId> FirstWaiting(uint64_t value) const;
  bool Unpark(StreamId id);
  RowKey ValueRow(uint64_t value) const;
  RowKey ValueRow(uint64_t value, StreamId id) const;
  std::optional<StreamId> FirstOf(Queue queue) const;
  RowKey PolicyRow() const;
  RowKey QueueRow(Queue queue) const;
  RowKey QueueRow(Queue queue, uint64_t at, StreamId id) const;
  void Arm(int64_t at_ms);
  int64_t NextMoment() const;
  using TakeClaimable = bool (*)(void*, const Pending&);
  void WalkClaimable(int64_t idle_since_ms, TakeClaimable take, void* context) const;

  Stream* stream_;
  std::string name_;
  State state_;
  GroupExtra extra_;
  bool news_ = false;
  // A change of some consumer's count of pending entries that its row does not show yet.
  uint32_t owner_ = 0;
  int64_t owner_change_ = 0;
};

// Walks a group's pending entries with from <= id <= to, or one consumer's.
class PendingEntries {
 public:
  PendingEntries(const ConsumerGroup& group, StreamId from, StreamId to, uint32_t consumer = 0);

  bool valid() const { return valid_; }
  void Next();
  StreamId id() const { return id_; }
  // While walking one consumer's, the group's row may be changed (Reassign to the same consumer).
  Pending pending() const;

 private:
  void Settle(bool found);

  const ConsumerGroup& group_;
  Cursor rows_;
  RowKey prefix_;
  StreamId to_;
  bool by_owner_;
  bool valid_ = false;
  StreamId id_;
};

}  // namespace sluice
