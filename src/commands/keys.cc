// Keys of any type: whether they exist, and under which name. Walks over whole databases are in
// database.cc, times to live in expire.cc.
#include "src/commands/families.h"
#include "src/commands/keys_common.h"

namespace sluice {

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kString:
      return "string";
    case Type::kList:
      return "list";
    case Type::kStream:
      return "stream";
    case Type::kHash:
      return "hash";
    case Type::kSet:
      return "set";
    case Type::kSortedSet:
      return "zset";
  }
  return "unknown";
}

bool ReadDatabaseNumber(Call& call, size_t i, int* db, std::string_view error) {
  std::optional<int64_t> number = ParseInteger(call.args[i]);
  if (!number) return call.Error(error.empty() ? errors::kNotInteger : error), false;
  if (*number < INT32_MIN || *number > INT32_MAX) {
    if (error.empty()) {
      error = "ERR value is out of range, value must between -2147483648 and 2147483647";
    }
    return call.Error(error), false;
  }
  *db = static_cast<int>(*number);
  return true;
}

bool CheckDatabase(Call& call, int db) {
  if (db >= 0 && db < call.keys().databases()) return true;
  return call.Error("ERR DB index is out of range"), false;
}

namespace {

constexpr std::string_view kSameObject = "ERR source and destination objects are the same";

void Del(Call& call) {
  int64_t deleted = 0;
  for (std::string_view name : call.args.subspan(1)) {
    Key* key = call.Peek(name);
    if (!key) {
      // What nobody sees goes too, and does not count.
      if (Key* hidden = call.keys().FindHidden(call.db(), name)) {
        call.keys().Remove(hidden);
        call.Noted(name, "");
      }
      continue;
    }
    call.Remove(key);
    call.Changed(name, "del");
    ++deleted;
  }
  call.reply.Integer(deleted);
}

void Exists(Call& call) {
  int64_t there = 0;
  for (std::string_view name : call.args.subspan(1)) there += call.Peek(name) != nullptr;
  call.reply.Integer(there);
}

void Touch(Call& call) {
  int64_t there = 0;
  for (std::string_view name : call.args.subspan(1)) there += call.Lookup(name) != nullptr;
  call.reply.Integer(there);
}

void TypeOf(Call& call) {
  Key* key = call.Peek(call.args[1]);
  call.reply.SimpleString(key ? TypeName(key->type) : "none");
}

// Whoever waits for either name looks again: under the new one there is something, and the old one
// is gone (which matters to a group's reader).
void TellMoved(Call& call, int from_db, std::string_view from, int to_db, std::string_view to,
               std::string_view event_from, std::string_view event_to) {
  call.engine.KeyChanged(from_db, from, event_from);
  call.engine.KeyChanged(to_db, to, event_to);
  call.engine.KeyReady(from_db, from);
  call.engine.KeyReady(to_db, to);
}

void RenameTo(Call& call, bool replace) {
  std::string_view from = call.args[1], to = call.args[2];
  Key* source = call.Peek(from);
  if (!source) return call.Error(errors::kNoSuchKey);
  if (from == to) return replace ? call.reply.Ok() : call.reply.Integer(0);
  if (Key* there = call.Peek(to)) {
    if (!replace) return call.reply.Integer(0);
    call.Remove(there);
  }
  call.keys().Rename(source, call.db(), to);
  call.engine.KeyEvent(call.db(), to, "new");
  TellMoved(call, call.db(), from, call.db(), to, "rename_from", "rename_to");
  return replace ? call.reply.Ok() : call.reply.Integer(1);
}

void Rename(Call& call) { RenameTo(call, true); }
void Renamenx(Call& call) { RenameTo(call, false); }

void Move(Call& call) {
  std::string_view name = call.args[1];
  int to;
  if (!ReadDatabaseNumber(call, 2, &to) || !CheckDatabase(call, to)) return;
  if (to == call.db()) return call.Error(kSameObject);
  Key* source = call.Peek(name);
  if (!source || call.engine.Lookup(call.session, to, name, false)) return call.reply.Integer(0);
  call.keys().Rename(source, to, name);
  call.engine.KeyEvent(to, name, "new");
  TellMoved(call, call.db(), name, to, name, "move_from", "move_to");
  call.reply.Integer(1);
}

void Copy(Call& call) {
  std::string_view from = call.args[1], to = call.args[2];
  int to_db = call.db();
  bool replace = false;
  for (size_t i = 3; i < call.args.size(); ++i) {
    if (call.Is(i, "REPLACE")) {
      replace = true;
    } else if (call.Is(i, "DB") && i + 1 < call.args.size()) {
      if (!ReadDatabaseNumber(call, ++i, &to_db) || !CheckDatabase(call, to_db)) return;
    } else {
      return call.Error(errors::kSyntax);
    }
  }
  if (to_db == call.db() && from == to) return call.Error(kSameObject);
  Key* source = call.Lookup(from);
  call.CountLookup(from, source);
  if (!source) return call.reply.Integer(0);
  if (Key* there = call.engine.Lookup(call.session, to_db, to, false)) {
    if (!replace) return call.reply.Integer(0);
    call.engine.RemoveKey(to_db, there, true);
  }
  call.keys().Copy(source, to_db, to).accessed_ms = call.now_ms();
  call.engine.KeyEvent(to_db, to, "new");
  call.engine.KeyChanged(to_db, to, "copy_to");
  call.engine.KeyReady(to_db, to);
  call.reply.Integer(1);
}

}  // namespace

void AddKeyRows(Rows* rows) {
  AddDatabaseRows(rows);
  AddObjectRows(rows);
  rows->push_back({"del",
                   "key...",
                   "Deletes keys.",
                   "1.0.0",
                   "O(N)",
                   Group::kGeneric,
                   -2,
                   kWrite,
                   {KeySpec::Range(1, -1, KeySpec::kRM | KeySpec::kDelete)},
                   Del,
                   {"request_policy:multi_shard", "response_policy:agg_sum"}});
  rows->push_back({"unlink",
                   "key...",
                   "Deletes keys; what they held is reclaimed in the background, as with DEL.",
                   "4.0.0",
                   "O(1)",
                   Group::kGeneric,
                   -2,
                   kWrite | kFast,
                   {KeySpec::Range(1, -1, KeySpec::kRM | KeySpec::kDelete)},
                   Del,
                   {"request_policy:multi_shard", "response_policy:agg_sum"}});
  rows->push_back({"exists",
                   "key...",
                   "Counts which of the keys exist.",
                   "1.0.0",
                   "O(N)",
                   Group::kGeneric,
                   -2,
                   kReadonly | kFast,
                   {KeySpec::Range(1, -1, KeySpec::kRO)},
                   Exists,
                   {"request_policy:multi_shard", "response_policy:agg_sum"}});
  rows->push_back({"touch",
                   "key...",
                   "Counts which of the keys exist and marks them as just used.",
                   "3.2.1",
                   "O(N)",
                   Group::kGeneric,
                   -2,
                   kReadonly | kFast,
                   {KeySpec::Range(1, -1, KeySpec::kRO)},
                   Touch,
                   {"request_policy:multi_shard", "response_policy:agg_sum"}});
  rows->push_back({"type",
                   "key",
                   "Tells what kind of value a key holds.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   TypeOf});
  rows->push_back({"rename",
                   "key newkey:key1",
                   "Gives a key another name and drops what had that name.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kWrite,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kOW | KeySpec::kUpdate)},
                   Rename});
  rows->push_back({"renamenx",
                   "key newkey:key1",
                   "Gives a key another name unless that is taken.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kOW | KeySpec::kInsert)},
                   Renamenx});
  rows->push_back({"move",
                   "key db:int",
                   "Moves a key to another database.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Move});
  rows->push_back({"copy",
                   "source:key destination:key1 [DB=destination-db:int] [REPLACE]",
                   "Copies a key and its value to another name.",
                   "6.2.0",
                   "O(N)",
                   Group::kGeneric,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess),
                    KeySpec::At(2, KeySpec::kOW | KeySpec::kUpdate)},
                   Copy});
}

}  // namespace sluice
