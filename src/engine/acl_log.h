// What was refused lately, for ACL LOG.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "src/engine/acl_user.h"

namespace sluice {

// Where the refused command came from.
enum class AclContext : uint8_t { kTopLevel, kMulti, kLua };

struct AclLogEntry {
  uint64_t id = 0;
  uint64_t count = 1;
  Denied reason = Denied::kNothing;
  AclContext context = AclContext::kTopLevel;
  std::string object;  // the command, key or channel
  std::string user;
  std::string client;  // as CLIENT INFO describes it
  int64_t created_ms = 0;
  int64_t updated_ms = 0;
};

class AclLog {
 public:
  // The entry gets its id and times here. One that says the same as a recent one is counted there.
  void Add(AclLogEntry entry, int64_t now_ms, size_t max_len);
  void Clear() { entries_.clear(); }
  const std::deque<AclLogEntry>& entries() const { return entries_; }  // newest first

 private:
  std::deque<AclLogEntry> entries_;
  uint64_t next_id_ = 0;
};

std::string_view NameOf(Denied reason);       // "command", "key", "auth", "channel"
std::string_view NameOf(AclContext context);  // "toplevel", "multi", "lua"

}  // namespace sluice
