// Entries in order of a field's values: of those with the same value, one at a time is given out,
// the oldest first, and the others wait behind it.
//
// A row in `order` is one who stands for a value or waits for it. Whoever waits is either pending
// (Place::kParked), or was passed over by the group's cursor and has a row in a queue by id, so
// that it is found when it is asked for by its id, and when its turn has come.
#include "store/codec.h"
#include "store/group.h"

namespace sluice {
namespace {

// A row's value. On disk: never renumber.
constexpr char kStands = 0;
constexpr char kPassedOver = 1;
constexpr char kParked = 2;

std::string_view Byte(const char& byte) { return {&byte, 1}; }

StreamId IdAt(const char* p) { return {ReadKeyU64(p), ReadKeyU64(p + 8)}; }

}  // namespace

RowKey ConsumerGroup::ValueRow(uint64_t value) const {
  RowKey row;
  row.U64(object()).U32(state_.number).U64(value);
  return row;
}

RowKey ConsumerGroup::ValueRow(uint64_t value, StreamId id) const {
  return ValueRow(value).U64(id.ms).U64(id.seq);
}

bool ConsumerGroup::TakeValue(uint64_t value, StreamId id) {
  RowKey prefix = ValueRow(value);
  Cursor rows(env(), Table::kOrder);
  bool busy = rows.SeekAtLeast(prefix) && rows.key().starts_with(prefix.view());
  RowKey own = ValueRow(value, id);
  if (busy) {
    // Whoever stands for it comes first, unless an older one has begun to wait since.
    std::optional<std::string_view> state = env()->Get(Table::kOrder, own);
    return state && state->front() == kStands;
  }
  env()->Put(Table::kOrder, own, Byte(kStands));
  return true;
}

void ConsumerGroup::PassOver(StreamId id, uint64_t value) {
  env()->Put(Table::kOrder, ValueRow(value, id), Byte(kPassedOver));
  std::string hash;
  PutFixed(&hash, value);
  env()->Put(Table::kDue, QueueRow(Queue::kPassedOver).U64(id.ms).U64(id.seq), hash);
  ++extra_.passed_over;
}

void ConsumerGroup::Park(const Pending& before, uint64_t value, Consumer* held) {
  env()->Put(Table::kOrder, ValueRow(value, before.id), Byte(kParked));
  Pending after = before;
  after.place = Place::kParked;
  after.consumer = 0;
  after.delivered_ms = 0;
  after.at = 0;
  after.ordered = true;
  after.value = value;
  Change(before, after, held);
}

// The first who waits for a value for which nobody stands.
std::optional<StreamId> ConsumerGroup::FirstWaiting(uint64_t value) const {
  RowKey prefix = ValueRow(value);
  Cursor rows(env(), Table::kOrder);
  if (!rows.SeekAtLeast(prefix) || !rows.key().starts_with(prefix.view())) return std::nullopt;
  return IdAt(rows.key().data() + prefix.size());
}

// Sends a parked entry on. XCLAIM may have given it to somebody meanwhile, out of order: he keeps
// it. False when it is not pending.
bool ConsumerGroup::Unpark(StreamId id) {
  std::optional<Pending> pending = FindPending(id);
  if (!pending) return false;
  if (pending->place == Place::kParked) Release(*pending, pending->deliveries, 0, nullptr);
  return true;
}

void ConsumerGroup::FreeValue(uint64_t value, StreamId id) {
  std::optional<std::string_view> state = env()->Get(Table::kOrder, ValueRow(value, id));
  if (!state) return;
  bool stood = state->front() == kStands;
  env()->Delete(Table::kOrder, ValueRow(value, id));
  if (!stood) return;  // somebody else does
  while (std::optional<StreamId> next = FirstWaiting(value)) {
    RowKey row = ValueRow(value, *next);
    bool pending = env()->Get(Table::kOrder, row)->front() == kParked;
    RowKey passed_over = QueueRow(Queue::kPassedOver).U64(next->ms).U64(next->seq);
    // What has expired and still has a row is dealt with when its turn has come.
    if (!pending && !stream_->Contains(*next) && !stream_->FindHidden(*next)) {
      env()->Delete(Table::kOrder, row);
      env()->Delete(Table::kDue, passed_over);
      --extra_.passed_over;
      continue;
    }
    env()->Put(Table::kOrder, row, Byte(kStands));
    if (pending) {
      if (Unpark(*next)) return;
      env()->Delete(Table::kOrder, row);
      continue;
    }
    std::string hash;
    PutFixed(&hash, value);
    env()->Delete(Table::kDue, passed_over);
    env()->Put(Table::kDue, QueueRow(Queue::kUnparked).U64(next->ms).U64(next->seq), hash);
    --extra_.passed_over;
    ++extra_.unparked;
    news_ = true;
    return;
  }
}

bool ConsumerGroup::WasPassedOver(StreamId id) const {
  if (extra_.passed_over + extra_.unparked == 0) return false;
  for (Queue queue : {Queue::kPassedOver, Queue::kUnparked}) {
    if (env()->Get(Table::kDue, QueueRow(queue).U64(id.ms).U64(id.seq))) return true;
  }
  return false;
}

std::optional<StreamId> ConsumerGroup::FirstOf(Queue queue) const {
  RowKey prefix = QueueRow(queue);
  Cursor rows(env(), Table::kDue);
  if (!rows.SeekAtLeast(prefix) || !rows.key().starts_with(prefix.view())) return std::nullopt;
  return IdAt(rows.key().data() + prefix.size());
}

std::optional<StreamId> ConsumerGroup::FirstUnparked() const {
  if (extra_.unparked == 0) return std::nullopt;
  return FirstOf(Queue::kUnparked);
}

std::optional<StreamId> ConsumerGroup::FirstPassedOver() const {
  std::optional<StreamId> first = FirstUnparked();
  if (extra_.passed_over == 0) return first;
  std::optional<StreamId> parked = FirstOf(Queue::kPassedOver);
  return first && parked ? std::min(first, parked) : first ? first : parked;
}

void ConsumerGroup::RemoveUnparked(StreamId id) {
  if (env()->Delete(Table::kDue, QueueRow(Queue::kUnparked).U64(id.ms).U64(id.seq))) {
    --extra_.unparked;
  }
}

void ConsumerGroup::ForgetPassedOver(StreamId id) {
  for (Queue queue : {Queue::kPassedOver, Queue::kUnparked}) {
    RowKey row = QueueRow(queue).U64(id.ms).U64(id.seq);
    std::optional<std::string_view> hash = env()->Get(Table::kDue, row);
    if (!hash) continue;
    uint64_t value = ValueReader(*hash).Fixed<uint64_t>();
    env()->Delete(Table::kDue, row);
    --(queue == Queue::kUnparked ? extra_.unparked : extra_.passed_over);
    FreeValue(value, id);
  }
}

void ConsumerGroup::ForgetAllPassedOver() {
  while (std::optional<StreamId> id = FirstPassedOver()) ForgetPassedOver(*id);
}

void ConsumerGroup::UnparkAll() {
  RowKey prefix;
  prefix.U64(object()).U32(state_.number);
  std::string row_key(prefix.view());
  while (true) {
    char state;
    StreamId id;
    uint64_t value;
    {
      Cursor rows(env(), Table::kOrder);
      if (!rows.SeekAtLeast(row_key) || !rows.key().starts_with(prefix.view())) return;
      row_key = rows.key();
      value = ReadKeyU64(row_key.data() + 12);
      id = IdAt(row_key.data() + 20);
      state = rows.value().front();
    }
    env()->Delete(Table::kOrder, row_key);
    if (state == kPassedOver) {
      std::string hash;
      PutFixed(&hash, value);
      env()->Delete(Table::kDue, QueueRow(Queue::kPassedOver).U64(id.ms).U64(id.seq));
      env()->Put(Table::kDue, QueueRow(Queue::kUnparked).U64(id.ms).U64(id.seq), hash);
      --extra_.passed_over;
      ++extra_.unparked;
      news_ = true;
    } else if (state == kParked) {
      Unpark(id);
    }
  }
}

}  // namespace sluice
