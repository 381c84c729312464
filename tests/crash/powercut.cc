// libpowercut.so: preloaded into a server, it keeps a record of everything below one directory that
// a power cut would throw away, so that `cut` can throw it away after a SIGKILL.
//
//   POWERCUT_DIR   the directory to watch
//   POWERCUT_LOG   where the record is kept: on the same file system, not below POWERCUT_DIR
//   and see faults.h for a full disk, failing fsyncs and a SIGKILL at a given step.
//
// The rules are those of POSIX, not the kinder ones of one file system: bytes are durable once
// fsync, fdatasync or an O_DSYNC/RWF_DSYNC write of those very bytes has returned; a new name, a
// rename or a removal is durable once the directory has been synced. sync_file_range and msync
// make nothing durable. Not seen: writes by stdio (fopen'd files written through the PLT, as
// std::ofstream does it, are seen), by mappings (noted, see mmap below), io_uring, and by more than
// one process at a time; fork without exec is fine as long as only one side goes on writing.
//
// Each wrapper logs first and acts afterwards, holding the file's lock for both, so that the log
// never lags behind the file. A sync holds no lock while it waits: what is written meanwhile stays
// in doubt.
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "faults.h"
#include "undo_log.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace powercut {
namespace {

constexpr int kMaxFds = 1 << 16;

UndoLog* undo = nullptr;  // null: not watching, every wrapper passes straight through
// Never destroyed: the program may go on writing while it exits.
Faults& faults = *new Faults;
std::string& watched = *new std::string;
std::atomic<File*> fds[kMaxFds];

template <typename F>
F Next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

std::string RealPath(const std::string& path) {
  char buffer[PATH_MAX];
  return realpath(path.c_str(), buffer) == nullptr ? "" : buffer;
}

// The path with its directory resolved; the last part is left as it is.
std::string Resolve(int at, const char* path) {
  std::string given = path;
  if (given.empty()) return "";
  if (given[0] != '/' && at != AT_FDCWD) {
    std::string base = RealPath("/proc/self/fd/" + std::to_string(at));
    if (base.empty()) return "";
    given = base + "/" + given;
  }
  while (given.size() > 1 && given.back() == '/') given.pop_back();
  size_t slash = given.rfind('/');
  std::string last = slash == std::string::npos ? given : given.substr(slash + 1);
  if (last == "." || last == "..") return RealPath(given);
  std::string parent = slash == std::string::npos ? "." : given.substr(0, slash + 1);
  parent = RealPath(parent);
  if (parent.empty()) return "";
  return parent == "/" ? "/" + last : parent + "/" + last;
}

// Whether the path is below the watched directory, and what it is called there.
bool Below(const std::string& path, std::string* relative) {
  if (path.size() <= watched.size() || path.compare(0, watched.size(), watched) != 0 ||
      path[watched.size()] != '/')
    return false;
  *relative = path.substr(watched.size() + 1);
  return true;
}

bool Below(int at, const char* path, std::string* relative) {
  return undo != nullptr && path != nullptr && Below(Resolve(at, path), relative);
}

UndoLog* Start() {
  const char* directory = getenv("POWERCUT_DIR");
  const char* log = getenv("POWERCUT_LOG");
  if (directory == nullptr || log == nullptr) return nullptr;
  watched = RealPath(directory);
  if (watched.empty()) watched = Resolve(AT_FDCWD, directory);  // not made yet
  auto* opened = new UndoLog;
  if (watched.empty() || !opened->Open(watched, log)) return nullptr;
  faults.Open(watched);
  return opened;
}

// After the two above, which it fills in.
const bool started = (undo = Start(), true);

File* Get(int fd) {
  return fd >= 0 && fd < kMaxFds ? fds[fd].load(std::memory_order_acquire) : nullptr;
}

void Set(int fd, File* file) {
  if (fd >= 0 && fd < kMaxFds) fds[fd].store(file, std::memory_order_release);
}

// ---- changes of bytes ------------------------------------------------------------------------

uint64_t SizeOf(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
}

ssize_t RawWrite(int fd, const iovec* parts, int count, off_t offset, int flags) {
  // Offset -1 means "at the descriptor's position" to this system call.
  return syscall(SYS_pwritev2, fd, parts, count, offset, 0L, flags);
}

ssize_t Write(int fd, const iovec* parts, int count, off_t offset, int flags) {
  File* file = Get(fd);
  if (file == nullptr || count < 0 || count > IOV_MAX) {
    return RawWrite(fd, parts, count, offset, flags);
  }
  uint64_t length = 0;
  for (int i = 0; i < count; ++i) length += parts[i].iov_len;
  std::lock_guard<std::mutex> lock(file->mutex);
  int mode = static_cast<int>(syscall(SYS_fcntl, fd, F_GETFL));
  uint64_t at = mode & O_APPEND ? SizeOf(fd)
                : offset >= 0   ? static_cast<uint64_t>(offset)
                                : static_cast<uint64_t>(syscall(SYS_lseek, fd, 0, SEEK_CUR));
  uint64_t allowed = faults.Allow(fd, at, length);
  if (allowed == 0 && length > 0) {
    errno = ENOSPC;
    return -1;
  }
  Mark before = file->Now();
  undo->Write(file, at, allowed);
  faults.Step();
  std::vector<iovec> cut(parts, parts + count);
  for (uint64_t left = allowed; iovec & part : cut) {
    part.iov_len = std::min<uint64_t>(part.iov_len, left);
    left -= part.iov_len;
  }
  bool sync = (mode & O_DSYNC) != 0 || (flags & (RWF_DSYNC | RWF_SYNC)) != 0;
  ssize_t n = RawWrite(fd, cut.data(), count, offset, flags);
  if (n < 0 || !sync) return n;
  if (faults.FailSync(file->name)) {
    undo->Note("EIO synced write " + file->name);
    undo->Poison(file, file->Now());
    errno = EIO;
    return -1;
  }
  undo->RangeSync(file, at, static_cast<uint64_t>(n), before);
  return n;
}

int Resize(int fd, off_t size) {
  File* file = Get(fd);
  if (file == nullptr) return static_cast<int>(syscall(SYS_ftruncate, fd, size));
  std::lock_guard<std::mutex> lock(file->mutex);
  undo->Resize(file, static_cast<uint64_t>(size));
  faults.Step();
  return static_cast<int>(syscall(SYS_ftruncate, fd, size));
}

int Allocate(int fd, int mode, off_t offset, off_t length) {
  File* file = Get(fd);
  if (file == nullptr) return static_cast<int>(syscall(SYS_fallocate, fd, mode, offset, length));
  std::lock_guard<std::mutex> lock(file->mutex);
  uint64_t from = static_cast<uint64_t>(offset), bytes = static_cast<uint64_t>(length);
  if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) Die("fallocate: unknown mode");
  if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
    undo->Write(file, from, bytes);
  } else if (faults.Allow(fd, from, bytes) < bytes) {
    errno = ENOSPC;
    return -1;
  }
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && from + bytes > SizeOf(fd)) {
    undo->Resize(file, from + bytes);
  }
  faults.Step();
  return static_cast<int>(syscall(SYS_fallocate, fd, mode, offset, length));
}

// ---- syncs -----------------------------------------------------------------------------------

File* Lookup(int fd) {
  File* file = Get(fd);
  if (file != nullptr) return file;
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return nullptr;
  std::string relative, path = RealPath("/proc/self/fd/" + std::to_string(fd));
  return Below(path, &relative) ? undo->Find(st.st_ino) : nullptr;
}

int SyncDirectory(int fd, long call) {
  std::string relative, path = RealPath("/proc/self/fd/" + std::to_string(fd));
  if (path != watched && !Below(path, &relative)) return static_cast<int>(syscall(call, fd));
  faults.Step();
  uint64_t mark = undo->names_mark();
  if (faults.FailSync(relative + "/")) {
    undo->Note("EIO directory sync " + relative + "/");
    errno = EIO;
    return -1;
  }
  int result = static_cast<int>(syscall(call, fd));
  if (result == 0) undo->SyncNames(relative, mark);
  return result;
}

int Sync(int fd, long call) {
  if (undo == nullptr) return static_cast<int>(syscall(call, fd));
  struct stat st;
  if (Get(fd) == nullptr && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
    return SyncDirectory(fd, call);
  File* file = Lookup(fd);
  if (file == nullptr) return static_cast<int>(syscall(call, fd));
  faults.Step();
  Mark mark;
  {
    std::lock_guard<std::mutex> lock(file->mutex);
    mark = file->Now();
  }
  if (faults.FailSync(file->name)) {
    undo->Note("EIO sync " + file->name);
    std::lock_guard<std::mutex> lock(file->mutex);
    undo->Poison(file, mark);
    errno = EIO;
    return -1;
  }
  int result = static_cast<int>(syscall(call, fd));
  if (result == 0) {
    std::lock_guard<std::mutex> lock(file->mutex);
    undo->Sync(file, mark);
  }
  return result;
}

// ---- names -----------------------------------------------------------------------------------

bool Stat(const std::string& path, struct stat* st) {
  return fstatat(AT_FDCWD, path.c_str(), st, AT_SYMLINK_NOFOLLOW) == 0;
}

// Before O_TRUNC or truncate() takes the bytes away.
void BeforeTruncate(const std::string& path, const std::string& relative, uint64_t size) {
  int fd = static_cast<int>(
      syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0));
  if (fd < 0) return;
  bool known = false;
  struct stat st;
  if (fstat(fd, &st) == 0) known = undo->Find(st.st_ino) != nullptr;
  if (File* file = undo->Track(fd, relative, false)) {
    std::lock_guard<std::mutex> lock(file->mutex);
    undo->Resize(file, size);
  }
  // Closing a descriptor drops the process's fcntl locks on the file; harmless when it had none.
  if (known) undo->Note("truncation by name of " + relative);
  syscall(SYS_close, fd);
}

int Open(int at, const char* path, int flags, mode_t mode) {
  std::string relative;
  bool write = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
  if (!Below(at, path, &relative) || (flags & O_PATH) != 0)
    return static_cast<int>(syscall(SYS_openat, at, path, flags, mode));
  std::lock_guard<std::mutex> lock(undo->names_mutex());
  struct stat st;
  std::string full = watched + "/" + relative;
  bool exists = Stat(full, &st);
  uint64_t created = 0;
  if (!exists && (flags & O_CREAT) != 0) {
    created = undo->Name("create", relative, "", 0, false);
  } else if (exists && write && S_ISREG(st.st_mode) && (flags & O_TRUNC) != 0) {
    BeforeTruncate(full, relative, 0);
  }
  if (created != 0 || (flags & O_TRUNC) != 0) faults.Step();
  int fd = static_cast<int>(syscall(SYS_openat, at, path, flags, mode));
  if (fd < 0) {
    int error = errno;
    if (created != 0) undo->CancelName(created);
    errno = error;
    return fd;
  }
  Set(fd, undo->Track(fd, relative, created != 0));
  return fd;
}

template <typename Call>
int Rename(const std::string& from, const std::string& to, Call call) {
  struct stat source, target;
  bool replaces = Stat(watched + "/" + to, &target) && S_ISREG(target.st_mode);
  ino_t inode = Stat(watched + "/" + from, &source) ? source.st_ino : 0;
  uint64_t number = undo->Name("rename", from, to, inode, replaces && inode != 0);
  faults.Step();
  int result = call();
  int error = errno;
  if (result != 0) undo->CancelName(number);
  errno = error;
  return result;
}

int RenameAt(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  auto call = [&] {
    return static_cast<int>(syscall(SYS_renameat2, from_at, from, to_at, to, flags));
  };
  std::string source, target;
  bool out = Below(from_at, from, &source), in = Below(to_at, to, &target);
  if (!out && !in) return call();
  if (out != in) Die("a rename into or out of the watched directory");
  if (flags & RENAME_EXCHANGE) Die("RENAME_EXCHANGE");
  std::lock_guard<std::mutex> lock(undo->names_mutex());
  return Rename(source, target, call);
}

// Operations that add or remove one name. What is removed is kept first.
template <typename Call>
int OneName(const char* op, int at, const char* path, bool removes, Call call) {
  std::string relative;
  if (!Below(at, path, &relative)) return call();
  std::lock_guard<std::mutex> lock(undo->names_mutex());
  struct stat st;
  bool exists = Stat(watched + "/" + relative, &st);
  if (removes && !exists) return call();
  bool keep = removes && !S_ISDIR(st.st_mode);
  uint64_t number = undo->Name(op, relative, "", removes ? st.st_ino : 0, keep);
  faults.Step();
  int result = call();
  int error = errno;
  if (result != 0) undo->CancelName(number);
  errno = error;
  return result;
}

int UnlinkAt(int at, const char* path, int flags) {
  return OneName(flags & AT_REMOVEDIR ? "rmdir" : "unlink", at, path, true,
                 [&] { return static_cast<int>(syscall(SYS_unlinkat, at, path, flags)); });
}

int MkdirAt(int at, const char* path, mode_t mode) {
  return OneName("mkdir", at, path, false,
                 [&] { return static_cast<int>(syscall(SYS_mkdirat, at, path, mode)); });
}

int LinkAt(int from_at, const char* from, int to_at, const char* to, int flags) {
  return OneName("link", to_at, to, false, [&] {
    return static_cast<int>(syscall(SYS_linkat, from_at, from, to_at, to, flags));
  });
}

// ---- descriptors and the rest ----------------------------------------------------------------

int Duplicate(int from, int to) {
  if (to >= 0) Set(to, Get(from));
  return to;
}

void* Map(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  File* file = (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 ? Get(fd) : nullptr;
  // Not followed. lock.mdb may be mapped for writing, nothing else should be.
  if (file != nullptr) undo->Note("writable mapping of " + file->name);
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

bool Watched(int fd) {
  std::string relative, path = RealPath("/proc/self/fd/" + std::to_string(fd));
  return undo != nullptr && (path == watched || Below(path, &relative));
}

bool Watched(const char* path) {
  std::string relative, full = undo == nullptr ? "" : RealPath(path);
  return undo != nullptr && (full == watched || Below(full, &relative));
}

template <typename Space>
int Limit(int result, bool ours, Space* space, uint64_t unit) {
  uint64_t total, left;
  if (result != 0 || !ours || unit == 0 || !faults.Space(&total, &left)) return result;
  space->f_blocks = total / unit;
  space->f_bfree = space->f_bavail = left / unit;
  return result;
}

mode_t ModeArgument(int flags, va_list arguments) {
  bool given = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return given ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace
}  // namespace powercut

using namespace powercut;

// ---- the wrappers ----------------------------------------------------------------------------

#define OPEN_BODY(at)                           \
  va_list arguments;                            \
  va_start(arguments, flags);                   \
  mode_t mode = ModeArgument(flags, arguments); \
  va_end(arguments);                            \
  return Open(at, path, flags, mode)

EXPORT int open(const char* path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
EXPORT int open64(const char* path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
EXPORT int openat(int at, const char* path, int flags, ...) { OPEN_BODY(at); }
EXPORT int openat64(int at, const char* path, int flags, ...) { OPEN_BODY(at); }
EXPORT int __open_2(const char* path, int flags) { return Open(AT_FDCWD, path, flags, 0); }
EXPORT int __open64_2(const char* path, int flags) { return Open(AT_FDCWD, path, flags, 0); }
EXPORT int __openat_2(int at, const char* path, int flags) { return Open(at, path, flags, 0); }
EXPORT int __openat64_2(int at, const char* path, int flags) { return Open(at, path, flags, 0); }
EXPORT int creat(const char* path, mode_t mode) {
  return Open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
EXPORT int creat64(const char* path, mode_t mode) { return creat(path, mode); }

EXPORT int close(int fd) {
  Set(fd, nullptr);
  return static_cast<int>(syscall(SYS_close, fd));
}
EXPORT int dup(int fd) { return Duplicate(fd, static_cast<int>(syscall(SYS_dup, fd))); }
EXPORT int dup2(int fd, int to) {
  if (fd == to) return static_cast<int>(syscall(SYS_fcntl, fd, F_GETFD)) < 0 ? -1 : to;
  return Duplicate(fd, static_cast<int>(syscall(SYS_dup3, fd, to, 0)));
}
EXPORT int dup3(int fd, int to, int flags) {
  return Duplicate(fd, static_cast<int>(syscall(SYS_dup3, fd, to, flags)));
}
static int FcntlBody(int fd, int command, void* argument) {
  int result = static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
  return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? Duplicate(fd, result) : result;
}
#define FCNTL_BODY                           \
  va_list arguments;                         \
  va_start(arguments, command);              \
  void* argument = va_arg(arguments, void*); \
  va_end(arguments);                         \
  return FcntlBody(fd, command, argument)
EXPORT int fcntl(int fd, int command, ...) { FCNTL_BODY; }
EXPORT int fcntl64(int fd, int command, ...) { FCNTL_BODY; }

EXPORT ssize_t write(int fd, const void* data, size_t size) {
  if (Get(fd) == nullptr) return syscall(SYS_write, fd, data, size);
  iovec part{const_cast<void*>(data), size};
  return Write(fd, &part, 1, -1, 0);
}
EXPORT ssize_t writev(int fd, const iovec* parts, int count) {
  if (Get(fd) == nullptr) return syscall(SYS_writev, fd, parts, count);
  return Write(fd, parts, count, -1, 0);
}
EXPORT ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  if (Get(fd) == nullptr || offset < 0) return syscall(SYS_pwrite64, fd, data, size, offset);
  iovec part{const_cast<void*>(data), size};
  return Write(fd, &part, 1, offset, 0);
}
EXPORT ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return pwrite64(fd, data, size, offset);
}
EXPORT ssize_t pwritev64v2(int fd, const iovec* parts, int count, off64_t offset, int flags) {
  return Write(fd, parts, count, offset, flags);
}
EXPORT ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  return Write(fd, parts, count, offset, flags);
}
EXPORT ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t offset) {
  if (Get(fd) == nullptr || offset < 0) return syscall(SYS_pwritev, fd, parts, count, offset, 0L);
  return Write(fd, parts, count, offset, 0);
}
EXPORT ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  return pwritev64(fd, parts, count, offset);
}
// Copies inside the kernel would go unseen; callers of these fall back to read and write.
EXPORT ssize_t copy_file_range(int in, off64_t* from, int out, off64_t* to, size_t size,
                               unsigned flags) {
  if (Get(out) == nullptr) return syscall(SYS_copy_file_range, in, from, out, to, size, flags);
  errno = EXDEV;
  return -1;
}
EXPORT ssize_t sendfile64(int out, int in, off64_t* offset, size_t size) {
  if (Get(out) == nullptr) return syscall(SYS_sendfile, out, in, offset, size);
  errno = EINVAL;
  return -1;
}
EXPORT ssize_t sendfile(int out, int in, off_t* offset, size_t size) {
  return sendfile64(out, in, offset, size);
}

EXPORT int ftruncate64(int fd, off64_t size) noexcept { return Resize(fd, size); }
EXPORT int ftruncate(int fd, off_t size) noexcept { return Resize(fd, size); }
EXPORT int truncate64(const char* path, off64_t size) noexcept {
  std::string relative;
  if (Below(AT_FDCWD, path, &relative)) {
    BeforeTruncate(watched + "/" + relative, relative, static_cast<uint64_t>(size));
  }
  return static_cast<int>(syscall(SYS_truncate, path, size));
}
EXPORT int truncate(const char* path, off_t size) noexcept { return truncate64(path, size); }
EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  return Allocate(fd, mode, offset, length);
}
EXPORT int fallocate(int fd, int mode, off_t offset, off_t length) {
  return Allocate(fd, mode, offset, length);
}
EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t length) {
  int saved = errno;
  int error = Allocate(fd, 0, offset, length) == 0 ? 0 : errno;
  errno = saved;
  return error;
}
EXPORT int posix_fallocate(int fd, off_t offset, off_t length) {
  return posix_fallocate64(fd, offset, length);
}

EXPORT int fsync(int fd) { return Sync(fd, SYS_fsync); }
EXPORT int fdatasync(int fd) { return Sync(fd, SYS_fdatasync); }
EXPORT int syncfs(int fd) noexcept {
  int result = static_cast<int>(syscall(SYS_syncfs, fd));
  if (result == 0 && undo != nullptr) undo->SyncEverything();
  return result;
}
EXPORT void sync() noexcept {
  syscall(SYS_sync);
  if (undo != nullptr) undo->SyncEverything();
}

EXPORT int rename(const char* from, const char* to) noexcept {
  return RenameAt(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int renameat(int from_at, const char* from, int to_at, const char* to) noexcept {
  return RenameAt(from_at, from, to_at, to, 0);
}
EXPORT int renameat2(int from_at, const char* from, int to_at, const char* to,
                     unsigned flags) noexcept {
  return RenameAt(from_at, from, to_at, to, flags);
}
EXPORT int unlink(const char* path) noexcept { return UnlinkAt(AT_FDCWD, path, 0); }
EXPORT int unlinkat(int at, const char* path, int flags) noexcept {
  return UnlinkAt(at, path, flags);
}
EXPORT int rmdir(const char* path) noexcept { return UnlinkAt(AT_FDCWD, path, AT_REMOVEDIR); }
EXPORT int remove(const char* path) noexcept {
  int result = UnlinkAt(AT_FDCWD, path, 0);
  return result != 0 && errno == EISDIR ? UnlinkAt(AT_FDCWD, path, AT_REMOVEDIR) : result;
}
EXPORT int mkdir(const char* path, mode_t mode) noexcept { return MkdirAt(AT_FDCWD, path, mode); }
EXPORT int mkdirat(int at, const char* path, mode_t mode) noexcept {
  return MkdirAt(at, path, mode);
}
EXPORT int link(const char* from, const char* to) noexcept {
  return LinkAt(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int linkat(int from_at, const char* from, int to_at, const char* to, int flags) noexcept {
  return LinkAt(from_at, from, to_at, to, flags);
}

EXPORT void* mmap(void* address, size_t length, int protection, int flags, int fd,
                  off_t offset) noexcept {
  return Map(address, length, protection, flags, fd, offset);
}
EXPORT void* mmap64(void* address, size_t length, int protection, int flags, int fd,
                    off64_t offset) noexcept {
  return Map(address, length, protection, flags, fd, offset);
}

// stdio opens and closes descriptors behind our back.
static FILE* OpenStream(const char* name, const char* path, const char* mode) {
  std::string relative;
  auto next = Next<FILE* (*)(const char*, const char*)>(name);
  if (!Below(AT_FDCWD, path, &relative) || mode[0] == 'r') return next(path, mode);
  // Make, or empty, the file ourselves first, so that it is logged.
  int flags = O_CREAT | O_WRONLY | (mode[0] == 'w' ? O_TRUNC : 0) | O_CLOEXEC;
  int fd = Open(AT_FDCWD, path, flags, 0666);
  if (fd < 0) return nullptr;
  FILE* stream = next(path, mode);
  if (stream != nullptr) Set(fileno(stream), Get(fd));
  close(fd);
  return stream;
}
EXPORT FILE* fopen(const char* path, const char* mode) { return OpenStream("fopen", path, mode); }
EXPORT FILE* fopen64(const char* path, const char* mode) {
  return OpenStream("fopen64", path, mode);
}
EXPORT int fclose(FILE* stream) {
  Set(fileno(stream), nullptr);
  return Next<int (*)(FILE*)>("fclose")(stream);
}

EXPORT int statvfs(const char* path, struct statvfs* space) noexcept {
  int result = Next<int (*)(const char*, struct statvfs*)>("statvfs")(path, space);
  return Limit(result, Watched(path), space, space->f_frsize);
}
EXPORT int statvfs64(const char* path, struct statvfs64* space) noexcept {
  int result = Next<int (*)(const char*, struct statvfs64*)>("statvfs64")(path, space);
  return Limit(result, Watched(path), space, space->f_frsize);
}
EXPORT int fstatvfs(int fd, struct statvfs* space) noexcept {
  int result = Next<int (*)(int, struct statvfs*)>("fstatvfs")(fd, space);
  return Limit(result, Watched(fd), space, space->f_frsize);
}
EXPORT int fstatvfs64(int fd, struct statvfs64* space) noexcept {
  int result = Next<int (*)(int, struct statvfs64*)>("fstatvfs64")(fd, space);
  return Limit(result, Watched(fd), space, space->f_frsize);
}
EXPORT int statfs(const char* path, struct statfs* space) noexcept {
  int result = static_cast<int>(syscall(SYS_statfs, path, space));
  return Limit(result, Watched(path), space, static_cast<uint64_t>(space->f_bsize));
}
EXPORT int statfs64(const char* path, struct statfs64* space) noexcept {
  int result = static_cast<int>(syscall(SYS_statfs, path, space));
  return Limit(result, Watched(path), space, static_cast<uint64_t>(space->f_bsize));
}
EXPORT int fstatfs(int fd, struct statfs* space) noexcept {
  int result = static_cast<int>(syscall(SYS_fstatfs, fd, space));
  return Limit(result, Watched(fd), space, static_cast<uint64_t>(space->f_bsize));
}
EXPORT int fstatfs64(int fd, struct statfs64* space) noexcept {
  int result = static_cast<int>(syscall(SYS_fstatfs, fd, space));
  return Limit(result, Watched(fd), space, static_cast<uint64_t>(space->f_bsize));
}
