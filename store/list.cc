#include "store/list.h"

#include <algorithm>
#include <vector>

#include "store/codec.h"
#include "store/spread.h"

namespace sluice {

namespace {

ListExtra ExtraOf(std::string_view header, size_t at) {
  ListExtra extra;
  if (header.size() <= at) return extra;
  std::memcpy(&extra, header.data() + at, std::min(sizeof extra, header.size() - at));
  return extra;
}

void PutExtra(std::string* header, size_t at, const ListExtra& extra) {
  header->resize(at);
  if (extra != ListExtra{}) header->append(reinterpret_cast<const char*>(&extra), sizeof extra);
}

}  // namespace

List::List(Env* env, Keyspace* keys, Key* key) : env_(env), keys_(keys), key_(key) {
  if (key->header.empty()) return;
  ValueReader r(key->header);
  header_.low = r.Fixed<uint64_t>();
  header_.high = r.Fixed<uint64_t>();
  header_.count = r.Fixed<uint64_t>();
  header_.bytes = r.Fixed<uint64_t>();
  header_.dense = r.Fixed<uint8_t>();
  header_.mirrored = r.Fixed<uint8_t>();
  extra_ = ExtraOf(key->header, kHeaderBytes);
}

void List::Save() {
  char bytes[kHeaderBytes];
  std::memcpy(bytes, &header_.low, 8);
  std::memcpy(bytes + 8, &header_.high, 8);
  std::memcpy(bytes + 16, &header_.count, 8);
  std::memcpy(bytes + 24, &header_.bytes, 8);
  bytes[32] = static_cast<char>(header_.dense);
  bytes[33] = static_cast<char>(header_.mirrored);
  key_->header.assign(bytes, sizeof bytes);
  PutExtra(&key_->header, kHeaderBytes, extra_);
  keys_->Changed(key_);
}

ObjectId List::LeaseObject(std::string_view header) { return ExtraOf(header, kHeaderBytes).leases; }

std::string List::WithoutLeases(std::string_view header) {
  ListExtra extra = ExtraOf(header, kHeaderBytes);
  extra.flags = 0;
  extra.leases = extra.last_lease = extra.held = extra.waiting = extra.dead = 0;
  extra.redelivered = extra.dead_lettered = 0;
  std::string out(header);
  PutExtra(&out, kHeaderBytes, extra);
  return out;
}

RowKey List::RowOf(uint64_t index) const {
  RowKey row;
  row.U64(key_->object).U64(index);
  return row;
}

bool List::InList(std::string_view row_key) const {
  return row_key.size() == 16 && ReadKeyU64(row_key.data()) == key_->object;
}

uint64_t List::IndexOf(std::string_view row_key) { return ReadKeyU64(row_key.data() + 8); }

// Adds a row at an end and returns its index.
uint64_t List::Add(End end, std::string_view element) {
  if (key_->hidden) keys_->Reveal(key_);
  uint64_t index = kMiddle;
  if (header_.count == 0) {
    header_.low = header_.high = index;
    header_.dense = 1;
    header_.mirrored = end == End::kLeft;
  } else if (IsLow(end)) {
    index = header_.low -= kStep;
  } else {
    index = header_.high += kStep;
  }
  env_->Put(Table::kList, RowOf(index), element);
  ++header_.count;
  header_.bytes += element.size();
  return index;
}

void List::Push(End end, std::string_view element) {
  Add(end, element);
  Save();
}

void List::Return(End end, std::string_view element, uint64_t deliveries) {
  uint64_t index = Add(end, element);
  if (deliveries) Remember(index, deliveries);
  Save();
}

uint64_t List::DeliveriesOf(uint64_t index) const {
  if (extra_.returned == 0) return 0;
  std::optional<std::string_view> value = env_->Get(Table::kReturned, RowOf(index));
  return value ? ValueReader(*value).Varint() : 0;
}

// 0 forgets them.
void List::Remember(uint64_t index, uint64_t deliveries) {
  if (deliveries == 0) {
    if (extra_.returned && env_->Delete(Table::kReturned, RowOf(index))) --extra_.returned;
    return;
  }
  std::string value;
  PutVarint(&value, deliveries);
  env_->Put(Table::kReturned, RowOf(index), value);
  ++extra_.returned;
}

// Keeps the header true after the row at an index has been deleted.
void List::Removed(uint64_t index, size_t bytes) {
  Remember(index, 0);
  --header_.count;
  header_.bytes -= bytes;
  if (header_.count == 0) return;
  if (index != header_.low && index != header_.high) {
    header_.dense = 0;
    return;
  }
  bool low = index == header_.low;
  uint64_t& end = low ? header_.low : header_.high;
  if (header_.dense) {
    end = low ? end + kStep : end - kStep;
    return;
  }
  Cursor rows(env_, Table::kList);
  bool found = low ? rows.SeekAtLeast(RowOf(index)) : rows.SeekAtMost(RowOf(index));
  if (found && InList(rows.key())) end = IndexOf(rows.key());
}

std::string_view List::Pop(End end, uint64_t* deliveries) {
  uint64_t index = IsLow(end) ? header_.low : header_.high;
  Cursor rows(env_, Table::kList);
  if (!rows.SeekAtLeast(RowOf(index)) || rows.key() != RowOf(index).view()) {
    env_->Fail(Status(Code::kCorrupt, "a list's end has no row"));
    return {};
  }
  if (deliveries) *deliveries = DeliveriesOf(index);
  std::string& element = env_->scratch();
  element.assign(rows.value());
  rows.DeleteCurrent();
  Removed(index, element.size());
  Save();
  return element;
}

// Finds the nth row in index order.
bool List::SeekRow(Cursor* rows, uint64_t nth) {
  if (nth >= header_.count) return false;
  if (header_.dense) return rows->SeekAtLeast(RowOf(header_.low + nth * kStep));
  if (nth <= header_.count / 2) {
    rows->SeekAtLeast(RowOf(header_.low));
    for (uint64_t i = 0; i < nth; ++i) rows->Next();
  } else {
    rows->SeekAtLeast(RowOf(header_.high));
    for (uint64_t i = header_.count - 1; i > nth; --i) rows->Prev();
  }
  return rows->valid();
}

std::optional<std::string_view> List::At(uint64_t position) {
  Cursor rows(env_, Table::kList);
  if (!SeekRow(&rows, Mirror(position))) return std::nullopt;
  return rows.value();
}

void List::Set(uint64_t position, std::string_view element) {
  Cursor rows(env_, Table::kList);
  if (!SeekRow(&rows, Mirror(position))) return;
  header_.bytes += element.size() - rows.value().size();
  uint64_t index = IndexOf(rows.key());
  env_->Put(Table::kList, RowOf(index), element);
  Remember(index, 0);
  Save();
}

void List::Walk(uint64_t from, bool towards_right,
                const std::function<bool(uint64_t, std::string_view)>& visit) {
  Cursor rows(env_, Table::kList);
  bool forwards = towards_right != (header_.mirrored != 0);
  uint64_t position = from;
  for (bool more = SeekRow(&rows, Mirror(from)); more && InList(rows.key());
       more = forwards ? rows.Next() : rows.Prev()) {
    if (!visit(position, rows.value())) return;
    position += towards_right ? 1 : -1;
  }
}

// The index of the leftmost element like this one.
std::optional<uint64_t> List::Find(std::string_view element) {
  Cursor rows(env_, Table::kList);
  bool forwards = !header_.mirrored;
  for (bool more = SeekRow(&rows, Mirror(0)); more && InList(rows.key());
       more = forwards ? rows.Next() : rows.Prev()) {
    if (rows.value() == element) return IndexOf(rows.key());
  }
  return std::nullopt;
}

// The next smaller or larger index, where there is one.
uint64_t List::Beside(uint64_t index, bool below) {
  Cursor rows(env_, Table::kList);
  rows.SeekAtLeast(RowOf(index));
  below ? rows.Prev() : rows.Next();
  return rows.valid() ? IndexOf(rows.key()) : index;
}

// Makes room around the row at `index`, and returns where that is now.
uint64_t List::Spread(uint64_t index) {
  RowKey stem;
  stem.U64(key_->object);
  uint64_t low = header_.low, high = header_.high;
  struct Moved {
    uint64_t from, to, deliveries;
  };
  std::vector<Moved> remembered;
  uint64_t now_at = SpreadRows(env_, Table::kList, stem, index, [&](uint64_t from, uint64_t to) {
    if (from == low) header_.low = to;
    if (from == high) header_.high = to;
    if (uint64_t n = DeliveriesOf(from)) remembered.push_back({from, to, n});
  });
  // All are forgotten first: where one goes, another may have been.
  for (const Moved& row : remembered) Remember(row.from, 0);
  for (const Moved& row : remembered) Remember(row.to, row.deliveries);
  return now_at;
}

bool List::Insert(bool before, std::string_view pivot, std::string_view element) {
  std::optional<uint64_t> at = Find(pivot);
  if (!at) return false;
  bool below = before != (header_.mirrored != 0);
  if (*at == (below ? header_.low : header_.high)) {
    Push(before ? End::kLeft : End::kRight, element);
    return true;
  }
  // The rows on both sides of the gap to go into.
  uint64_t low = below ? Beside(*at, true) : *at;
  uint64_t high = Beside(low, false);
  if (high - low < 2) {
    low = Spread(low);
    high = Beside(low, false);
  }
  env_->Put(Table::kList, RowOf(low + (high - low) / 2), element);
  header_.dense = 0;
  ++header_.count;
  header_.bytes += element.size();
  Save();
  return true;
}

uint64_t List::Remove(End from, std::string_view element, uint64_t limit) {
  if (header_.count == 0) return 0;
  std::vector<uint64_t> gone;
  {
    Cursor rows(env_, Table::kList);
    bool forwards = IsLow(from);
    for (bool more = SeekRow(&rows, forwards ? 0 : header_.count - 1); more && InList(rows.key());
         more = forwards ? rows.Next() : rows.Prev()) {
      if (rows.value() != element) continue;
      gone.push_back(IndexOf(rows.key()));
      if (limit && gone.size() == limit) break;
    }
  }
  for (uint64_t index : gone) {
    env_->Delete(Table::kList, RowOf(index));
    Removed(index, element.size());
  }
  if (!gone.empty()) Save();
  return gone.size();
}

void List::DropRows(uint64_t from, uint64_t to) {
  env_->DeleteRange(Table::kList, RowOf(from), RowOf(to));
  if (extra_.returned == 0) return;
  extra_.returned -= env_->DeleteRange(Table::kReturned, RowOf(from), RowOf(to));
}

// Drop the `count` lowest or highest rows, fewer than there are.
void List::DropLow(uint64_t count) {
  if (count == 0) return;
  Cursor rows(env_, Table::kList);
  rows.SeekAtLeast(RowOf(header_.low));
  for (uint64_t i = 0; i < count && rows.valid(); ++i, rows.Next()) {
    header_.bytes -= rows.value().size();
  }
  if (!rows.valid()) return;
  uint64_t end = IndexOf(rows.key());
  DropRows(header_.low, end);
  header_.low = end;
  header_.count -= count;
}

void List::DropHigh(uint64_t count) {
  if (count == 0) return;
  Cursor rows(env_, Table::kList);
  rows.SeekAtLeast(RowOf(header_.high));
  for (uint64_t i = 0; i < count && rows.valid(); ++i, rows.Prev()) {
    header_.bytes -= rows.value().size();
  }
  if (!rows.valid()) return;
  uint64_t end = IndexOf(rows.key());
  DropRows(end + 1, header_.high + 1);
  header_.high = end;
  header_.count -= count;
}

// The elements' rows are left to be reclaimed; what is kept beside them stays.
void List::StartAnew() {
  int64_t timer_ms = key_->timer_ms;
  keys_->Abandon(key_);
  keys_->SetTimer(key_, timer_ms);
  header_ = Header();
  extra_.returned = 0;
}

void List::Clear() {
  if (header_.count == 0) return;
  StartAnew();
  Save();
}

void List::Trim(uint64_t first, uint64_t last) {
  uint64_t keep = last - first + 1;
  // Keeping little of much: the little moves to a new object and the rest is reclaimed later.
  if (keep <= 128 && header_.count - keep > 4096) {
    struct Kept {
      std::string element;
      uint64_t deliveries;
    };
    std::vector<Kept> kept;
    Cursor rows(env_, Table::kList);
    SeekRow(&rows, Mirror(first));
    while (kept.size() < keep && rows.valid()) {
      kept.push_back({std::string(rows.value()), DeliveriesOf(IndexOf(rows.key()))});
      header_.mirrored ? rows.Prev() : rows.Next();
    }
    StartAnew();
    for (const Kept& row : kept) Return(End::kRight, row.element, row.deliveries);
    return;
  }
  uint64_t behind = header_.count - 1 - last;
  DropLow(header_.mirrored ? behind : first);
  DropHigh(header_.mirrored ? first : behind);
  Save();
}

}  // namespace sluice
