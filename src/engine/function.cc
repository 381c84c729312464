#include "src/engine/function.h"

#include <algorithm>
#include <cctype>

#include "src/engine/call.h"
#include "src/engine/directive.h"
#include "src/engine/script.h"

namespace sluice {
namespace {

constexpr std::string_view kBadName =
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long";

std::string Lower(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool GoodName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

bool IsNameOption(std::string_view word) {
  return word.size() >= 5 && Call::Same(word.substr(0, 5), "NAME=");
}

// "#!lua name=mylib": the name, and where the code begins. Empty, or what is wrong.
std::string ReadMetadata(std::string_view code, std::string* name, size_t* begin) {
  if (!code.starts_with("#!")) return "ERR Missing library metadata";
  *begin = code.find('\n');
  std::vector<std::string> words;
  if (*begin == std::string_view::npos || !SplitWords(code.substr(0, *begin), &words) ||
      words.empty()) {
    return "ERR Invalid library metadata";
  }
  bool named = false;
  for (size_t i = 1; i < words.size(); ++i) {
    if (!IsNameOption(words[i])) return "ERR Invalid metadata value given: " + words[i];
    if (named) return "ERR Invalid metadata value, name argument was given multiple times";
    named = true;
    *name = words[i].substr(5);
  }
  if (!named) return "ERR Library name was not given";
  if (!GoodName(*name)) return std::string(kBadName);
  if (!Call::Same(words[0], "#!LUA")) {
    return "ERR Engine '" + words[0].substr(2) + "' not found";
  }
  return {};
}

// What is executed inside Lua's protection, and owns nothing.
struct Loading {
  LuaState* vm;
  std::string_view code;
  std::string error;
};

void RunLibrary(lua_State* lua, void* argument) {
  auto* loading = static_cast<Loading*>(argument);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->vm->error_handler);
  size_t size;
  if (luaL_loadbuffer(lua, loading->code.data(), loading->code.size(), "@user_function") != 0) {
    const char* text = lua_tolstring(lua, -1, &size);
    loading->error.append("ERR Error compiling function: ").append(text, size);
    return;
  }
  loading->vm->ShowGlobals(loading->vm->load_globals);
  int status = lua_pcall(lua, 0, 0, 1);
  loading->vm->ShowGlobals(loading->vm->globals);
  if (status == 0) return;
  if (lua_istable(lua, -1)) lua_getfield(lua, -1, "err");
  const char* text = lua_tolstring(lua, -1, &size);
  loading->error.append("ERR Error registering functions: ");
  text ? loading->error.append(text, size) : loading->error.append("ERR unknown error");
}

}  // namespace

Function* Functions::Find(std::string_view name) {
  LoadRows();
  auto it = by_name_.find(Lower(name));
  return it == by_name_.end() ? nullptr : it->second;
}

const std::map<std::string, std::unique_ptr<Library>, std::less<>>& Functions::libraries() {
  LoadRows();
  return libraries_;
}

// A text that no longer compiles stays where it is: another version may take it.
void Functions::LoadRows() {
  if (loaded_) return;
  loaded_ = true;
  std::vector<std::pair<uint64_t, std::string>> rows;
  rows_.ForEach([&](uint64_t number, std::string_view code) { rows.emplace_back(number, code); });
  for (auto& [number, code] : rows) {
    std::unique_ptr<Library> library;
    if (!Compile(code, &library).empty()) continue;
    library->row = number;
    Add(std::move(library));
  }
}

void Functions::Forget() {
  loaded_ = false;
  by_name_.clear();
  libraries_.clear();
  scripting_->ResetFunctionsVm();
}

std::string Functions::Compile(std::string_view code, std::unique_ptr<Library>* library) {
  auto made = std::make_unique<Library>();
  size_t begin = 0;
  std::string error = ReadMetadata(code, &made->name, &begin);
  if (!error.empty()) return error;
  made->code = code;
  LuaState& vm = scripting_->functions_vm();
  Loading loading{&vm, code.substr(begin), {}};
  if (loading.code.starts_with(LUA_SIGNATURE[0])) {
    return "ERR Error compiling function: user_function:1: unexpected symbol near 'char(27)'";
  }
  loading_ = made.get();
  scripting_->BeginLoading();
  if (!vm.Protect(RunLibrary, &loading, &error)) {
    loading.error = "ERR Error registering functions: ERR " + error;
  }
  scripting_->EndLoading();
  loading_ = nullptr;
  if (loading.error.empty() && made->functions.empty()) {
    loading.error = "ERR No functions registered";
  }
  if (!loading.error.empty()) return Unregister(*made), loading.error;
  *library = std::move(made);
  return {};
}

const char* Functions::Register(std::string_view name, int callback, std::string_view description,
                                uint32_t flags) {
  if (!loading_) return "redis.register_function can only be called on FUNCTION LOAD command";
  if (!GoodName(name)) {
    return "Library names can only contain letters, numbers, or underscores(_) and must be at "
           "least one character long";
  }
  for (auto& other : loading_->functions) {
    if (other->name == name) return "Function already exists in the library";
  }
  auto function = std::make_unique<Function>();
  function->name = name;
  function->description = description;
  function->described = description.data() != nullptr;
  function->flags = flags;
  function->callback = callback;
  loading_->functions.push_back(std::move(function));
  return nullptr;
}

void Functions::Unregister(const Library& library) {
  for (auto& function : library.functions) {
    scripting_->functions_vm().Release(function->callback);
  }
}

void Functions::Add(std::unique_ptr<Library> library) {
  for (auto& function : library->functions) by_name_[Lower(function->name)] = function.get();
  std::string name = library->name;
  libraries_[name] = std::move(library);
}

void Functions::Remove(std::string_view name) {
  auto it = libraries_.find(name);
  Library& library = *it->second;
  for (auto& function : library.functions) by_name_.erase(Lower(function->name));
  rows_.Remove(library.row);
  Unregister(library);
  libraries_.erase(it);
}

// Whether libraries can join those that are there; with `replace`, in place of their namesakes.
std::string Functions::CheckNames(const std::vector<std::unique_ptr<Library>>& loaded,
                                  bool replace) {
  auto is_loaded = [&](const Library& other) {
    return std::any_of(loaded.begin(), loaded.end(),
                       [&](auto& library) { return library->name == other.name; });
  };
  std::unordered_map<std::string, bool> taken;
  for (auto& [name, library] : libraries_) {
    if (is_loaded(*library)) {
      if (!replace) return "ERR Library " + name + " already exists";
      continue;
    }
    for (auto& function : library->functions) taken[Lower(function->name)] = true;
  }
  for (auto& library : loaded) {
    for (auto& function : library->functions) {
      bool& there = taken[Lower(function->name)];
      if (there) return "ERR Function " + function->name + " already exists";
      there = true;
    }
  }
  return {};
}

std::string Functions::Load(std::string_view code, bool replace, std::string* name) {
  LoadRows();
  size_t begin;
  std::string error = ReadMetadata(code, name, &begin);
  if (!error.empty()) return error;
  if (!replace && libraries_.contains(*name)) {
    return "ERR Library '" + *name + "' already exists";
  }
  std::vector<std::unique_ptr<Library>> loaded(1);
  error = Compile(code, &loaded[0]);
  if (!error.empty()) return error;
  error = CheckNames(loaded, true);
  if (!error.empty()) return Unregister(*loaded[0]), error;
  if (libraries_.contains(*name)) Remove(*name);
  loaded[0]->row = rows_.Add(code);
  Add(std::move(loaded[0]));
  return {};
}

std::string Functions::Restore(const std::vector<std::string>& codes, RestorePolicy policy) {
  LoadRows();
  std::vector<std::unique_ptr<Library>> loaded;
  std::string error;
  for (const std::string& code : codes) {
    std::unique_ptr<Library> library;
    error = Compile(code, &library);
    if (!error.empty()) break;
    auto same = [&](auto& other) { return other->name == library->name; };
    if (std::any_of(loaded.begin(), loaded.end(), same)) {
      error = "ERR Library '" + library->name + "' already exists";
    }
    loaded.push_back(std::move(library));
    if (!error.empty()) break;
  }
  if (error.empty() && policy != RestorePolicy::kFlush) {
    error = CheckNames(loaded, policy == RestorePolicy::kReplace);
  }
  if (!error.empty()) {
    for (auto& library : loaded) Unregister(*library);
    return error;
  }
  if (policy == RestorePolicy::kFlush) {
    while (!libraries_.empty()) Remove(std::string(libraries_.begin()->first));
  }
  for (auto& library : loaded) {
    if (libraries_.contains(library->name)) Remove(std::string(library->name));
    library->row = rows_.Add(library->code);
    Add(std::move(library));
  }
  return {};
}

std::string Functions::Delete(std::string_view name) {
  LoadRows();
  if (!libraries_.contains(name)) return "ERR Library not found";
  Remove(name);
  return {};
}

void Functions::Flush() {
  LoadRows();
  for (auto& [name, library] : libraries_) rows_.Remove(library->row);
  Forget();
  loaded_ = true;
}

}  // namespace sluice
