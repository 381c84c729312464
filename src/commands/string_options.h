// The words behind a key and its value that SET, GETEX, MSETEX, DELEX and
// INCREX share: conditions and times to live.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/engine/call.h"
#include "store/string.h"

namespace sluice {

// A unit in which commands are told when a key expires.
struct TimeUnit {
  std::string_view word;
  bool seconds;
  bool relative;
};
inline constexpr TimeUnit kSeconds{"EX", true, true};
inline constexpr TimeUnit kMilliseconds{"PX", false, true};

struct StringOptions {
  bool nx = false, xx = false;
  bool get = false, keep_ttl = false, persist = false;
  // IFEQ, IFNE: the value, or its digest, is this, or is not.
  struct Comparison {
    bool equal, digest;
    std::string_view with;
  };
  std::optional<Comparison> comparison;
  const TimeUnit* unit = nullptr;
  size_t time = 0;  // the argument that holds the time
};

// Which of the words a command knows.
enum StringWords : unsigned {
  kExistence = 1,  // NX, XX
  kComparisons = 2,
  kGetWord = 4,
  kTimes = 8,
  kKeepTtl = 16,
  kPersist = 32,
};

// Takes args[*i], with what belongs to it, if it is one of the words and fits
// those before, and moves *i to the last argument taken.
bool TakeStringOption(Call& call, unsigned words, size_t* i, StringOptions* options);
// Nothing but such words from args[first] on; replies a syntax error and
// returns false otherwise.
bool ReadStringOptions(Call& call, unsigned words, size_t first, StringOptions* options);

// The unit args[i] names (EX, PX, EXAT, PXAT), or nullptr.
const TimeUnit* FindTimeUnit(const Call& call, size_t i);
// The moment args[i] means, or nullopt after replying what is wrong with it.
std::optional<int64_t> ReadExpiry(Call& call, size_t i, const TimeUnit& unit);
// The same of the options: `*at` stays without a value when they say nothing
// about time.
bool ReadExpiry(Call& call, const StringOptions& options, std::optional<int64_t>* at);

// XXH3-64 as 16 hexadecimal digits: DIGEST's answer.
std::string DigestOf(String* string);
// Whether the string under `key`, or nothing (nullptr), is what the options ask
// for.
bool Holds(Call& call, const StringOptions& options, Key* key);

}  // namespace sluice
