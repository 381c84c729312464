// The table `redis` that scripts see.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "src/engine/lua_state.h"
#include "src/engine/lua_values.h"
#include "src/engine/script_flags.h"
#include "src/engine/sha1.h"

namespace sluice {
namespace {

// A number as redis.call passes it on: 17 significant digits, so that none is lost.
size_t FormatNumber(double value, char* out, size_t room) {
  if (std::fabs(value) < 1e17 && value == std::trunc(value) &&
      (value != 0 || !std::signbit(value))) {
    return std::to_chars(out, out + room, static_cast<long long>(value)).ptr - out;
  }
  return static_cast<size_t>(std::snprintf(out, room, "%.17g", value));
}

// Reads the arguments into state.words; nullptr, or what is wrong with them.
const char* ReadWords(lua_State* lua, LuaState& state) {
  constexpr size_t kNumberRoom = 32;
  int n = lua_gettop(lua);
  if (n == 0) return "Please specify at least one argument for this redis lib call";
  state.words.clear();
  // Reserved at once, so that the views into it stay good.
  if (state.numbers.size() < n * kNumberRoom) state.numbers.resize(n * kNumberRoom);
  for (int i = 1; i <= n; ++i) {
    if (lua_type(lua, i) == LUA_TNUMBER) {
      char* digits = state.numbers.data() + (i - 1) * kNumberRoom;
      state.words.emplace_back(digits, FormatNumber(lua_tonumber(lua, i), digits, kNumberRoom));
    } else if (lua_type(lua, i) == LUA_TSTRING) {
      size_t size;
      const char* bytes = lua_tolstring(lua, i, &size);
      state.words.emplace_back(bytes, size);
    } else {
      return "Lua redis lib command arguments must be strings or integers";
    }
  }
  return nullptr;
}

int Execute(lua_State* lua, bool raise) {
  LuaState& state = LuaState::Of(lua);
  if (const char* wrong = ReadWords(lua, state)) {
    PushError(lua, wrong);
    return raise ? lua_error(lua) : 1;
  }
  std::string_view refused = state.host().Execute(state.words);
  if (!refused.empty()) {
    PushError(lua, refused, true);
    return raise ? lua_error(lua) : 1;
  }
  const char* reply = state.host().reply().view().data();
  bool failed = *reply == '-';
  PushReply(lua, reply);
  return failed && raise ? lua_error(lua) : 1;
}

int Call(lua_State* lua) { return Execute(lua, true); }
int Pcall(lua_State* lua) { return Execute(lua, false); }

int AclCheckCmd(lua_State* lua) {
  LuaState& state = LuaState::Of(lua);
  if (const char* wrong = ReadWords(lua, state)) return RaiseError(lua, wrong);
  ScriptHost::Permission permission = state.host().MayExecute(state.words);
  if (permission == ScriptHost::Permission::kUnknownCommand) {
    return RaiseError(lua, "Invalid command passed to redis.acl_check_cmd()");
  }
  lua_pushboolean(lua, permission == ScriptHost::Permission::kGranted);
  return 1;
}

int ErrorReply(lua_State* lua) {
  if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
    PushError(lua, "wrong number or type of arguments");
    return 1;
  }
  size_t size;
  const char* text = lua_tolstring(lua, 1, &size);
  std::string_view view(text, size);
  // A code is a first word that something follows; without one it is ERR.
  if (view.starts_with('-')) view.remove_prefix(1);
  lua_newtable(lua);
  if (view.find(' ') == std::string_view::npos) lua_pushliteral(lua, "ERR ");
  lua_pushlstring(lua, view.data(), view.size());
  if (lua_gettop(lua) == 4) lua_concat(lua, 2);
  lua_setfield(lua, 2, "err");
  return 1;
}

int StatusReply(lua_State* lua) {
  if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
    PushError(lua, "wrong number or type of arguments");
    return 1;
  }
  lua_newtable(lua);
  lua_insert(lua, 1);
  lua_setfield(lua, 1, "ok");
  return 1;
}

int Sha1(lua_State* lua) {
  if (lua_gettop(lua) != 1) return RaiseError(lua, "wrong number of arguments");
  size_t size = 0;
  const char* bytes = lua_tolstring(lua, 1, &size);
  char hex[40];
  Sha1Hex({bytes ? bytes : "", size}).copy(hex, sizeof hex);
  lua_pushlstring(lua, hex, sizeof hex);
  return 1;
}

int Log(lua_State* lua) {
  int n = lua_gettop(lua);
  if (n < 2) return RaiseError(lua, "redis.log() requires two arguments or more.");
  if (!lua_isnumber(lua, 1)) {
    return RaiseError(lua, "First argument must be a number (log level).");
  }
  int level = static_cast<int>(lua_tonumber(lua, 1));
  if (level < 0 || level > 3) return RaiseError(lua, "Invalid debug level.");
  for (int i = 2; i <= n; ++i) {
    if (lua_isstring(lua, i)) continue;
    lua_pushliteral(lua, "");
    lua_replace(lua, i);
  }
  // Joined by Lua, which holds the result on its stack.
  lua_pushliteral(lua, "");
  for (int i = 2; i <= n; ++i) {
    if (i > 2) lua_pushliteral(lua, " ");
    lua_pushvalue(lua, i);
    lua_concat(lua, i > 2 ? 3 : 2);
  }
  size_t size;
  const char* line = lua_tolstring(lua, -1, &size);
  LuaState::Of(lua).host().Log(level, {line, size});
  return 0;
}

int SetResp(lua_State* lua) {
  if (lua_gettop(lua) != 1) return RaiseError(lua, "redis.setresp() requires one argument.");
  int protocol = static_cast<int>(lua_tonumber(lua, 1));
  if (protocol != 2 && protocol != 3) return RaiseError(lua, "RESP version must be 2 or 3.");
  LuaState::Of(lua).host().SetProtocol(protocol);
  return 0;
}

// Effects are what is made durable and replicated, always and all of them; nothing to choose.
int SetRepl(lua_State* lua) {
  if (lua_gettop(lua) != 1) return RaiseError(lua, "redis.set_repl() requires two arguments.");
  int what = static_cast<int>(lua_tonumber(lua, 1));
  if (what & ~3) {
    return RaiseError(lua,
                      "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                      "REPL_NONE.");
  }
  return 0;
}

int ReplicateCommands(lua_State* lua) {
  lua_pushboolean(lua, 1);
  return 1;
}

// There is no debugger: it is never active.
int Breakpoint(lua_State* lua) {
  lua_pushboolean(lua, 0);
  return 1;
}
int Debug(lua_State*) { return 0; }

// ---- redis.register_function

bool TextAt(lua_State* lua, int index, std::string_view* text) {
  if (!lua_isstring(lua, index)) return false;
  size_t size;
  const char* bytes = lua_tolstring(lua, index, &size);
  *text = {bytes, size};
  return true;
}

// The flags in the table on top of the stack; nullptr, or what is wrong.
const char* ReadFlags(lua_State* lua, uint32_t* flags) {
  for (int i = 1;; ++i) {
    lua_rawgeti(lua, -1, i);
    if (lua_isnil(lua, -1)) return lua_pop(lua, 1), nullptr;
    std::string_view name;
    uint32_t flag = lua_isstring(lua, -1) && TextAt(lua, -1, &name) ? ScriptFlag(name) : 0;
    lua_pop(lua, 1);
    if (!flag) return "unknown flag given";
    *flags |= flag;
  }
}

int FinishRegister(lua_State* lua, std::string_view name, std::string_view description,
                   uint32_t flags) {
  // The callback is on top of the stack.
  int callback = luaL_ref(lua, LUA_REGISTRYINDEX);
  const char* wrong = LuaState::Of(lua).host().Register(name, callback, description, flags);
  if (!wrong) return 0;
  luaL_unref(lua, LUA_REGISTRYINDEX, callback);
  return RaiseError(lua, wrong);
}

// {function_name=, callback=, description=, flags=}
int RegisterNamed(lua_State* lua) {
  std::string_view name, description;
  bool named = false, has_callback = false;
  uint32_t flags = 0;
  lua_settop(lua, 1);
  lua_pushnil(lua);  // the callback's place
  lua_pushnil(lua);
  while (lua_next(lua, 1)) {
    if (!lua_isstring(lua, -2)) {
      return RaiseError(lua, "named argument key given to redis.register_function is not a string");
    }
    std::string_view key = lua_tostring(lua, -2);
    if (key == "function_name") {
      // A number becomes a string; the table keeps that one.
      if (!TextAt(lua, -1, &name)) {
        return RaiseError(
            lua, "function_name argument given to redis.register_function must be a string");
      }
      lua_pushvalue(lua, -1);
      lua_insert(lua, 3);  // keeps it alive
      named = true;
    } else if (key == "description") {
      if (!TextAt(lua, -1, &description)) {
        return RaiseError(lua,
                          "description argument given to redis.register_function must be a string");
      }
      lua_pushvalue(lua, -1);
      lua_insert(lua, 3);
    } else if (key == "callback") {
      if (!lua_isfunction(lua, -1)) {
        return RaiseError(lua,
                          "callback argument given to redis.register_function must be a function");
      }
      lua_pushvalue(lua, -1);
      lua_replace(lua, 2);
      has_callback = true;
    } else if (key == "flags") {
      if (!lua_istable(lua, -1)) {
        return RaiseError(lua,
                          "flags argument to redis.register_function must be a table representing "
                          "function flags");
      }
      if (const char* wrong = ReadFlags(lua, &flags)) return RaiseError(lua, wrong);
    } else {
      return RaiseError(lua, "unknown argument given to redis.register_function");
    }
    lua_pop(lua, 1);
  }
  if (!named) return RaiseError(lua, "redis.register_function must get a function name argument");
  if (!has_callback) {
    return RaiseError(lua, "redis.register_function must get a callback argument");
  }
  lua_pushvalue(lua, 2);
  return FinishRegister(lua, name, description, flags);
}

int RegisterFunction(lua_State* lua) {
  int n = lua_gettop(lua);
  if (n < 1 || n > 2) {
    return RaiseError(lua, "wrong number of arguments to redis.register_function");
  }
  if (n == 1) {
    if (lua_istable(lua, 1)) return RegisterNamed(lua);
    return RaiseError(lua,
                      "calling redis.register_function with a single argument is only applicable "
                      "to Lua table (representing named arguments).");
  }
  std::string_view name;
  if (!TextAt(lua, 1, &name)) {
    return RaiseError(lua, "first argument to redis.register_function must be a string");
  }
  if (!lua_isfunction(lua, 2)) {
    return RaiseError(lua, "second argument to redis.register_function must be a function");
  }
  return FinishRegister(lua, name, {}, 0);
}

// ---- the tables

struct Entry {
  const char* name;
  lua_CFunction function;
};

void Set(lua_State* lua, const char* name, int value) {
  lua_pushinteger(lua, value);
  lua_setfield(lua, -2, name);
}

void Set(lua_State* lua, const Entry& entry) {
  lua_pushcfunction(lua, entry.function);
  lua_setfield(lua, -2, entry.name);
}

// What every one of the tables has.
void SetCommon(lua_State* lua, std::string_view version) {
  Set(lua, {"log", Log});
  Set(lua, "LOG_DEBUG", 0);
  Set(lua, "LOG_VERBOSE", 1);
  Set(lua, "LOG_NOTICE", 2);
  Set(lua, "LOG_WARNING", 3);
  lua_pushlstring(lua, version.data(), version.size());
  lua_setfield(lua, -2, "REDIS_VERSION");
  int number = 0, part = 0;
  for (char c : version) {
    if (c == '.') number = number << 8 | part, part = 0;
    if (c >= '0' && c <= '9') part = part * 10 + (c - '0');
  }
  Set(lua, "REDIS_VERSION_NUM", number << 8 | part);
}

int NoSuchField(lua_State* lua) {
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                    lua_isstring(lua, 2) ? lua_tostring(lua, 2) : "?");
}

}  // namespace

void PushRedisTable(lua_State* lua, LuaState::Use use, std::string_view version) {
  lua_newtable(lua);
  SetCommon(lua, version);
  for (const Entry& entry : {Entry{"call", Call},
                             {"pcall", Pcall},
                             {"acl_check_cmd", AclCheckCmd},
                             {"error_reply", ErrorReply},
                             {"status_reply", StatusReply},
                             {"sha1hex", Sha1},
                             {"setresp", SetResp},
                             {"set_repl", SetRepl}}) {
    Set(lua, entry);
  }
  Set(lua, "REPL_NONE", 0);
  Set(lua, "REPL_AOF", 1);
  Set(lua, "REPL_SLAVE", 2);
  Set(lua, "REPL_REPLICA", 2);
  Set(lua, "REPL_ALL", 3);
  if (use == LuaState::Use::kFunctions) return;
  Set(lua, {"replicate_commands", ReplicateCommands});
  Set(lua, {"breakpoint", Breakpoint});
  Set(lua, {"debug", Debug});
}

void PushLoadRedisTable(lua_State* lua, std::string_view version) {
  lua_newtable(lua);
  SetCommon(lua, version);
  Set(lua, {"register_function", RegisterFunction});
  lua_newtable(lua);
  lua_pushcfunction(lua, NoSuchField);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
}

}  // namespace sluice
