#include "store/string.h"

#include <algorithm>

#include "store/codec.h"

namespace sluice {
namespace {

// The header's first byte: whether the value is in rows, and the origin in the bits above. A short
// value follows it; of a long one, the length (64 bits).
constexpr uint8_t kInRows = 1;
constexpr int kOriginShift = 1;

uint8_t FirstByte(bool in_rows, String::Origin origin) {
  return static_cast<uint8_t>((in_rows ? kInRows : 0) | static_cast<uint8_t>(origin)
                                                            << kOriginShift);
}

constexpr char kZeros[String::kChunkBytes] = {};

}  // namespace

String::String(Env* env, Keyspace* keys, Key* key) : env_(env), keys_(keys), key_(key) {
  if (key->header.empty()) return;
  ValueReader r(key->header);
  uint8_t first = r.Fixed<uint8_t>();
  long_ = first & kInRows;
  origin_ = static_cast<Origin>(first >> kOriginShift);
  size_ = long_ ? r.Fixed<uint64_t>() : r.Rest().size();
}

bool String::HasRows(std::string_view header) {
  return !header.empty() && (static_cast<uint8_t>(header[0]) & kInRows);
}

RowKey String::RowOf(uint64_t chunk) const {
  RowKey row;
  row.U64(key_->object).U64(chunk);
  return row;
}

void String::SaveShort(std::string_view value) {
  long_ = false;
  size_ = value.size();
  key_->header.assign(1, static_cast<char>(FirstByte(false, origin_)));
  key_->header.append(value);
  keys_->Changed(key_);
}

void String::SaveLong() {
  long_ = true;
  key_->header.assign(1, static_cast<char>(FirstByte(true, origin_)));
  PutFixed(&key_->header, size_);
  keys_->Changed(key_);
}

void String::Assign(std::string_view value, Origin origin) {
  bool to_rows = value.size() > kShort;
  // Rows are overwritten in place if the new value covers them all.
  if (long_ && (!to_rows || value.size() < size_)) keys_->Abandon(key_);
  origin_ = origin;
  if (!to_rows) return SaveShort(value);
  for (size_t at = 0; at < value.size(); at += kChunkBytes) {
    env_->Put(Table::kChunk, RowOf(at / kChunkBytes), value.substr(at, kChunkBytes));
  }
  size_ = value.size();
  SaveLong();
}

void String::Write(uint64_t offset, std::string_view bytes) {
  uint64_t size = bytes.empty() ? size_ : std::max<uint64_t>(size_, offset + bytes.size());
  origin_ = Origin::kEdited;
  if (!long_ && size <= kShort) return WriteShort(offset, bytes);
  if (!long_ && size_ > 0) WriteChunk(0, 0, std::string(value()));
  size_ = size;
  SaveLong();
  while (!bytes.empty()) {
    size_t within = offset % kChunkBytes;
    size_t n = std::min(bytes.size(), kChunkBytes - within);
    WriteChunk(offset / kChunkBytes, within, bytes.substr(0, n));
    bytes.remove_prefix(n);
    offset += n;
  }
}

void String::WriteShort(uint64_t offset, std::string_view bytes) {
  std::string value(this->value());
  if (!bytes.empty()) {
    if (value.size() < offset + bytes.size()) value.resize(offset + bytes.size());
    value.replace(offset, bytes.size(), bytes);
  }
  SaveShort(value);
}

void String::WriteChunk(uint64_t chunk, size_t offset, std::string_view bytes) {
  RowKey row = RowOf(chunk);
  if (bytes.size() == kChunkBytes) return env_->Put(Table::kChunk, row, bytes);
  std::string content;
  if (auto old = env_->Get(Table::kChunk, row)) content = *old;
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
  env_->Put(Table::kChunk, row, content);
}

void String::Walk(uint64_t offset, uint64_t length, const Visit& visit) {
  if (length == 0) return;
  if (!long_) return visit(std::string_view(key_->header).substr(1 + offset, length));
  uint64_t end = offset + length;
  Cursor rows(env_, Table::kChunk);
  bool more = rows.SeekAtLeast(RowOf(offset / kChunkBytes));
  while (offset < end) {
    uint64_t chunk = offset / kChunkBytes;
    size_t within = offset % kChunkBytes;
    size_t n = std::min<uint64_t>(end - offset, kChunkBytes - within);
    size_t present = 0;
    if (more && rows.key() == RowOf(chunk).view()) {
      std::string_view piece = rows.value();
      piece = within < piece.size() ? piece.substr(within, n) : std::string_view();
      present = piece.size();
      if (present) visit(piece);
      more = rows.Next();
    }
    if (present < n) visit({kZeros, n - present});
    offset += n;
  }
}

std::string_view String::Read(uint64_t offset, uint64_t length) {
  if (length == 0) return {};
  if (!long_) return std::string_view(key_->header).substr(1 + offset, length);
  if (offset / kChunkBytes == (offset + length - 1) / kChunkBytes) {
    auto row = env_->Get(Table::kChunk, RowOf(offset / kChunkBytes));
    size_t within = offset % kChunkBytes;
    if (row && row->size() >= within + length) return row->substr(within, length);
  }
  std::string& gathered = env_->scratch();
  gathered.clear();
  if (gathered.capacity() > length + (size_t{1} << 20)) gathered.shrink_to_fit();
  gathered.reserve(length);
  Walk(offset, length, [&](std::string_view piece) { gathered += piece; });
  return gathered;
}

}  // namespace sluice
