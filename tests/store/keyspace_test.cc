#include "store/keyspace.h"

#include <algorithm>
#include <set>

#include "store/codec.h"
#include "store/list.h"
#include "store/string.h"
#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path());
  std::unique_ptr<Keyspace> keys = std::make_unique<Keyspace>(env.get(), 16);

  Fixture() { REQUIRE(keys->Load().ok()); }
  Key& Set(int db, std::string_view name, std::string_view value) {
    Key* key = keys->Find(db, name);
    if (!key) key = &keys->Create(db, name, Type::kString);
    String(env.get(), keys.get(), key).Assign(value);
    return *key;
  }
  std::string Get(int db, std::string_view name) {
    Key* key = keys->Find(db, name);
    return key ? std::string(String(env.get(), keys.get(), key).value()) : "(none)";
  }
  void Reopen() {
    keys->EndTurn();
    REQUIRE(env->Commit(env->lsn() + 1, 1).ok());
    REQUIRE(env->SyncCheckpoint().ok());
    keys.reset();
    env.reset();
    env = OpenEnv(dir.path());
    keys = std::make_unique<Keyspace>(env.get(), 16);
    REQUIRE(keys->Load().ok());
  }
  void ReclaimAll() {
    keys->EndTurn();
    while (keys->ReclaimSlice(7)) {
    }
  }
  std::multiset<std::string> ScanAll(int db, uint64_t count = 10) {
    std::multiset<std::string> names;
    uint64_t cursor = 0;
    do {
      cursor =
          keys->Scan(db, cursor, count, [&](const Keyspace::Row& row) { names.emplace(row.name); });
      CHECK(cursor < Keyspace::kCursorEnd);
    } while (cursor);
    return names;
  }
  // Rows that no key accounts for.
  size_t Rows() {
    return AllRows(env.get(), Table::kChunk).size() + AllRows(env.get(), Table::kList).size() +
           AllRows(env.get(), Table::kExpiry).size() + AllRows(env.get(), Table::kGarbage).size() +
           AllRows(env.get(), Table::kKeys).size();
  }
};

struct ModelKey {
  std::string value;
  int64_t expires_at_ms = 0;
};
using Model = std::map<std::pair<int, std::string>, ModelKey>;

// Names of all sorts; the long ones begin alike.
std::string NameOf(uint64_t n) {
  switch (n % 5) {
    case 0:
      return "key:" + std::to_string(n);
    case 1:
      return std::string(455 + n % 10, 'x');
    case 2:
      return std::string(460 + n % 3, 'y') + std::to_string(n);
    case 3:
      return std::string(n % 2 ? 5'000 : 100'000, 'z') + std::to_string(n);
    default:
      return std::string("\0\xff", n % 3) + std::to_string(n % 7);
  }
}

std::string ValueOf(Random* random) {
  return random->Bytes(random->OneIn(8) ? 2'000 + random->Below(9'000) : random->Below(50));
}

class ModelRun {
 public:
  explicit ModelRun(uint64_t seed) : random_(seed) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (random_.OneIn(5)) f_.keys->EndTurn();
      if (random_.OneIn(50)) Check();
      if (random_.OneIn(200)) f_.Reopen();
      if (random_.OneIn(20)) f_.keys->ReclaimSlice(random_.Below(10));
      REQUIRE(f_.env->failure().ok());
    }
    Check();
    for (int db = 0; db < kDbs; ++db) f_.keys->Clear(db);
    f_.ReclaimAll();
    CHECK(f_.Rows() == 0);
  }

 private:
  static constexpr int kDbs = 3;

  void Step() {
    int db = static_cast<int>(random_.Below(kDbs));
    std::string name = NameOf(random_.Below(60));
    Key* key = f_.keys->Find(db, name);
    auto it = model_.find({db, name});
    REQUIRE((key != nullptr) == (it != model_.end()));
    switch (random_.Below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        std::string value = ValueOf(&random_);
        f_.Set(db, name, value);
        model_[{db, name}].value = value;
        break;
      }
      case 4:
      case 5:
        if (!key) break;
        f_.keys->Remove(key);
        model_.erase(it);
        break;
      case 6:
      case 7:
        if (!key) break;
        it->second.expires_at_ms = static_cast<int64_t>(random_.Below(4) * 1000);
        f_.keys->SetExpiry(key, it->second.expires_at_ms);
        break;
      case 8:
      case 9: {
        int to_db = static_cast<int>(random_.Below(kDbs));
        std::string to = NameOf(random_.Below(60));
        if (!key || f_.keys->Find(to_db, to)) break;
        bool copy = random_.OneIn(2);
        model_[{to_db, to}] = it->second;
        if (copy) {
          f_.keys->Copy(key, to_db, to);
        } else {
          f_.keys->Rename(key, to_db, to);
          model_.erase({db, name});
        }
        break;
      }
      case 10:
        if (random_.OneIn(30)) Clear(db);
        break;
      default:
        if (random_.OneIn(10)) Swap(db, static_cast<int>(random_.Below(kDbs)));
    }
  }

  void Clear(int db) {
    f_.keys->Clear(db);
    std::erase_if(model_, [&](const auto& entry) { return entry.first.first == db; });
  }

  void Swap(int a, int b) {
    f_.keys->Swap(a, b);
    Model swapped;
    for (auto& [at, key] : model_) {
      int db = at.first == a ? b : at.first == b ? a : at.first;
      swapped[{db, at.second}] = key;
    }
    model_ = std::move(swapped);
  }

  void Check() {
    std::optional<int64_t> next;
    for (int db = 0; db < kDbs; ++db) {
      std::multiset<std::string> names;
      uint64_t expires = 0;
      for (const auto& [at, key] : model_) {
        if (at.first != db) continue;
        names.insert(at.second);
        REQUIRE(f_.Get(db, at.second) == key.value);
        REQUIRE(f_.keys->Find(db, at.second)->expires_at_ms == key.expires_at_ms);
        if (!key.expires_at_ms) continue;
        ++expires;
        next = next ? std::min(*next, key.expires_at_ms) : key.expires_at_ms;
      }
      CHECK(f_.keys->Size(db) == names.size());
      CHECK(f_.keys->Expires(db) == expires);
      REQUIRE(f_.ScanAll(db, 1 + random_.Below(8)) == names);
      auto some = f_.keys->SomeKey(db, random_.Below(UINT64_MAX));
      REQUIRE(some.has_value() == !names.empty());
      if (some) CHECK(names.count(*some) == 1);
    }
    // NextDue steps over what belongs to flushed databases, NextMoment need not.
    auto due = f_.keys->NextDue(Keyspace::Moment::kExpiry, 1 << 30);
    REQUIRE(due.has_value() == next.has_value());
    if (due) CHECK(model_.at({due->db, due->name}).expires_at_ms == *next);
  }

  Fixture f_;
  Random random_;
  Model model_;
};

}  // namespace

TEST_CASE("keyspace: follows a model") {
  for (uint64_t seed = 1; seed <= 6; ++seed) ModelRun(seed).Run(1500);
}

TEST_CASE_FIXTURE(Fixture, "keyspace: a key is one row a turn, however often it changes") {
  keys->EndTurn();
  for (int i = 0; i < 100; ++i) Set(0, "counter", std::to_string(i));
  keys->EndTurn();
  env->ClearBatch();
  for (int i = 0; i < 100; ++i) Set(0, "counter", std::to_string(i));
  keys->EndTurn();
  CHECK(env->batch().size() < 60);
  CHECK(Get(0, "counter") == "99");
}

TEST_CASE_FIXTURE(Fixture, "keyspace: a key that comes and goes within a turn leaves nothing") {
  for (int i = 0; i < 3; ++i) {
    keys->SetExpiry(&Set(0, "k", "v"), 5000);
    keys->Remove(keys->Find(0, "k"));
  }
  keys->EndTurn();
  CHECK(Rows() == 0);
  CHECK(keys->Size(0) == 0);
  CHECK(keys->Expires(0) == 0);
  CHECK_FALSE(keys->NextMoment(Keyspace::Moment::kExpiry));
}

TEST_CASE_FIXTURE(Fixture, "keyspace: names of any length") {
  std::vector<std::string> names;
  for (size_t size : {0, 1, 459, 460, 461, 468, 511, 512, 5'000, 100'000}) {
    names.push_back(std::string(size, 'n'));
    names.push_back(std::string(size, 'n') + "a");
    names.push_back(std::string(size, 'n') + std::string("\0", 1));
  }
  std::multiset<std::string> all(names.begin(), names.end());
  all = std::multiset<std::string>();
  for (const std::string& name : names) {
    if (!keys->Find(0, name)) all.insert(name);
    Set(0, name, "value of " + std::to_string(name.size()));
  }
  Reopen();
  for (const std::string& name : names) {
    CHECK(Get(0, name) == "value of " + std::to_string(name.size()));
    CHECK(Get(1, name) == "(none)");
  }
  CHECK(ScanAll(0) == all);
  for (const std::string& name : all) keys->Remove(keys->Find(0, name));
  ReclaimAll();
  CHECK(Rows() == 0);
}

TEST_CASE_FIXTURE(Fixture, "keyspace: a long name can be renamed, dropped and made again") {
  std::string a(2'000, 'a'), b = std::string(2'000, 'a') + "b";
  Set(0, a, "1");
  keys->Rename(keys->Find(0, a), 0, b);
  Set(0, a, "2");
  keys->EndTurn();
  CHECK(Get(0, a) == "2");
  CHECK(Get(0, b) == "1");
  keys->Remove(keys->Find(0, a));
  Set(0, a, "3");
  Reopen();
  CHECK(Get(0, a) == "3");
  CHECK(Get(0, b) == "1");
  CHECK(keys->Size(0) == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "keyspace: what stays is scanned exactly once, whatever comes and goes") {
  Random random(42);
  std::set<std::string> stays;
  for (int i = 0; i < 500; ++i) {
    stays.insert("stays:" + std::to_string(i));
    Set(0, "stays:" + std::to_string(i), "v");
    Set(0, "goes:" + std::to_string(i), "v");
  }
  std::multiset<std::string> seen;
  uint64_t cursor = 0;
  do {
    cursor = keys->Scan(0, cursor, 1 + random.Below(20), [&](const Keyspace::Row& row) {
      if (row.name.starts_with("stays")) seen.emplace(row.name);
    });
    for (int i = 0; i < 20; ++i) {
      if (Key* key = keys->Find(0, "goes:" + std::to_string(random.Below(500)))) keys->Remove(key);
      Set(0, "comes:" + std::to_string(random.Below(10'000)), "v");
      keys->Find(0, "stays:" + std::to_string(random.Below(500)))->header += "x";
    }
    if (random.OneIn(4)) Reopen();
  } while (cursor);
  CHECK(seen == std::multiset<std::string>(stays.begin(), stays.end()));
}

TEST_CASE_FIXTURE(Fixture, "keyspace: a scan takes about as many keys as asked") {
  for (int i = 0; i < 100; ++i) Set(0, std::to_string(i), "v");
  for (uint64_t count : {1, 10, 99, 1000}) {
    uint64_t visited = 0;
    keys->Scan(0, 0, count, [&](const Keyspace::Row&) { ++visited; });
    CHECK(visited == std::min<uint64_t>(count, 100));
  }
}

TEST_CASE_FIXTURE(Fixture, "keyspace: expiry in order, moved with the key") {
  keys->SetExpiry(&Set(0, "late", "v"), 3000);
  keys->SetExpiry(&Set(5, "soon", "v"), 1000);
  keys->SetExpiry(&Set(0, "middle", "v"), 2000);
  CHECK(keys->NextMoment(Keyspace::Moment::kExpiry) == 1000);
  CHECK_FALSE(keys->NextDue(Keyspace::Moment::kExpiry,
                            1000));  // a key lives through the millisecond it names
  auto due = keys->NextDue(Keyspace::Moment::kExpiry, 1001);
  REQUIRE(due);
  CHECK(due->db == 5);
  CHECK(due->name == "soon");
  keys->Rename(keys->Find(5, "soon"), 1, "renamed");
  due = keys->NextDue(Keyspace::Moment::kExpiry, 1001);
  REQUIRE(due);
  CHECK(due->db == 1);
  CHECK(due->name == "renamed");
  keys->Swap(1, 2);
  CHECK(keys->NextDue(Keyspace::Moment::kExpiry, 1001)->db == 2);
  keys->SetExpiry(keys->Find(2, "renamed"), 0);
  CHECK(keys->NextMoment(Keyspace::Moment::kExpiry) == 2000);
  keys->Clear(0);
  Reopen();
  CHECK_FALSE(keys->NextDue(Keyspace::Moment::kExpiry, 5000));
  ReclaimAll();
  CHECK_FALSE(keys->NextMoment(Keyspace::Moment::kExpiry));
  CHECK(keys->Size(2) == 1);
}

TEST_CASE_FIXTURE(Fixture, "keyspace: a timer goes where its key goes") {
  constexpr auto kTimer = Keyspace::Moment::kTimer;
  keys->SetTimer(&Set(0, "a", "v"), 2000);
  keys->SetTimer(&Set(3, "b", "v"), 1000);
  keys->SetExpiry(keys->Find(3, "b"), 9000);
  CHECK(keys->NextMoment(kTimer) == 1000);
  CHECK_FALSE(keys->NextDue(kTimer, 1000));
  CHECK(keys->NextDue(kTimer, 1001)->name == "b");
  Reopen();
  CHECK(keys->Find(3, "b")->timer_ms == 1000);
  CHECK(keys->Find(3, "b")->expires_at_ms == 9000);
  keys->Rename(keys->Find(3, "b"), 1, "renamed");
  keys->Copy(keys->Find(0, "a"), 2, "copy");
  CHECK(keys->NextDue(kTimer, 1001)->db == 1);
  keys->SetTimer(keys->Find(1, "renamed"), 0);
  CHECK(keys->NextMoment(kTimer) == 2000);
  keys->Remove(keys->Find(0, "a"));
  CHECK(keys->NextDue(kTimer, 5000)->name == "copy");
  keys->Abandon(keys->Find(2, "copy"));
  CHECK_FALSE(keys->NextMoment(kTimer));
  keys->SetTimer(keys->Find(2, "copy"), 3000);
  keys->Clear(2);
  CHECK_FALSE(keys->NextDue(kTimer, 5000));
  ReclaimAll();
  CHECK_FALSE(keys->NextMoment(kTimer));
}

TEST_CASE_FIXTURE(Fixture, "keyspace: clearing is quick, and reclaiming goes by slices") {
  for (int i = 0; i < 300; ++i) {
    Key& key = keys->Create(0, "list:" + std::to_string(i), Type::kList);
    List list(env.get(), keys.get(), &key);
    for (int n = 0; n < 10; ++n) list.Push(List::End::kRight, "element");
  }
  keys->EndTurn();
  env->ClearBatch();
  keys->Clear(0);
  keys->EndTurn();
  CHECK(env->batch().size() < 200);
  CHECK(keys->Size(0) == 0);
  CHECK_FALSE(keys->Find(0, "list:0"));
  Set(0, "list:0", "new");

  Reopen();  // garbage is remembered
  CHECK(keys->has_garbage());
  size_t before = Rows();
  CHECK(keys->ReclaimSlice(100));
  CHECK(before - Rows() < 150);
  ReclaimAll();
  CHECK_FALSE(keys->has_garbage());
  CHECK(Get(0, "list:0") == "new");
  CHECK(Rows() == 1);
}

TEST_CASE_FIXTURE(Fixture, "keyspace: fewer databases lose nothing") {
  Set(9, "k", "v");
  CHECK(keys->Find(9, "k")->space == 9);
  keys->SetExpiry(&Set(9, "e", "v"), 1000);
  keys->EndTurn();
  {
    Keyspace few(env.get(), 4);
    REQUIRE(few.Load().ok());
    CHECK(few.databases() == 4);
    auto due = few.NextDue(Keyspace::Moment::kExpiry,
                           5000);  // and what is out of sight expires all the same
    REQUIRE(due);
    CHECK(due->db == 9);
    few.EndTurn();
  }
  REQUIRE(keys->Load().ok());
  CHECK(Get(9, "k") == "v");
  auto due = keys->NextDue(Keyspace::Moment::kExpiry, 5000);
  REQUIRE(due);
  CHECK(due->name == "e");
}

TEST_CASE_FIXTURE(Fixture, "keyspace: rollback and load forget what was not committed") {
  Set(0, "kept", "1");
  keys->EndTurn();
  REQUIRE(env->Commit(1, 1).ok());
  Set(0, "kept", "2");
  Set(0, "lost", "3");
  keys->EndTurn();
  REQUIRE(env->Rollback().ok());
  REQUIRE(keys->Load().ok());
  CHECK(Get(0, "kept") == "1");
  CHECK(Get(0, "lost") == "(none)");
  CHECK(keys->Size(0) == 1);
}

TEST_CASE_FIXTURE(Fixture, "keyspace: a row that makes no sense is a failure, not a crash") {
  Set(0, "k", "v");
  keys->EndTurn();
  std::string row_key = AllRows(env.get(), Table::kKeys).begin()->first;
  env->Put(Table::kKeys, row_key, "x");
  REQUIRE(keys->Load().ok());
  CHECK_FALSE(keys->Find(0, "k"));
  CHECK(env->failure().code() == Code::kCorrupt);
}
