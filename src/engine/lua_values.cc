#include "src/engine/lua_values.h"

#include <charconv>
#include <cstring>

namespace sluice {
namespace {

// ---- replies to Lua

const char* LineEnd(const char* p) {
  while (*p != '\r') ++p;
  return p;
}

long long ReadNumber(const char** p) {
  bool negative = **p == '-';
  if (negative) ++*p;
  unsigned long long n = 0;
  for (; **p != '\r'; ++*p) n = n * 10 + static_cast<unsigned>(**p - '0');
  *p += 2;
  return static_cast<long long>(negative ? 0 - n : n);
}

// {name = value}, the value being on top of the stack.
void Name(lua_State* lua, const char* name) {
  lua_createtable(lua, 0, 1);
  lua_insert(lua, -2);
  lua_setfield(lua, -2, name);
}

const char* PushLine(lua_State* lua, const char* p) {
  const char* end = LineEnd(p);
  lua_pushlstring(lua, p, end - p);
  return end + 2;
}

const char* PushDouble(lua_State* lua, const char* p) {
  const char* end = LineEnd(p);
  double value = 0;
  std::from_chars(p, end, value);  // "inf", "-nan" too
  lua_pushnumber(lua, value);
  Name(lua, "double");
  return end + 2;
}

const char* PushVerbatim(lua_State* lua, const char* p) {
  long long size = ReadNumber(&p);
  lua_createtable(lua, 0, 2);
  lua_pushlstring(lua, p, 3);
  lua_setfield(lua, -2, "format");
  lua_pushlstring(lua, p + 4, size - 4);
  lua_setfield(lua, -2, "string");
  Name(lua, "verbatim_string");
  return p + size + 2;
}

const char* PushArray(lua_State* lua, const char* p) {
  long long n = ReadNumber(&p);
  if (n < 0) return lua_pushboolean(lua, 0), p;
  lua_createtable(lua, static_cast<int>(n), 0);
  for (long long i = 1; i <= n; ++i) {
    p = PushReply(lua, p);
    lua_rawseti(lua, -2, static_cast<int>(i));
  }
  return p;
}

const char* PushMap(lua_State* lua, const char* p) {
  long long n = ReadNumber(&p);
  lua_createtable(lua, 0, static_cast<int>(n));
  for (long long i = 0; i < n; ++i) {
    p = PushReply(lua, p);
    p = PushReply(lua, p);
    lua_rawset(lua, -3);
  }
  Name(lua, "map");
  return p;
}

const char* PushSet(lua_State* lua, const char* p) {
  long long n = ReadNumber(&p);
  lua_createtable(lua, 0, static_cast<int>(n));
  for (long long i = 0; i < n; ++i) {
    p = PushReply(lua, p);
    lua_pushboolean(lua, 1);
    lua_rawset(lua, -3);
  }
  Name(lua, "set");
  return p;
}

// ---- Lua to replies

// C's conversion of what no integer can hold is anything; this is what it is where Redis runs.
int64_t ToInteger(double value) {
  return value >= -0x1p63 && value < 0x1p63 ? static_cast<int64_t>(value) : INT64_MIN;
}

std::string_view StringAt(lua_State* lua, int index) {
  size_t size;
  const char* bytes = lua_tolstring(lua, index, &size);
  return {bytes, size};
}

// Pushes the field; true when it is of that type, else pops it again.
bool HasField(lua_State* lua, const char* name, int type) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  if (lua_type(lua, -1) == type) return true;
  lua_pop(lua, 1);
  return false;
}

void WriteError(lua_State* lua, resp::ReplyWriter reply, bool top, WrittenValue* written) {
  std::string_view text = StringAt(lua, -1);
  bool counted = false;
  lua_pushliteral(lua, "ignore_error_stats_update");
  lua_rawget(lua, -3);
  if (lua_toboolean(lua, -1)) counted = true;
  lua_pop(lua, 1);
  written->failed = true;
  if (top) {
    written->counted = counted;
  } else if (!counted && written->count) {
    written->count(written->context, text);
  }
  reply.Error(text);
}

class Writer {
 public:
  Writer(lua_State* lua, resp::ReplyWriter reply, int protocol, WrittenValue* written)
      : lua_(lua), reply_(reply), protocol_(protocol), written_(written) {}

  // Writes what is on top of the stack, and pops it.
  void Value(bool top) {
    switch (lua_type(lua_, -1)) {
      case LUA_TSTRING:
        reply_.Bulk(StringAt(lua_, -1));
        break;
      case LUA_TNUMBER:
        reply_.Integer(ToInteger(lua_tonumber(lua_, -1)));
        break;
      case LUA_TBOOLEAN:
        Truth(lua_toboolean(lua_, -1));
        break;
      case LUA_TTABLE:
        if (!lua_checkstack(lua_, 6)) {
          reply_.Error("ERR reached lua stack limit");
          written_->failed = true;
        } else if (!Special(top)) {
          Array();
        }
        break;
      default:
        reply_.Null();
    }
    lua_pop(lua_, 1);
  }

 private:
  void Truth(bool value) {
    if (protocol_ >= 3) return reply_.Bool(value);
    value ? reply_.Integer(1) : reply_.Null();
  }

  // A table that says what it is by the name of its field.
  bool Special(bool top) {
    if (HasField(lua_, "err", LUA_TSTRING)) {
      WriteError(lua_, reply_, top, written_);
    } else if (HasField(lua_, "ok", LUA_TSTRING)) {
      reply_.SimpleString(StringAt(lua_, -1));
    } else if (HasField(lua_, "double", LUA_TNUMBER)) {
      reply_.Double(lua_tonumber(lua_, -1));
    } else if (HasField(lua_, "map", LUA_TTABLE)) {
      Pairs(true);
    } else if (HasField(lua_, "set", LUA_TTABLE)) {
      Pairs(false);
    } else if (HasField(lua_, "big_number", LUA_TSTRING)) {
      reply_.BigNumber(StringAt(lua_, -1));
    } else if (HasField(lua_, "verbatim_string", LUA_TTABLE)) {
      return Verbatim();
    } else {
      return false;
    }
    lua_pop(lua_, 1);
    return true;
  }

  // A map, or a set, whose members are the keys.
  void Pairs(bool map) {
    size_t mark = map ? reply_.BeginMap() : reply_.BeginSet(), n = 0;
    lua_pushnil(lua_);
    while (lua_next(lua_, -2)) {
      if (!map) lua_pop(lua_, 1);
      lua_pushvalue(lua_, map ? -2 : -1);
      Value(false);
      if (map) Value(false);
      ++n;
    }
    map ? reply_.EndMap(mark, n) : reply_.EndSet(mark, n);
  }

  bool Verbatim() {
    if (HasField(lua_, "format", LUA_TSTRING)) {
      std::string_view format = StringAt(lua_, -1);
      lua_pop(lua_, 1);  // the table still holds it
      if (HasField(lua_, "string", LUA_TSTRING)) {
        char three[3] = {' ', ' ', ' '};
        std::memcpy(three, format.data(), std::min<size_t>(3, format.size()));
        reply_.Verbatim({three, 3}, StringAt(lua_, -1));
        lua_pop(lua_, 2);
        return true;
      }
    }
    lua_pop(lua_, 1);
    return false;
  }

  // Up to the first nil.
  void Array() {
    size_t mark = reply_.BeginArray(lua_objlen(lua_, -1)), n = 0;
    while (true) {
      lua_rawgeti(lua_, -1, static_cast<int>(n + 1));
      if (lua_isnil(lua_, -1)) break;
      Value(false);
      ++n;
    }
    lua_pop(lua_, 1);
    reply_.EndArray(mark, n);
  }

  lua_State* lua_;
  resp::ReplyWriter reply_;
  int protocol_;
  WrittenValue* written_;
};

}  // namespace

const char* PushReply(lua_State* lua, const char* p) {
  luaL_checkstack(lua, 6, "reply is nested too deeply");
  switch (*p++) {
    case ':':
      lua_pushnumber(lua, static_cast<lua_Number>(ReadNumber(&p)));
      return p;
    case '$': {
      long long size = ReadNumber(&p);
      if (size < 0) return lua_pushboolean(lua, 0), p;
      lua_pushlstring(lua, p, size);
      return p + size + 2;
    }
    case '+':
      p = PushLine(lua, p);
      return Name(lua, "ok"), p;
    case '-':
      p = PushLine(lua, p);
      Name(lua, "err");
      lua_pushboolean(lua, 1);
      lua_setfield(lua, -2, "ignore_error_stats_update");
      return p;
    case '*':
    case '>':
      return PushArray(lua, p);
    case '%':
      return PushMap(lua, p);
    case '~':
      return PushSet(lua, p);
    case ',':
      return PushDouble(lua, p);
    case '#':
      lua_pushboolean(lua, *p == 't');
      return p + 3;
    case '_':
      lua_pushnil(lua);
      return p + 2;
    case '(':
      p = PushLine(lua, p);
      return Name(lua, "big_number"), p;
    case '=':
      return PushVerbatim(lua, p);
    default:
      lua_pushnil(lua);
      return p;
  }
}

void WriteValue(lua_State* lua, resp::ReplyWriter reply, int protocol, WrittenValue* written) {
  Writer(lua, reply, protocol, written).Value(true);
}

}  // namespace sluice
