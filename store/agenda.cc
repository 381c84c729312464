#include "store/agenda.h"

namespace sluice {
namespace {

// Groups' rows in the same table begin with the groups' numbers, and these begin at 1.
RowKey Prefix(const Key& key) {
  RowKey row;
  row.U64(key.object).U32(0);
  return row;
}

RowKey RowOf(const Key& key, const Agenda::Item& item) {
  return Prefix(key)
      .U64(static_cast<uint64_t>(item.at_ms))
      .U8(static_cast<uint8_t>(item.duty))
      .U32(item.number);
}

}  // namespace

void Agenda::Move(Duty duty, uint32_t number, int64_t from_ms, int64_t to_ms) {
  if (from_ms == to_ms) return;
  if (from_ms) env_->Delete(Table::kDue, RowOf(*key_, {from_ms, duty, number}));
  if (to_ms) env_->Put(Table::kDue, RowOf(*key_, {to_ms, duty, number}), {});
  std::optional<Item> first = First();
  keys_->SetTimer(key_, first ? first->at_ms : 0);
}

std::optional<Agenda::Item> Agenda::First() const {
  RowKey prefix = Prefix(*key_);
  Cursor rows(env_, Table::kDue);
  if (!rows.SeekAtLeast(prefix) || !rows.key().starts_with(prefix.view())) return std::nullopt;
  const char* at = rows.key().data() + prefix.size();
  return Item{static_cast<int64_t>(ReadKeyU64(at)), static_cast<Duty>(at[8]), ReadKeyU32(at + 9)};
}

}  // namespace sluice
