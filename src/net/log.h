// The server's log, in the layout that tools which start a redis-server look for.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace sluice {

class Logger {
 public:
  enum class Level { kDebug, kVerbose, kNotice, kWarning };
  // An empty path: standard output.
  explicit Logger(std::string path = {}, Level level = Level::kNotice)
      : path_(std::move(path)), level_(level) {}

  void Write(Level level, std::string_view line);
  void set_level(Level level) { level_ = level; }
  static Level Parse(std::string_view name);

 private:
  std::string path_;
  Level level_;
};

}  // namespace sluice
