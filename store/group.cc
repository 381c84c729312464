#include "store/group.h"

#include <algorithm>

#include "store/agenda.h"
#include "store/codec.h"
#include "store/group_names.h"

namespace sluice {
namespace {

// Up to so many rows of a destroyed group are deleted at once; more are left to be reclaimed.
constexpr uint64_t kDeleteNow = 500;

// On disk as it stands here, little-endian; later versions append to it.
struct ConsumerState {
  uint32_t number = 0;
  uint32_t reserved = 0;
  int64_t seen_ms = 0;
  int64_t active_ms = -1;
  uint64_t pending = 0;
};
static_assert(sizeof(ConsumerState) == 32, "no padding");

Consumer FromState(std::string_view name, std::string_view bytes) {
  ConsumerState state;
  ReadState(bytes, &state);
  return {std::string(name), state.number, state.seen_ms, state.active_ms, state.pending};
}

// Rows come in order of the first kInlineName bytes of their names.
template <typename T, typename Name>
void SortByName(std::vector<T>* all, Name name) {
  auto less = [&](const T& a, const T& b) { return name(a) < name(b); };
  if (!std::is_sorted(all->begin(), all->end(), less)) std::sort(all->begin(), all->end(), less);
}

}  // namespace

// ---- groups

std::optional<ConsumerGroup> ConsumerGroup::Find(Stream* stream, std::string_view name) {
  if (stream->header_.groups == 0) return std::nullopt;
  auto bytes = NameScope{stream->env_, stream->key_->object, 0}.Find(name);
  if (!bytes) return std::nullopt;
  ConsumerGroup group(stream, name);
  group.ReadState(*bytes);
  return group;
}

std::optional<ConsumerGroup> ConsumerGroup::FindNumber(Stream* stream, uint32_t number) {
  auto name = NameScope{stream->env_, stream->key_->object, 0}.NameOf(number);
  if (!name) return std::nullopt;
  return Find(stream, *name);
}

void ConsumerGroup::ReadState(std::string_view bytes) {
  sluice::ReadState(bytes, &state_);
  if (bytes.size() > sizeof state_) sluice::ReadState(bytes.substr(sizeof state_), &extra_);
}

void ConsumerGroup::Create(Stream* stream, std::string_view name, StreamId last_id,
                           int64_t entries_read) {
  ConsumerGroup group(stream, name);
  group.state_.number = static_cast<uint32_t>(stream->header_.next_group++);
  group.SetCursor(last_id, entries_read);
  ++stream->header_.groups;
  stream->Save();
  group.Save();
}

std::vector<ConsumerGroup> ConsumerGroup::All(Stream* stream) {
  std::vector<ConsumerGroup> all;
  all.reserve(stream->header_.groups);
  NameScope{stream->env_, stream->key_->object, 0}.Walk(
      [&](std::string_view name, std::string_view bytes) {
        all.push_back(ConsumerGroup(stream, name));
        all.back().ReadState(bytes);
      });
  SortByName(&all, [](const ConsumerGroup& g) -> const std::string& { return g.name_; });
  return all;
}

void ConsumerGroup::SetCursor(StreamId last_id, int64_t entries_read) {
  state_.last = last_id;
  state_.entries_read = entries_read;
}

void ConsumerGroup::Advance(StreamId id) {
  if (id <= state_.last) return;
  if (state_.entries_read != Stream::kUnknown && !stream_->HasTombstones(id)) {
    ++state_.entries_read;
  } else if (stream_->entries_added() > 0) {
    state_.entries_read = stream_->EntriesUpTo(id);
  }
  state_.last = id;
}

void ConsumerGroup::Save() {
  SettleOwner();
  NameScope names{env(), object(), 0};
  if (extra_ == GroupExtra()) return names.Put(name_, state_.number, StateBytes(state_));
  std::string bytes(StateBytes(state_));
  bytes += StateBytes(extra_);
  names.Put(name_, state_.number, bytes);
}

// Drops about `rows` rows whose keys behind the object's id are from <= key < to.
void ConsumerGroup::DropRange(Table table, const RowKey& from, const RowKey& to, uint64_t rows) {
  if (rows > kDeleteNow) return stream_->keys_->AddGarbageRange(object(), table, from, to);
  env()->DeleteRange(table, RowKey().U64(object()).Bytes(from), RowKey().U64(object()).Bytes(to));
}

void ConsumerGroup::Destroy() {
  NameScope{env(), object(), 0}.Delete(name_, state_.number);
  RowKey from, to;
  from.U32(state_.number);
  to.U32(state_.number + 1);
  env()->Delete(Table::kGroup, PolicyRow());
  if (state_.consumers > 0) DropRange(Table::kGroup, from, to, 2 * state_.consumers);
  if (state_.pending > 0) {
    DropRange(Table::kPending, from, to, state_.pending);
    DropRange(Table::kPendingByOwner, from, to, state_.pending);
  }
  if (extra_ != GroupExtra()) {
    Agenda(env(), stream_->keys_, stream_->key_)
        .Move(Duty::kGroup, state_.number, extra_.armed_ms, 0);
    uint64_t rows = state_.pending + extra_.passed_over + extra_.unparked;
    DropRange(Table::kDue, from, to, 2 * rows);
    DropRange(Table::kOrder, from, to, rows);
  }
  --stream_->header_.groups;
  stream_->Save();
}

// ---- the policy

// Among the group's consumers, which are of kinds 0 and 1 (group_names.cc).
RowKey ConsumerGroup::PolicyRow() const {
  RowKey row;
  row.U64(object()).U32(state_.number).U8(2);
  return row;
}

GroupPolicy ConsumerGroup::ReadPolicy() const {
  std::optional<std::string_view> bytes = env()->Get(Table::kGroup, PolicyRow());
  return bytes ? GroupPolicy::Decode(*bytes) : GroupPolicy();
}

void ConsumerGroup::SavePolicy(const GroupPolicy& policy) {
  if (policy.empty()) {
    env()->Delete(Table::kGroup, PolicyRow());
  } else {
    env()->Put(Table::kGroup, PolicyRow(), policy.Encode());
  }
  bool any = !policy.empty() || extra_.visibility_ms || extra_.max_deliveries ||
             extra_.max_pending || extra_.rate.tokens;
  extra_.flags = any ? extra_.flags | GroupExtra::kPolicy : extra_.flags & ~GroupExtra::kPolicy;
}

// ---- consumers

std::optional<Consumer> ConsumerGroup::FindConsumer(std::string_view name) const {
  auto bytes = NameScope{env(), object(), state_.number}.Find(name);
  if (!bytes) return std::nullopt;
  return FromState(name, *bytes);
}

Consumer ConsumerGroup::CreateConsumer(std::string_view name, int64_t now_ms) {
  Consumer consumer;
  consumer.name = name;
  consumer.number = state_.next_consumer++;
  consumer.seen_ms = now_ms;
  ++state_.consumers;
  NameScope{env(), object(), state_.number}.PutNumber(name, consumer.number);
  SaveConsumer(consumer);
  return consumer;
}

void ConsumerGroup::SaveConsumer(const Consumer& consumer) {
  ConsumerState state{consumer.number, 0, consumer.seen_ms, consumer.active_ms, consumer.pending};
  NameScope{env(), object(), state_.number}.Put(consumer.name, consumer.number, StateBytes(state));
}

void ConsumerGroup::RemoveConsumer(const Consumer& consumer, bool release) {
  uint32_t number = consumer.number;
  if (release || extra_ != GroupExtra()) {
    Consumer held = consumer;
    while (held.pending > 0) {
      PendingEntries first(*this, {}, StreamId::Max(), number);
      if (!first.valid()) break;
      Pending pending = first.pending();
      release ? Abandon(pending, &held) : RemovePending(pending, &held);
    }
  } else {
    for (PendingEntries entry(*this, {}, StreamId::Max(), number); entry.valid(); entry.Next()) {
      env()->Delete(Table::kPending, PendingRow(entry.id()));
    }
    RowKey from, to;
    from.U32(state_.number).U32(number);
    to.U32(state_.number).U32(number + 1);
    DropRange(Table::kPendingByOwner, from, to, consumer.pending);
    state_.pending -= consumer.pending;
  }
  NameScope{env(), object(), state_.number}.Delete(consumer.name, number);
  --state_.consumers;
}

// Takes an entry from an owner who goes: what waits goes on waiting, what is dead stays dead.
void ConsumerGroup::Abandon(const Pending& before, Consumer* held) {
  if (before.place != Place::kWaiting && before.place != Place::kDead) {
    return Release(before, before.deliveries, 0, held);
  }
  Pending after = before;
  after.consumer = 0;
  after.delivered_ms = 0;
  Change(before, after, held);
}

std::vector<Consumer> ConsumerGroup::Consumers() const {
  std::vector<Consumer> all;
  all.reserve(state_.consumers);
  NameScope{env(), object(), state_.number}.Walk(
      [&](std::string_view name, std::string_view bytes) {
        all.push_back(FromState(name, bytes));
      });
  SortByName(&all, [](const Consumer& c) -> const std::string& { return c.name; });
  return all;
}

std::string ConsumerGroup::ConsumerName(uint32_t number) const {
  return NameScope{env(), object(), state_.number}.NameOf(number).value_or(std::string());
}

}  // namespace sluice
