#include "store/hash.h"

#include <map>
#include <set>

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Value {
  std::string value;
  int64_t expires_at_ms = 0;
};
using Model = std::map<std::string, Value>;

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  Keyspace keys{env.get(), 16};
  int64_t now_ms = 1000;
  Hash::Limits limits;

  Fixture() { REQUIRE(keys.Load().ok()); }
  Key* Find(const std::string& name = "h") {
    Key* key = keys.Find(0, name);
    return key ? key : &keys.Create(0, name, Type::kHash);
  }
  Hash Open(const std::string& name = "h") {
    return Hash(env.get(), &keys, Find(name), now_ms, limits);
  }
  void Fill(int n, size_t value_bytes = 1, const std::string& name = "h") {
    Hash hash = Open(name);
    for (int i = 0; i < n; ++i) hash.Set(std::to_string(i), std::string(value_bytes, 'v'));
  }
  void Reload() {
    keys.EndTurn();
    REQUIRE(keys.Load().ok());
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    Open().Walk([&](const Hash::Field& field) {
      names.emplace_back(field.name);
      return true;
    });
    return names;
  }
  size_t Rows(Table table) { return AllRows(env.get(), table).size(); }
  void Reclaim() {
    while (keys.ReclaimSlice(1000)) {
    }
  }

  // The hash is what the model says; what the model still has may be over.
  void Check(const Model& model) {
    Model living;
    int64_t first = 0;
    for (const auto& [name, value] : model) {
      if (value.expires_at_ms && value.expires_at_ms < now_ms) continue;
      living.emplace(name, value);
    }
    Hash hash = Open();
    REQUIRE(hash.size() == living.size());
    size_t seen = 0;
    hash.Walk([&](const Hash::Field& field) {
      auto it = living.find(std::string(field.name));
      REQUIRE(it != living.end());
      REQUIRE(it->second.value == field.value);
      REQUIRE(it->second.expires_at_ms == field.expires_at_ms);
      ++seen;
      return true;
    });
    REQUIRE(seen == living.size());
    if (hash.Expire(UINT64_MAX); true) {
      for (const auto& [name, value] : living) {
        int64_t at = value.expires_at_ms;
        if (at && (!first || at < first)) first = at;
      }
      REQUIRE(Find()->timer_ms == (first ? first + 1 : 0));
    }
  }
};

class ModelRun {
 public:
  ModelRun(uint64_t seed, size_t fields, size_t longest)
      : random_(seed), fields_(fields), longest_(longest) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (random_.OneIn(10)) f_.keys.EndTurn();
      if (random_.OneIn(30)) f_.Check(model_);
      if (random_.OneIn(50)) f_.Reload();
      if (random_.OneIn(20)) f_.now_ms += random_.Below(30);
      if (model_.empty()) f_.keys.Remove(f_.Find());
      REQUIRE(f_.env->failure().ok());
    }
    f_.Check(model_);
    f_.now_ms += 1000;
    f_.Open().Expire(UINT64_MAX);
    CHECK(f_.Rows(Table::kHashTimer) == 0);
    f_.keys.Remove(f_.Find());
    f_.Reclaim();
    CHECK(f_.Rows(Table::kHash) == 0);
  }

 private:
  std::string Name() {
    uint64_t number = random_.Below(fields_);
    std::string name = std::to_string(number);
    // Long names begin alike; some are just as long as a row key can hold.
    if (number % 7 == 0) name = std::string(455 + number % 10, 'n') + name;
    return name;
  }
  int64_t Moment() { return random_.OneIn(3) ? f_.now_ms + random_.Below(100) : 0; }
  Value* Living(const std::string& name) {
    auto it = model_.find(name);
    if (it == model_.end()) return nullptr;
    bool over = it->second.expires_at_ms && it->second.expires_at_ms < f_.now_ms;
    return over ? nullptr : &it->second;
  }

  void Step() {
    std::string name = Name();
    Hash hash = f_.Open();
    Value* old = Living(name);
    switch (random_.Below(8)) {
      case 0:
      case 1:
      case 2: {
        Value value{random_.Bytes(random_.Below(longest_)), Moment()};
        REQUIRE(hash.Set(name, value.value, value.expires_at_ms) == !old);
        model_[name] = value;
        break;
      }
      case 3:
        REQUIRE(hash.Delete(name) == (old != nullptr));
        model_.erase(name);
        break;
      case 4:
        if (!old) break;
        old->expires_at_ms = Moment();
        hash.SetExpiry(name, old->expires_at_ms);
        break;
      case 5: {
        if (!random_.OneIn(4)) break;
        hash.Expire(UINT64_MAX);
        std::erase_if(model_, [&](const auto& field) { return !Living(field.first); });
        break;
      }
      default: {
        auto field = hash.Find(name);
        REQUIRE(field.has_value() == (old != nullptr));
        if (old) REQUIRE(field->value == old->value);
        if (old) REQUIRE(field->expires_at_ms == old->expires_at_ms);
      }
    }
  }

  Fixture f_;
  Random random_;
  size_t fields_, longest_;
  Model model_;
};

}  // namespace

TEST_CASE("hash: follows a model while it is small") {
  for (uint64_t seed = 1; seed <= 10; ++seed) ModelRun(seed, 6, 60).Run(1500);
}

TEST_CASE("hash: follows a model while it grows out of its header") {
  for (uint64_t seed = 1; seed <= 10; ++seed) ModelRun(seed, 40, 80).Run(1500);
}

TEST_CASE("hash: follows a model of long values") {
  for (uint64_t seed = 1; seed <= 5; ++seed) ModelRun(seed, 100, 9000).Run(1500);
}

TEST_CASE("hash: a small one has no rows and keeps the order of its fields") {
  Fixture f;
  Hash hash = f.Open();
  for (const char* name : {"z", "a", "m"}) CHECK(hash.Set(name, name));
  CHECK_FALSE(hash.Set("a", "other"));
  CHECK(hash.packed());
  CHECK(f.Names() == std::vector<std::string>{"z", "a", "m"});
  hash.SetExpiry("a", 5000);
  CHECK(f.Names() == std::vector<std::string>{"z", "a", "m"});
  f.Reload();
  CHECK(f.Names() == std::vector<std::string>{"z", "a", "m"});
  f.keys.EndTurn();
  CHECK(f.Rows(Table::kHash) == 0);
  f.keys.Remove(f.Find());
  CHECK_FALSE(f.keys.has_garbage());
}

TEST_CASE("hash: what it is called follows Redis's limits, one way") {
  using Encoding = Hash::Encoding;
  Fixture f;
  f.Fill(512);
  CHECK(f.Open().encoding() == Encoding::kListpack);
  CHECK_FALSE(f.Open().packed());
  f.Open().Set("one more", "");
  CHECK(f.Open().encoding() == Encoding::kHashtable);
  f.Open().Delete("one more");
  CHECK(f.Open().encoding() == Encoding::kHashtable);

  f.Fill(1, 65, "long");
  CHECK(f.Open("long").encoding() == Encoding::kHashtable);
  CHECK(f.Open("long").packed());

  f.Fill(1, 64, "times");
  f.Open("times").SetExpiry("0", 5000);
  CHECK(f.Open("times").encoding() == Encoding::kListpackWithTimes);
  f.Open("times").SetExpiry("0", 0);
  CHECK(f.Open("times").encoding() == Encoding::kListpackWithTimes);
}

TEST_CASE("hash: a field lives through the millisecond of its moment") {
  for (int fields : {3, 3000}) {
    Fixture f;
    f.Fill(fields);
    f.Open().SetExpiry("1", 2000);
    CHECK(f.Find()->timer_ms == 2001);
    f.now_ms = 2000;
    CHECK(f.Open().Find("1"));
    CHECK_FALSE(f.Open().overdue());
    CHECK(f.Open().Expire(10) == 0);
    f.now_ms = 2001;
    CHECK(f.Open().overdue());
    CHECK_FALSE(f.Open().Find("1"));
    CHECK(f.Open().size() == static_cast<uint64_t>(fields - 1));
    CHECK_FALSE(f.Open().Delete("none"));
    CHECK(f.Open().Expire(10) == 1);
    CHECK(f.Find()->timer_ms == 0);
  }
}

TEST_CASE("hash: fields that are over can be set, found missing and deleted") {
  for (int fields : {3, 3000}) {
    Fixture f;
    f.Fill(fields);
    for (const char* name : {"0", "1", "2"}) f.Open().SetExpiry(name, 2000);
    f.now_ms = 3000;
    CHECK(f.Open().Set("0", "new"));
    CHECK_FALSE(f.Open().Delete("1"));
    CHECK(f.Open().size() == static_cast<uint64_t>(fields - 2));
    f.now_ms = 1000;
    CHECK(f.Open().Find("0"));
    CHECK_FALSE(f.Open().Find("1"));
    CHECK(f.Open().Find("2"));
  }
}

TEST_CASE("hash: many fields of one moment go a slice at a time, and none is seen meanwhile") {
  Fixture f;
  f.Fill(1000);
  Hash hash = f.Open();
  for (int i = 0; i < 900; ++i) hash.SetExpiry(std::to_string(i), 2000);
  f.now_ms = 5000;
  for (int left = 900; left > 0; left -= 300) {
    CHECK(f.Open().overdue());
    CHECK(f.Open().size() == 100);
    CHECK(f.Names().size() == 100);
    CHECK(f.Rows(Table::kHashTimer) == static_cast<size_t>(left));
    CHECK(f.Open().Expire(300) == 300);
  }
  CHECK_FALSE(f.Open().overdue());
  CHECK(f.Rows(Table::kHash) == 100);
}

TEST_CASE("hash: a copy keeps fields, long names and moments of its own") {
  for (int fields : {2, 2000}) {
    Fixture f;
    std::string name(3000, 'n');
    f.Fill(fields);
    f.Open().Set(name, "long", 7000);
    f.keys.Copy(f.Find(), 0, "copy");
    f.keys.Remove(f.Find());
    f.Reclaim();
    Hash copy = f.Open("copy");
    CHECK(copy.size() == static_cast<uint64_t>(fields + 1));
    CHECK(copy.Find(name)->expires_at_ms == 7000);
    CHECK(f.Find("copy")->timer_ms == 7001);
    CHECK_FALSE(copy.Set(name, "changed"));
    CHECK(copy.Set(name + "x", "other"));
    CHECK(copy.Find(name)->value == "changed");
    CHECK(copy.Find(name + "x")->value == "other");
    CHECK(f.Find("copy")->timer_ms == 0);
  }
}

TEST_CASE("hash: a scan under change meets every field that stays") {
  Fixture f;
  f.Fill(2000);
  std::set<std::string> seen;
  uint64_t cursor = 0, calls = 0;
  do {
    cursor = f.Open().Scan(cursor, 10, [&](const Hash::Field& field) {
      CHECK(seen.emplace(field.name).second);
      return true;
    });
    ++calls;
    Hash hash = f.Open();
    hash.Set("new " + std::to_string(calls), "x");
    hash.Delete(std::to_string(1000 + calls));
    if (calls % 50 == 0) f.Reload();
  } while (cursor);
  for (int i = 0; i < 1000; ++i) CHECK(seen.contains(std::to_string(i)));
  CHECK(calls >= 190);
}

TEST_CASE("hash: a random field is any field") {
  for (int fields : {4, 100, 1000}) {
    Fixture f;
    f.Fill(fields);
    Random random(7);
    std::map<std::string, int> drawn;
    for (int i = 0; i < fields * 50; ++i) {
      f.Open().Random([&] { return random.Below(UINT64_MAX); },
                      [&](const Hash::Field& field) { return ++drawn[std::string(field.name)]; });
    }
    CHECK(drawn.size() == static_cast<size_t>(fields));
    for (const auto& [name, times] : drawn) CHECK(times < 200);
  }
}

TEST_CASE("hash: the only field left alive is found among many that are over") {
  Fixture f;
  f.Fill(1000);
  for (int i = 1; i < 1000; ++i) f.Open().SetExpiry(std::to_string(i), 2000);
  f.now_ms = 3000;
  Random random(3);
  std::string found;
  f.Open().Random([&] { return random.Below(UINT64_MAX); },
                  [&](const Hash::Field& field) { return found = field.name, false; });
  CHECK(found == "0");
}
