// A stretch of disk kept back, so that what makes room (pops, acknowledgements, deletes, and the
// checkpoints that let the journal reuse its files) still works when the disk is full.
#pragma once

#include <chrono>
#include <string>

#include "store/result.h"

namespace sluice {

class DiskReserve {
 public:
  // Nothing is kept back before Take. The file is `dir`/reserve.
  DiskReserve(std::string dir, uint64_t bytes);

  // Keeps the space back, again if need be; kNoSpace when there is none. Asked too often (ten times
  // a second) it answers as before, without looking.
  Status Take();
  // Gives the space back to the disk.
  void Release();
  bool held() const { return held_; }
  // For others who found no space: whether a tenth of a second has passed since they did.
  void NoteFailure();
  bool MayTry() const;
  // What the file system has left for us, not counting the reserve.
  uint64_t FreeBytes() const;

 private:
  std::string dir_;
  std::string path_;
  uint64_t bytes_;
  bool held_ = false;
  Status last_;
  std::chrono::steady_clock::time_point next_try_{};  // of Take
  std::chrono::steady_clock::time_point others_try_{};
};

}  // namespace sluice
