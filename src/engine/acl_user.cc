// What a user may do, and how its rules are written down.
#include "src/engine/acl_user.h"

#include <strings.h>

#include <algorithm>

#include "src/engine/call.h"
#include "src/engine/monitor.h"
#include "src/engine/secret.h"

namespace sluice {
namespace {

// The channels that a command names: arguments `first` to the last one, or that one alone.
struct ChannelArgs {
  size_t first = 0, count = 0;
  bool patterns = false;
};

ChannelArgs ChannelsOf(const Row& row, Args args) {
  if (row.group != Group::kPubsub || args.size() < 2) return {};
  if (row.name == "publish" || row.name == "spublish") return {1, 1, false};
  if (row.name == "psubscribe") return {1, args.size() - 1, true};
  if (row.name == "subscribe" || row.name == "ssubscribe") return {1, args.size() - 1, false};
  return {};
}

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

// A selector is split by the rules of quoting, and ends with the word that ends with a parenthesis.
std::string InSelector(const std::string& word) {
  bool plain = word.find_first_of("\"'") == std::string::npos && !word.ends_with(')');
  return plain ? word : Quoted(word);
}

}  // namespace

const std::vector<KeyPosition>& CallKeys::Get() {
  if (!found_) {
    found_ = FindKeys(row_, args_);
    std::erase_if(*found_, [](const KeyPosition& k) { return k.flags & KeySpec::kNotKey; });
  }
  return *found_;
}

AclSelector::AclSelector(const CommandTable* table, bool all_channels)
    : table_(table), allowed_(table->size()), all_channels_(all_channels) {}

bool AclSelector::AllowsCommand(const Row& row, Args args) const {
  if (all_commands_ || allowed_[row.index] || (row.flags & kNoAuth)) return true;
  auto it = first_args_.find(row.index);
  if (it == first_args_.end() || args.size() < 2) return false;
  return std::any_of(it->second.begin(), it->second.end(), [&](const std::string& arg) {
    return arg.size() == args[1].size() && !strncasecmp(arg.data(), args[1].data(), arg.size());
  });
}

uint8_t AclSelector::AccessOf(uint16_t flags) {
  bool writes = flags & (KeySpec::kInsert | KeySpec::kDelete | KeySpec::kUpdate);
  return (flags & KeySpec::kAccess ? kRead : 0) | (writes ? kWrites : 0);
}

bool AclSelector::AllowsKey(std::string_view key, uint16_t flags) const {
  uint8_t access = AccessOf(flags);
  return std::any_of(key_patterns_.begin(), key_patterns_.end(), [&](const KeyPattern& pattern) {
    return (pattern.access & access) == access && GlobMatch(pattern.glob, key);
  });
}

bool AclSelector::AllowsAllKeys(uint16_t flags) const {
  uint8_t access = AccessOf(flags);
  return all_keys_ ||
         std::any_of(key_patterns_.begin(), key_patterns_.end(), [&](const KeyPattern& pattern) {
           return (pattern.access & access) == access && pattern.glob == "*";
         });
}

bool AclSelector::AllowsChannel(std::string_view channel, bool is_pattern) const {
  return all_channels_ ||
         std::any_of(channels_.begin(), channels_.end(), [&](const std::string& glob) {
           // A pattern may match more than the rule's does: only the same one is safe.
           return is_pattern ? glob == channel : GlobMatch(glob, channel);
         });
}

Verdict AclSelector::Check(const Row& row, Args args, CallKeys* keys) const {
  if (!AllowsCommand(row, args)) return {Denied::kCommand};
  if (!all_keys_ && !row.keys.empty()) {
    for (const KeyPosition& key : keys->Get()) {
      if (!AllowsKey(args[key.index], key.flags)) return {Denied::kKey, key.index};
    }
  }
  if (!all_channels_) {
    ChannelArgs channels = ChannelsOf(row, args);
    for (size_t i = channels.first; i < channels.first + channels.count; ++i) {
      if (!AllowsChannel(args[i], channels.patterns)) return {Denied::kChannel, i};
    }
  }
  return {};
}

std::string AclSelector::Commands() const {
  std::vector<std::string> rules = {allows_future_ ? "+@all" : "-@all"};
  rules.insert(rules.end(), command_rules_.begin(), command_rules_.end());
  return Join(rules);
}

std::string AclSelector::Keys() const {
  if (all_keys_) return "~*";
  std::vector<std::string> rules;
  for (const KeyPattern& pattern : key_patterns_) {
    const char* sign = pattern.access == kBoth ? "~" : pattern.access == kRead ? "%R~" : "%W~";
    // Read back, "~*" is every key, and nothing may follow it.
    if (pattern.access == kBoth && pattern.glob == "*" && key_patterns_.size() > 1) sign = "%RW~";
    rules.push_back(sign + pattern.glob);
  }
  return Join(rules);
}

std::string AclSelector::Channels() const {
  if (all_channels_) return "&*";
  std::vector<std::string> rules;
  for (const std::string& glob : channels_) rules.push_back("&" + glob);
  return Join(rules);
}

std::vector<std::string> AclSelector::Rules() const {
  std::vector<std::string> rules;
  auto add = [&](const std::string& words) {
    for (size_t at = 0; at < words.size();) {
      size_t end = std::min(words.find(' ', at), words.size());
      rules.push_back(words.substr(at, end - at));
      at = end + 1;
    }
  };
  add(Keys());
  if (!all_channels_) rules.push_back("resetchannels");
  add(Channels());
  add(Commands());
  return rules;
}

AclUser::AclUser(const CommandTable* table, std::string name, bool all_channels)
    : table_(table), name_(std::move(name)), channels_by_default_(all_channels) {
  selectors_.emplace_back(table, all_channels);
}

Verdict AclUser::Check(const Row& row, Args args) const {
  CallKeys keys(row, args);
  Verdict furthest{Denied::kCommand};
  for (const AclSelector& selector : selectors_) {
    Verdict verdict = selector.Check(row, args, &keys);
    if (verdict.ok()) return verdict;
    if (verdict.denied > furthest.denied ||
        (verdict.denied == furthest.denied && verdict.arg > furthest.arg)) {
      furthest = verdict;
    }
  }
  return furthest;
}

bool AclUser::AllowsChannel(std::string_view channel, bool is_pattern) const {
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.AllowsChannel(channel, is_pattern);
  });
}

bool AclUser::AllowsAllKeys(const Row& row, Args args, uint16_t flags) const {
  CallKeys keys(row, args);
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.AllowsAllKeys(flags) && selector.Check(row, args, &keys).ok();
  });
}

bool AclUser::AcceptsPassword(std::string_view password) const {
  std::string hash = Sha256Hex(password);
  bool same = false;
  for (const std::string& known : passwords_) same |= SameSecret(hash, known);
  return on_ && (no_password_ || same);
}

std::vector<std::string_view> AclUser::Flags() const {
  std::vector<std::string_view> flags = {on_ ? "on" : "off"};
  if (no_password_) flags.push_back("nopass");
  if (sanitize_ == Sanitize::kYes) flags.push_back("sanitize-payload");
  if (sanitize_ == Sanitize::kSkip) flags.push_back("skip-sanitize-payload");
  return flags;
}

std::vector<std::string> AclUser::Rules() const {
  std::vector<std::string> rules;
  for (std::string_view flag : Flags()) rules.emplace_back(flag);
  for (const std::string& hash : passwords_) rules.push_back("#" + hash);
  for (const AclSelector& selector : selectors_) {
    std::vector<std::string> words = selector.Rules();
    if (&selector == &selectors_[0]) {
      rules.insert(rules.end(), words.begin(), words.end());
    } else {
      std::transform(words.begin(), words.end(), words.begin(), InSelector);
      rules.push_back("(" + Join(words) + ")");
    }
  }
  return rules;
}

}  // namespace sluice
