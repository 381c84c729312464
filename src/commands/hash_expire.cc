// Hashes: fields that expire. The commands are Redis 7.4's and 8.0's; their words come in any
// order, as they do in later versions.
#include "src/commands/hash_common.h"
#include "src/commands/keys_common.h"

namespace sluice {
namespace {

// As far as Redis keeps moments of fields.
constexpr int64_t kLastMoment = (int64_t{1} << 46) - 1;

// A time as commands give it: in seconds or milliseconds, from now on or from 1970 on.
struct TimeUnit {
  std::string_view word;
  bool seconds;
  bool relative;
};
constexpr TimeUnit kTimeUnits[] = {
    {"EX", true, true}, {"PX", false, true}, {"EXAT", true, false}, {"PXAT", false, false}};

// What stands behind the key (and HEXPIRE's time), after having been checked.
struct Words {
  Args fields;  // HSETEX: fields and values in turn
  ExpiryConditions conditions;
  bool if_none = false, if_all = false;  // HSETEX's FNX and FXX
  const TimeUnit* unit = nullptr;
  int64_t expires_at_ms = 0;
  bool keep_or_persist = false;  // HSETEX's KEEPTTL, HGETEX's PERSIST
};

enum class Syntax { kExpire, kGet, kSet };

bool ReadMoment(Call& call, size_t i, bool seconds, bool relative, int64_t* at_ms) {
  if (!call.ReadInteger(i, at_ms)) return false;
  if (*at_ms < 0) return call.Error("ERR invalid expire time, must be >= 0"), false;
  int64_t last = kLastMoment - (relative ? call.now_ms() : 0);
  if (*at_ms > last / (seconds ? 1000 : 1)) {
    call.Error("ERR invalid expire time in '" + std::string(call.row.name) + "' command");
    return false;
  }
  *at_ms = *at_ms * (seconds ? 1000 : 1) + (relative ? call.now_ms() : 0);
  return true;
}

// FIELDS, a number, and so many fields (or pairs), from argument *i on, which becomes their last.
bool ReadFields(Call& call, size_t* i, Syntax syntax, Args* fields) {
  if (fields->data()) return call.Error("ERR FIELDS keyword specified multiple times"), false;
  if (*i + 2 >= call.args.size()) {
    return call.Error("ERR FIELDS requires at least numfields and one field argument"), false;
  }
  int64_t count;
  if (!call.ReadRange(*i + 1, 1, INT32_MAX, &count,
                      syntax == Syntax::kExpire
                          ? "ERR Parameter `numFields` should be greater than 0"
                          : "ERR invalid number of fields")) {
    return false;
  }
  size_t words = static_cast<size_t>(count) * (syntax == Syntax::kSet ? 2 : 1);
  if (words > call.args.size() - *i - 2) return call.Error("ERR wrong number of arguments"), false;
  *fields = call.args.subspan(*i + 2, words);
  *i += 1 + words;
  return true;
}

bool ReadCondition(Call& call, size_t i, ExpiryConditions* conditions) {
  if (call.Is(i, "NX")) return conditions->nx = true;
  if (call.Is(i, "XX")) return conditions->xx = true;
  if (call.Is(i, "GT")) return conditions->gt = true;
  if (call.Is(i, "LT")) return conditions->lt = true;
  return false;
}

// One of HSETEX's and HGETEX's words about time, from argument *i on, which becomes the last read.
bool ReadTimeWord(Call& call, size_t* i, Syntax syntax, const TimeUnit* unit, Words* words) {
  if (words->unit || words->keep_or_persist) {
    call.Error("ERR Only one of EX, PX, EXAT, PXAT or " +
               std::string(syntax == Syntax::kSet ? "KEEPTTL" : "PERSIST") +
               " arguments can be specified");
    return false;
  }
  words->unit = unit;
  words->keep_or_persist = !unit;
  if (!unit) return true;
  if (++*i == call.args.size()) return call.Error("ERR missing expire time"), false;
  return ReadMoment(call, *i, unit->seconds, unit->relative, &words->expires_at_ms);
}

const TimeUnit* FindUnit(Call& call, size_t i) {
  for (const TimeUnit& unit : kTimeUnits) {
    if (call.Is(i, unit.word)) return &unit;
  }
  return nullptr;
}

bool ReadWords(Call& call, size_t first, Syntax syntax, Words* words) {
  bool set = syntax == Syntax::kSet;
  for (size_t i = first; i < call.args.size(); ++i) {
    const TimeUnit* unit = syntax == Syntax::kExpire ? nullptr : FindUnit(call, i);
    if (call.Is(i, "FIELDS")) {
      if (!ReadFields(call, &i, syntax, &words->fields)) return false;
    } else if (syntax == Syntax::kExpire && ReadCondition(call, i, &words->conditions)) {
      continue;
    } else if (set && (call.Is(i, "FNX") || call.Is(i, "FXX"))) {
      if (words->if_none || words->if_all) {
        return call.Error("ERR Only one of FXX or FNX arguments can be specified"), false;
      }
      (call.Is(i, "FNX") ? words->if_none : words->if_all) = true;
    } else if (unit || (set && call.Is(i, "KEEPTTL")) ||
               (syntax == Syntax::kGet && call.Is(i, "PERSIST"))) {
      if (!ReadTimeWord(call, &i, syntax, unit, words)) return false;
    } else {
      return call.Error("ERR unknown argument: " + std::string(call.args[i])), false;
    }
  }
  if (!words->fields.data()) return call.Error("ERR missing FIELDS argument"), false;
  const ExpiryConditions& c = words->conditions;
  if (c.nx + c.xx + c.gt + c.lt > 1) {
    return call.Error("ERR Multiple condition flags specified"), false;
  }
  return true;
}

// The stricter form of HTTL, HPERSIST and HGETDEL: nothing but FIELDS, a number and the fields.
bool ReadFieldsOnly(Call& call, Args* fields) {
  if (!call.Is(2, "FIELDS")) {
    call.Error("ERR Mandatory argument FIELDS is missing or not at the right position");
    return false;
  }
  int64_t count;
  if (!call.ReadRange(3, 1, INT64_MAX, &count, "ERR Number of fields must be a positive integer")) {
    return false;
  }
  *fields = call.args.subspan(4);
  if (static_cast<size_t>(count) == fields->size()) return true;
  call.Error("ERR The `numfields` parameter must match the number of arguments");
  return false;
}

// What a command has done to the fields of a hash, to be told once at its end.
struct Changes {
  bool deleted = false, expires = false, persisted = false;

  void Tell(Call& call, Key* key, Hash* hash) const {
    if (expires) call.Changed(key->name, "hexpire");
    if (persisted) call.Changed(key->name, "hpersist");
    if (deleted) call.Changed(key->name, "hdel");
    if (deleted) RemoveIfEmpty(call, key, hash);
  }
};

// ---- HEXPIRE and its relatives

constexpr int64_t kNoField = -2, kNoTime = -1;

void ReplyNoFields(Call& call, size_t n) {
  call.reply.ArrayHeader(n);
  for (size_t i = 0; i < n; ++i) call.reply.Integer(kNoField);
}

// Gives a field that is there a moment, or deletes it when that is over.
void SetMoment(Call& call, Hash* hash, std::string_view name, int64_t at_ms, Changes* changes) {
  if (at_ms <= call.now_ms()) {
    changes->deleted |= hash->Delete(name);
  } else {
    hash->SetExpiry(name, at_ms);
    changes->expires = true;
  }
}

void ExpireAt(Call& call, bool seconds, bool relative) {
  constexpr int64_t kNotMet = 0, kSet = 1, kDeleted = 2;
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  int64_t at_ms;
  if (!ReadMoment(call, 2, seconds, relative, &at_ms)) return;
  Words words;
  if (!ReadWords(call, 3, Syntax::kExpire, &words)) return;
  if (!key) return ReplyNoFields(call, words.fields.size());

  Hash hash = OpenHash(call, key);
  Changes changes;
  call.reply.ArrayHeader(words.fields.size());
  for (std::string_view name : words.fields) {
    auto field = hash.Find(name);
    if (!field) {
      call.reply.Integer(kNoField);
    } else if (!words.conditions.Allow(field->expires_at_ms, at_ms)) {
      call.reply.Integer(kNotMet);
    } else {
      SetMoment(call, &hash, name, at_ms, &changes);
      call.reply.Integer(at_ms <= call.now_ms() ? kDeleted : kSet);
    }
  }
  changes.Tell(call, key, &hash);
}

void Hexpire(Call& call) { ExpireAt(call, true, true); }
void Hpexpire(Call& call) { ExpireAt(call, false, true); }
void Hexpireat(Call& call) { ExpireAt(call, true, false); }
void Hpexpireat(Call& call) { ExpireAt(call, false, false); }

void ReplyTimes(Call& call, bool seconds, bool relative) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  Args fields;
  if (!ReadFieldsOnly(call, &fields)) return;
  if (!key) return ReplyNoFields(call, fields.size());
  Hash hash = OpenHash(call, key);
  call.reply.ArrayHeader(fields.size());
  for (std::string_view name : fields) {
    auto field = hash.Find(name);
    if (!field || !field->expires_at_ms) {
      call.reply.Integer(field ? kNoTime : kNoField);
      continue;
    }
    int64_t ms = field->expires_at_ms - (relative ? call.now_ms() : 0);
    call.reply.Integer(seconds ? (ms + 999) / 1000 : ms);
  }
}

void Httl(Call& call) { ReplyTimes(call, true, true); }
void Hpttl(Call& call) { ReplyTimes(call, false, true); }
void Hexpiretime(Call& call) { ReplyTimes(call, true, false); }
void Hpexpiretime(Call& call) { ReplyTimes(call, false, false); }

void Hpersist(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  Args fields;
  if (!ReadFieldsOnly(call, &fields)) return;
  if (!key) return ReplyNoFields(call, fields.size());
  Hash hash = OpenHash(call, key);
  Changes changes;
  call.reply.ArrayHeader(fields.size());
  for (std::string_view name : fields) {
    auto field = hash.Find(name);
    if (!field || !field->expires_at_ms) {
      call.reply.Integer(field ? kNoTime : kNoField);
      continue;
    }
    hash.SetExpiry(name, 0);
    changes.persisted = true;
    call.reply.Integer(1);
  }
  changes.Tell(call, key, &hash);
}

// ---- values and times at once

// Replies the fields' values; `then` does something to each of them that is there.
template <typename Then>
void ReplyValues(Call& call, Key* key, Args fields, Then then) {
  call.reply.ArrayHeader(fields.size());
  if (!key) {
    for (size_t i = 0; i < fields.size(); ++i) call.reply.Null();
    return;
  }
  Hash hash = OpenHash(call, key);
  Changes changes;
  for (std::string_view name : fields) {
    auto field = hash.Find(name);
    if (!field) {
      call.reply.Null();
      continue;
    }
    call.reply.Bulk(field->value);
    then(&hash, name, field->expires_at_ms, &changes);
  }
  changes.Tell(call, key, &hash);
}

void Hgetex(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  Words words;
  if (!ReadWords(call, 2, Syntax::kGet, &words)) return;
  ReplyValues(call, key, words.fields,
              [&](Hash* hash, std::string_view name, int64_t had_ms, Changes* changes) {
                if (words.unit) SetMoment(call, hash, name, words.expires_at_ms, changes);
                if (!words.keep_or_persist || !had_ms) return;
                hash->SetExpiry(name, 0);
                changes->persisted = true;
              });
}

void Hgetdel(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  Args fields;
  if (!ReadFieldsOnly(call, &fields)) return;
  ReplyValues(call, key, fields, [](Hash* hash, std::string_view name, int64_t, Changes* changes) {
    changes->deleted |= hash->Delete(name);
  });
}

bool MaySet(Call& call, Key* key, const Words& words) {
  if (!words.if_none && !words.if_all) return true;
  if (!key) return words.if_none;
  Hash hash = OpenHash(call, key);
  for (size_t i = 0; i < words.fields.size(); i += 2) {
    if (hash.Find(words.fields[i]).has_value() != words.if_all) return false;
  }
  return true;
}

void Hsetex(Call& call) {
  std::string_view name = call.args[1];
  Key* key;
  if (!FindHash(call, name, &key)) return;
  Words words;
  if (!ReadWords(call, 2, Syntax::kSet, &words)) return;
  if (!MaySet(call, key, words)) return call.reply.Integer(0);
  call.reply.Integer(1);

  // Set and over at once: the fields are only deleted.
  bool over = words.unit && words.expires_at_ms <= call.now_ms();
  if (over && !key) return;
  Hash hash = OpenOrCreateHash(call, &key, name);
  Changes changes;
  changes.expires = words.unit && !over;
  for (size_t i = 0; i < words.fields.size(); i += 2) {
    std::string_view field = words.fields[i];
    int64_t at_ms = words.expires_at_ms;
    if (words.keep_or_persist) {
      if (auto old = hash.Find(field)) at_ms = old->expires_at_ms;
    }
    if (over) {
      changes.deleted |= hash.Delete(field);
    } else {
      hash.Set(field, words.fields[i + 1], at_ms);
    }
  }
  if (!over) call.Changed(name, "hset");
  changes.Tell(call, key, &hash);
}

void AddTimeRows(Rows* rows) {
  auto add = [&](std::string_view name, std::string_view syntax, std::string_view summary,
                 uint32_t flags, int key, Handler handler,
                 std::vector<std::string_view> tips = {}) {
    int arity = flags & kDenyOom ? -6 : -5;
    rows->push_back({name,
                     syntax,
                     summary,
                     "7.4.0",
                     "O(N)",
                     Group::kHash,
                     arity,
                     flags | kFast,
                     {KeySpec::At(1, key)},
                     handler,
                     std::move(tips)});
  };
  constexpr uint32_t kSets = kWrite | kDenyOom;
  constexpr int kUpdates = KeySpec::kRW | KeySpec::kUpdate,
                kLooks = KeySpec::kRO | KeySpec::kAccess;
  add("hexpire", "key seconds:int [condition(NX|XX|GT|LT)] FIELDS=fields(numfields:int field...)",
      "Lets fields of a hash expire after some seconds.", kSets, kUpdates, Hexpire);
  add("hpexpire",
      "key milliseconds:int [condition(NX|XX|GT|LT)] FIELDS=fields(numfields:int field...)",
      "Lets fields of a hash expire after some milliseconds.", kSets, kUpdates, Hpexpire);
  add("hexpireat",
      "key unix-time-seconds:time [condition(NX|XX|GT|LT)] FIELDS=fields(numfields:int field...)",
      "Lets fields of a hash expire at a Unix time in seconds.", kSets, kUpdates, Hexpireat);
  add("hpexpireat",
      "key unix-time-milliseconds:time [condition(NX|XX|GT|LT)] "
      "FIELDS=fields(numfields:int field...)",
      "Lets fields of a hash expire at a Unix time in milliseconds.", kSets, kUpdates, Hpexpireat);
  constexpr std::string_view kFields = "key FIELDS=fields(numfields:int field...)";
  add("httl", kFields, "Tells how many seconds fields of a hash have to live.", kReadonly, kLooks,
      Httl, {"nondeterministic_output"});
  add("hpttl", kFields, "Tells how many milliseconds fields of a hash have to live.", kReadonly,
      kLooks, Hpttl, {"nondeterministic_output"});
  add("hexpiretime", kFields, "Tells when fields of a hash expire, as Unix times in seconds.",
      kReadonly, kLooks, Hexpiretime);
  add("hpexpiretime", kFields, "Tells when fields of a hash expire, as Unix times in milliseconds.",
      kReadonly, kLooks, Hpexpiretime);
  add("hpersist", kFields, "Lets fields of a hash live for ever.", kWrite, kUpdates, Hpersist);
}

}  // namespace

void AddHashExpireRows(Rows* rows) {
  AddTimeRows(rows);
  rows->push_back(
      {"hgetex",
       "key [expiration(EX=seconds:int|PX=milliseconds:int|EXAT=unix-time-seconds:time|"
       "PXAT=unix-time-milliseconds:time|PERSIST)] FIELDS=fields(numfields:int field...)",
       "Reads fields of a hash and changes when they expire.",
       "8.0.0",
       "O(N)",
       Group::kHash,
       -5,
       kWrite | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
       Hgetex});
  rows->push_back({"hsetex",
                   "key [condition(FNX|FXX)] [expiration(EX=seconds:int|PX=milliseconds:int|"
                   "EXAT=unix-time-seconds:time|PXAT=unix-time-milliseconds:time|KEEPTTL)] "
                   "FIELDS=fields(numfields:int data(field value)...)",
                   "Gives fields of a hash values and a time to live.",
                   "8.0.0",
                   "O(N)",
                   Group::kHash,
                   -6,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Hsetex});
  rows->push_back({"hgetdel",
                   "key FIELDS=fields(numfields:int field...)",
                   "Reads fields of a hash and removes them.",
                   "8.0.0",
                   "O(N)",
                   Group::kHash,
                   -5,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Hgetdel});
}

}  // namespace sluice
