// Lua scripts: the cache of EVAL's, and the running of those and of functions.
//
// A script is one command: what it does is in one batch, time stands still while it runs, and
// blocked clients are served after it. Its commands are executed as those of a session of its own,
// in the name of the one that called it. While a script runs for longer than `busy-reply-threshold`
// the server looks after the other clients now and then, and Execute answers them BUSY.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/engine/lua_state.h"
#include "src/engine/script_flags.h"
#include "src/engine/session.h"

namespace sluice {

class Call;
class Engine;
class Functions;
struct Row;

namespace errors {
inline constexpr std::string_view kBusyScript =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
inline constexpr std::string_view kBusyFunction =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
}  // namespace errors

struct Script {
  std::string sha;  // of the body, 40 hex digits
  std::string body;
  int function = LUA_NOREF;
  uint32_t flags = 0;
  // Of a script that came by EVAL, its place in the order of use; those of SCRIPT LOAD have none.
  bool evictable = false;
  std::list<Script*>::iterator used;
};

// What is being executed, if anything is.
struct RunningScript {
  std::string_view name;  // digest, or the function's name
  bool is_function = false;
  uint32_t flags = 0;
  Session* caller = nullptr;
  std::span<const std::string_view> command;
  int64_t started_us = 0;  // monotonic
  int protocol = 2;        // of what its commands reply to it
  bool wrote = false;
  bool busy = false;    // others are being told so
  bool killed = false;  // it has to end
};

class Scripting final : private ScriptHost {
 public:
  explicit Scripting(Engine* engine);
  ~Scripting();

  // ---- the cache
  // By digest, in any letter case; nullptr when there is none.
  Script* Find(std::string_view sha);
  // The script with this text, compiled if it is new; nullptr after an error ("ERR ..."). With
  // `keep` it stays until Flush.
  Script* Load(std::string_view body, bool keep, std::string* error);
  void Flush();
  size_t cached() const { return scripts_.size(); }
  size_t cached_bytes() const { return cached_bytes_; }
  uint64_t evicted() const { return evicted_; }
  size_t script_vm_bytes() const { return scripts_vm_ ? scripts_vm_->bytes() : 0; }

  Functions& functions() { return *functions_; }

  // ---- running
  using Words = std::span<const std::string_view>;
  struct Job {
    std::string_view name;
    bool is_function = false;
    int function = LUA_NOREF;
    uint32_t flags = 0;
    Words keys, arguments;
    bool read_only = false;  // EVAL_RO and the like
  };
  // Runs it, and replies to `call`.
  void Run(Call& call, const Job& job);
  // Whether this EVAL, FCALL, ... of a session might write: what CLIENT PAUSE WRITE holds back.
  bool MightWrite(const Row& row, Words command);
  // nullptr when none is; asked by what other clients send while one is busy.
  const RunningScript* running() const { return running_; }
  // SCRIPT KILL and FUNCTION KILL: empty, or the error.
  std::string_view Kill(bool function);
  // SHUTDOWN NOSAVE: ends it whatever it has done; its changes are dropped.
  void Abort();

  // The store has gone back to what the journal knows.
  void Recovered();

  // For Functions: libraries compile in this interpreter, and register what they have through
  // `register_function` while Lua runs.
  LuaState& functions_vm();
  void ResetFunctionsVm() { functions_vm_.reset(); }
  size_t function_vm_bytes() const { return functions_vm_ ? functions_vm_->bytes() : 0; }
  void BeginLoading();  // from now on loading has half a second
  void EndLoading() { loading_until_us_ = 0; }

 private:
  struct Execution;
  static void Body(lua_State* lua, void* execution);
  static void DescribeError(lua_State* lua, int status, Execution* execution);
  ScriptHost* host() { return this; }
  LuaState& scripts_vm();
  bool MayRun(Call& call, const Job& job);
  void BeginSession(const Session& caller);
  std::string_view Refuse(const Row* row, std::string_view text);
  const Row* FindRow(Words command) const;
  void Evict();

  // ScriptHost
  std::string_view Execute(Words command) override;
  const resp::Buffer& reply() const override { return session_.out; }
  void SetProtocol(int protocol) override;
  void Log(int level, std::string_view line) override;
  Permission MayExecute(Words command) override;
  const char* Interrupted() override;
  const char* Register(std::string_view name, int callback, std::string_view description,
                       uint32_t flags) override;

  Engine* engine_;
  std::unique_ptr<LuaState> scripts_vm_, functions_vm_;
  std::unique_ptr<Functions> functions_;

  std::unordered_map<std::string_view, std::unique_ptr<Script>> scripts_;  // by digest
  std::unordered_map<std::string_view, Script*> by_body_;
  std::list<Script*> used_;  // evictable ones, the longest unused first
  size_t cached_bytes_ = 0;
  uint64_t evicted_ = 0;

  Session session_{0};
  RunningScript* running_ = nullptr;
  bool aborted_ = false;
  int64_t loading_until_us_ = 0;
  std::string refusal_;
};

}  // namespace sluice
