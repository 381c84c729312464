#include "store/idempotence.h"

#include "store/agenda.h"
#include "store/codec.h"
#include "store/siphash.h"

namespace sluice {
namespace {

// On disk as they stand here, little-endian; later versions append to them.
struct ProducerState {
  uint32_t number = 0;
  uint32_t oldest = 0, next = 0;  // numbers of its messages: oldest <= n < next, around 2^32
  uint32_t reserved = 0;
  int64_t armed_ms = 0;  // where it stands in the agenda
};
static_assert(sizeof(ProducerState) == 24, "no padding");

struct MessageState {
  uint32_t number = 0;
  uint32_t reserved = 0;
  int64_t added_ms = 0;
  StreamId id;
};
static_assert(sizeof(MessageState) == 32, "no padding");

int64_t Or(int64_t own, int64_t otherwise) { return own ? own : otherwise; }

}  // namespace

struct Idempotence::Producer {
  std::string name;
  ProducerState state;
  uint32_t size() const { return state.next - state.oldest; }
};

NameScope Idempotence::Producers() const {
  return {stream_->env_, stream_->key_->object, state().names, Table::kIdempotent};
}

NameScope Idempotence::Messages(uint32_t producer) const {
  return {stream_->env_, stream_->key_->object, producer, Table::kIdempotent};
}

std::optional<Idempotence::Producer> Idempotence::FindProducer(std::string_view name) {
  if (state().next_number == 0) return std::nullopt;
  std::optional<std::string_view> bytes = Producers().Find(name);
  if (!bytes) return std::nullopt;
  Producer producer{std::string(name), {}};
  ReadState(*bytes, &producer.state);
  return producer;
}

void Idempotence::SaveProducer(const Producer& producer) {
  Producers().Put(producer.name, producer.state.number, StateBytes(producer.state));
}

std::optional<StreamId> Idempotence::Find(std::string_view producer, std::string_view message,
                                          int64_t now_ms, const Limits& defaults) {
  std::optional<Producer> from = FindProducer(producer);
  if (!from) return std::nullopt;
  std::optional<std::string_view> bytes = Messages(from->state.number).Find(message);
  if (!bytes) return std::nullopt;
  MessageState found;
  ReadState(*bytes, &found);
  int64_t until_ms = found.added_ms + Or(state().duration_s, defaults.duration_s) * 1000;
  if (until_ms <= now_ms) return std::nullopt;
  return found.id;
}

void Idempotence::CountDuplicate() {
  ++mutable_state().duplicates;
  Save();
}

int64_t Idempotence::OldestMs(const Producer& producer) {
  NameScope messages = Messages(producer.state.number);
  std::optional<std::string> name = messages.NameOf(producer.state.oldest);
  std::optional<std::string_view> bytes = name ? messages.Find(*name) : std::nullopt;
  if (!bytes) return 0;
  MessageState oldest;
  ReadState(*bytes, &oldest);
  return oldest.added_ms;
}

void Idempotence::ForgetOldest(Producer* producer) {
  NameScope messages = Messages(producer->state.number);
  uint32_t number = producer->state.oldest++;
  if (std::optional<std::string> name = messages.NameOf(number)) messages.Delete(*name, number);
  --mutable_state().messages;
}

void Idempotence::ForgetExpired(Producer* producer, int64_t now_ms, int64_t duration_s) {
  while (producer->size() > 0 && OldestMs(*producer) + duration_s * 1000 <= now_ms) {
    ForgetOldest(producer);
  }
}

void Idempotence::Add(std::string_view name, std::string_view message, StreamId id, int64_t now_ms,
                      const Limits& defaults) {
  IdempotenceState& s = mutable_state();
  if (s.next_number == 0) {
    s.names = 0;
    s.next_number = 1;
  }
  std::optional<Producer> producer = FindProducer(name);
  if (!producer) {
    producer = Producer{std::string(name), {}};
    producer->state.number = s.next_number++;
    Producers().PutNumber(name, producer->state.number);
    ++s.producers;
  }
  int64_t duration_s = Or(s.duration_s, defaults.duration_s);
  ForgetExpired(&*producer, now_ms, duration_s);
  while (producer->size() >= static_cast<uint64_t>(Or(s.max_size, defaults.max_size))) {
    ForgetOldest(&*producer);
  }
  MessageState state{producer->state.next++, 0, now_ms, id};
  NameScope messages = Messages(producer->state.number);
  messages.Put(message, state.number, StateBytes(state));
  messages.PutNumber(message, state.number);
  if (!producer->state.armed_ms) {
    producer->state.armed_ms = now_ms + duration_s * 1000;
    Agenda(stream_->env_, stream_->keys_, stream_->key_)
        .Move(Duty::kProducer, producer->state.number, 0, producer->state.armed_ms);
  }
  SaveProducer(*producer);
  ++s.messages;
  ++s.added;
  Save();
}

void Idempotence::Expire(uint32_t number, int64_t armed_ms, int64_t now_ms,
                         const Limits& defaults) {
  Agenda agenda(stream_->env_, stream_->keys_, stream_->key_);
  std::optional<std::string> name = Producers().NameOf(number);
  std::optional<Producer> producer = name ? FindProducer(*name) : std::nullopt;
  // One of a time before everything was forgotten.
  if (!producer || producer->state.number != number) {
    return agenda.Move(Duty::kProducer, number, armed_ms, 0);
  }
  int64_t duration_s = Or(state().duration_s, defaults.duration_s);
  ForgetExpired(&*producer, now_ms, duration_s);
  if (producer->size() == 0) {
    Producers().Delete(producer->name, number);
    --mutable_state().producers;
    agenda.Move(Duty::kProducer, number, armed_ms, 0);
  } else {
    producer->state.armed_ms = OldestMs(*producer) + duration_s * 1000;
    SaveProducer(*producer);
    agenda.Move(Duty::kProducer, number, armed_ms, producer->state.armed_ms);
  }
  Save();
}

void Idempotence::Configure(std::optional<int64_t> duration_s, std::optional<int64_t> max_size,
                            const Limits& defaults) {
  IdempotenceState& s = mutable_state();
  bool same =
      duration_s.value_or(Or(s.duration_s, defaults.duration_s)) ==
          Or(s.duration_s, defaults.duration_s) &&
      max_size.value_or(Or(s.max_size, defaults.max_size)) == Or(s.max_size, defaults.max_size);
  if (duration_s) s.duration_s = *duration_s;
  if (max_size) s.max_size = *max_size;
  if (!same && s.next_number) {
    // Numbers are never used twice, so all rows up to here are nobody's any more.
    RowKey from, to;
    from.U32(s.names);
    to.U32(s.next_number);
    if (s.producers > 0) {
      stream_->keys_->AddGarbageRange(stream_->key_->object, Table::kIdempotent, from, to);
    }
    s.names = s.next_number++;
    s.producers = s.messages = 0;
  }
  Save();
}

std::string Idempotence::NameOf(std::span<const std::string_view> pairs) {
  // A sum does not depend on the order of what is added.
  unsigned __int128 sum = pairs.size();
  std::string framed;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    framed.clear();
    PutBytes(&framed, pairs[i]);
    PutBytes(&framed, pairs[i + 1]);
    Hash128 hash = SipHash128(framed);
    sum += static_cast<unsigned __int128>(hash[1]) << 64 | hash[0];
  }
  return std::string(reinterpret_cast<const char*>(&sum), sizeof sum);
}

}  // namespace sluice
