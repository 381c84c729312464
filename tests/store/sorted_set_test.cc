#include "store/sorted_set.h"

#include <cmath>
#include <limits>
#include <set>

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path());
  Keyspace keys{env.get(), 16};
  Fixture() { REQUIRE(keys.Load().ok()); }

  Key* Find(std::string_view name) {
    if (Key* key = keys.Find(0, name)) return key;
    return &keys.Create(0, name, Type::kSortedSet);
  }
  SortedSet Open(std::string_view name = "z") { return {env.get(), &keys, Find(name)}; }
};

using Model = std::set<std::pair<double, std::string>>;

void CheckOrder(const SortedSet& set, const Model& model) {
  REQUIRE(set.size() == model.size());
  Ranked place(set);
  bool more = place.First();
  uint64_t bytes = 0;
  for (const auto& [score, member] : model) {
    REQUIRE(more);
    REQUIRE(place.score() == score);
    REQUIRE(place.member() == member);
    bytes += member.size();
    more = place.Next();
  }
  REQUIRE_FALSE(more);
  REQUIRE(set.bytes() == bytes);
  more = place.Last();
  for (auto it = model.rbegin(); it != model.rend(); ++it, more = place.Prev()) {
    REQUIRE(more);
    REQUIRE(place.member() == it->second);
  }
  REQUIRE_FALSE(more);
}

// Members around the length at which a row key no longer holds them, and beginning alike.
std::string SomeMember(Random* random) {
  switch (random->Below(4)) {
    case 0:
      return std::to_string(random->Below(20));
    case 1:
      return random->Bytes(random->Below(3));
    case 2: {
      std::string member(kInlineName - 2, 'p');
      for (uint64_t n = random->Below(5); n > 0; --n) {
        member.push_back("a\0\xff"[random->Below(3)]);
      }
      return member;
    }
    default: {
      std::string member(kInlineName + random->Below(2), random->OneIn(2) ? 'p' : 'q');
      member += std::to_string(random->Below(100));
      return member + std::string(random->Below(3) * 1000, 'x');
    }
  }
}

double SomeScore(Random* random) {
  constexpr double kScores[] = {0,    0,    0, 1, 2, -1, 0.1, 1e300, -1e-300, 9007199254740991,
                                kInf, -kInf};
  return kScores[random->Below(std::size(kScores))];
}

class ModelRun {
 public:
  explicit ModelRun(uint64_t seed) : random_(seed) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (model_.empty()) {
        if (Key* key = f_.keys.Find(0, "z")) f_.keys.Remove(key);
      }
      Step();
      if (random_.OneIn(10)) f_.keys.EndTurn();
      if (random_.OneIn(20)) CheckOrder(f_.Open(), model_);
      if (random_.OneIn(30)) f_.keys.ReclaimSlice(1000);
      REQUIRE(f_.env->failure().ok());
    }
    CheckOrder(f_.Open(), model_);
    while (f_.keys.ReclaimSlice(1000)) {
    }
    CHECK(AllRows(f_.env.get(), Table::kSortedSet).size() == model_.size());
    CHECK(AllRows(f_.env.get(), Table::kMember).size() == model_.size());
  }

 private:
  void Step() {
    std::string member = SomeMember(&random_);
    double score = SomeScore(&random_);
    switch (random_.Below(8)) {
      case 0:
        return Remove(member);
      case 1:
        return Look(score, member);
      case 2:
        return Count();
      case 3:
        return random_.OneIn(10) ? RemoveRun() : Scan();
      default:
        return Put(member, score);
    }
  }

  Model::iterator FindMember(const std::string& member) {
    return std::find_if(model_.begin(), model_.end(),
                        [&](const auto& entry) { return entry.second == member; });
  }

  void Put(const std::string& member, double score) {
    SortedSet set = f_.Open();
    auto it = FindMember(member);
    std::optional<double> now = set.Score(member);
    REQUIRE(now.has_value() == (it != model_.end()));
    if (!now) {
      set.Add(member, score);
    } else {
      REQUIRE(*now == it->first);
      set.Move(member, *now, score);
      model_.erase(it);
    }
    model_.emplace(score, member);
  }

  void Remove(const std::string& member) {
    auto it = FindMember(member);
    REQUIRE(f_.Open().Remove(member) == (it != model_.end()));
    if (it != model_.end()) model_.erase(it);
  }

  void CheckPlace(const Ranked& place, Model::iterator at) {
    REQUIRE(place.valid() == (at != model_.end()));
    if (place.valid()) REQUIRE(place.member() == at->second);
  }

  void Look(double score, const std::string& member) {
    SortedSet set = f_.Open();
    Ranked place(set);
    auto before = [&](Model::iterator it) { return it == model_.begin() ? model_.end() : --it; };
    auto lower = model_.lower_bound({score, member}), upper = model_.upper_bound({score, member});
    place.AtLeast(score, member);
    CheckPlace(place, lower);
    place.AtMost(score, member);
    CheckPlace(place, before(upper));
    auto first = model_.lower_bound({score, ""});
    auto past = std::find_if(first, model_.end(), [&](auto& e) { return e.first > score; });
    place.AtLeast(score);
    CheckPlace(place, first);
    place.Above(score);
    CheckPlace(place, past);
    place.AtMost(score);
    CheckPlace(place, before(past));
    place.Below(score);
    CheckPlace(place, before(first));
    if (model_.empty()) return;
    auto it = std::next(model_.begin(), random_.Below(model_.size()));
    uint64_t rank = std::distance(model_.begin(), it);
    REQUIRE(set.RankOf(it->second, it->first) == rank);
    place.Nth(rank);
    CheckPlace(place, it);
  }

  void Count() {
    SortedSet set = f_.Open();
    Ranked from(set), to(set);
    uint64_t a = random_.Below(model_.size() + 1);
    uint64_t b = a + random_.Below(model_.size() + 1 - a);
    from.Nth(a);
    to.Nth(b);
    REQUIRE(set.CountBetween(from, to) == b - a);
  }

  void RemoveRun() {
    SortedSet set = f_.Open();
    uint64_t from = random_.Below(model_.size() + 1), count = random_.Below(400);
    Ranked place(set);
    place.Nth(from);
    uint64_t expected = std::min(count, model_.size() - from);
    REQUIRE(set.RemoveWhile(&place, [&](const Ranked&) { return count-- > 0; }) == expected);
    auto first = std::next(model_.begin(), from);
    model_.erase(first, std::next(first, expected));
  }

  void Scan() {
    SortedSet set = f_.Open();
    Model seen;
    uint64_t cursor = 0;
    do {
      cursor = set.Scan(cursor, 7, [&](const SortedSet::Entry& entry) {
        REQUIRE(seen.emplace(entry.score, entry.member).second);
      });
    } while (cursor);
    REQUIRE(seen == model_);
  }

  Fixture f_;
  Random random_;
  Model model_;
};

}  // namespace

TEST_CASE("sorted set: follows a model") {
  for (uint64_t seed = 1; seed <= 10; ++seed) ModelRun(seed).Run(1500);
}

TEST_CASE("sorted set: thousands of long members that begin alike keep their order") {
  for (int way = 0; way < 4; ++way) {
    Fixture f;
    Random random(way);
    Model model;
    auto add = [&](const std::string& end) {
      std::string member = std::string(600, 'm') + end;
      f.Open().Add(member, 5);
      model.emplace(5, member);
    };
    std::string low = "a", high = "z";
    for (int i = 0; i < 3000; ++i) {
      char digits[16];
      std::snprintf(digits, sizeof digits, "%06d", way == 0 ? i : 999999 - i);
      // Rising, falling, and ever narrower around one place from one side or from both.
      if (way < 2) {
        add(digits);
      } else if (way == 2 || i % 2) {
        add("m" + std::string(i, 'm'));
      } else {
        add("m" + std::string(i, 'm') + "z");
      }
    }
    CheckOrder(f.Open(), model);
    while (!model.empty()) {
      auto it = std::next(model.begin(), random.Below(model.size()));
      REQUIRE(f.Open().Remove(it->second));
      model.erase(it);
    }
    CHECK(AllRows(f.env.get(), Table::kSortedSet).empty());
    CHECK(AllRows(f.env.get(), Table::kMember).empty());
  }
}

TEST_CASE("sorted set: minus zero stays what it is, among the zeros") {
  Fixture f;
  f.Open().Add("b", -0.0);
  f.Open().Add("a", 0.0);
  f.Open().Add("c", 0.0);
  f.Open().Add(std::string(500, 'd'), -0.0);
  CHECK(std::signbit(*f.Open().Score("b")));
  SortedSet set = f.Open();
  Ranked place(set);
  std::string order;
  for (bool more = place.First(); more; more = place.Next()) {
    order += place.member()[0];
    order += std::signbit(place.score()) ? '-' : '+';
  }
  CHECK(order == "a+b-c+d-");
  f.Open().Move("b", -0.0, 1);
  CHECK(AllRows(f.env.get(), Table::kSortedSet).size() == 4);
}

TEST_CASE("sorted set: sets side by side do not see each other") {
  Fixture f;
  for (const char* name : {"a", "b", "c"}) f.Open(name).Add(name, name[0] == 'b' ? kInf : 0);
  SortedSet set = f.Open("b");
  Ranked place(set);
  CHECK(place.First());
  CHECK(place.member() == "b");
  CHECK_FALSE(place.Next());
  CHECK(place.Last());
  CHECK_FALSE(place.Prev());
  CHECK_FALSE(place.Above(kInf));
  CHECK_FALSE(place.Below(kInf));
  CHECK(place.AtMost(kInf));
  CHECK_FALSE(set.Score("a"));
  int seen = 0;
  CHECK(set.Scan(0, 10, [&](const SortedSet::Entry&) { ++seen; }) == 0);
  CHECK(seen == 1);
}

TEST_CASE("sorted set: a copy of long members stands on its own") {
  Fixture f;
  std::string member(1000, 'x');
  f.Open().Add(member + "1", 1);
  f.Open().Add(member + "2", 1);
  f.keys.Copy(f.Find("z"), 0, "copy");
  f.Open().Remove(member + "1");
  f.Open().Remove(member + "2");
  f.keys.Remove(f.Find("z"));
  while (f.keys.ReclaimSlice(1000)) {
  }
  CheckOrder(f.Open("copy"), {{1, member + "1"}, {1, member + "2"}});
  CHECK(f.Open("copy").Score(member + "2") == 1);
}

TEST_CASE("sorted set: a member that stays is scanned, whatever else comes and goes") {
  Fixture f;
  Random random(3);
  for (int i = 0; i < 300; ++i) f.Open().Add("stays " + std::to_string(i), i);
  std::multiset<std::string> seen;
  uint64_t cursor = 0;
  do {
    cursor = f.Open().Scan(cursor, 10, [&](const SortedSet::Entry& entry) {
      if (entry.member.starts_with("stays")) seen.emplace(entry.member);
    });
    for (int i = 0; i < 20; ++i) {
      std::string member = "comes " + std::to_string(random.Below(500));
      if (!f.Open().Remove(member)) f.Open().Add(member, 1);
      std::string moved = "stays " + std::to_string(random.Below(300));
      f.Open().Move(moved, *f.Open().Score(moved), random.Below(1000));
    }
    f.keys.EndTurn();
  } while (cursor);
  CHECK(seen.size() == 300);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 300);
}

TEST_CASE("sorted set: every member is drawn as often as any other") {
  Fixture f;
  Random random(4);
  constexpr int kMembers = 200, kDraws = 40'000;
  for (int i = 0; i < kMembers; ++i) f.Open().Add(std::to_string(i), i);
  std::map<std::string, int> drawn;
  for (int i = 0; i < kDraws; ++i) {
    ++drawn[f.Open().Sample([&] { return random.Below(UINT64_MAX); }).member];
  }
  CHECK(drawn.size() == kMembers);
  // 200 on average, with a deviation of 14.
  for (const auto& [member, times] : drawn) {
    CHECK(times > 120);
    CHECK(times < 280);
  }
}

TEST_CASE("sorted set: a walk is short when its place is near an end") {
  Fixture f;
  for (int i = 0; i < 2000; ++i) f.Open().Add(std::to_string(i), i);
  SortedSet set = f.Open();
  Ranked from(set), to(set);
  from.AtLeast(3);
  CHECK(set.CountBetween(from, to) == 1997);
  to.AtLeast(1990);
  CHECK(set.CountBetween(from, to) == 1987);
  CHECK(set.RankOf("1999", 1999) == 1999);
  CHECK(set.RankOf("0", 0) == 0);
  from.Nth(1998);
  CHECK(from.member() == "1998");
}
