#include "store/keyspace.h"

#include <algorithm>

#include "store/codec.h"
#include "store/hash.h"
#include "store/lease.h"
#include "store/set.h"
#include "store/stream.h"
#include "store/string.h"

namespace sluice {
namespace {

// Enough to hold the working set of a busy server, few enough to stay within a megabyte or two.
constexpr size_t kGeneration = 2048;
constexpr size_t kPrefix = 4 + 6;  // space, hash

constexpr uint8_t kFlagLongName = 1;
constexpr uint8_t kFlagTimer = 2;
constexpr uint8_t kFlagHidden = 4;

constexpr uint8_t kGarbageObject = 1;
constexpr uint8_t kGarbageSpace = 2;
constexpr uint8_t kGarbageRange = 3;  // object, table, from -> to

uint64_t HashOf(std::string_view name) {
  uint64_t h = HashName(name) >> 16;
  return h ? h : 1;  // 0 is the cursor that means the beginning, and the end
}

bool IsLong(std::string_view name) { return name.size() > kInlineName; }

RowKey KeyRowKey(uint32_t space, std::string_view name) {
  RowKey key;
  key.U32(space).U48(HashOf(name)).Bytes(name.substr(0, kInlineName));
  return key;
}

Table TableOf(Keyspace::Moment moment) {
  return moment == Keyspace::Moment::kExpiry ? Table::kExpiry : Table::kTimer;
}

RowKey MomentRowKey(int64_t at_ms, std::string_view row_key) {
  RowKey key;
  key.U64(static_cast<uint64_t>(at_ms)).Bytes(row_key);
  return key;
}

struct DecodedRow {
  Type type;
  ObjectId object;
  int64_t expires_at_ms;
  int64_t timer_ms;
  bool hidden;
  std::string_view name;
  std::string_view header;
  bool ok;
};

DecodedRow Decode(std::string_view row_key, std::string_view value) {
  DecodedRow row{};
  ValueReader r(value);
  row.type = static_cast<Type>(r.Fixed<uint8_t>());
  uint8_t flags = r.Fixed<uint8_t>();
  row.object = r.Fixed<uint64_t>();
  row.expires_at_ms = r.Fixed<int64_t>();
  if (flags & kFlagTimer) row.timer_ms = r.Fixed<int64_t>();
  row.hidden = flags & kFlagHidden;
  row.name = flags & kFlagLongName ? r.Bytes() : row_key.substr(kPrefix);
  row.header = r.Rest();
  row.ok = r.ok();
  return row;
}

// The tables that hold rows of objects of a type; every such row starts with the object's id.
std::vector<Table> TablesOf(Type type) {
  switch (type) {
    case Type::kString:
      return {Table::kChunk};
    case Type::kList:
      return {Table::kList, Table::kReturned, Table::kLease, Table::kLeaseDue, Table::kLeaseOwner};
    case Type::kStream:
      return {Table::kStream,   Table::kGroup,    Table::kPending,    Table::kPendingByOwner,
              Table::kDue,      Table::kOrder,    Table::kIdempotent, Table::kStage,
              Table::kStageDue, Table::kExpiring, Table::kSequence,   Table::kBinding};
    case Type::kHash:
      return {Table::kHash, Table::kHashTimer};
    case Type::kSet:
      return {Table::kSet};
    case Type::kSortedSet:
      return {Table::kSortedSet, Table::kMember};
  }
  return {};
}

bool MayHaveRows(Type type, std::string_view header) {
  if (type == Type::kString) return String::HasRows(header);
  if (type == Type::kHash) return Hash::HasRows(header);
  if (type == Type::kSet) return Set::HasRows(header);
  return true;
}

bool IsQueue(Type type, std::string_view header) {
  if (type == Type::kStream) return Stream::HasGroups(header);
  return type == Type::kList && List::HasExtra(header);
}

}  // namespace

Keyspace::Keyspace(Env* env, int databases)
    : env_(env), configured_(databases), databases_(databases) {}

Status Keyspace::Load() {
  young_.clear();
  old_.clear();
  dirty_.clear();
  ForgetMoments();
  next_space_ = kMaxDatabases;
  next_object_ = saved_next_object_ = 1;
  if (auto v = env_->Get(Table::kMeta, "objects")) {
    next_object_ = saved_next_object_ = ValueReader(*v).Fixed<uint64_t>();
  }
  if (auto v = env_->Get(Table::kMeta, "spaces")) next_space_ = ValueReader(*v).Fixed<uint32_t>();

  LoadDatabases();
  Cursor garbage(env_, Table::kGarbage);
  has_garbage_ = garbage.First();
  return env_->failure();
}

// A database beyond the configured number keeps its rows; lowering `databases` loses nothing.
void Keyspace::LoadDatabases() {
  databases_.clear();
  for (uint32_t number = 0; number < kMaxDatabases; ++number) {
    RowKey row;
    row.Bytes("db").U32(number);
    auto value = env_->Get(Table::kMeta, row);
    if (!value && number >= static_cast<uint32_t>(configured_)) continue;
    while (databases_.size() <= number) {
      Database db;
      db.space = static_cast<uint32_t>(databases_.size());
      databases_.push_back(db);
    }
    if (!value) continue;
    ValueReader r(*value);
    Database& db = databases_[number];
    db.space = r.Fixed<uint32_t>();
    db.keys = r.Fixed<uint64_t>();
    db.expires = r.Fixed<uint64_t>();
    // A row of an older version ends before one of these: 0.
    db.hidden = r.Fixed<uint64_t>();
    db.queues = r.Fixed<uint64_t>();
  }
}

Key* Keyspace::Cached(uint32_t space, std::string_view name) {
  CacheKey at{space, name};
  if (auto it = young_.find(at); it != young_.end()) return it->second.get();
  if (auto it = old_.find(at); it != old_.end()) {
    std::unique_ptr<Key> key = std::move(it->second);
    old_.erase(it);
    Key* found = key.get();
    young_.emplace(CacheKey{space, found->name}, std::move(key));
    return found;
  }
  return nullptr;
}

// Among the rows of long names that begin alike, the one of this name; row_key gets its key.
std::optional<std::string_view> Keyspace::FindLongName(RowKey* row_key, std::string_view name) {
  std::string stem(row_key->view());
  Cursor rows(env_, Table::kKeys);
  for (bool more = rows.SeekAtLeast(stem); more && rows.key().starts_with(stem);
       more = rows.Next()) {
    if (rows.key().size() == stem.size() || Decode(rows.key(), rows.value()).name != name) continue;
    row_key->Bytes(rows.key().substr(stem.size()));
    return rows.value();
  }
  return std::nullopt;
}

// Reads the key's row; remembers absence as well.
Key* Keyspace::LoadKey(uint32_t space, std::string_view name) {
  auto key = std::make_unique<Key>();
  key->space = space;
  key->name = name;
  RowKey row_key = KeyRowKey(space, name);
  std::optional<std::string_view> value;
  if (!IsLong(name)) {
    value = env_->Get(Table::kKeys, row_key);
  } else {
    value = FindLongName(&row_key, name);
  }
  key->row_key = row_key.view();
  if (value) {
    DecodedRow row = Decode(row_key, *value);
    if (!row.ok) {
      env_->Fail(Status(Code::kCorrupt, "the row of a key makes no sense"));
      value.reset();
    } else {
      key->exists = key->persisted = true;
      key->type = row.type;
      key->object = row.object;
      key->expires_at_ms = key->persisted_expiry = row.expires_at_ms;
      key->timer_ms = key->persisted_timer = row.timer_ms;
      key->hidden = row.hidden;
      key->header = row.header;
      key->persisted_queue = IsQueue(row.type, row.header);
    }
  }
  Key* loaded = key.get();
  young_.emplace(CacheKey{space, loaded->name}, std::move(key));
  return loaded;
}

Key* Keyspace::Entry(uint32_t space, std::string_view name) {
  Key* key = Cached(space, name);
  return key ? key : LoadKey(space, name);
}

Key* Keyspace::Find(int db, std::string_view name) {
  Key* key = Entry(databases_[db].space, name);
  return key->exists && !key->hidden ? key : nullptr;
}

Key* Keyspace::FindHidden(int db, std::string_view name) {
  Key* key = Entry(databases_[db].space, name);
  return key->exists && key->hidden ? key : nullptr;
}

Key& Keyspace::Create(int db, std::string_view name, Type type) {
  Key* hidden = FindHidden(db, name);
  if (!hidden || hidden->type != type) return CreateAnew(db, name, type);
  Reveal(hidden);
  return *hidden;
}

// Whatever is hidden under the name goes.
Key& Keyspace::CreateAnew(int db, std::string_view name, Type type) {
  uint32_t space = databases_[db].space;
  Key* key = Entry(space, name);
  if (key->exists && key->hidden) Remove(key);
  key->exists = true;
  key->type = type;
  key->object = NewObject();
  if (IsLong(name) && !key->persisted) {
    // A number of its own tells this long name from others that begin alike.
    key->row_key = KeyRowKey(space, name).U64(key->object).view();
  }
  key->expires_at_ms = key->timer_ms = 0;
  key->header.clear();
  ++databases_[db].keys;
  databases_[db].dirty = true;
  MarkDirty(key);
  return *key;
}

void Keyspace::AddGarbage(ObjectId object, Type type) {
  RowKey row;
  row.U8(kGarbageObject).U64(object).U8(static_cast<uint8_t>(type));
  env_->Put(Table::kGarbage, row, {});
  has_garbage_ = true;
}

void Keyspace::AddGarbageOf(ObjectId object, Type type, std::string_view header) {
  if (MayHaveRows(type, header)) AddGarbage(object, type);
  // A list's leases stand under an object of their own.
  ObjectId leases = type == Type::kList ? List::LeaseObject(header) : 0;
  if (leases) AddGarbage(leases, type);
}

void Keyspace::AddGarbageRange(ObjectId object, Table table, std::string_view from,
                               std::string_view to) {
  RowKey row;
  row.U8(kGarbageRange).U64(object).U8(static_cast<uint8_t>(table)).Bytes(from);
  env_->Put(Table::kGarbage, row, to);
  has_garbage_ = true;
}

void Keyspace::ReclaimRanges(ObjectId object, Table table) {
  RowKey prefix;
  prefix.U8(kGarbageRange).U64(object).U8(static_cast<uint8_t>(table));
  Cursor rows(env_, Table::kGarbage);
  while (rows.SeekAtLeast(prefix) && rows.key().starts_with(prefix.view())) {
    std::string row(rows.key());
    uint64_t all = UINT64_MAX;
    ReclaimRange(row, std::string(rows.value()), &all);
    env_->Delete(Table::kGarbage, row);
  }
}

void Keyspace::Abandon(Key* key) {
  AddGarbage(key->object, key->type);
  key->object = NewObject();
  key->timer_ms = 0;
  key->header.clear();
  MarkDirty(key);
}

void Keyspace::Hide(Key* key) {
  SetExpiry(key, 0);
  Database& db = DatabaseOf(*key);
  --db.keys;
  ++db.hidden;
  db.dirty = true;
  key->hidden = true;
  MarkDirty(key);
}

void Keyspace::Reveal(Key* key) {
  Database& db = DatabaseOf(*key);
  ++db.keys;
  --db.hidden;
  db.dirty = true;
  key->hidden = false;
  MarkDirty(key);
}

void Keyspace::Remove(Key* key, bool has_rows) {
  if (has_rows) AddGarbageOf(key->object, key->type, key->header);
  SetExpiry(key, 0);
  Database& db = DatabaseOf(*key);
  --(key->hidden ? db.hidden : db.keys);
  db.dirty = true;
  key->exists = key->hidden = false;
  key->timer_ms = 0;
  key->header.clear();
  MarkDirty(key);
}

Key& Keyspace::Rename(Key* from, int to_db, std::string_view to_name) {
  Key& to = CreateAnew(to_db, to_name, from->type);
  to.object = from->object;
  to.header = from->header;
  to.accessed_ms = from->accessed_ms;
  SetExpiry(&to, from->expires_at_ms);
  SetTimer(&to, from->timer_ms);
  Remove(from, false);
  return to;
}

void Keyspace::CopyRows(Table table, ObjectId from, ObjectId to) {
  RowKey first;
  first.U64(from);
  std::string row_key(first.view()), value;
  Cursor rows(env_, table);
  while (rows.SeekAtLeast(row_key) && ReadKeyU64(rows.key().data()) == from) {
    row_key = rows.key();
    value = rows.value();
    RowKey copy;
    copy.U64(to).Bytes(std::string_view(row_key).substr(8));
    env_->Put(table, copy, value);
    row_key.push_back('\0');  // the smallest key behind this one
  }
}

// Rows that wait to be reclaimed were copied too.
void Keyspace::CopyGarbageRanges(ObjectId from, ObjectId to) {
  RowKey prefix;
  prefix.U8(kGarbageRange).U64(from);
  std::vector<std::pair<std::string, std::string>> ranges;
  Cursor rows(env_, Table::kGarbage);
  for (bool more = rows.SeekAtLeast(prefix); more && rows.key().starts_with(prefix.view());
       more = rows.Next()) {
    ranges.emplace_back(rows.key().substr(prefix.size()), rows.value());
  }
  for (const auto& [range, end] : ranges) {
    std::string_view first = std::string_view(range).substr(1);
    AddGarbageRange(to, static_cast<Table>(range[0]), first, end);
  }
}

Key& Keyspace::Copy(Key* from, int to_db, std::string_view to_name) {
  Key& to = CreateAnew(to_db, to_name, from->type);
  to.header = from->header;
  SetExpiry(&to, from->expires_at_ms);
  SetTimer(&to, from->timer_ms);
  for (Table table : TablesOf(from->type)) CopyRows(table, from->object, to.object);
  CopyGarbageRanges(from->object, to.object);
  if (from->type == Type::kList) Leases::LeaveOut(env_, this, &to);
  return to;
}

void Keyspace::SetExpiry(Key* key, int64_t at_ms) {
  if (key->expires_at_ms == at_ms) return;
  Database& db = DatabaseOf(*key);
  db.expires += (at_ms != 0) - (key->expires_at_ms != 0);
  db.dirty = true;
  key->expires_at_ms = at_ms;
  MarkDirty(key);
}

void Keyspace::SetTimer(Key* key, int64_t at_ms) {
  if (key->timer_ms == at_ms) return;
  key->timer_ms = at_ms;
  MarkDirty(key);
}

void Keyspace::MarkDirty(Key* key) {
  if (key->dirty) return;
  key->dirty = true;
  dirty_.push_back(key);
}

Keyspace::Database& Keyspace::DatabaseOf(const Key& key) { return databases_[NumberOf(key.space)]; }

int Keyspace::NumberOf(uint32_t space) const {
  for (size_t i = 0; i < databases_.size(); ++i) {
    if (databases_[i].space == space) return static_cast<int>(i);
  }
  return -1;
}

void Keyspace::WriteMoment(Moment moment, const Key& key, int64_t at_ms, int64_t* persisted) {
  if (*persisted == at_ms) return;
  Table table = TableOf(moment);
  if (*persisted) env_->Delete(table, MomentRowKey(*persisted, key.row_key));
  if (at_ms) env_->Put(table, MomentRowKey(at_ms, key.row_key), {});
  *persisted = at_ms;
  next_moment_[static_cast<int>(moment)].reset();
}

void Keyspace::WriteQueue(Key* key) {
  bool queue = key->exists && IsQueue(key->type, key->header);
  if (queue == key->persisted_queue) return;
  key->persisted_queue = queue;
  Database& db = DatabaseOf(*key);
  db.dirty = true;
  if (queue) {
    ++db.queues;
    env_->Put(Table::kQueue, key->row_key, {});
  } else {
    --db.queues;
    env_->Delete(Table::kQueue, key->row_key);
  }
}

void Keyspace::ForgetMoments() {
  for (auto& next : next_moment_) next.reset();
}

void Keyspace::WriteRow(Key* key) {
  key->dirty = false;
  WriteMoment(Moment::kExpiry, *key, key->exists ? key->expires_at_ms : 0, &key->persisted_expiry);
  WriteMoment(Moment::kTimer, *key, key->exists ? key->timer_ms : 0, &key->persisted_timer);
  WriteQueue(key);
  if (!key->exists) {
    if (key->persisted) env_->Delete(Table::kKeys, key->row_key);
    key->persisted = false;
    return;
  }
  std::string value;
  value.reserve(26 + key->header.size() + (IsLong(key->name) ? key->name.size() + 5 : 0));
  PutFixed(&value, static_cast<uint8_t>(key->type));
  uint8_t flags = (IsLong(key->name) ? kFlagLongName : 0) | (key->timer_ms ? kFlagTimer : 0) |
                  (key->hidden ? kFlagHidden : 0);
  PutFixed(&value, flags);
  PutFixed(&value, key->object);
  PutFixed(&value, key->expires_at_ms);
  if (key->timer_ms) PutFixed(&value, key->timer_ms);
  if (IsLong(key->name)) PutBytes(&value, key->name);
  value += key->header;
  env_->Put(Table::kKeys, key->row_key, value);
  key->persisted = true;
}

void Keyspace::Flush() {
  for (Key* key : dirty_) WriteRow(key);
  dirty_.clear();
  if (next_object_ != saved_next_object_) {
    std::string value;
    PutFixed(&value, next_object_);
    env_->Put(Table::kMeta, "objects", value);
    saved_next_object_ = next_object_;
  }
  for (size_t i = 0; i < databases_.size(); ++i) {
    Database& db = databases_[i];
    if (!db.dirty) continue;
    db.dirty = false;
    RowKey row;
    row.Bytes("db").U32(static_cast<uint32_t>(i));
    std::string value;
    PutFixed(&value, db.space);
    PutFixed(&value, db.keys);
    PutFixed(&value, db.expires);
    PutFixed(&value, db.hidden);
    PutFixed(&value, db.queues);
    env_->Put(Table::kMeta, row, value);
  }
}

void Keyspace::EndTurn() {
  Flush();
  if (young_.size() < kGeneration) return;
  old_ = std::move(young_);
  young_.clear();
}

void Keyspace::Clear(int number) {
  Database& db = databases_[number];
  if (db.keys == 0 && db.hidden == 0) return;
  Flush();
  RowKey row;
  row.U8(kGarbageSpace).U32(db.space);
  env_->Put(Table::kGarbage, row, {});
  has_garbage_ = true;
  ForgetMoments();
  db = Database();
  db.space = next_space_++;
  db.dirty = true;
  std::string value;
  PutFixed(&value, next_space_);
  env_->Put(Table::kMeta, "spaces", value);
}

void Keyspace::Swap(int a, int b) {
  std::swap(databases_[a], databases_[b]);
  databases_[a].dirty = databases_[b].dirty = true;
}

uint64_t Keyspace::Scan(int number, uint64_t cursor, uint64_t count,
                        const std::function<void(const Row&)>& visit) {
  Flush();
  uint32_t space = databases_[number].space;
  RowKey from;
  from.U32(space).U48(cursor);
  Cursor rows(env_, Table::kKeys);
  uint64_t visited = 0;
  uint64_t last_hash = 0;
  for (bool more = rows.SeekAtLeast(from); more && ReadKeyU32(rows.key().data()) == space;
       more = rows.Next()) {
    uint64_t hash = ReadKeyU48(rows.key().data() + 4);
    if (visited >= count && hash != last_hash) return hash;
    last_hash = hash;
    DecodedRow row = Decode(rows.key(), rows.value());
    if (!row.hidden) visit({row.name, row.type, row.object, row.expires_at_ms});
    ++visited;
  }
  return 0;
}

std::vector<std::string> Keyspace::FindQueues(int db, uint64_t most) {
  Flush();
  std::vector<std::string> names;
  uint32_t space = databases_[db].space;
  RowKey from;
  from.U32(space);
  Cursor rows(env_, Table::kQueue);
  for (bool more = rows.SeekAtLeast(from);
       more && names.size() < most && ReadKeyU32(rows.key().data()) == space; more = rows.Next()) {
    auto value = env_->Get(Table::kKeys, rows.key());
    if (value) names.emplace_back(Decode(rows.key(), *value).name);
  }
  return names;
}

std::optional<std::string> Keyspace::SomeKey(int db, uint64_t random) {
  std::optional<std::string> name;
  auto take = [&](const Row& row) {
    if (!name) name = std::string(row.name);
  };
  if (Size(db) == 0) return name;
  // Round once: hidden keys are walked over.
  for (uint64_t from : {random >> 16, uint64_t{0}}) {
    do {
      from = Scan(db, from, 1, take);
    } while (!name && from);
    if (name) break;
  }
  return name;
}

std::optional<int64_t> Keyspace::NextMoment(Moment moment) {
  Flush();
  auto& next = next_moment_[static_cast<int>(moment)];
  if (!next) {
    next.emplace();
    Cursor rows(env_, TableOf(moment));
    if (rows.First()) *next = static_cast<int64_t>(ReadKeyU64(rows.key().data()));
  }
  return *next;
}

std::optional<Keyspace::Due> Keyspace::NextDue(Moment moment, int64_t end_ms) {
  while (true) {
    std::optional<int64_t> next = NextMoment(moment);
    if (!next || *next >= end_ms) return std::nullopt;
    Cursor rows(env_, TableOf(moment));
    if (!rows.First()) return std::nullopt;
    std::string_view row_key = rows.key().substr(8);
    int db = NumberOf(ReadKeyU32(row_key.data()));
    auto value = db < 0 ? std::nullopt : env_->Get(Table::kKeys, row_key);
    if (value) return Due{db, std::string(Decode(row_key, *value).name)};
    // A key of a flushed database that is not reclaimed yet.
    env_->Delete(TableOf(moment), std::string(rows.key()));
    next_moment_[static_cast<int>(moment)].reset();
  }
}

bool Keyspace::ReclaimSlice(uint64_t budget) {
  while (has_garbage_ && budget > 0) {
    Cursor rows(env_, Table::kGarbage);
    if (!rows.First()) {
      has_garbage_ = false;
      break;
    }
    std::string row(rows.key());
    bool done = false;
    if (row[0] == kGarbageObject) {
      done = ReclaimObject(&rows, &budget);
    } else if (row[0] == kGarbageRange) {
      done = ReclaimRange(row, std::string(rows.value()), &budget);
    } else {
      done = ReclaimSpace(ReadKeyU32(row.data() + 1), &budget);
    }
    if (done) env_->Delete(Table::kGarbage, row);
    if (!env_->failure().ok()) return false;
  }
  return has_garbage_;
}

bool Keyspace::ReclaimObject(Cursor* garbage, uint64_t* budget) {
  ObjectId object = ReadKeyU64(garbage->key().data() + 1);
  Type type = static_cast<Type>(garbage->key()[9]);
  RowKey from, to;
  from.U64(object);
  to.U64(object + 1);
  for (Table table : TablesOf(type)) {
    *budget -= std::min(*budget, 1 + env_->DeleteRange(table, from, to, *budget));
    if (*budget == 0) return false;
  }
  return true;
}

bool Keyspace::ReclaimRange(const std::string& row, const std::string& to, uint64_t* budget) {
  std::string_view object = std::string_view(row).substr(1, 8);
  Table table = static_cast<Table>(row[9]);
  RowKey first, last;
  first.Bytes(object).Bytes(std::string_view(row).substr(10));
  last.Bytes(object).Bytes(to);
  *budget -= std::min(*budget, 1 + env_->DeleteRange(table, first, last, *budget));
  return *budget > 0;
}

bool Keyspace::ReclaimSpace(uint32_t space, uint64_t* budget) {
  RowKey from;
  from.U32(space);
  Cursor rows(env_, Table::kKeys);
  while (*budget > 0) {
    if (!rows.SeekAtLeast(from) || ReadKeyU32(rows.key().data()) != space) return true;
    std::string row_key(rows.key());
    DecodedRow row = Decode(row_key, rows.value());
    std::string header(row.header);
    if (row.expires_at_ms) {
      env_->Delete(Table::kExpiry, MomentRowKey(row.expires_at_ms, row_key));
    }
    if (row.timer_ms) env_->Delete(Table::kTimer, MomentRowKey(row.timer_ms, row_key));
    if (IsQueue(row.type, header)) env_->Delete(Table::kQueue, row_key);
    ForgetMoments();
    AddGarbageOf(row.object, row.type, header);
    env_->Delete(Table::kKeys, row_key);
    *budget -= std::min<uint64_t>(*budget, 3);
  }
  return false;
}

}  // namespace sluice
