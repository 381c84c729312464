// XGROUP: consumer groups come and go. What their consumers do is in stream_read.cc (reading) and
// group_pending.cc (acknowledging, claiming).
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/commands/stream_common.h"

namespace sluice {
namespace {

struct GroupOptions {
  bool mkstream = false;
  int64_t entries_read = Stream::kUnknown;
};

// MKSTREAM (of CREATE only) and ENTRIESREAD, behind the id.
bool ReadGroupOptions(Call& call, bool creating, GroupOptions* options) {
  for (size_t i = 5; i < call.args.size(); ++i) {
    if (creating && call.Is(i, "MKSTREAM")) {
      options->mkstream = true;
    } else if (call.Is(i, "ENTRIESREAD") && i + 1 < call.args.size()) {
      if (!call.ReadInteger(++i, &options->entries_read)) return false;
      if (options->entries_read < 0 && options->entries_read != Stream::kUnknown) {
        return call.Error("ERR value for ENTRIESREAD must be positive or -1"), false;
      }
    } else {
      return SubcommandSyntaxError(call), false;
    }
  }
  return true;
}

// A group cannot have read more than was ever added.
void Clamp(const Stream& stream, GroupOptions* options) {
  int64_t added = static_cast<int64_t>(stream.entries_added());
  options->entries_read = std::min(options->entries_read, added);
}

// The stream that every subcommand needs. False after replying why there is none.
bool FindStream(Call& call, bool must_exist, Key** key) {
  if (!call.LookupType(call.args[2], Type::kStream, key)) return false;
  if (*key || !must_exist) return true;
  call.Error(
      "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
      "use the MKSTREAM option to create an empty stream automatically.");
  return false;
}

std::optional<ConsumerGroup> FindGroup(Call& call, Stream* stream) {
  std::optional<ConsumerGroup> group = ConsumerGroup::Find(stream, call.args[3]);
  if (!group) NoGroupNamed(call);
  return group;
}

// Where a group begins: an id, or `$`, the stream's end.
bool ReadCursor(Call& call, StreamId end, bool edges, StreamId* id) {
  if (call.args[4] == "$") {
    *id = end;
    return true;
  }
  if (edges && call.args[4] == "-") return *id = StreamId(), true;
  if (edges && call.args[4] == "+") return *id = StreamId::Max(), true;
  return ReadStreamId(call, 4, id);
}

void XgroupCreate(Call& call) {
  GroupOptions options;
  if (!ReadGroupOptions(call, true, &options)) return;
  Key* key;
  if (!FindStream(call, !options.mkstream, &key)) return;
  if (call.args.size() > 8) return SubcommandSyntaxError(call);
  StreamId id;
  StreamId end = key ? OpenStream(call, key).last_id() : StreamId();
  if (!ReadCursor(call, end, false, &id)) return;
  bool made = key == nullptr;
  if (made) key = &call.Create(call.args[2], Type::kStream);
  Stream stream = OpenStream(call, key);
  Clamp(stream, &options);
  if (ConsumerGroup::Find(&stream, call.args[3])) {
    return call.Error("BUSYGROUP Consumer Group name already exists");
  }
  ConsumerGroup::Create(&stream, call.args[3], id, options.entries_read);
  if (made) {
    call.Changed(call.args[2], "xgroup-create");
  } else {
    call.Noted(call.args[2], "xgroup-create");
  }
  call.reply.Ok();
}

void XgroupSetid(Call& call) {
  GroupOptions options;
  if (!ReadGroupOptions(call, false, &options)) return;
  Key* key;
  if (!FindStream(call, true, &key)) return;
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = FindGroup(call, &stream);
  if (!group) return;
  Clamp(stream, &options);
  if (call.args.size() > 7) return SubcommandSyntaxError(call);
  StreamId id;
  if (!ReadCursor(call, stream.last_id(), true, &id)) return;
  group->ForgetAllPassedOver();
  group->SetCursor(id, options.entries_read);
  group->Save();
  call.Noted(call.args[2], "xgroup-setid");
  // Redis tells nobody. Under a policy, what may be given out wakes whoever waits for it.
  if (group->extra().has_policy()) call.Ready(call.args[2]);
  call.reply.Ok();
}

void XgroupDestroy(Call& call) {
  Key* key;
  if (!FindStream(call, true, &key)) return;
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = ConsumerGroup::Find(&stream, call.args[3]);
  if (!group) return call.reply.Integer(0);
  group->Destroy();
  call.Noted(call.args[2], "xgroup-destroy");
  call.Ready(call.args[2]);  // whoever waits for the group is told that it is gone
  call.reply.Integer(1);
}

void XgroupCreateconsumer(Call& call) {
  Key* key;
  if (!FindStream(call, true, &key)) return;
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = FindGroup(call, &stream);
  if (!group) return;
  if (group->FindConsumer(call.args[4])) return call.reply.Integer(0);
  MakeConsumer(call, &*group, call.args[2], call.args[4]);
  group->Save();
  call.reply.Integer(1);
}

void XgroupDelconsumer(Call& call) {
  Key* key;
  if (!FindStream(call, true, &key)) return;
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = FindGroup(call, &stream);
  if (!group) return;
  std::optional<Consumer> consumer = group->FindConsumer(call.args[4]);
  if (!consumer) return call.reply.Integer(0);
  // Under a policy nothing is lost with a consumer.
  group->RemoveConsumer(*consumer, group->extra().has_policy());
  group->Save();
  call.Noted(call.args[2], "xgroup-delconsumer");
  if (group->TakeNews()) call.Ready(call.args[2]);
  call.reply.Integer(static_cast<int64_t>(consumer->pending));
}

}  // namespace

void AddGroupRows(Rows* rows) {
  rows->push_back({"xgroup",
                   "",
                   "Commands about consumer groups.",
                   "5.0.0",
                   "",
                   Group::kStream,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"xgroup|create",
                   "key groupname id(id|$!new_id) [MKSTREAM] [ENTRIESREAD=entries_read:int]",
                   "Makes a consumer group that begins behind an id.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   -5,
                   kWrite | kDenyOom,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   XgroupCreate});
  rows->push_back({"xgroup|setid",
                   "key groupname id(id|$!new_id) [ENTRIESREAD=entries_read:int]",
                   "Moves a group to another place in its stream.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   -5,
                   kWrite,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kUpdate)},
                   XgroupSetid});
  rows->push_back({"xgroup|destroy",
                   "key groupname",
                   "Removes a group, its consumers and what they had pending.",
                   "5.0.0",
                   "O(N)",
                   Group::kStream,
                   4,
                   kWrite,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kDelete)},
                   XgroupDestroy});
  rows->push_back({"xgroup|createconsumer",
                   "key groupname consumername",
                   "Makes a consumer, which reading would do as well.",
                   "6.2.0",
                   "O(1)",
                   Group::kStream,
                   5,
                   kWrite | kDenyOom,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   XgroupCreateconsumer});
  rows->push_back({"xgroup|delconsumer",
                   "key groupname consumername",
                   "Removes a consumer and what it had pending.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   5,
                   kWrite,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kDelete)},
                   XgroupDelconsumer});
  rows->push_back({"xgroup|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  AddGroupPendingRows(rows);
  AddGroupNackRows(rows);
  AddGroupPolicyRows(rows);
}

}  // namespace sluice
