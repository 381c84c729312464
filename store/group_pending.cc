// What a group has given out: rows in `pending`, under their owners, and in the group's queues.
#include <algorithm>

#include "store/agenda.h"
#include "store/codec.h"
#include "store/group.h"

namespace sluice {
namespace {

// Behind what every pending entry has: flags, and what they announce. An entry that is simply held
// has nothing there.
constexpr uint8_t kPlaceMask = 7;
constexpr uint8_t kFlagAt = 8;
constexpr uint8_t kFlagValue = 16;
constexpr uint8_t kFlagRejected = 32;

}  // namespace

void EncodePending(const Pending& pending, std::string* out) {
  PutFixed(out, pending.consumer);
  PutFixed(out, pending.delivered_ms);
  PutVarint(out, pending.deliveries);
  uint8_t flags = static_cast<uint8_t>(pending.place);
  if (pending.at) flags |= kFlagAt;
  if (pending.ordered) flags |= kFlagValue;
  if (pending.before_rejected) flags |= kFlagRejected;
  if (flags == static_cast<uint8_t>(Place::kHeld)) return;
  PutFixed(out, flags);
  if (pending.at) PutFixed(out, pending.at);
  if (pending.ordered) PutFixed(out, pending.value);
  if (pending.before_rejected) PutVarint(out, pending.before_rejected);
}

Pending DecodePending(StreamId id, std::string_view value) {
  Pending pending;
  pending.id = id;
  ValueReader in(value);
  pending.consumer = in.Fixed<uint32_t>();
  pending.delivered_ms = in.Fixed<int64_t>();
  pending.deliveries = in.Varint();
  pending.place = Place::kHeld;
  if (in.AtEnd()) return pending;
  uint8_t flags = in.Fixed<uint8_t>();
  pending.place = static_cast<Place>(flags & kPlaceMask);
  if (flags & kFlagAt) pending.at = in.Fixed<uint64_t>();
  pending.ordered = flags & kFlagValue;
  if (pending.ordered) pending.value = in.Fixed<uint64_t>();
  if (flags & kFlagRejected) pending.before_rejected = in.Varint();
  return pending;
}

RowKey ConsumerGroup::PendingRow(StreamId id) const {
  RowKey row;
  row.U64(object()).U32(state_.number).U64(id.ms).U64(id.seq);
  return row;
}

RowKey ConsumerGroup::OwnerRow(uint32_t consumer, StreamId id) const {
  RowKey row;
  row.U64(object()).U32(state_.number).U32(consumer).U64(id.ms).U64(id.seq);
  return row;
}

StreamId ConsumerGroup::first_pending() const {
  return PendingEntries(*this, {}, StreamId::Max()).id();
}

StreamId ConsumerGroup::last_pending() const {
  Cursor rows(env(), Table::kPending);
  if (!rows.SeekAtMost(PendingRow(StreamId::Max()))) return {};
  return {ReadKeyU64(rows.key().data() + 12), ReadKeyU64(rows.key().data() + 20)};
}

std::optional<Pending> ConsumerGroup::FindPending(StreamId id) const {
  if (state_.pending == 0 || id > state_.highest_pending) return std::nullopt;
  auto value = env()->Get(Table::kPending, PendingRow(id));
  if (!value) return std::nullopt;
  return DecodePending(id, *value);
}

// ---- changing

void ConsumerGroup::Deliver(StreamId id, Consumer* to, int64_t now_ms) {
  Pending before;
  before.id = id;
  if (std::optional<Pending> found = FindPending(id)) before = *found;
  Reassign(before, to, now_ms, 1);
}

void ConsumerGroup::Reassign(const Pending& before, Consumer* to, int64_t delivered_ms,
                             uint64_t deliveries) {
  Pending after = before;
  after.place = Place::kHeld;
  after.at = 0;
  after.consumer = to->number;
  after.delivered_ms = delivered_ms;
  after.deliveries = deliveries;
  if (deliveries != Pending::kRejected) after.before_rejected = 0;
  Change(before, after, to);
}

void ConsumerGroup::RemovePending(const Pending& pending, Consumer* held) {
  Pending none;
  none.id = pending.id;
  Change(pending, none, held);
}

void ConsumerGroup::Release(const Pending& before, uint64_t deliveries, int64_t not_before_ms,
                            Consumer* held) {
  Pending after = before;
  after.consumer = 0;
  after.delivered_ms = 0;
  after.deliveries = deliveries;
  after.before_rejected = 0;
  if (deliveries == Pending::kRejected) after.before_rejected = before.real_deliveries();
  after.place = not_before_ms ? Place::kWaiting : Place::kReleased;
  after.at = not_before_ms ? static_cast<uint64_t>(not_before_ms) : ++extra_.next_release;
  Change(before, after, held);
}

void ConsumerGroup::Change(const Pending& before, const Pending& after, Consumer* held) {
  if (after.exists()) {
    std::string& value = env()->scratch();
    value.clear();
    EncodePending(after, &value);
    env()->Put(Table::kPending, PendingRow(after.id), value);
  } else {
    env()->Delete(Table::kPending, PendingRow(before.id));
  }
  if (before.consumer != after.consumer) ChangeOwner(before, after, held);
  if (!before.exists() && after.exists()) {
    ++state_.pending;
    state_.highest_pending = std::max(state_.highest_pending, after.id);
  } else if (before.exists() && !after.exists()) {
    --state_.pending;
  }
  bool plain = before.place <= Place::kHeld && after.place <= Place::kHeld && !before.ordered;
  if (!plain || extra_.flags) ChangeQueues(before, after);
}

void ConsumerGroup::ChangeOwner(const Pending& before, const Pending& after, Consumer* held) {
  if (before.consumer) {
    env()->Delete(Table::kPendingByOwner, OwnerRow(before.consumer, before.id));
    AddToOwner(before.consumer, -1, held);
  }
  if (after.consumer) {
    env()->Put(Table::kPendingByOwner, OwnerRow(after.consumer, after.id), {});
    AddToOwner(after.consumer, 1, held);
  }
}

// One owner's changes in a row become one write.
void ConsumerGroup::AddToOwner(uint32_t consumer, int64_t change, Consumer* held) {
  if (held && held->number == consumer) {
    held->pending += static_cast<uint64_t>(change);
    return;
  }
  if (consumer != owner_) SettleOwner();
  owner_ = consumer;
  owner_change_ += change;
}

void ConsumerGroup::SettleOwner() {
  if (owner_change_ == 0) return;
  int64_t change = std::exchange(owner_change_, 0);
  std::optional<Consumer> consumer = FindConsumer(ConsumerName(owner_));
  if (!consumer) return env()->Fail(Status(Code::kCorrupt, "a pending entry has no owner"));
  consumer->pending += static_cast<uint64_t>(change);
  SaveConsumer(*consumer);
}

// ---- walking

PendingEntries::PendingEntries(const ConsumerGroup& group, StreamId from, StreamId to,
                               uint32_t consumer)
    : group_(group),
      rows_(group.env(), consumer ? Table::kPendingByOwner : Table::kPending),
      to_(to),
      by_owner_(consumer != 0) {
  prefix_.U64(group.object()).U32(group.state_.number);
  if (by_owner_) prefix_.U32(consumer);
  RowKey row = prefix_;
  row.U64(from.ms).U64(from.seq);
  Settle(rows_.SeekAtLeast(row));
}

void PendingEntries::Settle(bool found) {
  valid_ = found && rows_.key().starts_with(prefix_.view());
  if (!valid_) return;
  const char* id = rows_.key().data() + prefix_.size();
  id_ = {ReadKeyU64(id), ReadKeyU64(id + 8)};
  valid_ = id_ <= to_;
}

void PendingEntries::Next() { Settle(rows_.Next()); }

Pending PendingEntries::pending() const {
  if (!by_owner_) return DecodePending(id_, rows_.value());
  std::optional<Pending> pending = group_.FindPending(id_);
  if (pending) return *pending;
  Pending none;
  none.id = id_;
  return none;
}

}  // namespace sluice
