#include "store/packed.h"

#include "store/codec.h"

namespace sluice {
namespace {

std::string Encode(std::initializer_list<std::string_view> items) {
  std::string bytes;
  for (std::string_view item : items) PutBytes(&bytes, item);
  return bytes;
}

}  // namespace

uint64_t Packed::size() const {
  uint64_t n = 0;
  for (Entry entry = Begin(); Next(&entry);) ++n;
  return n;
}

size_t Packed::Cost(std::initializer_list<std::string_view> items) {
  size_t bytes = 0;
  for (std::string_view item : items) {
    bytes += item.size() + 1;
    for (size_t rest = item.size() >> 7; rest; rest >>= 7) ++bytes;
  }
  return bytes;
}

bool Packed::Next(Entry* entry) const {
  if (entry->end >= header_->size()) return false;
  ValueReader in(std::string_view(*header_).substr(entry->end));
  entry->begin = entry->end;
  for (int i = 0; i < width_; ++i) entry->items[i] = in.Bytes();
  entry->end = header_->size() - in.Rest().size();
  return in.ok();
}

std::optional<Packed::Entry> Packed::Find(std::string_view first_item) const {
  for (Entry entry = Begin(); Next(&entry);) {
    if (entry.items[0] == first_item) return entry;
  }
  return std::nullopt;
}

void Packed::Append(std::initializer_list<std::string_view> items) { *header_ += Encode(items); }

void Packed::Replace(const Entry& entry, std::initializer_list<std::string_view> items) {
  header_->replace(entry.begin, entry.end - entry.begin, Encode(items));
}

void Packed::Erase(Entry* entry) {
  header_->erase(entry->begin, entry->end - entry->begin);
  entry->end = entry->begin;
}

}  // namespace sluice
