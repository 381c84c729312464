#include "store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

namespace sluice {
namespace {

constexpr std::chrono::milliseconds kPatience{100};

}  // namespace

DiskReserve::DiskReserve(std::string dir, uint64_t bytes)
    : dir_(std::move(dir)), path_(dir_ + "/reserve"), bytes_(bytes) {
  // One that an earlier process kept is ours now, unless a power cut has left but its name.
  struct stat file;
  held_ =
      ::stat(path_.c_str(), &file) == 0 && static_cast<uint64_t>(file.st_blocks) * 512 >= bytes_;
}

Status DiskReserve::Take() {
  if (held_) return Status::Ok();
  auto now = std::chrono::steady_clock::now();
  if (now < next_try_) return last_;
  next_try_ = now + kPatience;
  int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  int error = fd < 0 ? errno : ::posix_fallocate(fd, 0, static_cast<off_t>(bytes_));
  if (fd >= 0) ::close(fd);
  held_ = error == 0;
  if (!held_) ::unlink(path_.c_str());
  return last_ = held_ ? Status::Ok() : Status::FromErrno(error, path_);
}

void DiskReserve::Release() {
  ::unlink(path_.c_str());
  held_ = false;
  next_try_ = std::chrono::steady_clock::now() + kPatience;
}

void DiskReserve::NoteFailure() { others_try_ = std::chrono::steady_clock::now() + kPatience; }

bool DiskReserve::MayTry() const { return std::chrono::steady_clock::now() >= others_try_; }

uint64_t DiskReserve::FreeBytes() const {
  struct statvfs disk;
  if (::statvfs(dir_.c_str(), &disk) != 0) return UINT64_MAX;
  return uint64_t{disk.f_bavail} * disk.f_frsize;
}

}  // namespace sluice
