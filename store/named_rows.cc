#include "store/named_rows.h"

namespace sluice {
namespace {

uint64_t HashOf(std::string_view name) {
  uint64_t hash = HashName(name) >> 16;
  return hash ? hash : 1;  // 0 is the cursor that means the beginning, and the end
}

bool IsLong(std::string_view name) { return name.size() > kInlineName; }

}  // namespace

RowKey NamedRows::KeyOf(uint64_t object, std::string_view name) {
  RowKey key;
  key.U64(object).U48(HashOf(name)).Bytes(name.substr(0, kInlineName));
  return key;
}

NamedRows::Row NamedRows::Decode(std::string_view key, std::string_view value) const {
  if (key.size() <= kPrefix + kInlineName) return {key, key.substr(kPrefix), value};
  ValueReader in(value);
  std::string_view name = in.Bytes();
  return {key, name, in.Rest()};
}

std::optional<NamedRows::Row> NamedRows::Find(std::string_view name, RowKey* key) const {
  *key = KeyOf(object_, name);
  if (!IsLong(name)) {
    std::optional<std::string_view> value = env_->Get(table_, *key);
    if (!value) return std::nullopt;
    return Row{key->view(), name, *value};
  }
  Cursor rows(env_, table_);
  size_t stem = key->size();
  for (bool more = rows.SeekAtLeast(*key);
       more && rows.key().starts_with(key->view().substr(0, stem)); more = rows.Next()) {
    Row row = Decode(rows.key(), rows.value());
    if (rows.key().size() == stem || row.name != name) continue;
    key->Bytes(rows.key().substr(stem));
    return Row{key->view(), row.name, row.value};
  }
  return std::nullopt;
}

void NamedRows::Put(RowKey* key, bool found, std::string_view name, uint64_t number,
                    std::string_view value) {
  if (!IsLong(name)) return env_->Put(table_, *key, value);
  if (!found) key->U64(number);
  std::string whole;
  whole.reserve(name.size() + value.size() + 10);
  PutBytes(&whole, name);
  whole += value;
  env_->Put(table_, *key, whole);
}

std::optional<NamedRows::Row> NamedRows::At(std::string_view key) const {
  std::optional<std::string_view> value = env_->Get(table_, key);
  if (!value) return std::nullopt;
  return Decode(key, *value);
}

bool NamedRows::WalkFrom(uint64_t hash, const Visit& visit) const {
  RowKey from;
  from.U64(object_).U48(hash);
  Cursor rows(env_, table_);
  for (bool more = rows.SeekAtLeast(from); more && ReadKeyU64(rows.key().data()) == object_;
       more = rows.Next()) {
    if (!visit(Decode(rows.key(), rows.value()))) return false;
  }
  return true;
}

uint64_t NamedRows::Scan(uint64_t cursor, uint64_t count, const Visit& visit) const {
  uint64_t visited = 0, last = 0, next = 0;
  WalkFrom(cursor, [&](const Row& row) {
    uint64_t hash = ReadKeyU48(row.key.data() + 8);
    if (visited >= count && hash != last) {
      next = hash;
      return false;
    }
    last = hash;
    ++visited;
    return visit(row);
  });
  return next;
}

void NamedRows::WalkFromSomewhere(uint64_t random, const Visit& visit) const {
  if (WalkFrom(random >> 16, visit)) WalkFrom(0, visit);
}

}  // namespace sluice
