// Small files, read and written whole.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Empty on success, else what the system says.
std::string ReadFile(const std::string& path, std::string* text);
// Puts a file in the place of another, or of none, so that after a crash there is the old one or
// the new one. Permissions stay. Empty on success, else what the system says; then the old file is
// untouched.
std::string ReplaceFile(const std::string& path, std::string_view text);

}  // namespace sluice
