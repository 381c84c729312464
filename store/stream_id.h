// The id of a stream entry: milliseconds and a sequence number, ordered as one 128-bit number.
#pragma once

#include <compare>
#include <cstdint>

namespace sluice {

struct StreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;

  static constexpr StreamId Max() { return {UINT64_MAX, UINT64_MAX}; }
  constexpr bool zero() const { return ms == 0 && seq == 0; }
  auto operator<=>(const StreamId&) const = default;

  // To the next or previous id. At the end of the line they wrap around and return false.
  constexpr bool Increment() {
    if (++seq == 0) ++ms;
    return !zero();
  }
  constexpr bool Decrement() {
    bool possible = !zero();
    if (seq-- == 0) --ms;
    return possible;
  }
};

}  // namespace sluice
