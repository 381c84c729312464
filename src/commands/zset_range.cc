// Sorted sets: stretches of the order, by rank, by score and by bytes.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "src/commands/zset_common.h"

namespace sluice {
namespace {

// A stretch as commands give it. By bytes it makes sense among members of one score only; among
// others the order is walked as if it did.
struct Range {
  enum class By { kRank, kScore, kBytes };
  By by = By::kRank;
  // kRank: the first and the last, negative from the end.
  int64_t first = 0, last = -1;
  // The others: the two ends, and whether they are left out.
  double min = 0, max = 0;
  // kBytes: nullopt is below or above all there are, as the flag says.
  struct Bytes {
    std::string_view bytes;
    int infinite = 0;  // -1: below everything, 1: above everything
  } low, high;
  bool min_open = false, max_open = false;
};

// As strtod reads, which takes nothing for 0, and ends at a NUL.
bool ReadScoreEnd(std::string_view word, double* score, bool* open) {
  *open = word.starts_with('(');
  std::string text(word.substr(*open ? 1 : 0));
  char* end = nullptr;
  *score = std::strtod(text.c_str(), &end);
  return *end == 0 && *score == *score;
}

bool ReadBytesEnd(std::string_view word, Range::Bytes* end, bool* open) {
  *open = word.starts_with('(');
  if (word == "-" || word == "+") {
    end->infinite = word == "-" ? -1 : 1;
    return true;
  }
  if (!*open && !word.starts_with('[')) return false;
  end->bytes = word.substr(1);
  return true;
}

// Reads a range whose lower end is args[min] and whose upper one is args[max].
bool ReadRange(Call& call, size_t min, size_t max, Range* range) {
  switch (range->by) {
    case Range::By::kRank:
      return call.ReadInteger(min, &range->first) && call.ReadInteger(max, &range->last);
    case Range::By::kScore:
      if (ReadScoreEnd(call.args[min], &range->min, &range->min_open) &&
          ReadScoreEnd(call.args[max], &range->max, &range->max_open)) {
        return true;
      }
      return call.Error("ERR min or max is not a float"), false;
    case Range::By::kBytes:
      if (ReadBytesEnd(call.args[min], &range->low, &range->min_open) &&
          ReadBytesEnd(call.args[max], &range->high, &range->max_open)) {
        return true;
      }
      return call.Error("ERR min or max not valid string range item"), false;
  }
  return false;
}

// ---- a range in a set

// Whether an entry is not below the range, and not above it.
bool ReachesUp(const Range& range, const Ranked& at) {
  if (range.by == Range::By::kScore) {
    return range.min_open ? at.score() > range.min : at.score() >= range.min;
  }
  if (range.low.infinite) return range.low.infinite < 0;
  return range.min_open ? at.member() > range.low.bytes : at.member() >= range.low.bytes;
}

bool ReachesDown(const Range& range, const Ranked& at) {
  if (range.by == Range::By::kScore) {
    return range.max_open ? at.score() < range.max : at.score() <= range.max;
  }
  if (range.high.infinite) return range.high.infinite > 0;
  return range.max_open ? at.member() < range.high.bytes : at.member() <= range.high.bytes;
}

// The score that all members have, if they have.
std::optional<double> OnlyScore(const SortedSet& set) {
  Ranked first(set), last(set);
  if (!first.First() || !last.Last() || first.score() != last.score()) return std::nullopt;
  return first.score();
}

// Redis looks at a set's two ends first, and that decides among different scores, too.
bool MayHold(const SortedSet& set, const Range& range) {
  Ranked first(set), last(set);
  return first.First() && ReachesDown(range, first) && last.Last() && ReachesUp(range, last);
}

// Goes to the lower end of a range by score or bytes; false when nothing is in it.
bool ToLow(const SortedSet& set, const Range& range, Ranked* at) {
  if (range.by == Range::By::kScore) {
    range.min_open ? at->Above(range.min) : at->AtLeast(range.min);
  } else if (!MayHold(set, range)) {
    return false;
  } else {
    std::optional<double> score;
    if (!range.low.infinite) score = OnlyScore(set);
    score ? at->AtLeast(*score, range.low.bytes) : at->First();
    while (at->valid() && !ReachesUp(range, *at)) at->Next();
  }
  return at->valid() && ReachesDown(range, *at);
}

bool ToHigh(const SortedSet& set, const Range& range, Ranked* at) {
  if (range.by == Range::By::kScore) {
    range.max_open ? at->Below(range.max) : at->AtMost(range.max);
  } else if (!MayHold(set, range)) {
    return false;
  } else {
    std::optional<double> score;
    if (!range.high.infinite) score = OnlyScore(set);
    score ? at->AtMost(*score, range.high.bytes) : at->Last();
    while (at->valid() && !ReachesDown(range, *at)) at->Prev();
  }
  return at->valid() && ReachesUp(range, *at);
}

// The ranks of a range by rank, made to lie inside the set; false when nothing does.
bool Ranks(const SortedSet& set, const Range& range, uint64_t* from, uint64_t* count) {
  int64_t size = static_cast<int64_t>(set.size());
  int64_t first = range.first < 0 ? std::max<int64_t>(range.first + size, 0) : range.first;
  int64_t last = std::min(range.last < 0 ? range.last + size : range.last, size - 1);
  if (first > last) return false;
  *from = static_cast<uint64_t>(first);
  *count = static_cast<uint64_t>(last - first + 1);
  return true;
}

struct Walk {
  bool reverse = false;
  int64_t offset = 0;
  int64_t limit = -1;  // negative: none
};

// Calls `visit` for the entries of a range in the order asked for.
template <typename Visit>
void WalkRange(const SortedSet& set, const Range& range, Walk walk, const Visit& visit) {
  Ranked at(set);
  bool forwards = !walk.reverse;
  if (range.by == Range::By::kRank) {
    uint64_t from, count;
    if (!Ranks(set, range, &from, &count)) return;
    at.Nth(forwards ? from : set.size() - 1 - from);
    for (; count > 0 && at.valid(); --count, at.Step(forwards)) visit(at);
    return;
  }
  if (walk.offset < 0) return;
  bool more = forwards ? ToLow(set, range, &at) : ToHigh(set, range, &at);
  auto step = [&] {
    return at.Step(forwards) && (forwards ? ReachesDown(range, at) : ReachesUp(range, at));
  };
  for (; more && walk.offset > 0; --walk.offset) more = step();
  for (; more && walk.limit != 0; --walk.limit, more = step()) visit(at);
}

// ---- ZRANGE and its many relatives

struct Query {
  Range range;
  Walk walk;
  bool with_scores = false;
};

// What a command leaves open and words decide: the order for ZRANGE and ZRANGESTORE.
enum class Kind { kAny, kStore, kFixed };

// The words behind the range, from args[at] on.
bool ReadWords(Call& call, size_t at, Kind kind, Query* q) {
  std::optional<Range::By> by;
  for (size_t i = at; i < call.args.size(); ++i) {
    if (kind != Kind::kStore && call.Is(i, "WITHSCORES")) {
      q->with_scores = true;
    } else if (call.Is(i, "LIMIT") && i + 2 < call.args.size()) {
      if (!call.ReadInteger(i + 1, &q->walk.offset) || !call.ReadInteger(i + 2, &q->walk.limit)) {
        return false;
      }
      i += 2;
    } else if (kind != Kind::kFixed && !q->walk.reverse && call.Is(i, "REV")) {
      q->walk.reverse = true;
    } else if (kind != Kind::kFixed && !by && call.Is(i, "BYLEX")) {
      by = Range::By::kBytes;
    } else if (kind != Kind::kFixed && !by && call.Is(i, "BYSCORE")) {
      by = Range::By::kScore;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  if (by) q->range.by = *by;
  if (q->walk.limit != -1 && q->range.by == Range::By::kRank) {
    call.Error(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    return false;
  }
  if (q->with_scores && q->range.by == Range::By::kBytes) {
    call.Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    return false;
  }
  return true;
}

// Reads all behind the key, which is args[at].
bool ReadQuery(Call& call, size_t at, Kind kind, Query* q) {
  if (!ReadWords(call, at + 3, kind, q)) return false;
  bool swapped = q->walk.reverse && q->range.by != Range::By::kRank;
  return ReadRange(call, swapped ? at + 2 : at + 1, swapped ? at + 1 : at + 2, &q->range);
}

void ReplyRange(Call& call, Kind kind, Query query) {
  if (!ReadQuery(call, 1, kind, &query)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key) return call.reply.ArrayHeader(0);
  bool nested = query.with_scores && call.reply.protocol() >= 3;
  size_t mark = call.reply.BeginArray(), n = 0;
  WalkRange(OpenSortedSet(call, key), query.range, query.walk, [&](const Ranked& at) {
    if (nested) call.reply.ArrayHeader(2);
    call.reply.Bulk(at.member());
    if (query.with_scores) call.reply.Double(at.score());
    ++n;
  });
  call.reply.EndArray(mark, query.with_scores && !nested ? 2 * n : n);
}

void ReplyFixed(Call& call, Range::By by, bool reverse) {
  Query query;
  query.range.by = by;
  query.walk.reverse = reverse;
  ReplyRange(call, Kind::kFixed, query);
}

void Zrange(Call& call) { ReplyRange(call, Kind::kAny, {}); }
void Zrevrange(Call& call) { ReplyFixed(call, Range::By::kRank, true); }
void Zrangebyscore(Call& call) { ReplyFixed(call, Range::By::kScore, false); }
void Zrevrangebyscore(Call& call) { ReplyFixed(call, Range::By::kScore, true); }
void Zrangebylex(Call& call) { ReplyFixed(call, Range::By::kBytes, false); }
void Zrevrangebylex(Call& call) { ReplyFixed(call, Range::By::kBytes, true); }

void Zrangestore(Call& call) {
  Query query;
  if (!ReadQuery(call, 2, Kind::kStore, &query)) return;
  Key* key;
  if (!call.LookupType(call.args[2], Type::kSortedSet, &key)) return;
  std::vector<SortedSet::Owned> members;
  if (key) {
    WalkRange(OpenSortedSet(call, key), query.range, query.walk, [&](const Ranked& at) {
      members.push_back({std::string(at.member()), at.score()});
    });
  }
  StoreMembers(call, call.args[1], members, "zrangestore");
}

// ---- counting and removing

void Count(Call& call, Range::By by) {
  Range range;
  range.by = by;
  if (!ReadRange(call, 2, 3, &range)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key) return call.reply.Integer(0);
  SortedSet set = OpenSortedSet(call, key);
  Ranked from(set), to(set);
  if (!ToLow(set, range, &from)) return call.reply.Integer(0);
  if (by == Range::By::kScore || OnlyScore(set)) {
    ToHigh(set, range, &to);
    to.Next();
    return call.reply.Integer(static_cast<int64_t>(set.CountBetween(from, to)));
  }
  int64_t count = 0;
  for (; from.valid() && ReachesDown(range, from); from.Next()) ++count;
  call.reply.Integer(count);
}

void Zcount(Call& call) { Count(call, Range::By::kScore); }
void Zlexcount(Call& call) { Count(call, Range::By::kBytes); }

// Whether a range by score or bytes is known to hold the whole set.
bool HoldsAll(const SortedSet& set, const Range& range) {
  // Among different scores the ends say nothing about what is between.
  if (range.by == Range::By::kBytes && !OnlyScore(set)) return false;
  Ranked first(set), last(set);
  return first.First() && ReachesUp(range, first) && last.Last() && ReachesDown(range, last);
}

void RemoveRange(Call& call, Range::By by, std::string_view event) {
  Range range;
  range.by = by;
  if (!ReadRange(call, 2, 3, &range)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key) return call.reply.Integer(0);
  SortedSet set = OpenSortedSet(call, key);
  Ranked at(set);
  uint64_t from, left = 0;
  if (by != Range::By::kRank) {
    ToLow(set, range, &at);
  } else if (Ranks(set, range, &from, &left)) {
    at.Nth(from);
  }
  bool by_rank = by == Range::By::kRank;
  bool all = by_rank ? left == set.size() : HoldsAll(set, range);
  auto more = [&](const Ranked& place) { return by_rank ? left-- > 0 : ReachesDown(range, place); };
  call.reply.Integer(static_cast<int64_t>(RemoveEntries(call, key, &set, &at, all, event, more)));
}

void Zremrangebyrank(Call& call) { RemoveRange(call, Range::By::kRank, "zremrangebyrank"); }
void Zremrangebyscore(Call& call) { RemoveRange(call, Range::By::kScore, "zremrangebyscore"); }
void Zremrangebylex(Call& call) { RemoveRange(call, Range::By::kBytes, "zremrangebylex"); }

}  // namespace

void AddZsetRangeRows(Rows* rows) {
  const KeySpec read = KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess);
  const KeySpec remove = KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete);
  auto add_read = [&](std::string_view name, std::string_view syntax, std::string_view summary,
                      std::string_view since, Handler handler, std::string_view replaced_by = {}) {
    rows->push_back({name,
                     syntax,
                     summary,
                     since,
                     "O(log N + M) with M the entries read and skipped",
                     Group::kSortedSet,
                     -4,
                     kReadonly,
                     {read},
                     handler,
                     {},
                     replaced_by.empty() ? "" : "6.2.0",
                     replaced_by});
  };
  add_read("zrange",
           "key start stop [sortby(BYSCORE|BYLEX)@6.2.0] [REV@6.2.0] "
           "[LIMIT=offset_count(offset:int count:int)@6.2.0] [WITHSCORES]",
           "Reads a stretch of a sorted set, by rank, score or bytes.", "1.2.0", Zrange);
  add_read("zrevrange", "key start:int stop:int [WITHSCORES]",
           "Reads a stretch of a sorted set by rank, highest score first.", "1.2.0", Zrevrange,
           "`ZRANGE` with `REV`");
  add_read("zrangebyscore",
           "key min:double max:double [WITHSCORES@2.0.0] "
           "[LIMIT=offset_count(offset:int count:int)]",
           "Reads the members whose scores lie in a range.", "1.0.5", Zrangebyscore,
           "`ZRANGE` with `BYSCORE`");
  add_read("zrevrangebyscore",
           "key max:double min:double [WITHSCORES] [LIMIT=offset_count(offset:int count:int)]",
           "Reads the members whose scores lie in a range, highest first.", "2.2.0",
           Zrevrangebyscore, "`ZRANGE` with `REV` and `BYSCORE`");
  add_read("zrangebylex", "key min max [LIMIT=offset_count(offset:int count:int)]",
           "Reads the members of one score that lie between two strings.", "2.8.9", Zrangebylex,
           "`ZRANGE` with `BYLEX`");
  add_read("zrevrangebylex", "key max min [LIMIT=offset_count(offset:int count:int)]",
           "Reads the members of one score that lie between two strings, backwards.", "2.8.9",
           Zrevrangebylex, "`ZRANGE` with `REV` and `BYLEX`");
  rows->push_back({"zrangestore",
                   "dst:key src:key1 min max [sortby(BYSCORE|BYLEX)] [REV] "
                   "[LIMIT=offset_count(offset:int count:int)]",
                   "Puts a stretch of a sorted set under another key.",
                   "6.2.0",
                   "O(log N + M log M) with M the entries stored",
                   Group::kSortedSet,
                   -5,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kOW | KeySpec::kUpdate),
                    KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   Zrangestore});
  rows->push_back({"zcount",
                   "key min:double max:double",
                   "Counts the members whose scores lie in a range.",
                   "2.0.0",
                   "O(log N + M) with M the entries in the range or outside, whatever are fewer",
                   Group::kSortedSet,
                   4,
                   kReadonly | kFast,
                   {read},
                   Zcount});
  rows->push_back({"zlexcount",
                   "key min max",
                   "Counts the members of one score that lie between two strings.",
                   "2.8.9",
                   "O(log N + M) with M the entries in the range or outside, whatever are fewer",
                   Group::kSortedSet,
                   4,
                   kReadonly | kFast,
                   {read},
                   Zlexcount});
  rows->push_back({"zremrangebyrank",
                   "key start:int stop:int",
                   "Drops a stretch of a sorted set by rank.",
                   "2.0.0",
                   "O(M log N) with M the entries dropped, and the way to the first of them",
                   Group::kSortedSet,
                   4,
                   kWrite,
                   {remove},
                   Zremrangebyrank});
  rows->push_back({"zremrangebyscore",
                   "key min:double max:double",
                   "Drops the members whose scores lie in a range.",
                   "1.2.0",
                   "O(M log N) with M the entries dropped",
                   Group::kSortedSet,
                   4,
                   kWrite,
                   {remove},
                   Zremrangebyscore});
  rows->push_back({"zremrangebylex",
                   "key min max",
                   "Drops the members of one score that lie between two strings.",
                   "2.8.9",
                   "O(M log N) with M the entries dropped",
                   Group::kSortedSet,
                   4,
                   kWrite,
                   {remove},
                   Zremrangebylex});
}

}  // namespace sluice
