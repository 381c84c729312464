#include "store/lease.h"

#include "store/named_rows.h"

namespace sluice {
namespace {

constexpr uint64_t kPolicyRow = 0;  // in place of a lease's number
constexpr uint8_t kStateMask = 3;
constexpr uint8_t kRightEnd = 4;

void Encode(const Lease& lease, std::string* out) {
  bool right = lease.end == List::End::kRight;
  out->reserve(lease.element.size() + lease.consumer.size() + 40);
  PutFixed(out, static_cast<uint8_t>(static_cast<uint8_t>(lease.state) | (right ? kRightEnd : 0)));
  PutFixed(out, lease.since_ms);
  PutFixed(out, lease.due_ms);
  PutVarint(out, lease.deliveries);
  PutBytes(out, lease.consumer);
  out->append(lease.element);
}

Lease Decode(uint64_t number, std::string_view value) {
  Lease lease;
  ValueReader in(value);
  uint8_t flags = in.Fixed<uint8_t>();
  lease.number = number;
  lease.state = static_cast<LeaseState>(flags & kStateMask);
  lease.end = flags & kRightEnd ? List::End::kRight : List::End::kLeft;
  lease.since_ms = in.Fixed<int64_t>();
  lease.due_ms = in.Fixed<int64_t>();
  lease.deliveries = in.Varint();
  lease.consumer = in.Bytes();
  lease.element = in.Rest();
  return lease;
}

}  // namespace

RowKey Leases::RowOf(uint64_t number) const {
  return RowKey().U64(list_->extra().leases).U64(number);
}

// The number is turned round, so that of one moment the last that was taken comes first: so several
// return in the order in which they were.
RowKey Leases::DueRowOf(const Lease& lease) const {
  return RowKey()
      .U64(list_->extra().leases)
      .U64(static_cast<uint64_t>(lease.due_ms))
      .U64(~lease.number);
}

uint64_t* Leases::CountOf(LeaseState state) {
  ListExtra& extra = list_->extra();
  if (state == LeaseState::kHeld) return &extra.held;
  return state == LeaseState::kWaiting ? &extra.waiting : &extra.dead;
}

void Leases::NeedObject() {
  if (!list_->extra().leases) list_->extra().leases = list_->keys()->NewObject();
}

void Leases::PutDue(const Lease& lease) {
  if (!lease.due_ms) return;
  list_->env()->Put(Table::kLeaseDue, DueRowOf(lease), {});
  int64_t timer_ms = list_->key()->timer_ms;
  if (!timer_ms || lease.due_ms < timer_ms) list_->keys()->SetTimer(list_->key(), lease.due_ms);
}

// Those without a name have what is left of all.
void Leases::CountConsumer(std::string_view name, int change) {
  if (name.empty()) return;
  NamedRows rows(list_->env(), Table::kLeaseOwner, list_->extra().leases);
  RowKey key;
  std::optional<NamedRows::Row> row = rows.Find(name, &key);
  uint64_t count = row ? ValueReader(row->value).Fixed<uint64_t>() : 0;
  count += static_cast<uint64_t>(change);
  if (count == 0) return rows.Delete(key);
  std::string value;
  PutFixed(&value, count);
  bool is_new_and_long = !row && name.size() > kInlineName;
  rows.Put(&key, row.has_value(), name, is_new_and_long ? list_->keys()->NewObject() : 0, value);
}

Lease Leases::Take(List::End end, std::string_view consumer, int64_t now_ms, int64_t until_ms) {
  NeedObject();
  ListExtra& extra = list_->extra();
  uint64_t before = 0;
  Lease lease;
  lease.element = list_->Pop(end, &before);
  lease.number = ++extra.last_lease;
  lease.end = end;
  lease.deliveries = before + 1;
  lease.since_ms = now_ms;
  lease.due_ms = until_ms;
  lease.consumer = consumer;
  extra.redelivered += before > 0;
  ++extra.held;
  std::string value;
  Encode(lease, &value);
  list_->env()->Put(Table::kLease, RowOf(lease.number), value);
  PutDue(lease);
  CountConsumer(consumer, 1);
  list_->Save();
  return lease;
}

std::optional<Lease> Leases::Find(LeaseId id) const {
  if (id.list == 0 || id.list != list_->extra().leases || id.number == kPolicyRow) {
    return std::nullopt;
  }
  std::optional<std::string_view> value = list_->env()->Get(Table::kLease, RowOf(id.number));
  if (!value) return std::nullopt;
  return Decode(id.number, *value);
}

std::optional<Lease> Leases::FirstDue() const {
  ObjectId object = list_->extra().leases;
  Cursor rows(list_->env(), Table::kLeaseDue);
  if (!object || !rows.SeekAtLeast(RowKey().U64(object))) return std::nullopt;
  if (ReadKeyU64(rows.key().data()) != object) return std::nullopt;
  return Find({object, ~ReadKeyU64(rows.key().data() + 16)});
}

void Leases::Walk(uint64_t first, uint64_t last,
                  const std::function<bool(const Lease&)>& visit) const {
  ObjectId object = list_->extra().leases;
  if (!object) return;
  Cursor rows(list_->env(), Table::kLease);
  for (bool more = rows.SeekAtLeast(RowOf(std::max(first, kPolicyRow + 1)));
       more && ReadKeyU64(rows.key().data()) == object; more = rows.Next()) {
    uint64_t number = ReadKeyU64(rows.key().data() + 8);
    if (number > last || !visit(Decode(number, rows.value()))) return;
  }
}

uint64_t Leases::FirstNumber() const {
  uint64_t first = 0;
  Walk(0, UINT64_MAX, [&](const Lease& lease) {
    first = lease.number;
    return false;
  });
  return first;
}

uint64_t Leases::LastNumber() const {
  ObjectId object = list_->extra().leases;
  Cursor rows(list_->env(), Table::kLease);
  if (!object || !rows.SeekAtMost(RowOf(UINT64_MAX))) return 0;
  // The row before all leases is the policy's.
  return ReadKeyU64(rows.key().data()) == object ? ReadKeyU64(rows.key().data() + 8) : 0;
}

void Leases::WalkConsumers(
    const std::function<void(std::string_view name, uint64_t leases)>& visit) const {
  if (!list_->extra().leases) return;
  NamedRows rows(list_->env(), Table::kLeaseOwner, list_->extra().leases);
  rows.Walk([&](const NamedRows::Row& row) {
    visit(row.name, ValueReader(row.value).Fixed<uint64_t>());
    return true;
  });
}

void Leases::Remove(const Lease& lease) {
  Env* env = list_->env();
  std::string consumer(lease.consumer);
  --*CountOf(lease.state);
  if (lease.due_ms) env->Delete(Table::kLeaseDue, DueRowOf(lease));
  env->Delete(Table::kLease, RowOf(lease.number));
  CountConsumer(consumer, -1);
  list_->Save();
}

void Leases::Change(const Lease& lease, Lease after) {
  Env* env = list_->env();
  std::string value;
  Encode(after, &value);
  --*CountOf(lease.state);
  ++*CountOf(after.state);
  if (lease.due_ms) env->Delete(Table::kLeaseDue, DueRowOf(lease));
  env->Put(Table::kLease, RowOf(lease.number), value);
  PutDue(after);
  list_->Save();
}

void Leases::Return(const Lease& lease, uint64_t deliveries) {
  std::string element(lease.element);
  List::End end = lease.end;
  Remove(lease);
  list_->Return(end, element, deliveries);
}

RetryPolicy Leases::ReadPolicy() const {
  if (!(list_->extra().flags & ListExtra::kPolicy)) return {};
  std::optional<std::string_view> value = list_->env()->Get(Table::kLease, RowOf(kPolicyRow));
  if (!value) return {};
  ValueReader in(*value);
  return RetryPolicy::Decode(&in);
}

void Leases::SavePolicy(const RetryPolicy& policy) {
  ListExtra& extra = list_->extra();
  if (policy.backoff_ms.empty() && policy.dead_letter.empty()) {
    if (extra.flags & ListExtra::kPolicy) list_->env()->Delete(Table::kLease, RowOf(kPolicyRow));
    extra.flags &= ~ListExtra::kPolicy;
  } else {
    NeedObject();
    std::string value;
    policy.Encode(&value);
    list_->env()->Put(Table::kLease, RowOf(kPolicyRow), value);
    extra.flags |= ListExtra::kPolicy;
  }
  list_->Save();
}

void Leases::LeaveOut(Env* env, Keyspace* keys, Key* copy) {
  RetryPolicy policy;
  {
    List list(env, keys, copy);
    policy = Leases(&list).ReadPolicy();
  }
  copy->header = List::WithoutLeases(copy->header);
  keys->SetTimer(copy, 0);
  List list(env, keys, copy);
  Leases(&list).SavePolicy(policy);
}

}  // namespace sluice
