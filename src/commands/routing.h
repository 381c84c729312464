// Copies of a stream's entries, made where its bindings lead.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "src/commands/stream_common.h"
#include "store/binding.h"

namespace sluice {

// How many bindings a stream has at most, and how many keys one entry is tried to be copied to.
// Both keep what one command does, and its batch, within bounds.
inline constexpr uint64_t kMaxBindings = 1024;
inline constexpr uint64_t kMaxCopies = 4096;

// Copies an entry of `name` that has just become visible to everywhere its bindings lead, and
// theirs: breadth first, to no key twice.
struct RoutedEntry {
  std::span<const std::string_view> pairs;
  int64_t expires_at_ms = 0;  // 0: never
  std::string_view open;      // a stream that the caller has open besides, which gets no copy
};
void RouteEntry(Call& call, int db, std::string_view name, const Stream& stream,
                const RoutedEntry& entry);

// Whether the entry is one for the binding's destination.
bool Selects(const Binding& binding, std::span<const std::string_view> pairs);
// AMQP's patterns: words between dots; * is one of them, # any number.
bool TopicMatch(std::string_view pattern, std::string_view text);

void AddBindingRows(Rows* rows);

}  // namespace sluice
