// DEBUG: the few of Redis's levers that tests of clients and libraries pull. Locked unless the
// configuration says otherwise.
#include <chrono>
#include <cstdlib>
#include <thread>

#include "src/commands/families.h"
#include "src/commands/keys_common.h"
#include "src/engine/call.h"
#include "store/list.h"
#include "store/set.h"
#include "store/sorted_set.h"
#include "store/string.h"

namespace sluice {
namespace {

bool IsLocal(const Session& session) {
  std::string_view address = session.address;
  return session.is_unix_socket || address.starts_with("127.") || address.starts_with("[::1]");
}

bool Allowed(const Call& call) {
  const std::string& who = call.engine.config().enable_debug_command;
  return who == "yes" || (who == "local" && IsLocal(call.session));
}

void Sleep(Call& call) {
  double seconds = std::strtod(std::string(call.args[2]).c_str(), nullptr);
  if (seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  call.reply.Ok();
}

void Object(Call& call) {
  Key* key = call.engine.Lookup(call.session, call.db(), call.args[2], false);
  if (!key) return call.Error(errors::kNoSuchKey);
  uint64_t length = key->header.size();
  if (key->type == Type::kString) length = String(call.env(), &call.keys(), key).size();
  // In Redis's dump a string's length stands before it, in one to five bytes.
  if (key->type == Type::kString) length += length < 64 ? 1 : length < 16384 ? 2 : 5;
  if (key->type == Type::kList) length = List(call.env(), &call.keys(), key).bytes();
  if (key->type == Type::kSet) length = Set(call.env(), &call.keys(), key).bytes();
  if (key->type == Type::kSortedSet) length = SortedSet(call.env(), &call.keys(), key).bytes();
  char address[32];
  std::snprintf(address, sizeof address, "%p", static_cast<void*>(key));
  int64_t used_ms = key->accessed_ms ? key->accessed_ms : call.now_ms();
  call.reply.SimpleString("Value at:" + std::string(address) +
                          " refcount:1 encoding:" + std::string(EncodingName(call, key)) +
                          " serializedlength:" + std::to_string(length) +
                          " lru:" + std::to_string(used_ms / 1000 & 0xffffff) +
                          " lru_seconds_idle:" + std::to_string((call.now_ms() - used_ms) / 1000));
}

void SetActiveExpire(Call& call) {
  call.engine.active_expire = std::atoi(std::string(call.args[2]).c_str()) != 0;
  call.reply.Ok();
}

// The last moment of the year 9999.
constexpr int64_t kEndOfTimeMs = 253'402'300'799'999;

// The test clock: see the README.
void Clock(Call& call) {
  bool moves = call.Is(2, "ADVANCE") || call.Is(2, "SET");
  bool known = moves || call.Is(2, "FREEZE") || call.Is(2, "RESUME");
  if (!known || moves != (call.args.size() == 4)) return call.Error(errors::kSyntax);
  // Others are served meanwhile, which a transaction must not see.
  if (call.deny_blocking) return call.Error("ERR DEBUG CLOCK is not for transactions");
  int64_t ms = 0;
  int64_t most = call.Is(2, "ADVANCE") ? kEndOfTimeMs - call.now_ms() : kEndOfTimeMs;
  if (moves && !call.ReadRange(3, 0, most, &ms, errors::kNotInteger)) return;
  if (call.Is(2, "FREEZE")) {
    call.engine.FreezeClock();
  } else if (call.Is(2, "ADVANCE")) {
    call.engine.AdvanceClock(ms);
  } else if (call.Is(2, "SET")) {
    call.engine.SetClock(ms);
  } else {
    call.engine.ResumeClock();
  }
  // Who was waiting hears first.
  call.engine.TouchLast(call.session);
  call.reply.Ok();
}

void WriteFalseTrueFalse(Call& call, bool with_index) {
  for (int i = 0; i < 3; ++i) {
    call.reply.Integer(i);
    if (with_index) call.reply.Bool(i == 1);
  }
}

// One value of each type that the protocol has.
void Protocol(Call& call) {
  resp::ReplyWriter& reply = call.reply;
  if (call.Is(2, "STRING")) {
    reply.Bulk("Hello World");
  } else if (call.Is(2, "INTEGER")) {
    reply.Integer(12345);
  } else if (call.Is(2, "DOUBLE")) {
    reply.DoubleText("3.141");
  } else if (call.Is(2, "NULL")) {
    reply.Null();
  } else if (call.Is(2, "ARRAY")) {
    reply.ArrayHeader(3);
    WriteFalseTrueFalse(call, false);
  } else if (call.Is(2, "SET")) {
    reply.SetHeader(3);
    WriteFalseTrueFalse(call, false);
  } else if (call.Is(2, "MAP")) {
    reply.MapHeader(3);
    WriteFalseTrueFalse(call, true);
  } else if (call.Is(2, "ATTRIB")) {
    if (reply.protocol() >= 3) {
      reply.AttributeHeader(1);
      reply.Bulk("key-popularity");
      reply.ArrayHeader(2);
      reply.Bulk("key:123");
      reply.Integer(90);
    }
    reply.Bulk("Some real reply following the attribute");
  } else if (call.Is(2, "PUSH")) {
    if (reply.protocol() < 3) return call.Error("ERR RESP2 is not supported by this command");
    reply.PushHeader(2);
    reply.Bulk("server-cpu-usage");
    reply.Integer(42);
    reply.Bulk("Some real reply following the push reply");
  } else if (call.Is(2, "VERBATIM")) {
    reply.Verbatim("txt", "This is a verbatim\nstring");
  } else if (call.Is(2, "TRUE")) {
    reply.Bool(true);
  } else if (call.Is(2, "FALSE")) {
    reply.Bool(false);
  } else if (call.Is(2, "BIGNUM")) {
    reply.BigNumber("1234567999999999999999999999999999999");
  } else {
    call.Error(
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
  }
}

// How long Redis's glob takes on a long text; here only whether it matches.
void StringmatchLen(Call& call) {
  int64_t length;
  if (!call.ReadRange(2, 0, int64_t{1} << 30, &length, errors::kNotInteger)) return;
  call.reply.Integer(GlobMatch(call.args[3], std::string(static_cast<size_t>(length), 'x')));
}

void QuicklistPackedThreshold(Call& call) {
  std::string text(call.args[2]);
  size_t digits = text.find_first_not_of("0123456789");
  std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  bool known = unit.empty() || Call::Same(unit, "B") || Call::Same(unit, "K") ||
               Call::Same(unit, "KB") || Call::Same(unit, "M") || Call::Same(unit, "MB") ||
               Call::Same(unit, "G") || Call::Same(unit, "GB");
  if (!known || digits == 0) {
    return call.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
  }
  call.reply.Ok();
}

// To the disk and back, in effect.
void Reload(Call& call) {
  Status status = call.store().CheckpointNow();
  status.ok() ? call.reply.Ok() : call.Error("ERR " + status.message());
}

void Log(Call& call) {
  call.engine.host().Log("DEBUG LOG: " + std::string(call.args[2]));
  call.reply.Ok();
}

void Error(Call& call) { call.reply.Error(call.args[2]); }
void Nothing(Call& call) { call.reply.Ok(); }

void Help(Call& call);

struct Lever {
  std::string_view name;
  size_t min_args, max_args;  // behind the name
  void (*pull)(Call&);
  std::string_view arguments, summary;
};

constexpr Lever kLevers[] = {
    {"CHANGE-REPL-ID", 0, 0, Nothing, "", "Accepted; nothing replicates."},
    {"CLOCK", 1, 2, Clock, "<FREEZE|ADVANCE ms|SET unix-ms|RESUME>",
     "Stop time, let it pass at once, set it, and return to the real one."},
    {"ERROR", 1, 1, Error, "<string>", "Answer with an error of these words."},
    {"HELP", 0, 0, Help, "", "Print these lines."},
    {"LOADAOF", 0, 0, Reload, "", "Take a checkpoint."},
    {"LOG", 1, 1, Log, "<message>", "Write a line into the log."},
    {"OBJECT", 1, 2, Object, "<key>", "Describe a value."},
    {"PAUSE-CRON", 1, 1, Nothing, "<0|1>", "Accepted; there is no cron."},
    {"PROTOCOL", 1, 1, Protocol, "<type>", "Answer with a value of the type."},
    {"QUICKLIST-PACKED-THRESHOLD", 1, 1, QuicklistPackedThreshold, "<size>",
     "Accepted; there are no packed nodes."},
    {"RELOAD", 0, 3, Reload, "", "Take a checkpoint."},
    {"SET-ACTIVE-EXPIRE", 1, 1, SetActiveExpire, "<0|1>",
     "Let keys expire by themselves, or only when they are looked at."},
    {"SET-DISABLE-DENY-SCRIPTS", 1, 1, Nothing, "<0|1>", "Accepted."},
    {"SLEEP", 1, 1, Sleep, "<seconds>", "Do nothing at all for a while."},
    {"STRINGMATCH-LEN", 2, 2, StringmatchLen, "<length> <pattern>",
     "Match a pattern with so many x."},
};

void Help(Call& call) {
  call.reply.ArrayHeader(1 + 2 * std::size(kLevers));
  call.reply.SimpleString("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Lever& lever : kLevers) {
    std::string line(lever.name);
    if (!lever.arguments.empty()) line.append(" ").append(lever.arguments);
    call.reply.SimpleString(line);
    call.reply.SimpleString("    " + std::string(lever.summary));
  }
}

void Debug(Call& call) {
  if (!Allowed(call)) {
    return call.Error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.");
  }
  size_t given = call.args.size() - 2;
  for (const Lever& lever : kLevers) {
    if (call.Is(1, lever.name) && given >= lever.min_args && given <= lever.max_args) {
      return lever.pull(call);
    }
  }
  call.Error("ERR unknown subcommand or wrong number of arguments for '" +
             std::string(call.args[1].substr(0, 128)) + "'. Try DEBUG HELP.");
}

}  // namespace

void AddDebugRows(Rows* rows) {
  rows->push_back({"debug",
                   "",
                   "Levers for tests.",
                   "1.0.0",
                   "Depends on the subcommand.",
                   Group::kServer,
                   -2,
                   kAdmin | kNoscript | kLoading | kStale | kSysCmd,
                   {},
                   Debug});
}

}  // namespace sluice
