// Sets: the commands about one set, and SMOVE. What combines several is in set_algebra.cc.
#include <algorithm>

#include "src/commands/families.h"
#include "src/commands/scan_common.h"
#include "src/commands/set_common.h"

namespace sluice {

Set OpenSet(Call& call, Key* key) { return Set(call.env(), &call.keys(), key); }

Set::Limits SetLimits(Call& call) {
  const Config& config = call.engine.config();
  return {static_cast<uint64_t>(config.set_max_intset_entries),
          static_cast<uint64_t>(config.set_max_listpack_entries),
          static_cast<uint64_t>(config.set_max_listpack_value)};
}

namespace {

constexpr std::string_view kNotPositive = "ERR value is out of range, must be positive";

Set::Random RandomOf(Call& call) {
  return [&call] { return call.engine.Random(); };
}

// Announces what removed members, and removes the key when none are left: it is not to be used
// after.
void AfterRemoval(Call& call, Key* key, const Set& set, std::string_view event) {
  std::string name = key->name;
  call.Changed(name, event);
  if (set.size() > 0) return;
  call.Remove(key, false);
  call.Changed(name, "del");
}

void Sadd(Call& call) {
  std::string_view name = call.args[1];
  Key* key;
  if (!call.LookupType(name, Type::kSet, &key)) return;
  if (!key) key = &call.Create(name, Type::kSet);
  Set set = OpenSet(call, key);
  Set::Limits limits = SetLimits(call);
  set.Expect(call.args[2], call.args.size() - 2, limits);
  int64_t added = 0;
  for (std::string_view member : call.args.subspan(2)) added += set.Add(member, limits);
  if (added > 0) call.Changed(name, "sadd");
  call.reply.Integer(added);
}

void Srem(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  if (!key) return call.reply.Integer(0);
  Set set = OpenSet(call, key);
  int64_t removed = 0;
  for (std::string_view member : call.args.subspan(2)) removed += set.Remove(member);
  if (removed > 0) AfterRemoval(call, key, set, "srem");
  call.reply.Integer(removed);
}

void Smove(Call& call) {
  std::string_view from = call.args[1], to = call.args[2], member = call.args[3];
  Key *source, *target;
  source = call.Lookup(from);
  if (!source) return call.reply.Integer(0);
  if (source->type != Type::kSet) return call.Error(errors::kWrongType);
  if (!call.LookupType(to, Type::kSet, &target)) return;
  Set set = OpenSet(call, source);
  if (source == target || !set.Contains(member)) {
    return call.reply.Integer(source == target && set.Contains(member));
  }
  set.Remove(member);
  AfterRemoval(call, source, set, "srem");
  if (!target) target = &call.Create(to, Type::kSet);
  Set destination = OpenSet(call, target);
  Set::Limits limits = SetLimits(call);
  if (destination.size() == 0) destination.Expect(member, 1, limits);
  if (destination.Add(member, limits)) call.Changed(to, "sadd");
  call.reply.Integer(1);
}

void Sismember(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  call.reply.Integer(key && OpenSet(call, key).Contains(call.args[2]));
}

void Smismember(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  call.reply.ArrayHeader(call.args.size() - 2);
  for (std::string_view member : call.args.subspan(2)) {
    call.reply.Integer(key && OpenSet(call, key).Contains(member));
  }
}

void Scard(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  call.reply.Integer(key ? static_cast<int64_t>(OpenSet(call, key).size()) : 0);
}

void ReplyMembers(Call& call, const Set& set) {
  set.Walk([&](std::string_view member) {
    call.reply.Bulk(member);
    return true;
  });
}

void Smembers(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  if (!key) return call.reply.SetHeader(0);
  Set set = OpenSet(call, key);
  call.reply.SetHeader(set.size());
  ReplyMembers(call, set);
}

void PopCounted(Call& call) {
  int64_t count;
  if (!call.ReadRange(2, 0, INT64_MAX, &count, kNotPositive)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  if (!key || count == 0) return call.reply.SetHeader(0);
  Set set = OpenSet(call, key);
  if (static_cast<uint64_t>(count) >= set.size()) {
    call.reply.SetHeader(set.size());
    ReplyMembers(call, set);
    call.Changed(call.args[1], "spop");
    call.Remove(key);
    return call.Changed(call.args[1], "del");
  }
  call.reply.SetHeader(static_cast<size_t>(count));
  for (const std::string& member : set.Take(static_cast<uint64_t>(count), RandomOf(call))) {
    call.reply.Bulk(member);
  }
  call.Changed(call.args[1], "spop");
}

void Spop(Call& call) {
  if (call.args.size() == 3) return PopCounted(call);
  if (call.args.size() > 3) return call.Error(errors::kSyntax);
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  if (!key) return call.reply.Null();
  Set set = OpenSet(call, key);
  std::string member = set.Pick(RandomOf(call));
  set.Remove(member);
  call.reply.Bulk(member);
  AfterRemoval(call, key, set, "spop");
}

void RandomMembers(Call& call) {
  int64_t count;
  if (!call.ReadInteger(2, &count)) return;
  if (count == INT64_MIN) {
    return call.Error(
        "ERR value is out of range, value must between -9223372036854775807 and "
        "9223372036854775807");
  }
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  if (!key || count == 0) return call.reply.ArrayHeader(0);
  Set set = OpenSet(call, key);
  uint64_t wanted = static_cast<uint64_t>(count < 0 ? -count : count);
  if (count < 0) {
    call.reply.ArrayHeader(wanted);
    for (; wanted > 0; --wanted) call.reply.Bulk(set.Pick(RandomOf(call)));
  } else if (wanted >= set.size()) {
    call.reply.ArrayHeader(set.size());
    ReplyMembers(call, set);
  } else {
    call.reply.ArrayHeader(wanted);
    for (const std::string& member : set.Sample(wanted, RandomOf(call))) call.reply.Bulk(member);
  }
}

void Srandmember(Call& call) {
  if (call.args.size() == 3) return RandomMembers(call);
  if (call.args.size() > 3) return call.Error(errors::kSyntax);
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  if (!key) return call.reply.Null();
  call.reply.Bulk(OpenSet(call, key).Pick(RandomOf(call)));
}

void Sscan(Call& call) {
  uint64_t cursor;
  if (!ReadCursor(call, 2, &cursor)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSet, &key)) return;
  ScanOptions options;
  if (key && !ReadScanOptions(call, 3, &options)) return;

  // Nothing is written before the reply is, so the members may stay views of the rows.
  std::vector<std::string_view> members;
  auto visit = [&](std::string_view member) {
    if (options.Matches(member)) members.push_back(member);
    return true;
  };
  if (!key) {
    cursor = 0;
  } else if (Set set = OpenSet(call, key); set.form() == Set::Form::kTable) {
    cursor = set.Scan(cursor, static_cast<uint64_t>(options.count), visit);
  } else {  // a small set comes at once
    set.Walk(visit);
    cursor = 0;
  }
  call.reply.ArrayHeader(2);
  call.reply.Bulk(std::to_string(cursor));
  call.reply.ArrayHeader(members.size());
  for (std::string_view member : members) call.reply.Bulk(member);
}

}  // namespace

void AddSetRows(Rows* rows) {
  AddSetAlgebraRows(rows);
  rows->push_back({"sadd",
                   "key member...",
                   "Adds members to a set, which is made when missing.",
                   "1.0.0",
                   "O(1)",
                   Group::kSet,
                   -3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Sadd});
  rows->push_back({"srem",
                   "key member...",
                   "Removes members from a set.",
                   "1.0.0",
                   "O(N)",
                   Group::kSet,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Srem});
  rows->push_back({"smove",
                   "source:key destination:key1 member",
                   "Moves a member from one set to another.",
                   "1.0.0",
                   "O(1)",
                   Group::kSet,
                   4,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Smove});
  rows->push_back({"sismember",
                   "key member",
                   "Tells whether a set has a member.",
                   "1.0.0",
                   "O(1)",
                   Group::kSet,
                   3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Sismember});
  rows->push_back({"smismember",
                   "key member...",
                   "Tells which of several members a set has.",
                   "6.2.0",
                   "O(N)",
                   Group::kSet,
                   -3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Smismember});
  rows->push_back({"scard",
                   "key",
                   "Says how many members a set has.",
                   "1.0.0",
                   "O(1)",
                   Group::kSet,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Scard});
  rows->push_back({"smembers",
                   "key",
                   "Returns all members of a set.",
                   "1.0.0",
                   "O(N)",
                   Group::kSet,
                   2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Smembers,
                   {"nondeterministic_output_order"}});
  rows->push_back(
      {"spop",
       "key [count:int@3.2.0]",
       "Takes members out of a set at random.",
       "1.0.0",
       "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
       Group::kSet,
       -2,
       kWrite | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
       Spop,
       {"nondeterministic_output"}});
  rows->push_back({"srandmember",
                   "key [count:int@2.6.0]",
                   "Returns members of a set at random.",
                   "1.0.0",
                   "Without the count argument O(1), otherwise O(N) where N is the absolute value "
                   "of the passed count.",
                   Group::kSet,
                   -2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Srandmember,
                   {"nondeterministic_output"}});
  rows->push_back({"sscan",
                   "key cursor:int [MATCH=pattern:pattern] [COUNT=count:int]",
                   "Walks over the members of a set, a few at a time.",
                   "2.8.0",
                   "O(1)",
                   Group::kSet,
                   -3,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Sscan,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
