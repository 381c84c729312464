#include "src/net/log.h"

#include <sys/time.h>
#include <unistd.h>

#include <ctime>

namespace sluice {

Logger::Level Logger::Parse(std::string_view name) {
  if (name == "debug") return Level::kDebug;
  if (name == "verbose") return Level::kVerbose;
  if (name == "warning" || name == "nothing") return Level::kWarning;
  return Level::kNotice;
}

// Opens the file for each line, as Redis does, so that logs can be rotated under it.
void Logger::Write(Level level, std::string_view line) {
  if (level < level_) return;
  std::FILE* out = path_.empty() ? stdout : std::fopen(path_.c_str(), "a");
  if (!out) return;
  timeval now;
  gettimeofday(&now, nullptr);
  tm local;
  localtime_r(&now.tv_sec, &local);
  char when[40];
  std::strftime(when, sizeof when, "%d %b %Y %H:%M:%S", &local);
  std::fprintf(out, "%d:M %s.%03d %c %.*s\n", static_cast<int>(getpid()), when,
               static_cast<int>(now.tv_usec / 1000), ".-*#"[static_cast<int>(level)],
               static_cast<int>(line.size()), line.data());
  std::fflush(out);
  if (out != stdout) std::fclose(out);
}

}  // namespace sluice
