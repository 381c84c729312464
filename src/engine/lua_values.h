// Replies to Lua values and back, as Redis's documentation of the Lua API has them.
#pragma once

#include <lua5.1/lua.hpp>

#include "resp/reply_writer.h"

namespace sluice {

// Pushes the value of the reply that starts at `p`, and returns where it ends. The bytes are ours,
// complete and correct, in either protocol.
const char* PushReply(lua_State* lua, const char* p);

// What is to be known of a value that was written as a reply.
struct WrittenValue {
  bool failed = false;   // it is or holds an error
  bool counted = false;  // it is an error that INFO has counted already
  void (*count)(void* context, std::string_view error) = nullptr;  // for errors inside of it
  void* context = nullptr;
};

// Writes the value on top of the stack and pops it. `protocol` is what redis.setresp chose, which
// decides how truths are written; the writer knows the client's own. Call inside Protect.
void WriteValue(lua_State* lua, resp::ReplyWriter reply, int protocol, WrittenValue* written);

}  // namespace sluice
