#include "store/token_bucket.h"

#include <algorithm>

namespace sluice {

void TokenBucket::Set(int64_t rate_tokens, int64_t rate_ms, int64_t most, int64_t now_ms) {
  *this = TokenBucket();
  if (!rate_tokens) return;
  tokens = rate_tokens;
  per_ms = rate_ms;
  burst = most;
  level = burst * per_ms;
  since_ms = now_ms;
}

int64_t TokenBucket::LevelAt(int64_t now_ms) const {
  int64_t full = burst * per_ms;
  int64_t passed_ms = std::max<int64_t>(now_ms - since_ms, 0);
  if (passed_ms > (full - level) / tokens) return full;
  return level + passed_ms * tokens;
}

uint64_t TokenBucket::At(int64_t now_ms) const {
  if (!tokens) return UINT64_MAX;
  return static_cast<uint64_t>(LevelAt(now_ms) / per_ms);
}

void TokenBucket::Take(int64_t now_ms, uint64_t n) {
  if (!tokens) return;
  level = LevelAt(now_ms) - static_cast<int64_t>(n) * per_ms;
  since_ms = std::max(since_ms, now_ms);
}

void TokenBucket::GiveBack(uint64_t n) {
  int64_t most = std::min<int64_t>(burst, INT32_MAX);
  int64_t given = std::min<int64_t>(most, static_cast<int64_t>(std::min<uint64_t>(n, INT32_MAX)));
  level = std::min(burst * per_ms, level + given * per_ms);
}

int64_t TokenBucket::NextAt(int64_t now_ms) const {
  if (At(now_ms) > 0) return now_ms;
  int64_t missing = per_ms - LevelAt(now_ms);
  return now_ms + (missing + tokens - 1) / tokens;
}

}  // namespace sluice
