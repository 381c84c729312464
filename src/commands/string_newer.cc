// What strings got after Redis 7.0: changing under a condition, several at once
// with a time to live, counting within bounds.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "src/commands/string_common.h"
#include "src/commands/string_options.h"

namespace sluice {
namespace {

void Digest(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  if (!key) return call.reply.Null();
  String string = OpenString(call, key);
  call.reply.Bulk(DigestOf(&string));
}

void Delex(Call& call) {
  std::string_view name = call.args[1];
  StringOptions options;
  if (!ReadStringOptions(call, kComparisons, 2, &options)) return;
  Key* key = call.Peek(name);
  if (!key) return call.reply.Integer(0);
  if (options.comparison && key->type != Type::kString) {
    return call.Error("ERR Key should be of string type if conditions are specified");
  }
  if (!Holds(call, options, key)) return call.reply.Integer(0);
  call.Remove(key);
  call.Changed(name, "del");
  call.reply.Integer(1);
}

void Msetex(Call& call) {
  int64_t pairs;
  if (!call.ReadRange(1, 1, INT32_MAX, &pairs, "ERR invalid numkeys value")) return;
  size_t end = 2 + 2 * static_cast<size_t>(pairs);
  if (end > call.args.size()) return call.Error("ERR wrong number of key-value pairs");
  StringOptions options;
  std::optional<int64_t> expires_at;
  if (!ReadStringOptions(call, kExistence | kTimes | kKeepTtl, end, &options) ||
      !ReadExpiry(call, options, &expires_at)) {
    return;
  }
  for (size_t i = 2; i < end; i += 2) {
    if (!Holds(call, options, call.Peek(call.args[i]))) return call.reply.Integer(0);
  }
  for (size_t i = 2; i < end; i += 2) {
    SetAndExpire(call, call.Peek(call.args[i]), call.args[i], call.args[i + 1], expires_at,
                 options.keep_ttl);
  }
  call.reply.Integer(1);
}

// ---- INCREX

constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";

struct Increx {
  StringOptions options;
  size_t by = 0, lower = 0,
         upper = 0;  // the arguments that hold these numbers; 0: not given
  bool is_float = false, saturates = false;
  bool only_without_ttl = false;  // ENX: the time is set if the key has none
  std::optional<int64_t> expires_at;
};

bool ReadIncrex(Call& call, Increx* o) {
  for (size_t i = 2; i < call.args.size(); ++i) {
    bool more = i + 1 < call.args.size();
    if (more && !o->by && (call.Is(i, "BYINT") || call.Is(i, "BYFLOAT"))) {
      o->is_float = call.Is(i, "BYFLOAT");
      o->by = ++i;
    } else if (more && call.Is(i, "LBOUND")) {
      o->lower = ++i;
    } else if (more && call.Is(i, "UBOUND")) {
      o->upper = ++i;
    } else if (call.Is(i, "SATURATE")) {
      o->saturates = true;
    } else if (call.Is(i, "ENX")) {
      o->only_without_ttl = true;
    } else if (!TakeStringOption(call, kTimes | kPersist, &i, &o->options)) {
      return call.Error(errors::kSyntax), false;
    }
  }
  if (o->only_without_ttl && !o->options.unit) return call.Error(errors::kSyntax), false;
  return ReadExpiry(call, o->options, &o->expires_at);
}

// How the two sorts of numbers are read, written and added up.
struct Integers {
  using Number = int64_t;
  static constexpr Number kLowest = INT64_MIN, kHighest = INT64_MAX;
  static constexpr std::string_view kNone = errors::kNotInteger;
  static constexpr std::string_view kEvent = "incrby";
  static std::optional<Number> Parse(std::string_view text) { return ParseInteger(text); }
  static std::string Spell(Number number) { return std::to_string(number); }
  static bool Add(Number a, Number b, Number* sum) { return !__builtin_add_overflow(a, b, sum); }
  static bool Subtract(Number a, Number b, Number* rest) {
    return !__builtin_sub_overflow(a, b, rest);
  }
  static void Reply(Call& call, Number number) { call.reply.Integer(number); }
};
struct Floats {
  using Number = long double;
  static constexpr Number kLowest = -HUGE_VALL, kHighest = HUGE_VALL;
  static constexpr std::string_view kNone = errors::kNotFloat;
  static constexpr std::string_view kEvent = "incrbyfloat";
  static std::optional<Number> Parse(std::string_view text) { return ParseLongDouble(text); }
  static std::string Spell(Number number) { return SpellLongDouble(number); }
  static bool Add(Number a, Number b, Number* sum) { return std::isfinite(*sum = a + b); }
  static bool Subtract(Number a, Number b, Number* rest) { return Add(a, -b, rest); }
  static void Reply(Call& call, Number number) { call.reply.Bulk(Spell(number)); }
};

// An argument, or what stands for it when it was not given. False after
// replying an error.
template <typename Kind>
bool ReadNumber(Call& call, size_t i, typename Kind::Number otherwise,
                typename Kind::Number* number) {
  std::optional<typename Kind::Number> given = otherwise;
  if (i) given = Kind::Parse(call.args[i]);
  if (!given) return call.Error(Kind::kNone), false;
  *number = *given;
  return true;
}

template <typename Kind>
void ReplyIncrex(Call& call, typename Kind::Number value, typename Kind::Number applied) {
  call.reply.ArrayHeader(2);
  Kind::Reply(call, value);
  Kind::Reply(call, applied);
}

void SetTime(Call& call, Key* key, const Increx& o) {
  bool expires = o.expires_at && (!o.only_without_ttl || !key->expires_at_ms);
  if (expires) {
    call.keys().SetExpiry(key, *o.expires_at);
    call.Changed(key->name, "expire");
  } else if (o.options.persist && key->expires_at_ms) {
    call.keys().SetExpiry(key, 0);
    call.Changed(key->name, "persist");
  }
}

template <typename Kind>
void Count(Call& call, const Increx& o) {
  using Number = typename Kind::Number;
  Number by, lower, upper;
  if (!ReadNumber<Kind>(call, o.by, 1, &by) ||
      !ReadNumber<Kind>(call, o.lower, Kind::kLowest, &lower) ||
      !ReadNumber<Kind>(call, o.upper, Kind::kHighest, &upper)) {
    return;
  }
  if (lower > upper) return call.Error("ERR LBOUND is greater than UBOUND");
  Key* key;
  if (!FindToChange(call, call.args[1], &key)) return;
  std::optional<Number> before = 0;
  if (key) before = Kind::Parse(OpenString(call, key).value());
  if (!before) return call.Error(Kind::kNone);

  Number sum;
  bool bounded = by < 0 ? o.lower != 0 : o.upper != 0;
  bool fits = Kind::Add(*before, by, &sum);
  if (!fits && !o.saturates && !bounded) return call.Error(kOverflow);
  if (!fits) sum = by < 0 ? Kind::kLowest : Kind::kHighest;
  if (!o.saturates && (!fits || sum < lower || sum > upper)) {
    return ReplyIncrex<Kind>(call, *before, 0);
  }
  sum = std::clamp(sum, lower, upper);
  Number applied;
  if (!Kind::Subtract(sum, *before, &applied)) return call.Error(kOverflow);
  key = SetValue(call, key, call.args[1], Kind::Spell(sum), true);
  call.Changed(call.args[1], Kind::kEvent);
  SetTime(call, key, o);
  ReplyIncrex<Kind>(call, sum, applied);
}

void IncrexCommand(Call& call) {
  Increx increx;
  if (!ReadIncrex(call, &increx)) return;
  increx.is_float ? Count<Floats>(call, increx) : Count<Integers>(call, increx);
}

}  // namespace

void AddNewerStringRows(Rows* rows) {
  rows->push_back({"digest",
                   "key",
                   "Returns a hash of a string's bytes (XXH3, 64 bits), in "
                   "hexadecimal digits.",
                   "8.4.0",
                   "O(N)",
                   Group::kString,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Digest});
  rows->push_back({"delex",
                   "key "
                   "[condition(IFEQ=ifeq-value|IFNE=ifne-value|IFDEQ=ifdeq-digest|IFDNE="
                   "ifdne-digest)]",
                   "Deletes a key if its value is, or is not, what is expected.",
                   "8.4.0",
                   "O(1)",
                   Group::kString,
                   -2,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Delex});
  rows->push_back({"msetex",
                   "numkeys:int key_value(key value)... [condition(NX|XX)] "
                   "[expiration(EX=seconds:int|PX=milliseconds:int|EXAT=unix-time-seconds:"
                   "time|"
                   "PXAT=unix-time-milliseconds:time|KEEPTTL)]",
                   "Gives several keys values and one time to live, if all exist, or none.",
                   "8.4.0",
                   "O(N)",
                   Group::kString,
                   -4,
                   kWrite | kDenyOom | kMovableKeys,
                   {KeySpec::Counted(1, KeySpec::kOW | KeySpec::kUpdate, 2)},
                   Msetex});
  rows->push_back({"increx",
                   "key [increment(BYINT=integer:int|BYFLOAT=float:double)] [LBOUND=lower] "
                   "[UBOUND=upper] [SATURATE] "
                   "[expiration(EX=seconds:int|PX=milliseconds:int|EXAT=unix-time-seconds:"
                   "time|"
                   "PXAT=unix-time-milliseconds:time|PERSIST)] [ENX]",
                   "Adds to a number within bounds, and sets its time to live.",
                   "8.8.0",
                   "O(1)",
                   Group::kString,
                   -2,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   IncrexCommand});
}

}  // namespace sluice
