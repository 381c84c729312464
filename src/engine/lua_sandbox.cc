// What scripts may touch. Every table that scripts share (the globals, the libraries) is shown to
// them through an empty table whose metatable finds everything in the real one and refuses
// assignments, so that no script can leave anything behind for the next. Lua itself knows no read-
// only tables; the few functions that would write into or look behind such an empty table are
// wrapped here, everything else of the standard libraries is Lua's own.
#include <cstring>

#include "src/engine/lua_state.h"

namespace sluice {
namespace {

constexpr const char* kReadOnly = "Attempt to modify a readonly table";

// Globals of Lua and of its libraries that scripts have; the others are not there.
constexpr const char* kBuiltins[] = {
    "_VERSION", "assert",   "collectgarbage", "coroutine", "error", "gcinfo",   "ipairs",
    "math",     "rawequal", "select",         "string",    "table", "tonumber", "tostring",
    "type",     "unpack",   "xpcall",         "cjson",     "bit",   "struct",   "cmsgpack",
};

bool IsReadOnly(lua_State* lua, int index) {
  return lua_istable(lua, index) && LuaState::Of(lua).IsReadOnly(lua_topointer(lua, index));
}

int RefuseChange(lua_State* lua) { return luaL_error(lua, "%s", kReadOnly); }

// The same, as the functions say it that are not Lua code: without a position.
int RefuseRawChange(lua_State* lua) {
  lua_pushstring(lua, kReadOnly);
  return lua_error(lua);
}

// Puts the real table in the place of one that stands for it.
void LookBehind(lua_State* lua, int index) {
  lua_getmetatable(lua, index);
  lua_getfield(lua, -1, "__index");
  lua_replace(lua, index);
  lua_pop(lua, 1);
}

int Next(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 2);
  if (IsReadOnly(lua, 1)) LookBehind(lua, 1);
  if (lua_next(lua, 1)) return 2;
  lua_pushnil(lua);
  return 1;
}

int Pairs(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 1);
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_insert(lua, 1);
  lua_pushnil(lua);
  return 3;
}

int RawGet(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  if (IsReadOnly(lua, 1)) LookBehind(lua, 1);
  lua_rawget(lua, 1);
  return 1;
}

int RawSet(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  luaL_checkany(lua, 3);
  if (IsReadOnly(lua, 1)) return RefuseRawChange(lua);
  lua_settop(lua, 3);
  lua_rawset(lua, 1);
  return 1;
}

// The globals and strings have a metatable; what a script gets of it is read-only too. That of any
// other shared table is nobody's business.
int GetMetatable(lua_State* lua) {
  luaL_checkany(lua, 1);
  if (lua_type(lua, 1) == LUA_TSTRING) return lua_pushvalue(lua, lua_upvalueindex(1)), 1;
  if (IsReadOnly(lua, 1)) {
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    if (!lua_rawequal(lua, 1, -1)) return lua_pushnil(lua), 1;
    return lua_pushvalue(lua, lua_upvalueindex(2)), 1;
  }
  if (!lua_getmetatable(lua, 1)) return lua_pushnil(lua), 1;
  luaL_getmetafield(lua, 1, "__metatable");
  return 1;
}

int SetMetatable(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  int type = lua_type(lua, 2);
  luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
  if (luaL_getmetafield(lua, 1, "__metatable")) {
    return luaL_error(lua, "cannot change a protected metatable");
  }
  if (IsReadOnly(lua, 1)) return RefuseRawChange(lua);
  lua_settop(lua, 2);
  lua_setmetatable(lua, 1);
  return 1;
}

// table.insert writes past metatables: Lua's own, unless it is on a shared table.
int UnlessReadOnly(lua_State* lua) {
  if (IsReadOnly(lua, 1)) return RefuseRawChange(lua);
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

// Lua's own, on what is behind a shared table.
int Behind(lua_State* lua) {
  if (IsReadOnly(lua, 1)) LookBehind(lua, 1);
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

// The collector may be told to stop; that lasts as long as the script (see LuaState::Protect).
int CollectGarbage(lua_State* lua) {
  LuaState::Of(lua).gc_changed = true;
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

// Redis's pcall gives the text of an error that is a table with a field `err`.
int ProtectedCall(lua_State* lua) {
  luaL_checkany(lua, 1);
  int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
  if (status != 0 && lua_istable(lua, -1)) {
    lua_getfield(lua, -1, "err");
    if (lua_isstring(lua, -1)) {
      lua_replace(lua, -2);
    } else {
      lua_pop(lua, 1);
    }
  }
  lua_pushboolean(lua, status == 0);
  lua_insert(lua, 1);
  return lua_gettop(lua);
}

// Compiled code can do anything to the interpreter, so only source is taken. Lua's parser says this
// of a byte that begins no statement; it would have been asked if it did not know compiled code.
int RefuseCompiled(lua_State* lua, const char* name) {
  lua_pushnil(lua);
  char shown[LUA_IDSIZE];
  std::strcpy(shown, "[string \"");
  if (*name == '=' || *name == '@') {
    std::strncpy(shown, name + 1, sizeof shown - 1);
  } else {
    size_t n = std::strcspn(name, "\n\r");
    bool cut = n > LUA_IDSIZE - 17 || name[n] != '\0';
    if (n > LUA_IDSIZE - 17) n = LUA_IDSIZE - 17;
    std::strncat(shown, name, n);
    std::strcat(shown, cut ? "...\"]" : "\"]");
  }
  shown[sizeof shown - 1] = 0;
  lua_pushfstring(lua, "%s:1: unexpected symbol near 'char(27)'", shown);
  return 2;
}

int LoadString(lua_State* lua) {
  size_t size;
  const char* code = luaL_checklstring(lua, 1, &size);
  const char* name = luaL_optstring(lua, 2, code);
  if (size > 0 && *code == LUA_SIGNATURE[0]) return RefuseCompiled(lua, name);
  if (luaL_loadbuffer(lua, code, size, name) == 0) return 1;
  lua_pushnil(lua);
  lua_insert(lua, -2);
  return 2;
}

// The pieces of a chunk come from a function; the first byte of all decides.
struct Reading {
  bool begun = false;
  bool compiled = false;
};

const char* ReadPiece(lua_State* lua, void* argument, size_t* size) {
  auto* reading = static_cast<Reading*>(argument);
  luaL_checkstack(lua, 2, "too many nested functions");
  lua_pushvalue(lua, 1);
  lua_call(lua, 0, 1);
  if (lua_isnil(lua, -1)) return *size = 0, nullptr;
  if (!lua_isstring(lua, -1)) luaL_error(lua, "reader function must return a string");
  lua_replace(lua, 3);  // keeps it alive
  const char* piece = lua_tolstring(lua, 3, size);
  if (!reading->begun && *size > 0) {
    reading->begun = true;
    reading->compiled = *piece == LUA_SIGNATURE[0];
    // An end that the parser does not like: nothing of it is looked at.
    if (reading->compiled) return *size = 1, "\x01";
  }
  return reading->compiled ? (*size = 0, nullptr) : piece;
}

int Load(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  const char* name = luaL_optstring(lua, 2, "=(load)");
  lua_settop(lua, 3);
  Reading reading;
  int status = lua_load(lua, ReadPiece, &reading, name);
  if (reading.compiled) return RefuseCompiled(lua, name);
  if (status == 0) return 1;
  lua_pushnil(lua);
  lua_insert(lua, -2);
  return 2;
}

// math.random as Redis has it: the same numbers everywhere, from the generator of drand48.
int32_t NextRandom(lua_State* lua) {
  LuaState& state = LuaState::Of(lua);
  uint64_t next = static_cast<uint64_t>(state.random_seed) * 0x5deece66d + 0xb;
  state.random_seed = static_cast<int64_t>(next & ((uint64_t{1} << 48) - 1));
  return static_cast<int32_t>(state.random_seed >> 17);
}

int Random(lua_State* lua) {
  constexpr int32_t kMost = 0x7fffffff;
  double r = static_cast<double>(NextRandom(lua) % kMost) / kMost;
  int n = lua_gettop(lua);
  if (n == 0) return lua_pushnumber(lua, r), 1;
  if (n > 2) return luaL_error(lua, "wrong number of arguments");
  int low = n == 1 ? 1 : luaL_checkint(lua, 1), high = luaL_checkint(lua, n);
  luaL_argcheck(lua, low <= high, n, "interval is empty");
  double width = static_cast<double>(high) - low + 1;
  double floored = static_cast<double>(static_cast<int64_t>(r * width));
  lua_pushnumber(lua, floored + low);
  return 1;
}

int RandomSeed(lua_State* lua) {
  auto seed = static_cast<uint32_t>(luaL_checkint(lua, 1));
  LuaState::Of(lua).random_seed = static_cast<int64_t>((uint64_t{seed} << 16) | 0x330e);
  return 0;
}

int NoSuchGlobal(lua_State* lua) {
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                    lua_isstring(lua, 2) ? lua_tostring(lua, 2) : "?");
}

// Puts a function in front of one of the library on top of the stack.
void Wrap(lua_State* lua, const char* name, lua_CFunction with) {
  lua_getfield(lua, -1, name);
  lua_pushcclosure(lua, with, 1);
  lua_setfield(lua, -2, name);
}

void ReplaceLibraryFunctions(lua_State* lua) {
  lua_getglobal(lua, "table");
  Wrap(lua, "insert", UnlessReadOnly);
  Wrap(lua, "foreach", Behind);
  lua_pop(lua, 1);
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  Wrap(lua, "collectgarbage", CollectGarbage);
  lua_pop(lua, 1);
  lua_getglobal(lua, "math");
  lua_pushcfunction(lua, Random);
  lua_setfield(lua, -2, "random");
  lua_pushcfunction(lua, RandomSeed);
  lua_setfield(lua, -2, "randomseed");
  lua_pop(lua, 1);
}

// The whole of the library `os` that scripts get.
void PushOs(lua_State* lua) {
  lua_pushcfunction(lua, luaopen_os);
  lua_pushliteral(lua, "os");
  lua_call(lua, 1, 1);
  lua_getfield(lua, -1, "clock");
  lua_newtable(lua);
  lua_insert(lua, -2);
  lua_setfield(lua, -2, "clock");
  lua_replace(lua, -2);
}

void AddWrappers(lua_State* lua, int to, LuaState* state) {
  struct {
    const char* name;
    lua_CFunction function;
  } const wrappers[] = {{"next", Next},
                        {"rawget", RawGet},
                        {"rawset", RawSet},
                        {"setmetatable", SetMetatable},
                        {"pcall", ProtectedCall},
                        {"loadstring", LoadString},
                        {"load", Load}};
  for (auto& wrapper : wrappers) {
    lua_pushcfunction(lua, wrapper.function);
    lua_setfield(lua, to, wrapper.name);
  }
  lua_getfield(lua, to, "next");
  lua_pushcclosure(lua, Pairs, 1);
  lua_setfield(lua, to, "pairs");
  // What getmetatable shows for strings, and for the globals.
  lua_newtable(lua);
  lua_getfield(lua, to, "string");
  lua_setfield(lua, -2, "__index");
  MakeReadOnly(lua, state);
  lua_newtable(lua);
  lua_pushcfunction(lua, NoSuchGlobal);
  lua_setfield(lua, -2, "__index");
  MakeReadOnly(lua, state);
  lua_pushcclosure(lua, GetMetatable, 2);
  lua_setfield(lua, to, "getmetatable");
}

}  // namespace

void MakeReadOnly(lua_State* lua, LuaState* state) {
  lua_newtable(lua);  // what is shown
  state->AddReadOnly(lua_topointer(lua, -1));
  // It must live as long as its address is known.
  lua_pushvalue(lua, -1);
  (void)luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_newtable(lua);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, RefuseChange);
  lua_setfield(lua, -2, "__newindex");
  lua_setmetatable(lua, -2);
  lua_replace(lua, -2);
}

void OpenSandbox(lua_State* lua, LuaState* state) {
  ReplaceLibraryFunctions(lua);
  lua_newtable(lua);
  int globals = lua_gettop(lua), redis = globals - 1;
  lua_pushvalue(lua, redis);
  MakeReadOnly(lua, state);
  lua_setfield(lua, globals, "redis");
  for (const char* name : kBuiltins) {
    lua_getglobal(lua, name);
    if (lua_istable(lua, -1)) MakeReadOnly(lua, state);
    lua_setfield(lua, globals, name);
  }
  PushOs(lua);
  MakeReadOnly(lua, state);
  lua_setfield(lua, globals, "os");
  AddWrappers(lua, globals, state);
  // A name that is not there is an error.
  lua_newtable(lua);
  lua_pushcfunction(lua, NoSuchGlobal);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, globals);

  lua_pushvalue(lua, globals);
  MakeReadOnly(lua, state);
  lua_pushvalue(lua, -1);
  lua_setfield(lua, globals, "_G");
  lua_replace(lua, LUA_GLOBALSINDEX);
  state->globals = luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_pop(lua, 1);
}

}  // namespace sluice
