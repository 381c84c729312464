// One user: how it proves who it is, and what it may do. Its rights are made by rules, the words of
// ACL SETUSER and of ACL files, applied one after the other:
//
//   on off nopass resetpass >secret <secret #hash !hash reset       the user
//   +get -@dangerous +config|get allcommands ~jobs:* %R~x &news     its own selector
//   (+get ~other) clearselectors                                    further selectors
//
// A command is allowed when one selector alone allows all of it: command, keys and channels.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/row.h"

namespace sluice {

using Args = std::span<const std::string_view>;

// What is wrong with a rule, in Redis's words.
namespace acl_errors {
inline constexpr std::string_view kUnknown = "Unknown command or category name in ACL";
inline constexpr std::string_view kSyntax = "Syntax error";
}  // namespace acl_errors

// What stands in the way of a command. The values are ordered: of several selectors that refuse,
// the one that came furthest is reported.
enum class Denied : uint8_t { kNothing, kCommand, kKey, kAuth, kChannel };

struct Verdict {
  Denied denied = Denied::kNothing;
  size_t arg = 0;  // the key or channel that was refused
  bool ok() const { return denied == Denied::kNothing; }
};

// The keys of one call, looked for when the first selector asks and kept for the others.
class CallKeys {
 public:
  CallKeys(const Row& row, Args args) : row_(row), args_(args) {}
  const std::vector<KeyPosition>& Get();

 private:
  const Row& row_;
  Args args_;
  std::optional<std::vector<KeyPosition>> found_;
};

class AclSelector {
 public:
  AclSelector(const CommandTable* table, bool all_channels);

  // Applies one rule. Empty, or what is wrong with it; then nothing has changed.
  std::string_view Apply(std::string_view rule);

  Verdict Check(const Row& row, Args args, CallKeys* keys) const;
  bool AllowsChannel(std::string_view channel, bool is_pattern) const;
  // Whether it lets nothing be refused, whatever the command.
  bool unrestricted() const { return all_commands_ && all_keys_ && all_channels_; }
  // Whether every key may be used in this way (KeySpec::Flag): what SORT's BY and GET need, whose
  // keys cannot be told beforehand.
  bool AllowsAllKeys(uint16_t flags) const;

  // "+@all -get", "~* %R~x", "&a &b"
  std::string Commands() const;
  std::string Keys() const;
  std::string Channels() const;
  // All rules that make it from an empty one.
  std::vector<std::string> Rules() const;

 private:
  enum Access : uint8_t { kRead = 1, kWrites = 2, kBoth = 3 };
  struct KeyPattern {
    std::string glob;
    uint8_t access;
  };

  static uint8_t AccessOf(uint16_t key_flags);
  bool AllowsCommand(const Row& row, Args args) const;
  bool AllowsKey(std::string_view key, uint16_t flags) const;
  std::string_view AddKeyPattern(std::string_view rule);
  std::string_view AddChannel(std::string_view glob);
  std::string_view ApplyCommand(std::string_view rule);
  std::string_view AllowFirstArg(std::string_view rule);
  void SetAllCommands(bool allowed);
  void SetCommand(const Row& row, bool allowed);
  void SetBit(int index, bool allowed);
  void Remember(char sign, std::string_view what);

  const CommandTable* table_;
  std::vector<bool> allowed_;  // by Row::index
  // "+@all" was the last of its kind: commands that come with a later version are allowed too.
  bool allows_future_ = false;
  bool all_commands_ = false;
  bool all_keys_ = false;
  bool all_channels_ = false;
  // Commands allowed with certain first arguments only ("+select|0"), by Row::index.
  std::map<int, std::vector<std::string>> first_args_;
  // What was said about commands since "+@all" or "-@all", as far as it still matters.
  std::vector<std::string> command_rules_;
  std::vector<KeyPattern> key_patterns_;
  std::vector<std::string> channels_;
};

class AclUser {
 public:
  // One that is off and may do nothing.
  AclUser(const CommandTable* table, std::string name, bool all_channels);

  const std::string& name() const { return name_; }
  bool on() const { return on_; }
  bool no_password() const { return no_password_; }
  const std::vector<std::string>& passwords() const { return passwords_; }  // hashes
  const std::vector<AclSelector>& selectors() const { return selectors_; }  // its own comes first
  // Nothing is refused to it: no need to ask.
  bool unrestricted() const { return unrestricted_; }

  // Whether selectors that are made from here on begin with all channels (acl-pubsub-default).
  void set_channels_by_default(bool on) { channels_by_default_ = on; }
  // Applies one rule. Empty, or what is wrong with it; then nothing has changed.
  std::string_view Apply(std::string_view rule);

  Verdict Check(const Row& row, Args args) const;
  bool AllowsChannel(std::string_view channel, bool is_pattern) const;
  // Whether a selector allows this call and, besides, all keys to be used in this way.
  bool AllowsAllKeys(const Row& row, Args args, uint16_t flags) const;
  // Takes the same time for a wrong password whatever it is. One who needs none gives any.
  bool AcceptsPassword(std::string_view password) const;

  // "on", "nopass", "sanitize-payload"
  std::vector<std::string_view> Flags() const;
  // All that Apply needs to make this user anew; a selector is one word.
  std::vector<std::string> Rules() const;

 private:
  enum class Sanitize : uint8_t { kUnsaid, kYes, kSkip };

  std::string_view ApplyPassword(std::string_view rule);
  std::string_view AddSelector(std::string_view rule);
  void Reset();

  const CommandTable* table_;
  std::string name_;
  bool channels_by_default_;
  bool on_ = false;
  bool no_password_ = false;
  Sanitize sanitize_ = Sanitize::kUnsaid;
  std::vector<std::string> passwords_;
  std::vector<AclSelector> selectors_;
  bool unrestricted_ = false;
};

// Joins the words of a selector that was written with blanks, "(+get" "~x)". Nothing when one does
// not end; *unmatched is then where it begins.
std::optional<std::vector<std::string>> MergeSelectors(Args words, size_t* unmatched);

// Names, patterns and the like go into files whose words are separated by blanks.
bool HasBlanks(std::string_view text);

}  // namespace sluice
