// FUNCTION and FCALL: libraries of functions that are kept with the data.
#include "src/engine/function.h"

#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/commands/script_common.h"
#include "src/engine/call.h"
#include "src/engine/function_dump.h"
#include "src/engine/script.h"

namespace sluice {
namespace {

Functions& FunctionsOf(Call& call) { return call.engine.scripting().functions(); }

void CallFunction(Call& call, bool read_only) {
  if (call.engine.monitors()) call.engine.FeedMonitors(call.session, call.args);
  Function* function = FunctionsOf(call).Find(call.args[1]);
  if (!function) return call.Error("ERR Function not found");
  ScriptArgs args;
  if (!args.Read(call, "ERR Bad number of keys provided")) return;
  Scripting::Job job;
  job.name = function->name;
  job.is_function = true;
  job.function = function->callback;
  job.flags = function->flags;
  job.keys = args.keys;
  job.arguments = args.arguments;
  job.read_only = read_only;
  call.engine.scripting().Run(call, job);
}

void Fcall(Call& call) { CallFunction(call, false); }
void FcallRo(Call& call) { CallFunction(call, true); }

void FunctionLoad(Call& call) {
  bool replace = false;
  size_t i = 2;
  for (; i + 1 < call.args.size(); ++i) {
    if (!call.Is(i, "REPLACE")) {
      return call.Error("ERR Unknown option given: " + std::string(call.args[i]));
    }
    replace = true;
  }
  std::string name;
  std::string error = FunctionsOf(call).Load(call.args[i], replace, &name);
  if (!error.empty()) return call.Error(error);
  ++call.engine.stats().dirty;
  call.reply.Bulk(name);
}

void FunctionDelete(Call& call) {
  std::string error = FunctionsOf(call).Delete(call.args[2]);
  if (!error.empty()) return call.Error(error);
  ++call.engine.stats().dirty;
  call.reply.Ok();
}

void FunctionFlush(Call& call) {
  if (call.args.size() > 3) {
    return call.Error("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(call.args[1]) + "'. Try FUNCTION HELP.");
  }
  if (call.args.size() == 3 && !call.Is(2, "SYNC") && !call.Is(2, "ASYNC")) {
    return call.Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
  }
  FunctionsOf(call).Flush();
  ++call.engine.stats().dirty;
  call.reply.Ok();
}

void WriteFunction(Call& call, const Function& function) {
  call.reply.MapHeader(3);
  call.reply.Bulk("name");
  call.reply.Bulk(function.name);
  call.reply.Bulk("description");
  function.described ? call.reply.Bulk(function.description) : call.reply.Null();
  call.reply.Bulk("flags");
  size_t mark = call.reply.BeginSet(), n = 0;
  for (auto& known : kScriptFlagNames) {
    if (!(function.flags & known.flag)) continue;
    call.reply.SimpleString(known.name);
    ++n;
  }
  call.reply.EndSet(mark, n);
}

void FunctionList(Call& call) {
  bool with_code = false;
  std::string_view pattern;
  bool has_pattern = false;
  for (size_t i = 2; i < call.args.size(); ++i) {
    if (!with_code && call.Is(i, "WITHCODE")) {
      with_code = true;
    } else if (!has_pattern && call.Is(i, "LIBRARYNAME")) {
      if (i + 1 == call.args.size()) return call.Error("ERR library name argument was not given");
      pattern = call.args[++i];
      has_pattern = true;
    } else {
      return call.Error("ERR Unknown argument " + std::string(call.args[i]));
    }
  }
  size_t mark = call.reply.BeginArray(), n = 0;
  for (auto& [name, library] : FunctionsOf(call).libraries()) {
    if (has_pattern && !GlobMatch(pattern, name, true)) continue;
    call.reply.MapHeader(with_code ? 4 : 3);
    call.reply.Bulk("library_name");
    call.reply.Bulk(name);
    call.reply.Bulk("engine");
    call.reply.Bulk("LUA");
    call.reply.Bulk("functions");
    call.reply.ArrayHeader(library->functions.size());
    for (auto& function : library->functions) WriteFunction(call, *function);
    if (with_code) {
      call.reply.Bulk("library_code");
      call.reply.Bulk(library->code);
    }
    ++n;
  }
  call.reply.EndArray(mark, n);
}

void FunctionStats(Call& call) {
  const RunningScript* running = call.engine.scripting().running();
  if (running && !running->is_function) return call.Error(errors::kBusyScript);
  call.reply.MapHeader(2);
  call.reply.Bulk("running_script");
  if (running) {
    call.reply.MapHeader(3);
    call.reply.Bulk("name");
    call.reply.Bulk(running->name);
    call.reply.Bulk("command");
    call.reply.ArrayHeader(running->command.size());
    for (std::string_view word : running->command) call.reply.Bulk(word);
    call.reply.Bulk("duration_ms");
    call.reply.Integer((call.engine.monotonic_us() - running->started_us) / 1000);
  } else {
    call.reply.Null();
  }
  call.reply.Bulk("engines");
  call.reply.MapHeader(1);
  call.reply.Bulk("LUA");
  call.reply.MapHeader(2);
  call.reply.Bulk("libraries_count");
  call.reply.Integer(static_cast<int64_t>(FunctionsOf(call).libraries().size()));
  call.reply.Bulk("functions_count");
  call.reply.Integer(static_cast<int64_t>(FunctionsOf(call).function_count()));
}

void FunctionKill(Call& call) {
  std::string_view error = call.engine.scripting().Kill(true);
  error.empty() ? call.reply.Ok() : call.Error(error);
}

void FunctionDump(Call& call) {
  std::vector<std::string_view> codes;
  for (auto& [name, library] : FunctionsOf(call).libraries()) codes.push_back(library->code);
  call.reply.Bulk(DumpLibraries(codes));
}

void FunctionRestore(Call& call) {
  if (call.args.size() > 4) {
    return call.Error("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(call.args[1]) + "'. Try FUNCTION HELP.");
  }
  RestorePolicy policy = RestorePolicy::kAppend;
  if (call.args.size() == 4) {
    if (call.Is(3, "REPLACE")) {
      policy = RestorePolicy::kReplace;
    } else if (call.Is(3, "FLUSH")) {
      policy = RestorePolicy::kFlush;
    } else if (!call.Is(3, "APPEND")) {
      return call.Error(
          "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
    }
  }
  std::vector<std::string> codes;
  std::string error = ReadDump(call.args[2], &codes);
  if (error.empty()) error = FunctionsOf(call).Restore(codes, policy);
  if (!error.empty()) return call.Error(error);
  ++call.engine.stats().dirty;
  call.reply.Ok();
}

constexpr uint32_t kFcallFlags =
    kNoscript | kStale | kSkipMonitor | kNoMandatoryKeys | kMovableKeys;

void AddCalls(Rows* rows) {
  constexpr std::string_view kSyntax = "function numkeys:int [key...] [arg...]";
  constexpr std::string_view kDepends = "Depends on the function that is executed.";
  rows->push_back({"fcall",
                   kSyntax,
                   "Calls a function.",
                   "7.0.0",
                   kDepends,
                   Group::kScripting,
                   -3,
                   kFcallFlags,
                   {KeySpec::Counted(2, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Fcall});
  rows->push_back({"fcall_ro",
                   kSyntax,
                   "Calls a function that writes nothing.",
                   "7.0.0",
                   kDepends,
                   Group::kScripting,
                   -3,
                   kFcallFlags | kReadonly,
                   {KeySpec::Counted(2, KeySpec::kRO | KeySpec::kAccess)},
                   FcallRo});
}

}  // namespace

void AddFunctionRows(Rows* rows) {
  AddCalls(rows);
  const std::vector<std::string_view> kAll = {"request_policy:all_shards",
                                              "response_policy:all_succeeded"};
  rows->push_back({"function",
                   "",
                   "Commands about libraries of functions.",
                   "7.0.0",
                   "Depends on subcommand.",
                   Group::kScripting,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"function|delete",
                   "library-name",
                   "Deletes a library.",
                   "7.0.0",
                   "O(1)",
                   Group::kScripting,
                   3,
                   kWrite | kNoscript,
                   {},
                   FunctionDelete,
                   kAll});
  rows->push_back({"function|dump",
                   "",
                   "Gives all libraries in one piece.",
                   "7.0.0",
                   "O(N) where N is the number of functions",
                   Group::kScripting,
                   2,
                   kNoscript,
                   {},
                   FunctionDump});
  rows->push_back({"function|flush",
                   "[async(ASYNC|SYNC)]",
                   "Deletes all libraries.",
                   "7.0.0",
                   "O(N) where N is the number of functions deleted",
                   Group::kScripting,
                   -2,
                   kWrite | kNoscript,
                   {},
                   FunctionFlush,
                   kAll});
  rows->push_back({"function|help",
                   "",
                   "Lists the subcommands.",
                   "7.0.0",
                   "O(1)",
                   Group::kScripting,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"function|kill",
                   "",
                   "Ends the function that is running, if it wrote nothing.",
                   "7.0.0",
                   "O(1)",
                   Group::kScripting,
                   2,
                   kNoscript | kAllowBusy,
                   {},
                   FunctionKill,
                   {"request_policy:all_shards", "response_policy:one_succeeded"}});
  rows->push_back({"function|list",
                   "[LIBRARYNAME=library-name-pattern] [WITHCODE]",
                   "Lists libraries and their functions.",
                   "7.0.0",
                   "O(N) where N is the number of functions",
                   Group::kScripting,
                   -2,
                   kNoscript,
                   {},
                   FunctionList,
                   {"nondeterministic_output_order"}});
  rows->push_back({"function|load",
                   "[REPLACE] function-code",
                   "Adds a library.",
                   "7.0.0",
                   "O(1) (considering compilation time is redundant)",
                   Group::kScripting,
                   -3,
                   kWrite | kDenyOom | kNoscript,
                   {},
                   FunctionLoad,
                   kAll});
  rows->push_back({"function|restore",
                   "serialized-value [policy(FLUSH|APPEND|REPLACE)]",
                   "Adds the libraries that FUNCTION DUMP gave.",
                   "7.0.0",
                   "O(N) where N is the number of functions on the payload",
                   Group::kScripting,
                   -3,
                   kWrite | kDenyOom | kNoscript,
                   {},
                   FunctionRestore,
                   kAll});
  rows->push_back(
      {"function|stats",
       "",
       "Tells which function is running, and how many there are.",
       "7.0.0",
       "O(1)",
       Group::kScripting,
       2,
       kNoscript | kAllowBusy,
       {},
       FunctionStats,
       {"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}});
}

}  // namespace sluice
