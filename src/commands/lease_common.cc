#include "src/commands/lease_common.h"

#include <algorithm>

#include "src/commands/families.h"
#include "src/commands/slice.h"

namespace sluice {
namespace {

// How many leases one call deals with: clients are served in between. Those of one moment stay
// together, as long as that takes no more than a few milliseconds.
constexpr int kLeasesPerCall = 64;
constexpr int kLeasesOfOneMoment = 1000;

}  // namespace

bool FindLeased(Call& call, size_t at, Key** key) {
  if (!call.LookupType(call.args[at], Type::kList, key)) return false;
  if (!*key) *key = call.keys().FindHidden(call.db(), call.args[at]);
  return true;
}

std::optional<LeaseId> ParseLeaseId(std::string_view text) {
  size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::optional<int64_t> list = ParseInteger(text.substr(0, dash));
  std::optional<int64_t> number = ParseInteger(text.substr(dash + 1));
  if (!list || !number || *list <= 0 || *number <= 0) return std::nullopt;
  return LeaseId{static_cast<uint64_t>(*list), static_cast<uint64_t>(*number)};
}

void ReplyLeaseId(Call& call, LeaseId id) {
  call.reply.Bulk(std::to_string(id.list) + "-" + std::to_string(id.number));
}

bool ReadLeaseIds(Call& call, size_t* i, std::vector<LeaseId>* ids) {
  int64_t n = 0;
  if (!call.Is(*i, "IDS") || *i + 1 >= call.args.size()) {
    return call.Error("ERR syntax error, expected IDS keyword"), false;
  }
  if (!call.ReadRange(*i + 1, 1, INT32_MAX, &n, "ERR numids must be a positive integer")) {
    return false;
  }
  if (static_cast<uint64_t>(n) > call.args.size() - (*i + 2)) {
    return call.Error("ERR number of IDs doesn't match numids"), false;
  }
  for (*i += 1; n > 0; --n) {
    if (std::optional<LeaseId> id = ParseLeaseId(call.args[++*i])) ids->push_back(*id);
  }
  return true;
}

void ReplyLeased(Call& call, Key* key, End end, uint64_t count, int64_t lease_ms,
                 PutBack* put_back) {
  List list = OpenList(call, key);
  Leases leases(&list);
  count = std::min(count, list.size());
  call.reply.ArrayHeader(count);
  for (uint64_t i = 0; i < count; ++i) {
    Lease lease = leases.Take(end, call.session.name, call.now_ms(), call.now_ms() + lease_ms);
    call.reply.ArrayHeader(2);
    ReplyLeaseId(call, leases.IdOf(lease));
    call.reply.Bulk(lease.element);
    if (put_back) put_back->leases.push_back(leases.IdOf(lease));
  }
  AfterPop(call, key, &list, end, count);
}

LeaseEnding::LeaseEnding(Call& call, Key* key)
    : call_(call),
      key_(key),
      was_hidden_(key->hidden),
      list_(OpenList(call, key)),
      leases_(&list_) {}

const RetryPolicy& LeaseEnding::policy() {
  if (!policy_) policy_ = leases_.ReadPolicy();
  return *policy_;
}

void LeaseEnding::Return(const Lease& lease, uint64_t deliveries) {
  (lease.end == End::kLeft ? returned_left_ : returned_right_) = true;
  leases_.Return(lease, deliveries);
}

void LeaseEnding::Fail(const Lease& lease, int64_t ended_ms, std::optional<int64_t> delay_ms) {
  uint64_t most = list_.extra().max_deliveries;
  if (lease.state == LeaseState::kDead || (most && lease.deliveries >= most))
    return GiveUp(lease, ended_ms);
  int64_t wait_ms = delay_ms ? *delay_ms : policy().BackoffAfter(lease.deliveries);
  if (wait_ms == 0) return Return(lease, lease.deliveries);
  Lease after = lease;
  after.state = LeaseState::kWaiting;
  after.due_ms = std::max<int64_t>(ended_ms + wait_ms, 1);
  leases_.Change(lease, after);
}

void LeaseEnding::Release(const Lease& lease, std::optional<int64_t> delay_ms) {
  Lease after = lease;
  if (lease.state == LeaseState::kHeld) --after.deliveries;
  if (lease.state == LeaseState::kDead) after.deliveries = 0;
  if (!delay_ms.value_or(0)) return Return(lease, after.deliveries);
  after.state = LeaseState::kWaiting;
  after.due_ms = std::max<int64_t>(call_.now_ms() + *delay_ms, 1);
  leases_.Change(lease, after);
}

// It is dead until Finish finds it a place: so those of one moment get there in their order.
void LeaseEnding::GiveUp(const Lease& lease, int64_t ended_ms) {
  given_up_.emplace_back(ended_ms, lease.number);
  Lease dead = lease;
  dead.state = LeaseState::kDead;
  dead.due_ms = 0;
  leases_.Change(lease, dead);
}

void LeaseEnding::PushDeadLetters() {
  std::sort(given_up_.begin(), given_up_.end());
  for (const auto& [ended_ms, number] : given_up_) {
    LeaseId id = leases_.IdOf(number);
    if (!PushDeadLetter(std::string(leases_.Find(id)->element))) return;
    ++list_.extra().dead_lettered;
    leases_.Remove(*leases_.Find(id));
  }
}

// False when the dead letters have no place to go.
bool LeaseEnding::PushDeadLetter(std::string_view element) {
  const std::string& name = policy().dead_letter;
  if (name.empty() || name == key_->name) return false;
  int db = call_.db();
  Key* dest = call_.engine.Lookup(call_.session, db, name, false);
  if (dest && dest->type != Type::kList) return false;
  if (!HasRoom(call_, name, dest, 1)) return false;
  if (!dest) dest = &call_.Create(name, Type::kList);
  OpenList(call_, dest).Push(End::kRight, element);
  call_.engine.KeyChanged(db, name, "rpush");
  call_.engine.KeyReady(db, name);
  return true;
}

bool LeaseEnding::Finish() {
  PushDeadLetters();
  std::string_view name = key_->name;
  bool returned = returned_left_ || returned_right_;
  if (was_hidden_ && returned) call_.engine.KeyEvent(call_.db(), name, "new");
  if (returned_left_) call_.Changed(name, "lpush");
  if (returned_right_) call_.Changed(name, "rpush");
  if (!returned) call_.Noted(name, "");
  if (returned) call_.Ready(name);
  if (!key_->hidden || list_.outlives_elements()) return true;
  call_.keys().Remove(key_, false);
  return false;
}

void FireListTimer(Call& call, Key* key) {
  int64_t fired_ms = key->timer_ms;
  LeaseEnding ending(call, key);
  int64_t moment_ms = 0;
  Slice slice(call, kLeasesOfOneMoment);
  for (int i = 0; slice.Take(); ++i) {
    std::optional<Lease> lease = ending.leases().FirstDue();
    if (!lease || lease->due_ms > call.now_ms()) break;
    if (i >= kLeasesPerCall && lease->due_ms != moment_ms) break;
    moment_ms = lease->due_ms;
    if (lease->state == LeaseState::kWaiting) {
      ending.Return(*lease, lease->deliveries);
    } else {
      ending.Fail(*lease, lease->due_ms, std::nullopt);
    }
  }
  std::optional<Lease> next = ending.leases().FirstDue();
  int64_t at_ms = next ? next->due_ms : 0;
  // The engine takes a timer that is as it was for one that has been dealt with.
  if (at_ms && at_ms <= fired_ms) at_ms = std::max<int64_t>(fired_ms - 1, 1);
  if (ending.Finish()) call.keys().SetTimer(key, at_ms);
}

}  // namespace sluice
