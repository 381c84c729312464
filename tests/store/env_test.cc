#include "store/env.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "store/codec.h"
#include "tests/store/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string Name(uint64_t n) {
  RowKey key;
  key.U64(n);
  return std::string(key.view());
}

// Does random things to the rows and to a map; they must agree at every look.
void Churn(Env* env, TableRows* model, Random* random, int steps) {
  constexpr Table kTable = Table::kList;
  for (int i = 0; i < steps; ++i) {
    std::string key = Name(random->Below(300));
    switch (random->Below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        std::string value =
            random->Bytes(random->OneIn(10) ? random->Below(9000) : random->Below(99));
        env->Put(kTable, key, value);
        (*model)[key] = value;
        break;
      }
      case 4:
        CHECK(env->Delete(kTable, key) == (model->erase(key) > 0));
        break;
      case 5: {
        std::string to = Name(ReadKeyU64(key.data()) + random->Below(20));
        uint64_t limit = random->OneIn(3) ? random->Below(5) : UINT64_MAX;
        uint64_t deleted = 0;
        auto it = model->lower_bound(key);
        while (it != model->end() && it->first < to && deleted < limit) {
          it = model->erase(it);
          ++deleted;
        }
        CHECK(env->DeleteRange(kTable, key, to, limit) == deleted);
        break;
      }
      case 6: {
        auto row = env->Get(kTable, key);
        auto it = model->find(key);
        REQUIRE(row.has_value() == (it != model->end()));
        if (row) CHECK(*row == it->second);
        break;
      }
      default: {
        Cursor rows(env, kTable);
        auto it = model->lower_bound(key);
        REQUIRE(rows.SeekAtLeast(key) == (it != model->end()));
        for (int n = 0; n < 4 && it != model->end(); ++n) {
          CHECK(rows.key() == it->first);
          CHECK(rows.value() == it->second);
          if (random->OneIn(3)) {
            rows.DeleteCurrent();
            it = model->erase(it);
          } else {
            ++it;
          }
          REQUIRE(rows.Next() == (it != model->end()));
        }
      }
    }
  }
  REQUIRE(env->failure().ok());
}

}  // namespace

TEST_CASE("env: a cursor finds its way") {
  TempDir dir;
  auto env = OpenEnv(dir.path());
  for (uint64_t n : {10, 20, 30, 40, 50}) env->Put(Table::kList, Name(n), std::to_string(n));
  Cursor rows(env.get(), Table::kList);
  CHECK(rows.SeekAtLeast(Name(15)));
  CHECK(rows.value() == "20");
  CHECK(rows.SeekAtMost(Name(15)));
  CHECK(rows.value() == "10");
  CHECK(rows.SeekAtMost(Name(20)));
  CHECK(rows.value() == "20");
  CHECK(rows.SeekAtMost(Name(99)));
  CHECK(rows.value() == "50");
  CHECK_FALSE(rows.SeekAtMost(Name(9)));
  CHECK_FALSE(rows.SeekAtLeast(Name(51)));
  CHECK_FALSE(rows.valid());

  SUBCASE("after deleting, next is the row after and prev the one before") {
    REQUIRE(rows.SeekAtLeast(Name(30)));
    rows.DeleteCurrent();
    CHECK(rows.Next());
    CHECK(rows.value() == "40");
    CHECK(rows.Prev());
    CHECK(rows.value() == "20");
    REQUIRE(rows.SeekAtLeast(Name(40)));
    rows.DeleteCurrent();
    CHECK(rows.Prev());
    CHECK(rows.value() == "20");
    REQUIRE(rows.Last());
    rows.DeleteCurrent();
    CHECK_FALSE(rows.Next());
    REQUIRE(rows.Last());
    CHECK(rows.value() == "20");
    rows.DeleteCurrent();
    CHECK(rows.Prev());
    CHECK(rows.value() == "10");
    rows.DeleteCurrent();
    CHECK_FALSE(rows.Prev());
    CHECK_FALSE(rows.First());
    CHECK_FALSE(rows.Last());
  }
}

TEST_CASE("env: rows follow a model, and a batch replayed gives the same rows") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    TempDir dir, replica_dir;
    auto env = OpenEnv(dir.path());
    auto replica = OpenEnv(replica_dir.path());
    Random random(seed);
    TableRows model;
    for (int turn = 0; turn < 20; ++turn) {
      Churn(env.get(), &model, &random, 100);
      REQUIRE(AllRows(env.get(), Table::kList) == model);
      REQUIRE(replica->Apply(env->batch()).ok());
      CHECK(replica->batch().empty());
      env->ClearBatch();
      REQUIRE(AllRows(replica.get(), Table::kList) == model);
      if (random.OneIn(4)) REQUIRE(env->Commit(turn + 1, 1).ok());
    }
  }
}

TEST_CASE("env: what deletes nothing is not recorded") {
  TempDir dir;
  auto env = OpenEnv(dir.path());
  CHECK_FALSE(env->Delete(Table::kList, "x"));
  CHECK(env->DeleteRange(Table::kList, "a", "z") == 0);
  CHECK(env->batch().empty());
}

TEST_CASE("env: rollback goes back to the last commit") {
  TempDir dir;
  auto env = OpenEnv(dir.path());
  env->Put(Table::kList, "kept", "1");
  env->ClearBatch();
  REQUIRE(env->Commit(7, 3).ok());
  env->Put(Table::kList, "kept", "2");
  env->Put(Table::kList, "lost", "3");
  env->Fail(Status(Code::kCorrupt, "a test says so"));
  CHECK_FALSE(env->Get(Table::kList, "kept"));
  env->Put(Table::kList, "ignored", "4");
  CHECK_FALSE(env->Delete(Table::kList, "kept"));
  CHECK(env->Commit(8, 3).code() == Code::kCorrupt);
  CHECK(env->lsn() == 7);
  REQUIRE(env->Rollback().ok());
  CHECK(env->failure().ok());
  CHECK(env->batch().empty());
  CHECK(AllRows(env.get(), Table::kList) == TableRows{{"kept", "1"}});
}

TEST_CASE("env: apply refuses what is no batch") {
  TempDir dir;
  auto env = OpenEnv(dir.path());
  env->Put(Table::kList, "some key", std::string(300, 'v'));
  env->Delete(Table::kList, "some key");
  env->Put(Table::kStream, "k", "v");
  std::string batch = env->batch();
  env->ClearBatch();
  size_t refused = 0;
  for (size_t cut = 1; cut < batch.size(); ++cut) {
    Status status = env->Apply(std::string_view(batch).substr(0, cut));
    if (!status.ok()) {
      CHECK(status.code() == Code::kCorrupt);
      ++refused;
    }
  }
  CHECK(refused == batch.size() - 1 - 2);  // two cuts fall between operations
  CHECK(env->Apply("\x09\x05\x01k\x01v").code() == Code::kCorrupt);
  CHECK(env->Apply("\x01\x63\x01k\x01v").code() == Code::kCorrupt);
  CHECK(env->Apply(std::string_view("\x01\x05\x00\x01v", 5)).code() == Code::kCorrupt);
}

TEST_CASE("env: commits survive reopening once they are synced") {
  TempDir dir;
  {
    auto env = OpenEnv(dir.path());
    env->Put(Table::kList, "a", "1");
    REQUIRE(env->Commit(5, 2).ok());
    REQUIRE(env->SyncCheckpoint().ok());
    env->Put(Table::kList, "b", "2");
  }
  auto env = OpenEnv(dir.path());
  CHECK(env->lsn() == 5);
  CHECK(env->epoch() == 2);
  CHECK(AllRows(env.get(), Table::kList) == TableRows{{"a", "1"}});
}

TEST_CASE("env: a commit that was not synced does not count") {
  TempDir dir;
  {
    auto env = OpenEnv(dir.path());
    env->Put(Table::kList, "a", "1");
    REQUIRE(env->Commit(5, 2).ok());
    REQUIRE(env->SyncCheckpoint().ok());
    env->Put(Table::kList, "a", "2");
    REQUIRE(env->Commit(6, 2).ok());
  }
  auto env = OpenEnv(dir.path());
  CHECK(env->lsn() == 5);
  CHECK(env->Get(Table::kList, "a") == "1");
}

// A power cut loses any of the pages written since the last sync, and keeps any others.
TEST_CASE("env: whatever pages of an unsynced commit reach the disk, the synced one is whole") {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    TempDir dir;
    std::string data = dir.path() + "/data.mdb";
    Random random(seed);
    TableRows model, synced;
    std::string before, after;
    {
      auto env = OpenEnv(dir.path());
      uint64_t lsn = 0;
      for (uint64_t i = 0; i < 3 + seed % 4; ++i) {
        Churn(env.get(), &model, &random, 300);
        REQUIRE(env->Commit(++lsn, 1).ok());
        REQUIRE(env->SyncCheckpoint().ok());
      }
      synced = model;
      before = ReadFile(data);
      Churn(env.get(), &model, &random, 300);
      REQUIRE(env->Commit(++lsn, 1).ok());
      after = ReadFile(data);
    }
    for (int cut = 0; cut < 4; ++cut) {
      std::string mixed = after;
      for (size_t page = 0; page < after.size(); page += 4096) {
        bool meta = page < 2 * 4096;
        if (meta ? cut % 2 == 0 : random.OneIn(2)) continue;
        for (size_t i = page; i < page + 4096; ++i) mixed[i] = i < before.size() ? before[i] : '\0';
      }
      WriteFile(data, mixed);
      auto env = OpenEnv(dir.path());
      REQUIRE(AllRows(env.get(), Table::kList) == synced);
    }
    // A torn meta page is no harm either.
    std::string torn = after;
    for (size_t i = 0; i < 2 * 4096; ++i) torn[i] = static_cast<char>(i * 7);
    WriteFile(data, torn);
    auto env = OpenEnv(dir.path());
    REQUIRE(AllRows(env.get(), Table::kList) == synced);
    // And life goes on from there.
    env->Put(Table::kList, "after", "the cut");
    REQUIRE(env->Commit(100, 1).ok());
    REQUIRE(env->SyncCheckpoint().ok());
    env.reset();
    env = OpenEnv(dir.path());
    CHECK(env->lsn() == 100);
    synced["after"] = "the cut";
    CHECK(AllRows(env.get(), Table::kList) == synced);
  }
}

TEST_CASE("env: a torn checkpoint file leaves the checkpoint before") {
  TempDir dir;
  std::string checkpoint = dir.path() + "/checkpoint";
  std::string before, data_before;
  {
    auto env = OpenEnv(dir.path());
    env->Put(Table::kList, "a", "1");
    REQUIRE(env->Commit(1, 1).ok());
    REQUIRE(env->SyncCheckpoint().ok());
    before = ReadFile(checkpoint);
    env->Put(Table::kList, "a", "2");
    REQUIRE(env->Commit(2, 1).ok());
    REQUIRE(env->SyncCheckpoint().ok());
  }
  std::string after = ReadFile(checkpoint);
  REQUIRE(after.size() == before.size());
  std::string torn = after;
  for (size_t i = 0; i < after.size(); ++i) {
    if (before[i] != after[i]) torn[i] = i % 3 ? after[i] : static_cast<char>(~after[i]);
  }
  WriteFile(checkpoint, torn);
  auto env = OpenEnv(dir.path());
  CHECK(env->lsn() == 1);
  CHECK(env->Get(Table::kList, "a") == "1");
  env.reset();

  WriteFile(checkpoint, std::string(after.size(), 'x'));
  Env::Options options;
  options.dir = dir.path();
  auto refused = Env::Open(options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::kCorrupt);
  CHECK(refused.status().message().find(checkpoint) != std::string::npos);
}

TEST_CASE("env: a database whose creation a crash cut short begins anew") {
  TempDir dir;
  { auto env = OpenEnv(dir.path()); }
  unlink((dir.path() + "/checkpoint").c_str());
  WriteFile(dir.path() + "/data.mdb", "half a page");
  auto env = OpenEnv(dir.path());
  CHECK(env->lsn() == 0);
  CHECK(AllRows(env.get(), Table::kList).empty());
}

TEST_CASE("env: files of a later format are refused") {
  TempDir dir;
  {
    auto env = OpenEnv(dir.path());
    std::string version;
    PutFixed<uint32_t>(&version, 99);
    env->Put(Table::kMeta, "format", version);
    REQUIRE(env->Commit(1, 1).ok());
    REQUIRE(env->SyncCheckpoint().ok());
  }
  Env::Options options;
  options.dir = dir.path();
  auto refused = Env::Open(options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::kTooNew);
}

TEST_CASE("env: what is not durable leaves no files") {
  TempDir dir;
  auto env = OpenEnv(dir.path(), false);
  CHECK(std::filesystem::is_empty(dir.path()));
  env->Put(Table::kList, "a", "1");
  REQUIRE(env->Commit(1, 1).ok());
  CHECK(env->Get(Table::kList, "a") == "1");
}
