#include "src/commands/group_delivery.h"

#include "src/commands/families.h"
#include "store/codec.h"
#include "store/stage.h"

namespace sluice {
namespace {

std::optional<std::string_view> Find(EntryFields fields, std::string_view name) {
  while (fields.left() > 0) {
    std::string_view field, value;
    fields.Next(&field, &value);
    if (field == name) return value;
  }
  return std::nullopt;
}

// What stands in a dead letter: the entry's fields, then where it comes from.
std::vector<std::string> DeadLetter(const Delivery& d, const Pending& pending, EntryFields fields,
                                    std::string_view reason) {
  std::vector<std::string> pairs;
  while (fields.left() > 0) {
    std::string_view field, value;
    fields.Next(&field, &value);
    pairs.emplace_back(field);
    pairs.emplace_back(value);
  }
  std::string id = std::to_string(pending.id.ms) + "-" + std::to_string(pending.id.seq);
  for (std::string_view s :
       {std::string_view("dlq-stream"), d.key, std::string_view("dlq-group"),
        std::string_view(d.group.name()), std::string_view("dlq-id"), std::string_view(id),
        std::string_view("dlq-reason"), reason, std::string_view("dlq-deliveries")}) {
    pairs.emplace_back(s);
  }
  pairs.push_back(std::to_string(pending.real_deliveries()));
  return pairs;
}

// False when the dead letters have no place to go.
bool Append(Delivery& d, const std::vector<std::string>& pairs) {
  const std::string& name = d.policy.dead_letter;
  if (name.empty() || name == d.key) return false;
  int db = d.call.db();
  Key* key = d.call.engine.Lookup(d.call.session, db, name, false);
  if (key && key->type != Type::kStream) return false;
  uint64_t now = static_cast<uint64_t>(d.call.now_ms());
  if (key && OpenStream(d.call, key).NextId(now).zero()) return false;
  if (!key) key = &d.call.keys().Create(db, name, Type::kStream);
  Stream dest = OpenStream(d.call, key);
  if (!Stages(&dest).HasRoom()) return false;
  std::vector<std::string_view> views(pairs.begin(), pairs.end());
  AppendEntry(d.call, db, name, &dest, dest.NextId(now), views, 0, d.key);
  return true;
}

// An entry's moment has come: its time in a consumer's hands is over, or that which it had to wait.
void Fall(Delivery& d, const Pending& due) {
  if (d.has_policy() && !d.stream.Contains(due.id)) return d.Forget(due);
  if (due.place == Place::kWaiting && !due.consumer) {
    return d.group.Release(due, due.deliveries, 0, nullptr);
  }
  Pending after = due;
  after.place = Place::kOverdue;
  if (due.place == Place::kHeld) {
    if (d.AtLimit(due)) return d.GiveUp(due, "max-deliveries");
    int64_t ended_ms = due.delivered_ms + d.group.extra().visibility_ms;
    int64_t backoff_ms = d.policy.BackoffAfter(due.deliveries);
    if (backoff_ms > 0) after.place = Place::kWaiting;
    after.at = static_cast<uint64_t>(std::max<int64_t>(ended_ms + backoff_ms, 1));
  }
  d.group.Change(due, after, nullptr);
}

}  // namespace

bool Delivery::AtLimit(const Pending& pending) const {
  uint64_t most = group.extra().max_deliveries;
  return most && pending.deliveries >= most;
}

void Delivery::GiveUp(const Pending& pending, std::string_view reason, bool rejected) {
  std::optional<EntryFields> fields = stream.Find(pending.id);
  if (!fields) return Forget(pending);
  if (Append(*this, DeadLetter(*this, pending, *fields, reason))) {
    ++group.extra().dead_lettered;
    return group.RemovePending(pending, consumer);
  }
  Pending dead = pending;
  dead.place = Place::kDead;
  dead.at = 0;
  dead.ordered = false;
  if (rejected) {
    dead.before_rejected = pending.real_deliveries();
    dead.deliveries = Pending::kRejected;
  }
  group.Change(pending, dead, consumer);
}

void Delivery::Forget(const Pending& pending) {
  if (has_policy()) {
    if (std::optional<EntryFields> fields = stream.FindHidden(pending.id)) {
      Expire(pending, *fields);
    }
  }
  group.RemovePending(pending, consumer);
}

bool Delivery::Expire(const Pending& pending, EntryFields fields) {
  ++group.extra().expired;
  if (!Append(*this, DeadLetter(*this, pending, fields, "expired"))) return false;
  ++group.extra().dead_lettered;
  return true;
}

std::optional<uint64_t> Delivery::ValueOf(EntryFields fields) const {
  if (policy.order_by.empty()) return std::nullopt;
  std::optional<std::string_view> value = Find(fields, policy.order_by);
  if (!value) return std::nullopt;
  return HashName(*value);
}

bool Delivery::Passes(EntryFields fields) const {
  for (const GroupPolicy::Filter& filter : policy.filters) {
    std::optional<std::string_view> value = Find(fields, filter.field);
    bool matches = value && std::any_of(filter.globs.begin(), filter.globs.end(),
                                        [&](const std::string& g) { return GlobMatch(g, *value); });
    if (!matches) return false;
  }
  return true;
}

bool Delivery::Order(Pending* pending, EntryFields fields) {
  std::optional<uint64_t> value = ValueOf(fields);
  if (value && !group.TakeValue(*value, pending->id)) return false;
  if (pending->ordered && pending->value != value) group.FreeValue(pending->value, pending->id);
  pending->ordered = value.has_value();
  pending->value = value.value_or(0);
  return true;
}

bool FireGroup(Call& call, std::string_view name, Stream* stream, uint32_t number, int64_t at_ms,
               Slice* slice) {
  std::optional<ConsumerGroup> group = ConsumerGroup::FindNumber(stream, number);
  if (!group || group->extra().armed_ms != at_ms) return false;
  Delivery delivery(call, name, *stream, *group);
  while (slice->Take()) {
    std::optional<Pending> due = group->FirstDue(at_ms);
    if (!due) break;
    Fall(delivery, *due);
  }
  group->Rearm();
  group->Save();
  call.engine.KeyNoted(call.db(), name, "");
  if (group->TakeNews()) call.engine.KeyReady(call.db(), name);
  return true;
}

}  // namespace sluice
