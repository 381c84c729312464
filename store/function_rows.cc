#include "store/function_rows.h"

#include "store/codec.h"

namespace sluice {

uint64_t FunctionRows::Add(std::string_view code) {
  uint64_t number = 1;
  {
    Cursor cursor(env_, Table::kFunction);
    if (cursor.Last()) number = ReadKeyU64(cursor.key().data()) + 1;
  }
  env_->Put(Table::kFunction, RowKey().U64(number), code);
  return number;
}

void FunctionRows::Remove(uint64_t number) { env_->Delete(Table::kFunction, RowKey().U64(number)); }

void FunctionRows::ForEach(const std::function<void(uint64_t, std::string_view)>& visit) {
  Cursor cursor(env_, Table::kFunction);
  for (bool there = cursor.First(); there; there = cursor.Next()) {
    visit(ReadKeyU64(cursor.key().data()), cursor.value());
  }
}

}  // namespace sluice
