// Trouble on order: a disk that is full, an fsync that fails, a process that dies at a given step.
//
//   POWERCUT_QUOTA=FILE       FILE holds the number of bytes the directory may occupy; no file or
//                             an empty one means no limit. Looked at before every allocation.
//                             "N hidden" keeps statvfs from telling, as a user's quota would.
//   POWERCUT_FSYNC_FAIL=FILE  FILE holds "N", "N+" or either followed by a space and a part of a
//                             file name: the Nth sync (of a matching file) since FILE was last
//                             changed fails with EIO; with "+" all later ones fail too.
//   POWERCUT_KILL_AT=N        SIGKILL to itself instead of the Nth change or sync.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <string>

namespace powercut {

class Faults {
 public:
  void Open(const std::string& watched);

  // Counts one change or sync; does not return from the one that is to be the last.
  void Step();

  // How many of `length` bytes at `offset` of fd the disk still has room for.
  uint64_t Allow(int fd, uint64_t offset, uint64_t length);
  // The limit and what is left of it, for statvfs; false when there is none to tell.
  bool Space(uint64_t* total, uint64_t* left);

  // Whether the sync of this file that is about to happen has to fail.
  bool FailSync(const std::string& name);

 private:
  // A small file that is read again whenever it has changed.
  struct Control {
    std::string path;
    timespec changed{};
    ino_t inode = 0;
    off_t size = 0;
    std::string text;
    bool Refresh();  // true when it has changed
  };
  bool Quota(uint64_t* total, uint64_t* left, bool* hidden);

  std::string watched_;
  std::mutex mutex_;
  Control quota_, fsync_;
  uint64_t syncs_ = 0;
  std::atomic<uint64_t> steps_{0};
  uint64_t kill_at_ = 0;
};

}  // namespace powercut
