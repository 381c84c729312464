// XNACK: a consumer gives entries back. They belong to nobody then and wait in line for the next
// who claims, or as the group's policy has it.
#include "src/commands/group_delivery.h"

namespace sluice {
namespace {

enum class Nack { kSilent, kFail, kFatal };

struct NackOptions {
  Nack mode = Nack::kFail;
  std::vector<StreamId> ids;
  std::optional<int64_t> retry_count;
  bool force = false;
  std::optional<int64_t> delay_ms;
};

bool ReadMode(Call& call, Nack* mode) {
  if (call.Is(3, "SILENT")) return *mode = Nack::kSilent, true;
  if (call.Is(3, "FAIL")) return *mode = Nack::kFail, true;
  if (call.Is(3, "FATAL")) return *mode = Nack::kFatal, true;
  return call.Error("ERR mode must be SILENT, FAIL, or FATAL"), false;
}

bool ReadNack(Call& call, NackOptions* options) {
  constexpr IdsErrors kErrors{"ERR numids must be a positive integer",
                              "ERR number of IDs doesn't match numids"};
  if (!ReadMode(call, &options->mode)) return false;
  for (size_t i = 4; i < call.args.size(); ++i) {
    bool more = i + 1 < call.args.size();
    if (call.Is(i, "IDS") && options->ids.empty()) {
      if (!ReadIdsBlock(call, kErrors, &i, &options->ids)) return false;
    } else if (more && call.Is(i, "RETRYCOUNT")) {
      options->retry_count = 0;
      if (!call.ReadInteger(++i, &*options->retry_count)) return false;
      if (*options->retry_count < 0) {
        return call.Error("ERR Invalid RETRYCOUNT value, must be >= 0"), false;
      }
    } else if (call.Is(i, "FORCE")) {
      options->force = true;
    } else if (more && call.Is(i, "DELAY")) {
      options->delay_ms = 0;
      if (!call.ReadRange(++i, 0, kMaxDelayMs, &*options->delay_ms, "ERR Invalid DELAY value")) {
        return false;
      }
    } else {
      return call.Error("ERR Unrecognized XNACK option '" + Shown(call.args[i]) + "'"), false;
    }
  }
  if (options->ids.empty()) return call.Error("ERR syntax error, expected IDS keyword"), false;
  return true;
}

uint64_t CountAfter(const NackOptions& options, const Pending& before) {
  if (options.retry_count) return static_cast<uint64_t>(*options.retry_count);
  if (options.mode == Nack::kFatal) return Pending::kRejected;
  if (options.mode == Nack::kFail || before.deliveries == 0) return before.deliveries;
  return before.deliveries == Pending::kRejected ? before.deliveries : before.deliveries - 1;
}

// Not before when, as the mode and the policy have it; 0: at once.
int64_t NotBefore(const Delivery& d, const NackOptions& options, uint64_t deliveries) {
  int64_t wait_ms = 0;
  if (options.delay_ms) {
    wait_ms = *options.delay_ms;
  } else if (options.mode == Nack::kFail) {
    wait_ms = d.policy.BackoffAfter(deliveries);
  }
  return wait_ms ? d.call.now_ms() + wait_ms : 0;
}

void Release(Delivery& d, const NackOptions& options, const Pending& before) {
  Pending counted = before;
  counted.deliveries = CountAfter(options, before);
  if (d.has_policy() && options.mode == Nack::kFatal) return d.GiveUp(before, "rejected", true);
  if (d.has_policy() && before.exists() && d.AtLimit(counted)) {
    return d.GiveUp(before, "max-deliveries");
  }
  if (before.place == Place::kParked) return d.group.Change(before, counted, nullptr);
  d.group.Release(before, counted.deliveries, NotBefore(d, options, counted.deliveries), nullptr);
}

void Xnack(Call& call) {
  std::optional<Stream> stream;
  std::optional<ConsumerGroup> group;
  if (!FindGroup(call, &stream, &group)) return;
  if (!group) return NoGroup(call);
  NackOptions options;
  if (!ReadNack(call, &options)) return;
  Delivery delivery(call, call.args[1], *stream, *group);
  int64_t released = 0;
  for (StreamId id : options.ids) {
    std::optional<Pending> pending = group->FindPending(id);
    if (!pending && options.force && stream->Contains(id)) pending = Pending{.id = id};
    if (!pending) continue;
    Release(delivery, options, *pending);
    ++released;
  }
  if (released > 0) SavePending(call, &*group);
  call.reply.Integer(released);
}

}  // namespace

void AddGroupNackRows(Rows* rows) {
  rows->push_back({"xnack",
                   "key group mode(SILENT|FAIL|FATAL) ids(IDS=numids:int id...) "
                   "[RETRYCOUNT=count:int] [FORCE] [DELAY=milliseconds:int]",
                   "Gives pending entries back, for the next who claims; after a while if asked.",
                   "8.8.0",
                   "O(log N)",
                   Group::kStream,
                   -7,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Xnack});
}

}  // namespace sluice
