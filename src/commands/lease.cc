// LLEASE: what becomes of elements that LMPOP ... LEASE has given out.
#include <algorithm>
#include <map>

#include "src/commands/help.h"
#include "src/commands/lease_common.h"
#include "src/commands/multi_pop.h"
#include "src/commands/stream_common.h"

namespace sluice {
namespace {

// Replies to how many of the leases something was done. The last that were given out come first: so
// those that return do so in the order in which they were.
template <typename What>
void ForEach(Call& call, std::vector<LeaseId> ids, const What& what) {
  Key* key;
  if (!FindLeased(call, 2, &key)) return;
  if (!key) return call.reply.Integer(0);
  std::sort(ids.begin(), ids.end(), std::greater<>());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  LeaseEnding ending(call, key);
  int64_t done = 0;
  for (LeaseId id : ids) {
    std::optional<Lease> lease = ending.leases().Find(id);
    if (lease && what(ending, *lease)) ++done;
  }
  if (done > 0) ending.Finish();
  call.reply.Integer(done);
}

void Ack(Call& call) {
  size_t i = 3;
  std::vector<LeaseId> ids;
  if (!ReadLeaseIds(call, &i, &ids)) return;
  if (i + 1 < call.args.size()) return call.Error(errors::kSyntax);
  ForEach(call, std::move(ids), [](LeaseEnding& ending, const Lease& lease) {
    ending.Acknowledge(lease);
    return true;
  });
}

void Nack(Call& call) {
  bool silent = call.Is(3, "SILENT"), fatal = call.Is(3, "FATAL");
  if (!silent && !fatal && !call.Is(3, "FAIL")) {
    return call.Error("ERR mode must be SILENT, FAIL, or FATAL");
  }
  size_t i = 4;
  std::vector<LeaseId> ids;
  if (!ReadLeaseIds(call, &i, &ids)) return;
  std::optional<int64_t> delay_ms;
  if (i + 1 < call.args.size()) {
    if (!call.Is(i + 1, "DELAY") || i + 3 != call.args.size()) return call.Error(errors::kSyntax);
    if (!call.ReadRange(i + 2, 0, kMaxDelayMs, &delay_ms.emplace(), "ERR Invalid DELAY value")) {
      return;
    }
  }
  ForEach(call, std::move(ids), [&](LeaseEnding& ending, const Lease& lease) {
    if (silent) {
      ending.Release(lease, delay_ms);
    } else if (fatal) {
      ending.GiveUp(lease, call.now_ms());
    } else {
      ending.Fail(lease, call.now_ms(), delay_ms);
    }
    return true;
  });
}

// What has ended already cannot be made longer.
void Touch(Call& call) {
  int64_t ms;
  if (!call.ReadRange(3, 1, kMaxDelayMs, &ms, kInvalidLease)) return;
  size_t i = 4;
  std::vector<LeaseId> ids;
  if (!ReadLeaseIds(call, &i, &ids)) return;
  if (i + 1 < call.args.size()) return call.Error(errors::kSyntax);
  ForEach(call, std::move(ids), [&](LeaseEnding& ending, const Lease& lease) {
    if (lease.state != LeaseState::kHeld) return false;
    Lease longer = lease;
    longer.since_ms = call.now_ms();
    longer.due_ms = call.now_ms() + ms;
    ending.leases().Change(lease, longer);
    return true;
  });
}

// ---- PENDING

void ReplySummary(Call& call, const List* list, const Leases* leases) {
  uint64_t all = list ? list->extra().all_leases() : 0;
  call.reply.ArrayHeader(4);
  call.reply.Integer(static_cast<int64_t>(all));
  if (all == 0) {
    call.reply.Null();
    call.reply.Null();
    return call.reply.NullArray();
  }
  ReplyLeaseId(call, leases->IdOf(leases->FirstNumber()));
  ReplyLeaseId(call, leases->IdOf(leases->LastNumber()));
  std::map<std::string, uint64_t> consumers;
  leases->WalkConsumers([&](std::string_view name, uint64_t n) {
    consumers.emplace(name, n);
    all -= n;
  });
  if (all > 0) consumers.emplace("", all);
  call.reply.ArrayHeader(consumers.size());
  for (const auto& [name, n] : consumers) {
    call.reply.ArrayHeader(2);
    call.reply.Bulk(name);
    call.reply.BulkInteger(static_cast<int64_t>(n));
  }
}

// "-", "+", an id, or one with "(" in front: the smallest or largest id that is meant.
bool ReadBound(Call& call, size_t i, bool lower, LeaseId* bound) {
  std::string_view text = call.args[i];
  if (text == "-") return *bound = LeaseId{0, 0}, true;
  if (text == "+") return *bound = LeaseId{UINT64_MAX, UINT64_MAX}, true;
  bool exclusive = text.starts_with("(");
  std::optional<LeaseId> id = ParseLeaseId(exclusive ? text.substr(1) : text);
  if (!id) return call.Error("ERR Invalid lease ID"), false;
  *bound = *id;
  if (exclusive) bound->number += lower ? 1 : -1;
  return true;
}

void ReplyRange(Call& call, const Leases& leases, LeaseId from, LeaseId to, int64_t count) {
  size_t mark = call.reply.BeginArray();
  int64_t n = 0;
  ObjectId object = leases.IdOf(0).list;
  uint64_t first = from.list < object ? 0 : from.number;
  uint64_t last = to.list > object ? UINT64_MAX : to.number;
  bool any = from.list <= object && to.list >= object && count > 0;
  if (any) {
    leases.Walk(first, last, [&](const Lease& lease) {
      call.reply.ArrayHeader(4);
      ReplyLeaseId(call, leases.IdOf(lease));
      call.reply.Bulk(lease.consumer);
      call.reply.Integer(std::max<int64_t>(call.now_ms() - lease.since_ms, 0));
      call.reply.Integer(static_cast<int64_t>(lease.deliveries));
      return ++n < count;
    });
  }
  call.reply.EndArray(mark, static_cast<size_t>(n));
}

void ShowPending(Call& call) {
  bool summary = call.args.size() == 3;
  if (!summary && call.args.size() != 6) return call.Error(errors::kSyntax);
  LeaseId from, to;
  int64_t count = 0;
  if (!summary && (!call.ReadInteger(5, &count) || !ReadBound(call, 3, true, &from) ||
                   !ReadBound(call, 4, false, &to))) {
    return;
  }
  Key* key;
  if (!FindLeased(call, 2, &key)) return;
  if (!key) return summary ? ReplySummary(call, nullptr, nullptr) : call.reply.ArrayHeader(0);
  List list = OpenList(call, key);
  Leases leases(&list);
  summary ? ReplySummary(call, &list, &leases) : ReplyRange(call, leases, from, to, count);
}

}  // namespace

void AddLeaseRows(Rows* rows) {
  rows->push_back({"llease",
                   "",
                   "Commands about elements that a list has given out under a lease.",
                   kSinceSluice,
                   "",
                   Group::kList,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"llease|ack",
                   "key ids(IDS=numids:int id...)",
                   "Ends leases whose work is done: their elements are gone for good.",
                   kSinceSluice,
                   "O(log N)",
                   Group::kList,
                   -6,
                   kWrite | kFast,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kDelete)},
                   Ack});
  rows->push_back({"llease|nack",
                   "key mode(SILENT|FAIL|FATAL) ids(IDS=numids:int id...) "
                   "[DELAY=milliseconds:int]",
                   "Gives elements back to their list, after a while if asked, or gives them up.",
                   kSinceSluice,
                   "O(log N)",
                   Group::kList,
                   -7,
                   kWrite | kFast,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Nack});
  rows->push_back({"llease|touch",
                   "key milliseconds:int ids(IDS=numids:int id...)",
                   "Makes leases last for so long from now on.",
                   kSinceSluice,
                   "O(log N)",
                   Group::kList,
                   -7,
                   kWrite | kFast,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kUpdate)},
                   Touch});
  rows->push_back({"llease|pending",
                   "key [range(start end count:int)]",
                   "Tells what has been taken from a list and is not done.",
                   kSinceSluice,
                   "O(log N+M)",
                   Group::kList,
                   -3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   ShowPending,
                   {"nondeterministic_output"}});
  rows->push_back({"llease|help",
                   "",
                   "Lists the subcommands.",
                   kSinceSluice,
                   "O(1)",
                   Group::kList,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  AddLeasePolicyRows(rows);
}

}  // namespace sluice
