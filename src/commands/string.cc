// Strings as a whole: set, get, and both at once. Looking into them and changing a part is in
// string_edit.cc.
#include <optional>

#include "src/commands/families.h"
#include "src/commands/string_common.h"
#include "src/commands/string_options.h"

namespace sluice {

String OpenString(Call& call, Key* key) { return String(call.env(), &call.keys(), key); }

bool FindToChange(Call& call, std::string_view name, Key** key) {
  *key = call.Peek(name);
  if (!*key) return true;
  if ((*key)->type != Type::kString) return call.Error(errors::kWrongType), false;
  (*key)->accessed_ms = call.now_ms();
  return true;
}

void ReplyStretch(Call& call, String* string, uint64_t offset, uint64_t length) {
  if (length <= 2 * String::kChunkBytes) return call.reply.Bulk(string->Read(offset, length));
  call.reply.Raw("$" + std::to_string(length) + "\r\n");
  string->Walk(offset, length, [&](std::string_view piece) { call.reply.Raw(piece); });
  call.reply.Raw("\r\n");
}

void ReplyValue(Call& call, Key* key) {
  if (!key) return call.reply.Null();
  String string = OpenString(call, key);
  ReplyStretch(call, &string, 0, string.size());
}

Key* SetValue(Call& call, Key* key, std::string_view name, std::string_view value,
              bool keep_expiry) {
  int64_t expiry = key && keep_expiry ? key->expires_at_ms : 0;
  if (!key) {
    key = &call.Create(name, Type::kString);
  } else if (key->type != Type::kString) {
    call.Remove(key);
    key = &call.keys().Create(call.db(), name, Type::kString);
  }
  call.keys().SetExpiry(key, expiry);
  OpenString(call, key).Assign(value);
  key->accessed_ms = call.now_ms();
  return key;
}

void SetAndExpire(Call& call, Key* key, std::string_view name, std::string_view value,
                  std::optional<int64_t> expires_at, bool keep_ttl) {
  key = SetValue(call, key, name, value, keep_ttl);
  if (expires_at) call.keys().SetExpiry(key, *expires_at);
  call.Changed(name, "set");
  if (expires_at) call.Changed(name, "expire");
}

namespace {

void Set(Call& call) {
  StringOptions options;
  std::optional<int64_t> expires_at;
  constexpr unsigned kWords = kExistence | kComparisons | kGetWord | kTimes | kKeepTtl;
  if (!ReadStringOptions(call, kWords, 3, &options) || !ReadExpiry(call, options, &expires_at)) {
    return;
  }

  std::string_view name = call.args[1];
  Key* key;
  if (options.get || options.comparison) {
    if (!call.LookupType(name, Type::kString, &key)) return;
    call.CountLookup(name, key);
  } else {
    key = call.Peek(name);
  }
  if (options.get) ReplyValue(call, key);
  if (!Holds(call, options, key)) {
    if (!options.get) call.reply.Null();
    return;
  }
  SetAndExpire(call, key, name, call.args[2], expires_at, options.keep_ttl);
  if (!options.get) call.reply.Ok();
}

void Setnx(Call& call) {
  if (call.Peek(call.args[1])) return call.reply.Integer(0);
  SetAndExpire(call, nullptr, call.args[1], call.args[2], std::nullopt, false);
  call.reply.Integer(1);
}

void SetWithTime(Call& call, const TimeUnit& unit) {
  std::optional<int64_t> expires_at = ReadExpiry(call, 2, unit);
  if (!expires_at) return;
  SetAndExpire(call, call.Peek(call.args[1]), call.args[1], call.args[3], expires_at, false);
  call.reply.Ok();
}

void Setex(Call& call) { SetWithTime(call, kSeconds); }
void Psetex(Call& call) { SetWithTime(call, kMilliseconds); }

void Get(Call& call) {
  Key* key;
  if (call.LookupType(call.args[1], Type::kString, &key)) ReplyValue(call, key);
}

void Getset(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  call.CountLookup(call.args[1], key);
  ReplyValue(call, key);
  SetAndExpire(call, key, call.args[1], call.args[2], std::nullopt, false);
}

void Getdel(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  call.CountLookup(call.args[1], key);
  ReplyValue(call, key);
  if (!key) return;
  call.Remove(key);
  call.Changed(call.args[1], "del");
}

void Getex(Call& call) {
  StringOptions options;
  if (!ReadStringOptions(call, kTimes | kPersist, 2, &options)) return;
  std::string_view name = call.args[1];
  Key* key;
  if (!call.LookupType(name, Type::kString, &key)) return;
  call.CountLookup(call.args[1], key);
  if (!key) return call.reply.Null();
  std::optional<int64_t> expires_at;
  if (!ReadExpiry(call, options, &expires_at)) return;

  ReplyValue(call, key);
  if (expires_at && !options.unit->relative && *expires_at <= call.now_ms()) {
    call.Remove(key);
    call.Changed(name, "del");
  } else if (expires_at) {
    call.keys().SetExpiry(key, *expires_at);
    call.Changed(name, "expire");
  } else if (options.persist && key->expires_at_ms) {
    call.keys().SetExpiry(key, 0);
    call.Changed(name, "persist");
  }
}

void Mget(Call& call) {
  call.reply.ArrayHeader(call.args.size() - 1);
  for (std::string_view name : call.args.subspan(1)) {
    Key* key = call.Lookup(name);
    ReplyValue(call, key && key->type == Type::kString ? key : nullptr);
  }
}

void SetPairs(Call& call) {
  for (size_t i = 1; i < call.args.size(); i += 2) {
    std::string_view name = call.args[i];
    SetAndExpire(call, call.Peek(name), name, call.args[i + 1], std::nullopt, false);
  }
}

void Mset(Call& call) {
  if (call.args.size() % 2 == 0) return call.WrongArity();
  SetPairs(call);
  call.reply.Ok();
}

void Msetnx(Call& call) {
  if (call.args.size() % 2 == 0) return call.WrongArity();
  for (size_t i = 1; i < call.args.size(); i += 2) {
    if (call.Peek(call.args[i])) return call.reply.Integer(0);
  }
  SetPairs(call);
  call.reply.Integer(1);
}

}  // namespace

void AddStringRows(Rows* rows) {
  AddStringEditRows(rows);
  AddNewerStringRows(rows);
  AddLcsRows(rows);
  rows->push_back({"set",
                   "key value [condition(NX|XX|IFEQ=ifeq-value@8.4.0|IFNE=ifne-value@8.4.0|"
                   "IFDEQ=ifdeq-digest@8.4.0|IFDNE=ifdne-digest@8.4.0)@2.6.12] [GET@6.2.0] "
                   "[expiration(EX=seconds:int@2.6.12|PX=milliseconds:int@2.6.12|EXAT=unix-time-"
                   "seconds:time@6.2.0|PXAT=unix-time-milliseconds:time@6.2.0|KEEPTTL@6.0.0)]",
                   "Gives a key a string value, whatever it was before.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate |
                                       KeySpec::kVariableFlags)},
                   Set});
  rows->push_back({"setnx",
                   "key value",
                   "Gives a key a value if it does not exist.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kOW | KeySpec::kInsert)},
                   Setnx});
  rows->push_back({"setex",
                   "key seconds:int value",
                   "Gives a key a value and seconds to live.",
                   "2.0.0",
                   "O(1)",
                   Group::kString,
                   4,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kOW | KeySpec::kUpdate)},
                   Setex});
  rows->push_back({"psetex",
                   "key milliseconds:int value",
                   "Gives a key a value and milliseconds to live.",
                   "2.6.0",
                   "O(1)",
                   Group::kString,
                   4,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kOW | KeySpec::kUpdate)},
                   Psetex});
  rows->push_back({"get",
                   "key",
                   "Returns a string.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Get});
  rows->push_back({"getset",
                   "key value",
                   "Replaces a string and returns the one before.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Getset,
                   {},
                   "6.2.0",
                   "`SET`"});
  rows->push_back({"getdel",
                   "key",
                   "Returns a string and deletes its key.",
                   "6.2.0",
                   "O(1)",
                   Group::kString,
                   2,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Getdel});
  rows->push_back({"getex",
                   "key "
                   "[expiration(EX=seconds:int|PX=milliseconds:int|EXAT=unix-time-seconds:time|"
                   "PXAT=unix-time-milliseconds:time|PERSIST)]",
                   "Returns a string and changes when its key expires.",
                   "6.2.0",
                   "O(1)",
                   Group::kString,
                   -2,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Getex});
  rows->push_back({"mget",
                   "key...",
                   "Returns the strings of several keys.",
                   "1.0.0",
                   "O(N)",
                   Group::kString,
                   -2,
                   kReadonly | kFast,
                   {KeySpec::Range(1, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Mget,
                   {"request_policy:multi_shard"}});
  rows->push_back({"mset",
                   "key_value(key value)...",
                   "Gives several keys their values at once.",
                   "1.0.1",
                   "O(N)",
                   Group::kString,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::Range(1, -1, KeySpec::kOW | KeySpec::kUpdate, 2)},
                   Mset,
                   {"request_policy:multi_shard", "response_policy:all_succeeded"}});
  rows->push_back({"msetnx",
                   "key_value(key value)...",
                   "Gives several keys their values if none of them exists.",
                   "1.0.1",
                   "O(N)",
                   Group::kString,
                   -3,
                   kWrite | kDenyOom,
                   {KeySpec::Range(1, -1, KeySpec::kOW | KeySpec::kInsert, 2)},
                   Msetnx,
                   {"request_policy:multi_shard", "response_policy:agg_min"}});
}

}  // namespace sluice
