#include "store/retry_policy.h"

#include <algorithm>

namespace sluice {

int64_t RetryPolicy::BackoffAfter(uint64_t deliveries) const {
  if (backoff_ms.empty()) return 0;
  uint64_t k = deliveries == 0 ? 0 : deliveries - 1;
  return backoff_ms[std::min<uint64_t>(k, backoff_ms.size() - 1)];
}

RetryPolicy RetryPolicy::Decode(ValueReader* in) {
  RetryPolicy policy;
  for (uint64_t n = in->Varint(); n > 0 && in->ok(); --n) {
    policy.backoff_ms.push_back(static_cast<int64_t>(in->Varint()));
  }
  policy.dead_letter = in->Bytes();
  return policy;
}

void RetryPolicy::Encode(std::string* out) const {
  PutVarint(out, backoff_ms.size());
  for (int64_t ms : backoff_ms) PutVarint(out, static_cast<uint64_t>(ms));
  PutBytes(out, dead_letter);
}

}  // namespace sluice
