// SHA-1 (FIPS 180-4): the names of scripts. No secret hangs on it.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// 40 lower-case hex digits.
std::string Sha1Hex(std::string_view bytes);

}  // namespace sluice
