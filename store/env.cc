#include "store/env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "store/codec.h"
#include "store/snapshot.h"

namespace sluice {
namespace {

constexpr const char* kTableNames[kTables] = {
    "meta",       "keys",       "expiry",     "garbage",   "chunk",       "list",
    "stream",     "group",      "pending",    "owner",     "timer",       "hash",
    "hash-timer", "set",        "sorted-set", "member",    "function",    "due",
    "order",      "idempotent", "lease",      "lease-due", "lease-owner", "returned",
    "stage",      "stage-due",  "expiring",   "sequence",  "binding",     "queue"};
static_assert(kTableNames[kTables - 1], "every table has a name");
constexpr uint32_t kFormatVersion = 1;
// Four times the pages that a checkpoint is taken for: collisions in the sketch stay rare.
constexpr int kSketchBits = 14;

// Batch operations; each is followed by the table (one byte) and length-prefixed key and value.
constexpr uint8_t kOpPut = 1;
constexpr uint8_t kOpDelete = 2;
constexpr uint8_t kOpDeleteRange = 3;  // key = from, value = the last key deleted

MDB_val ToVal(std::string_view s) { return {s.size(), const_cast<char*>(s.data())}; }
std::string_view ToView(const MDB_val& v) { return {static_cast<char*>(v.mv_data), v.mv_size}; }

Status FromLmdb(int rc, const std::string& what) {
  if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
      rc == MDB_VERSION_MISMATCH) {
    return Status(Code::kCorrupt, what + ": " + mdb_strerror(rc));
  }
  if (rc > 0) return Status::FromErrno(rc, what);
  return Status(Code::kIoError, what + ": " + mdb_strerror(rc));
}

}  // namespace

Result<std::unique_ptr<Env>> Env::Open(const Options& options) {
  std::unique_ptr<Env> env(new Env(options));
  if (Status s = env->OpenFiles(); !s.ok()) return s;
  return env;
}

Env::~Env() {
  if (txn_) mdb_txn_abort(txn_);
  if (env_) mdb_env_close(env_);
}

Status Env::OpenFiles() {
  path_ = options_.dir + "/data.mdb";
  if (options_.durable) TRY(RestoreSnapshot(path_, options_.dir + "/checkpoint"));

  struct stat st {};
  size_t map = options_.map_bytes;
  size_t least = size_t{1} << 30;
  if (::stat(path_.c_str(), &st) == 0) least += static_cast<size_t>(st.st_size) * 2;
  while (map < least) map *= 2;
  // NOSYNC: the pages reach the disk in SyncCheckpoint, and Open goes back to the last commit for
  // which that has happened. NOLOCK: the directory's lock keeps others out, and LMDB's own would
  // tie the transaction to the thread that began it.
  int rc = 0;
  for (;; map /= 2) {
    rc = mdb_env_create(&env_);
    if (rc == 0) rc = mdb_env_set_maxdbs(env_, 64);
    if (rc == 0) rc = mdb_env_set_mapsize(env_, map);
    if (rc == 0) rc = mdb_env_open(env_, options_.dir.c_str(), MDB_NOSYNC | MDB_NOLOCK, 0644);
    // Some systems grant less address space than we ask for (limits, checkers).
    bool too_much = rc == EINVAL || rc == ENOMEM;
    if (!too_much || map / 2 < least) break;
    mdb_env_close(env_);
    env_ = nullptr;
  }
  if (rc != 0) return FromLmdb(rc, path_);
  if (!options_.durable) ::unlink(path_.c_str());
  TRY(BeginTransaction());

  auto format = Get(Table::kMeta, "format");
  if (!format) {
    std::string version;
    PutFixed(&version, kFormatVersion);
    PutRow(Table::kMeta, "format", version);
    TRY(failure_);
    TRY(Commit(0, 0));
    return options_.durable ? SyncCheckpoint() : Status::Ok();
  }
  uint32_t version = ValueReader(*format).Fixed<uint32_t>();
  if (version > kFormatVersion) {
    return Status(Code::kTooNew, path_ + " has format version " + std::to_string(version) +
                                     "; this program knows up to " +
                                     std::to_string(kFormatVersion));
  }
  if (auto lsn = Get(Table::kMeta, "lsn")) {
    ValueReader r(*lsn);
    lsn_ = r.Fixed<uint64_t>();
    epoch_ = r.Fixed<uint64_t>();
  }
  return failure_;
}

Status Env::BeginTransaction() {
  int rc = mdb_txn_begin(env_, nullptr, 0, &txn_);
  if (rc != 0) {
    txn_ = nullptr;
    return FromLmdb(rc, path_ + ": begin");
  }
  for (int i = 0; i < kTables; ++i) {
    rc = mdb_dbi_open(txn_, kTableNames[i], MDB_CREATE, &tables_[i]);
    if (rc != 0) return FromLmdb(rc, path_ + ": table " + kTableNames[i]);
  }
  touched_pages_ = 0;
  pages_at_begin_ = TablePages();
  if (touched_.empty()) touched_.resize(size_t{1} << kSketchBits);
  std::fill(touched_.begin(), touched_.end(), 0);
  return Status::Ok();
}

// LMDB frees a write transaction's cursors when the transaction ends.
void Env::CloseCursors() {
  for (int i = 0; i < kTables; ++i) {
    write_cursors_[i] = nullptr;
    idle_cursors_[i].clear();
  }
}

bool Env::Check(int rc, const char* what) {
  if (rc == 0) return true;
  if (rc != MDB_NOTFOUND && failure_.ok()) failure_ = FromLmdb(rc, path_ + ": " + what);
  return false;
}

void Env::Fail(Status status) {
  if (failure_.ok()) failure_ = std::move(status);
}

// Counts distinct pages without asking LMDB, which does not say: the address of a row tells its
// page. The sketch is a direct-mapped set of page numbers; a collision counts a page twice, which
// only makes the checkpoint come a little earlier.
void Env::Touch(const void* page_memory) {
  uint64_t page = reinterpret_cast<uint64_t>(page_memory) >> 12;
  uint64_t& slot = touched_[(page * 0x9e3779b97f4a7c15) >> (64 - kSketchBits)];
  if (slot == page) return;
  slot = page;
  ++touched_pages_;
}

size_t Env::TablePages() const {
  size_t pages = 0;
  for (int i = 0; i < kTables; ++i) {
    MDB_stat stat;
    if (mdb_stat(txn_, tables_[i], &stat) != 0) continue;
    pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  }
  return pages;
}

size_t Env::dirty_bytes() const {
  size_t now = TablePages();
  size_t grown = now > pages_at_begin_ ? now - pages_at_begin_ : 0;
  return (touched_pages_ + grown) * 4096;
}

MDB_cursor* Env::WriteCursor(Table table) {
  int i = static_cast<int>(table);
  if (!write_cursors_[i] &&
      !Check(mdb_cursor_open(txn_, tables_[i], &write_cursors_[i]), "cursor")) {
    return nullptr;
  }
  return write_cursors_[i];
}

MDB_cursor* Env::LeaseCursor(Table table) {
  int i = static_cast<int>(table);
  if (!failure_.ok()) return nullptr;
  if (!idle_cursors_[i].empty()) {
    MDB_cursor* cursor = idle_cursors_[i].back();
    idle_cursors_[i].pop_back();
    return cursor;
  }
  MDB_cursor* cursor = nullptr;
  return Check(mdb_cursor_open(txn_, tables_[i], &cursor), "cursor") ? cursor : nullptr;
}

void Env::ReturnCursor(Table table, MDB_cursor* cursor) {
  if (cursor) idle_cursors_[static_cast<int>(table)].push_back(cursor);
}

std::optional<std::string_view> Env::Get(Table table, std::string_view key) {
  if (!failure_.ok()) return std::nullopt;
  MDB_val k = ToVal(key), v;
  if (!Check(mdb_get(txn_, tables_[static_cast<int>(table)], &k, &v), "get")) return std::nullopt;
  return ToView(v);
}

void Env::PutRow(Table table, std::string_view key, std::string_view value) {
  MDB_cursor* cursor = WriteCursor(table);
  if (!cursor) return;
  MDB_val k = ToVal(key), v{value.size(), nullptr};
  if (!Check(mdb_cursor_put(cursor, &k, &v, MDB_RESERVE), "put")) return;
  if (!value.empty()) std::memcpy(v.mv_data, value.data(), value.size());
  Touch(v.mv_data);
}

bool Env::DeleteRow(Table table, std::string_view key) {
  MDB_cursor* cursor = WriteCursor(table);
  if (!cursor) return false;
  MDB_val k = ToVal(key), v;
  if (!Check(mdb_cursor_get(cursor, &k, &v, MDB_SET), "find")) return false;
  Touch(v.mv_data);
  return Check(mdb_cursor_del(cursor, 0), "delete");
}

uint64_t Env::DeleteRows(Table table, std::string_view from, std::string_view to, uint64_t limit,
                         std::string* last) {
  MDB_cursor* cursor = WriteCursor(table);
  if (!cursor) return 0;
  uint64_t deleted = 0;
  MDB_val k = ToVal(from), v;
  int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  while (rc == 0 && ToView(k) < to && deleted < limit) {
    if (last) last->assign(ToView(k));
    Touch(v.mv_data);
    if (!Check(mdb_cursor_del(cursor, 0), "delete")) return deleted;
    ++deleted;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
  }
  Check(rc, "walk");
  return deleted;
}

void Env::Record(uint8_t op, Table table, std::string_view key, std::string_view value) {
  batch_.push_back(static_cast<char>(op));
  batch_.push_back(static_cast<char>(table));
  PutBytes(&batch_, key);
  if (op != kOpDelete) PutBytes(&batch_, value);
}

void Env::Put(Table table, std::string_view key, std::string_view value) {
  if (!failure_.ok()) return;
  PutRow(table, key, value);
  Record(kOpPut, table, key, value);
}

bool Env::Delete(Table table, std::string_view key) {
  if (!failure_.ok() || !DeleteRow(table, key)) return false;
  Record(kOpDelete, table, key, {});
  return true;
}

uint64_t Env::DeleteRange(Table table, std::string_view from, std::string_view to, uint64_t limit) {
  if (!failure_.ok()) return 0;
  std::string last;
  uint64_t deleted = DeleteRows(table, from, to, limit, &last);
  if (deleted) Record(kOpDeleteRange, table, from, last);
  return deleted;
}

Status Env::Apply(std::string_view batch) {
  ValueReader r(batch);
  while (!r.AtEnd()) {
    uint8_t op = r.Fixed<uint8_t>();
    uint8_t table_number = r.Fixed<uint8_t>();
    std::string_view key = r.Bytes();
    std::string_view value = op == kOpDelete ? std::string_view() : r.Bytes();
    if (!r.ok() || op < kOpPut || op > kOpDeleteRange || table_number >= kTables || key.empty() ||
        key.size() > kMaxRowKey) {
      return Status(Code::kCorrupt, "a journal record holds no batch");
    }
    Table table = static_cast<Table>(table_number);
    switch (op) {
      case kOpPut:
        PutRow(table, key, value);
        break;
      case kOpDelete:
        DeleteRow(table, key);
        break;
      default: {
        std::string past(value);
        past.push_back('\0');
        DeleteRows(table, key, past, UINT64_MAX, nullptr);
      }
    }
    TRY(failure_);
  }
  return Status::Ok();
}

Status Env::Commit(uint64_t lsn, uint64_t epoch) {
  TRY(failure_);
  std::string value;
  PutFixed(&value, lsn);
  PutFixed(&value, epoch);
  PutRow(Table::kMeta, "lsn", value);
  Status status = failure_;
  if (status.ok()) {
    size_t id = mdb_txn_id(txn_);
    CloseCursors();
    int rc = mdb_txn_commit(txn_);
    txn_ = nullptr;
    if (rc == 0) {
      lsn_ = lsn;
      epoch_ = epoch;
      committed_txn_ = id;
      TRY(GrowMap());
      return BeginTransaction();
    }
    // When the disk takes only a part of a write, LMDB says EIO: there was no space for the rest.
    if (rc == EIO) rc = ENOSPC;
    status = FromLmdb(rc, path_ + ": commit");
  }
  TRY(Rollback());
  return status;
}

Status Env::Rollback() {
  CloseCursors();
  if (txn_) mdb_txn_abort(txn_);
  txn_ = nullptr;
  batch_.clear();
  failure_ = Status::Ok();
  TRY(GrowMap());
  return BeginTransaction();
}

// Doubles the address space when half of it is in use; only possible between transactions.
Status Env::GrowMap() {
  MDB_envinfo info;
  mdb_env_info(env_, &info);
  if (file_bytes() < info.me_mapsize / 2) return Status::Ok();
  int rc = mdb_env_set_mapsize(env_, info.me_mapsize * 2);
  return rc == 0 ? Status::Ok() : FromLmdb(rc, path_ + ": growing the map");
}

uint64_t Env::file_bytes() const {
  MDB_envinfo info;
  MDB_stat stat;
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

Status Env::SyncCheckpoint() {
  int fd = -1;
  mdb_env_get_fd(env_, &fd);
  Status status;
  if (::fdatasync(fd) != 0) status = Status::FromErrno(errno, path_ + ": fdatasync");
  if (status.ok()) status = SaveSnapshot(fd, options_.dir + "/checkpoint", committed_txn_);
  if (status.code() == Code::kNoSpace) return Status(Code::kIoError, status.message());
  return status;
}

Cursor::Cursor(Env* env, Table table)
    : env_(env), table_(table), cursor_(env->LeaseCursor(table)) {}

Cursor::~Cursor() { env_->ReturnCursor(table_, cursor_); }

bool Cursor::Move(MDB_cursor_op op, std::string_view key) {
  valid_ = false;
  if (!cursor_ || !env_->failure_.ok()) return false;
  MDB_val k = ToVal(key), v;
  if (!env_->Check(mdb_cursor_get(cursor_, &k, &v, op), "walk")) return false;
  key_ = ToView(k);
  value_ = ToView(v);
  return valid_ = true;
}

bool Cursor::SeekAtLeast(std::string_view key) { return Move(MDB_SET_RANGE, key); }

bool Cursor::SeekAtMost(std::string_view key) {
  if (!SeekAtLeast(key)) return Last();
  return key_ == key || Prev();
}

bool Cursor::First() { return Move(MDB_FIRST); }
bool Cursor::Last() { return Move(MDB_LAST); }
bool Cursor::Next() { return Move(MDB_NEXT); }
bool Cursor::Prev() { return Move(MDB_PREV); }

void Cursor::DeleteCurrent() {
  if (!valid_ || !env_->failure_.ok()) return;
  env_->Record(kOpDelete, table_, key_, {});
  env_->Touch(value_.data());
  env_->Check(mdb_cursor_del(cursor_, 0), "delete");
  valid_ = false;
}

}  // namespace sluice
