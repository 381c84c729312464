// Names to objects: the key rows, a cache of the hot ones, expiry times, databases.
//
// A key row is written once per turn, however many commands changed its object: the objects change
// the cached Key, and Flush turns what is dirty into rows. Whoever walks rows (Scan, NextMoment)
// flushes first.
//
// There is no clock here: a key whose time has come is a key until the engine deletes it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/codec.h"
#include "store/env.h"

namespace sluice {

// On disk: never renumber.
enum class Type : uint8_t {
  kString = 1,
  kList = 2,
  kStream = 3,
  kHash = 4,
  kSet = 5,
  kSortedSet = 6,
};
inline constexpr int kTypes = 7;

using ObjectId = uint64_t;
inline constexpr int kMaxDatabases = 1024;

// One name in one database, and what it stands for.
struct Key {
  uint32_t space = 0;  // the database's rows; see Keyspace
  std::string name;
  bool exists = false;
  Type type = Type::kString;
  ObjectId object = 0;
  int64_t expires_at_ms = 0;  // unix time; 0: never
  // When something inside the object falls due next (unix time; 0: never): a hash field's expiry,
  // ...
  int64_t timer_ms = 0;
  // It holds nothing that a client could see, but goes on for what the type keeps beside (a list's
  // leases and settings): see Keyspace::Hide.
  bool hidden = false;
  // The type's header: everything about the object that is not in rows of its own.
  std::string header;
  // When a command last looked at it (OBJECT IDLETIME); set by the engine, kept in memory only.
  int64_t accessed_ms = 0;

 private:
  friend class Keyspace;
  bool persisted = false;  // there is a row
  bool dirty = false;
  bool persisted_queue = false;
  int64_t persisted_expiry = 0;
  int64_t persisted_timer = 0;
  std::string row_key;
};

class Keyspace {
 public:
  Keyspace(Env* env, int databases);

  // Reads the databases' rows; after Env::Open and after every Rollback, Recover or replay.
  Status Load();

  // The key, or nullptr; one that is hidden is none. Keys stay where they are until EndTurn.
  Key* Find(int db, std::string_view name);
  // The same for those who know of hidden keys.
  Key* FindHidden(int db, std::string_view name);
  // Makes a key that Find did not find. A hidden one of the same type goes on as it, with what it
  // keeps; one of another type is removed.
  Key& Create(int db, std::string_view name, Type type);
  // Forgets the key; its object's remaining rows are reclaimed later, a slice at a time, unless it
  // is known to have none.
  void Remove(Key* key, bool has_rows = true);
  // The key goes on with a new, empty object (no header); the old one's rows are reclaimed later.
  void Abandon(Key* key);
  // From now on the key is none to Find, Size, Scan and whoever asks them, and has no expiry, until
  // it is revealed or Create asks for its name. Its timer goes on.
  void Hide(Key* key);
  void Reveal(Key* key);
  // The object (with expiry and header) gets another name, even in another database. `to` must not
  // exist.
  Key& Rename(Key* from, int to_db, std::string_view to_name);
  // The object, its rows (see TablesOf) and expiry, once more under a name that must not exist. The
  // copy is a copy of bytes: an object's rows name it in the first eight bytes of their keys only.
  Key& Copy(Key* from, int to_db, std::string_view to_name);
  void SetExpiry(Key* key, int64_t at_ms);
  // The one moment at which the object's type wants to be asked (see timer_ms); 0: none. It goes
  // where the key goes: RENAME, COPY and MOVE take it along, Remove drops it.
  void SetTimer(Key* key, int64_t at_ms);
  // To be called after changing `header`.
  void Changed(Key* key) { MarkDirty(key); }
  ObjectId NewObject() { return next_object_++; }
  // Leaves rows of a living object to be reclaimed, a slice at a time: those whose keys behind the
  // object's id are at or above `from` and below `to`. The object must never look at them again.
  void AddGarbageRange(ObjectId object, Table table, std::string_view from, std::string_view to);
  // Reclaims now what AddGarbageRange left of a table.
  void ReclaimRanges(ObjectId object, Table table);

  uint64_t Size(int db) const { return databases_[db].keys; }
  uint64_t Expires(int db) const { return databases_[db].expires; }
  int databases() const { return configured_; }

  // Drops every key of a database in constant time; rows are reclaimed later.
  void Clear(int db);
  void Swap(int a, int b);

  // Calls `visit` for the keys of a database from `cursor` on (0: the beginning) until `visit` has
  // been called for at least `count` of them (hidden ones count, and are not shown), and returns
  // where to go on, 0 at the end. A key that is there all the time between a first call with 0 and
  // a last that returns 0 is visited exactly once. Cursors are below kCursorEnd and survive a
  // restart. `visit` must not change keys; expired ones are visited too.
  static constexpr uint64_t kCursorEnd = uint64_t{1} << 48;
  struct Row {
    std::string_view name;
    Type type;
    ObjectId object;
    int64_t expires_at_ms;
  };
  uint64_t Scan(int db, uint64_t cursor, uint64_t count,
                const std::function<void(const Row&)>& visit);
  // Queues, to whoever looks after them, are streams with groups and lists with leases or settings,
  // hidden ones too: how many there are, and up to `most` of them in the order of Scan. They are
  // found without a look at any other key. Queues is as of the last Flush.
  uint64_t Queues(int db) const { return databases_[db].queues; }
  std::vector<std::string> FindQueues(int db, uint64_t most);
  // Some key at or after the place that `random` points to; nullopt in an empty database.
  std::optional<std::string> SomeKey(int db, uint64_t random);

  // What a key can have waiting for its time.
  enum class Moment : uint8_t { kExpiry, kTimer };
  // The key whose moment of this kind comes first, if it lies before `end_ms`.
  struct Due {
    int db;
    std::string name;
  };
  std::optional<Due> NextDue(Moment moment, int64_t end_ms);
  // The earliest of all keys' moments of this kind, if any.
  std::optional<int64_t> NextMoment(Moment moment);

  // Turns what the turn changed into rows (and so into effects).
  void Flush();
  // Flushes and lets go of keys that have not been used for a while: pointers end here.
  void EndTurn();

  // Reclaims up to `rows` rows of removed objects and databases; true when more remain.
  bool ReclaimSlice(uint64_t rows);
  bool has_garbage() const { return has_garbage_; }

 private:
  // A database's number is what SELECT says; its space is what its rows say. Both are the same at
  // first; SWAPDB swaps spaces, FLUSHDB takes a new one and leaves the old to be reclaimed.
  struct Database {
    uint32_t space = 0;
    uint64_t keys = 0;
    uint64_t expires = 0;
    uint64_t hidden = 0;  // not among `keys`
    uint64_t queues = 0;
    bool dirty = false;
  };
  struct CacheKey {
    uint32_t space;
    std::string_view name;
    bool operator==(const CacheKey& o) const { return space == o.space && name == o.name; }
  };
  struct CacheHash {
    size_t operator()(const CacheKey& k) const {
      return std::hash<std::string_view>()(k.name) + k.space * 0x9e3779b97f4a7c15;
    }
  };
  using Cache = std::unordered_map<CacheKey, std::unique_ptr<Key>, CacheHash>;

  void LoadDatabases();
  Key* Cached(uint32_t space, std::string_view name);
  Key* LoadKey(uint32_t space, std::string_view name);
  Key* Entry(uint32_t space, std::string_view name);
  Key& CreateAnew(int db, std::string_view name, Type type);
  std::optional<std::string_view> FindLongName(RowKey* row_key, std::string_view name);
  void MarkDirty(Key* key);
  void WriteRow(Key* key);
  void WriteMoment(Moment moment, const Key& key, int64_t at_ms, int64_t* persisted);
  void WriteQueue(Key* key);
  void ForgetMoments();
  void AddGarbage(ObjectId object, Type type);
  void AddGarbageOf(ObjectId object, Type type, std::string_view header);
  void CopyRows(Table table, ObjectId from, ObjectId to);
  void CopyGarbageRanges(ObjectId from, ObjectId to);
  Database& DatabaseOf(const Key& key);
  int NumberOf(uint32_t space) const;
  bool ReclaimObject(Cursor* cursor, uint64_t* budget);
  bool ReclaimSpace(uint32_t space, uint64_t* budget);
  bool ReclaimRange(const std::string& row, const std::string& to, uint64_t* budget);

  Env* env_;
  int configured_;
  // Those that are configured, and those that were once: their keys expire all the same.
  std::vector<Database> databases_;
  uint32_t next_space_ = kMaxDatabases;
  ObjectId next_object_ = 1;
  ObjectId saved_next_object_ = 1;
  // Two generations: what was not asked for while the young one filled up is let go.
  Cache young_, old_;
  std::vector<Key*> dirty_;
  bool has_garbage_ = false;
  std::optional<std::optional<int64_t>> next_moment_[2];  // outer: known at all
};

}  // namespace sluice
