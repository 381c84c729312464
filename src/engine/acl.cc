#include "src/engine/acl.h"

#include "src/engine/directive.h"
#include "src/engine/monitor.h"
#include "src/engine/secret.h"

namespace sluice {
namespace {

constexpr std::string_view kDefault = "default";

// A word as SplitWords takes it.
std::string ConfigWord(const std::string& word) {
  return word.empty() || word.find_first_of("\"'") != std::string::npos ? Quoted(word) : word;
}

}  // namespace

Acl::Acl(const CommandTable* table, const Config* config) : table_(table), config_(config) {
  default_user_ = std::make_shared<AclUser>(NewDefaultUser());
  users_.emplace(kDefault, default_user_);
  SetDefaultPassword(config->requirepass);
}

std::shared_ptr<AclUser> Acl::NewUser(std::string_view name) const {
  return std::make_shared<AclUser>(table_, std::string(name), channels_by_default());
}

AclUser Acl::NewDefaultUser() const {
  AclUser user = *NewUser(kDefault);
  for (std::string_view rule : {"+@all", "~*", "&*", "on", "nopass"}) user.Apply(rule);
  return user;
}

std::shared_ptr<AclUser> Acl::Find(std::string_view name) const {
  auto it = users_.find(name);
  return it == users_.end() ? nullptr : it->second;
}

bool Acl::Exists(const AclUser& user) const { return Find(user.name()).get() == &user; }

std::shared_ptr<AclUser> Acl::Authenticate(std::string_view name, std::string_view password) const {
  std::shared_ptr<AclUser> user = Find(name);
  if (!user) {
    // As much work as for one who exists.
    (void)SameSecret(Sha256Hex(password), std::string(64, '0'));
    return nullptr;
  }
  return user->AcceptsPassword(password) ? user : nullptr;
}

std::string Acl::SetUser(std::string_view name, Args rules) {
  if (HasBlanks(name)) return "ERR Usernames can't contain spaces or null characters";
  size_t unmatched = 0;
  auto merged = MergeSelectors(rules, &unmatched);
  if (!merged) {
    return "ERR Unmatched parenthesis in acl selector starting at '" +
           std::string(rules[unmatched]) + "'.";
  }
  std::shared_ptr<AclUser> user = Find(name);
  AclUser changed = user ? *user : *NewUser(name);
  changed.set_channels_by_default(channels_by_default());
  for (const std::string& rule : *merged) {
    std::string_view error = changed.Apply(rule);
    if (error.empty()) continue;
    // As C prints it: a NUL ends it.
    return "ERR Error in ACL SETUSER modifier '" + std::string(rule.c_str()) +
           "': " + std::string(error);
  }
  if (user) {
    *user = std::move(changed);
  } else {
    users_.emplace(name, std::make_shared<AclUser>(std::move(changed)));
  }
  return {};
}

bool Acl::DeleteUser(std::string_view name) {
  auto it = users_.find(name);
  if (it == users_.end()) return false;
  users_.erase(it);
  return true;
}

void Acl::SetDefaultPassword(std::string_view password) {
  default_user_->Apply("resetpass");
  default_user_->Apply(password.empty() ? "nopass" : ">" + std::string(password));
}

std::vector<std::string> Acl::Describe() const {
  std::vector<std::string> lines;
  for (const auto& [name, user] : users_) {
    std::string line = "user " + name;
    for (const std::string& rule : user->Rules()) line += " " + rule;
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> Acl::DescribeForConfig() const {
  AclUser as_configured = NewDefaultUser();
  if (!config_->requirepass.empty()) as_configured.Apply(">" + config_->requirepass);
  std::vector<std::string> lines;
  for (const auto& [name, user] : users_) {
    // What requirepass says need not be said again.
    if (user == default_user_ && user->Rules() == as_configured.Rules()) continue;
    std::string line = "user " + ConfigWord(name);
    for (const std::string& rule : user->Rules()) line += " " + ConfigWord(rule);
    lines.push_back(line);
  }
  return lines;
}

std::string DeniedText(Denied denied, const Row& row) {
  switch (denied) {
    case Denied::kKey:
      return "NOPERM this user has no permissions to access one of the keys used as arguments";
    case Denied::kChannel:
      return "NOPERM this user has no permissions to access one of the channels used as arguments";
    default:
      return "NOPERM this user has no permissions to run the '" + std::string(row.name) +
             "' command";
  }
}

std::string DeniedInExecText(Denied denied) {
  std::string reason = denied == Denied::kKey ? "no permission to touch the specified keys"
                       : denied == Denied::kChannel
                           ? "no permission to access one of the channels used as arguments"
                           : "no permission to execute the command or subcommand";
  return "NOPERM ACLs rules changed between the moment the transaction was accumulated and the "
         "EXEC call. This command is no longer allowed for the following reason: " +
         reason;
}

std::string_view DeniedInScriptText(Denied denied) {
  switch (denied) {
    case Denied::kKey:
      return "The user executing the script can't access at least one of the keys mentioned in "
             "the command arguments";
    case Denied::kChannel:
      return "The user executing the script can't publish to the channel mentioned in the command";
    default:
      return "The user executing the script can't run this command or subcommand";
  }
}

}  // namespace sluice
