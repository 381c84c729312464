#include "store/set.h"

#include <algorithm>
#include <set>

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

using Model = std::set<std::string>;

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  Keyspace keys{env.get(), 16};
  Set::Limits limits;
  testing::Random random{1};

  Fixture() { REQUIRE(keys.Load().ok()); }
  Set Open(const std::string& name = "s") {
    Key* key = keys.Find(0, name);
    if (!key) key = &keys.Create(0, name, Type::kSet);
    return Set(env.get(), &keys, key);
  }
  Set::Random Chance() {
    return [this] { return random.Below(UINT64_MAX); };
  }
  std::vector<std::string> Members(const Set& set) {
    std::vector<std::string> members;
    set.Walk([&](std::string_view member) {
      members.emplace_back(member);
      return true;
    });
    return members;
  }
  void Check(const Model& model, const std::string& name = "s") {
    Set set = Open(name);
    REQUIRE(set.size() == model.size());
    uint64_t bytes = 0;
    for (const std::string& member : model) bytes += member.size();
    CHECK(set.bytes() == bytes);
    std::vector<std::string> members = Members(set);
    CHECK(members.size() == model.size());
    CHECK(Model(members.begin(), members.end()) == model);
  }
};

// Few enough to meet again; many of them longer than a row key, and alike from the start.
std::string SomeMember(testing::Random* random) {
  std::string number = std::to_string(random->Below(40));
  switch (random->Below(4)) {
    case 0:
      return std::string(kInlineName, 'x') + number;
    case 1:
      return std::string(kInlineName - 1, 'x') + number.substr(0, 1);
    case 2:
      return number + std::string(random->Below(3), '\0');
    default:
      return number;
  }
}

}  // namespace

TEST_CASE("set: behaves as a set, through turns and restarts, with members of any length") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Fixture f;
    f.random = testing::Random(seed);
    f.limits = {8, 8, 64};
    Model model;
    for (int step = 0; step < 1500; ++step) {
      std::string member = SomeMember(&f.random);
      Set set = f.Open();
      CHECK(set.Contains(member) == model.contains(member));
      if (f.random.OneIn(2)) {
        CHECK(set.Add(member, f.limits) == model.insert(member).second);
      } else {
        CHECK(set.Remove(member) == (model.erase(member) > 0));
      }
      if (!model.empty() && f.random.OneIn(20)) CHECK(model.contains(set.Pick(f.Chance())));
      if (f.random.OneIn(10)) f.keys.EndTurn();
      if (f.random.OneIn(50)) f.Check(model);
      if (f.random.OneIn(100)) {
        f.keys.EndTurn();
        REQUIRE(f.keys.Load().ok());
      }
      if (f.random.OneIn(200)) {
        if (Key* copy = f.keys.Find(0, "copy")) f.keys.Remove(copy);
        f.keys.Copy(f.keys.Find(0, "s"), 0, "copy");
        f.Check(model, "copy");
      }
    }
    f.Check(model);
    REQUIRE(f.env->failure().ok());
  }
}

TEST_CASE("set: the form follows the limits, and never goes back") {
  Fixture f;
  f.limits = {4, 3, 5};
  Set set = f.Open();
  for (const char* number : {"10", "9", "-1"}) set.Add(number, f.limits);
  // Nothing decides the form of a new set but Expect.
  CHECK(set.form() == Set::Form::kTable);

  Set numbers = f.Open("numbers");
  numbers.Expect("10", 1, f.limits);
  for (const char* number : {"10", "9", "-1", "100"}) numbers.Add(number, f.limits);
  CHECK(numbers.form() == Set::Form::kIntegers);
  CHECK(f.Members(numbers) == std::vector<std::string>{"-1", "9", "10", "100"});
  CHECK_FALSE(numbers.Add("9", f.limits));
  CHECK(numbers.form() == Set::Form::kIntegers);
  CHECK(numbers.Add("11", f.limits));
  CHECK(numbers.form() == Set::Form::kTable);
  numbers.Remove("11");
  CHECK(f.Open("numbers").form() == Set::Form::kTable);

  Set mixed = f.Open("mixed");
  mixed.Expect("1", 1, f.limits);
  mixed.Add("1", f.limits);
  mixed.Add("a", f.limits);
  CHECK(mixed.form() == Set::Form::kFew);
  mixed.Expect("b", 4, f.limits);
  CHECK(mixed.form() == Set::Form::kTable);

  Set wide = f.Open("wide");
  wide.Expect("123456", 1, f.limits);
  wide.Add("123456", f.limits);
  wide.Add("a", f.limits);
  CHECK(wide.form() == Set::Form::kTable);
}

TEST_CASE("set: what is a number, as Redis spells numbers") {
  CHECK(Set::AsInteger("0") == 0);
  CHECK(Set::AsInteger("-9223372036854775808") == INT64_MIN);
  CHECK(Set::AsInteger("9223372036854775807") == INT64_MAX);
  for (const char* text : {"", "-", "01", "-0", "+1", " 1", "1 ", "1.0", "9223372036854775808"}) {
    CHECK_FALSE(Set::AsInteger(text));
  }
}

TEST_CASE("set: a scan finds all that stays, whatever comes and goes meanwhile") {
  Fixture f;
  Model stays;
  for (int i = 0; i < 500; ++i) {
    stays.insert("stays" + std::to_string(i));
    f.Open().Add("stays" + std::to_string(i), f.limits);
    f.Open().Add("goes" + std::to_string(i), f.limits);
  }
  Model seen;
  uint64_t cursor = 0;
  int calls = 0, next = 0;
  do {
    Set set = f.Open();
    cursor = set.Scan(cursor, 7, [&](std::string_view member) {
      if (member.starts_with("stays")) CHECK(seen.insert(std::string(member)).second);
      return true;
    });
    for (int i = 0; i < 5; ++i, ++next) {
      set.Remove("goes" + std::to_string(next));
      set.Add("comes" + std::to_string(next), f.limits);
    }
    f.keys.EndTurn();
    REQUIRE(f.keys.Load().ok());
    ++calls;
  } while (cursor != 0);
  CHECK(seen == stays);
  CHECK(calls > 100);
  CHECK(f.Open().Scan(UINT64_MAX, 10, [](std::string_view) { return true; }) == 0);
}

TEST_CASE("set: every member has its chance") {
  Fixture f;
  for (int size : {10, 1000}) {
    Set set = f.Open(std::to_string(size));
    for (int i = 0; i < size; ++i) set.Add(std::to_string(i), f.limits);
    std::map<std::string, int> picked;
    for (int i = 0; i < 40 * size; ++i) ++picked[set.Pick(f.Chance())];
    CHECK(picked.size() == static_cast<size_t>(size));
    for (const auto& of_member : picked) {
      INFO(of_member.first);
      CHECK(of_member.second > 4);
      CHECK(of_member.second < 120);
    }
  }
}

TEST_CASE("set: a sample has different members, as many as wanted") {
  Fixture f;
  Model model;
  Set set = f.Open();
  for (int i = 0; i < 300; ++i) {
    model.insert(std::to_string(i));
    set.Add(std::to_string(i), f.limits);
  }
  for (uint64_t count : {1, 50, 99, 100, 101, 250, 299}) {
    std::vector<std::string> sample = set.Sample(count, f.Chance());
    CHECK(sample.size() == count);
    CHECK(Model(sample.begin(), sample.end()).size() == count);
  }
  for (uint64_t count : {20, 200, 79}) {
    for (const std::string& member : set.Take(count, f.Chance())) CHECK(model.erase(member) == 1);
    f.Check(model);
  }
  CHECK(model.size() == 1);
}
