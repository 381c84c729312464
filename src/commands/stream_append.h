// How entries come into a stream and go out of it: what XADD shares with whoever else adds (dead
// letters) and whoever else removes (XTRIM, XDELEX, XACKDEL).
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "src/commands/slice.h"
#include "src/commands/stream_common.h"
#include "store/idempotence.h"

namespace sluice {

// The one way by which an entry becomes visible: adds it and tells everyone. `id` is above
// last_id(). Copies go where the stream's bindings lead (routing.h), in the same batch; so the
// caller may have no other stream open, or names it: `open` gets no copy. `pairs` are no views of
// rows.
void AppendEntry(Call& call, int db, std::string_view name, Stream* stream, StreamId id,
                 std::span<const std::string_view> pairs, int64_t expires_at_ms = 0,
                 std::string_view open = {});

// EX s | PX ms | EXAT s | PXAT ms: how long an entry exists once it is visible, or up to when.
struct Lifetime {
  int64_t ms = 0;  // 0: for ever
  bool absolute = false;
  // What AppendEntry wants to know of an entry that becomes visible at a moment.
  int64_t ExpiresAt(int64_t visible_ms) const {
    return ms == 0 || absolute ? ms : visible_ms + std::min(ms, INT64_MAX - visible_ms);
  }
};
// Reads one of these from args[*i] on, which names it; false after replying an error.
bool ReadLifetime(Call& call, size_t* i, Lifetime* lifetime);

// What becomes of the groups' references to entries that are to be deleted: they stay, or go too;
// or only entries without any are deleted.
enum class References { kKeep, kDelete, kAcknowledged };
// Whether args[i] is one of KEEPREF, DELREF and ACKED.
bool ReadReferences(const Call& call, size_t i, std::optional<References>* references);
struct Trimming {
  Stream::TrimRule rule;
  References references = References::kKeep;
};
// Drops the oldest entries and tells everyone; returns how many.
uint64_t Trim(Call& call, std::string_view name, Stream* stream, const Trimming& trimming);
// How many entries that would drop.
uint64_t CountTrimmed(Call& call, Stream* stream, const Trimming& trimming);

// IDMP pid iid | IDMPAUTO pid
struct IdempotenceOptions {
  bool given = false;
  bool automatic = false;
  std::string_view producer, message;
};
// What holds where a stream has no limits of its own.
Idempotence::Limits IdempotenceLimits(const Call& call);
bool IsIdempotenceWord(const Call& call, size_t i);
bool ReadIdempotence(Call& call, size_t* i, IdempotenceOptions* options);
// Answers with the id that the message has got already; false if it is new.
bool AnswerDuplicate(Call& call, Key* key, const IdempotenceOptions& options,
                     std::span<const std::string_view> pairs);
void Remember(Call& call, Stream* stream, const IdempotenceOptions& options,
              std::span<const std::string_view> pairs, StreamId id);

// What falls due in a stream, as much of it as the slice has room for. The rest keeps its moment in
// the agenda.
//
// Entries whose time is over are put away.
void BuryExpired(Call& call, std::string_view name, Stream* stream, Slice* slice);
// Staged entries (stage_common.h) enter the stream, or may be asked about.
void FireStages(Call& call, std::string_view name, Stream* stream, Slice* slice);
// A group's pending entries. False when there is no such group.
bool FireGroup(Call& call, std::string_view name, Stream* stream, uint32_t number, int64_t at_ms,
               Slice* slice);

}  // namespace sluice
