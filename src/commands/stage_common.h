// Staged entries in one call: how they come, how they enter their stream.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "src/commands/stream_append.h"
#include "store/stage.h"

namespace sluice {

// [DELAY ms | DELAYUNTIL unix-ms] [PREPARE]
struct StageOptions {
  bool given = false;
  bool prepare = false;
  bool delay_given = false, delay_is_moment = false;
  int64_t delay_ms = 0;

  // Whether the entry is to be staged: what is due already is not.
  bool Stages(int64_t now_ms) const { return prepare || delay_ms > (delay_is_moment ? now_ms : 0); }
};
bool IsStageWord(const Call& call, size_t i);
// args[*i] is one of the words; *i moves to its value, if it has one. False after replying an
// error.
bool ReadStage(Call& call, size_t* i, StageOptions* options);

// Stages an entry and returns its handle.
StreamId StageEntry(Call& call, Stream* stream, const StageOptions& options,
                    const std::optional<Trimming>& trimming, const Lifetime& lifetime,
                    std::span<const std::string_view> pairs);

// Appends a staged entry to its stream, with an id of its own, and trims as its XADD said. False
// when the stream has no ids left; then it stays.
bool EnterStream(Call& call, std::string_view name, Stream* stream, const Staged& entry,
                 StreamId* id);

// ms, from a moment or from now on, as a moment: never before the beginning of time.
inline int64_t DueAt(int64_t delay_ms, bool is_moment, int64_t now_ms) {
  return std::max<int64_t>(is_moment ? delay_ms : now_ms + delay_ms, 1);
}

}  // namespace sluice
