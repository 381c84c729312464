#include "src/engine/row.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "src/commands/families.h"
#include "store/keyspace.h"

namespace sluice {
namespace {

char Fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool SameName(std::string_view name, std::string_view lower) {
  return name.size() == lower.size() && std::equal(name.begin(), name.end(), lower.begin(),
                                                   [](char a, char b) { return Fold(a) == b; });
}

size_t FoldedHash(std::string_view name) {
  size_t h = 0xcbf29ce484222325;
  for (char c : name) h = (h ^ static_cast<unsigned char>(Fold(c))) * 0x100000001b3;
  return h ^ (h >> 32);
}

// Where a spec's search begins; 0 when its keyword is not there.
size_t Begin(const KeySpec& spec, std::span<const std::string_view> args) {
  if (!spec.keyword) return static_cast<size_t>(spec.index);
  std::string lower(spec.keyword);
  std::transform(lower.begin(), lower.end(), lower.begin(), Fold);
  int n = static_cast<int>(args.size());
  if (spec.index >= 0) {
    for (int i = spec.index; i < n; ++i) {
      if (SameName(args[i], lower)) return static_cast<size_t>(i) + 1;
    }
  } else {
    for (int i = n + spec.index; i > 0; --i) {
      if (SameName(args[i], lower)) return static_cast<size_t>(i) + 1;
    }
  }
  return 0;
}

// What SET and BITFIELD do to their key depends on their options.
uint16_t FlagsOfCall(const Row& row, uint16_t flags, std::span<const std::string_view> args) {
  constexpr uint16_t kReadsAndWrites = KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate;
  if (row.name == "set") {
    for (size_t i = 3; i < args.size(); ++i) {
      if (SameName(args[i], "get")) return kReadsAndWrites;
    }
    return KeySpec::kOW | KeySpec::kUpdate;
  }
  if (row.name == "bitfield") {
    for (size_t i = 2; i < args.size(); i += SameName(args[i], "get") ? 3 : 2) {
      if (SameName(args[i], "set") || SameName(args[i], "incrby")) return kReadsAndWrites;
    }
    return KeySpec::kRO | KeySpec::kAccess;
  }
  return flags & static_cast<uint16_t>(~KeySpec::kVariableFlags);
}

// Where SORT stores; 0 when it does not. The last STORE counts.
size_t SortDestination(std::span<const std::string_view> args) {
  size_t found = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (SameName(args[i], "limit")) {
      i += 2;
    } else if (SameName(args[i], "get") || SameName(args[i], "by")) {
      ++i;
    } else if (SameName(args[i], "store") && i + 1 < args.size()) {
      found = ++i;
    }
  }
  return found;
}

}  // namespace

std::vector<KeyPosition> FindKeys(const Row& row, std::span<const std::string_view> args) {
  std::vector<KeyPosition> out;
  int n = static_cast<int>(args.size());
  for (const KeySpec& spec : row.keys) {
    if (spec.find == KeySpec::kUnknown) {
      size_t at = row.name == "sort" && (spec.flags & KeySpec::kUpdate) ? SortDestination(args) : 0;
      if (at) out.push_back({at, KeySpec::kOW | KeySpec::kUpdate});
      continue;
    }
    uint16_t flags = spec.flags;
    if (flags & KeySpec::kVariableFlags) flags = FlagsOfCall(row, flags, args);
    int first = static_cast<int>(Begin(spec, args));
    if (first == 0 || first >= n) continue;
    int last = 0;
    if (spec.find == KeySpec::kRange) {
      last = spec.last >= 0 ? first + spec.last : n + spec.last;
      if (spec.limit > 1) last = first + (last - first + 1) / spec.limit - 1;
    } else {
      std::string_view text = args[std::min(first + spec.count_index, n - 1)];
      int count = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
      if (error != std::errc() || end != text.data() + text.size() || count < 0) return {};
      first += spec.first_key;
      last = first + (count - 1) * spec.step;
    }
    if (last >= n) return {};
    for (int i = first; i <= last; i += spec.step) {
      out.push_back({static_cast<size_t>(i), flags});
    }
  }
  return out;
}

CommandTable::CommandTable() {
  AddListRows(&rows_);
  AddStringRows(&rows_);
  AddHashRows(&rows_);
  AddSetRows(&rows_);
  AddSortRows(&rows_);
  AddBitRows(&rows_);
  AddSortedSetRows(&rows_);
  AddKeyRows(&rows_);
  AddExpireRows(&rows_);
  AddTransactionRows(&rows_);
  AddStreamRows(&rows_);
  AddGroupRows(&rows_);
  AddStreamInfoRows(&rows_);
  AddConnectionRows(&rows_);
  AddAclRows(&rows_);
  AddClientRows(&rows_);
  AddCommandRows(&rows_);
  AddServerRows(&rows_);
  AddSlowlogRows(&rows_);
  AddMemoryRows(&rows_);
  AddReplicationRows(&rows_);
  AddConfigRows(&rows_);
  AddInfoRows(&rows_);
  AddDebugRows(&rows_);
  AddScriptRows(&rows_);
  AddFunctionRows(&rows_);
  AddPubsubRows(&rows_);
  timers_.resize(kTypes);
  timers_[static_cast<size_t>(Type::kHash)] = ExpireHashFields;
  timers_[static_cast<size_t>(Type::kStream)] = FireStreamTimer;
  timers_[static_cast<size_t>(Type::kList)] = FireListTimer;

  size_t slots = 64;
  while (slots < rows_.size() * 4) slots *= 2;
  slots_.assign(slots, nullptr);
  for (size_t i = 0; i < rows_.size(); ++i) {
    Row& row = rows_[i];
    row.index = static_cast<int>(i);
    if (row.name.find('|') != std::string_view::npos) continue;
    commands_.push_back(&row);
    size_t slot = FoldedHash(row.name);
    while (slots_[slot & (slots - 1)]) ++slot;
    slots_[slot & (slots - 1)] = &row;
  }
  for (Row& row : rows_) {
    size_t bar = row.name.find('|');
    if (bar == std::string_view::npos) continue;
    const Row* container = Find(row.name.substr(0, bar));
    if (container) rows_[container->index].subcommands.push_back(&row);
  }
}

const Row* CommandTable::Find(std::string_view name) const {
  size_t mask = slots_.size() - 1;
  for (size_t slot = FoldedHash(name);; ++slot) {
    const Row* row = slots_[slot & mask];
    if (!row || SameName(name, row->name)) return row;
  }
}

const Row* CommandTable::FindSub(const Row& container, std::string_view name) {
  for (const Row* row : container.subcommands) {
    if (SameName(name, row->name.substr(container.name.size() + 1))) return row;
  }
  return nullptr;
}

}  // namespace sluice
