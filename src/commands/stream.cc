// Streams: adding, reading ranges, deleting. XREAD and XREADGROUP are in stream_read.cc, consumer
// groups in group.cc and group_pending.cc.
#include "src/commands/families.h"
#include "src/commands/routing.h"
#include "src/commands/stage_common.h"
#include "src/commands/string_options.h"

namespace sluice {
namespace {

constexpr std::string_view kTooLarge = "ERR Elements are too large to be stored";

// ---- adding and trimming

struct AddOptions {
  bool trims = false;
  Stream::TrimRule trim;
  std::optional<References> references;  // nullopt: not said
  Trimming trimming() const { return {trim, references.value_or(References::kKeep)}; }
  bool no_mkstream = false;
  IdempotenceOptions idempotence;
  Lifetime lifetime;
  StageOptions stage;
  // XADD's id; given unless it is `*`.
  size_t id_index = 0;
  bool id_given = false, any_seq = false;
  StreamId id;
};

bool ReadThreshold(Call& call, size_t* i, AddOptions* options) {
  if (options->trims) {
    call.Error("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
    return false;
  }
  options->trims = true;
  options->trim.by_id = call.Is(*i, "MINID");
  bool has_operator = *i + 2 < call.args.size();
  ++*i;
  options->trim.approximate = has_operator && call.args[*i] == "~";
  if (has_operator && (call.args[*i] == "~" || call.args[*i] == "=")) ++*i;
  if (options->trim.by_id) return ReadStreamId(call, *i, &options->trim.min_id);
  int64_t length;
  if (!call.ReadInteger(*i, &length)) return false;
  if (length < 0) return call.Error("ERR The MAXLEN argument must be >= 0."), false;
  options->trim.max_length = static_cast<uint64_t>(length);
  return true;
}

// Redis's default: as many as a hundred of its nodes hold, within reason.
uint64_t DefaultLimit(const Call& call) {
  int64_t entries = StreamNodeLimits(call).max_entries;
  if (entries <= 0) return 10000;
  return entries > 10000 ? 1000000 : static_cast<uint64_t>(entries) * 100;
}

// Whether none of the options needs an id that the stream makes; false after replying which.
bool MayHaveId(Call& call, const AddOptions& options) {
  std::string words;
  if (options.idempotence.given) words = "IDMP/IDMPAUTO";
  if (options.lifetime.ms) words = "EX/PX/EXAT/PXAT";
  if (options.stage.given) words = "DELAY/DELAYUNTIL/PREPARE";
  if (words.empty()) return true;
  call.Error("ERR syntax error, " + words + " can be used only with auto-generated IDs");
  return false;
}

bool ReadAddOptions(Call& call, bool adding, AddOptions* options) {
  std::optional<int64_t> limit;
  size_t i = 2;
  for (; i < call.args.size(); ++i) {
    bool more = i + 1 < call.args.size();
    if (adding && call.args[i] == "*") break;
    if (more && (call.Is(i, "MAXLEN") || call.Is(i, "MINID"))) {
      if (!ReadThreshold(call, &i, options)) return false;
    } else if (more && call.Is(i, "LIMIT")) {
      limit = 0;
      if (!call.ReadInteger(++i, &*limit)) return false;
      if (*limit < 0) return call.Error("ERR The LIMIT argument must be >= 0."), false;
    } else if (adding && call.Is(i, "NOMKSTREAM")) {
      options->no_mkstream = true;
    } else if (!options->references && ReadReferences(call, i, &options->references)) {
    } else if (adding && IsIdempotenceWord(call, i)) {
      if (!ReadIdempotence(call, &i, &options->idempotence)) return false;
    } else if (adding && FindTimeUnit(call, i)) {
      if (!ReadLifetime(call, &i, &options->lifetime)) return false;
    } else if (adding && IsStageWord(call, i)) {
      if (!ReadStage(call, &i, &options->stage)) return false;
    } else if (adding) {
      if (!ReadNewStreamId(call, i, &options->id, &options->any_seq)) return false;
      options->id_given = true;
      break;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  options->id_index = i;
  if (options->id_given && !MayHaveId(call, *options)) return false;

  if (limit.value_or(0) > 0 && !options->trims) {
    call.Error("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
    return false;
  }
  if (!adding && !options->trims) {
    call.Error("ERR syntax error, XTRIM must be called with a trimming strategy");
    return false;
  }
  if (limit && !options->trim.approximate) {
    call.Error("ERR syntax error, LIMIT cannot be used without the special ~ option");
    return false;
  }
  options->trim.limit = limit ? static_cast<uint64_t>(*limit) : DefaultLimit(call);
  return true;
}

// The id that a new entry gets. False after replying why there is none.
bool ChooseId(Call& call, const Stream& stream, const AddOptions& options, StreamId* id) {
  if (stream.last_id() == StreamId::Max()) {
    call.Error("ERR The stream has exhausted the last possible ID, unable to add more items");
    return false;
  }
  *id = options.id;
  if (!options.id_given) {
    *id = stream.NextId(static_cast<uint64_t>(call.now_ms()));
  } else if (options.any_seq && id->ms == stream.last_id().ms) {
    // Redis's words for a millisecond that has no numbers left.
    if (stream.last_id().seq == UINT64_MAX) return call.Error(kTooLarge), false;
    id->seq = stream.last_id().seq + 1;
  }
  if (*id > stream.last_id()) return true;
  call.Error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
  return false;
}

// Whether the stream may take the entry: with it and without what is trimmed, what it has and what
// is staged must be within its limit.
bool HasRoom(Call& call, Stream* stream, const AddOptions& options, StreamId id,
             std::span<const std::string_view> pairs) {
  Stages stages(stream);
  if (stages.HasRoom()) return true;
  if (!options.trims || options.stage.Stages(call.now_ms())) return false;
  Trimming trimming = options.trimming();
  uint64_t left = stream->WithEntry(id, pairs, StreamNodeLimits(call), [&] {
    return stream->length() - CountTrimmed(call, stream, trimming);
  });
  return left + stages.state().staged <= stages.state().max_backlog;
}

bool TooLarge(std::span<const std::string_view> pairs) {
  size_t bytes = 0;
  for (std::string_view s : pairs) bytes += s.size();
  return bytes > size_t{1} << 30;
}

void Xadd(Call& call) {
  AddOptions options;
  if (!ReadAddOptions(call, true, &options)) return;
  size_t first = options.id_index + 1;
  if (call.args.size() < first + 2 || (call.args.size() - first) % 2 == 1) {
    return call.WrongArity();
  }
  std::span<const std::string_view> pairs = call.args.subspan(first);
  if (options.id_given && !options.any_seq && options.id.zero()) {
    return call.Error("ERR The ID specified in XADD must be greater than 0-0");
  }
  std::string_view name = call.args[1];
  Key* key;
  if (!call.LookupType(name, Type::kStream, &key)) return;
  if (!key && options.no_mkstream) return call.reply.Null();
  if (TooLarge(pairs)) return call.Error(kTooLarge);
  if (key && options.idempotence.given && AnswerDuplicate(call, key, options.idempotence, pairs)) {
    return;
  }
  StreamId id;
  if (key) {
    Stream stream = OpenStream(call, key);
    if (!ChooseId(call, stream, options, &id)) return;
    if (!HasRoom(call, &stream, options, id, pairs)) {
      return call.Error("BACKLOG queue limit reached");
    }
  } else {
    id = options.id_given ? options.id : StreamId{static_cast<uint64_t>(call.now_ms()), 0};
    if (id.zero()) id.seq = 1;
    key = &call.Create(name, Type::kStream);
  }

  Stream stream = OpenStream(call, key);
  bool stages = options.stage.Stages(call.now_ms());
  std::optional<Trimming> trimming;
  if (options.trims) trimming = options.trimming();
  if (stages) {
    id = StageEntry(call, &stream, options.stage, trimming, options.lifetime, pairs);
  } else {
    AppendEntry(call, call.db(), name, &stream, id, pairs,
                options.lifetime.ExpiresAt(call.now_ms()));
  }
  if (options.idempotence.given) Remember(call, &stream, options.idempotence, pairs, id);
  ReplyId(call.reply, id);
  if (trimming && !stages) Trim(call, name, &stream, *trimming);
}

void Xtrim(Call& call) {
  AddOptions options;
  if (!ReadAddOptions(call, false, &options)) return;
  std::string_view name = call.args[1];
  Key* key;
  if (!call.LookupType(name, Type::kStream, &key)) return;
  uint64_t trimmed = 0;
  if (key) {
    Stream stream = OpenStream(call, key);
    trimmed = Trim(call, name, &stream, options.trimming());
  }
  call.reply.Integer(static_cast<int64_t>(trimmed));
}

void Xdel(Call& call) {
  std::string_view name = call.args[1];
  Key* key;
  if (!call.LookupType(name, Type::kStream, &key)) return;
  if (!key) return call.reply.Integer(0);
  std::vector<StreamId> ids;
  if (!ReadStreamIds(call, 2, &ids)) return;
  Stream stream = OpenStream(call, key);
  int64_t deleted = 0;
  for (StreamId id : ids) deleted += stream.Delete(id);
  if (deleted > 0) call.Changed(name, "xdel");
  call.reply.Integer(deleted);
}

// ---- reading

void Xlen(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  call.reply.Integer(key ? static_cast<int64_t>(OpenStream(call, key).length()) : 0);
}

void Range(Call& call, bool reverse) {
  StreamId from, to;
  if (!ReadIntervalStart(call, reverse ? 3 : 2, &from)) return;
  if (!ReadIntervalEnd(call, reverse ? 2 : 3, &to)) return;
  std::optional<int64_t> count;
  for (size_t i = 4; i < call.args.size(); i += 2) {
    if (!call.Is(i, "COUNT") || i + 1 == call.args.size()) return call.Error(errors::kSyntax);
    count = 0;
    if (!call.ReadInteger(i + 1, &*count)) return;
  }
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  if (!key) return call.reply.ArrayHeader(0);
  if (count && *count <= 0) return call.reply.NullArray();
  Stream stream = OpenStream(call, key);
  ReplyEntries(call.reply, Entries(stream, from, to, reverse),
               static_cast<uint64_t>(count.value_or(0)));
}

void Xrange(Call& call) { Range(call, false); }
void Xrevrange(Call& call) { Range(call, true); }

// ---- setting counters

void Xsetid(Call& call) {
  StreamId id, deleted;
  if (!ReadStreamId(call, 2, &id)) return;
  std::optional<uint64_t> added;
  std::optional<StreamId> max_deleted;
  for (size_t i = 3; i < call.args.size(); i += 2) {
    if (i + 1 == call.args.size()) return call.Error(errors::kSyntax);
    if (call.Is(i, "ENTRIESADDED")) {
      int64_t n;
      if (!call.ReadInteger(i + 1, &n)) return;
      if (n < 0) return call.Error("ERR entries_added must be positive");
      added = static_cast<uint64_t>(n);
    } else if (call.Is(i, "MAXDELETEDID")) {
      if (!ReadStreamId(call, i + 1, &deleted)) return;
      if (id < deleted) {
        return call.Error(
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
      }
      max_deleted = deleted.zero() ? std::nullopt : std::optional(deleted);
    } else {
      return call.Error(errors::kSyntax);
    }
  }
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  if (stream.length() > 0 && id < stream.top_id()) {
    return call.Error("ERR The ID specified in XSETID is smaller than the target stream top item");
  }
  if (added && stream.length() > *added) {
    return call.Error(
        "ERR The entries_added specified in XSETID is smaller than the target stream length");
  }
  stream.SetId(id, added, max_deleted);
  call.Noted(call.args[1], "xsetid");
  call.reply.Ok();
}

}  // namespace

void AddStreamRows(Rows* rows) {
  rows->push_back(
      {"xadd",
       "key [NOMKSTREAM@6.2.0] [references(KEEPREF|DELREF|ACKED)@8.2.0] "
       "[idempotence(IDMPAUTO=pid|IDMP=once(pid iid))@8.6.0] "
       "[delay(DELAY=milliseconds:int|DELAYUNTIL=unix-time-milliseconds:time)] [PREPARE] "
       "[lifetime(EX=seconds:int|PX=milliseconds:int|EXAT=unix-time-seconds:time|"
       "PXAT=unix-time-milliseconds:time)] "
       "[trim(strategy(MAXLEN|MINID@6.2.0) [operator(=!equal|"
       "~!approximately)] threshold [LIMIT=count:int@6.2.0])] id_or_auto(*!auto_id|id) "
       "field_value(field value)...",
       "Adds an entry at the end of a stream, which it makes if there is none.",
       "5.0.0",
       "O(1)",
       Group::kStream,
       -5,
       kWrite | kDenyOom | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
       Xadd,
       {"nondeterministic_output"}});
  rows->push_back({"xtrim",
                   "key trim(strategy(MAXLEN|MINID@6.2.0) [operator(=!equal|~!approximately)] "
                   "threshold [LIMIT=count:int@6.2.0] [references(KEEPREF|DELREF|ACKED)@8.2.0])",
                   "Drops a stream's oldest entries.",
                   "5.0.0",
                   "O(N)",
                   Group::kStream,
                   -4,
                   kWrite,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Xtrim,
                   {"nondeterministic_output"}});
  rows->push_back({"xdel",
                   "key id...",
                   "Deletes entries of a stream by their ids.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Xdel});
  rows->push_back({"xlen",
                   "key",
                   "How many entries a stream has.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Xlen});
  rows->push_back({"xrange",
                   "key start end [COUNT=count:int]",
                   "Reads the entries between two ids.",
                   "5.0.0",
                   "O(N)",
                   Group::kStream,
                   -4,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Xrange});
  rows->push_back({"xrevrange",
                   "key end start [COUNT=count:int]",
                   "Reads the entries between two ids, newest first.",
                   "5.0.0",
                   "O(N)",
                   Group::kStream,
                   -4,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Xrevrange});
  rows->push_back({"xsetid",
                   "key last-id [ENTRIESADDED=entries_added:int@7.0.0] "
                   "[MAXDELETEDID=max_deleted_entry_id@7.0.0]",
                   "Sets the id that the next entry must be above, and what a stream has counted.",
                   "5.0.0",
                   "O(1)",
                   Group::kStream,
                   -3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Xsetid});
  AddStreamReadRows(rows);
  AddStreamDeleteRows(rows);
  AddIdempotenceRows(rows);
  AddBindingRows(rows);
  AddStageRows(rows);
}

}  // namespace sluice
