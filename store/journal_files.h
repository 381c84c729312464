// What the journal asks of the operating system. The methods do what their names say; tests derive
// from the class to fail, to count, or to lose what was not synced.
//
// Everything returns a negative errno on failure, and may be called from several threads.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

class JournalFiles {
 public:
  virtual ~JournalFiles() = default;

  virtual int List(const std::string& dir, std::vector<std::string>* names);
  virtual int Open(const std::string& path, bool create);  // for reading and writing; a descriptor
  virtual void Close(int fd);
  virtual int64_t Size(int fd);
  // As many bytes as there are up to `size`.
  virtual int64_t Read(int fd, uint64_t offset, char* to, size_t size);
  // All or an error; with `durable`, these bytes (not earlier ones) are on the disk afterwards.
  // `parts` may be used up.
  virtual int Write(int fd, uint64_t offset, iovec* parts, int count, bool durable);
  // Reserves space, where the file system can.
  virtual int Allocate(int fd, uint64_t size);
  // Makes all written bytes durable, and the file's size.
  virtual int Sync(int fd);
  // Later reads come from the disk, as far as the kernel can be talked into it.
  virtual void DropCache(int fd);
  virtual int Rename(const std::string& from, const std::string& to);
  virtual int Remove(const std::string& path);
  // Makes creations, renames and removals in the directory durable.
  virtual int SyncDir(const std::string& dir);
};

}  // namespace sluice
