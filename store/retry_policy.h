// What becomes of something that was given out and not acknowledged: what groups and lists share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/codec.h"

namespace sluice {

struct RetryPolicy {
  // What the k-th delivery is followed by when it fails; the last one goes for all further ones.
  std::vector<int64_t> backoff_ms;
  std::string dead_letter;  // a key's name

  // How long something waits that has been given out so many times.
  int64_t BackoffAfter(uint64_t deliveries) const;

  static RetryPolicy Decode(ValueReader* in);
  void Encode(std::string* out) const;
};

}  // namespace sluice
