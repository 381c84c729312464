#include "src/engine/monitor.h"

#include <algorithm>
#include <cstdio>

#include "src/engine/call.h"
#include "src/engine/directive.h"

namespace sluice {

std::string Quoted(std::string_view bytes) {
  std::string out = "\"";
  for (unsigned char c : bytes) {
    switch (c) {
      case '\\':
      case '"':
        out += '\\';
        out += static_cast<char>(c);
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c >= 0x20 && c < 0x7f) {
          out += static_cast<char>(c);
        } else {
          char hex[5];
          std::snprintf(hex, sizeof hex, "\\x%02x", c);
          out += hex;
        }
    }
  }
  return out += '"';
}

std::string MonitorLine(int64_t unix_us, const Session& from, Args args) {
  char time[40];
  std::snprintf(time, sizeof time, "%lld.%06lld", static_cast<long long>(unix_us / 1'000'000),
                static_cast<long long>(unix_us % 1'000'000));
  std::string who = from.is_script        ? "lua"
                    : from.is_unix_socket ? "unix:" + from.local_address
                                          : from.address;
  std::string line = std::string(time) + " [" + std::to_string(from.db) + " " + who + "]";
  for (std::string_view arg : args) line += " " + Quoted(arg);
  return line;
}

std::vector<std::string_view> Redacted(const Row& row, Args args) {
  constexpr std::string_view kRedacted = "(redacted)";
  std::vector<std::string_view> out(args.begin(), args.end());
  if (row.name == "auth") {
    std::fill(out.begin() + 1, out.end(), kRedacted);
  } else if (row.name == "hello") {
    for (size_t i = 2; i + 2 < out.size(); ++i) {
      if (!Call::Same(out[i], "AUTH")) continue;
      out[i + 1] = out[i + 2] = kRedacted;
      break;
    }
  } else if (row.name == "acl|setuser" || row.name == "acl|deluser" || row.name == "acl|getuser") {
    std::fill(out.begin() + 2, out.end(), kRedacted);
  } else if (row.name == "config|set") {
    for (size_t i = 2; i + 1 < out.size(); i += 2) {
      const Directive* d = FindDirective(out[i]);
      if (d && (d->flags & Directive::kSecret)) out[i + 1] = kRedacted;
    }
  }
  return out;
}

std::vector<std::string> ShortenedArgs(Args args) {
  constexpr size_t kMaxArgs = 32, kMaxBytes = 128;
  std::vector<std::string> out;
  size_t shown = std::min(args.size(), kMaxArgs);
  for (size_t i = 0; i < shown; ++i) {
    if (shown != args.size() && i == shown - 1) {
      out.push_back("... (" + std::to_string(args.size() - shown + 1) + " more arguments)");
    } else if (args[i].size() > kMaxBytes) {
      out.push_back(std::string(args[i].substr(0, kMaxBytes)) + "... (" +
                    std::to_string(args[i].size() - kMaxBytes) + " more bytes)");
    } else {
      out.emplace_back(args[i]);
    }
  }
  return out;
}

}  // namespace sluice
