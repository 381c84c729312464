// Sorted sets: members in no order, all of them a few at a time, or some by chance.
#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

#include "src/commands/scan_common.h"
#include "src/commands/zset_common.h"

namespace sluice {
namespace {

// More repetitions than this are refused.
constexpr int64_t kMostRepeated = int64_t{1} << 24;

// Calls `visit` for all entries in order.
template <typename Visit>
void WalkAll(const SortedSet& set, const Visit& visit) {
  Ranked at(set);
  for (bool more = at.First(); more; more = at.Next()) {
    visit(SortedSet::Entry{at.member(), at.score()});
  }
}

// ZSCAN shows a score as Redis keeps it: in a small set a whole number is one, however large.
void ReplyKeptScore(Call& call, double score, bool large) {
  constexpr double kMostWhole = 0x1p62;
  if (!large && std::fabs(score) <= kMostWhole && score == std::trunc(score)) {
    return call.reply.BulkInteger(static_cast<int64_t>(score));
  }
  char digits[32];
  call.reply.Bulk({digits, resp::FormatDouble(score, digits)});
}

void Zscan(Call& call) {
  uint64_t cursor;
  if (!ReadCursor(call, 2, &cursor)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  ScanOptions options;
  // As in Redis, where there is nothing the options do not matter.
  if (key && !ReadScanOptions(call, 3, &options)) return;

  std::vector<SortedSet::Entry> found;  // views of rows: nothing is written before the reply
  auto visit = [&](const SortedSet::Entry& entry) {
    if (options.Matches(entry.member)) found.push_back(entry);
  };
  uint64_t next = 0;
  bool large = false;
  if (key) {
    SortedSet set = OpenSortedSet(call, key);
    large = set.large();
    // Redis shows a small one as a whole. A cursor that no scan has returned is at the end.
    if (!large) {
      WalkAll(set, visit);
    } else if (cursor < NamedRows::kCursorEnd) {
      next = set.Scan(cursor, static_cast<uint64_t>(options.count), visit);
    }
  }
  call.reply.ArrayHeader(2);
  call.reply.Bulk(std::to_string(next));
  call.reply.ArrayHeader(found.size() * 2);
  for (const SortedSet::Entry& entry : found) {
    call.reply.Bulk(entry.member);
    ReplyKeptScore(call, entry.score, large);
  }
}

// ---- ZRANDMEMBER

class RandomMembers {
 public:
  RandomMembers(Call* call, const SortedSet* set, bool with_scores)
      : call_(call), set_(set), with_scores_(with_scores) {}

  // `count` members, the same ones again and again.
  void Repeating(uint64_t count) {
    Header(count);
    for (uint64_t i = 0; i < count; ++i) {
      SortedSet::Owned drawn = Draw();
      Write(drawn.member, drawn.score);
    }
  }

  // `count` different members.
  void Different(uint64_t count) {
    uint64_t left = set_->size();
    count = std::min(count, left);
    Header(count);
    // A few of many are drawn until they are different; otherwise each member of a walk is taken
    // with the probability that makes all choices equally likely.
    if (left > kWalked && count * 8 < left) return DrawDifferent(count);
    WalkAll(*set_, [&](const SortedSet::Entry& entry) {
      if (call_->engine.Random() % left-- >= count) return;
      Write(entry.member, entry.score);
      --count;
    });
  }

 private:
  static constexpr uint64_t kWalked = 256;

  SortedSet::Owned Draw() {
    return set_->Sample([&] { return call_->engine.Random(); });
  }

  void DrawDifferent(uint64_t count) {
    std::unordered_set<std::string> seen;
    while (seen.size() < count) {
      SortedSet::Owned drawn = Draw();
      if (seen.insert(drawn.member).second) Write(drawn.member, drawn.score);
    }
  }

  bool Nested() const { return with_scores_ && call_->reply.protocol() >= 3; }
  void Header(uint64_t members) {
    call_->reply.ArrayHeader(with_scores_ && !Nested() ? members * 2 : members);
  }
  void Write(std::string_view member, double score) {
    with_scores_ ? ReplyEntry(*call_, member, score, Nested()) : call_->reply.Bulk(member);
  }

  Call* call_;
  const SortedSet* set_;
  bool with_scores_;
};

void Zrandmember(Call& call) {
  bool counted = call.args.size() > 2, with_scores = call.args.size() > 3;
  int64_t count = 1;
  if (counted && !call.ReadInteger(2, &count)) return;
  if (count == INT64_MIN) {
    return call.Error(
        "ERR value is out of range, value must between -9223372036854775807 and "
        "9223372036854775807");
  }
  if (call.args.size() > 4 || (with_scores && !call.Is(3, "WITHSCORES"))) {
    return call.Error(errors::kSyntax);
  }
  if (with_scores && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
    return call.Error("ERR value is out of range");
  }
  // Redis would begin to write, and never end.
  if (count < -kMostRepeated) return call.Error("ERR value is out of range");
  Key* key;
  if (!call.LookupType(call.args[1], Type::kSortedSet, &key)) return;
  if (!key) return counted ? call.reply.ArrayHeader(0) : call.reply.Null();
  SortedSet set = OpenSortedSet(call, key);
  if (!counted) {
    return call.reply.Bulk(set.Sample([&] { return call.engine.Random(); }).member);
  }
  RandomMembers members(&call, &set, with_scores);
  count < 0 ? members.Repeating(static_cast<uint64_t>(-count))
            : members.Different(static_cast<uint64_t>(count));
}

}  // namespace

void AddZsetScanRows(Rows* rows) {
  rows->push_back({"zrandmember",
                   "key [options(count:int [WITHSCORES])]",
                   "Reads members of a sorted set chosen at random.",
                   "6.2.0",
                   "O(M log N) with M the members read",
                   Group::kSortedSet,
                   -2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Zrandmember,
                   {"nondeterministic_output"}});
  rows->push_back({"zscan",
                   "key cursor:int [MATCH=pattern:pattern] [COUNT=count:int]",
                   "Lists members and scores of a sorted set piece by piece, from a cursor on.",
                   "2.8.0",
                   "O(M) with M the members listed",
                   Group::kSortedSet,
                   -3,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Zscan,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
