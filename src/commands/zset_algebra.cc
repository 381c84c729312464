// Sorted sets: what several have in common, have together, or one has before the others. Plain sets
// take part, as if each member had the score 1.
#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>
#include <vector>

#include "src/commands/set_common.h"
#include "src/commands/zset_common.h"

namespace sluice {
namespace {

using Members = std::vector<SortedSet::Owned>;

// One of the keys that are combined. Without a key it is empty.
class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const { return 0; }
  virtual std::optional<double> Score(std::string_view) const { return std::nullopt; }
  // False from `visit` ends the walk.
  using Visit = std::function<bool(std::string_view member, double score)>;
  virtual void Walk(const Visit&) const {}

  double weight = 1;
};

class SortedSource : public Source {
 public:
  explicit SortedSource(SortedSet set) : set_(std::move(set)) {}
  uint64_t size() const override { return set_.size(); }
  std::optional<double> Score(std::string_view member) const override { return set_.Score(member); }
  void Walk(const Visit& visit) const override {
    Ranked at(set_);
    for (bool more = at.First(); more && visit(at.member(), at.score()); more = at.Next()) {
    }
  }

 private:
  SortedSet set_;
};

// A plain set.
class PlainSource : public Source {
 public:
  explicit PlainSource(Set set) : set_(std::move(set)) {}
  uint64_t size() const override { return set_.size(); }
  std::optional<double> Score(std::string_view member) const override {
    return set_.Contains(member) ? std::optional(1.0) : std::nullopt;
  }
  void Walk(const Visit& visit) const override {
    set_.Walk([&](std::string_view member) { return visit(member, 1); });
  }

 private:
  Set set_;
};

enum class Operation { kUnion, kInter, kDiff };
enum class Aggregate { kSum, kMin, kMax };

struct Combination {
  std::vector<std::unique_ptr<Source>> sources;
  Aggregate aggregate = Aggregate::kSum;
  bool with_scores = false;
  int64_t limit = 0;  // ZINTERCARD; 0: none
};

// Which words a command knows.
struct Words {
  bool weights = false;  // and AGGREGATE
  bool with_scores = false;
  bool limit = false;
};

std::unique_ptr<Source> OpenSource(Call& call, Key* key) {
  if (!key) return std::make_unique<Source>();
  if (key->type == Type::kSet) {
    return std::make_unique<PlainSource>(OpenSet(call, key));
  }
  return std::make_unique<SortedSource>(OpenSortedSet(call, key));
}

// numkeys key..., from args[at] on; `*after` is what follows.
bool ReadSources(Call& call, size_t at, Combination* c, size_t* after) {
  int64_t numkeys;
  if (!call.ReadInteger(at, &numkeys)) return false;
  if (numkeys < 1) {
    call.Error("ERR at least 1 input key is needed for '" + std::string(call.row.name) +
               "' command");
    return false;
  }
  if (static_cast<uint64_t>(numkeys) > call.args.size() - at - 1) {
    return call.Error(errors::kSyntax), false;
  }
  *after = at + 1 + static_cast<size_t>(numkeys);
  for (size_t i = at + 1; i < *after; ++i) {
    Key* key = call.Lookup(call.args[i]);
    if (key && key->type != Type::kSortedSet && key->type != Type::kSet) {
      return call.Error(errors::kWrongType), false;
    }
    c->sources.push_back(OpenSource(call, key));
  }
  return true;
}

bool ReadWeights(Call& call, size_t at, Combination* c) {
  for (size_t i = 0; i < c->sources.size(); ++i) {
    std::optional<double> weight = ParseDouble(call.args[at + i]);
    if (!weight) return call.Error("ERR weight value is not a float"), false;
    c->sources[i]->weight = *weight;
  }
  return true;
}

bool ReadAggregate(Call& call, size_t at, Combination* c) {
  if (call.Is(at, "SUM")) {
    c->aggregate = Aggregate::kSum;
  } else if (call.Is(at, "MIN")) {
    c->aggregate = Aggregate::kMin;
  } else if (call.Is(at, "MAX")) {
    c->aggregate = Aggregate::kMax;
  } else {
    return call.Error(errors::kSyntax), false;
  }
  return true;
}

bool ReadCombination(Call& call, size_t at, Words words, Combination* c) {
  size_t i;
  if (!ReadSources(call, at, c, &i)) return false;
  for (; i < call.args.size(); ++i) {
    size_t left = call.args.size() - i - 1;
    if (words.weights && call.Is(i, "WEIGHTS") && left >= c->sources.size()) {
      if (!ReadWeights(call, i + 1, c)) return false;
      i += c->sources.size();
    } else if (words.weights && call.Is(i, "AGGREGATE") && left >= 1) {
      if (!ReadAggregate(call, ++i, c)) return false;
    } else if (words.with_scores && call.Is(i, "WITHSCORES")) {
      c->with_scores = true;
    } else if (words.limit && call.Is(i, "LIMIT") && left >= 1) {
      if (!call.ReadRange(++i, 0, INT64_MAX, &c->limit, "ERR LIMIT can't be negative")) {
        return false;
      }
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

// ---- combining

// No infinity less another, and no zero times one, is a score.
double Weighted(double score, double weight) {
  double weighted = score * weight;
  return std::isnan(weighted) ? 0 : weighted;
}

void AddTo(double* total, double score, Aggregate aggregate) {
  switch (aggregate) {
    case Aggregate::kSum:
      *total += score;
      if (std::isnan(*total)) *total = 0;
      break;
    case Aggregate::kMin:
      *total = std::min(*total, score);
      break;
    case Aggregate::kMax:
      *total = std::max(*total, score);
      break;
  }
}

// As Redis does, from the smallest to the largest: sums of doubles depend on the order.
void SortBySize(Combination* c) {
  std::stable_sort(c->sources.begin(), c->sources.end(),
                   [](const auto& a, const auto& b) { return a->size() < b->size(); });
}

Members Union(const Combination& c) {
  std::unordered_map<std::string, double> totals;
  for (const auto& source : c.sources) {
    source->Walk([&](std::string_view member, double score) {
      double weighted = Weighted(score, source->weight);
      auto [it, added] = totals.try_emplace(std::string(member), weighted);
      if (!added) AddTo(&it->second, weighted, c.aggregate);
      return true;
    });
  }
  Members members;
  members.reserve(totals.size());
  for (auto& [member, score] : totals) members.push_back({member, score});
  return members;
}

Members Inter(const Combination& c) {
  Members members;
  c.sources[0]->Walk([&](std::string_view view, double score) {
    double total = Weighted(score, c.sources[0]->weight);
    for (size_t i = 1; i < c.sources.size(); ++i) {
      std::optional<double> its = c.sources[i]->Score(view);
      if (!its) return true;
      AddTo(&total, Weighted(*its, c.sources[i]->weight), c.aggregate);
    }
    members.push_back({std::string(view), total});
    return c.limit == 0 || members.size() < static_cast<size_t>(c.limit);
  });
  return members;
}

Members Diff(const Combination& c) {
  Members members;
  c.sources[0]->Walk([&](std::string_view member, double score) {
    for (size_t i = 1; i < c.sources.size(); ++i) {
      if (c.sources[i]->Score(member)) return true;
    }
    members.push_back({std::string(member), score});
    return true;
  });
  return members;
}

// In a sorted set's order.
Members Combine(Combination* c, Operation operation) {
  if (operation != Operation::kDiff) SortBySize(c);
  Members members = operation == Operation::kUnion   ? Union(*c)
                    : operation == Operation::kInter ? Inter(*c)
                                                     : Diff(*c);
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
    return a.score != b.score ? a.score < b.score : a.member < b.member;
  });
  return members;
}

// ---- the commands

void Reply(Call& call, Operation operation) {
  Combination c;
  Words words{.weights = operation != Operation::kDiff, .with_scores = true};
  if (!ReadCombination(call, 1, words, &c)) return;
  Members members = Combine(&c, operation);
  bool nested = c.with_scores && call.reply.protocol() >= 3;
  call.reply.ArrayHeader(members.size() * (c.with_scores && !nested ? 2 : 1));
  for (const auto& [member, score] : members) {
    c.with_scores ? ReplyEntry(call, member, score, nested) : call.reply.Bulk(member);
  }
}

void Store(Call& call, Operation operation, std::string_view event) {
  Combination c;
  if (!ReadCombination(call, 2, {.weights = operation != Operation::kDiff}, &c)) return;
  StoreMembers(call, call.args[1], Combine(&c, operation), event);
}

void Zunion(Call& call) { Reply(call, Operation::kUnion); }
void Zinter(Call& call) { Reply(call, Operation::kInter); }
void Zdiff(Call& call) { Reply(call, Operation::kDiff); }
void Zunionstore(Call& call) { Store(call, Operation::kUnion, "zunionstore"); }
void Zinterstore(Call& call) { Store(call, Operation::kInter, "zinterstore"); }
void Zdiffstore(Call& call) { Store(call, Operation::kDiff, "zdiffstore"); }

void Zintercard(Call& call) {
  Combination c;
  if (!ReadCombination(call, 1, {.limit = true}, &c)) return;
  SortBySize(&c);
  call.reply.Integer(static_cast<int64_t>(Inter(c).size()));
}

}  // namespace

void AddZsetAlgebraRows(Rows* rows) {
  auto add = [&](std::string_view name, std::string_view syntax, std::string_view summary,
                 std::string_view since, Handler handler) {
    rows->push_back({name,
                     syntax,
                     summary,
                     since,
                     "O(N log N) with N the members of all, or of the smallest for what they share",
                     Group::kSortedSet,
                     -3,
                     kReadonly | kMovableKeys,
                     {KeySpec::Counted(1, KeySpec::kRO | KeySpec::kAccess)},
                     handler});
  };
  add("zunion",
      "numkeys:int key... [WEIGHTS=weight:int...] [AGGREGATE=aggregate(SUM|MIN|MAX)] [WITHSCORES]",
      "Reads the members that any of some sorted sets has.", "6.2.0", Zunion);
  add("zinter",
      "numkeys:int key... [WEIGHTS=weight:int...] [AGGREGATE=aggregate(SUM|MIN|MAX)] [WITHSCORES]",
      "Reads the members that all of some sorted sets have.", "6.2.0", Zinter);
  add("zdiff", "numkeys:int key... [WITHSCORES]",
      "Reads the members that the first of some sorted sets has and no other.", "6.2.0", Zdiff);
  add("zintercard", "numkeys:int key... [LIMIT=limit:int]",
      "Counts the members that all of some sorted sets have.", "7.0.0", Zintercard);
  auto add_store = [&](std::string_view name, std::string_view syntax, std::string_view summary,
                       std::string_view since, Handler handler) {
    rows->push_back({name,
                     syntax,
                     summary,
                     since,
                     "O(N log N) with N the members of all, or of the smallest for what they share",
                     Group::kSortedSet,
                     -4,
                     kWrite | kDenyOom | kMovableKeys,
                     {KeySpec::At(1, KeySpec::kOW | KeySpec::kUpdate),
                      KeySpec::Counted(2, KeySpec::kRO | KeySpec::kAccess)},
                     handler});
  };
  add_store("zunionstore",
            "destination:key numkeys:int key:key1... [WEIGHTS=weight:int...] "
            "[AGGREGATE=aggregate(SUM|MIN|MAX)]",
            "ZUNION, put under another key.", "2.0.0", Zunionstore);
  add_store("zinterstore",
            "destination:key numkeys:int key:key1... [WEIGHTS=weight:int...] "
            "[AGGREGATE=aggregate(SUM|MIN|MAX)]",
            "ZINTER, put under another key.", "2.0.0", Zinterstore);
  add_store("zdiffstore", "destination:key numkeys:int key:key1...",
            "ZDIFF, put under another key.", "6.2.0", Zdiffstore);
}

}  // namespace sluice
