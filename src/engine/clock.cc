#include "src/engine/clock.h"

#include <ctime>

namespace sluice {
namespace {

int64_t Read(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

}  // namespace

void TestClock::Freeze() {
  int64_t wall_us = WallUs(), monotonic_us = MonotonicUs();
  frozen_ = true;
  wall_us_ = wall_us;
  monotonic_us_ = monotonic_us;
}

void TestClock::AdvanceUs(int64_t us) {
  wall_us_ += us;
  monotonic_us_ += us;
}

void TestClock::Resume() {
  monotonic_us_ = MonotonicUs() - real_->MonotonicUs();
  wall_us_ = 0;
  frozen_ = false;
}

int64_t SystemClock::WallUs() const { return Read(CLOCK_REALTIME); }
int64_t SystemClock::MonotonicUs() const { return Read(CLOCK_MONOTONIC); }

}  // namespace sluice
