// What a power cut would take back.
//
// The log directory holds, for every file below the watched directory, the bytes and sizes that
// were there before each change that no fsync has covered yet (one file `f<inode>` each), and for
// the watched directories the creations, renames and removals that no fsync of the directory has
// covered (`names`, with the removed files hard-linked beside it as `kept.<n>`). Everything is
// written with plain writes before the change itself, so the log outlives a SIGKILL of the process
// and the next process continues it. `cut` reads it; README.md has the format.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace powercut {

enum RecordType : uint32_t {
  kWrite = 1,      // [offset, offset+length) is about to change; the payload is what was there
  kResize = 2,     // the size becomes `offset`; the payload is what a shrinking cuts off
  kRangeSync = 3,  // every earlier change of [offset, offset+length), and the size, is durable
  kSync = 4,       // every record before log position `offset` is durable, but for poisoned ones
  kPoison = 5,     // an fsync failed: records before `offset` stay in doubt whatever follows
};

struct RecordHeader {
  uint32_t magic;
  uint32_t type;
  uint64_t offset;
  uint64_t length;
  uint64_t old_size;
  uint64_t payload;
};

struct FileHeader {
  uint64_t magic;
  uint64_t start;  // log position of the first record that is not durable yet
};

constexpr uint32_t kRecordMagic = 0x31524350;        // "PCR1"
constexpr uint64_t kFileMagic = 0x31464c5455435750;  // "PWCUTLF1"

// A place in a file's log, as taken when a sync begins. The log starts anew whenever nothing in it
// is in doubt; a mark from before that has nothing left to say.
struct Mark {
  uint64_t generation = 0;
  uint64_t position = 0;
};

// One file, whatever names and descriptors it has. Lock `mutex` around every member.
struct File {
  std::mutex mutex;
  ino_t inode = 0;
  std::string name;  // as first opened, for messages and filters
  int reader = -1;   // private descriptor for the old bytes; -1 once the file is gone
  int log = -1;      // `f<inode>`, made when the first change comes
  uint64_t start = sizeof(FileHeader);  // log position of the first record in doubt
  uint64_t end = sizeof(FileHeader);    // log position after the last record
  uint64_t generation = 0;              // how often the log has started anew
  uint64_t punched = 0;  // log bytes before it have been given back to the file system
  bool poisoned = false;

  Mark Now() const { return {generation, end}; }
};

class UndoLog {
 public:
  // `log` must be on the file system of the watched directory, and not below it.
  bool Open(const std::string& watched, const std::string& log);

  // The one File of an inode, made on first sight. `fresh` says that the file has just been
  // created: what the log knew about this inode belonged to a file that is gone.
  File* Track(int fd, const std::string& name, bool fresh);
  File* Find(ino_t inode);

  // Before a change, with file->mutex held. Exits the process when the log cannot be written.
  void Write(File* file, uint64_t offset, uint64_t length);
  void Resize(File* file, uint64_t new_size);
  // After it. `mark` is file->Now() as it was when the sync began (RangeSync: before its Write).
  void RangeSync(File* file, uint64_t offset, uint64_t length, Mark mark);
  void Sync(File* file, Mark mark);
  void Poison(File* file, Mark mark);
  void SyncEverything();

  // Names. Paths are relative to the watched directory ("" is the directory itself). The caller
  // holds names_mutex() from before the change is logged until it has been made.
  std::mutex& names_mutex() { return names_mutex_; }
  // op: create, unlink, rename, link, mkdir, rmdir. Returns the number to give to CancelName.
  uint64_t Name(const std::string& op, const std::string& path, const std::string& target,
                ino_t inode, bool keep_target);
  void CancelName(uint64_t number);
  uint64_t names_mark();
  void SyncNames(const std::string& directory, uint64_t mark);

  // A line for the people (and the harness) who read `notes` in the log directory.
  void Note(const std::string& line);

 private:
  struct Entry {
    uint64_t number;
    std::string path, target;
    bool kept;
  };
  void Append(File* file, const RecordHeader& header, const std::string& payload);
  void OpenLog(File* file);
  void Forget(ino_t inode);
  void LoadNames();
  void Drop(const Entry& entry);
  std::string KeptPath(uint64_t number) const;
  void AppendNames(const std::string& line);

  std::string watched_, directory_;
  std::mutex files_mutex_;
  std::map<ino_t, File*> files_;
  std::mutex names_mutex_;
  int names_ = -1;
  int notes_ = -1;
  uint64_t next_number_ = 1;
  std::vector<Entry> pending_;
};

// Ends the process with a message: a test tool that lost track must not go on quietly.
[[noreturn]] void Die(const char* what);

}  // namespace powercut
