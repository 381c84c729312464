#include "undo_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

// This file never calls a libc function that powercut.cc replaces: it goes to the kernel.

namespace powercut {

namespace {

constexpr uint64_t kPunchAt = 4 << 20;

int SysOpen(const std::string& path, int flags) {
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, 0644));
}

// Descriptors of ours live high up, out of the way of the program's.
int MoveUp(int fd) {
  if (fd < 0) return fd;
  int high = static_cast<int>(syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 700));
  if (high < 0) return fd;
  syscall(SYS_close, fd);
  return high;
}

void WriteAll(int fd, const char* data, size_t size, uint64_t offset) {
  while (size > 0) {
    long n = syscall(SYS_pwrite64, fd, data, size, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) Die("cannot write the undo log");
    data += n, size -= static_cast<size_t>(n), offset += static_cast<uint64_t>(n);
  }
}

std::string ReadRange(int fd, uint64_t offset, uint64_t length) {
  std::string bytes(length, '\0');
  size_t done = 0;
  while (done < length) {
    long n = syscall(SYS_pread64, fd, bytes.data() + done, length - done, offset + done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Die("cannot read the old bytes");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

uint64_t SizeOf(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) Die("fstat");
  return static_cast<uint64_t>(st.st_size);
}

std::string ParentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

void Die(const char* what) {
  std::fprintf(stderr, "powercut: %s: %s\n", what, std::strerror(errno));
  _exit(97);
}

bool UndoLog::Open(const std::string& watched, const std::string& log) {
  watched_ = watched;
  directory_ = log;
  syscall(SYS_mkdirat, AT_FDCWD, log.c_str(), 0755);
  int lock = MoveUp(SysOpen(log + "/lock", O_RDWR | O_CREAT));
  if (lock < 0) Die("cannot open the log directory");
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    std::fprintf(stderr, "powercut: another process has %s; not watching\n", log.c_str());
    return false;
  }
  notes_ = MoveUp(SysOpen(log + "/notes", O_WRONLY | O_CREAT | O_APPEND));
  LoadNames();
  names_ = MoveUp(SysOpen(log + "/names", O_WRONLY | O_CREAT | O_APPEND));
  if (names_ < 0 || notes_ < 0) Die("cannot open the log directory");
  return true;
}

// ---- bytes and sizes -------------------------------------------------------------------------

File* UndoLog::Find(ino_t inode) {
  std::lock_guard<std::mutex> lock(files_mutex_);
  auto found = files_.find(inode);
  return found == files_.end() ? nullptr : found->second;
}

File* UndoLog::Track(int fd, const std::string& name, bool fresh) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return nullptr;
  std::lock_guard<std::mutex> lock(files_mutex_);
  std::string log = directory_ + "/f" + std::to_string(st.st_ino);
  if (fresh) {
    files_.erase(st.st_ino);  // descriptors of the file that is gone keep their old File
    syscall(SYS_unlinkat, AT_FDCWD, log.c_str(), 0);
  }
  File*& file = files_[st.st_ino];
  if (file != nullptr) return file;
  file = new File;
  file->inode = st.st_ino;
  file->name = name;
  // Opened through /proc so that it is this very inode, readable even if fd is not. It stays open:
  // closing any descriptor of a file would drop the process's fcntl locks on it.
  file->reader = MoveUp(SysOpen("/proc/self/fd/" + std::to_string(fd), O_RDONLY));
  if (file->reader < 0) Die("cannot open a file a second time");
  if (syscall(SYS_faccessat, AT_FDCWD, log.c_str(), F_OK) == 0) OpenLog(file);
  return file;
}

// Opens or makes the log of a file and finds its end: a record that an earlier process was killed
// in the middle of belongs to a change that never began.
void UndoLog::OpenLog(File* file) {
  file->log = MoveUp(SysOpen(directory_ + "/f" + std::to_string(file->inode), O_RDWR | O_CREAT));
  if (file->log < 0) Die("cannot open the undo log of a file");
  FileHeader header{};
  uint64_t size = SizeOf(file->log);
  if (size < sizeof header) {
    header = {kFileMagic, sizeof header};
    return WriteAll(file->log, reinterpret_cast<char*>(&header), sizeof header, 0);
  }
  std::string bytes = ReadRange(file->log, 0, sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  uint64_t at = file->start = header.start;
  while (at + sizeof(RecordHeader) <= size) {
    RecordHeader record;
    bytes = ReadRange(file->log, at, sizeof record);
    std::memcpy(&record, bytes.data(), sizeof record);
    uint64_t next = at + sizeof record + record.payload;
    if (record.magic != kRecordMagic || next > size) break;
    if (record.type == kPoison) file->poisoned = true;
    at = next;
  }
  file->end = at;
}

void UndoLog::Append(File* file, const RecordHeader& header, const std::string& payload) {
  if (file->log < 0) OpenLog(file);
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += payload;
  WriteAll(file->log, bytes.data(), bytes.size(), file->end);
  file->end += bytes.size();
}

void UndoLog::Write(File* file, uint64_t offset, uint64_t length) {
  if (file->reader < 0) return;
  uint64_t size = SizeOf(file->reader);
  std::string old;
  if (offset < size) old = ReadRange(file->reader, offset, std::min(length, size - offset));
  Append(file, {kRecordMagic, kWrite, offset, length, size, old.size()}, old);
}

void UndoLog::Resize(File* file, uint64_t new_size) {
  if (file->reader < 0) return;
  uint64_t size = SizeOf(file->reader);
  if (size == new_size) return;
  std::string old;
  if (new_size < size) old = ReadRange(file->reader, new_size, size - new_size);
  Append(file, {kRecordMagic, kResize, new_size, 0, size, old.size()}, old);
}

void UndoLog::RangeSync(File* file, uint64_t offset, uint64_t length, Mark mark) {
  if (file->reader < 0 || file->log < 0) return;
  // Nothing in doubt but this write's own record: the log can start anew.
  if (file->start == mark.position && !file->poisoned) return Sync(file, file->Now());
  Append(file, {kRecordMagic, kRangeSync, offset, length, 0, 0}, "");
}

// A SIGKILL between the two steps of starting the log anew brings records back that were durable.
// That does no harm: the fsync they belong to has not returned.
void UndoLog::Sync(File* file, Mark mark) {
  if (file->reader < 0 || file->log < 0 || mark.generation != file->generation) return;
  if (file->poisoned) return Append(file, {kRecordMagic, kSync, mark.position, 0, 0, 0}, "");
  bool clean = mark.position == file->end;
  file->start = clean ? sizeof(FileHeader) : std::max(file->start, mark.position);
  FileHeader header{kFileMagic, file->start};
  WriteAll(file->log, reinterpret_cast<char*>(&header), sizeof header, 0);
  if (clean) {
    if (syscall(SYS_ftruncate, file->log, sizeof header) != 0) Die("ftruncate of the undo log");
    file->end = file->start;
    file->punched = 0;
    ++file->generation;
  } else if (file->start > file->punched + kPunchAt) {
    uint64_t from = std::max<uint64_t>(file->punched, 4096) & ~uint64_t{4095};
    syscall(SYS_fallocate, file->log, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
            file->start - from);
    file->punched = file->start;
  }
}

void UndoLog::Poison(File* file, Mark mark) {
  if (file->reader < 0 || file->log < 0 || mark.generation != file->generation) return;
  file->poisoned = true;
  Append(file, {kRecordMagic, kPoison, mark.position, 0, 0, 0}, "");
}

void UndoLog::SyncEverything() {
  std::vector<File*> all;
  {
    std::lock_guard<std::mutex> lock(files_mutex_);
    for (auto& [inode, file] : files_) all.push_back(file);
  }
  for (File* file : all) {
    std::lock_guard<std::mutex> lock(file->mutex);
    Sync(file, file->Now());
  }
}

// The last name of a file is durably gone. Its space goes when the program closes it, so let go.
void UndoLog::Forget(ino_t inode) {
  std::lock_guard<std::mutex> lock(files_mutex_);
  auto found = files_.find(inode);
  if (found == files_.end()) return;
  File* file = found->second;
  std::lock_guard<std::mutex> hold(file->mutex);
  syscall(SYS_close, file->reader);
  if (file->log >= 0) syscall(SYS_close, file->log);
  file->reader = file->log = -1;
  syscall(SYS_unlinkat, AT_FDCWD, (directory_ + "/f" + std::to_string(inode)).c_str(), 0);
  files_.erase(found);
}

// ---- names -----------------------------------------------------------------------------------
//
// One line per change: number, operation, inode, kept (0 or 1), path, second path; tab-separated.
// `done` lines name a change that is durable or never happened.

std::string UndoLog::KeptPath(uint64_t number) const {
  return directory_ + "/kept." + std::to_string(number);
}

void UndoLog::AppendNames(const std::string& line) {
  if (syscall(SYS_write, names_, line.data(), line.size()) != static_cast<long>(line.size()))
    Die("cannot write the log of names");
}

uint64_t UndoLog::Name(const std::string& op, const std::string& path, const std::string& target,
                       ino_t inode, bool keep_target) {
  uint64_t number = next_number_++;
  // What is about to lose its name: the removed file, or the one a rename replaces.
  const std::string& victim = op == "rename" ? target : path;
  if (keep_target) {
    std::string from = watched_ + "/" + victim;
    if (syscall(SYS_linkat, AT_FDCWD, from.c_str(), AT_FDCWD, KeptPath(number).c_str(), 0) != 0)
      Die("cannot keep a removed file (is the log on the same file system?)");
  }
  AppendNames(std::to_string(number) + "\t" + op + "\t" + std::to_string(inode) + "\t" +
              (keep_target ? "1" : "0") + "\t" + path + "\t" + target + "\n");
  pending_.push_back({number, path, target, keep_target});
  return number;
}

void UndoLog::Drop(const Entry& entry) {
  AppendNames(std::to_string(entry.number) + "\tdone\n");
  if (!entry.kept) return;
  struct stat st;
  std::string kept = KeptPath(entry.number);
  bool last = fstatat(AT_FDCWD, kept.c_str(), &st, 0) == 0 && st.st_nlink == 1;
  syscall(SYS_unlinkat, AT_FDCWD, kept.c_str(), 0);
  if (last) Forget(st.st_ino);
}

void UndoLog::CancelName(uint64_t number) {
  for (auto entry = pending_.begin(); entry != pending_.end(); ++entry) {
    if (entry->number != number) continue;
    Drop(*entry);
    pending_.erase(entry);
    return;
  }
}

uint64_t UndoLog::names_mark() {
  std::lock_guard<std::mutex> lock(names_mutex_);
  return next_number_;
}

void UndoLog::SyncNames(const std::string& directory, uint64_t mark) {
  std::lock_guard<std::mutex> lock(names_mutex_);
  std::vector<Entry> rest;
  for (Entry& entry : pending_) {
    bool here = ParentOf(entry.path) == directory ||
                (!entry.target.empty() && ParentOf(entry.target) == directory);
    if (here && entry.number < mark) {
      Drop(entry);
    } else {
      rest.push_back(entry);
    }
  }
  pending_.swap(rest);
  if (pending_.empty() && syscall(SYS_ftruncate, names_, 0) != 0) Die("ftruncate of the names");
}

void UndoLog::LoadNames() {
  int fd = SysOpen(directory_ + "/names", O_RDONLY);
  if (fd < 0) return;
  std::istringstream in(ReadRange(fd, 0, SizeOf(fd)));
  syscall(SYS_close, fd);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string number, op, inode, kept, path, target;
    std::getline(fields, number, '\t');
    std::getline(fields, op, '\t');
    std::getline(fields, inode, '\t');
    std::getline(fields, kept, '\t');
    std::getline(fields, path, '\t');
    std::getline(fields, target, '\t');
    uint64_t value = std::stoull(number);
    next_number_ = std::max(next_number_, value + 1);
    if (op == "done") {
      std::erase_if(pending_, [&](const Entry& entry) { return entry.number == value; });
    } else {
      pending_.push_back({value, path, target, kept == "1"});
    }
  }
}

void UndoLog::Note(const std::string& line) {
  std::string whole = line + "\n";
  if (syscall(SYS_write, notes_, whole.data(), whole.size()) < 0) Die("cannot write a note");
}

}  // namespace powercut
