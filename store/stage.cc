#include "store/stage.h"

#include <algorithm>

#include "store/agenda.h"
#include "store/codec.h"

namespace sluice {
namespace {

using Place = Staged::Place;

// Kinds of rows in the table of stages.
constexpr uint8_t kStaged = 0;
constexpr uint8_t kEntered = 1;

// The queue behind those of the places: what is to be forgotten.
constexpr uint8_t kToForget = 4;

constexpr uint8_t kPlaceBits = 3;
constexpr uint8_t kCommitted = 4;
constexpr uint8_t kDelayIsMoment = 8;
constexpr uint8_t kTrims = 16;
constexpr uint8_t kExpires = 32;
constexpr uint8_t kExpiresAtMoment = 64;

constexpr uint8_t kById = 1;
constexpr uint8_t kApproximate = 2;
constexpr int kReferencesShift = 2;

uint8_t QueueOf(Place place) { return static_cast<uint8_t>(place); }

void EncodeTrim(const StagedTrim& trim, std::string* out) {
  const Stream::TrimRule& rule = trim.rule;
  PutFixed(out,
           static_cast<uint8_t>((rule.by_id ? kById : 0) | (rule.approximate ? kApproximate : 0) |
                                trim.references << kReferencesShift));
  PutVarint(out, rule.max_length);
  PutVarint(out, rule.min_id.ms);
  PutVarint(out, rule.min_id.seq);
  PutVarint(out, rule.limit);
}

StagedTrim DecodeTrim(ValueReader* in) {
  StagedTrim trim;
  uint8_t flags = in->Fixed<uint8_t>();
  trim.references = flags >> kReferencesShift;
  trim.rule.by_id = flags & kById;
  trim.rule.approximate = flags & kApproximate;
  trim.rule.max_length = in->Varint();
  trim.rule.min_id.ms = in->Varint();
  trim.rule.min_id.seq = in->Varint();
  trim.rule.limit = in->Varint();
  return trim;
}

void Encode(const Staged& entry, std::string* out) {
  PutFixed(out,
           static_cast<uint8_t>(QueueOf(entry.place) | (entry.committed ? kCommitted : 0) |
                                (entry.delay_is_moment ? kDelayIsMoment : 0) |
                                (entry.trim ? kTrims : 0) | (entry.lifetime_ms ? kExpires : 0) |
                                (entry.lifetime_is_moment ? kExpiresAtMoment : 0)));
  PutFixed(out, entry.at_ms);
  PutVarint(out, entry.checks);
  PutVarint(out, static_cast<uint64_t>(entry.delay_ms));
  if (entry.trim) EncodeTrim(*entry.trim, out);
  if (entry.lifetime_ms) PutVarint(out, static_cast<uint64_t>(entry.lifetime_ms));
  out->append(entry.fields_row);
}

Staged Decode(StreamId handle, std::string_view value) {
  ValueReader in(value);
  Staged entry;
  entry.handle = handle;
  uint8_t flags = in.Fixed<uint8_t>();
  entry.place = static_cast<Place>(flags & kPlaceBits);
  entry.committed = flags & kCommitted;
  entry.delay_is_moment = flags & kDelayIsMoment;
  entry.at_ms = in.Fixed<int64_t>();
  entry.checks = in.Varint();
  entry.delay_ms = static_cast<int64_t>(in.Varint());
  if (flags & kTrims) entry.trim = DecodeTrim(&in);
  entry.lifetime_is_moment = flags & kExpiresAtMoment;
  if (flags & kExpires) entry.lifetime_ms = static_cast<int64_t>(in.Varint());
  entry.fields_row = in.Rest();
  return entry;
}

StreamId ReadId(const char* at) { return {ReadKeyU64(at), ReadKeyU64(at + 8)}; }

}  // namespace

RowKey Stages::RowOf(uint8_t kind, StreamId handle) const {
  RowKey row;
  row.U64(stream_->key_->object).U8(kind).U64(handle.ms).U64(handle.seq);
  return row;
}

RowKey Stages::DueRowOf(uint8_t queue, int64_t at_ms, StreamId handle) const {
  RowKey row;
  row.U64(stream_->key_->object).U8(queue).U64(static_cast<uint64_t>(at_ms));
  return row.U64(handle.ms).U64(handle.seq);
}

void Stages::Configure(std::optional<int64_t> timeout_ms, std::optional<int64_t> most_checks,
                       std::optional<int64_t> max_backlog) {
  StageState& s = mutable_state();
  if (timeout_ms) s.timeout_ms = *timeout_ms;
  if (most_checks) s.most_checks = static_cast<uint64_t>(*most_checks);
  if (max_backlog) s.max_backlog = static_cast<uint64_t>(*max_backlog);
  Rearm();
}

// ---- the agenda

void Stages::Arm(int64_t at_ms) {
  Agenda agenda(env(), stream_->keys_, stream_->key_);
  agenda.Move(Duty::kStages, 0, state().armed_ms, at_ms);
  mutable_state().armed_ms = at_ms;
}

void Stages::ArmBy(const Staged& entry) {
  if (entry.place == Place::kPrepared) return;
  int64_t at_ms = entry.at_ms + (entry.place == Place::kAskedOut ? timeout_ms() : 0);
  at_ms = std::max<int64_t>(at_ms, 1);
  if (!state().armed_ms || at_ms < state().armed_ms) Arm(at_ms);
}

void Stages::Rearm() {
  int64_t first_ms = 0;
  auto consider = [&](uint8_t queue, int64_t later_ms) {
    std::optional<Moment> first = FirstIn(queue);
    if (!first) return;
    int64_t at_ms = std::max<int64_t>(first->at_ms + later_ms, 1);
    first_ms = first_ms ? std::min(first_ms, at_ms) : at_ms;
  };
  consider(QueueOf(Place::kDelayed), 0);
  consider(QueueOf(Place::kAskedOut), timeout_ms());
  consider(kToForget, 0);
  Arm(first_ms);
  stream_->Save();
}

// ---- entries

void Stages::Put(const Staged& entry) {
  std::string& value = env()->scratch();
  value.clear();
  Encode(entry, &value);
  env()->Put(Table::kStage, RowOf(kStaged, entry.handle), value);
  env()->Put(Table::kStageDue, DueRowOf(QueueOf(entry.place), entry.at_ms, entry.handle), {});
  ArmBy(entry);
}

StreamId Stages::Add(Staged entry, std::span<const std::string_view> pairs, int64_t now_ms) {
  StageState& s = mutable_state();
  StreamId handle{static_cast<uint64_t>(now_ms), 0};
  if (handle <= s.last_handle) {
    handle = s.last_handle;
    handle.Increment();
  }
  std::string fields;
  PutVarint(&fields, 0);
  PutVarint(&fields, pairs.size() / 2);
  for (std::string_view text : pairs) PutBytes(&fields, text);
  entry.handle = s.last_handle = handle;
  entry.fields_row = fields;
  ++s.staged;
  Put(entry);
  stream_->Save();
  return handle;
}

std::optional<Staged> Stages::Find(StreamId handle) const {
  if (state().staged == 0) return std::nullopt;
  std::optional<std::string_view> value = env()->Get(Table::kStage, RowOf(kStaged, handle));
  if (!value) return std::nullopt;
  return Decode(handle, *value);
}

void Stages::Walk(StreamId from, StreamId to,
                  const std::function<bool(const Staged&)>& visit) const {
  RowKey prefix;
  prefix.U64(stream_->key_->object).U8(kStaged);
  Cursor rows(env(), Table::kStage);
  for (bool more = rows.SeekAtLeast(RowOf(kStaged, from));
       more && rows.key().starts_with(prefix.view()); more = rows.Next()) {
    StreamId handle = ReadId(rows.key().data() + prefix.size());
    if (handle > to || !visit(Decode(handle, rows.value()))) return;
  }
}

void Stages::Change(const Staged& entry, const Staged& after) {
  Staged changed = after;
  std::string fields(entry.fields_row);
  changed.fields_row = fields;
  env()->Delete(Table::kStageDue, DueRowOf(QueueOf(entry.place), entry.at_ms, entry.handle));
  Put(changed);
  stream_->Save();
}

void Stages::Remove(const Staged& entry) {
  env()->Delete(Table::kStageDue, DueRowOf(QueueOf(entry.place), entry.at_ms, entry.handle));
  env()->Delete(Table::kStage, RowOf(kStaged, entry.handle));
  --mutable_state().staged;
  stream_->Save();
}

// ---- what became of them

void Stages::Enter(const Staged& entry, StreamId id, int64_t until_ms) {
  std::string value;
  PutFixed(&value, id.ms);
  PutFixed(&value, id.seq);
  env()->Put(Table::kStage, RowOf(kEntered, entry.handle), value);
  env()->Put(Table::kStageDue, DueRowOf(kToForget, until_ms, entry.handle), {});
  if (!state().armed_ms || until_ms < state().armed_ms) Arm(until_ms);
  Remove(entry);
}

std::optional<StreamId> Stages::FindEntered(StreamId handle) const {
  if (state().last_handle.zero()) return std::nullopt;
  std::optional<std::string_view> value = env()->Get(Table::kStage, RowOf(kEntered, handle));
  if (!value) return std::nullopt;
  ValueReader in(*value);
  StreamId id;
  id.ms = in.Fixed<uint64_t>();
  id.seq = in.Fixed<uint64_t>();
  return id;
}

void Stages::Forget(int64_t now_ms, int most) {
  for (; most > 0; --most) {
    std::optional<Moment> first = FirstIn(kToForget);
    if (!first || first->at_ms > now_ms) return;
    env()->Delete(Table::kStage, RowOf(kEntered, first->handle));
    env()->Delete(Table::kStageDue, DueRowOf(kToForget, first->at_ms, first->handle));
  }
}

// ---- queues

std::optional<Stages::Moment> Stages::FirstIn(uint8_t queue) const {
  RowKey prefix;
  prefix.U64(stream_->key_->object).U8(queue);
  Cursor rows(env(), Table::kStageDue);
  if (!rows.SeekAtLeast(prefix) || !rows.key().starts_with(prefix.view())) return std::nullopt;
  const char* at = rows.key().data() + prefix.size();
  return Moment{static_cast<int64_t>(ReadKeyU64(at)), ReadId(at + 8)};
}

std::optional<Staged> Stages::First(Place place) const {
  std::optional<Moment> first = FirstIn(QueueOf(place));
  return first ? Find(first->handle) : std::nullopt;
}

std::optional<Staged> Stages::FirstDue(int64_t now_ms) const {
  for (Place place : {Place::kDelayed, Place::kAskedOut}) {
    int64_t later_ms = place == Place::kAskedOut ? timeout_ms() : 0;
    std::optional<Moment> first = FirstIn(QueueOf(place));
    if (first && first->at_ms + later_ms <= now_ms) return Find(first->handle);
  }
  return std::nullopt;
}

}  // namespace sluice
