#include "src/engine/lua_state.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

// How many instructions of the interpreter pass between two looks at the clock: about a
// millisecond.
constexpr int kInstructionsPerLook = 100'000;

void Look(lua_State* lua, lua_Debug*) {
  LuaState& state = LuaState::Of(lua);
  const char* why = state.host().Interrupted();
  if (!why) return;
  // From now on at every line, so that a pcall that catches it does not help.
  lua_sethook(lua, Look, LUA_MASKLINE, 0);
  RaiseError(lua, why);
}

// Redis's words for a position are the source and the line of what raised the error, not of the C
// function (`error`, redis.call) that it was done with.
int HandleError(lua_State* lua) {
  lua_Debug at;
  bool known = lua_getstack(lua, 1, &at) && lua_getinfo(lua, "Sl", &at);
  if (known && *at.what == 'C') known = lua_getstack(lua, 2, &at) && lua_getinfo(lua, "Sl", &at);
  if (!lua_istable(lua, 1)) {
    lua_newtable(lua);
    lua_pushliteral(lua, "ERR ");
    if (lua_isstring(lua, 1)) {
      lua_pushvalue(lua, 1);
    } else if (lua_isboolean(lua, 1)) {
      lua_pushstring(lua, lua_toboolean(lua, 1) ? "true" : "false");
    } else if (lua_isnil(lua, 1)) {
      lua_pushliteral(lua, "nil");
    } else {
      lua_pushfstring(lua, "%s: %p", luaL_typename(lua, 1), lua_topointer(lua, 1));
    }
    lua_concat(lua, 2);
    lua_setfield(lua, -2, "err");
    lua_replace(lua, 1);
  }
  lua_settop(lua, 1);
  if (known && !LuaState::Of(lua).IsReadOnly(lua_topointer(lua, 1))) {
    lua_pushstring(lua, at.source);
    lua_setfield(lua, 1, "source");
    lua_pushinteger(lua, at.currentline);
    lua_setfield(lua, 1, "line");
  }
  return 1;
}

struct Opening {
  LuaState* state;
  std::string_view version;
};

void OpenAll(lua_State* lua, void* argument) {
  auto* opening = static_cast<Opening*>(argument);
  for (lua_CFunction open : {luaopen_base, luaopen_table, luaopen_string, luaopen_math}) {
    lua_pushcfunction(lua, open);
    lua_pushliteral(lua, "");
    lua_call(lua, 1, 0);
  }
  auto add = [lua](lua_CFunction open, const char* name) {
    lua_pushcfunction(lua, open);
    lua_call(lua, 0, 1);
    lua_setglobal(lua, name);
  };
  add(luaopen_cjson, "cjson");
  add(luaopen_bit, "bit");
  add(OpenStruct, "struct");
  add(OpenCmsgpack, "cmsgpack");
  lua_pushcfunction(lua, HandleError);
  opening->state->error_handler = luaL_ref(lua, LUA_REGISTRYINDEX);
  PushRedisTable(lua, opening->state->use(), opening->version);
  OpenSandbox(lua, opening->state);
  if (opening->state->use() == LuaState::Use::kFunctions) {
    lua_newtable(lua);
    PushLoadRedisTable(lua, opening->version);
    MakeReadOnly(lua, opening->state);
    lua_setfield(lua, -2, "redis");
    lua_rawgeti(lua, LUA_REGISTRYINDEX, opening->state->globals);
    lua_getmetatable(lua, -1);
    lua_setmetatable(lua, -3);
    lua_pop(lua, 1);
    opening->state->load_globals = luaL_ref(lua, LUA_REGISTRYINDEX);
  }
}

struct Protected {
  void (*body)(lua_State*, void*);
  void* argument;
};

int RunProtected(lua_State* lua) {
  auto* job = static_cast<Protected*>(lua_touserdata(lua, 1));
  lua_settop(lua, 0);
  job->body(lua, job->argument);
  return 0;
}

}  // namespace

LuaState::LuaState(Use use, ScriptHost* host, const int64_t* memory_limit, std::string_view version)
    : use_(use), host_(host), memory_limit_(memory_limit) {
  lua_ = lua_newstate(Allocate, this);
  Opening opening{this, version};
  std::string error;
  // Without memory for an empty interpreter the program ends, as everywhere when there is none.
  if (!lua_ || !Protect(OpenAll, &opening, &error)) std::abort();
}

LuaState::~LuaState() { lua_close(lua_); }

void* LuaState::Allocate(void* self, void* block, size_t old_size, size_t new_size) {
  auto* state = static_cast<LuaState*>(self);
  if (new_size == 0) {
    state->bytes_ -= old_size;
    std::free(block);
    return nullptr;
  }
  // Shrinking must not fail.
  if (new_size > old_size && !state->collecting_ &&
      state->bytes_ - old_size + new_size > static_cast<size_t>(*state->memory_limit_)) {
    return nullptr;
  }
  void* moved = std::realloc(block, new_size);
  if (moved) state->bytes_ += new_size - old_size;
  return moved;
}

bool LuaState::Protect(void (*body)(lua_State*, void*), void* argument, std::string* error) {
  Protected job{body, argument};
  int status = lua_cpcall(lua_, RunProtected, &job);
  // One that was interrupted is looked at line by line; the next is not.
  lua_sethook(lua_, Look, LUA_MASKCOUNT, kInstructionsPerLook);
  if (std::exchange(gc_changed, false)) {
    lua_gc(lua_, LUA_GCRESTART, 0);
    lua_gc(lua_, LUA_GCSETPAUSE, LUAI_GCPAUSE);
    lua_gc(lua_, LUA_GCSETSTEPMUL, LUAI_GCMUL);
  }
  if (bytes_ > static_cast<size_t>(*memory_limit_) / 2) Collect();
  if (status == 0) return true;
  *error = lua_type(lua_, -1) == LUA_TSTRING ? lua_tostring(lua_, -1) : "execution failure";
  lua_settop(lua_, 0);
  return false;
}

bool LuaState::Compile(lua_State* lua, std::string_view code, const char* name, int* function) {
  if (luaL_loadbuffer(lua, code.data(), code.size(), name) != 0) return false;
  *function = luaL_ref(lua, LUA_REGISTRYINDEX);
  return true;
}

// Lua does not look for garbage before it gives up for want of memory; after this the next script
// finds room. The collector itself needs a little, and must not fail, as nothing protects it.
void LuaState::Collect() {
  collecting_ = true;
  lua_gc(lua_, LUA_GCCOLLECT, 0);
  collecting_ = false;
}

void LuaState::Release(int reference) {
  auto release = [](lua_State* lua, void* slot) {
    luaL_unref(lua, LUA_REGISTRYINDEX, *static_cast<int*>(slot));
  };
  std::string ignored;
  (void)Protect(release, &reference, &ignored);
}

void LuaState::ShowGlobals(int reference) {
  lua_pushvalue(lua_, LUA_GLOBALSINDEX);
  lua_getmetatable(lua_, -1);
  lua_rawgeti(lua_, LUA_REGISTRYINDEX, reference);
  lua_setfield(lua_, -2, "__index");
  lua_pop(lua_, 2);
}

void PushError(lua_State* lua, std::string_view text, bool counted) {
  lua_newtable(lua);
  if (text.starts_with('-')) {
    text.remove_prefix(1);
    lua_pushlstring(lua, text.data(), text.size());
  } else {
    lua_pushliteral(lua, "ERR ");
    lua_pushlstring(lua, text.data(), text.size());
    lua_concat(lua, 2);
  }
  lua_setfield(lua, -2, "err");
  if (counted) {
    lua_pushboolean(lua, 1);
    lua_setfield(lua, -2, "ignore_error_stats_update");
  }
}

int RaiseError(lua_State* lua, std::string_view text, bool counted) {
  PushError(lua, text, counted);
  return lua_error(lua);
}

}  // namespace sluice
