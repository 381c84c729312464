// Sorted sets: taking members off an end, at once or when there are some.
#include <algorithm>
#include <vector>

#include "src/commands/multi_pop.h"
#include "src/commands/zset_common.h"

namespace sluice {
namespace {

enum class End { kMin, kMax };

// Pops up to `count` members, of which there are some, and replies them; `put_back`, if any, gets
// copies.
void ReplyPopped(Call& call, Key* key, End end, uint64_t count, bool nested, PutBack* put_back) {
  SortedSet set = OpenSortedSet(call, key);
  Ranked at(set);
  bool from_min = end == End::kMin;
  from_min ? at.First() : at.Last();
  for (uint64_t i = 0; i < count && at.valid(); ++i) {
    if (i > 0) at.Step(from_min);
    ReplyEntry(call, at.member(), at.score(), nested);
    if (!put_back) continue;
    put_back->elements.emplace_back(at.member());
    put_back->scores.push_back(at.score());
  }
  if (from_min) at.First();
  uint64_t left = count;
  RemoveEntries(call, key, &set, &at, count == set.size(), from_min ? "zpopmin" : "zpopmax",
                [&](const Ranked&) { return left-- > 0; });
}

void Pop(Call& call, End end) {
  if (call.args.size() > 3) return call.Error(errors::kSyntax);
  bool counted = call.args.size() == 3;
  int64_t count = 1;
  if (counted &&
      !call.ReadRange(2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive")) {
    return;
  }
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key || count == 0) return call.reply.ArrayHeader(0);
  uint64_t n = std::min(static_cast<uint64_t>(count), OpenSortedSet(call, key).size());
  bool nested = counted && call.reply.protocol() >= 3;
  call.reply.ArrayHeader(nested ? n : 2 * n);
  ReplyPopped(call, key, end, n, nested, nullptr);
}

void Zpopmin(Call& call) { Pop(call, End::kMin); }
void Zpopmax(Call& call) { Pop(call, End::kMax); }

void BlockingPop(Call& call, End end) {
  size_t last = call.args.size() - 1;
  int64_t timeout_ms;
  if (!call.ReadTimeout(last, &timeout_ms)) return;
  std::span<const std::string_view> names = call.args.subspan(1, last - 1);
  Key* key;
  if (!FirstOf(call, names, Type::kSortedSet, &key)) return;
  if (!key) return call.Block({names.begin(), names.end()}, {.timeout_ms = timeout_ms});
  PutBack* put_back = NewPutBack(call, Type::kSortedSet, key->name);
  call.reply.ArrayHeader(3);
  call.reply.Bulk(key->name);
  ReplyPopped(call, key, end, 1, false, put_back);
}

void Bzpopmin(Call& call) { BlockingPop(call, End::kMin); }
void Bzpopmax(Call& call) { BlockingPop(call, End::kMax); }

// False when there was nothing to pop and nothing was replied.
bool PopFirst(Call& call, const MultiPop& pop) {
  Key* key;
  if (!FirstOf(call, pop.names, Type::kSortedSet, &key)) return true;
  if (!key) return false;
  PutBack* put_back = NewPutBack(call, Type::kSortedSet, key->name);
  uint64_t n = std::min(static_cast<uint64_t>(pop.count), OpenSortedSet(call, key).size());
  call.reply.ArrayHeader(2);
  call.reply.Bulk(key->name);
  call.reply.ArrayHeader(n);
  ReplyPopped(call, key, pop.first_end ? End::kMin : End::kMax, n, true, put_back);
  return true;
}

void Zmpop(Call& call) {
  MultiPop pop;
  if (!ReadMultiPop(call, 1, "MIN", "MAX", &pop)) return;
  if (!PopFirst(call, pop)) call.reply.NullArray();
}

void Bzmpop(Call& call) {
  int64_t timeout_ms;
  MultiPop pop;
  if (!ReadMultiPop(call, 2, "MIN", "MAX", &pop) || !call.ReadTimeout(1, &timeout_ms)) return;
  if (PopFirst(call, pop)) return;
  call.Block({pop.names.begin(), pop.names.end()}, {.timeout_ms = timeout_ms});
}

}  // namespace

void AddZsetPopRows(Rows* rows) {
  constexpr uint16_t kPops = KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete;
  auto add_pop = [&](std::string_view name, std::string_view summary, Handler handler) {
    rows->push_back({name,
                     "key [count:int]",
                     summary,
                     "5.0.0",
                     "O(M log N) with M the members popped",
                     Group::kSortedSet,
                     -2,
                     kWrite | kFast,
                     {KeySpec::At(1, kPops)},
                     handler});
  };
  add_pop("zpopmin", "Takes the members with the lowest scores off a sorted set.", Zpopmin);
  add_pop("zpopmax", "Takes the members with the highest scores off a sorted set.", Zpopmax);
  auto add_blocking = [&](std::string_view name, std::string_view summary, Handler handler) {
    rows->push_back({name,
                     "key... timeout:double",
                     summary,
                     "5.0.0",
                     "O(log N)",
                     Group::kSortedSet,
                     -3,
                     kWrite | kNoscript | kBlocking | kFast,
                     {KeySpec::Range(1, -2, kPops)},
                     handler});
  };
  add_blocking("bzpopmin",
               "ZPOPMIN from the first of several sorted sets that has members; waits for one.",
               Bzpopmin);
  add_blocking("bzpopmax",
               "ZPOPMAX from the first of several sorted sets that has members; waits for one.",
               Bzpopmax);
  rows->push_back({"zmpop",
                   "numkeys:int key... where(MIN|MAX) [COUNT=count:int]",
                   "Takes members off the first of several sorted sets that has any.",
                   "7.0.0",
                   "O(K + M log N) with K the keys and M the members popped",
                   Group::kSortedSet,
                   -4,
                   kWrite | kMovableKeys,
                   {KeySpec::Counted(1, kPops)},
                   Zmpop});
  rows->push_back({"bzmpop",
                   "timeout:double numkeys:int key... where(MIN|MAX) [COUNT=count:int]",
                   "ZMPOP that waits for a member.",
                   "7.0.0",
                   "O(K + M log N) with K the keys and M the members popped",
                   Group::kSortedSet,
                   -5,
                   kWrite | kBlocking | kMovableKeys,
                   {KeySpec::Counted(2, kPops)},
                   Bzmpop});
}

}  // namespace sluice
