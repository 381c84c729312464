#include "src/engine/acl_log.h"

namespace sluice {
namespace {

// Only so many entries are looked through for the same one, and only young ones count as the same.
constexpr size_t kLookedThrough = 10;
constexpr int64_t kSameWithinMs = 60'000;

}  // namespace

void AclLog::Add(AclLogEntry entry, int64_t now_ms, size_t max_len) {
  for (size_t i = 0; i < entries_.size() && i < kLookedThrough; ++i) {
    AclLogEntry& old = entries_[i];
    if (old.reason != entry.reason || old.context != entry.context || old.object != entry.object ||
        old.user != entry.user || now_ms - old.updated_ms > kSameWithinMs) {
      continue;
    }
    ++old.count;
    old.updated_ms = now_ms;
    old.client = std::move(entry.client);
    return;
  }
  entry.id = next_id_++;
  entry.created_ms = entry.updated_ms = now_ms;
  entries_.push_front(std::move(entry));
  if (entries_.size() > max_len) entries_.resize(max_len);
}

std::string_view NameOf(Denied reason) {
  switch (reason) {
    case Denied::kNothing:
      return "";
    case Denied::kCommand:
      return "command";
    case Denied::kKey:
      return "key";
    case Denied::kAuth:
      return "auth";
    case Denied::kChannel:
      return "channel";
  }
  return "";
}

std::string_view NameOf(AclContext context) {
  switch (context) {
    case AclContext::kTopLevel:
      return "toplevel";
    case AclContext::kMulti:
      return "multi";
    case AclContext::kLua:
      return "lua";
  }
  return "";
}

}  // namespace sluice
