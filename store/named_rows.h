// Rows of an object that strings of any length name, in the order of the names' hashes: a hash's
// fields, a set's members. The order means nothing, so a walk can stop at any hash and go on there
// later, and a place chosen at random is as likely to be near one name as near another.
//
//   row key: object u64, hash u48, name (its first kInlineName bytes, and a number if it is longer)
//   value:   [the whole name, if it is longer], what the type keeps
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/codec.h"
#include "store/env.h"

namespace sluice {

class NamedRows {
 public:
  NamedRows(Env* env, Table table, uint64_t object) : env_(env), table_(table), object_(object) {}

  struct Row {
    std::string_view key;    // of the row
    std::string_view name;   // views: see Env::Get
    std::string_view value;  // behind the name
  };

  // The row of a name, if there is one. `*key` becomes the row's key; where there is no row, that
  // of the row that Put may make.
  std::optional<Row> Find(std::string_view name, RowKey* key) const;
  // Puts the row that Find has found, or has found missing: then `number` tells a long name from
  // others like it, and must be one that no other row of the object has been given.
  void Put(RowKey* key, bool found, std::string_view name, uint64_t number, std::string_view value);
  void Delete(std::string_view key) { env_->Delete(table_, key); }
  // The row with this key, which must be there.
  std::optional<Row> At(std::string_view key) const;

  // Visits all rows until `visit` says false. It must not change rows.
  using Visit = std::function<bool(const Row&)>;
  void Walk(const Visit& visit) const { WalkFrom(0, visit); }
  // Visits rows from `cursor` on (0: the beginning) until `count` have been visited and the next
  // has another hash; returns where to go on, 0 at the end. A row that is there all the time
  // between a first call with 0 and a last that returns 0 is visited exactly once. Cursors are
  // below kCursorEnd and outlive the process.
  static constexpr uint64_t kCursorEnd = uint64_t{1} << 48;
  uint64_t Scan(uint64_t cursor, uint64_t count, const Visit& visit) const;
  // Visits rows from a place that `random` points to on, all round, until `visit` says false.
  void WalkFromSomewhere(uint64_t random, const Visit& visit) const;

  static constexpr size_t kPrefix = 8 + 6;  // object, hash
  // The key of the row of a name; of a name that is too long for it, the key's beginning.
  static RowKey KeyOf(uint64_t object, std::string_view name);

 private:
  bool WalkFrom(uint64_t hash, const Visit& visit) const;
  Row Decode(std::string_view key, std::string_view value) const;

  Env* env_;
  Table table_;
  uint64_t object_;
};

}  // namespace sluice
