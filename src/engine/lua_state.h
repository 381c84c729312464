// One Lua 5.1 interpreter, and the world that a script sees in it.
//
// Lua reports errors by longjmp, through the frames of every function that was called from Lua. So
// the rule of all lua_*.cc: a function that calls into Lua keeps nothing on its stack that has a
// destructor; what must be destroyed lives in the LuaState, in the ScriptHost or in the caller of
// Protect. And whatever touches the interpreter runs inside Protect, because any of it can run out
// of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <lua5.1/lua.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/buffer.h"

namespace sluice {

// What a script can reach outside its interpreter.
class ScriptHost {
 public:
  using Words = std::span<const std::string_view>;
  virtual ~ScriptHost() = default;

  // redis.call: executes a command; its reply is then in reply(). Otherwise why it was not executed
  // ("ERR ..."; a text that lives until the next call).
  virtual std::string_view Execute(Words command) = 0;
  virtual const resp::Buffer& reply() const = 0;
  virtual void SetProtocol(int protocol) = 0;
  virtual void Log(int level, std::string_view line) = 0;
  enum class Permission : uint8_t { kUnknownCommand, kDenied, kGranted };
  virtual Permission MayExecute(Words command) = 0;
  // Asked every now and then while Lua runs: nullptr, or why the script has to end.
  virtual const char* Interrupted() = 0;
  // redis.register_function, while a library loads. `callback` is a reference into the registry.
  // nullptr, or what is wrong.
  virtual const char* Register(std::string_view name, int callback, std::string_view description,
                               uint32_t flags) = 0;
};

class LuaState {
 public:
  enum class Use : uint8_t { kScripts, kFunctions };

  // `memory_limit` is looked at whenever Lua allocates. `version` is redis.REDIS_VERSION.
  LuaState(Use use, ScriptHost* host, const int64_t* memory_limit, std::string_view version);
  ~LuaState();
  LuaState(const LuaState&) = delete;

  static LuaState& Of(lua_State* lua) {
    void* self;
    lua_getallocf(lua, &self);
    return *static_cast<LuaState*>(self);
  }

  lua_State* lua() const { return lua_; }
  ScriptHost& host() const { return *host_; }
  Use use() const { return use_; }
  size_t bytes() const { return bytes_; }

  // Calls `body(lua, argument)` so that every Lua error in it ends here; false after one, with
  // its text in `*error`.
  bool Protect(void (*body)(lua_State*, void*), void* argument, std::string* error);

  // Compiles a chunk; leaves a reference to it in `*function`. Call inside Protect. False: its
  // error is on the stack.
  static bool Compile(lua_State* lua, std::string_view code, const char* name, int* function);

  // Lets go of what a reference holds.
  void Release(int reference);

  // The references below are slots of Lua's registry.
  int error_handler = LUA_NOREF;  // for lua_pcall: turns an error into {err, source, line}
  int globals = LUA_NOREF;        // what scripts see through the read-only global table
  int load_globals = LUA_NOREF;   // the same while a library of functions loads

  // Switches what the global table shows.
  void ShowGlobals(int reference);

  // ---- for the functions that scripts call
  bool IsReadOnly(const void* table) const {
    for (const void* one : read_only_) {
      if (one == table) return true;
    }
    return false;
  }
  void AddReadOnly(const void* table) { read_only_.push_back(table); }
  std::vector<std::string_view> words;  // redis.call's arguments
  std::string numbers;                  // those of them that were numbers
  std::string packed;                   // what cmsgpack.pack has so far
  bool gc_changed = false;              // collectgarbage was called
  int64_t random_seed = 0x330e;         // of math.random: the state of drand48, seeded with 0

 private:
  void Collect();
  static void* Allocate(void* self, void* block, size_t old_size, size_t new_size);

  Use use_;
  ScriptHost* host_;
  const int64_t* memory_limit_;
  size_t bytes_ = 0;
  bool collecting_ = false;
  std::vector<const void*> read_only_;
  lua_State* lua_ = nullptr;
};

// What the parts of the interpreter offer each other; each leaves one value on the stack, or takes
// the place of luaopen_*.
extern "C" {
int OpenCmsgpack(lua_State* lua);
int OpenStruct(lua_State* lua);
// From Debian's lua-cjson and lua-bitop.
int luaopen_cjson(lua_State* lua);
int luaopen_bit(lua_State* lua);
}
// The tables `redis` of scripts, of functions, and of libraries while they load.
void PushRedisTable(lua_State* lua, LuaState::Use use, std::string_view version);
void PushLoadRedisTable(lua_State* lua, std::string_view version);
// Builds the sandbox from a fresh state whose stack holds the table `redis`, which it takes.
void OpenSandbox(lua_State* lua, LuaState* state);
// A table on top of the stack becomes one that shows the same and refuses to be changed.
void MakeReadOnly(lua_State* lua, LuaState* state);

// Raises what scripts see of an error that Redis itself finds: a table {err = text}. Without a code
// in front ("-CODE text"), the code is ERR. `counted`: INFO has counted it already.
int RaiseError(lua_State* lua, std::string_view text, bool counted = false);
// Pushes such a table.
void PushError(lua_State* lua, std::string_view text, bool counted = false);

}  // namespace sluice
