// Tables of rows, kept by LMDB, and the batch of effects that the open turn has made on them.
//
// One LMDB write transaction stays open across turns. Every Put and Delete goes to it and is
// appended to the batch, so whoever reads sees the turn's own writes, and the batch alone, replayed
// onto the last checkpoint, gives the same rows again.
//
// Failure is sticky. The rows can only fail for reasons no command can act on (the disk, memory),
// so after the first failure reads find nothing, writes do nothing and failure() says why; the
// engine looks at it after each command and recovers. That keeps every caller free of error paths
// that no test would ever walk.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/result.h"

namespace sluice {

// On disk: never renumber. What each row looks like is in FORMAT.md.
enum class Table : uint8_t {
  kMeta = 0,            // facts about the whole store
  kKeys = 1,            // database, hash, name -> type, object id, expiry, header
  kExpiry = 2,          // deadline, key row
  kGarbage = 3,         // what a slice per turn reclaims
  kChunk = 4,           // object, chunk number -> bytes of a long string
  kList = 5,            // object, index -> element
  kStream = 6,          // object, entry id -> fields
  kGroup = 7,           // object, group or consumer -> state
  kPending = 8,         // object, group, entry id -> owner, delivery time, deliveries
  kPendingByOwner = 9,  // object, group, consumer, entry id
  kTimer = 10,          // moment, key row: as kExpiry, for what is inside an object
  kHash = 11,           // object, field -> value
  kHashTimer = 12,      // object, moment, field
  kSet = 13,            // object, member
  kSortedSet = 14,      // object, score, member
  kMember = 15,         // object, member -> score
  kFunction = 16,       // a library of functions -> its code
  kDue = 17,            // object, group, queue, moment or place in line, entry id
  kOrder = 18,          // object, group, hash of a value, entry id
  kIdempotent = 19,     // object, producer or id of a message -> entry id
  kLease = 20,          // object, number -> an element that was given out
  kLeaseDue = 21,       // object, moment, number: as they fall due
  kLeaseOwner = 22,     // object, a consumer's name -> how many leases it has
  kReturned = 23,       // object, index -> how often a list's element was given out before
  kStage = 24,          // object, handle -> an entry that is not in its stream yet, or its id there
  kStageDue = 25,       // object, queue, moment, handle
  kExpiring = 26,       // object, moment, entry id: when an entry's time is over
  kSequence = 27,       // object, producer -> how far its numbered messages have come
  kBinding = 28,        // object, number -> where a stream's entries are copied to
  kQueue = 29,          // key row: which keys are queues
};
inline constexpr int kTables = 30;

class Env {
 public:
  struct Options {
    std::string dir;
    // Rows survive this process. Otherwise the files are unlinked as soon as they are open.
    bool durable = true;
    // Address space set aside at first; it doubles by itself at checkpoints.
    size_t map_bytes = size_t{64} << 30;
  };

  // Opens or creates data.mdb in `dir`, at the last checkpoint that is known durable, whatever a
  // power cut left behind (see FORMAT.md, "Checkpoint").
  static Result<std::unique_ptr<Env>> Open(const Options& options);
  ~Env();
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;

  // Views stay valid until the next Put, Delete or Commit.
  std::optional<std::string_view> Get(Table table, std::string_view key);
  void Put(Table table, std::string_view key, std::string_view value);
  // True when there was such a row; without one nothing is recorded.
  bool Delete(Table table, std::string_view key);
  // Deletes the rows with from <= key < to, at most `limit` of them; returns how many.
  uint64_t DeleteRange(Table table, std::string_view from, std::string_view to,
                       uint64_t limit = UINT64_MAX);

  const Status& failure() const { return failure_; }
  // Latches a failure found by a reader of rows (bytes that make no sense).
  void Fail(Status status);

  // The effects since the last TakeBatch or Rollback, in the encoding of FORMAT.md, "Batch".
  const std::string& batch() const { return batch_; }
  void ClearBatch() { batch_.clear(); }
  // Does what a batch says, without recording it again. Bytes that are no batch are kCorrupt.
  Status Apply(std::string_view batch);

  // Commits the open transaction, `lsn` and `epoch` with it, and opens the next. The pages are
  // handed to the kernel, not synced: call SyncCheckpoint (from any thread), and do not commit
  // again before it has returned. On failure the rows are back at the checkpoint before (and
  // failure() is clear): the caller replays.
  Status Commit(uint64_t lsn, uint64_t epoch);
  // Makes the last commit the one that Open returns to after a power cut. Thread-safe. A failure is
  // final (kIoError, even for want of space): what the kernel has dropped cannot be asked for
  // again.
  Status SyncCheckpoint();
  // Drops everything since the last commit, the batch and the failure with it.
  Status Rollback();

  // What the last commit covers.
  uint64_t lsn() const { return lsn_; }
  uint64_t epoch() const { return epoch_; }

  // A string to copy a value into that must outlive its row; whoever uses it next overwrites it.
  std::string& scratch() { return scratch_; }

  // About how many bytes of pages the open transaction has changed: what a Commit has to write.
  size_t dirty_bytes() const;
  // Bytes of data.mdb in use.
  uint64_t file_bytes() const;

 private:
  friend class Cursor;
  explicit Env(Options options) : options_(std::move(options)) {}
  Status OpenFiles();
  Status RestoreCheckpoint();
  Status BeginTransaction();
  Status GrowMap();
  void CloseCursors();
  bool Check(int rc, const char* what);
  size_t TablePages() const;
  void Touch(const void* page_memory);
  void Record(uint8_t op, Table table, std::string_view key, std::string_view value);
  void PutRow(Table table, std::string_view key, std::string_view value);
  bool DeleteRow(Table table, std::string_view key);
  uint64_t DeleteRows(Table table, std::string_view from, std::string_view to, uint64_t limit,
                      std::string* last);
  MDB_cursor* WriteCursor(Table table);
  MDB_cursor* LeaseCursor(Table table);
  void ReturnCursor(Table table, MDB_cursor* cursor);

  Options options_;
  std::string path_;
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  MDB_dbi tables_[kTables] = {};
  MDB_cursor* write_cursors_[kTables] = {};
  std::vector<MDB_cursor*> idle_cursors_[kTables];
  Status failure_;
  std::string batch_;
  std::string scratch_;
  uint64_t lsn_ = 0;
  uint64_t epoch_ = 0;
  size_t committed_txn_ = 0;
  // Pages that were there and were written to, by a small sketch: see Touch. Pages that came new
  // are the growth of the tables since the transaction began.
  size_t touched_pages_ = 0;
  size_t pages_at_begin_ = 0;
  std::vector<uint64_t> touched_;
};

// Walks the rows of one table in key order. Views stay valid until the next write to the Env; after
// a write the cursor may only be re-positioned with a Seek, except after its own DeleteCurrent.
class Cursor {
 public:
  Cursor(Env* env, Table table);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  bool SeekAtLeast(std::string_view key);  // first row with row key >= key
  bool SeekAtMost(std::string_view key);   // last row with row key <= key
  bool First();
  bool Last();
  bool Next();
  bool Prev();

  bool valid() const { return valid_; }
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }

  // Deletes the row the cursor is on. Afterwards Next() goes to the row after the deleted one and
  // Prev() to the one before it.
  void DeleteCurrent();

 private:
  bool Move(MDB_cursor_op op, std::string_view key = {});
  Env* env_;
  Table table_;
  MDB_cursor* cursor_;
  bool valid_ = false;
  std::string_view key_;
  std::string_view value_;
};

}  // namespace sluice
