// A group's queues: its pending entries in order of delivery, of the moments they fall due, and in
// line for the next reader. They are kept by whatever changes a pending entry.
#include "store/agenda.h"
#include "store/codec.h"
#include "store/group.h"
#include "store/group_names.h"

namespace sluice {
namespace {

constexpr size_t kPrefix = 8 + 4 + 1;  // object, group, queue

// What the rows of all queues but those by id alone end in.
struct QueueEntry {
  uint64_t at;
  StreamId id;
};

QueueEntry Decode(std::string_view row_key) {
  const char* p = row_key.data() + kPrefix;
  return {ReadKeyU64(p), {ReadKeyU64(p + 8), ReadKeyU64(p + 16)}};
}

// Walks one queue from `from` on; the cursor's table must not change meanwhile.
class QueueWalk {
 public:
  QueueWalk(Env* env, const RowKey& prefix, const RowKey& from)
      : rows_(env, Table::kDue), prefix_(prefix) {
    Settle(rows_.SeekAtLeast(from));
  }
  bool valid() const { return valid_; }
  const QueueEntry& entry() const { return entry_; }
  void Next() { Settle(rows_.Next()); }

 private:
  void Settle(bool found) {
    valid_ = found && rows_.key().starts_with(prefix_.view());
    if (valid_) entry_ = Decode(rows_.key());
  }
  Cursor rows_;
  RowKey prefix_;
  bool valid_ = false;
  QueueEntry entry_{};
};

}  // namespace

RowKey ConsumerGroup::QueueRow(Queue queue) const {
  RowKey row;
  row.U64(object()).U32(state_.number).U8(static_cast<uint8_t>(queue));
  return row;
}

RowKey ConsumerGroup::QueueRow(Queue queue, uint64_t at, StreamId id) const {
  return QueueRow(queue).U64(at).U64(id.ms).U64(id.seq);
}

// ---- keeping them

size_t ConsumerGroup::QueueRows(const Pending& pending, RowKey* rows) const {
  size_t n = 0;
  auto add = [&](Queue queue, uint64_t at) { rows[n++] = QueueRow(queue, at, pending.id); };
  uint64_t delivered = static_cast<uint64_t>(pending.delivered_ms);
  bool by_delivery = extra_.keeps_queues() && pending.consumer;
  switch (pending.place) {
    case Place::kHeld:
      if (by_delivery) add(Queue::kHeld, delivered);
      break;
    case Place::kReleased:
      add(Queue::kReleased, pending.at);
      break;
    case Place::kWaiting:
      add(Queue::kWaiting, pending.at);
      if (by_delivery) add(Queue::kLapsed, delivered);
      break;
    case Place::kOverdue:
      add(Queue::kOverdue, pending.at);
      if (by_delivery) add(Queue::kLapsed, delivered);
      break;
    case Place::kNone:
    case Place::kDead:
    case Place::kParked:
      break;
  }
  return n;
}

void ConsumerGroup::Count(const Pending& pending, int64_t change) {
  uint64_t by = static_cast<uint64_t>(change);
  if (pending.exists() && !pending.consumer) extra_.unowned += by;
  switch (pending.place) {
    case Place::kReleased:
      extra_.released += by;
      break;
    case Place::kWaiting:
      extra_.waiting += by;
      break;
    case Place::kOverdue:
      extra_.overdue += by;
      break;
    case Place::kDead:
      extra_.dead += by;
      break;
    case Place::kParked:
      extra_.parked += by;
      break;
    case Place::kNone:
    case Place::kHeld:
      break;
  }
}

void ConsumerGroup::ChangeQueues(const Pending& before, const Pending& after) {
  RowKey old_rows[2], new_rows[2];
  size_t old_n = QueueRows(before, old_rows), new_n = QueueRows(after, new_rows);
  for (size_t i = 0; i < old_n; ++i) env()->Delete(Table::kDue, old_rows[i]);
  for (size_t i = 0; i < new_n; ++i) env()->Put(Table::kDue, new_rows[i], {});
  Count(before, -1);
  Count(after, 1);
  if (!before.exists() && extra_.passed_over + extra_.unparked > 0) ForgetPassedOver(after.id);

  auto live = [](const Pending& p) { return p.exists() && p.place != Place::kDead; };
  bool below_cap = extra_.max_pending && live(before) && !live(after) &&
                   state_.pending - extra_.dead < extra_.max_pending;
  bool in_line = after.place == Place::kReleased || after.place == Place::kOverdue;
  if (below_cap || in_line) news_ = true;
  if (before.ordered && !(after.ordered && after.value == before.value)) {
    FreeValue(before.value, before.id);
  }
  if (after.place == Place::kWaiting) {
    Arm(static_cast<int64_t>(after.at));
  } else if (after.place == Place::kHeld && extra_.visibility_ms) {
    Arm(after.delivered_ms + extra_.visibility_ms);
  }
}

void ConsumerGroup::KeepQueues() {
  if (extra_.keeps_queues()) return;
  extra_.flags |= GroupExtra::kQueues;
  Cursor rows(env(), Table::kPending);
  RowKey prefix;
  prefix.U64(object()).U32(state_.number);
  for (bool more = rows.SeekAtLeast(prefix); more && rows.key().starts_with(prefix.view());
       more = rows.Next()) {
    const char* id = rows.key().data() + prefix.size();
    Pending pending = DecodePending({ReadKeyU64(id), ReadKeyU64(id + 8)}, rows.value());
    if (pending.consumer && pending.place == Place::kHeld) {
      uint64_t delivered = static_cast<uint64_t>(pending.delivered_ms);
      env()->Put(Table::kDue, QueueRow(Queue::kHeld, delivered, pending.id), {});
    }
  }
}

// ---- looking

std::optional<int64_t> ConsumerGroup::DeliveredAfter(int64_t since_ms) const {
  std::optional<int64_t> first;
  uint64_t from = static_cast<uint64_t>(since_ms + 1);
  for (Queue queue : {Queue::kLapsed, Queue::kHeld}) {
    QueueWalk walk(env(), QueueRow(queue), QueueRow(queue, from, {}));
    if (!walk.valid()) continue;
    int64_t at = static_cast<int64_t>(walk.entry().at);
    first = first ? std::min(*first, at) : at;
  }
  return first;
}

std::optional<Pending> ConsumerGroup::FirstReady() const {
  for (Queue queue : {Queue::kReleased, Queue::kOverdue}) {
    if ((queue == Queue::kReleased ? extra_.released : extra_.overdue) == 0) continue;
    QueueWalk walk(env(), QueueRow(queue), QueueRow(queue));
    if (walk.valid()) return FindPending(walk.entry().id);
  }
  return std::nullopt;
}

void ConsumerGroup::WalkClaimable(int64_t idle_since_ms, TakeClaimable take, void* context) const {
  auto give = [&](const QueueEntry& entry) {
    std::optional<Pending> pending = FindPending(entry.id);
    return !pending || take(context, *pending);
  };
  QueueWalk released(env(), QueueRow(Queue::kReleased), QueueRow(Queue::kReleased));
  for (; released.valid(); released.Next()) {
    if (!give(released.entry())) return;
  }
  QueueWalk lapsed(env(), QueueRow(Queue::kLapsed), QueueRow(Queue::kLapsed));
  QueueWalk held(env(), QueueRow(Queue::kHeld), QueueRow(Queue::kHeld));
  while (lapsed.valid() || held.valid()) {
    bool first = !held.valid() || (lapsed.valid() && lapsed.entry().at <= held.entry().at);
    QueueWalk& next = first ? lapsed : held;
    if (static_cast<int64_t>(next.entry().at) > idle_since_ms) return;
    if (!give(next.entry())) return;
    next.Next();
  }
}

std::optional<Pending> ConsumerGroup::FirstDue(int64_t by_ms) const {
  std::optional<StreamId> id;
  if (extra_.waiting > 0) {
    QueueWalk waiting(env(), QueueRow(Queue::kWaiting), QueueRow(Queue::kWaiting));
    if (waiting.valid() && static_cast<int64_t>(waiting.entry().at) <= by_ms) {
      id = waiting.entry().id;
      by_ms = static_cast<int64_t>(waiting.entry().at) - 1;
    }
  }
  if (extra_.visibility_ms && extra_.keeps_queues()) {
    QueueWalk held(env(), QueueRow(Queue::kHeld), QueueRow(Queue::kHeld));
    bool due =
        held.valid() && static_cast<int64_t>(held.entry().at) + extra_.visibility_ms <= by_ms;
    if (due) id = held.entry().id;
  }
  if (!id) return std::nullopt;
  return FindPending(*id);
}

// ---- the agenda

int64_t ConsumerGroup::NextMoment() const {
  int64_t next = 0;
  auto consider = [&](Queue queue, int64_t plus) {
    QueueWalk walk(env(), QueueRow(queue), QueueRow(queue));
    if (!walk.valid()) return;
    int64_t at = std::max<int64_t>(static_cast<int64_t>(walk.entry().at) + plus, 1);
    next = next ? std::min(next, at) : at;
  };
  if (extra_.waiting > 0) consider(Queue::kWaiting, 0);
  if (extra_.visibility_ms) consider(Queue::kHeld, extra_.visibility_ms);
  return next;
}

void ConsumerGroup::Arm(int64_t at_ms) {
  at_ms = std::max<int64_t>(at_ms, 1);
  if (extra_.armed_ms && extra_.armed_ms <= at_ms) return;
  // The agenda knows groups by their numbers.
  if (!extra_.armed_ms) NameScope{env(), object(), 0}.PutNumber(name_, state_.number);
  Agenda(env(), stream_->keys_, stream_->key_)
      .Move(Duty::kGroup, state_.number, extra_.armed_ms, at_ms);
  extra_.armed_ms = at_ms;
}

void ConsumerGroup::Rearm() {
  int64_t next = NextMoment();
  if (next && !extra_.armed_ms) return Arm(next);
  Agenda(env(), stream_->keys_, stream_->key_)
      .Move(Duty::kGroup, state_.number, extra_.armed_ms, next);
  extra_.armed_ms = next;
}

}  // namespace sluice
