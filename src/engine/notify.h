// Keyspace notifications: what is announced of a change, and to which channels. A change names its
// event ("lpush"); the event's class, one of the letters of notify-keyspace-events, follows from
// the name by the table in notify.cc. An event that is not in the table is never announced, so a
// new one gets its line there (scripts/check compares the names that handlers use).
#pragma once

#include <string_view>

namespace sluice {

// g generic, $ string, l list, s set, h hash, z sorted set, t stream, x expired, e evicted,
// m key miss, n new key; 0: there is no such event.
char EventClass(std::string_view event);

// Whether a value of notify-keyspace-events, as CONFIG GET shows it, includes a class.
bool IncludesEventClass(std::string_view directive, char event_class);

}  // namespace sluice
