// A small collection as one string: entries one behind the other, in the order in which they came,
// each of the same number of items (a set's member; a hash's field and value). The string is the
// rest of a key's header, so who reads the key has read the collection, and a turn's changes of it
// are one put. Everything is linear in its size: keep it below kMaxPackedBytes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// With the longest name's row key still small enough for LMDB to keep two such rows in a page.
inline constexpr size_t kMaxPackedBytes = 1500;

class Packed {
 public:
  static constexpr int kMostItems = 3;
  struct Entry {
    std::string_view items[kMostItems];  // good until the string changes
    size_t begin = 0, end = 0;           // where it stands
  };

  // Items stand in `*header` from `begin` on.
  Packed(std::string* header, size_t begin, int width)
      : header_(header), begin_(begin), width_(width) {}

  // Bytes of all entries together.
  size_t bytes() const { return header_->size() - begin_; }
  uint64_t size() const;
  // What an entry would take.
  static size_t Cost(std::initializer_list<std::string_view> items);

  // Walks: Entry e = Begin(); while (Next(&e)) ...
  Entry Begin() const { return {{}, begin_, begin_}; }
  bool Next(Entry* entry) const;
  std::optional<Entry> Find(std::string_view first_item) const;

  // Items must not be views into the string.
  void Append(std::initializer_list<std::string_view> items);
  void Replace(const Entry& entry, std::initializer_list<std::string_view> items);
  // A walk may go on with `entry` afterwards.
  void Erase(Entry* entry);

 private:
  std::string* header_;
  size_t begin_;
  int width_;
};

}  // namespace sluice
