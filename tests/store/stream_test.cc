#include "store/stream.h"

#include <algorithm>
#include <map>

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

using Pairs = std::vector<std::string>;
using Model = std::map<StreamId, Pairs>;

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  Keyspace keys{env.get(), 16};
  NodeLimits limits;

  Fixture() { REQUIRE(keys.Load().ok()); }
  Stream Open(const std::string& name = "s") {
    Key* key = keys.Find(0, name);
    if (!key) key = &keys.Create(0, name, Type::kStream);
    return Stream(env.get(), &keys, key);
  }
  void Add(StreamId id, const Pairs& pairs) {
    std::vector<std::string_view> views(pairs.begin(), pairs.end());
    Open().Append(id, views, limits);
  }
  // Entries from-0 to to-0.
  void Fill(uint64_t from, uint64_t to) {
    for (uint64_t ms = from; ms <= to; ++ms) Add({ms, 0}, {"f", "v"});
  }
  static Pairs Read(EntryFields fields) {
    Pairs pairs;
    while (fields.left() > 0) {
      std::string_view field, value;
      fields.Next(&field, &value);
      pairs.emplace_back(field);
      pairs.emplace_back(value);
    }
    return pairs;
  }
  Model All(const std::string& name = "s") {
    Model all;
    Stream stream = Open(name);
    for (Entries e(stream, {}, StreamId::Max()); e.valid(); e.Next()) {
      all.emplace(e.id(), Read(e.fields()));
    }
    return all;
  }
  size_t Rows() { return AllRows(env.get(), Table::kStream).size(); }
  void ReclaimAll() {
    while (keys.ReclaimSlice(100)) {
    }
  }
  void Check(const Model& model) {
    Stream stream = Open();
    REQUIRE(stream.length() == model.size());
    REQUIRE(stream.first_id() == (model.empty() ? StreamId() : model.begin()->first));
    REQUIRE(stream.top_id() == (model.empty() ? StreamId() : model.rbegin()->first));
    REQUIRE(All() == model);
    auto expected = model.rbegin();
    for (Entries e(stream, {}, StreamId::Max(), true); e.valid(); e.Next()) {
      REQUIRE(e.id() == expected->first);
      ++expected;
    }
    REQUIRE(expected == model.rend());
  }
};

Stream::TrimRule ToLength(uint64_t length) {
  Stream::TrimRule rule;
  rule.max_length = length;
  return rule;
}
Stream::TrimRule ToId(StreamId id) {
  Stream::TrimRule rule;
  rule.by_id = true;
  rule.min_id = id;
  return rule;
}
Stream::TrimRule Roughly(Stream::TrimRule rule, uint64_t limit = 0) {
  rule.approximate = true;
  rule.limit = limit;
  return rule;
}

}  // namespace

TEST_CASE("stream ids: order and neighbours") {
  CHECK(StreamId{1, 5} < StreamId{2, 0});
  CHECK(StreamId{1, 5} > StreamId{1, 4});
  StreamId id{1, UINT64_MAX};
  CHECK(id.Increment());
  CHECK(id == StreamId{2, 0});
  CHECK(id.Decrement());
  CHECK(id == StreamId{1, UINT64_MAX});
  id = StreamId::Max();
  CHECK_FALSE(id.Increment());
  CHECK(id.zero());
  CHECK_FALSE(id.Decrement());
  CHECK(id == StreamId::Max());
}

TEST_CASE_FIXTURE(Fixture, "stream: entries keep their bytes") {
  Pairs odd = {"", "", std::string("\0\xff", 2), std::string(300, 'x'), "f", "1"};
  Add({1, 1}, odd);
  Add({1, 2}, {"g", std::string(1 << 20, 'y')});
  CHECK(Read(*Open().Find({1, 1})) == odd);
  CHECK(Read(*Open().Find({1, 2}))[1].size() == 1 << 20);
  CHECK_FALSE(Open().Contains({1, 3}));
  CHECK_FALSE(Open().Contains({0, 0}));
}

TEST_CASE_FIXTURE(Fixture, "stream: automatic ids") {
  CHECK(Open().NextId(50) == StreamId{50, 0});
  Add({50, 3}, {"f", "v"});
  CHECK(Open().NextId(49) == StreamId{50, 4});
  CHECK(Open().NextId(50) == StreamId{50, 4});
  CHECK(Open().NextId(51) == StreamId{51, 0});
  Add({60, UINT64_MAX}, {"f", "v"});
  CHECK(Open().NextId(60) == StreamId{61, 0});
  Add(StreamId::Max(), {"f", "v"});
  CHECK(Open().NextId(60).zero());
}

TEST_CASE_FIXTURE(Fixture, "stream: an addition is one row, and the key's") {
  Fill(1, 3);
  keys.EndTurn();
  env->ClearBatch();
  Fill(4, 4);
  keys.EndTurn();
  CHECK(env->batch().size() < 300);
  CHECK(Rows() == 4);
}

TEST_CASE_FIXTURE(Fixture, "stream: streams do not see each other") {
  for (const char* name : {"a", "b", "c"}) {
    Stream stream = Open(name);
    std::vector<std::string_view> pairs = {"f", name};
    stream.Append({5, 5}, pairs, limits);
  }
  CHECK(All("b") == Model{{{5, 5}, {"f", "b"}}});
  Stream b = Open("b");
  CHECK(b.Delete({5, 5}));
  CHECK(b.length() == 0);
  CHECK(All("a").size() == 1);
  CHECK(All("c").size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "stream: deleting at the ends and between") {
  Fill(1, 5);
  CHECK(Open().Delete({3, 0}));
  CHECK_FALSE(Open().Delete({3, 0}));
  CHECK(Open().Delete({1, 0}));
  CHECK(Open().first_id() == StreamId{2, 0});
  CHECK(Open().Delete({5, 0}));
  CHECK(Open().top_id() == StreamId{4, 0});
  CHECK(Open().last_id() == StreamId{5, 0});
  CHECK(Open().max_deleted_id() == StreamId{5, 0});
  CHECK(Open().Delete({2, 0}));
  CHECK(Open().Delete({4, 0}));
  CHECK(Open().length() == 0);
  CHECK(Open().entries_added() == 5);
}

TEST_CASE_FIXTURE(Fixture, "stream: approximate trimming drops whole nodes") {
  Fill(1, 250);
  CHECK(Open().nodes() == 3);
  CHECK(Open().Trim(Roughly(ToLength(151))) == 0);
  CHECK(Open().Trim(Roughly(ToLength(150))) == 100);
  CHECK(Open().first_id() == StreamId{101, 0});
  CHECK(Open().Trim(Roughly(ToId({200, 0}))) == 0);
  CHECK(Open().Trim(Roughly(ToId({201, 0}), 99)) == 0);
  CHECK(Open().Trim(Roughly(ToId({201, 0}), 100)) == 100);
  CHECK(Open().Trim(Roughly(ToLength(0))) == 50);
  CHECK(Open().length() == 0);
}

TEST_CASE_FIXTURE(Fixture, "stream: nodes close by bytes too") {
  limits.max_bytes = 1000;
  for (uint64_t i = 1; i <= 20; ++i) Add({i, 0}, {"f", std::string(200, 'x')});
  CHECK(Open().nodes() == 5);
}

TEST_CASE_FIXTURE(Fixture,
                  "stream: adding under MAXLEN ~ does not count the oldest node each time") {
  Fill(1, 1000);
  for (uint64_t ms = 1001; ms <= 1400; ++ms) {
    Add({ms, 0}, {"f", "v"});
    uint64_t trimmed = Open().Trim(Roughly(ToLength(900)));
    CHECK(trimmed == (ms % 100 == 1 && ms == 1001 ? 100 : ms % 100 == 0 ? 100 : 0));
  }
  CHECK(Open().length() == 900);
}

TEST_CASE_FIXTURE(Fixture, "stream: what a large trim leaves is gone at once and reclaimed later") {
  Fill(1, 5000);
  CHECK(Open().Trim(ToLength(1500)) == 3500);
  CHECK(Rows() == 5000);
  CHECK(keys.has_garbage());
  CHECK(Open().first_id() == StreamId{3501, 0});
  CHECK(All().size() == 1500);
  CHECK_FALSE(Open().Contains({100, 0}));
  CHECK_FALSE(Open().Delete({100, 0}));
  CHECK(Open().Trim(ToId({4990, 0})) == 1489);
  ReclaimAll();
  CHECK(Rows() == 11);
  CHECK(All().begin()->first == StreamId{4990, 0});
}

TEST_CASE_FIXTURE(Fixture, "stream: nothing of a large trim comes back") {
  Fill(1, 3000);
  SUBCASE("new ids") {
    Open().Trim(ToLength(0));
    Fill(3001, 3005);
    ReclaimAll();
    CHECK(Rows() == 5);
  }
  SUBCASE("ids given out again after XSETID") {
    Open().Trim(ToLength(0));
    Open().SetId({}, 0, std::nullopt);
    Fill(1, 5);
    ReclaimAll();
    CHECK(All().size() == 5);
    CHECK(Rows() == 5);
  }
  SUBCASE("a copy") {
    Open().Trim(ToLength(1000));
    keys.Copy(keys.Find(0, "s"), 0, "t");
    CHECK(All("t").size() == 1000);
    Stream copy = Open("t");
    copy.Trim(ToLength(0));
    ReclaimAll();
    CHECK(Rows() == 1000);
    CHECK(All("s").size() == 1000);
    CHECK(All("t").empty());
  }
  SUBCASE("the key deleted meanwhile") {
    Open().Trim(ToLength(1000));
    keys.Remove(keys.Find(0, "s"));
    Fill(1, 3);
    ReclaimAll();
    CHECK(Rows() == 3);
  }
}

TEST_CASE_FIXTURE(Fixture, "stream: a model of random changes") {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    if (Key* key = keys.Find(0, "s")) keys.Remove(key);
    Random random(seed);
    Model model;
    uint64_t ms = 0;
    int burst = seed % 2 ? 3000 : 20;  // large bursts make large trims
    for (int step = 0; step < 400; ++step) {
      switch (random.Below(6)) {
        case 0:
          for (uint64_t n = random.Below(burst); n > 0; --n) {
            StreamId id{++ms, random.Below(3)};
            Pairs pairs = {random.Bytes(random.Below(4)), random.Bytes(random.Below(50))};
            Add(id, pairs);
            model[id] = pairs;
          }
          break;
        case 1:
        case 2: {
          StreamId id{random.Below(ms + 2), random.Below(3)};
          CHECK(Open().Delete(id) == (model.erase(id) == 1));
          break;
        }
        case 3: {
          uint64_t keep = random.Below(model.size() + 10);
          uint64_t gone = model.size() - std::min<uint64_t>(keep, model.size());
          CHECK(Open().Trim(ToLength(keep)) == gone);
          model.erase(model.begin(), std::next(model.begin(), static_cast<long>(gone)));
          break;
        }
        case 4: {
          StreamId id{random.Below(ms + 2), 1};
          auto end = model.lower_bound(id);
          CHECK(Open().Trim(ToId(id)) == static_cast<uint64_t>(std::distance(model.begin(), end)));
          model.erase(model.begin(), end);
          break;
        }
        default: {
          uint64_t keep = random.Below(model.size() + 10);
          uint64_t gone = Open().Trim(Roughly(ToLength(keep), 500));
          CHECK(gone <= 500);
          CHECK(model.size() - gone >= std::min<uint64_t>(keep, model.size()));
          model.erase(model.begin(), std::next(model.begin(), static_cast<long>(gone)));
        }
      }
      if (random.OneIn(10)) Check(model);
      if (random.OneIn(5)) keys.ReclaimSlice(500);
      if (random.OneIn(40)) {
        keys.EndTurn();
        REQUIRE(keys.Load().ok());
      }
    }
    Check(model);
    ReclaimAll();
    CHECK(Rows() == model.size());
  }
}
