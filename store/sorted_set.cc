#include "store/sorted_set.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "store/codec.h"
#include "store/spread.h"

namespace sluice {
namespace {

constexpr size_t kOrderPrefix = 8 + 8;  // object, score
constexpr uint8_t kNegativeZero = 1;
constexpr size_t kLeads = 6 + 8;  // hash and number of a long member's row
// Far enough apart that most long members find room between two others.
constexpr uint64_t kStep = uint64_t{1} << 32;
constexpr uint64_t kMiddle = uint64_t{1} << 63;

bool IsLongMember(std::string_view member) { return member.size() > kInlineName; }

// Numbers that sort as the doubles do: positive ones above negative ones, those in reverse.
uint64_t ScoreKey(double score) {
  uint64_t bits = std::bit_cast<uint64_t>(score == 0 ? 0.0 : score);
  return bits >> 63 ? ~bits : bits | kMiddle;
}

double ScoreOf(uint64_t key) { return std::bit_cast<double>(key >> 63 ? key & ~kMiddle : ~key); }

RowKey OrderKey(ObjectId object, double score, std::string_view member) {
  RowKey row;
  row.U64(object).U64(ScoreKey(score)).Bytes(member.substr(0, kInlineName));
  return row;
}

double ScoreIn(const NamedRows::Row& row) { return ValueReader(row.value).Fixed<double>(); }

}  // namespace

SortedSet::SortedSet(Env* env, Keyspace* keys, Key* key) : env_(env), keys_(keys), key_(key) {
  if (key->header.empty()) return;
  ValueReader in(key->header);
  header_.count = in.Fixed<uint64_t>();
  header_.bytes = in.Fixed<uint64_t>();
  header_.next_number = in.Fixed<uint64_t>();
  header_.large = in.Fixed<uint8_t>();
}

void SortedSet::Save() {
  std::string& header = key_->header;
  header.clear();
  PutFixed(&header, header_.count);
  PutFixed(&header, header_.bytes);
  PutFixed(&header, header_.next_number);
  PutFixed(&header, header_.large);
  keys_->Changed(key_);
}

void SortedSet::MarkLarge() {
  if (header_.large) return;
  header_.large = 1;
  Save();
}

std::optional<double> SortedSet::Score(std::string_view member) const {
  RowKey key;
  std::optional<NamedRows::Row> row = Members().Find(member, &key);
  if (!row) return std::nullopt;
  return ScoreIn(*row);
}

void SortedSet::PutMember(RowKey* key, bool found, std::string_view member, double score) {
  char value[sizeof score];
  std::memcpy(value, &score, sizeof score);
  if (!found && IsLongMember(member)) ++header_.next_number;
  Members().Put(key, found, member, header_.next_number, {value, sizeof value});
}

void SortedSet::PutInOrder(const RowKey& member_key, std::string_view member, double score) {
  RowKey row = OrderKey(key_->object, score, member);
  bool negative_zero = score == 0 && std::signbit(score);
  char value[1 + kLeads];
  size_t size = negative_zero ? 1 : 0;
  value[0] = static_cast<char>(negative_zero ? kNegativeZero : 0);
  if (IsLongMember(member)) {
    // What leads from here to the member's row: the hash and the number in its key.
    std::string_view key = member_key;
    std::memcpy(value + 1, key.data() + 8, 6);
    std::memcpy(value + 1 + 6, key.data() + NamedRows::kPrefix + kInlineName, 8);
    size = sizeof value;
    row.U64(NumberBetween(row, member, score));
  }
  env_->Put(Table::kSortedSet, row, {value, size});
}

// A number for a long member that puts it between its neighbours among those of the same score and
// beginning, which make room when they lie too close.
uint64_t SortedSet::NumberBetween(const RowKey& stem, std::string_view member, double score) {
  auto number_of = [&](const Cursor& rows) { return ReadKeyU64(rows.key().data() + stem.size()); };
  auto in_group = [&](const Cursor& rows) {
    return rows.valid() && rows.key().size() > stem.size() && rows.key().starts_with(stem.view());
  };
  while (true) {
    Ranked place(*this);
    Cursor& rows = place.rows_;
    place.AtLeast(score, member);
    bool has_high = in_group(rows);
    uint64_t high = has_high ? number_of(rows) : UINT64_MAX;
    rows.SeekAtMost(RowKey(stem).U64(has_high ? high - 1 : UINT64_MAX));
    bool has_low = in_group(rows);
    uint64_t low = has_low ? number_of(rows) : 0;
    if (!has_low && !has_high) return kMiddle;
    if (high - low < 2) {
      SpreadRows(env_, Table::kSortedSet, stem, has_low ? low : high);
      continue;
    }
    uint64_t half = (high - low) / 2;
    if (has_low && has_high) return low + half;
    return has_low ? low + std::min(kStep, half) : high - std::min(kStep, half);
  }
}

void SortedSet::DeleteInOrder(std::string_view member, double score) {
  if (!IsLongMember(member)) {
    env_->Delete(Table::kSortedSet, OrderKey(key_->object, score, member));
    return;
  }
  Ranked place(*this);
  if (place.AtLeast(score, member) && place.member() == member) place.rows_.DeleteCurrent();
}

void SortedSet::Add(std::string_view member, double score) {
  RowKey row = NamedRows::KeyOf(key_->object, member);
  PutMember(&row, false, member, score);
  PutInOrder(row, member, score);
  ++header_.count;
  header_.bytes += member.size();
  Save();
}

void SortedSet::Move(std::string_view member, double from, double to) {
  RowKey row = NamedRows::KeyOf(key_->object, member);
  if (IsLongMember(member)) Members().Find(member, &row);
  DeleteInOrder(member, from);
  PutMember(&row, true, member, to);
  PutInOrder(row, member, to);
}

bool SortedSet::Remove(std::string_view member) {
  RowKey key;
  std::optional<NamedRows::Row> row = Members().Find(member, &key);
  if (!row) return false;
  DeleteInOrder(member, ScoreIn(*row));
  Members().Delete(key);
  --header_.count;
  header_.bytes -= member.size();
  Save();
  return true;
}

uint64_t SortedSet::RemoveWhile(Ranked* at, const std::function<bool(const Ranked&)>& more) {
  constexpr size_t kSlice = 256;
  uint64_t removed = 0;
  std::vector<RowKey> members;
  std::string first, past;
  for (bool go_on = at->valid() && more(*at); go_on; removed += members.size()) {
    members.clear();
    first = at->rows_.key();
    do {
      past = at->rows_.key();
      header_.bytes -= at->member().size();
      members.push_back(at->MemberKey());
      go_on = at->Next() && more(*at);
    } while (go_on && members.size() < kSlice);
    past.push_back('\0');
    env_->DeleteRange(Table::kSortedSet, first, past);
    for (const RowKey& member : members) Members().Delete(member);
    if (go_on) at->SeekAtLeast(past);
  }
  at->valid_ = false;
  header_.count -= removed;
  if (removed) Save();
  return removed;
}

uint64_t SortedSet::RankOf(std::string_view member, double score) const {
  Ranked below(*this), above(*this);
  below.AtLeast(score, member);
  above.AtLeast(score, member);
  for (uint64_t n = 0; env_->failure().ok(); ++n) {
    if (!below.Prev()) return n;
    if (!above.Next()) return header_.count - 1 - n;
  }
  return 0;
}

uint64_t SortedSet::CountBetween(const Ranked& from, const Ranked& to) const {
  if (!from.valid()) return 0;
  Ranked inside(*this), below(*this), above(*this);
  inside.SeekAtLeast(from.rows_.key());
  below.SeekAtLeast(from.rows_.key());
  below.Prev();
  if (to.valid()) above.SeekAtLeast(to.rows_.key());
  uint64_t within = 0, without = 0;
  while (env_->failure().ok()) {
    if (!inside.valid() || (to.valid() && inside.rows_.key() == to.rows_.key())) return within;
    ++within;
    inside.Next();
    Ranked& outside = below.valid() ? below : above;
    if (!outside.valid()) return header_.count - without;
    ++without;
    outside.Step(below.valid() ? false : true);
  }
  return 0;
}

uint64_t SortedSet::Scan(uint64_t cursor, uint64_t count,
                         const std::function<void(const Entry&)>& visit) const {
  return Members().Scan(cursor, count, [&](const NamedRows::Row& row) {
    visit({row.name, ScoreIn(row)});
    return true;
  });
}

// The members lie scattered by their hashes. That line is cut into sections of about eight, one is
// drawn, and then one of its members. A section with few members is thrown back more often than one
// with many, in proportion, or else those who share theirs with few would be drawn more often.
SortedSet::Owned SortedSet::Sample(const std::function<uint64_t()>& random) const {
  constexpr uint64_t kExpected = 8, kMost = 32;
  if (header_.count <= kMost) {
    Ranked place(*this);
    if (!place.Nth(random() % header_.count)) return {};
    return {std::string(place.member()), place.score()};
  }
  uint64_t width = NamedRows::kCursorEnd / (header_.count / kExpected);
  std::vector<Owned> section;
  while (env_->failure().ok()) {
    uint64_t begin = random() % (NamedRows::kCursorEnd / width + 1) * width;
    section.clear();
    Members().Scan(begin, UINT64_MAX, [&](const NamedRows::Row& row) {
      if (ReadKeyU48(row.key.data() + 8) - begin >= width) return false;
      section.push_back({std::string(row.name), ScoreIn(row)});
      return true;
    });
    uint64_t drawn = random() % std::max<uint64_t>(kMost, section.size());
    if (drawn < section.size()) return std::move(section[drawn]);
  }
  return {};
}

// ---- places

Ranked::Ranked(const SortedSet& set)
    : env_(set.env_),
      object_(set.key_->object),
      size_(set.header_.count),
      rows_(set.env_, Table::kSortedSet) {}

bool Ranked::InSet() const {
  return rows_.key().size() >= kOrderPrefix && ReadKeyU64(rows_.key().data()) == object_;
}

bool Ranked::IsLong() const { return rows_.key().size() > kOrderPrefix + kInlineName; }

double Ranked::score() const {
  if (!rows_.value().empty() && rows_.value()[0] == kNegativeZero) return -0.0;
  return ScoreOf(ReadKeyU64(rows_.key().data() + 8));
}

// The key of the member's own row.
RowKey Ranked::MemberKey() const {
  std::string_view member = rows_.key().substr(kOrderPrefix);
  if (!IsLong()) return NamedRows::KeyOf(object_, member);
  std::string_view leads = rows_.value().substr(1, kLeads);
  RowKey key;
  key.U64(object_).Bytes(leads.substr(0, 6)).Bytes(member.substr(0, kInlineName));
  return key.Bytes(leads.substr(6));
}

std::string_view Ranked::member() const {
  if (!IsLong()) return rows_.key().substr(kOrderPrefix);
  std::optional<NamedRows::Row> row = NamedRows(env_, Table::kMember, object_).At(MemberKey());
  if (row) return row->name;
  env_->Fail(Status(Code::kCorrupt, "a member of a sorted set has no row"));
  return {};
}

bool Ranked::First() { return SeekAtLeast(RowKey().U64(object_)); }

bool Ranked::Last() {
  return valid_ = rows_.SeekAtMost(RowKey().U64(object_).U64(UINT64_MAX)) && InSet();
}

bool Ranked::Nth(uint64_t n) {
  if (n >= size_) return valid_ = false;
  if (n < size_ / 2) {
    First();
    for (; n > 0 && valid_; --n) Next();
  } else {
    Last();
    for (; n < size_ - 1 && valid_; ++n) Prev();
  }
  return valid_;
}

bool Ranked::AtLeast(double score) {
  return SeekAtLeast(RowKey().U64(object_).U64(ScoreKey(score)));
}

bool Ranked::Above(double score) {
  return SeekAtLeast(RowKey().U64(object_).U64(ScoreKey(score) + 1));
}

// From a place that was looked for to the one before it; when none was found, to the last.
bool Ranked::BackFrom(bool found) { return found ? Prev() : Last(); }

bool Ranked::AtMost(double score) { return BackFrom(Above(score)); }

bool Ranked::Below(double score) { return BackFrom(AtLeast(score)); }

bool Ranked::AtMost(double score, std::string_view member) {
  bool found = AtLeast(score, member);
  if (found && ScoreKey(this->score()) == ScoreKey(score) && this->member() == member) return true;
  return BackFrom(found);
}

// Long members of one score and beginning stand in the order of their numbers, and so the first
// that is not below `member` is found by halving the numbers.
bool Ranked::AtLeast(double score, std::string_view member) {
  RowKey stem = OrderKey(object_, score, member);
  if (!IsLongMember(member)) return SeekAtLeast(stem);
  auto in_group = [&] {
    return rows_.valid() && rows_.key().size() > stem.size() &&
           rows_.key().starts_with(stem.view());
  };
  auto number = [&] { return ReadKeyU64(rows_.key().data() + stem.size()); };
  rows_.SeekAtLeast(RowKey(stem).U64(0));
  if (!in_group()) return valid_ = rows_.valid() && InSet();
  uint64_t low = number();
  rows_.SeekAtMost(RowKey(stem).U64(UINT64_MAX));
  uint64_t high = number() + 1;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    bool below =
        rows_.SeekAtLeast(RowKey(stem).U64(middle)) && in_group() && this->member() < member;
    if (below) {
      low = number() + 1;
    } else {
      high = middle;
    }
  }
  return SeekAtLeast(RowKey(stem).U64(low));
}

}  // namespace sluice
