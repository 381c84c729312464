// XSTAGE: what becomes of entries that XADD has staged.
#include "src/commands/help.h"
#include "src/commands/stage_common.h"

namespace sluice {
namespace {

using Place = Staged::Place;

// As XAUTOCLAIM.
constexpr int64_t kDefaultCount = 100;
// So many entries that have been asked about too often already are put aside by one CLAIM.
constexpr int kMostPutAside = 1000;

// "key IDS n id [id ...]" and nothing behind it.
bool ReadHandles(Call& call, Key** key, std::vector<StreamId>* handles) {
  constexpr IdsErrors kErrors{"ERR numids must be a positive integer",
                              "ERR number of IDs doesn't match numids"};
  size_t i = 3;
  if (!call.Is(i, "IDS")) return call.Error("ERR syntax error, expected IDS keyword"), false;
  if (!ReadIdsBlock(call, kErrors, &i, handles)) return false;
  if (i + 1 < call.args.size()) return call.Error(errors::kSyntax), false;
  return call.LookupType(call.args[2], Type::kStream, key);
}

// The id that a committed entry has, be it in the stream or staged; nullopt: there is none.
std::optional<StreamId> CommitOne(Call& call, Stream* stream, StreamId handle) {
  Stages stages(stream);
  std::optional<Staged> entry = stages.Find(handle);
  if (!entry) return stages.FindEntered(handle);
  // It has been said before.
  if (entry->committed) return handle;
  bool waits = entry->prepared() && entry->delay_ms > (entry->delay_is_moment ? call.now_ms() : 0);
  if (!waits) {
    StreamId id;
    if (!EnterStream(call, call.args[2], stream, *entry, &id)) return std::nullopt;
    return id;
  }
  Staged delayed = *entry;
  delayed.place = Place::kDelayed;
  delayed.committed = true;
  delayed.at_ms = DueAt(entry->delay_ms, entry->delay_is_moment, call.now_ms());
  stages.Change(*entry, delayed);
  call.Changed(call.args[2], "");
  return handle;
}

void Commit(Call& call) {
  Key* key;
  std::vector<StreamId> handles;
  if (!ReadHandles(call, &key, &handles)) return;
  std::optional<Stream> stream;
  if (key) stream.emplace(OpenStream(call, key));
  call.reply.ArrayHeader(handles.size());
  for (StreamId handle : handles) {
    std::optional<StreamId> id;
    if (stream) id = CommitOne(call, &*stream, handle);
    id ? ReplyId(call.reply, *id) : call.reply.Null();
  }
}

enum Outcome : int64_t { kNotThere = -1, kDiscarded = 1, kEntered = 2 };

Outcome DiscardOne(Call& call, Stream* stream, StreamId handle) {
  Stages stages(stream);
  std::optional<Staged> entry = stages.Find(handle);
  if (!entry) return stages.FindEntered(handle) ? kEntered : kNotThere;
  stages.Remove(*entry);
  call.Changed(call.args[2], "");
  return kDiscarded;
}

void Discard(Call& call) {
  Key* key;
  std::vector<StreamId> handles;
  if (!ReadHandles(call, &key, &handles)) return;
  std::optional<Stream> stream;
  if (key) stream.emplace(OpenStream(call, key));
  call.reply.ArrayHeader(handles.size());
  for (StreamId handle : handles) {
    call.reply.Integer(stream ? DiscardOne(call, &*stream, handle) : kNotThere);
  }
}

// ---- CLAIM

struct ClaimOptions {
  int64_t min_age_ms = 0;
  int64_t count = kDefaultCount;
  std::optional<int64_t> block_ms;
};

bool ReadClaim(Call& call, ClaimOptions* options) {
  if (!call.ReadRange(3, 0, kMaxDelayMs, &options->min_age_ms,
                      "ERR Invalid min-age argument for XSTAGE CLAIM")) {
    return false;
  }
  for (size_t i = 4; i < call.args.size(); i += 2) {
    if (i + 1 == call.args.size()) return call.Error(errors::kSyntax), false;
    if (call.Is(i, "COUNT")) {
      if (!call.ReadRange(i + 1, 1, INT64_MAX, &options->count, "ERR COUNT must be > 0")) {
        return false;
      }
    } else if (call.Is(i, "BLOCK")) {
      if (!call.ReadTimeoutMs(i + 1, &options->block_ms.emplace())) return false;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

// Asks about one entry: its age begins anew.
void Ask(Call& call, Stages* stages, const Staged& entry) {
  call.reply.ArrayHeader(4);
  ReplyId(call.reply, entry.handle);
  ReplyFields(call.reply, entry.fields());
  call.reply.Integer(call.now_ms() - entry.at_ms);
  call.reply.Integer(static_cast<int64_t>(entry.checks));
  Staged asked = entry;
  asked.at_ms = call.now_ms();
  ++asked.checks;
  if (asked.checks >= stages->most_checks()) asked.place = Place::kAskedOut;
  stages->Change(entry, asked);
}

// Asks about what is old enough, the oldest first. Returns how many that were.
size_t AskAll(Call& call, Stream* stream, const ClaimOptions& options) {
  Stages stages(stream);
  int64_t min_age_ms = std::max(options.min_age_ms, stages.timeout_ms());
  size_t asked = 0;
  int put_aside = 0;
  while (static_cast<int64_t>(asked) < options.count && put_aside < kMostPutAside) {
    std::optional<Staged> oldest = stages.First(Place::kPrepared);
    if (!oldest || call.now_ms() - oldest->at_ms < min_age_ms) break;
    if (oldest->checks < stages.most_checks()) {
      Ask(call, &stages, *oldest);
      ++asked;
    } else {
      // The limit was higher when it was asked about last. Its time is over: the timer discards it.
      Staged over = *oldest;
      over.place = Place::kAskedOut;
      stages.Change(*oldest, over);
      ++put_aside;
    }
  }
  if (asked > 0 || put_aside > 0) call.Changed(call.args[2], "");
  return asked;
}

// When the next one will be old enough; 0: there is none.
int64_t NextAge(Stream* stream, const ClaimOptions& options) {
  Stages stages(stream);
  std::optional<Staged> oldest = stages.First(Place::kPrepared);
  if (!oldest) return 0;
  return std::max<int64_t>(oldest->at_ms + std::max(options.min_age_ms, stages.timeout_ms()), 1);
}

void Claim(Call& call) {
  ClaimOptions options;
  if (!ReadClaim(call, &options)) return;
  Key* key;
  if (!call.LookupType(call.args[2], Type::kStream, &key)) return;
  std::optional<Stream> stream;
  if (key) stream.emplace(OpenStream(call, key));
  size_t begin = call.reply.buffer()->size();
  size_t mark = call.reply.BeginArray();
  size_t asked = stream ? AskAll(call, &*stream, options) : 0;
  if (asked > 0 || !options.block_ms) return call.reply.EndArray(mark, asked);
  call.reply.buffer()->Truncate(begin);
  call.Block({call.args[2]}, {.timeout_ms = *options.block_ms,
                              .on_timeout = TimeoutReply::kRaw,
                              .raw_reply = "*0\r\n",
                              .ask_again_ms = stream ? NextAge(&*stream, options) : 0});
}

// ---- RANGE

void ReplyStaged(Call& call, const Stages& stages, const Staged& entry) {
  call.reply.ArrayHeader(5);
  ReplyId(call.reply, entry.handle);
  call.reply.Bulk(entry.prepared() ? "prepared" : "delayed");
  call.reply.Integer(entry.at_ms + (entry.prepared() ? stages.timeout_ms() : 0));
  call.reply.Integer(static_cast<int64_t>(entry.checks));
  ReplyFields(call.reply, entry.fields());
}

void Range(Call& call) {
  StreamId from, to;
  if (!ReadIntervalStart(call, 3, &from) || !ReadIntervalEnd(call, 4, &to)) return;
  int64_t count = INT64_MAX;
  if (call.args.size() > 5) {
    if (!call.Is(5, "COUNT") || call.args.size() != 7) return call.Error(errors::kSyntax);
    if (!call.ReadInteger(6, &count)) return;
  }
  Key* key;
  if (!call.LookupType(call.args[2], Type::kStream, &key)) return;
  if (!key) return call.reply.ArrayHeader(0);
  // As XRANGE.
  if (count <= 0) return call.reply.NullArray();
  Stream stream = OpenStream(call, key);
  Stages stages(&stream);
  size_t mark = call.reply.BeginArray();
  int64_t n = 0;
  stages.Walk(from, to, [&](const Staged& entry) {
    ReplyStaged(call, stages, entry);
    return ++n < count;
  });
  call.reply.EndArray(mark, static_cast<size_t>(n));
}

}  // namespace

void AddStageRows(Rows* rows) {
  rows->push_back({"xstage",
                   "",
                   "Commands about entries that are not in their stream yet.",
                   kSinceSluice,
                   "",
                   Group::kStream,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"xstage|commit",
                   "key ids(IDS=numids:int id...)",
                   "Lets staged entries enter their stream, or begins their delay.",
                   kSinceSluice,
                   "O(log N)",
                   Group::kStream,
                   -6,
                   kWrite | kFast,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Commit,
                   {"nondeterministic_output"}});
  rows->push_back({"xstage|discard",
                   "key ids(IDS=numids:int id...)",
                   "Drops entries that have not entered their stream.",
                   kSinceSluice,
                   "O(log N)",
                   Group::kStream,
                   -6,
                   kWrite | kFast,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kDelete)},
                   Discard});
  rows->push_back({"xstage|claim",
                   "key min-age:int [COUNT=count:int] [BLOCK=milliseconds:int]",
                   "Asks about entries that were prepared long ago and neither committed nor "
                   "discarded; can wait for one.",
                   kSinceSluice,
                   "O(log N+M)",
                   Group::kStream,
                   -4,
                   kWrite | kBlocking,
                   {KeySpec::At(2, KeySpec::kRW | KeySpec::kAccess)},
                   Claim,
                   {"nondeterministic_output"}});
  rows->push_back({"xstage|range",
                   "key start end [COUNT=count:int]",
                   "Shows the staged entries between two handles.",
                   kSinceSluice,
                   "O(log N+M)",
                   Group::kStream,
                   -5,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   Range});
  rows->push_back({"xstage|help",
                   "",
                   "Lists the subcommands.",
                   kSinceSluice,
                   "O(1)",
                   Group::kStream,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
}

}  // namespace sluice
