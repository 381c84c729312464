// What this program calls itself.
#pragma once

namespace sluice {

inline constexpr const char* kVersion = "0.1.0";
inline constexpr const char* kVersionLine = "Sluice v=0.1.0 (Redis protocol, 7.4.0 commands)";

}  // namespace sluice
