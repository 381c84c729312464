// Where time comes from. Only the engine reads it; the store never does.
#pragma once

#include <cstdint>

namespace sluice {

class Clock {
 public:
  virtual ~Clock() = default;
  // Unix time, microseconds. May jump when an operator sets the machine's clock.
  virtual int64_t WallUs() const = 0;
  // Microseconds since an arbitrary moment; never goes back.
  virtual int64_t MonotonicUs() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t WallUs() const override;
  int64_t MonotonicUs() const override;
};

// Moved by hand, in tests.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t wall_ms = 1'700'000'000'000) : wall_us_(wall_ms * 1000) {}
  int64_t WallUs() const override { return wall_us_; }
  int64_t MonotonicUs() const override { return wall_us_ += tick_us_; }
  void AdvanceMs(int64_t ms) { wall_us_ += ms * 1000; }
  // From now on every look at the monotonic time finds it so much later than the one before.
  void TickUs(int64_t us) { tick_us_ = us; }

 private:
  mutable int64_t wall_us_;
  int64_t tick_us_ = 0;
};

// The clock that a test suite may take hold of (DEBUG CLOCK): another one's time, until it is told
// otherwise. Its monotonic time never goes back either, whatever is done to it.
class TestClock final : public Clock {
 public:
  explicit TestClock(const Clock* real) : real_(real) {}

  int64_t WallUs() const override { return wall_us_ + (frozen_ ? 0 : real_->WallUs()); }
  int64_t MonotonicUs() const override {
    return monotonic_us_ + (frozen_ ? 0 : real_->MonotonicUs());
  }
  const Clock& real() const { return *real_; }
  bool frozen() const { return frozen_; }

  void Freeze();
  // Both times go on by so much at once.
  void AdvanceUs(int64_t us);
  // The wall clock is set, as an operator would; the monotonic time takes no notice.
  void SetWallUs(int64_t us) { wall_us_ += us - WallUs(); }
  // The real wall clock's time again; the monotonic time goes on from where it is.
  void Resume();

 private:
  const Clock* real_;
  bool frozen_ = false;
  // While frozen, what time it is; else what is added to the real one's.
  int64_t wall_us_ = 0;
  int64_t monotonic_us_ = 0;
};

}  // namespace sluice
