// The words of a command that sets a policy, and of one that shows it: what groups and lists share.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "src/engine/call.h"

namespace sluice {

struct RateChange {
  int64_t tokens = 0, per_ms = 0, burst = 0;
};

// Goes through "SETTING value [value ...]" again and again. What reads a value replies an error and
// returns false when it is none.
class PolicyWords {
 public:
  PolicyWords(Call& call, size_t first) : call_(call), i_(first) {}

  // Goes to the next setting; false behind the last.
  bool Next();
  bool Is(std::string_view setting) const { return Call::Same(setting_, setting); }

  bool Integer(int64_t low, int64_t high, int64_t* value);
  bool Number(std::optional<int64_t>* value, int64_t high);
  bool Text(std::string_view* value);
  bool Text(std::optional<std::string_view>* value);
  // n ms [ms ...]
  bool Backoff(std::optional<std::vector<int64_t>>* value);
  // tokens ms [BURST n]
  bool Rate(std::optional<RateChange>* value);

  // "ERR SETTING what".
  bool Wrong(std::string_view what);
  // The setting is none of the command.
  bool Unknown(std::string_view command);

 private:
  bool Step() { return i_ < call_.args.size() ? (++i_, true) : Wrong("lacks a value"); }
  std::string_view word() const { return call_.args[i_ - 1]; }

  Call& call_;
  size_t i_;  // behind the last word read
  std::string_view setting_;
};

// Whether the user could say these words himself: a policy is no way round the ACL. False after
// replying that he may not.
bool MaySay(Call& call, const std::vector<std::string_view>& words);

// Lines of a map of settings and counters.
class PolicyReply {
 public:
  explicit PolicyReply(Call& call) : reply_(call.reply) {}

  // nil when not set.
  void Setting(std::string_view name, int64_t value);
  void Setting(std::string_view name, std::string_view value);
  void Setting(std::string_view name, const std::vector<int64_t>& values);
  void Counter(std::string_view name, std::optional<uint64_t> value);

 private:
  resp::ReplyWriter& reply_;
};

}  // namespace sluice
