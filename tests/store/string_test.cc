#include "store/string.h"

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  Keyspace keys{env.get(), 16};

  Fixture() { REQUIRE(keys.Load().ok()); }
  String Open(const std::string& name) {
    Key* key = keys.Find(0, name);
    if (!key) key = &keys.Create(0, name, Type::kString);
    return String(env.get(), &keys, key);
  }
  void ReclaimAll() {
    while (keys.ReclaimSlice(100)) {
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "string: short ones have no rows") {
  Open("s").Assign("hello");
  CHECK(Open("s").value() == "hello");
  CHECK(Open("s").size() == 5);
  CHECK(Open("s").origin() == String::Origin::kGiven);
  Open("s").Append(" world");
  CHECK(Open("s").value() == "hello world");
  CHECK(Open("s").origin() == String::Origin::kEdited);
  Open("s").Write(6, "W");
  CHECK(Open("s").value() == "hello World");
  Open("s").Write(13, "!");
  CHECK(Open("s").value() == std::string_view("hello World\0\0!", 14));
  Open("s").Assign("");
  CHECK(Open("s").size() == 0);
  CHECK(Open("s").value().empty());
  keys.Flush();
  CHECK(AllRows(env.get(), Table::kChunk).empty());
  keys.Remove(keys.Find(0, "s"));
  CHECK_FALSE(keys.has_garbage());
}

TEST_CASE_FIXTURE(Fixture, "string: a change in the middle writes what it touches") {
  Open("s").Assign(std::string(1 << 20, 'a'));
  env->ClearBatch();
  Open("s").Write(500'000, "bbb");
  keys.EndTurn();
  CHECK(env->batch().size() < 5000);
  CHECK(Open("s").Read(499'999, 5) == "abbba");
  env->ClearBatch();
  Open("s").Append("c");
  keys.EndTurn();
  CHECK(env->batch().size() < 5000);
  CHECK(Open("s").size() == (1 << 20) + 1);
}

TEST_CASE_FIXTURE(Fixture, "string: a gap costs nothing") {
  Open("s").Write(500'000'000, "end");
  CHECK(Open("s").size() == 500'000'003);
  CHECK(AllRows(env.get(), Table::kChunk).size() == 1);
  CHECK(Open("s").Read(499'999'998, 5) == std::string_view("\0\0end", 5));
  CHECK(Open("s").Read(0, 3) == std::string_view("\0\0\0", 3));
  uint64_t seen = 0;
  Open("s").Walk(0, 500'000'003, [&](std::string_view piece) { seen += piece.size(); });
  CHECK(seen == 500'000'003);
}

TEST_CASE_FIXTURE(Fixture, "string: replacing a long one reclaims its rows") {
  Open("s").Assign(std::string(100'000, 'a'));
  Open("s").Assign("short");
  CHECK(Open("s").value() == "short");
  ReclaimAll();
  CHECK(AllRows(env.get(), Table::kChunk).empty());

  Open("s").Assign(std::string(100'000, 'a'));
  Open("s").Assign(std::string(50'000, 'b'));
  CHECK(Open("s").value() == std::string(50'000, 'b'));
  Open("s").Assign(std::string(60'000, 'c'));
  CHECK(Open("s").value() == std::string(60'000, 'c'));
  ReclaimAll();
  CHECK(AllRows(env.get(), Table::kChunk).size() == (60'000 + 4079) / 4080);
  keys.Remove(keys.Find(0, "s"));
  ReclaimAll();
  CHECK(AllRows(env.get(), Table::kChunk).empty());
}

TEST_CASE_FIXTURE(Fixture, "string: a copy goes its own way") {
  for (size_t size : {size_t{10}, size_t{1024}, size_t{1025}, size_t{50'000}}) {
    Open("from").Assign(std::string(size, 'a'));
    keys.Copy(keys.Find(0, "from"), 3, "to");
    Open("from").Write(0, "x");
    String copy(env.get(), &keys, keys.Find(3, "to"));
    CHECK(copy.value() == std::string(size, 'a'));
    keys.Remove(keys.Find(3, "to"));
  }
}

TEST_CASE("string: follows a model") {
  constexpr size_t kSizes[] = {1, 20, 1023, 1024, 1025, 4079, 4080, 4081, 9000, 30000};
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Fixture f;
    Random random(seed);
    std::string model;
    for (int i = 0; i < 500; ++i) {
      std::string bytes = random.Bytes(random.Below(kSizes[random.Below(std::size(kSizes))]));
      String s = f.Open("s");
      switch (random.Below(10)) {
        case 0:
          s.Assign(bytes);
          model = bytes;
          break;
        case 1:
        case 2:
        case 3:
          s.Append(bytes);
          model += bytes;
          break;
        case 4:
        case 5:
        case 6: {
          size_t offset = random.Below(model.size() + 6000);
          s.Write(offset, bytes);
          if (bytes.empty()) break;
          if (model.size() < offset + bytes.size()) model.resize(offset + bytes.size());
          model.replace(offset, bytes.size(), bytes);
          break;
        }
        case 7:
          REQUIRE(s.value() == model);
          break;
        default: {
          if (model.empty()) break;
          size_t offset = random.Below(model.size());
          size_t length = random.Below(model.size() - offset + 1);
          REQUIRE(s.Read(offset, length) == std::string_view(model).substr(offset, length));
        }
      }
      REQUIRE(s.size() == model.size());
      if (model.size() > 60'000) {
        s.Assign("");
        model.clear();
      }
      f.keys.EndTurn();
      if (random.OneIn(20)) REQUIRE(f.keys.Load().ok());
    }
    REQUIRE(f.Open("s").value() == model);
    f.ReclaimAll();
    REQUIRE(f.env->failure().ok());
  }
}
