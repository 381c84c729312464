#include "store/snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "store/crc32c.h"

namespace sluice {
namespace {

// How much of a meta page is kept; what LMDB writes there is far less. The meta pages themselves
// lie one system page apart.
constexpr size_t kPage = 4096;
constexpr uint64_t kMagic = 0x31544e50'4b434c53;  // "SLCKPNT1"

// One slot: this header in a page of its own, then the meta page.
struct SlotHeader {
  uint64_t magic;
  uint64_t txn;
  uint32_t page_bytes;
  uint32_t crc;  // CRC32C of the header with crc = 0, then of the meta page
};

struct Slot {
  union {
    SlotHeader header;
    char bytes[kPage];
  };
  char meta[kPage];
};
static_assert(sizeof(Slot) == 2 * kPage);

uint32_t SlotCrc(Slot slot) {
  slot.header.crc = 0;
  return Crc32c(0, reinterpret_cast<const char*>(&slot), sizeof slot);
}

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

Status SyncDirectoryOf(const std::string& path) {
  std::string dir = path.substr(0, path.rfind('/'));
  File file(dir, O_RDONLY | O_DIRECTORY);
  if (!file.is_open() || ::fsync(file.fd()) != 0) return Status::FromErrno(errno, dir);
  return Status::Ok();
}

}  // namespace

Status SaveSnapshot(int data_fd, const std::string& checkpoint_path, uint64_t txn) {
  uint32_t page_bytes = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  Slot slot{};
  if (::pread(data_fd, slot.meta, kPage, (txn & 1) * page_bytes) != static_cast<ssize_t>(kPage)) {
    return Status::FromErrno(errno, "reading the meta page");
  }
  slot.header = {kMagic, txn, page_bytes, 0};
  slot.header.crc = SlotCrc(slot);

  bool created = ::access(checkpoint_path.c_str(), F_OK) != 0;
  File file(checkpoint_path, O_RDWR | O_CREAT);
  if (!file.is_open()) return Status::FromErrno(errno, checkpoint_path);
  // Both slots have their place on the disk from the beginning: a full one is no reason to fail.
  if (int error = created ? ::posix_fallocate(file.fd(), 0, 2 * sizeof slot) : 0) {
    return Status::FromErrno(error, checkpoint_path);
  }
  ssize_t n = ::pwrite(file.fd(), &slot, sizeof slot, (txn & 1) * sizeof slot);
  if (n != static_cast<ssize_t>(sizeof slot) || ::fdatasync(file.fd()) != 0) {
    return Status::FromErrno(n < 0 ? errno : EIO, checkpoint_path);
  }
  return created ? SyncDirectoryOf(checkpoint_path) : Status::Ok();
}

Status RestoreSnapshot(const std::string& data_path, const std::string& checkpoint_path) {
  File checkpoint(checkpoint_path, O_RDONLY);
  if (!checkpoint.is_open()) {
    if (errno != ENOENT) return Status::FromErrno(errno, checkpoint_path);
    // The first commit is saved before anything is answered, so a database without a saved
    // commit is one whose creation a crash cut short.
    if (::unlink(data_path.c_str()) != 0 && errno != ENOENT) {
      return Status::FromErrno(errno, data_path);
    }
    return Status::Ok();
  }

  Slot best{};
  for (int i = 0; i < 2; ++i) {
    Slot slot{};
    if (::pread(checkpoint.fd(), &slot, sizeof slot, i * sizeof slot) !=
        static_cast<ssize_t>(sizeof slot)) {
      continue;
    }
    if (slot.header.magic == kMagic && slot.header.crc == SlotCrc(slot) &&
        slot.header.txn >= best.header.txn) {
      best = slot;
    }
  }
  if (best.header.magic != kMagic) {
    return Status(Code::kCorrupt, checkpoint_path + ": no valid checkpoint at offset 0 or 8192");
  }

  File data(data_path, O_RDWR);
  if (!data.is_open()) return Status::FromErrno(errno, data_path);
  bool changed = false;
  for (uint64_t page = 0; page < 2; ++page) {
    // A meta page's header begins with its own page number.
    std::memcpy(best.meta, &page, sizeof page);
    char present[kPage];
    if (::pread(data.fd(), present, kPage, page * best.header.page_bytes) ==
            static_cast<ssize_t>(kPage) &&
        std::memcmp(present, best.meta, kPage) == 0) {
      continue;
    }
    changed = true;
    if (::pwrite(data.fd(), best.meta, kPage, page * best.header.page_bytes) !=
        static_cast<ssize_t>(kPage)) {
      return Status::FromErrno(errno, data_path);
    }
  }
  if (changed && ::fdatasync(data.fd()) != 0) return Status::FromErrno(errno, data_path);
  return Status::Ok();
}

}  // namespace sluice
