#include "store/stream_node.h"

#include <charconv>
#include <optional>

#include "store/codec.h"

namespace sluice {
namespace {

constexpr uint64_t kListpackFrame = 7;  // its header and its end
constexpr uint64_t kMaxListpack = uint64_t{1} << 30;

uint64_t WithBackLength(uint64_t size) {
  return size + (size <= 127        ? 1
                 : size < 16383     ? 2
                 : size < 2097151   ? 3
                 : size < 268435455 ? 4
                                    : 5);
}

uint64_t SizeOfInteger(int64_t v) {
  if (v >= 0 && v <= 127) return 2;
  if (v >= -4096 && v <= 4095) return 3;
  if (v >= INT16_MIN && v <= INT16_MAX) return 4;
  if (v >= -(1 << 23) && v < (1 << 23)) return 5;
  if (v >= INT32_MIN && v <= INT32_MAX) return 6;
  return 10;
}

// A string that a listpack keeps as a number: exactly the digits that printing it gives.
std::optional<int64_t> AsInteger(std::string_view s) {
  if (s.empty() || s.size() > 20) return std::nullopt;
  size_t digits = s[0] == '-' ? 1 : 0;
  if (digits == s.size() || s[digits] < '0' || s[digits] > '9') return std::nullopt;
  if (s[digits] == '0' && s.size() > 1) return std::nullopt;
  int64_t value = 0;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return value;
}

uint64_t SizeOf(std::string_view s) {
  if (std::optional<int64_t> value = AsInteger(s)) return SizeOfInteger(*value);
  return WithBackLength(s.size() + (s.size() < 64 ? 1 : s.size() < 4096 ? 2 : 5));
}

uint64_t HashFields(std::span<const std::string_view> pairs) {
  uint64_t hash = pairs.size();
  for (size_t i = 0; i < pairs.size(); i += 2) {
    hash = (hash ^ HashName(pairs[i])) * 0x9e3779b97f4a7c15;
  }
  return hash;
}

uint64_t SizeOfFields(std::span<const std::string_view> pairs) {
  uint64_t size = SizeOfInteger(static_cast<int64_t>(pairs.size() / 2));
  for (size_t i = 0; i < pairs.size(); i += 2) size += SizeOf(pairs[i]);
  return size;
}

bool IsFull(const OpenNode& node, const NodeLimits& limits,
            std::span<const std::string_view> pairs) {
  uint64_t max_bytes = static_cast<uint64_t>(limits.max_bytes);
  if (max_bytes == 0 || max_bytes > kMaxListpack) max_bytes = kMaxListpack;
  uint64_t adding = 0;
  for (std::string_view s : pairs) adding += s.size();
  // The two counts (live, deleted) at the listpack's front grow with what they count.
  uint64_t counts = SizeOfInteger(static_cast<int64_t>(node.entries)) + SizeOfInteger(0);
  if (node.bytes + counts + adding >= max_bytes) return true;
  return limits.max_entries > 0 && node.entries >= static_cast<uint64_t>(limits.max_entries);
}

}  // namespace

void AddToNode(OpenNode* node, const NodeLimits& limits, StreamId id,
               std::span<const std::string_view> pairs) {
  uint64_t hash = HashFields(pairs);
  if (node->entries == 0 || IsFull(*node, limits, pairs)) {
    ++node->number;
    node->entries = 0;
    node->master = id;
    node->fields_hash = hash;
    node->bytes = kListpackFrame + SizeOfFields(pairs) + SizeOfInteger(0);
  }
  ++node->entries;
  int64_t fields = static_cast<int64_t>(pairs.size() / 2);
  int64_t elements = fields + 3;
  uint64_t size = SizeOfInteger(0) + SizeOfInteger(static_cast<int64_t>(id.ms - node->master.ms)) +
                  SizeOfInteger(static_cast<int64_t>(id.seq - node->master.seq));
  for (size_t i = 1; i < pairs.size(); i += 2) size += SizeOf(pairs[i]);
  if (hash != node->fields_hash) {
    size += SizeOfFields(pairs);
    elements += fields + 1;
  }
  node->bytes += size + SizeOfInteger(elements);
}

}  // namespace sluice
