#include "store/set.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

namespace sluice {
namespace {

// The header's first byte: the form, and whether the members have rows.
constexpr uint8_t kFormBits = 0x3;
constexpr uint8_t kRows = 0x4;

}  // namespace

Set::Set(Env* env, Keyspace* keys, Key* key) : env_(env), keys_(keys), key_(key) {
  if (key->header.empty()) {
    key->header.resize(kHeaderBytes);
    return;
  }
  ValueReader r(key->header);
  uint8_t first = r.Fixed<uint8_t>();
  header_.form = static_cast<Form>(first & kFormBits);
  header_.rows = first & kRows;
  header_.count = r.Fixed<uint64_t>();
  header_.bytes = r.Fixed<uint64_t>();
}

bool Set::HasRows(std::string_view header) {
  return !header.empty() && (static_cast<uint8_t>(header[0]) & kRows);
}

void Set::Save() {
  char* header = key_->header.data();
  header[0] = static_cast<char>(static_cast<uint8_t>(header_.form) | (header_.rows ? kRows : 0));
  std::memcpy(header + 1, &header_.count, 8);
  std::memcpy(header + 9, &header_.bytes, 8);
  keys_->Changed(key_);
}

std::optional<int64_t> Set::AsInteger(std::string_view member) {
  int64_t number;
  const char* end = member.data() + member.size();
  auto [stop, error] = std::from_chars(member.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  char spelled[24];
  auto [last, fits] = std::to_chars(spelled, spelled + sizeof spelled, number);
  if (member != std::string_view(spelled, static_cast<size_t>(last - spelled))) return std::nullopt;
  return number;
}

bool Set::Contains(std::string_view member) const {
  if (packed()) return Entries().Find(member).has_value();
  RowKey row;
  return Rows().Find(member, &row).has_value();
}

// ---- changes

void Set::Expect(std::string_view first, uint64_t count, const Limits& limits) {
  Form form = header_.form;
  if (header_.count == 0) form = AsInteger(first) ? Form::kIntegers : Form::kFew;
  if (form == Form::kIntegers && count > limits.integers) {
    form = header_.count == 0 ? Form::kFew : Form::kTable;
  }
  if (form == Form::kFew && count > limits.few) form = Form::kTable;
  if (form == header_.form) return;
  header_.form = form;
  if (header_.count > 0) Save();
}

bool Set::AllShort(uint64_t bytes) const {
  bool all_short = true;
  Walk([&](std::string_view member) { return all_short = member.size() <= bytes; });
  return all_short;
}

// The form that the set goes over to when a member joins those it has.
void Set::Adapt(std::string_view added, const Limits& limits) {
  if (header_.form == Form::kTable) return;
  bool integers = header_.form == Form::kIntegers;
  if (integers && AsInteger(added)) {
    if (header_.count + 1 > limits.integers) header_.form = Form::kTable;
    return;
  }
  bool few = header_.count < limits.few && added.size() <= limits.few_bytes;
  if (few && integers) few = AllShort(limits.few_bytes);
  header_.form = few ? Form::kFew : Form::kTable;
}

void Set::AddRow(std::string_view member) {
  RowKey row;
  NamedRows rows = Rows();
  rows.Find(member, &row);
  rows.Put(&row, false, member, member.size() > kInlineName ? keys_->NewObject() : 0, {});
}

void Set::Unpack() {
  std::string header = key_->header;
  key_->header.resize(kHeaderBytes);
  header_.rows = true;
  Packed entries(&header, kHeaderBytes, 1);
  for (Packed::Entry entry = entries.Begin(); entries.Next(&entry);) AddRow(entry.items[0]);
}

bool Set::Add(std::string_view member, const Limits& limits) {
  if (Contains(member)) return false;
  Adapt(member, limits);
  if (packed() && Entries().bytes() + Packed::Cost({member}) > kMaxPackedBytes) Unpack();
  packed() ? Entries().Append({member}) : AddRow(member);
  ++header_.count;
  header_.bytes += member.size();
  Save();
  return true;
}

bool Set::Erase(std::string_view member) {
  if (packed()) {
    std::optional<Packed::Entry> entry = Entries().Find(member);
    if (entry) Entries().Erase(&*entry);
    return entry.has_value();
  }
  RowKey row;
  bool found = Rows().Find(member, &row).has_value();
  if (found) Rows().Delete(row);
  return found;
}

bool Set::Remove(std::string_view member) {
  if (!Erase(member)) return false;
  --header_.count;
  header_.bytes -= member.size();
  Save();
  return true;
}

// ---- walks

void Set::WalkAsKept(const Visit& visit) const {
  if (!packed()) return Rows().Walk([&](const NamedRows::Row& row) { return visit(row.name); });
  Packed entries = Entries();
  for (Packed::Entry entry = entries.Begin(); entries.Next(&entry);) {
    if (!visit(entry.items[0])) return;
  }
}

void Set::Walk(const Visit& visit) const {
  if (header_.form != Form::kIntegers) return WalkAsKept(visit);
  std::vector<std::pair<int64_t, std::string_view>> numbers;
  numbers.reserve(header_.count);
  WalkAsKept([&](std::string_view member) {
    numbers.emplace_back(AsInteger(member).value_or(0), member);
    return true;
  });
  std::sort(numbers.begin(), numbers.end());
  for (const auto& [number, member] : numbers) {
    if (!visit(member)) return;
  }
}

uint64_t Set::Scan(uint64_t cursor, uint64_t count, const Visit& visit) const {
  if (packed()) {
    Walk(visit);
    return 0;
  }
  if (cursor >= NamedRows::kCursorEnd) return 0;
  return Rows().Scan(cursor, count, [&](const NamedRows::Row& row) { return visit(row.name); });
}

// ---- chance

std::string Set::Pick(const Random& random) const {
  bool exact = packed() || header_.count <= kExact;
  uint64_t steps = random() % (exact ? header_.count : kNear);
  std::string picked;
  auto step = [&](std::string_view member) {
    if (steps-- > 0) return true;
    picked = member;
    return false;
  };
  if (exact) {
    WalkAsKept(step);
  } else {
    Rows().WalkFromSomewhere(random(), [&](const NamedRows::Row& row) { return step(row.name); });
  }
  return picked;
}

std::vector<std::string> Set::Sample(uint64_t count, const Random& random) const {
  std::vector<std::string> sample;
  sample.reserve(count);
  if (count >= header_.count / 3) {
    uint64_t left = header_.count;
    Walk([&](std::string_view member) {
      if (random() % left-- < count - sample.size()) sample.emplace_back(member);
      return sample.size() < count;
    });
    return sample;
  }
  std::unordered_set<std::string> seen;
  while (sample.size() < count && env_->failure().ok()) {
    auto [member, is_new] = seen.insert(Pick(random));
    if (is_new) sample.push_back(*member);
  }
  return sample;
}

std::vector<std::string> Set::Take(uint64_t count, const Random& random) {
  std::vector<std::string> taken = Sample(count, random);
  for (const std::string& member : taken) Remove(member);
  return taken;
}

}  // namespace sluice
