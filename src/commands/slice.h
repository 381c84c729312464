// How much of what falls due one call of a timer does: a million things may have the same moment,
// and clients are served in between.
#pragma once

#include <cstddef>

#include "src/engine/call.h"

namespace sluice {

class Slice {
 public:
  explicit Slice(Call& call, int most = 256)
      : store_(call.store()), left_(most), most_bytes_(store_.batch_bytes() + kBytes) {}

  // Takes one thing out of the slice; false when it is used up, by number or by the bytes of
  // effects that the things taken so far came to.
  bool Take() { return left_ > 0 && store_.batch_bytes() < most_bytes_ && left_-- > 0; }

 private:
  static constexpr size_t kBytes = 1 << 20;

  Store& store_;
  int left_;
  size_t most_bytes_;
};

}  // namespace sluice
