// A rate: so many tokens in so many milliseconds. The bucket starts full, refills continuously and
// holds no more than `burst`.
#pragma once

#include <cstdint>

namespace sluice {

// On disk as it stands here.
struct TokenBucket {
  int64_t tokens = 0, per_ms = 0, burst = 0;  // no tokens: no rate
  // What is in it, in shares of a token (per_ms make one), and since when.
  int64_t level = 0, since_ms = 0;

  void Set(int64_t rate_tokens, int64_t rate_ms, int64_t most, int64_t now_ms);
  // How many may be taken; UINT64_MAX without a rate.
  uint64_t At(int64_t now_ms) const;
  // Takes no more than there are.
  void Take(int64_t now_ms, uint64_t n = 1);
  void GiveBack(uint64_t n);
  // When there will be one; `now_ms` if there is.
  int64_t NextAt(int64_t now_ms) const;

  bool operator==(const TokenBucket&) const = default;

 private:
  int64_t LevelAt(int64_t now_ms) const;
};

}  // namespace sluice
