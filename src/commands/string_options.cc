#include "src/commands/string_options.h"

// Compiled in: nothing to link against.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdio>

#include "src/commands/string_common.h"

namespace sluice {
namespace {

constexpr TimeUnit kTimeUnits[] = {
    kSeconds, kMilliseconds, {"EXAT", true, false}, {"PXAT", false, false}};

struct ComparisonWord {
  std::string_view word;
  bool equal, digest;
};
constexpr ComparisonWord kComparisonWords[] = {
    {"IFEQ", true, false}, {"IFNE", false, false}, {"IFDEQ", true, true}, {"IFDNE", false, true}};

bool TakeComparison(Call& call, size_t* i, StringOptions* o) {
  if (o->nx || o->xx || o->comparison || *i + 1 >= call.args.size()) return false;
  for (const ComparisonWord& word : kComparisonWords) {
    if (!call.Is(*i, word.word)) continue;
    o->comparison = {word.equal, word.digest, call.args[++*i]};
    return true;
  }
  return false;
}

bool SameIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == y;
         });
}

}  // namespace

const TimeUnit* FindTimeUnit(const Call& call, size_t i) {
  for (const TimeUnit& unit : kTimeUnits) {
    if (call.Is(i, unit.word)) return &unit;
  }
  return nullptr;
}

bool TakeStringOption(Call& call, unsigned words, size_t* i, StringOptions* o) {
  if (words & kExistence && call.Is(*i, "NX") && !o->xx && !o->comparison) return o->nx = true;
  if (words & kExistence && call.Is(*i, "XX") && !o->nx && !o->comparison) return o->xx = true;
  if (words & kGetWord && call.Is(*i, "GET")) return o->get = true;
  if (words & kKeepTtl && call.Is(*i, "KEEPTTL") && !o->unit) return o->keep_ttl = true;
  if (words & kPersist && call.Is(*i, "PERSIST") && !o->unit) return o->persist = true;
  if (words & kComparisons && TakeComparison(call, i, o)) return true;
  const TimeUnit* unit = words & kTimes ? FindTimeUnit(call, *i) : nullptr;
  if (!unit || o->keep_ttl || o->persist || (o->unit && o->unit != unit)) return false;
  if (*i + 1 >= call.args.size()) return false;
  o->unit = unit;
  o->time = ++*i;
  return true;
}

bool ReadStringOptions(Call& call, unsigned words, size_t first, StringOptions* options) {
  for (size_t i = first; i < call.args.size(); ++i) {
    if (!TakeStringOption(call, words, &i, options)) return call.Error(errors::kSyntax), false;
  }
  return true;
}

std::optional<int64_t> ReadExpiry(Call& call, size_t i, const TimeUnit& unit) {
  int64_t at;
  if (!call.ReadInteger(i, &at)) return std::nullopt;
  int64_t scale = unit.seconds ? 1000 : 1;
  int64_t base = unit.relative ? call.now_ms() : 0;
  if (at <= 0 || at > INT64_MAX / scale || at * scale > INT64_MAX - base) {
    call.Error("ERR invalid expire time in '" + std::string(call.row.name) + "' command");
    return std::nullopt;
  }
  return at * scale + base;
}

bool ReadExpiry(Call& call, const StringOptions& options, std::optional<int64_t>* at) {
  if (!options.unit) return true;
  *at = ReadExpiry(call, options.time, *options.unit);
  return at->has_value();
}

std::string DigestOf(String* string) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  string->Walk(0, string->size(), [&](std::string_view piece) {
    XXH3_64bits_update(&state, piece.data(), piece.size());
  });
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits_digest(&state)));
  return hex;
}

bool Holds(Call& call, const StringOptions& options, Key* key) {
  if (options.nx) return !key;
  if (options.xx) return key;
  if (!options.comparison) return true;
  if (!key) return !options.comparison->equal;
  String string = OpenString(call, key);
  std::string_view with = options.comparison->with;
  bool same = options.comparison->digest ? SameIgnoringCase(with, DigestOf(&string))
                                         : with.size() == string.size() && with == string.value();
  return same == options.comparison->equal;
}

}  // namespace sluice
