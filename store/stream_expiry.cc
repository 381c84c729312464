// Entries that exist up to a moment.
//
// Each has a row in `expiring`, in order of the moments. When a moment has come, its entries are
// hidden: they are counted out, the stream's ends are settled, and from then on whoever meets one
// of their rows knows by the moment in it that it is none. That reads ids and writes a header, so a
// million can go at once; taking their rows away, and what that means to groups, is done in slices
// by whoever is called by the agenda.
#include <algorithm>
#include <vector>

#include "store/agenda.h"
#include "store/codec.h"
#include "store/stream.h"

namespace sluice {
namespace {

constexpr int kMomentsPerSlice = 1000;

struct Moment {
  int64_t at_ms;
  StreamId id;
};

Moment Decode(std::string_view row_key) {
  const char* p = row_key.data() + 8;
  return {static_cast<int64_t>(ReadKeyU64(p)), {ReadKeyU64(p + 8), ReadKeyU64(p + 16)}};
}

}  // namespace

RowKey Stream::MomentRow(int64_t at_ms, StreamId id) const {
  RowKey row;
  row.U64(key_->object).U64(static_cast<uint64_t>(at_ms)).U64(id.ms).U64(id.seq);
  return row;
}

void Stream::AddMoment(StreamId id, int64_t at_ms) {
  env_->Put(Table::kExpiring, MomentRow(at_ms, id), {});
  ExpiringState& state = extra_.expiring;
  if (state.armed_ms && state.armed_ms <= at_ms) return;
  Agenda(env_, keys_, key_).Move(Duty::kExpiry, 0, state.armed_ms, at_ms);
  state.armed_ms = at_ms;
}

// The agenda may call for nothing afterwards, once.
void Stream::RemoveMoment(StreamId id, int64_t at_ms) {
  env_->Delete(Table::kExpiring, MomentRow(at_ms, id));
}

// ---- hiding

uint64_t Stream::Hide(int64_t now_ms) {
  ExpiringState& state = extra_.expiring;
  int64_t to_ms = 0;
  uint64_t n = 0;
  StreamId highest;
  {
    Cursor rows(env_, Table::kExpiring);
    RowKey object;
    object.U64(key_->object);
    for (bool more = rows.SeekAtLeast(MomentRow(state.hidden_to_ms + 1, {}));
         more && rows.key().starts_with(object.view()); more = rows.Next()) {
      Moment moment = Decode(rows.key());
      if (moment.at_ms > now_ms) break;
      to_ms = moment.at_ms;
      if (moment.id < state.trimmed_to) continue;
      highest = std::max(highest, moment.id);
      ++n;
    }
  }
  if (!to_ms) return 0;
  state.hidden_to_ms = to_ms;
  if (n > 0) {
    state.hidden += n;
    header_.length -= n;
    header_.max_deleted = std::max(header_.max_deleted, highest);
    header_.head_entries = 0;
    if (header_.length == 0) {
      header_.first = header_.top = StreamId();
      header_.node.entries = 0;
    } else {
      SettleFirst();
      SettleTop();
    }
  }
  Save();
  return n;
}

// ---- what is hidden

std::optional<EntryFields> Stream::FindHidden(StreamId id) const {
  if (hidden() == 0 || id < extra_.expiring.trimmed_to) return std::nullopt;
  std::optional<std::string_view> value = env_->Get(Table::kStream, RowOf(id));
  if (!value) return std::nullopt;
  EntryFields fields(*value);
  if (!IsHidden(fields)) return std::nullopt;
  return fields;
}

std::optional<StreamId> Stream::FirstHidden() {
  int slice = kMomentsPerSlice;  // of those that mean nothing
  RowKey object;
  object.U64(key_->object);
  Cursor rows(env_, Table::kExpiring);
  for (bool more = rows.SeekAtLeast(object); more && rows.key().starts_with(object.view());
       more = rows.Next()) {
    Moment moment = Decode(rows.key());
    if (moment.at_ms > extra_.expiring.hidden_to_ms) break;
    if (moment.id >= extra_.expiring.trimmed_to) return moment.id;
    if (--slice < 0) break;
    rows.DeleteCurrent();
  }
  return std::nullopt;
}

void Stream::RemoveHidden(StreamId id) {
  std::optional<EntryFields> fields = FindHidden(id);
  if (!fields) return;
  RemoveMoment(id, fields->expires_at_ms());
  env_->Delete(Table::kStream, RowOf(id));
  --extra_.expiring.hidden;
  Save();
}

void Stream::RearmExpiry() {
  ExpiringState& state = extra_.expiring;
  int64_t next = 0;
  {
    RowKey object;
    object.U64(key_->object);
    Cursor rows(env_, Table::kExpiring);
    if (rows.SeekAtLeast(object) && rows.key().starts_with(object.view())) {
      next = Decode(rows.key()).at_ms;
    }
  }
  // The clock may have been set back: what comes now is not to be taken for what was hidden.
  if (!next || next > state.hidden_to_ms) state.hidden_to_ms = 0;
  Agenda(env_, keys_, key_).Move(Duty::kExpiry, 0, state.armed_ms, next);
  state.armed_ms = next;
  if (!next) state = ExpiringState();
  Save();
}

// ---- trimming

// Entries of a stream in which some have moments, one by one; what is hidden stays.
void Stream::DeleteOldest(uint64_t n) {
  std::vector<Moment> moments;
  {
    Cursor rows(env_, Table::kStream);
    bool more = rows.SeekAtLeast(RowOf(header_.first));
    for (uint64_t left = n; left > 0 && more && InStream(rows.key()); more = rows.Next()) {
      EntryFields fields(rows.value());
      if (IsHidden(fields)) continue;
      if (fields.expires_at_ms()) moments.push_back({fields.expires_at_ms(), IdOf(rows.key())});
      rows.DeleteCurrent();
      --left;
    }
  }
  for (const Moment& moment : moments) RemoveMoment(moment.id, moment.at_ms);
  header_.length -= n;
  if (header_.length > 0) return SettleFirst();
  header_.first = header_.top = StreamId();
  header_.node.entries = 0;
}

// Ids may come a second time: none is to meet a moment, or a hidden entry, of the first.
void Stream::ForgetMomentsTrimmed() {
  std::vector<Moment> gone;
  {
    RowKey object;
    object.U64(key_->object);
    Cursor rows(env_, Table::kExpiring);
    for (bool more = rows.SeekAtLeast(object); more && rows.key().starts_with(object.view());
         more = rows.Next()) {
      Moment moment = Decode(rows.key());
      if (moment.id < extra_.expiring.trimmed_to || moment.id > header_.last) {
        gone.push_back(moment);
      }
    }
  }
  for (const Moment& moment : gone) {
    if (FindHidden(moment.id)) {
      RemoveHidden(moment.id);
    } else {
      RemoveMoment(moment.id, moment.at_ms);
    }
  }
  extra_.expiring.trimmed_to = {};
}

}  // namespace sluice
