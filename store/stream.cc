#include "store/stream.h"

#include <algorithm>
#include <cstring>

#include "store/codec.h"

namespace sluice {
namespace {

// Up to so many rows are deleted at once; more are left to be reclaimed.
constexpr uint64_t kDeleteNow = 1000;

void PutId(RowKey* row, StreamId id) { row->U64(id.ms).U64(id.seq); }

}  // namespace

Stream::Stream(Env* env, Keyspace* keys, Key* key) : env_(env), keys_(keys), key_(key) {
  std::memcpy(static_cast<void*>(&header_), key->header.data(),
              std::min(key->header.size(), sizeof header_));
  if (key->header.size() > sizeof header_) {
    std::memcpy(static_cast<void*>(&extra_), key->header.data() + sizeof header_,
                std::min(key->header.size() - sizeof header_, sizeof extra_));
  }
}

bool Stream::HasGroups(std::string_view header) {
  Header h;
  std::memcpy(static_cast<void*>(&h), header.data(), std::min(header.size(), sizeof h));
  return h.groups > 0;
}

void Stream::Save() {
  key_->header.assign(reinterpret_cast<const char*>(&header_), sizeof header_);
  if (extra_ != Extra()) {
    key_->header.append(reinterpret_cast<const char*>(&extra_), sizeof extra_);
  }
  keys_->Changed(key_);
}

RowKey Stream::RowOf(StreamId id) const {
  RowKey row;
  row.U64(key_->object);
  PutId(&row, id);
  return row;
}

bool Stream::InStream(std::string_view row_key) const {
  return row_key.size() == 24 && ReadKeyU64(row_key.data()) == key_->object;
}

StreamId Stream::IdOf(std::string_view row_key) {
  return {ReadKeyU64(row_key.data() + 8), ReadKeyU64(row_key.data() + 16)};
}

uint64_t Stream::nodes() const {
  if (header_.length == 0) return 0;
  std::optional<EntryFields> first = Find(header_.first), top = Find(header_.top);
  return first && top ? top->node() - first->node() + 1 : 0;
}

// ---- adding

StreamId Stream::NextId(uint64_t now_ms) const {
  if (now_ms > header_.last.ms) return {now_ms, 0};
  StreamId id = header_.last;
  return id.Increment() ? id : StreamId();
}

void Stream::Append(StreamId id, std::span<const std::string_view> pairs, const NodeLimits& limits,
                    int64_t expires_at_ms) {
  // What is hidden is told by its moment.
  if (expires_at_ms) expires_at_ms = std::max(expires_at_ms, extra_.expiring.hidden_to_ms + 1);
  AddToNode(&header_.node, limits, id, pairs);
  std::string& value = env_->scratch();
  value.clear();
  PutVarint(&value, header_.node.number << 1 | (expires_at_ms != 0));
  PutVarint(&value, pairs.size() / 2);
  if (expires_at_ms) PutFixed(&value, expires_at_ms);
  for (std::string_view s : pairs) PutBytes(&value, s);
  env_->Put(Table::kStream, RowOf(id), value);

  if (header_.length == 0) header_.first = id;
  header_.last = header_.top = id;
  ++header_.length;
  ++header_.entries_added;
  if (expires_at_ms) AddMoment(id, expires_at_ms);
  Save();
}

uint64_t Stream::WithEntry(StreamId id, std::span<const std::string_view> pairs,
                           const NodeLimits& limits, const std::function<uint64_t()>& look) {
  Header before = header_;
  Append(id, pairs, limits);
  uint64_t found = look();
  env_->Delete(Table::kStream, RowOf(id));
  header_ = before;
  Save();
  return found;
}

// ---- finding and deleting

std::optional<EntryFields> Stream::Find(StreamId id) const {
  if (header_.length == 0 || id < header_.first || id > header_.top) return std::nullopt;
  std::optional<std::string_view> value = env_->Get(Table::kStream, RowOf(id));
  if (!value) return std::nullopt;
  EntryFields fields(*value);
  if (IsHidden(fields)) return std::nullopt;
  return fields;
}

bool Stream::Contains(StreamId id) const { return Find(id).has_value(); }

bool Stream::Delete(StreamId id) {
  if (header_.length == 0 || id < header_.first || id > header_.top) return false;
  RowKey row = RowOf(id);
  Cursor rows(env_, Table::kStream);
  if (!rows.SeekAtLeast(row) || rows.key() != row.view()) return false;
  EntryFields fields(rows.value());
  if (IsHidden(fields)) return false;
  int64_t expires_at_ms = fields.expires_at_ms();
  rows.DeleteCurrent();
  --header_.length;
  header_.max_deleted = std::max(header_.max_deleted, id);
  header_.head_entries = 0;
  if (header_.length == 0) {
    header_.first = header_.top = StreamId();
    header_.node.entries = 0;
  } else if (id == header_.first) {
    SettleFirst();
  } else if (id == header_.top) {
    SettleTop();
  }
  if (expires_at_ms) RemoveMoment(id, expires_at_ms);
  Save();
  return true;
}

void Stream::SettleFirst() {
  Entries oldest(*this, header_.first, header_.top);
  if (oldest.valid()) header_.first = oldest.id();
}

void Stream::SettleTop() {
  Entries newest(*this, header_.first, header_.top, true);
  if (!newest.valid()) return;
  header_.top = newest.id();
  if (newest.fields().node() != header_.node.number) header_.node.entries = 0;
}

void Stream::SetId(StreamId last, std::optional<uint64_t> entries_added,
                   std::optional<StreamId> max_deleted) {
  // Rows left behind by a trim must not be taken for entries that get their ids a second time.
  if (last < header_.last) keys_->ReclaimRanges(key_->object, Table::kStream);
  bool back = last < header_.last;
  header_.last = last;
  if (back && extra_.expiring.armed_ms) ForgetMomentsTrimmed();
  if (entries_added) header_.entries_added = *entries_added;
  if (max_deleted) header_.max_deleted = *max_deleted;
  Save();
}

// ---- trimming

uint64_t Stream::Trim(const TrimRule& rule) {
  uint64_t n = CountTrimmed(rule);
  if (n > 0) DropOldest(n);
  return n;
}

uint64_t Stream::CountTrimmed(const TrimRule& rule) {
  if (rule.approximate) return CountNodes(rule);
  if (rule.by_id) return CountBelow(rule.min_id);
  return header_.length > rule.max_length ? header_.length - rule.max_length : 0;
}

uint64_t Stream::CountBelow(StreamId min_id) const {
  if (header_.length == 0 || min_id <= header_.first) return 0;
  if (min_id > header_.top) return header_.length;
  uint64_t n = 0;
  for (Entries entry(*this, header_.first, header_.top); entry.valid() && entry.id() < min_id;
       entry.Next()) {
    ++n;
  }
  return n;
}

// How many entries are in the oldest nodes that can go as a whole.
uint64_t Stream::CountNodes(const TrimRule& rule) {
  auto may_go = [&](uint64_t left, uint64_t entries, StreamId last) {
    return rule.by_id ? last < rule.min_id : left - entries >= rule.max_length;
  };
  if (header_.head_entries && !may_go(header_.length, header_.head_entries, header_.head_last)) {
    return 0;
  }
  uint64_t gone = 0;
  Entries entry(*this, header_.first, header_.top);
  while (entry.valid()) {
    uint64_t left = header_.length - gone;
    if (!rule.by_id && left <= rule.max_length) break;
    uint64_t node = entry.fields().node();
    uint64_t entries = 0;
    StreamId last = header_.top;
    if (node == header_.node.number) {
      entries = left;
    } else {
      for (; entry.valid() && entry.fields().node() == node; entry.Next()) {
        ++entries;
        last = entry.id();
      }
    }
    bool over_limit = rule.limit && gone + entries > rule.limit;
    if (over_limit || !may_go(left, entries, last)) {
      if (gone == 0 && node != header_.node.number) {
        header_.head_entries = entries;
        header_.head_last = last;
        Save();
      }
      break;
    }
    gone += entries;
    if (gone == header_.length) break;
  }
  return gone;
}

void Stream::DropAll() {
  if (header_.length <= kDeleteNow) {
    StreamId past = header_.top;
    RowKey end = past.Increment() ? RowOf(past) : RowKey().U64(key_->object + 1);
    env_->DeleteRange(Table::kStream, RowOf(header_.first), end);
  } else {
    RowKey from, to;
    PutId(&from, StreamId());
    PutId(&to, header_.top);
    to.U8(0);  // the top row itself goes too
    if (extra_.expiring.armed_ms) {
      extra_.expiring.trimmed_to = header_.top;
      extra_.expiring.trimmed_to.Increment();
    }
    keys_->AddGarbageRange(key_->object, Table::kStream, from, to);
  }
  header_.length = 0;
  header_.first = header_.top = StreamId();
  header_.node.entries = 0;
}

// Moves first_id over n entries, fewer than there are, from the nearer end.
void Stream::SkipTo(uint64_t n) {
  Cursor rows(env_, Table::kStream);
  if (n <= header_.length / 2) {
    rows.SeekAtLeast(RowOf(header_.first));
    for (uint64_t i = 0; i < n && rows.valid(); ++i) rows.Next();
  } else {
    rows.SeekAtLeast(RowOf(header_.top));
    for (uint64_t i = header_.length - 1; i > n && rows.valid(); --i) rows.Prev();
  }
  if (rows.valid()) header_.first = IdOf(rows.key());
}

void Stream::DropOldest(uint64_t n) {
  header_.head_entries = 0;
  bool few = n <= kDeleteNow || header_.length <= kDeleteNow;
  if (extra_.expiring.armed_ms && (few || hidden() > 0)) {
    DeleteOldest(n);
  } else if (n == header_.length) {
    DropAll();
  } else if (n <= kDeleteNow) {
    RowKey first = RowOf(header_.first);
    env_->DeleteRange(Table::kStream, first, RowOf(header_.top), n);
    Cursor rows(env_, Table::kStream);
    if (rows.SeekAtLeast(first)) header_.first = IdOf(rows.key());
    header_.length -= n;
  } else {
    SkipTo(n);
    RowKey from, to;
    PutId(&from, StreamId());
    PutId(&to, header_.first);
    keys_->AddGarbageRange(key_->object, Table::kStream, from, to);
    header_.length -= n;
    if (extra_.expiring.armed_ms) extra_.expiring.trimmed_to = header_.first;
  }
  Save();
}

// ---- counting what groups have read
//
// An entry's number among all ever added is known only at the ends of a stream, and only while
// nothing has been deleted behind it; what follows decides when that holds. It is Redis's rule,
// case by case, because dashboards compare.

bool Stream::HasTombstones(StreamId from) const {
  if (header_.length == 0 || header_.max_deleted < header_.first) return false;
  return from <= header_.max_deleted;
}

int64_t Stream::EntriesUpTo(StreamId id) const {
  if (header_.entries_added == 0) return 0;
  int64_t added = static_cast<int64_t>(header_.entries_added);
  int64_t length = static_cast<int64_t>(header_.length);
  if (length == 0 && id < header_.last) return added;
  if (id == header_.last) return added;
  if (id > header_.last) return kUnknown;
  if (header_.max_deleted.zero() || header_.max_deleted < header_.first) {
    if (id < header_.first) return added - length;
    if (id == header_.first) return added - length + 1;
  }
  return kUnknown;
}

std::optional<int64_t> Stream::Lag(StreamId last_delivered, int64_t entries_read) const {
  if (header_.entries_added == 0) return 0;
  int64_t read = entries_read;
  if (read == kUnknown || HasTombstones(last_delivered)) read = EntriesUpTo(last_delivered);
  if (read == kUnknown) return std::nullopt;
  return static_cast<int64_t>(header_.entries_added) - read;
}

// ---- walking

Entries::Entries(const Stream& stream, StreamId from, StreamId to, bool reverse)
    : stream_(stream),
      rows_(stream.env_, Table::kStream),
      from_(std::max(from, stream.first_id())),
      to_(std::min(to, stream.top_id())),
      reverse_(reverse) {
  if (stream.length() == 0 || from_ > to_) return;
  Settle(reverse ? rows_.SeekAtMost(stream.RowOf(to_)) : rows_.SeekAtLeast(stream.RowOf(from_)));
}

Entries::Entries(const Stream& stream, StreamId from, HiddenToo)
    : stream_(stream),
      rows_(stream.env_, Table::kStream),
      from_(std::max(from, stream.extra_.expiring.trimmed_to)),
      to_(StreamId::Max()),
      hidden_too_(true) {
  Settle(rows_.SeekAtLeast(stream.RowOf(from_)));
}

void Entries::Settle(bool found) {
  while ((valid_ = found && stream_.InStream(rows_.key()))) {
    id_ = Stream::IdOf(rows_.key());
    valid_ = reverse_ ? id_ >= from_ : id_ <= to_;
    if (!valid_ || !stream_.extra_.expiring.hidden_to_ms) return;
    bool exists = id_ >= stream_.first_id() && id_ <= stream_.top_id();
    if (hidden() ? hidden_too_ : exists) return;
    found = reverse_ ? rows_.Prev() : rows_.Next();
  }
}

void Entries::Next() { Settle(reverse_ ? rows_.Prev() : rows_.Next()); }

}  // namespace sluice
