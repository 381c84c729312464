// The scripts that EVAL and SCRIPT LOAD have brought, compiled, by digest and by text.
#include <algorithm>

#include "src/engine/directive.h"
#include "src/engine/engine.h"
#include "src/engine/function.h"
#include "src/engine/script.h"
#include "src/engine/sha1.h"

namespace sluice {
namespace {

// So many scripts of EVAL are kept; many clients make a new text for each call.
constexpr size_t kMostEvictable = 500;
constexpr size_t kShaLength = 40;

// The flags that the first line gives; empty, or what is wrong with it.
std::string ReadShebang(std::string_view body, uint32_t* flags, size_t* length) {
  *flags = kNoShebang;
  *length = 0;
  if (!body.starts_with("#!")) return {};
  size_t end = body.find('\n');
  if (end == std::string_view::npos) return "ERR Invalid script shebang";
  *flags = 0;
  *length = end;
  std::vector<std::string> words;
  if (!SplitWords(body.substr(0, end), &words) || words.empty()) {
    return "ERR Invalid engine in script shebang";
  }
  if (words[0] != "#!lua") return "ERR Unexpected engine in script shebang: " + words[0];
  for (size_t i = 1; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (!word.starts_with("flags=")) return "ERR Unknown lua shebang option: " + words[i];
    word.remove_prefix(6);
    while (!word.empty()) {
      std::string_view name = word.substr(0, word.find(','));
      word.remove_prefix(std::min(word.size(), name.size() + 1));
      uint32_t flag = ScriptFlag(name);
      if (!flag) return "ERR Unexpected flag in script shebang: " + std::string(name);
      *flags |= flag;
    }
  }
  return {};
}

struct Compiling {
  std::string_view code;
  int function = LUA_NOREF;
  std::string error;
};

void Compile(lua_State* lua, void* argument) {
  auto* compiling = static_cast<Compiling*>(argument);
  if (LuaState::Compile(lua, compiling->code, "@user_script", &compiling->function)) return;
  size_t size;
  const char* text = lua_tolstring(lua, -1, &size);
  compiling->error.assign(text, size);
}

}  // namespace

Script* Scripting::Find(std::string_view sha) {
  if (sha.size() != kShaLength) return nullptr;
  char lower[kShaLength];
  std::transform(sha.begin(), sha.end(), lower,
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  auto it = scripts_.find(std::string_view(lower, kShaLength));
  if (it == scripts_.end()) return nullptr;
  Script* script = it->second.get();
  if (script->evictable) used_.splice(used_.end(), used_, script->used);
  return script;
}

Script* Scripting::Load(std::string_view body, bool keep, std::string* error) {
  auto known = by_body_.find(body);
  if (known != by_body_.end()) {
    Script* script = known->second;
    if (script->evictable) used_.splice(used_.end(), used_, script->used);
    if (keep && script->evictable) {
      used_.erase(script->used);
      script->evictable = false;
    }
    return script;
  }
  auto script = std::make_unique<Script>();
  size_t skip;
  *error = ReadShebang(body, &script->flags, &skip);
  if (!error->empty()) return nullptr;
  Compiling compiling{body.substr(skip), LUA_NOREF, {}};
  // Compiled code can do anything to the interpreter; as source, its first byte begins nothing.
  std::string failure;
  if (compiling.code.starts_with(LUA_SIGNATURE[0])) {
    compiling.error = "user_script:1: unexpected symbol near 'char(27)'";
  } else if (!scripts_vm().Protect(Compile, &compiling, &failure)) {
    compiling.error = failure;
  }
  if (!compiling.error.empty()) {
    *error = "ERR Error compiling script (new function): " + compiling.error;
    return nullptr;
  }
  script->sha = Sha1Hex(body);
  script->body = body;
  script->function = compiling.function;
  cached_bytes_ += script->body.size() + script->sha.size() + sizeof *script;
  Script* raw = script.get();
  by_body_.emplace(raw->body, raw);
  scripts_.emplace(raw->sha, std::move(script));
  if (!keep) {
    raw->evictable = true;
    raw->used = used_.insert(used_.end(), raw);
    if (used_.size() > kMostEvictable) Evict();
  }
  return raw;
}

bool Scripting::MightWrite(const Row& row, Words command) {
  constexpr uint32_t kRunsScript = kMovableKeys | kNoscript;
  if (row.group != Group::kScripting || (row.flags & kRunsScript) != kRunsScript) return false;
  if (row.flags & kReadonly) return false;
  uint32_t flags = 0;
  size_t skip;
  if (row.name == "eval") {
    (void)ReadShebang(command[1], &flags, &skip);
  } else if (row.name == "evalsha") {
    if (Script* script = Find(command[1])) flags = script->flags;
  } else if (Function* function = functions_->Find(command[1])) {
    flags = function->flags;
  }
  return !(flags & kNoWrites);
}

void Scripting::Evict() {
  Script* script = used_.front();
  used_.pop_front();
  scripts_vm().Release(script->function);
  cached_bytes_ -= script->body.size() + script->sha.size() + sizeof *script;
  by_body_.erase(script->body);
  scripts_.erase(std::string_view(script->sha));
  ++evicted_;
}

void Scripting::Flush() {
  used_.clear();
  by_body_.clear();
  scripts_.clear();
  cached_bytes_ = 0;
  scripts_vm_.reset();
}

}  // namespace sluice
