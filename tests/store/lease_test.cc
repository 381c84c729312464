// Leases, what a list remembers of returned elements, and keys that live on unseen.
#include "store/lease.h"

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

using End = List::End;

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path());
  std::unique_ptr<Keyspace> keys = std::make_unique<Keyspace>(env.get(), 16);

  Fixture() { REQUIRE(keys->Load().ok()); }
  Key* Find(std::string_view name = "q") {
    Key* key = keys->Find(0, name);
    return key ? key : keys->FindHidden(0, name);
  }
  List Open(std::string_view name = "q") {
    Key* key = Find(name);
    if (!key) key = &keys->Create(0, name, Type::kList);
    return List(env.get(), keys.get(), key);
  }
  void Push(const std::vector<std::string>& elements) {
    List list = Open();
    for (const std::string& element : elements) list.Push(End::kRight, element);
  }
  Lease Take(End end, int64_t until_ms, std::string_view consumer = "") {
    List list = Open();
    Lease lease = Leases(&list).Take(end, consumer, 100, until_ms);
    if (list.size() == 0) keys->Hide(list.key());
    return lease;
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
    keys->EndTurn();
  }
  size_t Rows() {
    size_t rows = 0;
    for (Table table : {Table::kKeys, Table::kList, Table::kReturned, Table::kLease,
                        Table::kLeaseDue, Table::kLeaseOwner, Table::kTimer, Table::kGarbage}) {
      rows += AllRows(env.get(), table).size();
    }
    return rows;
  }
  std::string Elements(std::string_view name = "q") {
    std::string all;
    List list = Open(name);
    if (list.size() == 0) return all;
    list.Walk(0, true, [&](uint64_t, std::string_view element) {
      all += (all.empty() ? "" : " ") + std::string(element);
      return true;
    });
    return all;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "leases fall due by moment, and of one moment the last first") {
  Push({"a", "b", "c", "d"});
  Take(End::kLeft, 500);
  Take(End::kLeft, 300);
  Take(End::kLeft, 300);
  Reopen();
  CHECK(Find()->timer_ms == 300);
  for (const char* element : {"c", "b", "a"}) {
    List list = Open();
    Leases leases(&list);
    Lease lease = *leases.FirstDue();
    CHECK(lease.element == element);
    leases.Return(lease, lease.deliveries);
  }
  CHECK(Elements() == "a b c d");
  List list = Open();
  CHECK_FALSE(Leases(&list).FirstDue());
}

TEST_CASE_FIXTURE(Fixture, "a returned element's deliveries go with it, and with nothing else") {
  Push({"a", "b", "c"});
  Lease lease = Take(End::kLeft, 500);
  {
    List list = Open();
    Leases leases(&list);
    leases.Return(*leases.Find(leases.IdOf(lease)), 3);
  }
  Reopen();
  List list = Open();
  // Rows make room: the element stands at another index.
  for (int i = 0; i < 40; ++i) REQUIRE(list.Insert(false, "a", "z"));
  list.Push(End::kLeft, "first");
  uint64_t deliveries = 99;
  CHECK(list.Pop(End::kLeft, &deliveries) == "first");
  CHECK(deliveries == 0);
  CHECK(list.Pop(End::kLeft, &deliveries) == "a");
  CHECK(deliveries == 3);
  CHECK(list.extra().returned == 0);
  CHECK(AllRows(env.get(), Table::kReturned).empty());
}

TEST_CASE_FIXTURE(Fixture, "what is replaced or removed is remembered no more") {
  List list = Open();
  for (int i = 0; i < 6; ++i) list.Return(End::kRight, std::to_string(i), 7);
  list.Set(0, "new");
  list.Remove(End::kLeft, "1", 0);
  list.Trim(1, 3);  // of new 2 3 4 5
  CHECK(list.extra().returned == 3);
  CHECK(AllRows(env.get(), Table::kReturned).size() == 3);
  list.Clear();
  ReclaimAll();
  CHECK(AllRows(env.get(), Table::kReturned).empty());
}

TEST_CASE_FIXTURE(Fixture, "a list trimmed to nearly nothing keeps leases, timer and memories") {
  List list = Open();
  list.Push(End::kRight, "leased");
  for (int i = 0; i < 5000; ++i) list.Push(End::kRight, std::to_string(i));
  Leases leases(&list);
  leases.Take(End::kLeft, "w", 100, 500);
  list.Return(End::kRight, "returned", 4);
  list.Trim(list.size() - 2, list.size() - 1);
  CHECK(Find()->timer_ms == 500);
  ReclaimAll();
  Reopen();
  CHECK(Elements() == "4999 returned");
  List again = Open();
  CHECK(Leases(&again).FirstDue()->element == "leased");
  uint64_t deliveries;
  again.Pop(End::kRight, &deliveries);
  CHECK(deliveries == 4);
}

TEST_CASE_FIXTURE(Fixture, "hidden keys are none, and come back with what they kept") {
  Push({"a"});
  keys->SetExpiry(Find(), 1000);
  Take(End::kLeft, 500);
  Reopen();
  CHECK(keys->Find(0, "q") == nullptr);
  CHECK(keys->FindHidden(0, "q") != nullptr);
  CHECK(keys->Size(0) == 0);
  CHECK(keys->Expires(0) == 0);
  CHECK_FALSE(keys->SomeKey(0, 0).has_value());
  int seen = 0;
  CHECK(keys->Scan(0, 0, 10, [&](const Keyspace::Row&) { ++seen; }) == 0);
  CHECK(seen == 0);
  CHECK(keys->NextDue(Keyspace::Moment::kTimer, 501)->name == "q");
  Push({"b"});
  Reopen();
  CHECK(keys->Size(0) == 1);
  CHECK(keys->Find(0, "q")->expires_at_ms == 0);
  List list = Open();
  CHECK(list.extra().held == 1);
}

TEST_CASE_FIXTURE(Fixture, "some key is found behind many that are hidden") {
  for (int i = 0; i < 300; ++i) keys->Hide(&keys->Create(0, "h" + std::to_string(i), Type::kList));
  keys->Create(0, "seen", Type::kList);
  keys->EndTurn();
  for (uint64_t random : {uint64_t{0}, UINT64_MAX / 3, UINT64_MAX / 2, UINT64_MAX}) {
    CHECK(keys->SomeKey(0, random) == "seen");
  }
}

TEST_CASE_FIXTURE(Fixture, "whatever ends a key leaves nothing of its leases") {
  auto fill = [&](Type replaced_by) {
    Push({"a", "b"});
    List list = Open();
    RetryPolicy policy;
    policy.dead_letter = "dead";
    Leases(&list).SavePolicy(policy);
    Take(End::kLeft, 500, std::string(600, 'w'));
    Take(End::kLeft, 500, "w");
    REQUIRE(Find()->hidden);
    if (replaced_by != Type::kList) keys->Create(0, "q", replaced_by);
  };
  SUBCASE("removed") {
    fill(Type::kList);
    keys->Remove(Find());
  }
  SUBCASE("of another type now") {
    fill(Type::kSet);
    keys->Remove(keys->Find(0, "q"));
  }
  SUBCASE("renamed over") {
    fill(Type::kList);
    Key& other = keys->Create(0, "other", Type::kList);
    List(env.get(), keys.get(), &other).Push(End::kLeft, "x");
    keys->Remove(&keys->Rename(&other, 0, "q"));
  }
  SUBCASE("flushed") {
    fill(Type::kList);
    keys->Clear(0);
  }
  ReclaimAll();
  CHECK(Rows() == 0);
  CHECK(keys->Size(0) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a copy has the settings and the memories, not the leases") {
  Push({"a", "b"});
  {
    List list = Open();
    list.extra().max_length = 9;
    RetryPolicy policy;
    policy.backoff_ms = {5, 10};
    policy.dead_letter = "dead";
    Leases(&list).SavePolicy(policy);
    list.Return(End::kRight, "c", 2);
  }
  Take(End::kLeft, 500, "w");
  keys->Copy(keys->Find(0, "q"), 0, "copy");
  Reopen();
  List copy = Open("copy");
  CHECK(Elements("copy") == "b c");
  CHECK(copy.extra().max_length == 9);
  CHECK(copy.extra().all_leases() == 0);
  CHECK(Leases(&copy).ReadPolicy().backoff_ms == std::vector<int64_t>{5, 10});
  CHECK(Leases(&copy).ReadPolicy().dead_letter == "dead");
  CHECK(copy.key()->timer_ms == 0);
  uint64_t deliveries;
  copy.Pop(End::kRight, &deliveries);
  CHECK(deliveries == 2);
  keys->Remove(copy.key());
  List list = Open();
  CHECK(Leases(&list).ReadPolicy().dead_letter == "dead");
  CHECK(list.extra().held == 1);
}

TEST_CASE_FIXTURE(Fixture, "ids of a list that is gone name nothing in its successor") {
  Push({"a"});
  Lease lease = Take(End::kLeft, 500);
  LeaseId old;
  {
    List list = Open();
    old = Leases(&list).IdOf(lease);
  }
  keys->Remove(Find());
  Push({"b"});
  Take(End::kLeft, 500);
  List list = Open();
  CHECK_FALSE(Leases(&list).Find(old));
}

TEST_CASE_FIXTURE(Fixture, "consumers are counted while they have anything") {
  Push({"a", "b", "c"});
  std::string long_name(700, 'n');
  Lease first = Take(End::kLeft, 500, "w");
  Take(End::kLeft, 500, "w");
  Take(End::kLeft, 500, long_name);
  auto counts = [&] {
    std::map<std::string, uint64_t> all;
    List list = Open();
    Leases(&list).WalkConsumers(
        [&](std::string_view name, uint64_t n) { all[std::string(name)] = n; });
    return all;
  };
  CHECK(counts() == std::map<std::string, uint64_t>{{"w", 2}, {long_name, 1}});
  List list = Open();
  Leases leases(&list);
  leases.Remove(*leases.Find(leases.IdOf(first)));
  leases.Remove(*leases.Find({leases.IdOf(first).list, leases.LastNumber()}));
  CHECK(counts() == std::map<std::string, uint64_t>{{"w", 1}});
}

TEST_CASE("a database's row of an older version has no hidden keys") {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  std::string value;
  PutFixed(&value, uint32_t{0});
  PutFixed(&value, uint64_t{5});
  PutFixed(&value, uint64_t{2});
  env->Put(Table::kMeta, RowKey().Bytes("db").U32(0), value);
  Keyspace keys(env.get(), 16);
  REQUIRE(keys.Load().ok());
  CHECK(keys.Size(0) == 5);
  CHECK(keys.Expires(0) == 2);
}

TEST_CASE("a token bucket") {
  TokenBucket bucket;
  CHECK(bucket.At(0) == UINT64_MAX);
  bucket.Set(2, 1000, 3, 10'000);
  CHECK(bucket.At(10'000) == 3);
  bucket.Take(10'000, 3);
  CHECK(bucket.At(10'499) == 0);
  CHECK(bucket.NextAt(10'100) == 10'500);
  CHECK(bucket.At(10'500) == 1);
  CHECK(bucket.At(1'000'000) == 3);
  bucket.Take(1'000'000, 1);
  bucket.GiveBack(5);
  CHECK(bucket.At(1'000'000) == 3);
  bucket.Set(0, 0, 0, 0);
  CHECK(bucket == TokenBucket());
}
