#include "faults.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace powercut {

namespace {

constexpr uint64_t kBlock = 4096;

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// Bytes on disk below `path`, as du counts them.
uint64_t Occupied(const std::string& path) {
  uint64_t sum = 0;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return 0;
  while (dirent* entry = readdir(directory)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string child = path + "/" + name;
    struct stat st;
    if (lstat(child.c_str(), &st) != 0) continue;
    sum += static_cast<uint64_t>(st.st_blocks) * 512;
    if (S_ISDIR(st.st_mode)) sum += Occupied(child);
  }
  closedir(directory);
  return sum;
}

// Which blocks of the range have no place on disk yet. Where the file system cannot say, all.
std::vector<bool> Unallocated(int fd, uint64_t offset, uint64_t length) {
  uint64_t first = offset / kBlock, count = (offset + length + kBlock - 1) / kBlock - first;
  std::vector<bool> missing(count, true);
  constexpr unsigned kExtents = 64;
  std::vector<char> buffer(sizeof(fiemap) + kExtents * sizeof(fiemap_extent));
  uint64_t at = first * kBlock, end = (first + count) * kBlock;
  while (at < end) {
    auto* map = reinterpret_cast<fiemap*>(buffer.data());
    *map = {};
    map->fm_start = at;
    map->fm_length = end - at;
    map->fm_extent_count = kExtents;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) break;
    for (unsigned i = 0; i < map->fm_mapped_extents; ++i) {
      const fiemap_extent& extent = map->fm_extents[i];
      at = extent.fe_logical + extent.fe_length;
      uint64_t from = std::max<uint64_t>(extent.fe_logical, first * kBlock) / kBlock - first;
      uint64_t to = std::min((at + kBlock - 1) / kBlock - first, count);
      for (uint64_t block = from; block < to; ++block) missing[block] = false;
      if (extent.fe_flags & FIEMAP_EXTENT_LAST) return missing;
    }
  }
  return missing;
}

}  // namespace

void Faults::Open(const std::string& watched) {
  watched_ = watched;
  quota_.path = Environment("POWERCUT_QUOTA");
  fsync_.path = Environment("POWERCUT_FSYNC_FAIL");
  kill_at_ = strtoull(Environment("POWERCUT_KILL_AT").c_str(), nullptr, 10);
}

void Faults::Step() {
  if (kill_at_ == 0 || ++steps_ != kill_at_) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

bool Faults::Control::Refresh() {
  if (path.empty()) return false;
  struct stat st;
  if (stat(path.c_str(), &st) != 0) st = {};
  if (st.st_mtim.tv_sec == changed.tv_sec && st.st_mtim.tv_nsec == changed.tv_nsec &&
      st.st_ino == inode && st.st_size == size)
    return false;
  changed = st.st_mtim;
  inode = st.st_ino;
  size = st.st_size;
  text.clear();
  int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0));
  if (fd < 0) return true;
  char buffer[256];
  long n = syscall(SYS_pread64, fd, buffer, sizeof buffer, 0);
  if (n > 0) text.assign(buffer, static_cast<size_t>(n));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  syscall(SYS_close, fd);
  return true;
}

bool Faults::Quota(uint64_t* total, uint64_t* left, bool* hidden) {
  if (quota_.path.empty()) return false;
  std::lock_guard<std::mutex> lock(mutex_);
  quota_.Refresh();
  if (quota_.text.empty()) return false;
  char* rest = nullptr;
  *total = strtoull(quota_.text.c_str(), &rest, 10);
  *hidden = *rest != '\0';
  uint64_t used = Occupied(watched_);
  *left = *total > used ? *total - used : 0;
  return true;
}

bool Faults::Space(uint64_t* total, uint64_t* left) {
  bool hidden = false;
  return Quota(total, left, &hidden) && !hidden;
}

uint64_t Faults::Allow(int fd, uint64_t offset, uint64_t length) {
  uint64_t total, left;
  bool hidden;
  if (length == 0 || !Quota(&total, &left, &hidden) || length + 2 * kBlock <= left) return length;
  std::vector<bool> missing = Unallocated(fd, offset, length);
  uint64_t room = left / kBlock;
  for (uint64_t block = 0; block < missing.size(); ++block) {
    if (!missing[block]) continue;
    if (room == 0) {
      uint64_t stop = (offset / kBlock + block) * kBlock;
      return stop > offset ? stop - offset : 0;
    }
    --room;
  }
  return length;
}

bool Faults::FailSync(const std::string& name) {
  if (fsync_.path.empty()) return false;
  std::lock_guard<std::mutex> lock(mutex_);
  if (fsync_.Refresh()) syncs_ = 0;
  if (fsync_.text.empty()) return false;
  size_t space = fsync_.text.find(' ');
  std::string count = fsync_.text.substr(0, space);
  if (space != std::string::npos && name.find(fsync_.text.substr(space + 1)) == std::string::npos)
    return false;
  uint64_t nth = strtoull(count.c_str(), nullptr, 10);
  ++syncs_;
  return syncs_ == nth || (syncs_ > nth && count.back() == '+');
}

}  // namespace powercut
