#include "src/engine/directive.h"

#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "resp/reply_writer.h"

namespace sluice {
namespace {

bool SameWord(std::string_view a, std::string_view b) {
  return a.size() == b.size() && !strncasecmp(a.data(), b.data(), a.size());
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::optional<int64_t> ParseDecimal(const std::string& text, int base = 10) {
  char* end = nullptr;
  errno = 0;
  long long value = std::strtoll(text.c_str(), &end, base);
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0])) || *end || errno) {
    return std::nullopt;
  }
  return value;
}

// 1k is 1000, 1kb is 1024. What is too large for 64 bits is as large as they allow.
std::optional<uint64_t> ParseMemory(const std::string& text) {
  size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1},
      {"b", 1},
      {"k", 1000},
      {"kb", 1024},
      {"m", 1000 * 1000},
      {"mb", 1024 * 1024},
      {"g", 1000ull * 1000 * 1000},
      {"gb", 1024ull * 1024 * 1024},
  };
  for (auto& [unit, factor] : kUnits) {
    if (!SameWord(std::string_view(text).substr(digits), unit)) continue;
    return std::strtoull(text.substr(0, digits).c_str(), nullptr, 10) * factor;
  }
  return std::nullopt;
}

std::string Between(int64_t low, int64_t high) {
  return "argument must be between " + std::to_string(low) + " and " + std::to_string(high) +
         " inclusive";
}

std::string CheckInteger(const Directive& d, const std::string& text, std::string* canonical) {
  std::optional<int64_t> value = ParseDecimal(text);
  if (!value) return "argument couldn't be parsed into an integer";
  if (*value < d.low || *value > d.high) return Between(d.low, d.high);
  *canonical = std::to_string(*value);
  return {};
}

std::string CheckMemory(const Directive& d, const std::string& text, std::string* canonical) {
  if (d.kind == Directive::kMemoryPercent && text.ends_with('%')) {
    std::optional<int64_t> percent = ParseDecimal(text.substr(0, text.size() - 1));
    if (!percent || *percent < 0) return "argument must be a memory or percent value";
    if (*percent > 100) return "percentage argument must be less or equal to 100";
    *canonical = std::to_string(*percent) + "%";
    return {};
  }
  std::optional<uint64_t> value = ParseMemory(text);
  if (!value) {
    return d.kind == Directive::kMemory ? "argument must be a memory value"
                                        : "argument must be a memory or percent value";
  }
  uint64_t high = static_cast<uint64_t>(d.high);
  if (*value > high || *value < static_cast<uint64_t>(d.low)) return Between(d.low, d.high);
  *canonical = std::to_string(*value);
  return {};
}

std::string CheckChoices(const Directive& d, const std::vector<std::string>& values,
                         std::string* canonical) {
  std::vector<std::string> words;
  SplitWords(d.words, &words);
  std::string wrong = "argument(s) must be one of the following: ";
  for (const std::string& word : words) wrong += (word == words[0] ? "" : ", ") + word;
  if (values.empty()) return wrong;
  std::vector<bool> chosen(words.size());
  for (const std::string& value : values) {
    auto it = std::find_if(words.begin(), words.end(),
                           [&](const std::string& word) { return SameWord(word, value); });
    if (it == words.end()) return wrong;
    chosen[it - words.begin()] = true;
  }
  // The first of several, "default", is what is left when none of the others is chosen.
  if (std::count(chosen.begin(), chosen.end(), true) > 1) chosen[0] = false;
  canonical->clear();
  for (size_t i = 0; i < words.size(); ++i) {
    if (chosen[i]) *canonical += (canonical->empty() ? "" : " ") + words[i];
  }
  return {};
}

// "3600 1 300 100": after so many seconds with so many changes.
std::string CheckSave(const std::vector<std::string>& values, std::string* canonical) {
  bool none = values.empty() || (values.size() == 1 && values[0].empty());
  if (!none && values.size() % 2) return "Invalid save parameters";
  canonical->clear();
  for (size_t i = 0; !none && i < values.size(); ++i) {
    std::optional<int64_t> value = ParseDecimal(values[i]);
    if (!value || *value < (i % 2 ? 0 : 1)) return "Invalid save parameters";
    *canonical += (i ? " " : "") + std::to_string(*value);
  }
  return {};
}

std::string CheckOutputLimits(const std::vector<std::string>& values, const std::string& before,
                              std::string* canonical) {
  if (values.size() % 4) return "Wrong number of arguments in buffer limit configuration.";
  std::vector<std::string> words;
  SplitWords(before, &words);
  for (size_t i = 0; i < values.size(); i += 4) {
    std::string name = SameWord(values[i], "replica") ? "slave" : values[i];
    auto at = std::find_if(words.begin(), words.end(),
                           [&](const std::string& word) { return SameWord(word, name); });
    // Classes stand at every fourth place; no number can be taken for one.
    if (at == words.end() || (at - words.begin()) % 4) {
      return "Invalid client class specified in buffer limit configuration.";
    }
    std::optional<uint64_t> hard = ParseMemory(values[i + 1]), soft = ParseMemory(values[i + 2]);
    std::optional<int64_t> seconds = ParseDecimal(values[i + 3]);
    if (!hard || !soft || !seconds || *seconds < 0) {
      return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    }
    at[1] = std::to_string(*hard);
    at[2] = std::to_string(*soft);
    at[3] = std::to_string(*seconds);
  }
  *canonical = Joined(words);
  return {};
}

std::string CheckKeyspaceEvents(const std::string& text, std::string* canonical) {
  // In the order in which they are shown; A stands for the first ten.
  static constexpr std::string_view kShown = "g$lshzxetdnKEm";
  bool chosen[kShown.size()] = {};
  for (char c : text) {
    if (c == 'A') {
      std::fill(chosen, chosen + 10, true);
    } else if (size_t at = kShown.find(c); at != std::string_view::npos) {
      chosen[at] = true;
    } else {
      return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    }
  }
  bool all = std::all_of(chosen, chosen + 10, [](bool b) { return b; });
  *canonical = all ? "A" : "";
  for (size_t i = all ? 10 : 0; i < kShown.size(); ++i) {
    if (chosen[i]) *canonical += kShown[i];
  }
  return {};
}

std::string CheckScoreAdjustments(const std::vector<std::string>& values, std::string* canonical) {
  if (values.size() != 3) return "wrong number of arguments";
  for (const std::string& value : values) {
    std::optional<int64_t> n = ParseDecimal(value);
    if (!n || *n < -2000 || *n > 2000) {
      return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    }
  }
  *canonical = Joined(values);
  return {};
}

std::string CheckPercentiles(const std::vector<std::string>& values, std::string* canonical) {
  canonical->clear();
  if (values.size() == 1 && values[0].empty()) return {};
  for (const std::string& value : values) {
    char* end = nullptr;
    double percentile = std::strtod(value.c_str(), &end);
    if (value.empty() || *end) return "Invalid latency-tracking-info-percentiles parameters";
    if (!(percentile >= 0 && percentile <= 100)) {
      return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
    }
    char text[64];
    std::snprintf(text, sizeof text, "%g", percentile);
    *canonical += (canonical->empty() ? "" : " ") + std::string(text);
  }
  return {};
}

std::string CheckTitle(const std::string& text, std::string* canonical) {
  static constexpr std::string_view kVariables[] = {
      "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"};
  constexpr const char* kWrong = "template format is invalid or contains unknown variables";
  if (text.empty()) return kWrong;
  for (size_t at = 0; (at = text.find('{', at)) != std::string::npos; ++at) {
    size_t end = text.find('}', at);
    if (end == std::string::npos) return kWrong;
    std::string variable = text.substr(at + 1, end - at - 1);
    if (std::find(std::begin(kVariables), std::end(kVariables), variable) == std::end(kVariables)) {
      return kWrong;
    }
  }
  *canonical = text;
  return {};
}

}  // namespace

std::string Directive::Check(const std::vector<std::string>& values, const std::string& before,
                             std::string* canonical) const {
  if (!takes_many() && values.size() != 1) return "wrong number of arguments";
  switch (kind) {
    case kBool:
      if (!SameWord(values[0], "yes") && !SameWord(values[0], "no")) {
        return "argument must be 'yes' or 'no'";
      }
      *canonical = SameWord(values[0], "yes") ? "yes" : "no";
      break;
    case kInteger:
      return CheckInteger(*this, values[0], canonical);
    case kMemory:
    case kMemoryPercent:
      return CheckMemory(*this, values[0], canonical);
    case kOctal: {
      std::optional<int64_t> value = ParseDecimal(values[0], 8);
      if (!value) return "argument couldn't be parsed as an octal number";
      if (*value < low || *value > high) {
        char text[96];
        std::snprintf(text, sizeof text, "argument must be between %o and %o inclusive",
                      static_cast<unsigned>(low), static_cast<unsigned>(high));
        return text;
      }
      char text[32];
      std::snprintf(text, sizeof text, "%o", static_cast<unsigned>(*value));
      *canonical = text;
      break;
    }
    case kChoice:
    case kChoices:
      return CheckChoices(*this, values, canonical);
    case kText:
      *canonical = values[0];
      break;
    case kWords:
      *canonical = Joined(values);
      break;
    case kSave:
      return CheckSave(values, canonical);
    case kOutputLimits:
      return CheckOutputLimits(values, before, canonical);
    case kKeyspaceEvents:
      return CheckKeyspaceEvents(values.empty() ? "" : values[0], canonical);
    case kScoreAdjustments:
      return CheckScoreAdjustments(values, canonical);
    case kPercentiles:
      return CheckPercentiles(values, canonical);
    case kTitle:
      return CheckTitle(Joined(values), canonical);
  }
  return {};
}

std::string Directive::Read(const Config& config) const {
  struct Visitor {
    const Directive& d;
    const Config& config;
    std::string operator()(std::string_view fallback) const {
      auto it = config.ignored.find(std::string(d.name));
      return it != config.ignored.end() ? it->second : std::string(fallback);
    }
    std::string operator()(bool Config::*member) const { return config.*member ? "yes" : "no"; }
    std::string operator()(int64_t Config::*member) const {
      char text[32];
      std::snprintf(text, sizeof text, d.kind == kOctal ? "%llo" : "%lld",
                    static_cast<long long>(config.*member));
      return text;
    }
    std::string operator()(std::string Config::*member) const { return config.*member; }
    std::string operator()(const Access& access) const { return access.read(config); }
  };
  return std::visit(Visitor{*this, config}, place);
}

void Directive::Write(Config* config, const std::string& canonical) const {
  struct Visitor {
    const Directive& d;
    Config* config;
    const std::string& canonical;
    void operator()(std::string_view) const { config->ignored[std::string(d.name)] = canonical; }
    void operator()(bool Config::*member) const { config->*member = canonical == "yes"; }
    void operator()(int64_t Config::*member) const {
      config->*member = std::strtoll(canonical.c_str(), nullptr, d.kind == kOctal ? 8 : 10);
    }
    void operator()(std::string Config::*member) const { config->*member = canonical; }
    void operator()(const Access& access) const { access.write(config, canonical); }
  };
  std::visit(Visitor{*this, config, canonical}, place);
}

}  // namespace sluice
