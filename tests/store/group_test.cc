#include "store/group.h"

#include <map>

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  Keyspace keys{env.get(), 16};
  std::optional<Stream> stream;

  Fixture() {
    REQUIRE(keys.Load().ok());
    stream.emplace(env.get(), &keys, &keys.Create(0, "s", Type::kStream));
  }
  void Fill(uint64_t from, uint64_t to) {
    std::vector<std::string_view> pairs = {"f", "v"};
    for (uint64_t ms = from; ms <= to; ++ms) stream->Append({ms, 0}, pairs, {});
  }
  ConsumerGroup Make(const std::string& name) {
    ConsumerGroup::Create(&*stream, name, {}, Stream::kUnknown);
    return Find(name);
  }
  ConsumerGroup Find(const std::string& name) { return *ConsumerGroup::Find(&*stream, name); }
  // Delivers from-0 to to-0 to a consumer, at millisecond 100.
  void Deliver(ConsumerGroup* group, const std::string& consumer, uint64_t from, uint64_t to) {
    std::optional<Consumer> c = group->FindConsumer(consumer);
    if (!c) c = group->CreateConsumer(consumer, 100);
    for (uint64_t ms = from; ms <= to; ++ms) {
      group->Advance({ms, 0});
      group->Deliver({ms, 0}, &*c, 100);
    }
    group->Save();
    group->SaveConsumer(*c);
  }
  std::vector<uint64_t> Held(const ConsumerGroup& group, const std::string& consumer) {
    std::vector<uint64_t> ids;
    uint32_t number = consumer.empty() ? 0 : group.FindConsumer(consumer)->number;
    for (PendingEntries e(group, {}, StreamId::Max(), number); e.valid(); e.Next()) {
      ids.push_back(e.id().ms);
    }
    return ids;
  }
  void ReclaimAll() {
    while (keys.ReclaimSlice(100)) {
    }
  }
  size_t Rows(Table table) { return AllRows(env.get(), table).size(); }
  size_t GroupRows() {
    return Rows(Table::kGroup) + Rows(Table::kPending) + Rows(Table::kPendingByOwner);
  }
};

using Ids = std::vector<uint64_t>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "group: names of any length, in order of their bytes") {
  std::string stem(460, 'n');
  std::vector<std::string> names = {
      "", "a", "a\xff", stem, stem + "aa", stem + "bbbb", stem + "bbbbc", std::string(9000, 'z')};
  std::vector<size_t> order = {4, 0, 7, 3, 6, 2, 5, 1};
  for (size_t i : order) {
    CHECK_FALSE(ConsumerGroup::Find(&*stream, names[i]));
    ConsumerGroup group = Make(names[i]);
    for (size_t j : order) group.CreateConsumer(names[j], static_cast<int64_t>(j));
    group.Save();
  }
  std::vector<ConsumerGroup> groups = ConsumerGroup::All(&*stream);
  REQUIRE(groups.size() == names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    CHECK(groups[i].name() == names[i]);
    std::vector<Consumer> consumers = groups[i].Consumers();
    REQUIRE(consumers.size() == names.size());
    for (size_t j = 0; j < names.size(); ++j) {
      CHECK(consumers[j].name == names[j]);
      CHECK(consumers[j].seen_ms == static_cast<int64_t>(j));
      CHECK(groups[i].ConsumerName(consumers[j].number) == names[j]);
    }
  }
  Find(names[5]).Destroy();
  CHECK_FALSE(ConsumerGroup::Find(&*stream, names[5]));
  CHECK(Find(names[6]).consumers() == names.size());
  CHECK(stream->groups() == names.size() - 1);
}

TEST_CASE_FIXTURE(Fixture, "group: delivered, listed, acknowledged") {
  Fill(1, 6);
  ConsumerGroup group = Make("g");
  Deliver(&group, "a", 1, 3);
  Deliver(&group, "b", 4, 6);
  CHECK(group.pending() == 6);
  CHECK(group.last_id() == StreamId{6, 0});
  CHECK(group.entries_read() == 6);
  CHECK(Held(group, "a") == Ids{1, 2, 3});
  CHECK(Held(group, "b") == Ids{4, 5, 6});
  CHECK(group.first_pending() == StreamId{1, 0});
  CHECK(group.last_pending() == StreamId{6, 0});

  for (uint64_t ms : {1, 6, 2}) group.RemovePending(*group.FindPending({ms, 0}), nullptr);
  group.Save();
  CHECK_FALSE(group.FindPending({1, 0}));
  CHECK(group.FindConsumer("a")->pending == 1);
  CHECK(group.FindConsumer("b")->pending == 2);
  CHECK(Held(Find("g"), "") == Ids{3, 4, 5});
  CHECK(group.first_pending() == StreamId{3, 0});
  CHECK(group.last_pending() == StreamId{5, 0});
}

TEST_CASE_FIXTURE(Fixture, "group: claiming moves an entry to its new owner") {
  Fill(1, 4);
  ConsumerGroup group = Make("g");
  Deliver(&group, "a", 1, 4);
  Consumer b = group.CreateConsumer("b", 200);
  group.Reassign(*group.FindPending({2, 0}), &b, 200, 2);
  group.Reassign(*group.FindPending({3, 0}), &b, 300, 9);
  group.Save();
  group.SaveConsumer(b);
  CHECK(Held(group, "a") == Ids{1, 4});
  CHECK(Held(group, "b") == Ids{2, 3});
  CHECK(Find("g").FindConsumer("a")->pending == 2);
  CHECK(Find("g").FindConsumer("b")->pending == 2);
  CHECK(group.pending() == 4);
  Pending third = *group.FindPending({3, 0});
  CHECK(third.consumer == b.number);
  CHECK(third.delivered_ms == 300);
  CHECK(third.deliveries == 9);
}

TEST_CASE_FIXTURE(Fixture, "group: delivered again after the cursor was set back") {
  Fill(1, 3);
  ConsumerGroup group = Make("g");
  Deliver(&group, "a", 1, 3);
  group.SetCursor({}, Stream::kUnknown);
  Deliver(&group, "b", 1, 2);
  CHECK(group.pending() == 3);
  CHECK(Held(group, "a") == Ids{3});
  CHECK(Held(group, "b") == Ids{1, 2});
  CHECK(group.FindPending({1, 0})->deliveries == 1);
}

TEST_CASE_FIXTURE(Fixture, "group: one owner's acknowledgements are one write of the owner") {
  Fill(1, 100);
  ConsumerGroup group = Make("g");
  Deliver(&group, "a", 1, 100);
  keys.EndTurn();
  env->ClearBatch();
  for (uint64_t ms = 1; ms <= 100; ++ms) {
    group.RemovePending(*group.FindPending({ms, 0}), nullptr);
  }
  group.Save();
  // Two deletions each, of 30 and 34 bytes or so; the rest is the group and its consumer.
  CHECK(env->batch().size() < 100 * (31 + 35) + 200);
  CHECK(group.FindConsumer("a")->pending == 0);
}

TEST_CASE_FIXTURE(Fixture, "group: consumers and groups go with all they have") {
  Fill(1, 2000);
  ConsumerGroup g = Make("g"), h = Make("h");
  Deliver(&g, "a", 1, 1500);
  Deliver(&g, "b", 1501, 2000);
  Deliver(&h, "a", 1, 10);
  SUBCASE("a consumer") {
    g.RemoveConsumer(*g.FindConsumer("a"));
    g.Save();
    CHECK(g.pending() == 500);
    CHECK(g.consumers() == 1);
    CHECK_FALSE(g.FindConsumer("a"));
    CHECK(Held(g, "").size() == 500);
    CHECK(Rows(Table::kPending) == 510);
    // The same name once more is another consumer.
    g.CreateConsumer("a", 0);
    CHECK(Held(g, "a").empty());
    ReclaimAll();
    CHECK(Rows(Table::kPendingByOwner) == 510);
  }
  SUBCASE("a small group") {
    h.Destroy();
    CHECK(Rows(Table::kPending) == 2000);
    CHECK_FALSE(keys.has_garbage());
  }
  SUBCASE("a large group, lazily") {
    g.Destroy();
    CHECK_FALSE(ConsumerGroup::Find(&*stream, "g"));
    ConsumerGroup again = Make("g");
    CHECK(again.pending() == 0);
    CHECK(again.consumers() == 0);
    CHECK(Held(again, "").empty());
    Deliver(&again, "a", 1, 5);
    ReclaimAll();
    CHECK(Held(again, "a").size() == 5);
    CHECK(Rows(Table::kPending) == 15);
    again.Destroy();
    h = Find("h");
    h.Destroy();
    CHECK(GroupRows() == 0);
  }
  SUBCASE("a copy is on its own") {
    keys.Copy(keys.Find(0, "s"), 0, "t");
    h.Destroy();
    Stream copy(env.get(), &keys, keys.Find(0, "t"));
    std::optional<ConsumerGroup> copied = ConsumerGroup::Find(&copy, "h");
    REQUIRE(copied);
    CHECK(Held(*copied, "a").size() == 10);
    copied->RemovePending(*copied->FindPending({1, 0}), nullptr);
    copied->Save();
    CHECK(copied->FindConsumer("a")->pending == 9);
  }
  SUBCASE("the stream") {
    keys.Remove(keys.Find(0, "s"));
    ReclaimAll();
    CHECK(GroupRows() == 0);
  }
}
