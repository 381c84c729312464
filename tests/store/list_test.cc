#include "store/list.h"

#include <algorithm>
#include <deque>

#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

using End = List::End;
using Model = std::deque<std::string>;

struct Fixture {
  TempDir dir;
  std::unique_ptr<Env> env = OpenEnv(dir.path(), false);
  Keyspace keys{env.get(), 16};

  Fixture() { REQUIRE(keys.Load().ok()); }
  List Open(const std::string& name = "l") {
    Key* key = keys.Find(0, name);
    if (!key) key = &keys.Create(0, name, Type::kList);
    return List(env.get(), &keys, key);
  }
  void Fill(int n) {
    List list = Open();
    for (int i = 0; i < n; ++i) list.Push(End::kRight, std::to_string(i));
  }
  void Check(const Model& model) {
    List list = Open();
    REQUIRE(list.size() == model.size());
    uint64_t bytes = 0;
    for (const std::string& element : model) bytes += element.size();
    CHECK(list.bytes() == bytes);
    if (model.empty()) return;
    uint64_t n = 0;
    list.Walk(0, true, [&](uint64_t position, std::string_view element) {
      REQUIRE(position == n);
      REQUIRE(element == model[n++]);
      return true;
    });
    REQUIRE(n == model.size());
    list.Walk(model.size() - 1, false, [&](uint64_t position, std::string_view element) {
      REQUIRE(position == --n);
      REQUIRE(element == model[n]);
      return true;
    });
    REQUIRE(n == 0);
  }
  Model Elements() {
    Model all;
    Open().Walk(0, true, [&](uint64_t, std::string_view element) {
      all.emplace_back(element);
      return true;
    });
    return all;
  }
};

class ModelRun {
 public:
  ModelRun(uint64_t seed, bool dense) : random_(seed), dense_(dense) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (model_.empty()) {
        if (Key* key = f_.keys.Find(0, "l")) f_.keys.Remove(key);
        Push();
      } else {
        Step();
      }
      if (random_.OneIn(10)) f_.keys.EndTurn();
      if (random_.OneIn(30)) f_.Check(model_);
      if (random_.OneIn(30)) f_.keys.ReclaimSlice(1000);
      if (random_.OneIn(100)) {
        f_.keys.EndTurn();
        REQUIRE(f_.keys.Load().ok());
      }
      REQUIRE(f_.env->failure().ok());
    }
    f_.Check(model_);
    while (f_.keys.ReclaimSlice(1000)) {
    }
    CHECK(AllRows(f_.env.get(), Table::kList).size() == model_.size());
  }

 private:
  std::string Element() {
    return random_.OneIn(20) ? random_.Bytes(random_.Below(6000))
                             : std::to_string(random_.Below(8));
  }
  End SomeEnd() { return random_.OneIn(2) ? End::kLeft : End::kRight; }

  void Push() {
    std::string element = Element();
    End end = SomeEnd();
    f_.Open().Push(end, element);
    end == End::kLeft ? model_.push_front(element) : model_.push_back(element);
  }

  void Step() {
    uint64_t what = random_.Below(dense_ ? 12 : 16);
    if (what < 6) return Push();
    if (what < 9) return Pop();
    List list = f_.Open();
    uint64_t at = random_.Below(model_.size());
    switch (what) {
      case 9:
        REQUIRE(list.At(at) == model_[at]);
        CHECK_FALSE(list.At(model_.size()));
        break;
      case 10: {
        std::string element = Element();
        list.Set(at, element);
        model_[at] = element;
        break;
      }
      case 11:
        if (!random_.OneIn(8)) break;
        Trim(at);
        break;
      case 12:
      case 13:
        Remove();
        break;
      default:
        Insert();
    }
  }

  void Pop() {
    End end = SomeEnd();
    std::string expected = end == End::kLeft ? model_.front() : model_.back();
    REQUIRE(f_.Open().Pop(end) == expected);
    end == End::kLeft ? model_.pop_front() : model_.pop_back();
  }

  void Trim(uint64_t first) {
    uint64_t last = first + random_.Below(model_.size() - first);
    f_.Open().Trim(first, last);
    model_ = Model(model_.begin() + first, model_.begin() + last + 1);
  }

  void Remove() {
    std::string element = random_.OneIn(2) ? Element() : model_[random_.Below(model_.size())];
    uint64_t limit = random_.Below(4), removed = 0;
    End from = SomeEnd();
    if (from == End::kRight) std::reverse(model_.begin(), model_.end());
    for (auto it = model_.begin(); it != model_.end() && (!limit || removed < limit);) {
      if (*it == element) {
        it = model_.erase(it);
        ++removed;
      } else {
        ++it;
      }
    }
    if (from == End::kRight) std::reverse(model_.begin(), model_.end());
    REQUIRE(f_.Open().Remove(from, element, limit) == removed);
  }

  void Insert() {
    std::string pivot = random_.OneIn(4) ? Element() : model_[random_.Below(model_.size())];
    std::string element = Element();
    bool before = random_.OneIn(2);
    auto it = std::find(model_.begin(), model_.end(), pivot);
    REQUIRE(f_.Open().Insert(before, pivot, element) == (it != model_.end()));
    if (it != model_.end()) model_.insert(before ? it : it + 1, element);
  }

  Fixture f_;
  Random random_;
  bool dense_;
  Model model_;
};

}  // namespace

TEST_CASE("list: follows a model") {
  for (uint64_t seed = 1; seed <= 10; ++seed) ModelRun(seed, false).Run(1500);
}

TEST_CASE("list: follows a model while only its ends change") {
  for (uint64_t seed = 1; seed <= 5; ++seed) ModelRun(seed, true).Run(1500);
}

TEST_CASE("list: thousands of insertions in one place") {
  for (bool before : {true, false}) {
    Fixture f;
    f.Fill(200);
    Model model = f.Elements();
    for (int i = 0; i < 5000; ++i) {
      std::string element = "new " + std::to_string(i);
      REQUIRE(f.Open().Insert(before, "100", element));
      model.insert(std::find(model.begin(), model.end(), "100") + (before ? 0 : 1), element);
    }
    f.Check(model);
  }
}

TEST_CASE("list: insertions that split the same gap from both sides") {
  Fixture f;
  f.Fill(2);
  Model model = f.Elements();
  std::string last = "1";
  for (int i = 0; i < 3000; ++i) {
    std::string element = "new " + std::to_string(i);
    bool before = i % 3 != 0;
    REQUIRE(f.Open().Insert(before, last, element));
    model.insert(std::find(model.begin(), model.end(), last) + (before ? 0 : 1), element);
    last = element;
  }
  f.Check(model);
}

TEST_CASE("list: an insertion into a long list moves few rows") {
  Fixture f;
  f.Fill(50'000);
  f.keys.EndTurn();
  f.env->ClearBatch();
  for (int i = 0; i < 1000; ++i) REQUIRE(f.Open().Insert(true, "3", "new"));
  f.keys.EndTurn();
  CHECK(f.env->batch().size() < 500'000);
}

TEST_CASE("list: a queue keeps its pace and leaves nothing behind") {
  Fixture f;
  f.Fill(10);
  for (int i = 10; i < 5000; ++i) {
    f.Open().Push(End::kRight, std::to_string(i));
    REQUIRE(f.Open().Pop(End::kLeft) == std::to_string(i - 10));
  }
  CHECK(AllRows(f.env.get(), Table::kList).size() == 10);
}

TEST_CASE("list: trimming to little of much") {
  Fixture f;
  f.Fill(10'000);
  f.Open().Trim(5'000, 5'002);
  CHECK(f.Elements() == Model{"5000", "5001", "5002"});
  f.Open().Push(End::kLeft, "x");
  CHECK(f.Open().Pop(End::kLeft) == "x");
  while (f.keys.ReclaimSlice(1000)) {
  }
  CHECK(AllRows(f.env.get(), Table::kList).size() == 3);
  f.Check(f.Elements());
}

TEST_CASE("list: lists side by side do not see each other") {
  Fixture f;
  f.Open("a").Push(End::kRight, "a");
  f.Open("b").Push(End::kRight, "b");
  f.Open("c").Push(End::kRight, "c");
  f.Open("b").Walk(0, true, [](uint64_t, std::string_view element) {
    CHECK(element == "b");
    return true;
  });
  f.Open("b").Walk(0, false, [](uint64_t, std::string_view element) {
    CHECK(element == "b");
    return true;
  });
  CHECK(f.Open("b").Remove(End::kRight, "a", 0) == 0);
  CHECK_FALSE(f.Open("b").Insert(true, "c", "x"));
  CHECK(f.Open("b").size() == 1);
}
