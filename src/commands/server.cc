// The server itself: its time, its checkpoints, its end.
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"
#include "src/engine/script.h"
#include "src/engine/version.h"

namespace sluice {
namespace {

void Time(Call& call) {
  int64_t us = call.engine.now_us();
  call.reply.ArrayHeader(2);
  call.reply.BulkInteger(us / 1'000'000);
  call.reply.BulkInteger(us % 1'000'000);
}

void Lastsave(Call& call) { call.reply.Integer(call.engine.stats().last_save_s); }

void NoteSave(Call& call) {
  call.engine.stats().last_save_s = call.now_ms() / 1000;
  call.engine.stats().dirty = 0;
}

// What is answered is durable anyway; a checkpoint makes the next start shorter.
void Save(Call& call) {
  Status status = call.store().CheckpointNow();
  if (!status.ok()) return call.Error("ERR " + status.message());
  NoteSave(call);
  call.reply.Ok();
}

void Bgsave(Call& call) {
  bool schedule = call.args.size() == 2 && call.Is(1, "SCHEDULE");
  if (call.args.size() > 1 && !schedule) return call.Error(errors::kSyntax);
  if (call.store().checkpoint_running() && !schedule) {
    return call.Error("ERR Background save already in progress");
  }
  call.engine.checkpoint_requested = true;
  NoteSave(call);
  call.reply.SimpleString("Background saving started");
}

void Bgrewriteaof(Call& call) {
  call.engine.checkpoint_requested = true;
  call.reply.SimpleString("Background append only file rewriting started");
}

void Shutdown(Call& call) {
  bool save = false, nosave = false, abort = false, other = false;
  for (size_t i = 1; i < call.args.size(); ++i) {
    if (call.Is(i, "SAVE")) {
      save = true;
    } else if (call.Is(i, "NOSAVE")) {
      nosave = true;
    } else if (call.Is(i, "ABORT")) {
      abort = true;
    } else if (call.Is(i, "NOW") || call.Is(i, "FORCE")) {
      other = true;
    } else {
      return call.Error(errors::kSyntax);
    }
  }
  if ((save && nosave) || (abort && (save || nosave || other))) return call.Error(errors::kSyntax);
  // The end comes within the turn: nobody has the time to think better of it.
  if (abort) return call.Error("ERR No shutdown in progress.");
  if (const RunningScript* script = call.engine.scripting().running()) {
    if (!nosave)
      return call.Error(script->is_function ? errors::kBusyFunction : errors::kBusyScript);
    call.engine.scripting().Abort();
  }
  // The client learns of it by the connection's end.
  call.engine.shutdown_requested = true;
}

void Monitor(Call& call) {
  if (call.deny_blocking) {
    return call.Error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  }
  call.reply.Ok();
  call.engine.SetMonitor(call.session, true);
}

void Lolwut(Call& call) {
  int64_t version;
  if (call.Is(1, "VERSION") && call.args.size() > 2 && !call.ReadInteger(2, &version)) return;
  call.reply.Verbatim("txt", std::string("     ________________\n"
                                         "    |   |  |  |  |   |\n"
                                         "~~~~|~~~|  |  |  |   |\n"
                                         "~~~~|~~~|__|__|__|___|\n"
                                         "~~~~|~~~|~~~~~~~~~~~~~~~~~~~~\n"
                                         "What comes in goes out, in order. Sluice ver. ") +
                                 kVersion + "\n");
}

void ModuleList(Call& call) { call.reply.ArrayHeader(0); }

}  // namespace

void AddServerRows(Rows* rows) {
  rows->push_back({"time",
                   "",
                   "Tells the server's time.",
                   "2.6.0",
                   "O(1)",
                   Group::kServer,
                   1,
                   kLoading | kStale | kFast,
                   {},
                   Time,
                   {"nondeterministic_output"}});
  rows->push_back({"lastsave",
                   "",
                   "Tells when the last save was asked for.",
                   "1.0.0",
                   "O(1)",
                   Group::kServer,
                   1,
                   kLoading | kStale | kFast | kCatAdmin | kCatDangerous,
                   {},
                   Lastsave,
                   {"nondeterministic_output"}});
  rows->push_back({"save",
                   "",
                   "Takes a checkpoint, and waits for it.",
                   "1.0.0",
                   "O(N)",
                   Group::kServer,
                   1,
                   kAdmin | kNoscript | kNoAsyncLoading | kNoMulti,
                   {},
                   Save});
  rows->push_back({"bgsave",
                   "[SCHEDULE@3.2.2]",
                   "Starts a checkpoint.",
                   "1.0.0",
                   "O(1)",
                   Group::kServer,
                   -1,
                   kAdmin | kNoscript | kNoAsyncLoading,
                   {},
                   Bgsave});
  rows->push_back({"bgrewriteaof",
                   "",
                   "Starts a checkpoint, after which the journal is empty.",
                   "1.0.0",
                   "O(1)",
                   Group::kServer,
                   1,
                   kAdmin | kNoscript | kNoAsyncLoading,
                   {},
                   Bgrewriteaof});
  rows->push_back({"shutdown",
                   "[nosave_save(NOSAVE|SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
                   "Ends the server.",
                   "1.0.0",
                   "O(N)",
                   Group::kServer,
                   -1,
                   kAdmin | kNoscript | kLoading | kStale | kNoMulti | kAllowBusy,
                   {},
                   Shutdown});
  rows->push_back({"monitor",
                   "",
                   "Shows every command that the server executes, as it comes.",
                   "1.0.0",
                   "",
                   Group::kServer,
                   1,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   Monitor});
  rows->push_back({"lolwut",
                   "[VERSION=version:int]",
                   "Shows the version, and a sluice.",
                   "5.0.0",
                   "",
                   Group::kServer,
                   -1,
                   kReadonly | kFast,
                   {},
                   Lolwut});
  rows->push_back({"module",
                   "",
                   "Commands about modules, of which there are none.",
                   "4.0.0",
                   "",
                   Group::kServer,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"module|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"module|list",
                   "",
                   "Lists the loaded modules.",
                   "4.0.0",
                   "O(N)",
                   Group::kServer,
                   2,
                   kAdmin | kNoscript,
                   {},
                   ModuleList,
                   {"nondeterministic_output_order"}});
}

}  // namespace sluice
