// Sorted sets: the commands on single members. Ranges are in zset_range.cc, pops in zset_pop.cc,
// what combines several sets in zset_algebra.cc.
#include <cmath>
#include <vector>

#include "src/commands/families.h"
#include "src/commands/zset_common.h"

namespace sluice {

SortedSet OpenSortedSet(Call& call, Key* key) { return SortedSet(call.env(), &call.keys(), key); }

namespace {

double AsKept(const SortedSet& set, double score) { return set.large() ? score : score + 0.0; }

}  // namespace

void AddMember(Call& call, SortedSet* set, std::string_view member, double score) {
  const Config& config = call.engine.config();
  if (set->size() >= static_cast<uint64_t>(config.zset_max_listpack_entries) ||
      member.size() > static_cast<uint64_t>(config.zset_max_listpack_value)) {
    set->MarkLarge();
  }
  set->Add(member, AsKept(*set, score));
}

void MoveMember(SortedSet* set, std::string_view member, double from, double to) {
  set->Move(member, from, AsKept(*set, to));
}

void AfterRemoval(Call& call, Key* key, const SortedSet& set, std::string_view event) {
  std::string_view name = key->name;
  call.Changed(name, event);
  if (set.size() > 0) return;
  call.Remove(key, false);
  call.Changed(name, "del");
}

// A large set that goes as a whole is reclaimed later, a slice per turn.
uint64_t RemoveEntries(Call& call, Key* key, SortedSet* set, Ranked* at, bool all,
                       std::string_view event, const std::function<bool(const Ranked&)>& more) {
  constexpr uint64_t kMany = 128;
  if (all && set->size() > kMany) {
    std::string_view name = key->name;
    call.Changed(name, event);
    call.Remove(key);
    call.Changed(name, "del");
    return set->size();
  }
  uint64_t removed = set->RemoveWhile(at, more);
  if (removed) AfterRemoval(call, key, *set, event);
  return removed;
}

void ReplyEntry(Call& call, std::string_view member, double score, bool nested) {
  if (nested) call.reply.ArrayHeader(2);
  call.reply.Bulk(member);
  call.reply.Double(score);
}

void StoreMembers(Call& call, std::string_view name, const std::vector<SortedSet::Owned>& members,
                  std::string_view event) {
  Key* key = call.Lookup(name);
  if (key) call.Remove(key);
  if (!members.empty()) {
    Key& made = key ? call.keys().Create(call.db(), name, Type::kSortedSet)
                    : call.Create(name, Type::kSortedSet);
    SortedSet set = OpenSortedSet(call, &made);
    for (const SortedSet::Owned& entry : members) {
      AddMember(call, &set, entry.member, entry.score);
    }
    call.Changed(name, event);
    call.Ready(name);
  } else if (key) {
    call.Changed(name, "del");
  }
  call.reply.Integer(static_cast<int64_t>(members.size()));
}

namespace {

constexpr std::string_view kNotANumber = "ERR resulting score is not a number (NaN)";

struct AddOptions {
  bool only_new = false;       // NX
  bool only_existing = false;  // XX
  bool only_greater = false;   // GT
  bool only_less = false;      // LT
  bool count_changed = false;  // CH
  bool increment = false;      // INCR
};

struct Addition {
  double score;
  std::string_view member;
};

bool ReadOption(Call& call, size_t i, AddOptions* o) {
  bool* option = call.Is(i, "NX")     ? &o->only_new
                 : call.Is(i, "XX")   ? &o->only_existing
                 : call.Is(i, "GT")   ? &o->only_greater
                 : call.Is(i, "LT")   ? &o->only_less
                 : call.Is(i, "CH")   ? &o->count_changed
                 : call.Is(i, "INCR") ? &o->increment
                                      : nullptr;
  if (option) *option = true;
  return option != nullptr;
}

bool ReadAdditions(Call& call, size_t first, std::vector<Addition>* additions) {
  additions->reserve((call.args.size() - first) / 2);
  for (size_t i = first; i < call.args.size(); i += 2) {
    std::optional<double> score = ParseDouble(call.args[i]);
    if (!score) return call.Error(errors::kNotFloat), false;
    additions->push_back({*score, call.args[i + 1]});
  }
  return true;
}

bool ReadAdd(Call& call, AddOptions* o, std::vector<Addition>* additions) {
  size_t first = 2;
  while (first < call.args.size() && ReadOption(call, first, o)) ++first;
  size_t words = call.args.size() - first;
  if (words == 0 || words % 2) return call.Error(errors::kSyntax), false;
  if (o->only_new && o->only_existing) {
    return call.Error("ERR XX and NX options at the same time are not compatible"), false;
  }
  if (o->only_greater + o->only_less + o->only_new > 1) {
    call.Error("ERR GT, LT, and/or NX options at the same time are not compatible");
    return false;
  }
  if (o->increment && words > 2) {
    return call.Error("ERR INCR option supports a single increment-element pair"), false;
  }
  return ReadAdditions(call, first, additions);
}

// What an addition comes to.
enum class Outcome { kRefused, kAdd, kMove, kSame, kNotANumber };

// `now` is the member's score, if it is there; `*score` goes from the argument to the result.
Outcome Decide(const AddOptions& o, std::optional<double> now, double* score) {
  if (!now) return o.only_existing ? Outcome::kRefused : Outcome::kAdd;
  if (o.only_new) return Outcome::kRefused;
  if (o.increment) *score += *now;
  if (std::isnan(*score)) return Outcome::kNotANumber;
  if (o.only_less && *score >= *now) return Outcome::kRefused;
  if (o.only_greater && *score <= *now) return Outcome::kRefused;
  return *score == *now ? Outcome::kSame : Outcome::kMove;
}

struct AddCounts {
  int64_t added = 0, moved = 0;
};

void Apply(Call& call, SortedSet* set, Outcome outcome, std::optional<double> now,
           const Addition& addition, AddCounts* counts) {
  if (outcome == Outcome::kAdd) {
    AddMember(call, set, addition.member, addition.score);
    ++counts->added;
  } else if (outcome == Outcome::kMove) {
    MoveMember(set, addition.member, *now, addition.score);
    ++counts->moved;
  }
}

void AfterAdd(Call& call, const AddCounts& counts, std::string_view event) {
  if (counts.added + counts.moved == 0) return;
  call.Changed(call.args[1], event);
  if (counts.added) call.Ready(call.args[1]);
}

// ZADD INCR and ZINCRBY: one member.
void Increment(Call& call, const AddOptions& o, Addition addition) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  std::optional<double> now;
  if (key) now = OpenSortedSet(call, key).Score(addition.member);
  Outcome outcome = Decide(o, now, &addition.score);
  if (outcome == Outcome::kNotANumber) return call.Error(kNotANumber);
  if (outcome == Outcome::kRefused) return call.reply.Null();
  if (!key) key = &call.Create(call.args[1], Type::kSortedSet);
  SortedSet set = OpenSortedSet(call, key);
  AddCounts counts;
  Apply(call, &set, outcome, now, addition, &counts);
  AfterAdd(call, counts, "zincr");
  call.reply.Double(addition.score);
}

void Zadd(Call& call) {
  AddOptions options;
  std::vector<Addition> additions;
  if (!ReadAdd(call, &options, &additions)) return;
  if (options.increment) return Increment(call, options, additions[0]);
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key && options.only_existing) return call.reply.Integer(0);
  if (!key) key = &call.Create(call.args[1], Type::kSortedSet);
  SortedSet set = OpenSortedSet(call, key);
  AddCounts counts;
  for (Addition& addition : additions) {
    std::optional<double> now = set.Score(addition.member);
    Apply(call, &set, Decide(options, now, &addition.score), now, addition, &counts);
  }
  AfterAdd(call, counts, "zadd");
  call.reply.Integer(counts.added + (options.count_changed ? counts.moved : 0));
}

void Zincrby(Call& call) {
  std::optional<double> increment = ParseDouble(call.args[2]);
  if (!increment) return call.Error(errors::kNotFloat);
  Increment(call, {.increment = true}, {*increment, call.args[3]});
}

void Zrem(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key) return call.reply.Integer(0);
  SortedSet set = OpenSortedSet(call, key);
  int64_t removed = 0;
  for (size_t i = 2; i < call.args.size(); ++i) removed += set.Remove(call.args[i]);
  if (removed) AfterRemoval(call, key, set, "zrem");
  call.reply.Integer(removed);
}

void Zscore(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  std::optional<double> score;
  if (key) score = OpenSortedSet(call, key).Score(call.args[2]);
  score ? call.reply.Double(*score) : call.reply.Null();
}

void Zmscore(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  call.reply.ArrayHeader(call.args.size() - 2);
  for (size_t i = 2; i < call.args.size(); ++i) {
    std::optional<double> score;
    if (key) score = OpenSortedSet(call, key).Score(call.args[i]);
    score ? call.reply.Double(*score) : call.reply.Null();
  }
}

void Zcard(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  call.reply.Integer(key ? static_cast<int64_t>(OpenSortedSet(call, key).size()) : 0);
}

void Rank(Call& call, bool reverse) {
  if (call.args.size() > 4) return call.WrongArity();
  bool with_score = call.args.size() == 4;
  if (with_score && !call.Is(3, "WITHSCORE")) return call.Error(errors::kSyntax);
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  std::optional<double> score;
  if (key) score = OpenSortedSet(call, key).Score(call.args[2]);
  if (!score) return with_score ? call.reply.NullArray() : call.reply.Null();
  SortedSet set = OpenSortedSet(call, key);
  uint64_t rank = set.RankOf(call.args[2], *score);
  if (reverse) rank = set.size() - 1 - rank;
  if (with_score) call.reply.ArrayHeader(2);
  call.reply.Integer(static_cast<int64_t>(rank));
  if (with_score) call.reply.Double(*score);
}

void Zrank(Call& call) { Rank(call, false); }
void Zrevrank(Call& call) { Rank(call, true); }

}  // namespace

void AddSortedSetRows(Rows* rows) {
  AddZsetRangeRows(rows);
  AddZsetPopRows(rows);
  AddZsetAlgebraRows(rows);
  AddZsetScanRows(rows);
  const KeySpec read = KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess);
  rows->push_back({"zadd",
                   "key [condition(NX|XX)@3.0.2] [comparison(GT|LT)@6.2.0] [CH!change@3.0.2] "
                   "[INCR!increment@3.0.2] score_member(score:double member)...",
                   "Adds members with their scores to a sorted set, or changes the scores.",
                   "1.2.0",
                   "O(log N) for each member",
                   Group::kSortedSet,
                   -4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Zadd});
  rows->push_back({"zincrby",
                   "key increment:int member",
                   "Adds to a member's score.",
                   "1.2.0",
                   "O(log N)",
                   Group::kSortedSet,
                   4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Zincrby});
  rows->push_back({"zrem",
                   "key member...",
                   "Drops members from a sorted set.",
                   "1.2.0",
                   "O(log N) for each member",
                   Group::kSortedSet,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Zrem});
  rows->push_back({"zscore",
                   "key member",
                   "Reads a member's score.",
                   "1.2.0",
                   "O(log N)",
                   Group::kSortedSet,
                   3,
                   kReadonly | kFast,
                   {read},
                   Zscore});
  rows->push_back({"zmscore",
                   "key member...",
                   "Reads the scores of several members.",
                   "6.2.0",
                   "O(log N) for each member",
                   Group::kSortedSet,
                   -3,
                   kReadonly | kFast,
                   {read},
                   Zmscore});
  rows->push_back({"zcard",
                   "key",
                   "Says how many members a sorted set has.",
                   "1.2.0",
                   "O(1)",
                   Group::kSortedSet,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Zcard});
  rows->push_back({"zrank",
                   "key member [WITHSCORE@7.2.0]",
                   "Tells a member's place, counted from the lowest score.",
                   "2.0.0",
                   "O(N) with N the distance from the nearer end",
                   Group::kSortedSet,
                   -3,
                   kReadonly | kFast,
                   {read},
                   Zrank});
  rows->push_back({"zrevrank",
                   "key member [WITHSCORE@7.2.0]",
                   "Tells a member's place, counted from the highest score.",
                   "2.0.0",
                   "O(N) with N the distance from the nearer end",
                   Group::kSortedSet,
                   -3,
                   kReadonly | kFast,
                   {read},
                   Zrevrank});
}

}  // namespace sluice
