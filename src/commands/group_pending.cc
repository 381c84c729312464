// What consumers do with entries they have been given: XACK, XPENDING, XCLAIM, XAUTOCLAIM.
#include "src/commands/group_delivery.h"

namespace sluice {
namespace {

int64_t IdleMs(const Call& call, const Pending& pending) {
  return call.now_ms() - pending.delivered_ms;
}

void Xack(Call& call) {
  std::optional<Stream> stream;
  std::optional<ConsumerGroup> group;
  if (!FindGroup(call, &stream, &group)) return;
  if (!group) return call.reply.Integer(0);
  std::vector<StreamId> ids;
  if (!ReadStreamIds(call, 3, &ids)) return;
  int64_t acknowledged = 0;
  for (StreamId id : ids) {
    std::optional<Pending> pending = group->FindPending(id);
    if (!pending) continue;
    group->RemovePending(*pending, nullptr);
    ++acknowledged;
  }
  if (acknowledged > 0) SavePending(call, &*group);
  call.reply.Integer(acknowledged);
}

// ---- XPENDING

struct PendingQuery {
  StreamId from, to;
  int64_t count = 0;
  int64_t min_idle_ms = 0;
  std::optional<std::string_view> consumer;
};

bool ReadPendingQuery(Call& call, PendingQuery* query) {
  size_t at = 3;
  if (call.Is(at, "IDLE")) {
    if (!call.ReadInteger(4, &query->min_idle_ms)) return false;
    if (call.args.size() < 8) return call.Error(errors::kSyntax), false;
    at = 5;
  }
  if (!call.ReadInteger(at + 2, &query->count)) return false;
  if (!ReadIntervalStart(call, at, &query->from)) return false;
  if (!ReadIntervalEnd(call, at + 1, &query->to)) return false;
  if (at + 3 < call.args.size()) query->consumer = call.args[at + 3];
  return true;
}

void ReplySummary(Call& call, const ConsumerGroup& group) {
  call.reply.ArrayHeader(4);
  call.reply.Integer(static_cast<int64_t>(group.pending()));
  if (group.pending() == 0) {
    call.reply.Null();
    call.reply.Null();
    return call.reply.NullArray();
  }
  ReplyId(call.reply, group.first_pending());
  ReplyId(call.reply, group.last_pending());
  size_t mark = call.reply.BeginArray();
  size_t n = 0;
  for (const Consumer& consumer : group.Consumers()) {
    if (consumer.pending == 0) continue;
    call.reply.ArrayHeader(2);
    call.reply.Bulk(consumer.name);
    call.reply.BulkInteger(static_cast<int64_t>(consumer.pending));
    ++n;
  }
  call.reply.EndArray(mark, n);
}

void ReplyPending(Call& call, const ConsumerGroup& group, const PendingQuery& query) {
  uint32_t owner = 0;
  if (query.consumer) {
    std::optional<Consumer> consumer = group.FindConsumer(*query.consumer);
    if (!consumer) return call.reply.ArrayHeader(0);
    owner = consumer->number;
  }
  uint32_t named = 0;
  std::string name;
  size_t mark = call.reply.BeginArray();
  int64_t n = 0;
  for (PendingEntries entry(group, query.from, query.to, owner); entry.valid() && n < query.count;
       entry.Next()) {
    Pending pending = entry.pending();
    // What is nobody's is idle since ever, and shown as -1.
    int64_t idle = IdleMs(call, pending);
    if (query.min_idle_ms && pending.consumer && idle < query.min_idle_ms) continue;
    if (pending.consumer != named) {
      named = pending.consumer;
      name = named ? group.ConsumerName(named) : std::string();
    }
    call.reply.ArrayHeader(4);
    ReplyId(call.reply, pending.id);
    call.reply.Bulk(name);
    call.reply.Integer(pending.consumer ? std::max<int64_t>(idle, 0) : -1);
    call.reply.Integer(static_cast<int64_t>(pending.deliveries));
    ++n;
  }
  call.reply.EndArray(mark, static_cast<size_t>(n));
}

void Xpending(Call& call) {
  bool summary = call.args.size() == 3;
  if (!summary && (call.args.size() < 6 || call.args.size() > 9)) {
    return call.Error(errors::kSyntax);
  }
  PendingQuery query;
  if (!summary && !ReadPendingQuery(call, &query)) return;
  std::optional<Stream> stream;
  std::optional<ConsumerGroup> group;
  if (!FindGroup(call, &stream, &group)) return;
  if (!group) return NoGroup(call);
  if (summary) return ReplySummary(call, *group);
  ReplyPending(call, *group, query);
}

// ---- claiming

// Shows a claimed entry the way the client wants it.
void ReplyClaimed(Call& call, StreamId id, const EntryFields& fields, bool just_id) {
  if (just_id) return ReplyId(call.reply, id);
  ReplyEntry(call.reply, id, fields);
}

struct ClaimOptions {
  int64_t min_idle_ms = 0;
  std::vector<StreamId> ids;
  bool force = false, just_id = false;
  std::optional<int64_t> delivered_ms;
  int64_t retry_count = -1;  // -1: not given
  StreamId last_id;
};

bool ReadClaimOption(Call& call, size_t* i, ClaimOptions* options) {
  bool more = *i + 1 < call.args.size();
  if (call.Is(*i, "FORCE")) {
    options->force = true;
  } else if (call.Is(*i, "JUSTID")) {
    options->just_id = true;
  } else if (more && call.Is(*i, "IDLE")) {
    int64_t idle;
    if (!call.ReadInteger(++*i, &idle, "ERR Invalid IDLE option argument for XCLAIM")) return false;
    options->delivered_ms =
        static_cast<int64_t>(static_cast<uint64_t>(call.now_ms()) - static_cast<uint64_t>(idle));
  } else if (more && call.Is(*i, "TIME")) {
    options->delivered_ms = 0;
    return call.ReadInteger(++*i, &*options->delivered_ms,
                            "ERR Invalid TIME option argument for XCLAIM");
  } else if (more && call.Is(*i, "RETRYCOUNT")) {
    return call.ReadInteger(++*i, &options->retry_count,
                            "ERR Invalid RETRYCOUNT option argument for XCLAIM");
  } else if (more && call.Is(*i, "LASTID")) {
    return ReadStreamId(call, ++*i, &options->last_id);
  } else {
    call.Error("ERR Unrecognized XCLAIM option '" + Shown(call.args[*i]) + "'");
    return false;
  }
  return true;
}

// Ids up to the first argument that is none; from there on, options.
bool ReadClaim(Call& call, ClaimOptions* options) {
  if (!call.ReadInteger(4, &options->min_idle_ms,
                        "ERR Invalid min-idle-time argument for XCLAIM")) {
    return false;
  }
  size_t i = 5;
  for (; i < call.args.size(); ++i) {
    std::optional<StreamId> id = ParseStreamId(call.args[i], 0);
    if (!id || call.args[i] == "-" || call.args[i] == "+") break;
    options->ids.push_back(*id);
  }
  for (; i < call.args.size(); ++i) {
    if (!ReadClaimOption(call, &i, options)) return false;
  }
  return true;
}

void Xclaim(Call& call) {
  std::optional<Stream> stream;
  std::optional<ConsumerGroup> group;
  if (!FindGroup(call, &stream, &group)) return;
  if (!group) return NoGroup(call);
  ClaimOptions options;
  if (!ReadClaim(call, &options)) return;

  group->AdvanceUncounted(options.last_id);
  int64_t now = call.now_ms();
  int64_t delivered = options.delivered_ms.value_or(now);
  if (delivered < 0 || delivered > now) delivered = now;
  Consumer consumer = MakeConsumer(call, &*group, call.args[1], call.args[3]);
  consumer.seen_ms = now;
  Delivery delivery(call, call.args[1], *stream, *group, &consumer);

  size_t mark = call.reply.BeginArray(options.ids.size());
  size_t n = 0;
  bool newly_held = false;
  for (StreamId id : options.ids) {
    std::optional<Pending> pending = group->FindPending(id);
    std::optional<EntryFields> fields = stream->Find(id);
    if (!fields) {
      if (pending) delivery.Forget(*pending);
      continue;
    }
    if (!pending && options.force)
      pending = Pending{.id = id, .delivered_ms = now, .deliveries = 1};
    if (!pending) continue;
    bool owned = pending->consumer != 0;
    newly_held |= !owned;
    if (owned && options.min_idle_ms > 0 && IdleMs(call, *pending) < options.min_idle_ms) continue;
    ReplyClaimed(call, id, *fields, options.just_id);
    uint64_t deliveries = options.just_id ? pending->deliveries : pending->next_deliveries();
    if (options.retry_count >= 0) deliveries = static_cast<uint64_t>(options.retry_count);
    bool again = group->extra().has_policy() && !options.just_id && pending->deliveries > 0;
    if (again && pending->exists()) ++group->extra().redelivered;
    group->Reassign(*pending, &consumer, delivered, deliveries);
    consumer.active_ms = now;
    ++n;
  }
  call.reply.EndArray(mark, n);
  group->SaveConsumer(consumer);
  SavePending(call, &*group);
  // XREADGROUP CLAIM may wait for what is held to be idle for long enough.
  if (newly_held) call.Ready(call.args[1]);
}

// How many pending entries XAUTOCLAIM looks at for each that it may claim.
constexpr int64_t kAttemptsPerClaim = 10;

// Redis answers that it has no memory for the ids of more.
constexpr int64_t kMaxCount = int64_t{1} << 43;

struct AutoClaim {
  int64_t min_idle_ms = 0;
  StreamId from;
  int64_t count = 100;
  bool just_id = false;
};

bool ReadAutoClaim(Call& call, AutoClaim* claim) {
  if (!call.ReadInteger(4, &claim->min_idle_ms,
                        "ERR Invalid min-idle-time argument for XAUTOCLAIM")) {
    return false;
  }
  if (!ReadIntervalStart(call, 5, &claim->from)) return false;
  for (size_t i = 6; i < call.args.size(); ++i) {
    if (i + 1 < call.args.size() && call.Is(i, "COUNT")) {
      if (!call.ReadRange(++i, 1, INT64_MAX / 16, &claim->count, "ERR COUNT must be > 0")) {
        return false;
      }
    } else if (call.Is(i, "JUSTID")) {
      claim->just_id = true;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

// Released entries whatever the time, others when they have been idle for long enough; what is
// dead, or waits for its own time, never.
bool IsClaimable(const Call& call, const Pending& pending, int64_t min_idle_ms) {
  if (!pending.consumer) return pending.place == Place::kReleased;
  return pending.place != Place::kDead && IdleMs(call, pending) >= min_idle_ms;
}

void Xautoclaim(Call& call) {
  AutoClaim claim;
  if (!ReadAutoClaim(call, &claim)) return;
  std::optional<Stream> stream;
  std::optional<ConsumerGroup> group;
  if (!FindGroup(call, &stream, &group)) return;
  if (!group) return NoGroup(call);
  if (claim.count > kMaxCount) {
    return call.Error(
        "ERR Insufficient memory, failed allocating transient memory, COUNT too high.");
  }
  Consumer consumer = MakeConsumer(call, &*group, call.args[1], call.args[3]);
  consumer.seen_ms = call.now_ms();

  // First look, then change: the rows looked at are the rows to change.
  Delivery delivery(call, call.args[1], *stream, *group, &consumer);
  std::vector<Pending> claimed, gone, given_up;
  StreamId next;
  {
    PendingEntries entry(*group, claim.from, StreamId::Max());
    int64_t left = claim.count;
    for (int64_t tries = claim.count * kAttemptsPerClaim; tries > 0 && left > 0 && entry.valid();
         entry.Next(), --tries) {
      Pending pending = entry.pending();
      if (!stream->Contains(pending.id)) {
        gone.push_back(pending);
        --left;
      } else if (IsClaimable(call, pending, claim.min_idle_ms)) {
        (delivery.AtLimit(pending) ? given_up : claimed).push_back(pending);
        --left;
      }
    }
    if (entry.valid()) next = entry.id();
  }
  for (const Pending& pending : given_up) delivery.GiveUp(pending, "max-deliveries");
  std::erase_if(claimed, [&](Pending& p) { return !delivery.Order(&p, *stream->Find(p.id)); });

  call.reply.ArrayHeader(3);
  ReplyId(call.reply, next);
  call.reply.ArrayHeader(claimed.size());
  for (const Pending& pending : claimed) {
    ReplyClaimed(call, pending.id, *stream->Find(pending.id), claim.just_id);
    bool again = group->extra().has_policy() && !claim.just_id && pending.deliveries > 0;
    if (again) ++group->extra().redelivered;
    group->Reassign(pending, &consumer, call.now_ms(),
                    claim.just_id ? pending.deliveries : pending.next_deliveries());
  }
  call.reply.ArrayHeader(gone.size());
  for (const Pending& pending : gone) {
    ReplyId(call.reply, pending.id);
    delivery.Forget(pending);
  }
  if (!claimed.empty()) consumer.active_ms = call.now_ms();
  group->SaveConsumer(consumer);
  SavePending(call, &*group);
}

}  // namespace

void AddGroupPendingRows(Rows* rows) {
  rows->push_back({"xack",
                   "key group id...",
                   "Acknowledges entries, which are then pending no more.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   -4,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Xack});
  rows->push_back(
      {"xpending",
       "key group [filters([IDLE=min-idle-time:int@6.2.0] start end count:int [consumer])]",
       "Tells what a group has been given and has not acknowledged.",
       "5.0.0",
       "O(N)",
       Group::kStream,
       -3,
       kReadonly,
       {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
       Xpending,
       {"nondeterministic_output"}});
  rows->push_back(
      {"xclaim",
       "key group consumer min-idle-time id... [IDLE=ms:int] [TIME=unix-time-milliseconds:time] "
       "[RETRYCOUNT=count:int] [FORCE] [JUSTID] [LASTID=id]",
       "Hands pending entries over to a consumer.",
       "5.0.0",
       "O(log N)",
       Group::kStream,
       -6,
       kWrite | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
       Xclaim,
       {"nondeterministic_output"}});
  rows->push_back({"xautoclaim",
                   "key group consumer min-idle-time start [COUNT=count:int] [JUSTID]",
                   "Hands entries that have been pending for long over to a consumer.",
                   "6.2.0",
                   "O(1)",
                   Group::kStream,
                   -6,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Xautoclaim,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
