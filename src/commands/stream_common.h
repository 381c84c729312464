// What the files of the stream family share.
#pragma once

#include <string>
#include <vector>

#include "src/engine/call.h"
#include "store/group.h"
#include "store/stream.h"

namespace sluice {

// Nothing waits longer than this: about three hundred years.
inline constexpr int64_t kMaxDelayMs = int64_t{1} << 43;

// Entries whose time is over exist no more in what it opens.
Stream OpenStream(Call& call, Key* key);
NodeLimits StreamNodeLimits(const Call& call);

// An id as clients write it: "ms-seq", or "ms" with the sequence number left to the command, or
// "-" and "+". nullopt when it is none.
std::optional<StreamId> ParseStreamId(std::string_view text, uint64_t missing_seq);
// The same without "-" and "+"; replies with an error and returns false when it is none.
bool ReadStreamId(Call& call, size_t i, StreamId* id);
bool ReadStreamIds(Call& call, size_t from, std::vector<StreamId>* ids);
// An end of an interval: "(" in front excludes the id itself. Replies an error and returns false
// when it is none.
bool ReadIntervalStart(Call& call, size_t i, StreamId* id);
bool ReadIntervalEnd(Call& call, size_t i, StreamId* id);
// XADD's id: `*` behind the dash leaves the sequence number open.
bool ReadNewStreamId(Call& call, size_t i, StreamId* id, bool* any_seq);

// An argument inside an error text: Redis shows it up to the first NUL.
std::string Shown(std::string_view argument);
// "ERR unknown subcommand or wrong number of arguments for ..."
void SubcommandSyntaxError(Call& call);

void ReplyId(resp::ReplyWriter reply, StreamId id);
void ReplyEntry(resp::ReplyWriter reply, StreamId id, EntryFields fields);
void ReplyFields(resp::ReplyWriter reply, EntryFields fields);
// An array of up to `count` entries (0: all of them).
void ReplyEntries(resp::ReplyWriter reply, Entries entries, uint64_t count);

// The group that args[1] and args[2] name. False after replying WRONGTYPE; no group is nullopt.
bool FindGroup(Call& call, std::optional<Stream>* stream, std::optional<ConsumerGroup>* group);
// "NOGROUP ..." about args[1] and args[2].
void NoGroup(Call& call);
// "NOGROUP ..." about a subcommand's args[3] and args[2].
void NoGroupNamed(Call& call);
// Saves a group of args[1] whose pending entries have changed, and tells whom it concerns.
void SavePending(Call& call, ConsumerGroup* group);

// "IDS numids id [id ...]" from args[*i] on, which is IDS; *i moves to its last word. False after
// replying one of the two errors.
struct IdsErrors {
  std::string_view not_positive, mismatch;
};
bool ReadIdsBlock(Call& call, const IdsErrors& errors, size_t* i, std::vector<StreamId>* ids);

// The consumer of that name, which is made if there is none.
Consumer MakeConsumer(Call& call, ConsumerGroup* group, std::string_view key,
                      std::string_view name);

void AddStreamReadRows(Rows* rows);
void AddGroupPendingRows(Rows* rows);
void AddGroupNackRows(Rows* rows);
void AddGroupPolicyRows(Rows* rows);
void AddStreamDeleteRows(Rows* rows);
void AddIdempotenceRows(Rows* rows);
void AddStageRows(Rows* rows);

}  // namespace sluice
