#include "store/journal_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice {
namespace {

// Takes the first `done` bytes off.
void Advance(iovec** parts, int* count, size_t done) {
  while (*count > 0 && done >= (*parts)->iov_len) {
    done -= (*parts)->iov_len;
    ++*parts;
    --*count;
  }
  if (*count > 0) {
    (*parts)->iov_base = static_cast<char*>((*parts)->iov_base) + done;
    (*parts)->iov_len -= done;
  }
}

}  // namespace

int JournalFiles::List(const std::string& dir, std::vector<std::string>* names) {
  DIR* handle = opendir(dir.c_str());
  if (handle == nullptr) return -errno;
  names->clear();
  errno = 0;
  while (dirent* entry = readdir(handle)) names->emplace_back(entry->d_name);
  int error = errno;
  closedir(handle);
  return -error;
}

int JournalFiles::Open(const std::string& path, bool create) {
  int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0600);
  return fd < 0 ? -errno : fd;
}

void JournalFiles::Close(int fd) { close(fd); }

int64_t JournalFiles::Size(int fd) {
  struct stat info;
  return fstat(fd, &info) < 0 ? -errno : info.st_size;
}

int64_t JournalFiles::Read(int fd, uint64_t offset, char* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<int64_t>(done);
}

int JournalFiles::Write(int fd, uint64_t offset, iovec* parts, int count, bool durable) {
  bool sync_after = false;
  while (count > 0) {
    auto at = static_cast<off_t>(offset);
    bool with_flag = durable && !sync_after;
    // One system call less than write and fdatasync, and the same guarantee.
    ssize_t n =
        with_flag ? pwritev2(fd, parts, count, at, RWF_DSYNC) : pwritev(fd, parts, count, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && with_flag && (errno == EOPNOTSUPP || errno == ENOSYS)) {
      sync_after = true;
      continue;
    }
    if (n < 0) return -errno;
    if (n == 0) return -EIO;
    offset += static_cast<uint64_t>(n);
    Advance(&parts, &count, static_cast<size_t>(n));
  }
  return sync_after && fdatasync(fd) < 0 ? -errno : 0;
}

int JournalFiles::Allocate(int fd, uint64_t size) {
  if (fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0) return 0;
  return errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR ? 0 : -errno;
}

int JournalFiles::Sync(int fd) { return fdatasync(fd) < 0 ? -errno : 0; }

void JournalFiles::DropCache(int fd) { posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); }

int JournalFiles::Rename(const std::string& from, const std::string& to) {
  return rename(from.c_str(), to.c_str()) < 0 ? -errno : 0;
}

int JournalFiles::Remove(const std::string& path) { return unlink(path.c_str()) < 0 ? -errno : 0; }

int JournalFiles::SyncDir(const std::string& dir) {
  int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int result = fsync(fd) < 0 ? -errno : 0;
  close(fd);
  return result;
}

}  // namespace sluice
