#include "store/binding.h"

#include <string>
#include <vector>

#include "store/codec.h"

namespace sluice {
namespace {

Binding Decode(std::string_view row_key, std::string_view value) {
  ValueReader in(value);
  Binding binding;
  binding.number = ReadKeyU64(row_key.data() + 8);
  binding.copied = in.Fixed<uint64_t>();
  binding.skipped = in.Fixed<uint64_t>();
  binding.kind = static_cast<Binding::Kind>(in.Fixed<uint8_t>());
  binding.into = static_cast<Binding::Into>(in.Fixed<uint8_t>());
  binding.dest = in.Bytes();
  binding.field = in.Bytes();
  binding.pattern = in.Bytes();
  binding.list_field = in.Bytes();
  return binding;
}

std::string Encode(const Binding& binding) {
  std::string value;
  PutFixed(&value, binding.copied);
  PutFixed(&value, binding.skipped);
  PutFixed(&value, static_cast<uint8_t>(binding.kind));
  PutFixed(&value, static_cast<uint8_t>(binding.into));
  PutBytes(&value, binding.dest);
  PutBytes(&value, binding.field);
  PutBytes(&value, binding.pattern);
  PutBytes(&value, binding.list_field);
  return value;
}

}  // namespace

RowKey Bindings::RowOf(uint64_t number) const {
  RowKey row;
  row.U64(stream_->key_->object).U64(number);
  return row;
}

void Bindings::Walk(const std::function<bool(const Binding&)>& visit) const {
  if (size() == 0) return;
  ObjectId object = stream_->key_->object;
  Cursor rows(stream_->env_, Table::kBinding);
  for (bool more = rows.SeekAtLeast(RowOf(0)); more && ReadKeyU64(rows.key().data()) == object;
       more = rows.Next()) {
    if (!visit(Decode(rows.key(), rows.value()))) return;
  }
}

bool Bindings::Add(const Binding& binding) {
  bool known = false;
  uint64_t number = 1;
  Walk([&](const Binding& other) {
    known = other.SameAs(binding);
    number = other.number + 1;
    return !known;
  });
  if (known) return false;
  stream_->env_->Put(Table::kBinding, RowOf(number), Encode(binding));
  ++stream_->extra_.bindings;
  stream_->Save();
  return true;
}

uint64_t Bindings::Remove(std::string_view dest) {
  std::vector<uint64_t> numbers;
  Walk([&](const Binding& binding) {
    if (binding.dest == dest) numbers.push_back(binding.number);
    return true;
  });
  if (numbers.empty()) return 0;
  for (uint64_t number : numbers) stream_->env_->Delete(Table::kBinding, RowOf(number));
  stream_->extra_.bindings -= numbers.size();
  stream_->Save();
  return numbers.size();
}

void Bindings::Count(uint64_t number, bool copied) {
  RowKey row = RowOf(number);
  std::optional<std::string_view> value = stream_->env_->Get(Table::kBinding, row);
  if (!value) return;
  Binding binding = Decode(row, *value);
  ++(copied ? binding.copied : binding.skipped);
  stream_->env_->Put(Table::kBinding, row, Encode(binding));
}

}  // namespace sluice
