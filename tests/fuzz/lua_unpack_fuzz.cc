// Arbitrary bytes as what scripts unpack, and as what FUNCTION RESTORE is given: they are taken
// apart or refused, and nothing else. What was unpacked can be packed again.
//
// The first byte says which; a struct's format ends at the first line feed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "src/engine/function_dump.h"
#include "src/engine/lua_state.h"

namespace sluice {
namespace {

// Nobody is outside.
class NoHost final : public ScriptHost {
 public:
  std::string_view Execute(Words) override { return "ERR nothing here"; }
  const resp::Buffer& reply() const override { return reply_; }
  void SetProtocol(int) override {}
  void Log(int, std::string_view) override {}
  Permission MayExecute(Words) override { return Permission::kDenied; }
  const char* Interrupted() override { return nullptr; }
  const char* Register(std::string_view, int, std::string_view, uint32_t) override {
    return "not here";
  }

 private:
  resp::Buffer reply_;
};

struct Input {
  const char* chunk;
  std::string_view first, second;
};

void Run(lua_State* lua, void* argument) {
  auto* input = static_cast<Input*>(argument);
  if (luaL_loadstring(lua, input->chunk) != 0) std::abort();
  lua_pushlstring(lua, input->first.data(), input->first.size());
  lua_pushlstring(lua, input->second.data(), input->second.size());
  lua_call(lua, 2, 0);
}

constexpr const char* kUnpack =
    "local bytes = ... "
    "local value = cmsgpack.unpack(bytes) "
    "local again = cmsgpack.pack(value) "
    "assert(cmsgpack.pack(cmsgpack.unpack(again)) ~= nil) "
    "local at = 0 "
    "repeat at = cmsgpack.unpack_one(bytes, at) until at == -1 "
    "cmsgpack.unpack_limit(bytes, 3, 1)";
constexpr const char* kStruct =
    "local format, bytes = ... "
    "pcall(struct.size, format) "
    "struct.pack(format, select(2, pcall(struct.unpack, format, bytes))) "
    "struct.unpack(format, bytes, 2)";
constexpr const char* kJson = "local bytes = ... cjson.encode(cjson.decode(bytes))";

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice;
  if (size == 0) return 0;
  static NoHost host;
  static const int64_t limit = 64 << 20;
  static LuaState state(LuaState::Use::kScripts, &host, &limit, "7.4.0");
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 4 == 3) {
    std::vector<std::string> codes;
    (void)ReadDump(rest, &codes);
    // With the right end a mutation reaches further; 0 says that no checksum was made.
    std::string ended(rest);
    ended.append({10, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    (void)ReadDump(ended, &codes);
    return 0;
  }
  std::string_view format = rest.substr(0, rest.find('\n'));
  std::string_view bytes = rest.substr(std::min(rest.size(), format.size() + 1));
  Input input = data[0] % 4 == 0   ? Input{kUnpack, rest, {}}
                : data[0] % 4 == 1 ? Input{kStruct, format, bytes}
                                   : Input{kJson, rest, {}};
  std::string error;
  (void)state.Protect(Run, &input, &error);
  return 0;
}
