// The library struct of scripts: numbers and strings to bytes and back, by a format.
//
//   > <    big, little endian; else that of the machine  x       a zero byte
//   !n     align to at most n                            b B     1 byte, signed, unsigned
//   h H    2 bytes        l L, T   8 bytes               in In   n bytes (4)
//   f d    float, double  s        up to a zero byte     cn      n bytes (1); c0: all, or as many
//   as
//                                                                the number before says
#include <algorithm>
#include <bit>
#include <cctype>
#include <climits>
#include <cstring>

#include "src/engine/lua_state.h"

namespace sluice {
namespace {

constexpr int kMostAlign = 8;
constexpr int kMostIntegerSize = 32;

// Where in a format we are, and what it has said so far.
struct Format {
  lua_State* lua;
  const char* p;
  bool little = std::endian::native == std::endian::little;
  int align = 1;

  int Number(int otherwise) {
    if (!std::isdigit(static_cast<unsigned char>(*p))) return otherwise;
    int n = 0;
    for (; std::isdigit(static_cast<unsigned char>(*p)); ++p) {
      int digit = *p - '0';
      if (n > INT_MAX / 10 || n * 10 > INT_MAX - digit) luaL_error(lua, "integral size overflow");
      n = n * 10 + digit;
    }
    return n;
  }

  // How many bytes an option takes; 0 for those that are none.
  size_t Size(char option) {
    switch (option) {
      case 'b':
      case 'B':
      case 'x':
        return 1;
      case 'h':
      case 'H':
        return 2;
      case 'f':
        return 4;
      case 'l':
      case 'L':
      case 'T':
      case 'd':
        return 8;
      case 'c':
        return Number(1);
      case 'i':
      case 'I': {
        int n = Number(4);
        if (n > kMostIntegerSize) {
          luaL_error(lua, "integral size %d is larger than limit of %d", n, kMostIntegerSize);
        }
        return n;
      }
      default:
        return 0;
    }
  }

  size_t Padding(size_t position, char option, size_t size) const {
    if (size == 0 || option == 'c') return 0;
    size_t to = std::min<size_t>(size, align);
    return to > 1 ? (to - (position & (to - 1))) & (to - 1) : 0;
  }

  // What is no value but says how values are to be.
  void Control(char option) {
    switch (option) {
      case ' ':
        return;
      case '>':
        little = false;
        return;
      case '<':
        little = true;
        return;
      case '!': {
        int n = Number(kMostAlign);
        if (n == 0 || (n & (n - 1))) luaL_error(lua, "alignment %d is not a power of 2", n);
        align = n;
        return;
      }
      default:
        luaL_argerror(lua, 1, lua_pushfstring(lua, "invalid format option '%c'", option));
    }
  }
};

bool IsInteger(char option) { return option && std::strchr("bBhHlLTiI", option); }

// ---- packing, into LuaState::packed

void PutInteger(std::string* out, uint64_t value, size_t size, bool little) {
  size_t at = out->size();
  out->resize(at + size);
  for (size_t i = 0; i < size; ++i, value >>= 8) {
    (*out)[little ? at + i : at + size - 1 - i] = static_cast<char>(value);
  }
}

uint64_t ToUnsigned(double n) {
  if (n != n) return uint64_t{1} << 63;
  if (n < 0)
    return n >= -0x1p63 ? static_cast<uint64_t>(static_cast<int64_t>(n)) : uint64_t{1} << 63;
  return n < 0x1p64 ? static_cast<uint64_t>(n) : 0;
}

void PackString(lua_State* lua, std::string* out, char option, size_t size, int arg) {
  size_t length;
  const char* bytes = luaL_checklstring(lua, arg, &length);
  if (option == 's' || size == 0) size = length;
  // The argument is named by the number of the next one, as Redis names it.
  luaL_argcheck(lua, length >= size, arg + 1, "string too short");
  out->append(bytes, size);
  if (option == 's') *out += '\0';
}

int Pack(lua_State* lua) {
  Format format{lua, luaL_checkstring(lua, 1)};
  lua_pushnil(lua);  // what an argument too few is
  std::string& out = LuaState::Of(lua).packed;
  out.clear();
  int arg = 2;
  while (*format.p) {
    char option = *format.p++;
    size_t size = format.Size(option);
    out.append(format.Padding(out.size(), option, size), '\0');
    if (IsInteger(option)) {
      PutInteger(&out, ToUnsigned(luaL_checknumber(lua, arg++)), size, format.little);
    } else if (option == 'x') {
      out += '\0';
    } else if (option == 'f') {
      auto value = static_cast<float>(luaL_checknumber(lua, arg++));
      PutInteger(&out, std::bit_cast<uint32_t>(value), size, format.little);
    } else if (option == 'd') {
      double value = luaL_checknumber(lua, arg++);
      PutInteger(&out, std::bit_cast<uint64_t>(value), size, format.little);
    } else if (option == 's' || option == 'c') {
      PackString(lua, &out, option, size, arg++);
    } else {
      format.Control(option);
    }
  }
  lua_pushlstring(lua, out.data(), out.size());
  if (out.capacity() > 64 * 1024) std::string().swap(out);
  return 1;
}

// ---- unpacking

uint64_t ReadInteger(const char* bytes, size_t size, bool little) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[little ? size - 1 - i : i]);
  }
  return value;
}

double ToNumber(uint64_t value, size_t size, bool is_signed) {
  if (!is_signed) return static_cast<double>(value);
  if (size > 0 && size < 8 && (value >> (size * 8 - 1) & 1)) value |= UINT64_MAX << (size * 8);
  return static_cast<double>(static_cast<int64_t>(value));
}

int Unpack(lua_State* lua) {
  Format format{lua, luaL_checkstring(lua, 1)};
  size_t length;
  const char* data = luaL_checklstring(lua, 2, &length);
  lua_Integer from = luaL_optinteger(lua, 3, 1);
  luaL_argcheck(lua, from > 0, 3, "offset must be 1 or greater");
  size_t at = from - 1;
  int n = 0;  // values so far
  auto need = [&](size_t size) {
    luaL_argcheck(lua, at <= length && size <= length - at, 2, "data string too short");
  };
  lua_settop(lua, 2);
  while (*format.p) {
    char option = *format.p++;
    size_t size = format.Size(option);
    at += format.Padding(at, option, size);
    need(size);
    luaL_checkstack(lua, 2, "too many results");
    if (IsInteger(option)) {
      bool is_signed = std::islower(static_cast<unsigned char>(option));
      lua_pushnumber(lua, ToNumber(ReadInteger(data + at, size, format.little), size, is_signed));
      ++n;
    } else if (option == 'f') {
      auto bits = static_cast<uint32_t>(ReadInteger(data + at, size, format.little));
      lua_pushnumber(lua, std::bit_cast<float>(bits));
      ++n;
    } else if (option == 'd') {
      lua_pushnumber(lua, std::bit_cast<double>(ReadInteger(data + at, size, format.little)));
      ++n;
    } else if (option == 'c') {
      if (size == 0) {
        if (n == 0 || !lua_isnumber(lua, -1)) {
          return luaL_error(lua, "format 'c0' needs a previous size");
        }
        double before = lua_tonumber(lua, -1);
        lua_pop(lua, 1);
        --n;
        luaL_argcheck(lua, before >= 0 && before <= static_cast<double>(length), 2,
                      "data string too short");
        size = static_cast<size_t>(before);
        need(size);
      }
      lua_pushlstring(lua, data + at, size);
      ++n;
    } else if (option == 's') {
      const void* end = at < length ? std::memchr(data + at, 0, length - at) : nullptr;
      if (!end) return luaL_error(lua, "unfinished string in data");
      size = static_cast<const char*>(end) - (data + at) + 1;
      lua_pushlstring(lua, data + at, size - 1);
      ++n;
    } else if (option != 'x') {
      format.Control(option);
    }
    at += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(at) + 1);
  return n + 1;
}

int Size(lua_State* lua) {
  Format format{lua, luaL_checkstring(lua, 1)};
  size_t total = 0;
  while (*format.p) {
    char option = *format.p++;
    size_t size = format.Size(option);
    total += format.Padding(total, option, size);
    if (option == 's') luaL_argerror(lua, 1, "option 's' has no fixed size");
    if (option == 'c' && size == 0) luaL_argerror(lua, 1, "option 'c0' has no fixed size");
    if (!std::isalnum(static_cast<unsigned char>(option))) format.Control(option);
    total += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(total));
  return 1;
}

}  // namespace

extern "C" int OpenStruct(lua_State* lua) {
  static const luaL_Reg kFunctions[] = {
      {"pack", Pack}, {"unpack", Unpack}, {"size", Size}, {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
  return 1;
}

}  // namespace sluice
