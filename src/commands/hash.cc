// Hashes: the commands about fields that are named. Those that walk over fields are in
// hash_scan.cc, those about fields' times in hash_expire.cc.
#include <cmath>
#include <vector>

#include "src/commands/families.h"
#include "src/commands/hash_common.h"

namespace sluice {
namespace {

// So many fields at once lose their lives to one timer or one command.
constexpr uint64_t kExpirySlice = 200;

}  // namespace

Hash OpenHash(Call& call, Key* key) {
  const Config& config = call.engine.config();
  Hash::Limits limits{static_cast<uint64_t>(config.hash_max_listpack_entries),
                      static_cast<uint64_t>(config.hash_max_listpack_value)};
  return Hash(call.env(), &call.keys(), key, call.now_ms(), limits);
}

void RemoveIfEmpty(Call& call, Key* key, Hash* hash) {
  if (hash->size() > 0) return;
  call.Remove(key);
  call.Changed(key->name, "del");
}

void ExpireHashFields(Call& call, Key* key) {
  int64_t fired_ms = key->timer_ms;
  Hash hash = OpenHash(call, key);
  if (hash.Expire(kExpirySlice) == 0) return;
  call.Changed(key->name, "hexpired");
  // More of the same moment: the engine takes off a timer that is left as it was.
  if (key->timer_ms == fired_ms) call.keys().SetTimer(key, fired_ms - 1);
  RemoveIfEmpty(call, key, &hash);
}

bool FindHash(Call& call, std::string_view name, Key** key) {
  if (!call.LookupType(name, Type::kHash, key)) return false;
  if (!*key || !OpenHash(call, *key).overdue()) return true;
  ExpireHashFields(call, *key);
  if (!(*key)->exists) *key = nullptr;
  return true;
}

Hash OpenOrCreateHash(Call& call, Key** key, std::string_view name) {
  if (!*key) {
    *key = &call.Create(name, Type::kHash);
    (*key)->accessed_ms = call.now_ms();
  }
  return OpenHash(call, *key);
}

namespace {

// ---- writing

// HSET and HMSET. Returns how many fields are new; -1 after an error.
int64_t SetAll(Call& call) {
  if (call.args.size() % 2) return call.WrongArity(), -1;
  std::string_view name = call.args[1];
  Key* key;
  if (!FindHash(call, name, &key)) return -1;
  Hash hash = OpenOrCreateHash(call, &key, name);
  int64_t added = 0;
  for (size_t i = 2; i < call.args.size(); i += 2)
    added += hash.Set(call.args[i], call.args[i + 1]);
  call.Changed(name, "hset");
  return added;
}

void Hset(Call& call) {
  int64_t added = SetAll(call);
  if (added >= 0) call.reply.Integer(added);
}

void Hmset(Call& call) {
  if (SetAll(call) >= 0) call.reply.Ok();
}

void Hsetnx(Call& call) {
  std::string_view name = call.args[1];
  Key* key;
  if (!FindHash(call, name, &key)) return;
  if (key && OpenHash(call, key).Find(call.args[2])) return call.reply.Integer(0);
  OpenOrCreateHash(call, &key, name).Set(call.args[2], call.args[3]);
  call.Changed(name, "hset");
  call.reply.Integer(1);
}

void Hdel(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  if (!key) return call.reply.Integer(0);
  Hash hash = OpenHash(call, key);
  int64_t deleted = 0;
  for (std::string_view field : call.args.subspan(2)) deleted += hash.Delete(field);
  if (deleted > 0) {
    call.Changed(call.args[1], "hdel");
    RemoveIfEmpty(call, key, &hash);
  }
  call.reply.Integer(deleted);
}

void Hincrby(Call& call) {
  std::string_view name = call.args[1];
  int64_t delta, number = 0, expiry = 0;
  if (!call.ReadInteger(3, &delta)) return;
  Key* key;
  if (!FindHash(call, name, &key)) return;
  if (key) {
    if (auto field = OpenHash(call, key).Find(call.args[2])) {
      std::optional<int64_t> old = ParseInteger(field->value);
      if (!old) return call.Error("ERR hash value is not an integer");
      number = *old;
      expiry = field->expires_at_ms;
    }
  }
  if (__builtin_add_overflow(number, delta, &number)) {
    return call.Error("ERR increment or decrement would overflow");
  }
  OpenOrCreateHash(call, &key, name).Set(call.args[2], std::to_string(number), expiry);
  call.Changed(name, "hincrby");
  call.reply.Integer(number);
}

void Hincrbyfloat(Call& call) {
  std::string_view name = call.args[1];
  std::optional<long double> delta = ParseLongDouble(call.args[3]), number = 0;
  if (!delta) return call.Error(errors::kNotFloat);
  if (std::isinf(*delta)) return call.Error("ERR value is NaN or Infinity");
  int64_t expiry = 0;
  Key* key;
  if (!FindHash(call, name, &key)) return;
  if (key) {
    if (auto field = OpenHash(call, key).Find(call.args[2])) {
      number = ParseLongDouble(field->value);
      if (!number) return call.Error("ERR hash value is not a float");
      expiry = field->expires_at_ms;
    }
  }
  long double sum = *number + *delta;
  if (std::isnan(sum) || std::isinf(sum)) {
    return call.Error("ERR increment would produce NaN or Infinity");
  }
  std::string text = SpellLongDouble(sum);
  OpenOrCreateHash(call, &key, name).Set(call.args[2], text, expiry);
  call.Changed(name, "hincrbyfloat");
  call.reply.Bulk(text);
}

// ---- reading

// The field that the second argument names; false after an error.
bool FindField(Call& call, std::optional<Hash::Field>* field) {
  field->reset();
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return false;
  if (key) *field = OpenHash(call, key).Find(call.args[2]);
  return true;
}

void Hget(Call& call) {
  std::optional<Hash::Field> field;
  if (!FindField(call, &field)) return;
  field ? call.reply.Bulk(field->value) : call.reply.Null();
}

void Hstrlen(Call& call) {
  std::optional<Hash::Field> field;
  if (!FindField(call, &field)) return;
  call.reply.Integer(field ? static_cast<int64_t>(field->value.size()) : 0);
}

void Hexists(Call& call) {
  std::optional<Hash::Field> field;
  if (FindField(call, &field)) call.reply.Integer(field.has_value());
}

void Hmget(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  Args fields = call.args.subspan(2);
  call.reply.ArrayHeader(fields.size());
  if (!key) {
    for (size_t i = 0; i < fields.size(); ++i) call.reply.Null();
    return;
  }
  Hash hash = OpenHash(call, key);
  for (std::string_view name : fields) {
    auto field = hash.Find(name);
    field ? call.reply.Bulk(field->value) : call.reply.Null();
  }
}

void Hlen(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  call.reply.Integer(key ? static_cast<int64_t>(OpenHash(call, key).size()) : 0);
}

void AddReadingRows(Rows* rows) {
  rows->push_back({"hget",
                   "key field",
                   "Reads the value of a field of a hash.",
                   "2.0.0",
                   "O(1)",
                   Group::kHash,
                   3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hget});
  rows->push_back({"hmget",
                   "key field...",
                   "Reads the values of several fields of a hash.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   -3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hmget});
  rows->push_back({"hlen",
                   "key",
                   "Says how many fields a hash has.",
                   "2.0.0",
                   "O(1)",
                   Group::kHash,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Hlen});
  rows->push_back({"hstrlen",
                   "key field",
                   "Says how long the value of a field is.",
                   "3.2.0",
                   "O(1)",
                   Group::kHash,
                   3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Hstrlen});
  rows->push_back({"hexists",
                   "key field",
                   "Says whether a hash has a field.",
                   "2.0.0",
                   "O(1)",
                   Group::kHash,
                   3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Hexists});
}

}  // namespace

void AddHashRows(Rows* rows) {
  AddReadingRows(rows);
  AddHashScanRows(rows);
  AddHashExpireRows(rows);
  rows->push_back({"hset",
                   "key field_value(field value)...",
                   "Gives fields of a hash values; the hash is made when missing.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   -4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Hset});
  rows->push_back({"hmset",
                   "key field_value(field value)...",
                   "Gives fields of a hash values; the older form of HSET.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   -4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Hmset,
                   {},
                   "4.0.0",
                   "`HSET` with multiple field-value pairs"});
  rows->push_back({"hsetnx",
                   "key field value",
                   "Gives a field of a hash a value unless it has one.",
                   "2.0.0",
                   "O(1)",
                   Group::kHash,
                   4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Hsetnx});
  rows->push_back({"hdel",
                   "key field...",
                   "Removes fields from a hash, and the hash with the last of them.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Hdel});
  rows->push_back({"hincrby",
                   "key field increment:int",
                   "Adds to an integer in a field; a missing one counts as zero.",
                   "2.0.0",
                   "O(1)",
                   Group::kHash,
                   4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Hincrby});
  rows->push_back({"hincrbyfloat",
                   "key field increment:double",
                   "Adds to a number with a fraction in a field; a missing one counts as zero.",
                   "2.6.0",
                   "O(1)",
                   Group::kHash,
                   4,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Hincrbyfloat});
}

}  // namespace sluice
