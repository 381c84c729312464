// Whole databases: walking over their keys, counting, emptying and exchanging them.
#include <cctype>
#include <vector>

#include "src/commands/keys_common.h"
#include "src/commands/scan_common.h"

namespace sluice {
namespace {

bool Expired(Call& call, const Keyspace::Row& row) {
  return row.expires_at_ms && call.now_ms() > row.expires_at_ms;
}

void Keys(Call& call) {
  std::string_view pattern = call.args[1];
  bool all = pattern == "*";
  size_t mark = call.reply.BeginArray(all ? call.keys().Size(call.db()) : 0);
  size_t n = 0;
  call.keys().Scan(call.db(), 0, UINT64_MAX, [&](const Keyspace::Row& row) {
    if (Expired(call, row) || !(all || GlobMatch(pattern, row.name))) return;
    call.reply.Bulk(row.name);
    ++n;
  });
  call.reply.EndArray(mark, n);
}

bool SameType(std::string_view word, Type type) {
  std::string lower(word);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower == TypeName(type);
}

void Scan(Call& call) {
  uint64_t cursor;
  if (!ReadCursor(call, 1, &cursor)) return;
  ScanOptions options;
  if (!ReadScanOptions(call, 2, &options)) return;

  // Nothing is written before the reply is, so the names may stay views of the rows.
  std::vector<std::string_view> names;
  std::vector<std::string> expired;
  auto visit = [&](const Keyspace::Row& row) {
    if (!options.Matches(row.name)) return;
    if (options.type && !SameType(*options.type, row.type)) return;
    if (Expired(call, row)) {
      expired.emplace_back(row.name);
    } else {
      names.push_back(row.name);
    }
  };
  // A cursor that no scan has returned is as good as one at the end.
  if (cursor >= Keyspace::kCursorEnd) {
    cursor = 0;
  } else {
    cursor = call.keys().Scan(call.db(), cursor, options.count, visit);
  }
  call.reply.ArrayHeader(2);
  call.reply.Bulk(std::to_string(cursor));
  call.reply.ArrayHeader(names.size());
  for (std::string_view name : names) call.reply.Bulk(name);
  for (const std::string& name : expired) call.Peek(name);
}

void Randomkey(Call& call) {
  while (auto name = call.keys().SomeKey(call.db(), call.engine.Random())) {
    bool there = call.engine.Lookup(call.session, call.db(), *name, false) != nullptr;
    if (there) return call.reply.Bulk(*name);
  }
  call.reply.Null();
}

void Dbsize(Call& call) { call.reply.Integer(static_cast<int64_t>(call.keys().Size(call.db()))); }

// ASYNC and SYNC make no difference: rows are always reclaimed later, a slice at a time.
bool ReadFlushOptions(Call& call) {
  if (call.args.size() == 1) return true;
  if (call.args.size() == 2 && (call.Is(1, "ASYNC") || call.Is(1, "SYNC"))) return true;
  return call.Error(errors::kSyntax), false;
}

void Flush(Call& call, int db) {
  call.engine.stats().dirty += call.keys().Size(db);
  call.engine.DatabaseChanging(db);
  call.keys().Clear(db);
}

void Flushdb(Call& call) {
  if (!ReadFlushOptions(call)) return;
  Flush(call, call.db());
  call.reply.Ok();
}

void Flushall(Call& call) {
  if (!ReadFlushOptions(call)) return;
  for (int db = 0; db < call.keys().databases(); ++db) Flush(call, db);
  call.reply.Ok();
}

void Swapdb(Call& call) {
  int first, second;
  if (!ReadDatabaseNumber(call, 1, &first, "ERR invalid first DB index") ||
      !ReadDatabaseNumber(call, 2, &second, "ERR invalid second DB index") ||
      !CheckDatabase(call, first) || !CheckDatabase(call, second)) {
    return;
  }
  if (first != second) {
    call.engine.DatabaseChanging(first, second);
    call.keys().Swap(first, second);
  }
  ++call.engine.stats().dirty;
  call.reply.Ok();
}

}  // namespace

void AddDatabaseRows(Rows* rows) {
  rows->push_back({"keys",
                   "pattern:pattern",
                   "Lists all keys that match a pattern.",
                   "1.0.0",
                   "O(N)",
                   Group::kGeneric,
                   2,
                   kReadonly | kCatDangerous,
                   {},
                   Keys,
                   {"request_policy:all_shards", "nondeterministic_output_order"}});
  rows->push_back({"scan",
                   "cursor:int [MATCH=pattern:pattern] [COUNT=count:int] [TYPE=type@6.0.0]",
                   "Lists keys piece by piece, from a cursor on.",
                   "2.8.0",
                   "O(1)",
                   Group::kGeneric,
                   -2,
                   kReadonly,
                   {},
                   Scan,
                   {"nondeterministic_output", "request_policy:special"}});
  rows->push_back({"randomkey",
                   "",
                   "Returns some key.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   1,
                   kReadonly,
                   {},
                   Randomkey,
                   {"request_policy:all_shards", "nondeterministic_output"}});
  rows->push_back({"dbsize",
                   "",
                   "Counts the keys of the database.",
                   "1.0.0",
                   "O(1)",
                   Group::kServer,
                   1,
                   kReadonly | kFast | kCatKeyspace,
                   {},
                   Dbsize,
                   {"request_policy:all_shards", "response_policy:agg_sum"}});
  rows->push_back({"flushdb",
                   "[async(ASYNC@4.0.0|SYNC@6.2.0)]",
                   "Deletes all keys of the database.",
                   "1.0.0",
                   "O(N)",
                   Group::kServer,
                   -1,
                   kWrite | kCatDangerous | kCatKeyspace,
                   {},
                   Flushdb,
                   {"request_policy:all_shards", "response_policy:all_succeeded"}});
  rows->push_back({"flushall",
                   "[async(ASYNC@4.0.0|SYNC@6.2.0)]",
                   "Deletes all keys of all databases.",
                   "1.0.0",
                   "O(N)",
                   Group::kServer,
                   -1,
                   kWrite | kCatDangerous | kCatKeyspace,
                   {},
                   Flushall,
                   {"request_policy:all_shards", "response_policy:all_succeeded"}});
  rows->push_back({"swapdb",
                   "index1:int index2:int",
                   "Lets two databases change places.",
                   "4.0.0",
                   "O(N)",
                   Group::kServer,
                   3,
                   kWrite | kFast | kCatDangerous | kCatKeyspace,
                   {},
                   Swapdb});
}

}  // namespace sluice
