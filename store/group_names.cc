#include "store/group_names.h"

#include "store/codec.h"

namespace sluice {
namespace {

constexpr uint8_t kByName = 0;
constexpr uint8_t kByNumber = 1;
constexpr size_t kPrefix = 8 + 4 + 1;  // object, scope, kind

RowKey Prefix(const NameScope& scope, uint8_t kind) {
  RowKey row;
  row.U64(scope.object).U32(scope.scope).U8(kind);
  return row;
}

bool IsLong(std::string_view name) { return name.size() > kInlineName; }

// A row's value: the state, and the whole name if the row's key has only its beginning.
struct NameRow {
  std::string_view name, state;
};

NameRow Decode(std::string_view row_key, std::string_view value) {
  NameRow row;
  ValueReader in(value);
  row.state = in.Bytes();
  row.name = row_key.size() > kPrefix + kInlineName ? in.Bytes() : row_key.substr(kPrefix);
  return row;
}

}  // namespace

RowKey NameScope::RowOf(std::string_view name, uint32_t number) const {
  RowKey row = Prefix(*this, kByName);
  row.Bytes(name.substr(0, kInlineName));
  if (IsLong(name)) row.U64(number);
  return row;
}

RowKey NameScope::NumberRow(uint32_t number) const { return Prefix(*this, kByNumber).U32(number); }

std::optional<std::string_view> NameScope::Find(std::string_view name) const {
  RowKey row = Prefix(*this, kByName);
  row.Bytes(name.substr(0, kInlineName));
  if (!IsLong(name)) {
    std::optional<std::string_view> value = env->Get(table, row);
    if (!value) return std::nullopt;
    return ValueReader(*value).Bytes();
  }
  Cursor rows(env, table);
  for (bool more = rows.SeekAtLeast(row); more && rows.key().starts_with(row.view());
       more = rows.Next()) {
    if (rows.key().size() == row.size()) continue;
    NameRow found = Decode(rows.key(), rows.value());
    if (found.name == name) return found.state;
  }
  return std::nullopt;
}

void NameScope::Put(std::string_view name, uint32_t number, std::string_view state) const {
  std::string& value = env->scratch();
  value.clear();
  PutBytes(&value, state);
  if (IsLong(name)) PutBytes(&value, name);
  env->Put(table, RowOf(name, number), value);
}

void NameScope::Delete(std::string_view name, uint32_t number) const {
  env->Delete(table, RowOf(name, number));
  env->Delete(table, NumberRow(number));
}

void NameScope::PutNumber(std::string_view name, uint32_t number) const {
  env->Put(table, NumberRow(number), name);
}

std::optional<std::string> NameScope::NameOf(uint32_t number) const {
  std::optional<std::string_view> name = env->Get(table, NumberRow(number));
  if (!name) return std::nullopt;
  return std::string(*name);
}

void NameScope::Walk(
    const std::function<void(std::string_view name, std::string_view state)>& visit) const {
  RowKey prefix = Prefix(*this, kByName);
  Cursor rows(env, table);
  for (bool more = rows.SeekAtLeast(prefix); more && rows.key().starts_with(prefix.view());
       more = rows.Next()) {
    NameRow row = Decode(rows.key(), rows.value());
    visit(row.name, row.state);
  }
}

}  // namespace sluice
