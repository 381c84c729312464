// Users in files: in one of their own (aclfile), or as `user` lines of the configuration file.
#include <filesystem>
#include <sstream>

#include "src/engine/acl.h"
#include "src/engine/file.h"

namespace sluice {
namespace {

// The words between single blanks; two blanks have an empty word between them.
std::vector<std::string> SplitAtBlanks(std::string_view line) {
  std::vector<std::string> words;
  for (size_t at = 0; at <= line.size();) {
    size_t end = std::min(line.find(' ', at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string_view Trimmed(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r\n";
  size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::string Acl::FilePath() const {
  return (std::filesystem::path(config_->dir) / config_->aclfile).string();
}

std::string Acl::LoadAtStart() {
  if (!config_->users.empty() && !config_->aclfile.empty()) {
    return "There are both an aclfile and users in the configuration file. They would contradict "
           "each other sooner or later: please have one or the other.";
  }
  for (const std::vector<std::string>& words : config_->users) {
    std::string error = LoadConfigured(words);
    if (!error.empty()) return error;
  }
  return config_->aclfile.empty() ? std::string() : Load();
}

// The name and the rules of a `user` line.
std::string Acl::LoadConfigured(const std::vector<std::string>& words) {
  const std::string& name = words[0];
  auto wrong = [&](std::string_view why) {
    return "Error in user declaration '" + name + "': " + std::string(why);
  };
  if (HasBlanks(name)) return wrong("Spaces not allowed in ACL usernames");
  std::shared_ptr<AclUser> user = name == "default" ? default_user_ : NewUser(name);
  if (user == default_user_) user->Apply("reset");
  size_t unmatched = 0;
  std::vector<std::string_view> rules(words.begin() + 1, words.end());
  auto merged = MergeSelectors(rules, &unmatched);
  if (!merged) return wrong("Unmatched parenthesis at '" + words[unmatched + 1] + "'");
  for (const std::string& rule : *merged) {
    std::string_view error = user->Apply(rule);
    if (!error.empty()) return wrong("'" + rule + "': " + std::string(error));
  }
  users_[name] = user;
  return {};
}

std::string Acl::Load() {
  std::string text;
  std::string error = ReadFile(FilePath(), &text);
  if (!error.empty()) {
    return "Error loading ACLs, opening file '" + config_->aclfile + "': " + error;
  }
  return LoadText(text, config_->aclfile);
}

std::string Acl::LoadText(std::string_view text, const std::string& name) {
  Users loaded;
  std::string errors;
  for (size_t number = 1, at = 0; at < text.size(); ++number) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = Trimmed(text.substr(at, end - at));
    at = end + 1;
    if (line.empty()) continue;
    errors += LoadLine(line, name + ":" + std::to_string(number), number, &loaded);
  }
  if (!errors.empty()) {
    return errors +
           "WARNING: ACL errors detected, no change to the previously active ACL rules was "
           "performed";
  }
  // Who exists before and after stays the same object: its sessions hold it.
  auto adopt = [&](std::shared_ptr<AclUser>& slot, const std::shared_ptr<AclUser>& old) {
    *old = *slot;
    slot = old;
  };
  if (!loaded.count("default")) {
    loaded.emplace("default", std::make_shared<AclUser>(NewDefaultUser()));
  }
  for (auto& [key, user] : loaded) {
    if (std::shared_ptr<AclUser> old = Find(key)) adopt(user, old);
  }
  users_ = std::move(loaded);
  return {};
}

// Empty, or what is wrong with the line, each error followed by a blank.
std::string Acl::LoadLine(std::string_view line, const std::string& at, size_t number,
                          Users* users) {
  std::vector<std::string> words = SplitAtBlanks(line);
  if (words[0] != "user" || words.size() < 2) {
    return at + " should start with user keyword followed by the username. ";
  }
  const std::string& name = words[1];
  if (HasBlanks(name)) return at + ": username '" + name + "' contains invalid characters. ";
  if (users->count(name)) {
    return "WARNING: Duplicate user '" + name + "' found on line " + std::to_string(number) + ". ";
  }
  size_t unmatched = 0;
  std::vector<std::string_view> rules(words.begin() + 2, words.end());
  auto merged = MergeSelectors(rules, &unmatched);
  if (!merged) return at + ": Unmatched parenthesis in selector definition. ";
  std::shared_ptr<AclUser> user = NewUser(name);
  std::string errors;
  bool said = false;
  for (const std::string& rule : *merged) {
    std::string_view error = user->Apply(rule);
    if (error.empty()) continue;
    // A name that is not known is no secret; of what else is wrong, the first says enough.
    if (error == acl_errors::kUnknown) {
      errors += at + ": Error in applying operation '" + rule + "': " + std::string(error) + ". ";
    } else if (!said) {
      errors += at + ": " + std::string(error) + ". ";
      said = true;
    }
  }
  users->emplace(name, user);
  return errors;
}

std::string Acl::Save() const {
  std::string text;
  for (const std::string& line : Describe()) text += line + "\n";
  return ReplaceFile(FilePath(), text);
}

}  // namespace sluice
