// XREAD and XREADGROUP: reading what is new, of several streams at once, and waiting for it.
//
// When there is nothing and the client wants to wait, the command goes to sleep with its ids made
// explicit (`$` is the newest id of that moment) and is run again as it stands when a stream has
// something new. A consumer of a group is also told when its stream or group goes away.
#include "src/commands/stream_read.h"

#include "src/commands/families.h"

namespace sluice {
namespace {

bool ReadCap(Call& call, size_t i, std::string_view error, uint64_t* cap) {
  int64_t value;
  if (!call.ReadRange(i, 1, INT64_MAX, &value, error)) return false;
  *cap = static_cast<uint64_t>(value);
  return true;
}

bool ReadOption(Call& call, size_t* i, ReadOptions* options) {
  bool more = *i + 1 < call.args.size();
  if (more && call.Is(*i, "BLOCK")) {
    options->block_ms = 0;
    return call.ReadTimeoutMs(++*i, &*options->block_ms);
  }
  if (more && call.Is(*i, "COUNT")) {
    int64_t count;
    if (!call.ReadInteger(++*i, &count)) return false;
    options->count = count > 0 ? static_cast<uint64_t>(count) : 0;
    return true;
  }
  if (*i + 2 < call.args.size() && call.Is(*i, "GROUP")) {
    if (!options->of_group) {
      call.Error("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
      return false;
    }
    options->group = call.args[++*i];
    options->consumer = call.args[++*i];
    options->group_given = true;
    return true;
  }
  if (call.Is(*i, "NOACK")) {
    if (!options->of_group) {
      call.Error("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
      return false;
    }
    options->no_ack = true;
    return true;
  }
  if (more && call.Is(*i, "CLAIM")) {
    if (!options->of_group) {
      call.Error("ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.");
      return false;
    }
    int64_t idle;
    if (!call.ReadInteger(++*i, &idle, "ERR min-idle-time is not an integer or out of range")) {
      return false;
    }
    if (idle < 0) return call.Error("ERR min-idle-time must be a positive integer"), false;
    options->claim_idle_ms = idle;
    return true;
  }
  if (more && call.Is(*i, "MAXCOUNT")) {
    return ReadCap(call, ++*i, "ERR MAXCOUNT must be a positive integer", &options->max_count);
  }
  if (more && call.Is(*i, "MAXSIZE")) {
    return ReadCap(call, ++*i, "ERR MAXSIZE must be a positive integer", &options->max_size);
  }
  return call.Error(errors::kSyntax), false;
}

bool ReadOptionsOf(Call& call, ReadOptions* options) {
  for (size_t i = 1; i < call.args.size(); ++i) {
    if (i + 1 < call.args.size() && call.Is(i, "STREAMS")) {
      options->keys_at = i + 1;
      break;
    }
    if (!ReadOption(call, &i, options)) return false;
  }
  if (options->keys_at == 0) return call.Error(errors::kSyntax), false;
  size_t names = call.args.size() - options->keys_at;
  if (names % 2 != 0) {
    call.Error(
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
        "specified.");
    return false;
  }
  options->streams = names / 2;
  if (options->of_group && !options->group_given) {
    return call.Error("ERR Missing GROUP option for XREADGROUP"), false;
  }
  if (options->max_count && options->max_count < options->count) {
    return call.Error("ERR MAXCOUNT must be greater than or equal to COUNT"), false;
  }
  return true;
}

std::string Meaningless(std::string_view id) {
  std::string text = "ERR The " + std::string(id) + " ID is meaningless in the context of ";
  text += "XREADGROUP: you want to read the history of this consumer by specifying a proper ID, ";
  text += "or use the > ID to get new messages. The " + std::string(id);
  return text + " ID would just return an empty result set.";
}

// The id of a source, args[i]. False after replying an error.
bool ReadSourceId(Call& call, size_t i, bool of_group, Source* source) {
  std::string_view id = call.args[i];
  if (id == "$" || id == "+") {
    if (of_group) return call.Error(Meaningless(id)), false;
    if (source->key) {
      Stream stream = OpenStream(call, source->key);
      source->after = id == "$" ? stream.last_id() : stream.top_id();
    }
    source->last = id == "+";
    return true;
  }
  if (id == ">") {
    if (!of_group) {
      call.Error(
          "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
          "<consumer> option.");
      return false;
    }
    source->fresh = true;
    return true;
  }
  if (!ReadStreamId(call, i, &source->after)) return false;
  // Redis takes the largest id for `>`.
  source->fresh = of_group && source->after == StreamId::Max();
  return true;
}

bool ReadSources(Call& call, const ReadOptions& options, std::vector<Source>* sources) {
  sources->resize(options.streams);
  for (size_t i = 0; i < options.streams; ++i) {
    Source& source = (*sources)[i];
    std::string_view name = call.args[options.keys_at + i];
    if (!call.LookupType(name, Type::kStream, &source.key)) return false;
    if (options.of_group) {
      OpenGroup(call, options, &source);
      if (!source.group) {
        call.Error("NOGROUP No such key '" + Shown(name) + "' or consumer group '" +
                   Shown(options.group) + "' in XREADGROUP with GROUP option");
        return false;
      }
    }
    if (!ReadSourceId(call, options.keys_at + options.streams + i, options.of_group, &source)) {
      return false;
    }
  }
  return true;
}

void ReadSource(Call& call, const ReadOptions& options, std::string_view name, Source& source,
                StreamsReply* reply) {
  if (!source.key) return;
  Stream stream = OpenStream(call, source.key);
  if (stream.length() == 0) return;
  StreamId from = source.after;
  if (source.last) {
    from = stream.top_id();
  } else if (stream.top_id() > from) {
    from.Increment();
  } else {
    return;
  }
  EntryList list(reply, name, source.last ? 1 : options.count);
  for (Entries entry(stream, from, StreamId::Max()); entry.valid() && !list.full(); entry.Next()) {
    list.Add(entry.id(), entry.fields());
  }
}

// ---- waiting

// The moment at which something of a group becomes due that nobody else announces; 0: none.
int64_t WhenToAskAgain(Call& call, const ReadOptions& options, std::vector<Source>& sources) {
  int64_t first = 0;
  for (Source& source : sources) {
    if (!options.of_group || !source.fresh) continue;
    OpenGroup(call, options, &source);
    int64_t at = NextChance(call, options, source);
    if (at && (!first || at < first)) first = at;
  }
  return first;
}

// Waits for the streams, with the ids that are known only now written out.
void Wait(Call& call, const ReadOptions& options, std::vector<Source>& sources) {
  std::vector<std::string_view> again(call.args.begin(), call.args.end());
  std::vector<std::string> ids(options.streams);
  for (size_t i = 0; i < options.streams; ++i) {
    std::string_view& id = again[options.keys_at + options.streams + i];
    if (id != "$") continue;
    StreamId after = sources[i].after;
    ids[i] = std::to_string(after.ms) + "-" + std::to_string(after.seq);
    id = ids[i];
  }
  auto keys = call.args.subspan(options.keys_at, options.streams);
  call.Block({keys.begin(), keys.end()},
             {.timeout_ms = *options.block_ms,
              .wake_on_removal = options.of_group,
              .ask_again_ms = WhenToAskAgain(call, options, sources)},
             again);
}

void Read(Call& call, bool of_group) {
  ReadOptions options;
  options.of_group = of_group;
  if (!ReadOptionsOf(call, &options)) return;
  std::vector<Source> sources;
  if (!ReadSources(call, options, &sources)) return;
  StreamsReply reply(call.reply, options);
  for (size_t i = 0; i < options.streams && !reply.full(); ++i) {
    auto read = of_group ? ReadSourceForGroup : ReadSource;
    read(call, options, call.args[options.keys_at + i], sources[i], &reply);
  }
  if (!reply.empty()) {
    reply.End();
  } else if (options.block_ms) {
    Wait(call, options, sources);
  } else {
    call.reply.NullArray();
  }
}

void Xread(Call& call) { Read(call, false); }
void Xreadgroup(Call& call) { Read(call, true); }

}  // namespace

void AddStreamReadRows(Rows* rows) {
  rows->push_back({"xread",
                   "[COUNT=count:int] [BLOCK=milliseconds:int] [MAXCOUNT=maxcount:int@8.10.0] "
                   "[MAXSIZE=bytes:int@8.10.0] STREAMS=streams(key... id...)",
                   "Reads what came behind an id, of one stream or several; can wait for it.",
                   "5.0.0",
                   "O(N)",
                   Group::kStream,
                   -4,
                   kReadonly | kBlocking | kMovableKeys,
                   {KeySpec::After("STREAMS", 1, -1, KeySpec::kRO | KeySpec::kAccess, 2)},
                   Xread});
  rows->push_back(
      {"xreadgroup",
       "GROUP=group_consumer(group consumer) [COUNT=count:int] [BLOCK=milliseconds:int] "
       "[CLAIM=min-idle-time:int@8.4.0] [NOACK] [MAXCOUNT=maxcount:int@8.10.0] "
       "[MAXSIZE=bytes:int@8.10.0] STREAMS=streams(key... id...)",
       "Gives a consumer entries that its group has not been given; can wait for them.",
       "5.0.0",
       "O(M)",
       Group::kStream,
       -7,
       kWrite | kBlocking | kMovableKeys,
       {KeySpec::After("STREAMS", 4, -1, KeySpec::kRO | KeySpec::kAccess, 2)},
       Xreadgroup});
}

}  // namespace sluice
