// XINFO: what a stream, its groups and their consumers look like.
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/commands/queues.h"
#include "src/commands/stream_append.h"

namespace sluice {
namespace {

// The stream args[2] names; false after replying why there is none.
bool FindStream(Call& call, Key** key) {
  if (!call.LookupType(call.args[2], Type::kStream, key)) return false;
  if (!*key) call.Error(errors::kNoSuchKey);
  return *key != nullptr;
}

void Field(Call& call, std::string_view name, int64_t value) {
  call.reply.Bulk(name);
  call.reply.Integer(value);
}

void Field(Call& call, std::string_view name, uint64_t value) {
  Field(call, name, static_cast<int64_t>(value));
}

void Field(Call& call, std::string_view name, StreamId id) {
  call.reply.Bulk(name);
  ReplyId(call.reply, id);
}

void Field(Call& call, std::string_view name, std::string_view text) {
  call.reply.Bulk(name);
  call.reply.Bulk(text);
}

void Field(Call& call, std::string_view name, std::optional<int64_t> value) {
  call.reply.Bulk(name);
  value ? call.reply.Integer(*value) : call.reply.Null();
}

std::optional<int64_t> EntriesRead(const ConsumerGroup& group) {
  if (group.entries_read() == Stream::kUnknown) return std::nullopt;
  return group.entries_read();
}

void ReplyEdge(Call& call, std::string_view name, const Stream& stream, StreamId id) {
  call.reply.Bulk(name);
  Entries entry(stream, id, id);
  if (!entry.valid()) return call.reply.Null();
  ReplyEntry(call.reply, id, entry.fields());
}

// ---- XINFO STREAM key FULL

void ReplyGroupPending(Call& call, const ConsumerGroup& group, uint64_t count) {
  call.reply.Bulk("pending");
  size_t mark = call.reply.BeginArray(count);
  uint64_t n = 0;
  PendingEntries entry(group, {}, StreamId::Max());
  for (; entry.valid() && (count == 0 || n < count); entry.Next(), ++n) {
    Pending pending = entry.pending();
    call.reply.ArrayHeader(4);
    ReplyId(call.reply, pending.id);
    call.reply.Bulk(pending.consumer ? group.ConsumerName(pending.consumer) : std::string());
    call.reply.Integer(pending.delivered_ms);
    call.reply.Integer(static_cast<int64_t>(pending.deliveries));
  }
  call.reply.EndArray(mark, n);
}

void ReplyConsumer(Call& call, const ConsumerGroup& group, const Consumer& consumer,
                   uint64_t count) {
  call.reply.MapHeader(5);
  Field(call, "name", consumer.name);
  Field(call, "seen-time", consumer.seen_ms);
  Field(call, "active-time", consumer.active_ms);
  Field(call, "pel-count", consumer.pending);
  call.reply.Bulk("pending");
  size_t mark = call.reply.BeginArray(count);
  uint64_t n = 0;
  PendingEntries entry(group, {}, StreamId::Max(), consumer.number);
  for (; entry.valid() && (count == 0 || n < count); entry.Next(), ++n) {
    Pending pending = entry.pending();
    call.reply.ArrayHeader(3);
    ReplyId(call.reply, pending.id);
    call.reply.Integer(pending.delivered_ms);
    call.reply.Integer(static_cast<int64_t>(pending.deliveries));
  }
  call.reply.EndArray(mark, n);
}

void ReplyFullGroup(Call& call, const Stream& stream, const ConsumerGroup& group, uint64_t count) {
  // What a newer Redis added is there where it is in use.
  bool has_released = group.extra().next_release > 0;
  call.reply.MapHeader(has_released ? 8 : 7);
  Field(call, "name", group.name());
  Field(call, "last-delivered-id", group.last_id());
  Field(call, "entries-read", EntriesRead(group));
  Field(call, "lag", GroupLag(stream, group));
  Field(call, "pel-count", group.pending());
  if (has_released) Field(call, "nacked-count", group.extra().unowned);
  ReplyGroupPending(call, group, count);
  call.reply.Bulk("consumers");
  std::vector<Consumer> consumers = group.Consumers();
  call.reply.ArrayHeader(consumers.size());
  for (const Consumer& consumer : consumers) ReplyConsumer(call, group, consumer, count);
}

// [FULL [COUNT n]]
bool ReadFull(Call& call, bool* full, uint64_t* count) {
  size_t n = call.args.size();
  *full = n > 3;
  if (!*full) return true;
  if ((n != 4 && n != 6) || !call.Is(3, "FULL") || (n == 6 && !call.Is(4, "COUNT"))) {
    return SubcommandSyntaxError(call), false;
  }
  if (n == 4) return true;
  int64_t given;
  if (!call.ReadInteger(5, &given)) return false;
  if (given >= 0) *count = static_cast<uint64_t>(given);
  return true;
}

void ReplyIdempotence(Call& call, Stream* stream) {
  const IdempotenceState& state = Idempotence(stream).state();
  Idempotence::Limits limits = IdempotenceLimits(call);
  Field(call, "idmp-duration", state.duration_s ? state.duration_s : limits.duration_s);
  Field(call, "idmp-maxsize", state.max_size ? state.max_size : limits.max_size);
  Field(call, "pids-tracked", state.producers);
  Field(call, "iids-tracked", state.messages);
  Field(call, "iids-added", state.added);
  Field(call, "iids-duplicates", state.duplicates);
}

void XinfoStream(Call& call) {
  Key* key;
  if (!FindStream(call, &key)) return;
  bool full;
  uint64_t count = 10;
  if (!ReadFull(call, &full, &count)) return;
  Stream stream = OpenStream(call, key);
  uint64_t nodes = stream.nodes();
  bool idempotent = Idempotence(&stream).in_use();
  call.reply.MapHeader((full ? 9 : 10) + (idempotent ? 6 : 0));
  Field(call, "length", stream.length());
  Field(call, "radix-tree-keys", nodes);
  Field(call, "radix-tree-nodes", nodes + 1);
  Field(call, "last-generated-id", stream.last_id());
  Field(call, "max-deleted-entry-id", stream.max_deleted_id());
  Field(call, "entries-added", stream.entries_added());
  Field(call, "recorded-first-entry-id", stream.first_id());
  if (idempotent) ReplyIdempotence(call, &stream);
  if (!full) {
    Field(call, "groups", stream.groups());
    ReplyEdge(call, "first-entry", stream, stream.first_id());
    return ReplyEdge(call, "last-entry", stream, stream.top_id());
  }
  call.reply.Bulk("entries");
  ReplyEntries(call.reply, Entries(stream, {}, StreamId::Max()), count);
  call.reply.Bulk("groups");
  std::vector<ConsumerGroup> groups = ConsumerGroup::All(&stream);
  call.reply.ArrayHeader(groups.size());
  for (const ConsumerGroup& group : groups) ReplyFullGroup(call, stream, group, count);
}

void XinfoGroups(Call& call) {
  Key* key;
  if (!FindStream(call, &key)) return;
  Stream stream = OpenStream(call, key);
  std::vector<ConsumerGroup> groups = ConsumerGroup::All(&stream);
  call.reply.ArrayHeader(groups.size());
  for (const ConsumerGroup& group : groups) {
    call.reply.MapHeader(6);
    Field(call, "name", group.name());
    Field(call, "consumers", group.consumers());
    Field(call, "pending", group.pending());
    Field(call, "last-delivered-id", group.last_id());
    Field(call, "entries-read", EntriesRead(group));
    Field(call, "lag", GroupLag(stream, group));
  }
}

void XinfoConsumers(Call& call) {
  Key* key;
  if (!FindStream(call, &key)) return;
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = ConsumerGroup::Find(&stream, call.args[3]);
  if (!group) return NoGroupNamed(call);
  int64_t now = call.now_ms();
  std::vector<Consumer> consumers = group->Consumers();
  call.reply.ArrayHeader(consumers.size());
  for (const Consumer& consumer : consumers) {
    call.reply.MapHeader(4);
    Field(call, "name", consumer.name);
    Field(call, "pending", consumer.pending);
    Field(call, "idle", std::max<int64_t>(now - consumer.seen_ms, 0));
    bool active = consumer.active_ms != -1;
    Field(call, "inactive", active ? std::max<int64_t>(now - consumer.active_ms, 0) : -1);
  }
}

}  // namespace

void AddStreamInfoRows(Rows* rows) {
  rows->push_back({"xinfo",
                   "",
                   "Commands that look into streams.",
                   "5.0.0",
                   "",
                   Group::kStream,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"xinfo|stream",
                   "key [FULL=full([COUNT=count:int])]",
                   "Tells a stream's counters and its ends, or all that is in it. The radix tree "
                   "is the one that "
                   "Redis would keep, gaps not counted.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   -3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   XinfoStream});
  rows->push_back({"xinfo|groups",
                   "key",
                   "Lists a stream's consumer groups.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   XinfoGroups});
  rows->push_back({"xinfo|consumers",
                   "key groupname",
                   "Lists a group's consumers.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   4,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   XinfoConsumers,
                   {"nondeterministic_output"}});
  rows->push_back({"xinfo|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
}

}  // namespace sluice
