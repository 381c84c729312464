// Passwords: their hashes, comparison that tells a guesser nothing, and new ones.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// SHA-256 as 64 lower-case hexadecimal digits: how passwords are kept and shown.
std::string Sha256Hex(std::string_view bytes);
// Takes the same time wherever the two differ. Their lengths are no secret.
bool SameSecret(std::string_view a, std::string_view b);
// So many random hexadecimal digits, from the system's generator for keys.
std::string RandomHex(size_t digits);

}  // namespace sluice
