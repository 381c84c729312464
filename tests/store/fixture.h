// An Env in a directory of its own, gone afterwards.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "store/env.h"

namespace sluice::testing {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::unique_ptr<Env> OpenEnv(const std::string& dir, bool durable = true) {
  Env::Options options;
  options.dir = dir;
  options.durable = durable;
  options.map_bytes = size_t{8} << 30;
  auto env = Env::Open(options);
  REQUIRE_MESSAGE(env.ok(), env.status().message());
  return std::move(*env);
}

using TableRows = std::map<std::string, std::string>;

inline TableRows AllRows(Env* env, Table table) {
  TableRows all;
  Cursor rows(env, table);
  for (bool more = rows.First(); more; more = rows.Next()) {
    all.emplace(rows.key(), rows.value());
  }
  return all;
}

inline std::vector<TableRows> AllTables(Env* env) {
  std::vector<TableRows> tables;
  for (int i = 0; i < kTables; ++i) tables.push_back(AllRows(env, static_cast<Table>(i)));
  return tables;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // 0 .. n-1
  uint64_t Below(uint64_t n) { return engine_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  std::string Bytes(size_t length) {
    std::string s(length, '\0');
    for (char& c : s) c = static_cast<char>(engine_());
    return s;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace sluice::testing
