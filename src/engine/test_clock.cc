// Time in the hands of a test suite: whatever falls due between one moment and another is done at
// its own moment, as if somebody had waited for it.
#include <algorithm>

#include "src/engine/engine.h"

namespace sluice {

void Engine::FreezeClock() {
  clock_.Freeze();
  ReadClock();
}

void Engine::AdvanceClock(int64_t ms) {
  for (int64_t left_us = ms * 1000;;) {
    // One moment may bring more than one round does.
    do {
      ReadClock();
      DoWhatIsDue();
      SealIfLarge();
      if (!store_->failure().ok()) return RecoverFromFailure();
    } while (NextDueUs() == 0);
    if (left_us == 0) return;
    int64_t step_us = std::min(left_us, NextDueUs().value_or(left_us));
    clock_.AdvanceUs(step_us);
    skipped_us_ += step_us;
    left_us -= step_us;
  }
}

void Engine::SetClock(int64_t unix_ms) {
  int64_t forwards_ms = unix_ms - clock_.WallUs() / 1000;
  if (forwards_ms > 0) AdvanceClock(forwards_ms);
  clock_.SetWallUs(unix_ms * 1000);
  AskAgain(true);
  AdvanceClock(0);
}

void Engine::ResumeClock() {
  clock_.Resume();
  AskAgain(true);
  AdvanceClock(0);
}

}  // namespace sluice
