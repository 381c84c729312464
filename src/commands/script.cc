// EVAL and its kin, and the cache of scripts.
#include "src/engine/script.h"

#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/commands/script_common.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

void RunScript(Call& call, const Script& script, const ScriptArgs& args, bool read_only) {
  Scripting::Job job;
  job.name = script.sha;
  job.function = script.function;
  job.flags = script.flags;
  job.keys = args.keys;
  job.arguments = args.arguments;
  job.read_only = read_only;
  call.engine.scripting().Run(call, job);
}

// A monitor sees the script before what it does.
void ShowMonitors(Call& call) {
  if (call.engine.monitors()) call.engine.FeedMonitors(call.session, call.args);
}

void EvalText(Call& call, bool read_only) {
  ShowMonitors(call);
  ScriptArgs args;
  if (!args.Read(call, errors::kNotInteger)) return;
  std::string error;
  Script* script = call.engine.scripting().Load(call.args[1], false, &error);
  if (!script) return call.Error(error);
  RunScript(call, *script, args, read_only);
}

void EvalDigest(Call& call, bool read_only) {
  ShowMonitors(call);
  constexpr std::string_view kNoScript = "NOSCRIPT No matching script. Please use EVAL.";
  if (call.args[1].size() != 40) return call.Error(kNoScript);
  ScriptArgs args;
  if (!args.Read(call, errors::kNotInteger)) return;
  Script* script = call.engine.scripting().Find(call.args[1]);
  if (!script) return call.Error(kNoScript);
  RunScript(call, *script, args, read_only);
}

void Eval(Call& call) { EvalText(call, false); }
void EvalRo(Call& call) { EvalText(call, true); }
void Evalsha(Call& call) { EvalDigest(call, false); }
void EvalshaRo(Call& call) { EvalDigest(call, true); }

void ScriptLoad(Call& call) {
  std::string error;
  Script* script = call.engine.scripting().Load(call.args[2], true, &error);
  script ? call.reply.Bulk(script->sha) : call.Error(error);
}

void ScriptExists(Call& call) {
  Args digests = call.args.subspan(2);
  call.reply.ArrayHeader(digests.size());
  for (std::string_view sha : digests) {
    call.reply.Integer(call.engine.scripting().Find(sha) != nullptr);
  }
}

void ScriptFlush(Call& call) {
  if (call.args.size() > 3 ||
      (call.args.size() == 3 && !call.Is(2, "SYNC") && !call.Is(2, "ASYNC"))) {
    return call.Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
  }
  call.engine.scripting().Flush();
  call.reply.Ok();
}

void ScriptKill(Call& call) {
  std::string_view error = call.engine.scripting().Kill(false);
  error.empty() ? call.reply.Ok() : call.Error(error);
}

// There is no debugger. Leaving it is fine.
void ScriptDebug(Call& call) {
  if (call.Is(2, "NO")) return call.reply.Ok();
  if (call.Is(2, "YES") || call.Is(2, "SYNC")) {
    return call.Error("ERR Sluice has no debugger for scripts");
  }
  call.Error("ERR Use SCRIPT DEBUG YES/SYNC/NO");
}

constexpr uint32_t kEvalFlags = kNoscript | kStale | kSkipMonitor | kNoMandatoryKeys | kMovableKeys;

}  // namespace

bool ScriptArgs::Read(Call& call, std::string_view not_a_number) {
  int64_t n;
  if (!call.ReadInteger(2, &n, not_a_number)) return false;
  Args rest = call.args.subspan(3);
  if (n > static_cast<int64_t>(rest.size())) {
    return call.Error("ERR Number of keys can't be greater than number of args"), false;
  }
  if (n < 0) return call.Error("ERR Number of keys can't be negative"), false;
  keys = rest.first(static_cast<size_t>(n));
  arguments = rest.subspan(static_cast<size_t>(n));
  return true;
}

void AddScriptRows(Rows* rows) {
  auto counted = [](bool read_only) {
    return KeySpec::Counted(2, read_only ? KeySpec::kRO | KeySpec::kAccess
                                         : KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate);
  };
  constexpr std::string_view kText = "script numkeys:int [key...] [arg...]";
  constexpr std::string_view kDigest = "sha1 numkeys:int [key...] [arg...]";
  constexpr std::string_view kDepends = "Depends on the script that is executed.";
  rows->push_back({"eval",
                   kText,
                   "Runs a Lua script.",
                   "2.6.0",
                   kDepends,
                   Group::kScripting,
                   -3,
                   kEvalFlags,
                   {counted(false)},
                   Eval});
  rows->push_back({"evalsha",
                   kDigest,
                   "Runs a Lua script that the server knows, by its digest.",
                   "2.6.0",
                   kDepends,
                   Group::kScripting,
                   -3,
                   kEvalFlags,
                   {counted(false)},
                   Evalsha});
  rows->push_back({"eval_ro",
                   kText,
                   "Runs a Lua script that writes nothing.",
                   "7.0.0",
                   kDepends,
                   Group::kScripting,
                   -3,
                   kEvalFlags | kReadonly,
                   {counted(true)},
                   EvalRo});
  rows->push_back({"evalsha_ro",
                   kDigest,
                   "Runs a Lua script that the server knows and that writes nothing.",
                   "7.0.0",
                   kDepends,
                   Group::kScripting,
                   -3,
                   kEvalFlags | kReadonly,
                   {counted(true)},
                   EvalshaRo});
  rows->push_back({"script",
                   "",
                   "Commands about the cache of scripts.",
                   "2.6.0",
                   "Depends on subcommand.",
                   Group::kScripting,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"script|debug",
                   "mode(YES|SYNC|NO)",
                   "Would turn on a debugger.",
                   "3.2.0",
                   "O(1)",
                   Group::kScripting,
                   3,
                   kNoscript,
                   {},
                   ScriptDebug});
  rows->push_back({"script|exists",
                   "sha1...",
                   "Tells which scripts the server knows.",
                   "2.6.0",
                   "O(N) with N being the number of scripts to check (so checking a single script "
                   "is an O(1) operation).",
                   Group::kScripting,
                   -3,
                   kNoscript,
                   {},
                   ScriptExists,
                   {"request_policy:all_shards", "response_policy:agg_logical_and"}});
  rows->push_back({"script|flush",
                   "[async(ASYNC|SYNC)@6.2.0]",
                   "Forgets all scripts.",
                   "2.6.0",
                   "O(N) with N being the number of scripts in cache",
                   Group::kScripting,
                   -2,
                   kNoscript,
                   {},
                   ScriptFlush,
                   {"request_policy:all_nodes", "response_policy:all_succeeded"}});
  rows->push_back({"script|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kScripting,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"script|kill",
                   "",
                   "Ends the script that is running, if it has written nothing.",
                   "2.6.0",
                   "O(1)",
                   Group::kScripting,
                   2,
                   kNoscript | kAllowBusy,
                   {},
                   ScriptKill,
                   {"request_policy:all_shards", "response_policy:one_succeeded"}});
  rows->push_back({"script|load",
                   "script",
                   "Keeps a script, for EVALSHA.",
                   "2.6.0",
                   "O(N) with N being the length in bytes of the script body.",
                   Group::kScripting,
                   3,
                   kNoscript | kStale,
                   {},
                   ScriptLoad,
                   {"request_policy:all_nodes", "response_policy:all_succeeded"}});
}

}  // namespace sluice
