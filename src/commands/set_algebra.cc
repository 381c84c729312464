// Sets: intersections, unions and differences.
#include <algorithm>
#include <optional>
#include <unordered_set>

#include "src/commands/set_common.h"

namespace sluice {

void StoreSet(Call& call, std::string_view name, const std::vector<std::string>& members,
              std::string_view event) {
  Key* before = call.Peek(name);
  if (before) call.Remove(before);
  if (members.empty()) {
    if (before) call.Changed(name, "del");
    return call.reply.Integer(0);
  }
  Set::Limits limits = SetLimits(call);
  Key& key =
      before ? call.keys().Create(call.db(), name, Type::kSet) : call.Create(name, Type::kSet);
  key.accessed_ms = call.now_ms();
  Set set = OpenSet(call, &key);
  set.Expect("0", 1, limits);
  for (const std::string& member : members) set.Add(member, limits);
  call.Changed(name, event);
  call.reply.Integer(static_cast<int64_t>(members.size()));
}

namespace {

using Names = std::span<const std::string_view>;
using Operands = std::vector<std::optional<Set>>;  // nullopt: no such key

// False after replying WRONGTYPE.
bool OpenAll(Call& call, Names names, Operands* sets) {
  for (std::string_view name : names) {
    Key* key;
    if (!call.LookupType(name, Type::kSet, &key)) return false;
    if (call.row.flags & kWrite) call.CountLookup(name, key);
    sets->push_back(key ? std::optional<Set>(OpenSet(call, key)) : std::nullopt);
  }
  return true;
}

using Members = std::vector<std::string>;

// As Redis replies: numbers in their order if that is all there is.
void Arrange(Call& call, Members* members) {
  if (members->size() > SetLimits(call).integers) return;
  std::vector<std::pair<int64_t, std::string>> numbers;
  for (const std::string& member : *members) {
    std::optional<int64_t> number = Set::AsInteger(member);
    if (!number) return;
    numbers.emplace_back(*number, member);
  }
  std::sort(numbers.begin(), numbers.end());
  std::transform(numbers.begin(), numbers.end(), members->begin(),
                 [](auto& number) { return std::move(number.second); });
}

// Visits what all sets have, up to `limit` members (0: all).
void Intersect(Operands sets, uint64_t limit, const std::function<void(std::string_view)>& visit) {
  if (std::find(sets.begin(), sets.end(), std::nullopt) != sets.end()) return;
  std::sort(sets.begin(), sets.end(),
            [](const auto& a, const auto& b) { return a->size() < b->size(); });
  uint64_t found = 0;
  sets[0]->Walk([&](std::string_view member) {
    bool everywhere = std::all_of(sets.begin() + 1, sets.end(),
                                  [&](const auto& set) { return set->Contains(member); });
    if (!everywhere) return true;
    visit(member);
    return ++found != limit;
  });
}

Members Intersection(const Operands& sets) {
  Members members;
  Intersect(sets, 0, [&](std::string_view member) { members.emplace_back(member); });
  return members;
}

Members Union(const Operands& sets) {
  std::unordered_set<std::string> all;
  for (const auto& set : sets) {
    if (!set) continue;
    set->Walk([&](std::string_view member) { return all.emplace(member), true; });
  }
  return {all.begin(), all.end()};
}

Members Difference(const Operands& sets) {
  Members members;
  if (!sets[0]) return members;
  sets[0]->Walk([&](std::string_view member) {
    bool elsewhere = std::any_of(sets.begin() + 1, sets.end(),
                                 [&](const auto& set) { return set && set->Contains(member); });
    if (!elsewhere) members.emplace_back(member);
    return true;
  });
  return members;
}

void Reply(Call& call, Members (*combine)(const Operands&)) {
  Operands sets;
  if (!OpenAll(call, call.args.subspan(1), &sets)) return;
  Members members = combine(sets);
  Arrange(call, &members);
  call.reply.SetHeader(members.size());
  for (const std::string& member : members) call.reply.Bulk(member);
}

void Store(Call& call, Members (*combine)(const Operands&), std::string_view event) {
  Operands sets;
  if (!OpenAll(call, call.args.subspan(2), &sets)) return;
  Members members = combine(sets);
  StoreSet(call, call.args[1], members, event);
}

void Sinter(Call& call) { Reply(call, Intersection); }
void Sunion(Call& call) { Reply(call, Union); }
void Sdiff(Call& call) { Reply(call, Difference); }
void Sinterstore(Call& call) { Store(call, Intersection, "sinterstore"); }
void Sunionstore(Call& call) { Store(call, Union, "sunionstore"); }
void Sdiffstore(Call& call) { Store(call, Difference, "sdiffstore"); }

void Sintercard(Call& call) {
  int64_t numkeys, limit = 0;
  if (!call.ReadRange(1, 1, INT64_MAX, &numkeys, "ERR numkeys should be greater than 0")) return;
  if (numkeys > static_cast<int64_t>(call.args.size()) - 2) {
    return call.Error("ERR Number of keys can't be greater than number of args");
  }
  size_t count = static_cast<size_t>(numkeys);
  for (size_t i = 2 + count; i < call.args.size(); i += 2) {
    if (!call.Is(i, "LIMIT") || i + 1 == call.args.size()) return call.Error(errors::kSyntax);
    if (!call.ReadRange(i + 1, 0, INT64_MAX, &limit, "ERR LIMIT can't be negative")) return;
  }
  Operands sets;
  if (!OpenAll(call, call.args.subspan(2, count), &sets)) return;
  int64_t found = 0;
  Intersect(sets, static_cast<uint64_t>(limit), [&](std::string_view) { ++found; });
  call.reply.Integer(found);
}

}  // namespace

void AddSetAlgebraRows(Rows* rows) {
  rows->push_back({"sinter",
                   "key...",
                   "Returns what several sets have in common.",
                   "1.0.0",
                   "O(N*M)",
                   Group::kSet,
                   -2,
                   kReadonly,
                   {KeySpec::Range(1, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Sinter,
                   {"nondeterministic_output_order"}});
  rows->push_back({"sintercard",
                   "numkeys:int key... [LIMIT=limit:int]",
                   "Counts what several sets have in common.",
                   "7.0.0",
                   "O(N*M)",
                   Group::kSet,
                   -3,
                   kReadonly | kMovableKeys,
                   {KeySpec::Counted(1, KeySpec::kRO | KeySpec::kAccess)},
                   Sintercard});
  rows->push_back({"sinterstore",
                   "destination:key key:key1...",
                   "Keeps what several sets have in common as a set.",
                   "1.0.0",
                   "O(N*M)",
                   Group::kSet,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate),
                    KeySpec::Range(2, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Sinterstore});
  rows->push_back({"sunion",
                   "key...",
                   "Returns what any of several sets has.",
                   "1.0.0",
                   "O(N)",
                   Group::kSet,
                   -2,
                   kReadonly,
                   {KeySpec::Range(1, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Sunion,
                   {"nondeterministic_output_order"}});
  rows->push_back({"sunionstore",
                   "destination:key key:key1...",
                   "Keeps what any of several sets has as a set.",
                   "1.0.0",
                   "O(N)",
                   Group::kSet,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kOW | KeySpec::kUpdate),
                    KeySpec::Range(2, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Sunionstore});
  rows->push_back({"sdiff",
                   "key...",
                   "Returns what the first set has and none of the others.",
                   "1.0.0",
                   "O(N)",
                   Group::kSet,
                   -2,
                   kReadonly,
                   {KeySpec::Range(1, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Sdiff,
                   {"nondeterministic_output_order"}});
  rows->push_back({"sdiffstore",
                   "destination:key key:key1...",
                   "Keeps what the first set has and none of the others as a set.",
                   "1.0.0",
                   "O(N)",
                   Group::kSet,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kOW | KeySpec::kUpdate),
                    KeySpec::Range(2, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Sdiffstore});
}

}  // namespace sluice
