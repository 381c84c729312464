#include "src/engine/script.h"

#include <algorithm>

#include "src/engine/call.h"
#include "src/engine/engine.h"
#include "src/engine/function.h"
#include "src/engine/lua_values.h"

namespace sluice {
namespace {

constexpr int64_t kLoadTimeoutUs = 500'000;
constexpr const char* kKilled = "Script killed by user with SCRIPT KILL...";

void PushTable(lua_State* lua, std::span<const std::string_view> words) {
  lua_createtable(lua, static_cast<int>(words.size()), 0);
  for (size_t i = 0; i < words.size(); ++i) {
    lua_pushlstring(lua, words[i].data(), words[i].size());
    lua_rawseti(lua, -2, static_cast<int>(i + 1));
  }
}

// A string field of the table on top of the stack. The view lives as long as the table holds it.
std::string_view Field(lua_State* lua, const char* name) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  std::string_view text;
  if (lua_type(lua, -1) == LUA_TSTRING) {
    size_t size;
    const char* bytes = lua_tolstring(lua, -1, &size);
    text = {bytes, size};
  }
  lua_pop(lua, 1);
  return text;
}

int IntegerField(lua_State* lua, const char* name) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  int value = static_cast<int>(lua_tointeger(lua, -1));
  lua_pop(lua, 1);
  return value;
}

}  // namespace

// One run, as the functions that Lua may jump out of see it: they own nothing.
struct Scripting::Execution {
  LuaState* vm;
  const Job* job;
  const RunningScript* running;
  resp::ReplyWriter reply;
  WrittenValue written;
  std::string error;  // that Lua ended in
  bool counted = false;
};

Scripting::Scripting(Engine* engine)
    : engine_(engine), functions_(std::make_unique<Functions>(this, &engine->store().env())) {
  session_.is_script = true;
}

Scripting::~Scripting() = default;

LuaState& Scripting::scripts_vm() {
  if (!scripts_vm_) {
    scripts_vm_ = std::make_unique<LuaState>(LuaState::Use::kScripts, host(),
                                             &engine_->config().lua_memory_limit,
                                             engine_->config().redis_version);
  }
  return *scripts_vm_;
}

LuaState& Scripting::functions_vm() {
  if (!functions_vm_) {
    functions_vm_ = std::make_unique<LuaState>(LuaState::Use::kFunctions, host(),
                                               &engine_->config().lua_memory_limit,
                                               engine_->config().redis_version);
  }
  return *functions_vm_;
}

// ---- running

// What is known of the script beforehand is refused beforehand; a script without a first line that
// says what it does is asked at each command.
bool Scripting::MayRun(Call& call, const Job& job) {
  if (job.flags & (kNoShebang | kNoWrites)) return true;
  if (job.read_only) {
    call.Error("ERR Can not execute a script with write flag using *_ro command.");
    return false;
  }
  if (Status fatal = call.store().fatal(); !fatal.ok()) {
    call.Error("MISCONF Errors writing to the AOF file: " + fatal.message());
    return false;
  }
  if (!(job.flags & kAllowOom) && call.store().disk_full()) {
    call.Error("MISCONF Errors writing to the AOF file: No space left on device");
    return false;
  }
  return true;
}

// Commands of a script are those of its caller.
void Scripting::BeginSession(const Session& caller) {
  session_.db = caller.db;
  session_.ActAs(caller);
  session_.no_touch = caller.no_touch;
  session_.reply.set_protocol(2);
  session_.out.Clear();
}

void Scripting::Run(Call& call, const Job& job) {
  if (!MayRun(call, job)) return;
  RunningScript running;
  running.name = job.name;
  running.is_function = job.is_function;
  running.flags = job.flags;
  if (job.read_only) running.flags |= kNoWrites;
  running.caller = &call.session;
  running.command = call.args;
  running.started_us = engine_->real_monotonic_us();
  LuaState& vm = job.is_function ? functions_vm() : scripts_vm();
  BeginSession(call.session);
  auto count = [](void* engine, std::string_view error) {
    static_cast<Engine*>(engine)->CountError(error);
  };
  Execution execution{&vm, &job, &running, call.reply, {false, false, count, engine_}, {}, false};

  resp::Buffer& out = *call.reply.buffer();
  size_t mark = out.size();
  engine_->BeginScript();
  running_ = &running;
  std::string failure;
  if (!vm.Protect(Body, &execution, &failure)) {
    execution.error = failure == "not enough memory"
                          ? "ERR the script needs more memory than lua-memory-limit allows"
                          : "ERR Error running script " + std::string(job.name) + ", " + failure;
  }
  running_ = nullptr;
  engine_->EndScript();
  session_.out.Clear();
  session_.out.Shrink();
  if (std::exchange(aborted_, false) && running.wrote) {
    engine_->DropTurn("SHUTDOWN NOSAVE ended a script that had written");
  }
  if (!execution.error.empty()) {
    out.Truncate(mark);
    call.reply.Error(execution.error);
    call.error_counted = execution.counted;
  } else if (execution.written.failed) {
    call.failed = true;
    call.error_counted = execution.written.counted;
  }
}

void Scripting::Body(lua_State* lua, void* argument) {
  auto* execution = static_cast<Execution*>(argument);
  const Job& job = *execution->job;
  lua_rawgeti(lua, LUA_REGISTRYINDEX, execution->vm->error_handler);
  if (!job.is_function) {
    lua_rawgeti(lua, LUA_REGISTRYINDEX, execution->vm->globals);
    PushTable(lua, job.keys);
    lua_setfield(lua, -2, "KEYS");
    PushTable(lua, job.arguments);
    lua_setfield(lua, -2, "ARGV");
    lua_pop(lua, 1);
  }
  lua_rawgeti(lua, LUA_REGISTRYINDEX, job.function);
  if (job.is_function) {
    PushTable(lua, job.keys);
    PushTable(lua, job.arguments);
  }
  int status = lua_pcall(lua, job.is_function ? 2 : 0, 1, 1);
  if (status != 0) return DescribeError(lua, status, execution);
  WriteValue(lua, execution->reply, execution->running->protocol, &execution->written);
}

// The strings stay where Lua has them until the text, which is not ours, is put together.
void Scripting::DescribeError(lua_State* lua, int status, Execution* execution) {
  if (!lua_istable(lua, -1)) {
    size_t size = 0;
    const char* text = lua_tolstring(lua, -1, &size);
    if (status == LUA_ERRMEM) luaL_error(lua, "not enough memory");
    execution->error.append("ERR Error running script ")
        .append(execution->job->name)
        .append(", ")
        .append(text ? std::string_view(text, size) : "execution failure");
    return;
  }
  std::string_view text = Field(lua, "err"), source = Field(lua, "source");
  int line = IntegerField(lua, "line");
  lua_pushliteral(lua, "ignore_error_stats_update");
  lua_rawget(lua, -2);
  execution->counted = lua_toboolean(lua, -1);
  execution->error.append(text.data() ? text : "ERR unknown error");
  if (source.empty() || !line) return;
  execution->error.append(" script: ")
      .append(execution->job->name)
      .append(", on ")
      .append(source)
      .append(":")
      .append(std::to_string(line))
      .append(".");
}

std::string_view Scripting::Kill(bool function) {
  if (!running_) return "NOTBUSY No scripts in execution right now.";
  if (running_->wrote) {
    return "UNKILLABLE Sorry the script already executed write commands against the dataset. You "
           "can either wait the script termination or kill the server in a hard way using the "
           "SHUTDOWN NOSAVE command.";
  }
  if (running_->is_function != function) {
    return running_->is_function ? errors::kBusyFunction : errors::kBusyScript;
  }
  running_->killed = true;
  return {};
}

void Scripting::Abort() {
  if (!running_) return;
  running_->killed = true;
  aborted_ = true;
}

void Scripting::Recovered() { functions_->Forget(); }

// ---- ScriptHost

const char* Scripting::Interrupted() {
  engine_->UpdateTime();
  if (!running_) {
    bool late = loading_until_us_ && engine_->real_monotonic_us() >= loading_until_us_;
    return late ? "FUNCTION LOAD timeout" : nullptr;
  }
  if (running_->killed) return kKilled;
  int64_t threshold_ms = engine_->config().busy_reply_threshold;
  int64_t lasted_ms = (engine_->real_monotonic_us() - running_->started_us) / 1000;
  if (threshold_ms == 0 || lasted_ms < threshold_ms) return nullptr;
  if (!running_->busy) {
    engine_->host().Log("a script has been running for " + std::to_string(lasted_ms) +
                        " ms; others are answered BUSY. It is " + std::string(running_->name));
  }
  running_->busy = true;
  engine_->host().WhileBusy(*running_->caller);
  return running_->killed ? kKilled : nullptr;
}

void Scripting::BeginLoading() {
  engine_->UpdateTime();
  loading_until_us_ = engine_->real_monotonic_us() + kLoadTimeoutUs;
}

const Row* Scripting::FindRow(Words command) const {
  const Row* row = engine_->table().Find(command[0]);
  if (!row || row->subcommands.empty() || command.size() < 2) return row;
  return CommandTable::FindSub(*row, command[1]);
}

std::string_view Scripting::Refuse(const Row* row, std::string_view text) {
  if (row) ++engine_->stats().commands_by_row[row->index].rejected;
  engine_->CountError(text.starts_with('-') ? text.substr(1) : "ERR");
  return text;
}

std::string_view Scripting::Execute(Words command) {
  session_.out.Clear();
  const Row* row = FindRow(command);
  if (!row) return Refuse(row, "Unknown Redis command called from script");
  int n = static_cast<int>(command.size());
  if (row->arity > 0 ? n != row->arity : n < -row->arity) {
    return Refuse(row, "Wrong number of args calling Redis command from script");
  }
  // Blocking ones answer as if their time were up.
  if ((row->flags & kNoscript) && !(row->flags & kBlocking)) {
    return Refuse(row, "This Redis command is not allowed from script");
  }
  if (Verdict verdict = engine_->CheckPermissions(session_, *row, command); !verdict.ok()) {
    engine_->LogDenied(*running_->caller, *row, command, verdict, AclContext::kLua);
    return Refuse(row, DeniedInScriptText(verdict.denied));
  }
  if ((running_->flags & kNoWrites) && (row->flags & (kWrite | kMayReplicate))) {
    return Refuse(row, "Write commands are not allowed from read-only scripts.");
  }
  if (row->flags & kWrite) {
    if (Status fatal = engine_->store().fatal(); !fatal.ok()) {
      refusal_ = "-MISCONF Errors writing to the AOF file: " + fatal.message();
      return Refuse(row, refusal_);
    }
    // A script that has begun to write is not stopped in the middle.
    if ((row->flags & kDenyOom) && !running_->wrote && !(running_->flags & kAllowOom) &&
        engine_->store().disk_full()) {
      return Refuse(row, "-MISCONF Errors writing to the AOF file: No space left on device");
    }
    running_->wrote = true;
  }
  engine_->ExecuteOfScript(session_, *row, command);
  return {};
}

void Scripting::SetProtocol(int protocol) {
  running_->protocol = protocol;
  session_.reply.set_protocol(protocol);
}

void Scripting::Log(int level, std::string_view line) { engine_->host().LogAt(level, line); }

ScriptHost::Permission Scripting::MayExecute(Words command) {
  const Row* row = FindRow(command);
  if (!row) return Permission::kUnknownCommand;
  return engine_->CheckPermissions(session_, *row, command).ok() ? Permission::kGranted
                                                                 : Permission::kDenied;
}

const char* Scripting::Register(std::string_view name, int callback, std::string_view description,
                                uint32_t flags) {
  return functions_->Register(name, callback, description, flags);
}

}  // namespace sluice
