#include "store/hash.h"

#include <algorithm>
#include <vector>

namespace sluice {
namespace {

constexpr uint8_t kRowHasTime = 1;
// Up to so many rows, Random counts them off.
constexpr uint64_t kCounted = 256;
constexpr uint64_t kSteps = 32;

// Times inside a packed hash; an empty item is none.
std::string_view TimeItem(const int64_t& at_ms) {
  if (at_ms == 0) return {};
  return {reinterpret_cast<const char*>(&at_ms), sizeof at_ms};
}

}  // namespace

Hash::Hash(Env* env, Keyspace* keys, Key* key, int64_t now_ms, Limits limits)
    : env_(env), keys_(keys), key_(key), now_ms_(now_ms), limits_(limits) {
  if (key->header.empty()) key->header.push_back('\0');
  ValueReader in(key->header);
  flags_ = in.Fixed<uint8_t>();
  if (packed()) return;
  header_.count = in.Fixed<uint64_t>();
  header_.bytes = in.Fixed<uint64_t>();
}

bool Hash::HasRows(std::string_view header) { return !header.empty() && (header[0] & kRows); }

void Hash::Save() {
  key_->header[0] = static_cast<char>(flags_);
  if (!packed()) {
    key_->header.resize(1);
    PutFixed(&key_->header, header_.count);
    PutFixed(&key_->header, header_.bytes);
  }
  keys_->Changed(key_);
}

Hash::Encoding Hash::encoding() const {
  if (flags_ & kHashtable) return Encoding::kHashtable;
  return flags_ & kTimes ? Encoding::kListpackWithTimes : Encoding::kListpack;
}

uint64_t Hash::bytes() const { return packed() ? key_->header.size() - 1 : header_.bytes; }

Hash::Field Hash::FieldOf(const Packed::Entry& entry) {
  return {entry.items[0], entry.items[1], ValueReader(entry.items[2]).Fixed<int64_t>()};
}

Hash::Field Hash::FieldOf(const NamedRows::Row& row) {
  ValueReader in(row.value);
  bool has_time = in.Fixed<uint8_t>() & kRowHasTime;
  int64_t at_ms = has_time ? in.Fixed<int64_t>() : 0;
  return {row.name, in.Rest(), at_ms};
}

RowKey Hash::TimerRow(int64_t at_ms, std::string_view field) const {
  RowKey row;
  row.U64(key_->object).U64(static_cast<uint64_t>(at_ms)).Bytes(field);
  return row;
}

uint64_t Hash::size() {
  uint64_t n = header_.count;
  if (packed()) {
    Walk([&](const Field&) { return ++n, true; });
  } else if (overdue()) {
    RowKey end = TimerRow(now_ms_);
    Cursor times(env_, Table::kHashTimer);
    for (bool more = times.SeekAtLeast(TimerRow(0)); more && times.key() < end.view();
         more = times.Next()) {
      --n;
    }
  }
  return n;
}

// An entry takes two bytes at least, so most packed hashes need no counting.
bool Hash::Outgrown() {
  if (flags_ & kHashtable || (packed() && bytes() / 2 <= limits_.entries)) return false;
  return size() > limits_.entries;
}

// ---- one field

std::optional<Hash::Field> Hash::Find(std::string_view name) {
  std::optional<Field> field;
  if (packed()) {
    if (auto entry = Entries().Find(name)) field = FieldOf(*entry);
  } else {
    RowKey key;
    if (auto row = Rows().Find(name, &key)) field = FieldOf(*row);
  }
  if (field && Gone(*field)) return std::nullopt;
  return field;
}

bool Hash::Set(std::string_view name, std::string_view value, int64_t expires_at_ms) {
  Field field{name, value, expires_at_ms};
  if (std::max(name.size(), value.size()) > limits_.value) flags_ |= kHashtable;
  if (expires_at_ms) GiveTimes();
  bool is_new;
  if (packed()) {
    std::optional<Packed::Entry> old = Entries().Find(name);
    is_new = !old || Gone(FieldOf(*old));
    PutPacked(old, field);
  } else {
    is_new = PutRow(field);
  }
  if (is_new && Outgrown()) flags_ |= kHashtable;
  Save();
  if (flags_ & kTimes) SetTimer();
  return is_new;
}

void Hash::PutPacked(const std::optional<Packed::Entry>& old, const Field& field) {
  Packed entries = Entries();
  size_t without = entries.bytes() - (old ? old->end - old->begin : 0);
  std::string_view time = TimeItem(field.expires_at_ms);
  if (without + Packed::Cost({field.name, field.value, time}) > kMaxPackedBytes) {
    Unpack();
    PutRow(field);
  } else if (flags_ & kTimes) {
    old ? entries.Replace(*old, {field.name, field.value, time})
        : entries.Append({field.name, field.value, time});
  } else {
    old ? entries.Replace(*old, {field.name, field.value})
        : entries.Append({field.name, field.value});
  }
}

bool Hash::PutRow(const Field& field) {
  RowKey key;
  int64_t old_time = 0;
  std::optional<NamedRows::Row> row = Rows().Find(field.name, &key);
  bool is_new = !row;
  if (row) {
    Field old = FieldOf(*row);
    is_new = Gone(old);
    old_time = old.expires_at_ms;
    header_.bytes -= old.value.size();
  } else {
    ++header_.count;
    header_.bytes += field.name.size();
  }
  header_.bytes += field.value.size();
  std::string value;
  value.reserve(field.value.size() + 9);
  PutFixed(&value, field.expires_at_ms ? kRowHasTime : uint8_t{0});
  if (field.expires_at_ms) PutFixed(&value, field.expires_at_ms);
  value += field.value;
  uint64_t number = !row && field.name.size() > kInlineName ? keys_->NewObject() : 0;
  Rows().Put(&key, row.has_value(), field.name, number, value);
  MoveTimer(key, old_time, field.expires_at_ms);
  return is_new;
}

bool Hash::Delete(std::string_view name) {
  bool was_there;
  if (packed()) {
    std::optional<Packed::Entry> entry = Entries().Find(name);
    if (!entry) return false;
    was_there = !Gone(FieldOf(*entry));
    Entries().Erase(&*entry);
  } else {
    RowKey key;
    std::optional<NamedRows::Row> row = Rows().Find(name, &key);
    if (!row) return false;
    Field field = FieldOf(*row);
    was_there = !Gone(field);
    int64_t time = field.expires_at_ms;
    --header_.count;
    header_.bytes -= field.name.size() + field.value.size();
    Rows().Delete(key);
    MoveTimer(key, time, 0);
  }
  Save();
  if (flags_ & kTimes) SetTimer();
  return was_there;
}

void Hash::SetExpiry(std::string_view name, int64_t expires_at_ms) {
  std::optional<Field> field = Find(name);
  if (!field || field->expires_at_ms == expires_at_ms) return;
  std::string value(field->value);
  Set(name, value, expires_at_ms);
}

// ---- times

void Hash::MoveTimer(std::string_view row_key, int64_t from_ms, int64_t to_ms) {
  if (from_ms == to_ms) return;
  std::string_view field = row_key.substr(8);
  if (from_ms) env_->Delete(Table::kHashTimer, TimerRow(from_ms, field));
  if (to_ms) env_->Put(Table::kHashTimer, TimerRow(to_ms, field), {});
}

// From now on entries have a third item.
void Hash::GiveTimes() {
  if (flags_ & kTimes) return;
  if (packed()) {
    std::string timed(1, '\0');
    Packed to(&timed, 1, 3);
    Packed from = Entries();
    for (Packed::Entry entry = from.Begin(); from.Next(&entry);) {
      to.Append({entry.items[0], entry.items[1], {}});
    }
    key_->header = std::move(timed);
  }
  flags_ |= kTimes;
}

void Hash::SetTimer() {
  int64_t first = 0;
  if (packed()) {
    Packed entries = Entries();
    for (Packed::Entry entry = entries.Begin(); entries.Next(&entry);) {
      int64_t at_ms = FieldOf(entry).expires_at_ms;
      if (at_ms && (!first || at_ms < first)) first = at_ms;
    }
  } else {
    Cursor times(env_, Table::kHashTimer);
    if (times.SeekAtLeast(TimerRow(0)) && ReadKeyU64(times.key().data()) == key_->object) {
      first = static_cast<int64_t>(ReadKeyU64(times.key().data() + 8));
    }
  }
  keys_->SetTimer(key_, first ? first + 1 : 0);
}

void Hash::Unpack() {
  std::string header = std::move(key_->header);
  Packed entries(&header, 1, flags_ & kTimes ? 3 : 2);
  flags_ |= kRows;
  key_->header.assign(1, '\0');
  for (Packed::Entry entry = entries.Begin(); entries.Next(&entry);) PutRow(FieldOf(entry));
}

uint64_t Hash::ExpirePacked() {
  uint64_t n = 0;
  Packed entries = Entries();
  for (Packed::Entry entry = entries.Begin(); entries.Next(&entry);) {
    if (!Gone(FieldOf(entry))) continue;
    entries.Erase(&entry);
    ++n;
  }
  return n;
}

uint64_t Hash::ExpireRows(uint64_t limit) {
  uint64_t n = 0;
  RowKey first = TimerRow(0), end = TimerRow(now_ms_);
  Cursor times(env_, Table::kHashTimer);
  while (n < limit && times.SeekAtLeast(first) && times.key() < end.view()) {
    RowKey key;
    key.U64(key_->object).Bytes(times.key().substr(16));
    times.DeleteCurrent();
    if (auto row = Rows().At(key)) {
      header_.bytes -= row->name.size() + FieldOf(*row).value.size();
      --header_.count;
      Rows().Delete(key);
    }
    ++n;
  }
  return n;
}

uint64_t Hash::Expire(uint64_t limit) {
  if (!overdue()) return 0;
  uint64_t n = packed() ? ExpirePacked() : ExpireRows(limit);
  Save();
  SetTimer();
  return n;
}

// ---- many fields

void Hash::Walk(const Visit& visit) { Scan(0, UINT64_MAX, visit); }

// A small hash is shown as a whole, wherever the cursor stands.
uint64_t Hash::Scan(uint64_t cursor, uint64_t count, const Visit& visit) {
  if (!packed()) {
    if (cursor >= NamedRows::kCursorEnd) return 0;  // no scan has returned it
    return Rows().Scan(cursor, count, [&](const NamedRows::Row& row) {
      Field field = FieldOf(row);
      return Gone(field) || visit(field);
    });
  }
  Packed entries = Entries();
  for (Packed::Entry entry = entries.Begin(); entries.Next(&entry);) {
    Field field = FieldOf(entry);
    if (!Gone(field) && !visit(field)) break;
  }
  return 0;
}

// Stepping on from a place that lies anywhere favours fields behind wide gaps; a random number of
// steps evens that out.
void Hash::Random(const std::function<uint64_t()>& random, const Visit& visit) {
  uint64_t steps;
  auto step = [&](const Field& field) { return steps-- > 0 || (visit(field), false); };
  if (packed() || header_.count <= kCounted) {
    steps = random() % size();
    return Walk(step);
  }
  steps = random() % kSteps;
  for (bool found = false; !found;) {
    Rows().WalkFromSomewhere(random(), [&](const NamedRows::Row& row) {
      Field field = FieldOf(row);
      found = !Gone(field) && !step(field);
      return !found;
    });
  }
}

}  // namespace sluice
