// The library cmsgpack of scripts: MessagePack, with the choices of the C library that Redis has.
// Integers take the shortest form; other numbers are floats where these lose nothing, else doubles.
// A table whose keys are 1 to n is an array, any other a map; below kDeepest tables, and for what
// MessagePack does not know, nil is written. Binary and extension types are refused.
#include <algorithm>
#include <bit>
#include <climits>
#include <cstring>

#include "src/engine/lua_state.h"

namespace sluice {
namespace {

constexpr int kDeepest = 16;

// ---- packing

template <typename T>
void PutBigEndian(std::string* out, T value) {
  for (int shift = (sizeof value - 1) * 8; shift >= 0; shift -= 8) {
    *out += static_cast<char>(value >> shift);
  }
}

template <typename T>
void Put(std::string* out, uint8_t tag, T value) {
  *out += static_cast<char>(tag);
  PutBigEndian(out, value);
}

void PackInteger(std::string* out, int64_t n) {
  if (n >= 0) {
    auto u = static_cast<uint64_t>(n);
    if (u <= 0x7f) {
      *out += static_cast<char>(u);
    } else if (u <= UINT8_MAX) {
      Put(out, 0xcc, static_cast<uint8_t>(u));
    } else if (u <= UINT16_MAX) {
      Put(out, 0xcd, static_cast<uint16_t>(u));
    } else if (u <= UINT32_MAX) {
      Put(out, 0xce, static_cast<uint32_t>(u));
    } else {
      Put(out, 0xcf, u);
    }
  } else if (n >= -32) {
    *out += static_cast<char>(n);
  } else if (n >= INT8_MIN) {
    Put(out, 0xd0, static_cast<uint8_t>(n));
  } else if (n >= INT16_MIN) {
    Put(out, 0xd1, static_cast<uint16_t>(n));
  } else if (n >= INT32_MIN) {
    Put(out, 0xd2, static_cast<uint32_t>(n));
  } else {
    Put(out, 0xd3, static_cast<uint64_t>(n));
  }
}

void PackNumber(std::string* out, double d) {
  if (d >= -0x1p63 && d < 0x1p63 && d == static_cast<double>(static_cast<int64_t>(d))) {
    return PackInteger(out, static_cast<int64_t>(d));
  }
  auto f = static_cast<float>(d);
  if (d == static_cast<double>(f)) {
    Put(out, 0xca, std::bit_cast<uint32_t>(f));
  } else {
    Put(out, 0xcb, std::bit_cast<uint64_t>(d));
  }
}

void PackString(std::string* out, std::string_view s) {
  if (s.size() < 32) {
    *out += static_cast<char>(0xa0 | s.size());
  } else if (s.size() <= UINT8_MAX) {
    Put(out, 0xd9, static_cast<uint8_t>(s.size()));
  } else if (s.size() <= UINT16_MAX) {
    Put(out, 0xda, static_cast<uint16_t>(s.size()));
  } else {
    Put(out, 0xdb, static_cast<uint32_t>(s.size()));
  }
  out->append(s);
}

void PackCount(std::string* out, size_t n, uint8_t few, uint8_t many) {
  if (n < 16) {
    *out += static_cast<char>(few | n);
  } else if (n <= UINT16_MAX) {
    Put(out, many, static_cast<uint16_t>(n));
  } else {
    Put(out, many + 1, static_cast<uint32_t>(n));
  }
}

// Whether the table on top of the stack has exactly the keys 1 to n.
bool IsArray(lua_State* lua) {
  double most = 0, count = 0;
  lua_pushnil(lua);
  while (lua_next(lua, -2)) {
    lua_pop(lua, 1);
    double key = lua_type(lua, -1) == LUA_TNUMBER ? lua_tonumber(lua, -1) : 0;
    if (!(key >= 1 && key <= INT_MAX && key == static_cast<int>(key)))
      return lua_pop(lua, 1), false;
    most = key > most ? key : most;
    ++count;
  }
  return most == count;
}

// Packs what is on top of the stack, and pops it.
void Pack(lua_State* lua, std::string* out, int depth);

void PackTable(lua_State* lua, std::string* out, int depth) {
  luaL_checkstack(lua, 5, "table is nested too deeply");
  if (IsArray(lua)) {
    size_t n = lua_objlen(lua, -1);
    PackCount(out, n, 0x90, 0xdc);
    for (size_t i = 1; i <= n; ++i) {
      lua_rawgeti(lua, -1, static_cast<int>(i));
      Pack(lua, out, depth + 1);
    }
    return;
  }
  size_t n = 0;
  for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) ++n;
  PackCount(out, n, 0x80, 0xde);
  lua_pushnil(lua);
  while (lua_next(lua, -2)) {
    lua_pushvalue(lua, -2);
    Pack(lua, out, depth + 1);
    Pack(lua, out, depth + 1);
  }
}

void Pack(lua_State* lua, std::string* out, int depth) {
  int type = lua_type(lua, -1);
  if (type == LUA_TSTRING) {
    size_t size;
    const char* bytes = lua_tolstring(lua, -1, &size);
    PackString(out, {bytes, size});
  } else if (type == LUA_TNUMBER) {
    PackNumber(out, lua_tonumber(lua, -1));
  } else if (type == LUA_TBOOLEAN) {
    *out += static_cast<char>(lua_toboolean(lua, -1) ? 0xc3 : 0xc2);
  } else if (type == LUA_TTABLE && depth < kDeepest) {
    PackTable(lua, out, depth);
  } else {
    *out += static_cast<char>(0xc0);
  }
  lua_pop(lua, 1);
}

int PackAll(lua_State* lua) {
  int n = lua_gettop(lua);
  if (n == 0) return luaL_argerror(lua, 0, "MessagePack pack needs input.");
  luaL_checkstack(lua, 2, "too many arguments for MessagePack pack.");
  std::string& packed = LuaState::Of(lua).packed;
  packed.clear();
  for (int i = 1; i <= n; ++i) {
    lua_pushvalue(lua, i);
    Pack(lua, &packed, 0);
  }
  lua_pushlstring(lua, packed.data(), packed.size());
  if (packed.capacity() > 64 * 1024) std::string().swap(packed);
  return 1;
}

// ---- unpacking

struct Input {
  const unsigned char* p;
  size_t left;

  const unsigned char* Take(lua_State* lua, size_t n) {
    if (left < n) luaL_error(lua, "Missing bytes in input.");
    const unsigned char* at = p;
    p += n;
    left -= n;
    return at;
  }
  uint64_t Number(lua_State* lua, int bytes) {
    const unsigned char* at = Take(lua, bytes);
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | at[i];
    return value;
  }
};

void Unpack(lua_State* lua, Input* in);

void UnpackString(lua_State* lua, Input* in, size_t size) {
  const unsigned char* bytes = in->Take(lua, size);
  lua_pushlstring(lua, reinterpret_cast<const char*>(bytes), size);
}

// What the sender claims is not believed: no memory is taken for elements before they are there.
void UnpackArray(lua_State* lua, Input* in, size_t n) {
  luaL_checkstack(lua, 2, "in function mp_decode_to_lua_array");
  lua_createtable(lua, static_cast<int>(std::min({n, in->left, size_t{1024}})), 0);
  for (size_t i = 1; i <= n; ++i) {
    Unpack(lua, in);
    lua_rawseti(lua, -2, static_cast<int>(i));
  }
}

void UnpackMap(lua_State* lua, Input* in, size_t n) {
  luaL_checkstack(lua, 3, "in function mp_decode_to_lua_hash");
  lua_newtable(lua);
  for (size_t i = 0; i < n; ++i) {
    Unpack(lua, in);
    Unpack(lua, in);
    lua_settable(lua, -3);
  }
}

void UnpackTagged(lua_State* lua, Input* in, unsigned tag) {
  auto number = [&](int bytes) { return in->Number(lua, bytes); };
  switch (tag) {
    case 0xc0:
      return lua_pushnil(lua);
    case 0xc2:
    case 0xc3:
      return lua_pushboolean(lua, tag & 1);
    case 0xca:
      return lua_pushnumber(lua, std::bit_cast<float>(static_cast<uint32_t>(number(4))));
    case 0xcb:
      return lua_pushnumber(lua, std::bit_cast<double>(number(8)));
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return lua_pushnumber(lua, static_cast<double>(number(1 << (tag & 3))));
    case 0xd0:
      return lua_pushnumber(lua, static_cast<int8_t>(number(1)));
    case 0xd1:
      return lua_pushnumber(lua, static_cast<int16_t>(number(2)));
    case 0xd2:
      return lua_pushnumber(lua, static_cast<int32_t>(number(4)));
    case 0xd3:
      return lua_pushnumber(lua, static_cast<double>(static_cast<int64_t>(number(8))));
    case 0xd9:
      return UnpackString(lua, in, number(1));
    case 0xda:
      return UnpackString(lua, in, number(2));
    case 0xdb:
      return UnpackString(lua, in, number(4));
    case 0xdc:
    case 0xdd:
      return UnpackArray(lua, in, number(tag == 0xdc ? 2 : 4));
    case 0xde:
    case 0xdf:
      return UnpackMap(lua, in, number(tag == 0xde ? 2 : 4));
    default:
      luaL_error(lua, "Bad data format in input.");
  }
}

void Unpack(lua_State* lua, Input* in) {
  luaL_checkstack(lua, 1, "too many values in input");
  unsigned tag = *in->Take(lua, 1);
  if (tag <= 0x7f || tag >= 0xe0) return lua_pushinteger(lua, static_cast<int8_t>(tag));
  if (tag < 0x90) return UnpackMap(lua, in, tag & 15);
  if (tag < 0xa0) return UnpackArray(lua, in, tag & 15);
  if (tag < 0xc0) return UnpackString(lua, in, tag & 31);
  UnpackTagged(lua, in, tag);
}

// Unpacks up to `limit` values behind `offset`; with a limit or an offset, the first result is
// where to go on, or -1.
int UnpackSome(lua_State* lua, lua_Integer limit, lua_Integer offset) {
  size_t size;
  const char* bytes = luaL_checklstring(lua, 1, &size);
  lua_settop(lua, 1);
  bool all = limit == 0 && offset == 0;
  if (offset < 0 || limit < 0) {
    return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                      static_cast<int>(offset), static_cast<int>(size));
  }
  if (static_cast<size_t>(offset) > size) {
    return luaL_error(lua, "Start offset %d greater than input length %d.",
                      static_cast<int>(offset), static_cast<int>(size));
  }
  Input in{reinterpret_cast<const unsigned char*>(bytes) + offset, size - offset};
  int n = 0;
  for (; in.left > 0 && (all || n < limit); ++n) Unpack(lua, &in);
  if (all) return n;
  luaL_checkstack(lua, 1, "too many values in input");
  lua_pushinteger(lua, in.left == 0 ? -1 : static_cast<lua_Integer>(size - in.left));
  lua_insert(lua, 2);
  return n + 1;
}

int UnpackAll(lua_State* lua) { return UnpackSome(lua, 0, 0); }
int UnpackOne(lua_State* lua) { return UnpackSome(lua, 1, luaL_optinteger(lua, 2, 0)); }
int UnpackLimit(lua_State* lua) {
  return UnpackSome(lua, luaL_checkinteger(lua, 2), luaL_optinteger(lua, 3, 0));
}

}  // namespace

extern "C" int OpenCmsgpack(lua_State* lua) {
  static const luaL_Reg kFunctions[] = {{"pack", PackAll},
                                        {"unpack", UnpackAll},
                                        {"unpack_one", UnpackOne},
                                        {"unpack_limit", UnpackLimit},
                                        {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
  lua_pushliteral(lua, "cmsgpack");
  lua_setfield(lua, -2, "_NAME");
  lua_pushliteral(lua, "lua-cmsgpack 0.4.0");
  lua_setfield(lua, -2, "_VERSION");
  lua_pushliteral(lua, "MessagePack C implementation for Lua");
  lua_setfield(lua, -2, "_DESCRIPTION");
  return 1;
}

}  // namespace sluice
