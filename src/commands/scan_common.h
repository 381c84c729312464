// What SCAN, HSCAN, SSCAN and ZSCAN have in common: a cursor and the words behind it.
#pragma once

#include <optional>
#include <string_view>

#include "src/engine/call.h"

namespace sluice {

struct ScanOptions {
  int64_t count = 10;
  std::string_view pattern = "*";
  std::optional<std::string_view> type;  // SCAN only
  bool no_values = false;                // HSCAN only

  bool Matches(std::string_view name) const { return pattern == "*" || GlobMatch(pattern, name); }
};

// Replies an error and returns false when the argument is no cursor.
bool ReadCursor(Call& call, size_t i, uint64_t* cursor);
// Reads the words from `first` on; replies an error and returns false when they make no sense.
bool ReadScanOptions(Call& call, size_t first, ScanOptions* options);

}  // namespace sluice
