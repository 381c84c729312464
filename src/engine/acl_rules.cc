// What each rule does to a user and its selectors.
#include <algorithm>
#include <cctype>

#include "src/commands/families.h"
#include "src/engine/acl_user.h"
#include "src/engine/categories.h"
#include "src/engine/directive.h"
#include "src/engine/secret.h"

namespace sluice {
namespace {

constexpr std::string_view kPatternAfterAll =
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
    "any effect. Try 'resetkeys' to start with an empty list of patterns";
constexpr std::string_view kChannelAfterAll =
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
    "have any effect. Try 'resetchannels' to start with an empty list of channels";
constexpr std::string_view kFirstArgOfSubcommand =
    "Allowing first-arg of a subcommand is not supported";
constexpr std::string_view kNoSuchPassword =
    "The password you are trying to remove from the user does not exist";
constexpr std::string_view kBadHash =
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
    "characters";

char Fold(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Fold);
  return out;
}

bool Is(std::string_view rule, std::string_view lower) {
  return rule.size() == lower.size() && std::equal(rule.begin(), rule.end(), lower.begin(),
                                                   [](char a, char b) { return Fold(a) == b; });
}

bool IsHash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Whether Redis has a command of this name (or subcommand, or container) and Sluice means not to.
bool IsLeftOut(std::string_view name) {
  std::string_view container = name.substr(0, name.find('|'));
  return !HasBlanks(name) &&
         (!RefusedOnPurpose(name, name).empty() || !RefusedOnPurpose(container, container).empty());
}

// "get", "config|get"; nullptr when there is none.
const Row* FindByFullName(const CommandTable& table, std::string_view name) {
  size_t bar = name.find('|');
  const Row* row = table.Find(name.substr(0, bar));
  if (!row || bar == std::string_view::npos) return row;
  return CommandTable::FindSub(*row, name.substr(bar + 1));
}

}  // namespace

bool HasBlanks(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return c == 0 || std::isspace(static_cast<unsigned char>(c)); });
}

std::optional<std::vector<std::string>> MergeSelectors(Args words, size_t* unmatched) {
  std::vector<std::string> merged;
  constexpr size_t kNone = SIZE_MAX;
  size_t open = kNone;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    bool closes = word.ends_with(')');
    if (open != kNone) {
      merged.back().append(" ").append(word);
      if (closes) open = kNone;
    } else {
      if (word.starts_with('(') && !closes) open = i;
      merged.emplace_back(word);
    }
  }
  if (open == kNone) return merged;
  *unmatched = open;
  return std::nullopt;
}

// ---- selectors

std::string_view AclSelector::Apply(std::string_view rule) {
  if (Is(rule, "allkeys") || rule == "~*") {
    all_keys_ = true;
    key_patterns_.clear();
  } else if (Is(rule, "resetkeys")) {
    all_keys_ = false;
    key_patterns_.clear();
  } else if (Is(rule, "allchannels") || rule == "&*") {
    all_channels_ = true;
    channels_.clear();
  } else if (Is(rule, "resetchannels")) {
    all_channels_ = false;
    channels_.clear();
  } else if (Is(rule, "allcommands") || Is(rule, "+@all")) {
    SetAllCommands(true);
  } else if (Is(rule, "nocommands") || Is(rule, "-@all")) {
    SetAllCommands(false);
  } else if (rule.starts_with('~') || rule.starts_with('%')) {
    return AddKeyPattern(rule);
  } else if (rule.starts_with('&')) {
    return AddChannel(rule.substr(1));
  } else if (rule.starts_with('+') || rule.starts_with('-')) {
    return ApplyCommand(rule);
  } else {
    return acl_errors::kSyntax;
  }
  return {};
}

// ~glob, %R~glob, %W~glob, %RW~glob
std::string_view AclSelector::AddKeyPattern(std::string_view rule) {
  if (all_keys_) return kPatternAfterAll;
  uint8_t access = 0;
  size_t i = 1;
  if (rule[0] == '~') {
    access = kBoth;
  } else {
    for (; i < rule.size() && rule[i] != '~'; ++i) {
      uint8_t one = Fold(rule[i]) == 'r' ? kRead : Fold(rule[i]) == 'w' ? kWrites : 0;
      if (!one || (access & one)) return acl_errors::kSyntax;
      access |= one;
    }
    if (!access) return acl_errors::kSyntax;
    i = std::min(i + 1, rule.size());
  }
  std::string_view glob = rule.substr(i);
  if (HasBlanks(glob)) return acl_errors::kSyntax;
  auto same = [&](const KeyPattern& pattern) { return pattern.glob == glob; };
  auto it = std::find_if(key_patterns_.begin(), key_patterns_.end(), same);
  if (it != key_patterns_.end()) {
    it->access |= access;
  } else {
    key_patterns_.push_back({std::string(glob), access});
  }
  return {};
}

std::string_view AclSelector::AddChannel(std::string_view glob) {
  if (all_channels_) return kChannelAfterAll;
  if (HasBlanks(glob)) return acl_errors::kSyntax;
  if (std::find(channels_.begin(), channels_.end(), glob) == channels_.end()) {
    channels_.emplace_back(glob);
  }
  return {};
}

// +get, -config|set, +@read, +select|0
std::string_view AclSelector::ApplyCommand(std::string_view rule) {
  bool allowed = rule[0] == '+';
  std::string_view what = rule.substr(1);
  if (what.starts_with('@')) {
    Categories category = CategoryNamed(what.substr(1));
    if (!category) return acl_errors::kUnknown;
    for (int i = 0; i < table_->size(); ++i) {
      if (CategoriesOf(table_->at(i)) & category) SetCommand(table_->at(i), allowed);
    }
    Remember(rule[0], what);
    return {};
  }
  size_t bar = what.rfind('|');
  const Row* row = FindByFullName(*table_, what);
  // A file made for Redis may name it: there is nothing to allow, but it is kept with the rest.
  if (!row && IsLeftOut(what)) {
    Remember(rule[0], what);
    return {};
  }
  if (allowed && bar != std::string_view::npos) {
    const Row* container = FindByFullName(*table_, what.substr(0, bar));
    if (!container) return acl_errors::kUnknown;
    if (container->name.find('|') != std::string_view::npos) return kFirstArgOfSubcommand;
    if (bar + 1 == what.size()) return acl_errors::kSyntax;
    if (container->subcommands.empty()) return AllowFirstArg(what);
  }
  if (!row) return acl_errors::kUnknown;
  SetCommand(*row, allowed);
  Remember(rule[0], row->name);
  return {};
}

// "select|0": of a command that stays forbidden otherwise.
std::string_view AclSelector::AllowFirstArg(std::string_view what) {
  size_t bar = what.rfind('|');
  std::string_view arg = what.substr(bar + 1);
  // Written to a file, what follows a blank would be a rule of its own.
  if (HasBlanks(arg)) return acl_errors::kSyntax;
  std::vector<std::string>& args = first_args_[table_->Find(what.substr(0, bar))->index];
  if (std::find(args.begin(), args.end(), arg) == args.end()) args.emplace_back(arg);
  Remember('+', what);
  return {};
}

void AclSelector::SetAllCommands(bool allowed) {
  allowed_.assign(allowed_.size(), allowed);
  all_commands_ = allows_future_ = allowed;
  first_args_.clear();
  command_rules_.clear();
}

void AclSelector::SetCommand(const Row& row, bool allowed) {
  SetBit(row.index, allowed);
  first_args_.erase(row.index);
  for (const Row* sub : row.subcommands) SetBit(sub->index, allowed);
}

void AclSelector::SetBit(int index, bool allowed) {
  allowed_[index] = allowed;
  if (!allowed) all_commands_ = false;
}

// Rules keep their order. An older one that says something about the same command or category, or
// about the command's subcommands, has no effect any more.
void AclSelector::Remember(char sign, std::string_view what) {
  std::string name = Lower(what);
  std::erase_if(command_rules_, [&](const std::string& rule) {
    std::string_view old = std::string_view(rule).substr(1);
    return old == name || (old.starts_with(name) && old[name.size()] == '|');
  });
  command_rules_.push_back(sign + name);
}

// ---- users

std::string_view AclUser::Apply(std::string_view rule) {
  std::string_view error;
  if (rule.empty()) return {};
  if (Is(rule, "on") || Is(rule, "off")) {
    on_ = Is(rule, "on");
  } else if (Is(rule, "nopass") || Is(rule, "resetpass")) {
    no_password_ = Is(rule, "nopass");
    passwords_.clear();
  } else if (Is(rule, "sanitize-payload")) {
    sanitize_ = Sanitize::kYes;
  } else if (Is(rule, "skip-sanitize-payload")) {
    sanitize_ = Sanitize::kSkip;
  } else if (Is(rule, "reset")) {
    Reset();
  } else if (Is(rule, "clearselectors")) {
    selectors_.resize(1, selectors_[0]);
  } else if (std::string_view("><#!").find(rule[0]) != std::string_view::npos) {
    error = ApplyPassword(rule);
  } else if (rule.starts_with('(') && rule.ends_with(')')) {
    error = AddSelector(rule);
  } else {
    error = selectors_[0].Apply(rule);
  }
  unrestricted_ = std::any_of(selectors_.begin(), selectors_.end(),
                              [](const AclSelector& s) { return s.unrestricted(); });
  return error;
}

std::string_view AclUser::ApplyPassword(std::string_view rule) {
  bool is_hash = rule[0] == '#' || rule[0] == '!';
  bool adds = rule[0] == '>' || rule[0] == '#';
  std::string_view given = rule.substr(1);
  if (is_hash && !IsHash(given)) return kBadHash;
  std::string hash = is_hash ? std::string(given) : Sha256Hex(given);
  auto it = std::find(passwords_.begin(), passwords_.end(), hash);
  if (adds) {
    if (it == passwords_.end()) passwords_.push_back(std::move(hash));
    no_password_ = false;
    return {};
  }
  if (it == passwords_.end()) return kNoSuchPassword;
  passwords_.erase(it);
  return {};
}

std::string_view AclUser::AddSelector(std::string_view rule) {
  AclSelector selector(table_, channels_by_default_);
  std::vector<std::string> words;
  if (SplitWords(rule.substr(1, rule.size() - 2), &words)) {
    for (const std::string& word : words) {
      std::string_view error = selector.Apply(word);
      if (!error.empty()) return error;
    }
  }
  selectors_.push_back(std::move(selector));
  return {};
}

void AclUser::Reset() {
  on_ = no_password_ = false;
  sanitize_ = Sanitize::kYes;
  passwords_.clear();
  selectors_.assign(1, AclSelector(table_, channels_by_default_));
}

}  // namespace sluice
