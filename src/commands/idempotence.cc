// Producing once: XADD's IDMP and IDMPAUTO, XCFGSET, XIDMPRECORD.
#include "store/idempotence.h"

#include "src/commands/stream_append.h"
#include "store/sequences.h"
#include "store/stage.h"

namespace sluice {
namespace {

std::string MessageName(const IdempotenceOptions& options,
                        std::span<const std::string_view> pairs) {
  return options.automatic ? Idempotence::NameOf(pairs) : std::string(options.message);
}

// A message's name, where that is a number.
std::optional<int64_t> NumberOf(const IdempotenceOptions& options) {
  return options.automatic ? std::nullopt : ParseInteger(options.message);
}

// yes | no
bool ReadSequence(Call& call, size_t i, std::optional<bool>* sequence) {
  if (*sequence) return call.Error("ERR IDMP-SEQUENCE specified multiple times"), false;
  if (!call.Is(i, "YES") && !call.Is(i, "NO")) {
    return call.Error("ERR IDMP-SEQUENCE must be yes or no"), false;
  }
  *sequence = call.Is(i, "YES");
  return true;
}

// Answers a message that is not known, but has a number that its producer has left behind.
bool AnswerOldNumber(Call& call, Stream* stream, const IdempotenceOptions& options) {
  Sequences sequences(stream);
  std::optional<int64_t> number = NumberOf(options);
  if (!sequences.on() || !number) return false;
  std::optional<int64_t> last = sequences.Last(options.producer);
  if (!last || *number > *last) return false;
  call.Error("DUPSEQ iid " + std::to_string(*number) + " is not above " + std::to_string(*last) +
             ", the highest of its producer, and too old to tell its entry's ID");
  return true;
}

// What XCFGSET sets: only what a call mentions.
struct Settings {
  std::optional<int64_t> duration_s, max_size;                     // of what is known of producers
  std::optional<int64_t> stage_timeout_ms, stage_checks, backlog;  // 0: none of its own
  std::optional<bool> sequence;                                    // whether they are numbered
};

bool ReadSetting(Call& call, size_t* i, Settings* settings) {
  if (call.Is(*i, "IDMP-SEQUENCE") && *i + 1 < call.args.size()) {
    return ReadSequence(call, ++*i, &settings->sequence);
  }
  struct {
    std::string_view word;
    std::optional<int64_t>* value;
    int64_t low, high;
    std::string_view error;
  } const kinds[] = {
      {"IDMP-DURATION", &settings->duration_s, 1, 86400,
       "ERR IDMP-DURATION must be between 1 and 86400 seconds"},
      {"IDMP-MAXSIZE", &settings->max_size, 1, 10000,
       "ERR IDMP-MAXSIZE must be between 1 and 10000 entries"},
      {"STAGE-TIMEOUT", &settings->stage_timeout_ms, 0, kMaxDelayMs,
       "ERR STAGE-TIMEOUT is not an integer or out of range"},
      {"STAGE-CHECKS", &settings->stage_checks, 0, INT32_MAX,
       "ERR STAGE-CHECKS is not an integer or out of range"},
      {"MAXBACKLOG", &settings->backlog, 0, INT64_MAX - 1,
       "ERR MAXBACKLOG is not an integer or out of range"},
  };
  for (const auto& kind : kinds) {
    if (!call.Is(*i, kind.word) || *i + 1 == call.args.size()) continue;
    if (*kind.value) {
      return call.Error("ERR " + std::string(kind.word) + " specified multiple times"), false;
    }
    return call.ReadRange(++*i, kind.low, kind.high, &kind.value->emplace(), kind.error);
  }
  return call.Error(errors::kSyntax), false;
}

void Xcfgset(Call& call) {
  Settings settings;
  for (size_t i = 2; i < call.args.size(); ++i) {
    if (!ReadSetting(call, &i, &settings)) return;
  }
  if (call.args.size() == 2) return call.Error("ERR At least one parameter must be specified");
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  if (settings.duration_s || settings.max_size) {
    Idempotence(&stream).Configure(settings.duration_s, settings.max_size, IdempotenceLimits(call));
  }
  if (settings.sequence) {
    *settings.sequence ? Sequences(&stream).Start() : Sequences(&stream).Stop();
  }
  Stages(&stream).Configure(settings.stage_timeout_ms, settings.stage_checks, settings.backlog);
  call.Noted(call.args[1], "");
  // Who waits for prepared entries to be old enough.
  if (settings.stage_timeout_ms) call.Ready(call.args[1]);
  call.reply.Ok();
}

void XinfoProducers(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[2], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  std::vector<Sequences::Mark> marks = Sequences(&stream).All();
  call.reply.ArrayHeader(marks.size());
  for (const Sequences::Mark& mark : marks) {
    call.reply.ArrayHeader(3);
    call.reply.Bulk(mark.producer);
    call.reply.Integer(mark.last);
    call.reply.Integer(static_cast<int64_t>(mark.gaps));
  }
}

void Xidmprecord(Call& call) {
  StreamId id;
  if (!ReadStreamId(call, 4, &id)) return;
  if (call.args[2].empty() || call.args[3].empty()) {
    return call.Error("ERR syntax error, IDMP requires a non-empty producer ID");
  }
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  Idempotence messages(&stream);
  if (!messages.Find(call.args[2], call.args[3], call.now_ms(), IdempotenceLimits(call))) {
    IdempotenceOptions options{.given = true, .producer = call.args[2], .message = call.args[3]};
    Remember(call, &stream, options, {}, id);
    call.Noted(call.args[1], "");
  }
  call.reply.Ok();
}

}  // namespace

Idempotence::Limits IdempotenceLimits(const Call& call) {
  const Config& config = call.engine.config();
  return {config.stream_idmp_duration, config.stream_idmp_maxsize};
}

bool IsIdempotenceWord(const Call& call, size_t i) {
  return call.Is(i, "IDMP") || call.Is(i, "IDMPAUTO");
}

bool ReadIdempotence(Call& call, size_t* i, IdempotenceOptions* options) {
  if (options->given) {
    return call.Error("ERR syntax error, IDMP/IDMPAUTO specified multiple times"), false;
  }
  options->given = true;
  options->automatic = call.Is(*i, "IDMPAUTO");
  size_t words = options->automatic ? 1 : 2;
  if (*i + words >= call.args.size()) return call.Error(errors::kSyntax), false;
  options->producer = call.args[++*i];
  if (options->producer.empty()) {
    call.Error(options->automatic ? "ERR syntax error, IDMPAUTO requires a non-empty producer ID"
                                  : "ERR syntax error, IDMP requires a non-empty producer ID");
    return false;
  }
  if (options->automatic) return true;
  options->message = call.args[++*i];
  if (!options->message.empty()) return true;
  return call.Error("ERR syntax error, IDMP requires a non-empty idempotent ID"), false;
}

bool AnswerDuplicate(Call& call, Key* key, const IdempotenceOptions& options,
                     std::span<const std::string_view> pairs) {
  Stream stream = OpenStream(call, key);
  Idempotence messages(&stream);
  std::optional<StreamId> id = messages.Find(options.producer, MessageName(options, pairs),
                                             call.now_ms(), IdempotenceLimits(call));
  if (!id) return AnswerOldNumber(call, &stream, options);
  messages.CountDuplicate();
  call.Noted(call.args[1], "");
  ReplyId(call.reply, *id);
  return true;
}

void Remember(Call& call, Stream* stream, const IdempotenceOptions& options,
              std::span<const std::string_view> pairs, StreamId id) {
  Idempotence(stream).Add(options.producer, MessageName(options, pairs), id, call.now_ms(),
                          IdempotenceLimits(call));
  Sequences sequences(stream);
  std::optional<int64_t> number = NumberOf(options);
  if (!sequences.on() || !number) return;
  std::optional<int64_t> last = sequences.Last(options.producer);
  if (!last || *number > *last) sequences.Accept(options.producer, *number);
}

void AddIdempotenceRows(Rows* rows) {
  rows->push_back(
      {"xcfgset",
       "key [IDMP-DURATION=seconds:int] [IDMP-MAXSIZE=entries:int] "
       "[IDMP-SEQUENCE=sequence(YES|NO)] [STAGE-TIMEOUT=milliseconds:int] "
       "[STAGE-CHECKS=count:int] [MAXBACKLOG=entries:int]",
       "Sets what a stream remembers of its producers' messages, how often it asks about prepared "
       "entries, and how many entries it takes.",
       "8.6.0",
       "O(1)",
       Group::kStream,
       -2,
       kWrite | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
       Xcfgset});
  rows->push_back(
      {"xidmprecord",
       "key pid iid id",
       "Lets a stream know a message that it has got before. For tools that copy streams.",
       "8.8.0",
       "O(1)",
       Group::kStream,
       5,
       kWrite | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
       Xidmprecord});
  rows->push_back(
      {"xinfo|producers",
       "key",
       "Lists producers that number their messages: how far each has come, and how many "
       "numbers it left out.",
       kSinceSluice,
       "O(N)",
       Group::kStream,
       3,
       kReadonly,
       {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
       XinfoProducers});
}

}  // namespace sluice
