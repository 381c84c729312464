// What a script says of itself in its first line (#!lua flags=...), or a function when it is
// registered.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

enum ScriptFlags : uint32_t {
  kNoWrites = 1 << 0,
  kAllowOom = 1 << 1,  // may add data although the disk is full
  kAllowStale = 1 << 2,
  kNoCluster = 1 << 3,
  kAllowCrossSlotKeys = 1 << 4,
  // A script without such a line: whether it may go on is asked at each command it executes.
  kNoShebang = 1 << 8,
};

inline constexpr struct {
  std::string_view name;
  uint32_t flag;
} kScriptFlagNames[] = {{"no-writes", kNoWrites},
                        {"allow-oom", kAllowOom},
                        {"allow-stale", kAllowStale},
                        {"no-cluster", kNoCluster},
                        {"allow-cross-slot-keys", kAllowCrossSlotKeys}};

// 0: there is none of that name.
inline uint32_t ScriptFlag(std::string_view name) {
  for (auto& known : kScriptFlagNames) {
    if (known.name == name) return known.flag;
  }
  return 0;
}

}  // namespace sluice
