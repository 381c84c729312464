// The users, and the files they are kept in. A session holds its user; all sessions of a user share
// the object, so a change of its rights is theirs at once. A user that is deleted lives on as long
// as a session holds it, but is no longer among `users()`: such sessions are to be closed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/acl_log.h"
#include "src/engine/acl_user.h"
#include "src/engine/config.h"

namespace sluice {

class Acl {
 public:
  using Users = std::map<std::string, std::shared_ptr<AclUser>, std::less<>>;

  // There is one user, "default", who may do everything; with config's requirepass as its password.
  Acl(const CommandTable* table, const Config* config);

  const Users& users() const { return users_; }
  const std::shared_ptr<AclUser>& default_user() const { return default_user_; }
  std::shared_ptr<AclUser> Find(std::string_view name) const;
  bool Exists(const AclUser& user) const;
  // Whether who has just connected must authenticate first.
  bool auth_required() const { return !default_user_->no_password() || !default_user_->on(); }

  // The user, or nullptr when there is none, or the password is wrong, or it is off: all in the
  // same time.
  std::shared_ptr<AclUser> Authenticate(std::string_view name, std::string_view password) const;

  // ACL SETUSER: all rules or none. Empty, or the error's text.
  std::string SetUser(std::string_view name, Args rules);
  bool DeleteUser(std::string_view name);  // not of "default"
  // CONFIG SET requirepass
  void SetDefaultPassword(std::string_view password);

  // "user NAME RULES": lines of an ACL file, and of ACL LIST.
  std::vector<std::string> Describe() const;
  // The same as lines of a configuration file, whose words may be quoted.
  std::vector<std::string> DescribeForConfig() const;

  // What the configuration says: its `user` lines, or its aclfile. Empty, or why not.
  std::string LoadAtStart();
  // ACL LOAD: the file's users replace all others. Empty, or every error there is, and nothing has
  // changed.
  std::string Load();
  // The same from a file's text; `name` is what errors call it.
  std::string LoadText(std::string_view text, const std::string& name);
  // ACL SAVE: empty, or why not.
  std::string Save() const;

  AclLog& log() { return log_; }

 private:
  bool channels_by_default() const { return config_->acl_pubsub_default == "allchannels"; }
  std::shared_ptr<AclUser> NewUser(std::string_view name) const;
  // One who may do everything without a password.
  AclUser NewDefaultUser() const;
  std::string LoadConfigured(const std::vector<std::string>& words);
  std::string LoadLine(std::string_view line, const std::string& at, size_t number, Users* users);
  std::string FilePath() const;

  const CommandTable* table_;
  const Config* config_;
  Users users_;
  std::shared_ptr<AclUser> default_user_;
  AclLog log_;
};

// What the client is told.
std::string DeniedText(Denied denied, const Row& row);
// The same when EXEC finds that rights have changed, and from within a script.
std::string DeniedInExecText(Denied denied);
std::string_view DeniedInScriptText(Denied denied);

}  // namespace sluice
