#include "store/sequences.h"

#include <algorithm>

namespace sluice {
namespace {

// On disk as it stands here, little-endian; later versions append to it.
struct MarkState {
  int64_t last = 0;
  uint64_t gaps = 0;
  uint32_t number = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(MarkState) == 24, "no padding");

}  // namespace

NameScope Sequences::Names() const {
  return {stream_->env_, stream_->key_->object, stream_->extra_.sequences.scope, Table::kSequence};
}

void Sequences::Start() {
  if (on()) return;
  SequenceState& state = stream_->extra_.sequences;
  state.scope = ++state.scopes;
  stream_->Save();
}

void Sequences::Stop() {
  if (!on()) return;
  SequenceState& state = stream_->extra_.sequences;
  RowKey from, to;
  from.U32(state.scope);
  to.U32(state.scope + 1);
  stream_->keys_->AddGarbageRange(stream_->key_->object, Table::kSequence, from, to);
  state.scope = 0;
  stream_->Save();
}

std::optional<int64_t> Sequences::Last(std::string_view producer) const {
  std::optional<std::string_view> bytes = Names().Find(producer);
  if (!bytes) return std::nullopt;
  MarkState mark;
  ReadState(*bytes, &mark);
  return mark.last;
}

void Sequences::Accept(std::string_view producer, int64_t number) {
  MarkState mark;
  if (std::optional<std::string_view> bytes = Names().Find(producer)) {
    ReadState(*bytes, &mark);
    // As unsigned numbers, because a difference may be larger than any signed one.
    mark.gaps += static_cast<uint64_t>(number) - static_cast<uint64_t>(mark.last) - 1;
  } else {
    mark.number = ++stream_->extra_.sequences.numbers;
    stream_->Save();
  }
  mark.last = number;
  Names().Put(producer, mark.number, StateBytes(mark));
}

std::vector<Sequences::Mark> Sequences::All() const {
  std::vector<Mark> all;
  if (!on()) return all;
  Names().Walk([&](std::string_view name, std::string_view bytes) {
    MarkState mark;
    ReadState(bytes, &mark);
    all.push_back({std::string(name), mark.last, mark.gaps});
  });
  std::sort(all.begin(), all.end(),
            [](const Mark& a, const Mark& b) { return a.producer < b.producer; });
  return all;
}

}  // namespace sluice
