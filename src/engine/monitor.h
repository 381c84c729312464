// Commands as MONITOR and SLOWLOG show them.
#pragma once

#include <string>
#include <vector>

#include "src/engine/session.h"

namespace sluice {

// 1700000000.123456 [0 127.0.0.1:5000] "get" "key"
std::string MonitorLine(int64_t unix_us, const Session& from, Args args);

// At most 32 arguments of at most 128 bytes, with notes of what was left out.
std::vector<std::string> ShortenedArgs(Args args);

// The arguments with "(redacted)" in the place of secrets. The views live as long as `args`.
std::vector<std::string_view> Redacted(const Row& row, Args args);

// In double quotes, with Redis's escapes.
std::string Quoted(std::string_view bytes);

}  // namespace sluice
