// Libraries of functions: what FUNCTION LOAD keeps and FCALL calls. They are data: each library's
// text is a row of the store, made durable with the batch of the command that loaded it. What is
// compiled of it here can be made again at any time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/function_rows.h"

namespace sluice {

class Scripting;

struct Function {
  std::string name;
  std::string description;
  bool described = false;
  uint32_t flags = 0;
  int callback = 0;  // in the registry of the functions' interpreter
};

struct Library {
  std::string name;
  std::string code;
  uint64_t row = 0;
  std::vector<std::unique_ptr<Function>> functions;
};

enum class RestorePolicy : uint8_t { kAppend, kReplace, kFlush };

class Functions {
 public:
  Functions(Scripting* scripting, Env* env) : scripting_(scripting), rows_(env) {}

  // In any letter case; nullptr when there is none.
  Function* Find(std::string_view name);
  const std::map<std::string, std::unique_ptr<Library>, std::less<>>& libraries();
  size_t function_count() { return libraries(), by_name_.size(); }

  // Each returns an empty text, or the error; after an error nothing is changed.
  std::string Load(std::string_view code, bool replace, std::string* name);
  std::string Restore(const std::vector<std::string>& codes, RestorePolicy policy);
  std::string Delete(std::string_view name);
  void Flush();

  // Everything compiled is forgotten, to be made again from the rows when it is asked for.
  void Forget();

  // redis.register_function: nullptr, or what is wrong.
  const char* Register(std::string_view name, int callback, std::string_view description,
                       uint32_t flags);

 private:
  void LoadRows();
  std::string Compile(std::string_view code, std::unique_ptr<Library>* library);
  std::string CheckNames(const std::vector<std::unique_ptr<Library>>& loaded, bool replace);
  void Add(std::unique_ptr<Library> library);
  void Remove(std::string_view name);
  void Unregister(const Library& library);

  Scripting* scripting_;
  FunctionRows rows_;
  bool loaded_ = false;
  std::map<std::string, std::unique_ptr<Library>, std::less<>> libraries_;
  std::unordered_map<std::string, Function*> by_name_;  // lower case
  Library* loading_ = nullptr;
};

}  // namespace sluice
