#include "src/commands/stage_common.h"

#include <algorithm>
#include <string>
#include <vector>

namespace sluice {
namespace {

// What became of an entry is known for so long.
constexpr int64_t kRememberMs = 3'600'000;
// How many entries whose fate nobody asks for any more one call of the timer forgets.
constexpr int kForgottenPerCall = 64;
// An entry that cannot enter its stream tries again after so long.
constexpr int64_t kTryAgainMs = 60'000;

}  // namespace

bool IsStageWord(const Call& call, size_t i) {
  bool more = i + 1 < call.args.size();
  return call.Is(i, "PREPARE") || (more && (call.Is(i, "DELAY") || call.Is(i, "DELAYUNTIL")));
}

bool ReadStage(Call& call, size_t* i, StageOptions* options) {
  options->given = true;
  if (call.Is(*i, "PREPARE")) return options->prepare = true;
  if (options->delay_given) {
    return call.Error("ERR syntax error, DELAY or DELAYUNTIL specified multiple times"), false;
  }
  options->delay_given = true;
  options->delay_is_moment = call.Is(*i, "DELAYUNTIL");
  return call.ReadRange(
      ++*i, 0, kMaxDelayMs, &options->delay_ms,
      options->delay_is_moment ? "ERR Invalid DELAYUNTIL value" : "ERR Invalid DELAY value");
}

StreamId StageEntry(Call& call, Stream* stream, const StageOptions& options,
                    const std::optional<Trimming>& trimming, const Lifetime& lifetime,
                    std::span<const std::string_view> pairs) {
  Stages stages(stream);
  // Who waits for something to ask about must be told when the first will be old enough.
  if (options.prepare && !stages.First(Staged::Place::kPrepared)) call.Ready(call.args[1]);
  Staged entry;
  if (options.prepare) {
    entry.place = Staged::Place::kPrepared;
    entry.at_ms = call.now_ms();
    entry.delay_ms = options.delay_ms;
    entry.delay_is_moment = options.delay_is_moment;
  } else {
    entry.at_ms = DueAt(options.delay_ms, options.delay_is_moment, call.now_ms());
  }
  if (trimming) {
    entry.trim = StagedTrim{trimming->rule, static_cast<uint8_t>(trimming->references)};
  }
  entry.lifetime_ms = lifetime.ms;
  entry.lifetime_is_moment = lifetime.absolute;
  StreamId handle = stages.Add(entry, pairs, call.now_ms());
  call.Changed(call.args[1], "");
  return handle;
}

bool EnterStream(Call& call, std::string_view name, Stream* stream, const Staged& entry,
                 StreamId* id) {
  *id = stream->NextId(static_cast<uint64_t>(call.now_ms()));
  if (id->zero()) return false;
  std::string fields_row(entry.fields_row);
  EntryFields fields(fields_row);
  std::vector<std::string_view> pairs(2 * fields.left());
  for (size_t i = 0; fields.left() > 0; i += 2) fields.Next(&pairs[i], &pairs[i + 1]);
  Stages(stream).Enter(entry, *id, call.now_ms() + kRememberMs);
  Lifetime lifetime{entry.lifetime_ms, entry.lifetime_is_moment};
  AppendEntry(call, call.db(), name, stream, *id, pairs, lifetime.ExpiresAt(call.now_ms()));
  if (entry.trim) {
    Trim(call, name, stream, {entry.trim->rule, static_cast<References>(entry.trim->references)});
  }
  return true;
}

void FireStages(Call& call, std::string_view name, Stream* stream, Slice* slice) {
  Stages stages(stream);
  while (slice->Take()) {
    std::optional<Staged> due = stages.FirstDue(call.now_ms());
    if (!due) break;
    StreamId id;
    if (!due->prepared()) {
      if (EnterStream(call, name, stream, *due, &id)) continue;
      Staged later = *due;
      later.at_ms = call.now_ms() + kTryAgainMs;
      stages.Change(*due, later);
    } else if (due->checks < stages.most_checks()) {
      // It may be asked about more often than when it was asked last.
      Staged again = *due;
      again.place = Staged::Place::kPrepared;
      stages.Change(*due, again);
      call.Ready(name);
    } else {
      stages.Remove(*due);
      call.Changed(name, "");
    }
  }
  stages.Forget(call.now_ms(), kForgottenPerCall);
  stages.Rearm();
}

}  // namespace sluice
