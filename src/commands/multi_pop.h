// Popping from the first of several keys, and for a client that waits: what lists and sorted sets
// share.
#pragma once

#include <span>
#include <string_view>

#include "src/engine/call.h"

namespace sluice {

// The first of some keys that exists, nullptr when none does. False after replying WRONGTYPE.
bool FirstOf(Call& call, std::span<const std::string_view> names, Type type, Key** key);

// numkeys key... FIRST|LAST [COUNT n].
struct MultiPop {
  std::span<const std::string_view> names;
  bool first_end = true;
  int64_t count = 1;
  int64_t lease_ms = 0;  // 0: for good
};
inline constexpr std::string_view kInvalidLease = "ERR LEASE is not an integer or out of range";
// Reads one from args[at] on, where the ends have the names `first` and `last`; replies an error
// and returns false when it is none. `leases`: LEASE ms may stand before or behind the count.
bool ReadMultiPop(Call& call, size_t at, std::string_view first, std::string_view last,
                  MultiPop* pop, bool leases = false);

// Where a client that was woken notes what it takes; nullptr for one that has not waited: its reply
// is written at once.
PutBack* NewPutBack(Call& call, Type type, std::string_view key);

}  // namespace sluice
