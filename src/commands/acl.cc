// ACL: the users, what they may do, and what they were refused. Rules are in src/engine/acl_user.h.
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"
#include "src/engine/categories.h"
#include "src/engine/secret.h"

namespace sluice {
namespace {

constexpr std::string_view kNoFile =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration.";

void WrongForm(Call& call) {
  call.Error("ERR unknown subcommand or wrong number of arguments for '" +
             std::string(call.args[1].substr(0, 128)) + "'. Try ACL HELP.");
}

// ---- users

void AclSetuser(Call& call) {
  std::string error = call.engine.acl().SetUser(call.args[2], call.args.subspan(3));
  if (!error.empty()) return call.Error(error);
  call.engine.CloseUnentitled(call.session);
  call.reply.Ok();
}

void AclDeluser(Call& call) {
  Args names = call.args.subspan(2);
  for (std::string_view name : names) {
    if (name == "default") return call.Error("ERR The 'default' user cannot be removed");
  }
  int64_t deleted = 0;
  for (std::string_view name : names) deleted += call.engine.acl().DeleteUser(name);
  call.engine.CloseUnentitled(call.session);
  call.reply.Integer(deleted);
}

void WriteSelector(Call& call, const AclSelector& selector) {
  auto pair = [&](std::string_view name, const std::string& value) {
    call.reply.Bulk(name);
    call.reply.Bulk(value);
  };
  pair("commands", selector.Commands());
  pair("keys", selector.Keys());
  pair("channels", selector.Channels());
}

void AclGetuser(Call& call) {
  std::shared_ptr<AclUser> user = call.engine.acl().Find(call.args[2]);
  if (!user) return call.reply.Null();
  call.reply.MapHeader(6);
  call.reply.Bulk("flags");
  std::vector<std::string_view> flags = user->Flags();
  call.reply.SetHeader(flags.size());
  for (std::string_view flag : flags) call.reply.Bulk(flag);
  call.reply.Bulk("passwords");
  call.reply.ArrayHeader(user->passwords().size());
  for (const std::string& hash : user->passwords()) call.reply.Bulk(hash);
  const std::vector<AclSelector>& selectors = user->selectors();
  WriteSelector(call, selectors[0]);
  call.reply.Bulk("selectors");
  call.reply.ArrayHeader(selectors.size() - 1);
  for (size_t i = 1; i < selectors.size(); ++i) {
    call.reply.MapHeader(3);
    WriteSelector(call, selectors[i]);
  }
}

void AclList(Call& call) {
  std::vector<std::string> lines = call.engine.acl().Describe();
  call.reply.ArrayHeader(lines.size());
  for (const std::string& line : lines) call.reply.Bulk(line);
}

void AclUsers(Call& call) {
  const Acl::Users& users = call.engine.acl().users();
  call.reply.ArrayHeader(users.size());
  for (const auto& [name, user] : users) call.reply.Bulk(name);
}

void AclWhoami(Call& call) { call.reply.Bulk(call.session.user->name()); }

// ---- what there is to allow

void AclCat(Call& call) {
  if (call.args.size() > 3) return WrongForm(call);
  if (call.args.size() == 2) {
    call.reply.ArrayHeader(CategoryNames().size());
    for (std::string_view name : CategoryNames()) call.reply.Bulk(name);
    return;
  }
  Categories category = CategoryNamed(call.args[2]);
  if (!category) return call.Error("ERR Unknown category '" + std::string(call.args[2]) + "'");
  const CommandTable& table = call.engine.table();
  size_t mark = call.reply.BeginArray(), n = 0;
  for (int i = 0; i < table.size(); ++i) {
    if (!(CategoriesOf(table.at(i)) & category)) continue;
    call.reply.Bulk(table.at(i).name);
    ++n;
  }
  call.reply.EndArray(mark, n);
}

void AclDryrun(Call& call) {
  std::shared_ptr<AclUser> user = call.engine.acl().Find(call.args[2]);
  if (!user) return call.Error("ERR User '" + std::string(call.args[2]) + "' not found");
  Args args = call.args.subspan(3);
  const Row* row = call.engine.table().Find(args[0]);
  if (row && !row->subcommands.empty() && args.size() > 1) {
    row = CommandTable::FindSub(*row, args[1]);
  }
  if (!row) return call.Error("ERR Command '" + std::string(args[0]) + "' not found");
  int n = static_cast<int>(args.size());
  if (row->arity > 0 ? n != row->arity : n < -row->arity) {
    return call.Error("ERR wrong number of arguments for '" + std::string(row->name) + "' command");
  }
  Verdict verdict = user->Check(*row, args);
  if (verdict.ok()) return call.reply.Ok();
  std::string text = "This user has no permissions to ";
  if (verdict.denied == Denied::kCommand) {
    text.append("run the '").append(row->name).append("' command");
  } else {
    text.append("access the '")
        .append(args[verdict.arg])
        .append("' ")
        .append(NameOf(verdict.denied));
  }
  call.reply.Bulk(text);
}

void AclGenpass(Call& call) {
  if (call.args.size() > 3) return WrongForm(call);
  int64_t bits = 256;
  if (call.args.size() == 3) {
    if (!call.ReadInteger(2, &bits)) return;
    if (bits <= 0 || bits > 4096) {
      return call.Error(
          "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
          "number up to 4096");
    }
  }
  std::string password = RandomHex(static_cast<size_t>((bits + 3) / 4));
  if (password.empty()) return call.Error("ERR the system has no random numbers to give");
  call.reply.Bulk(password);
}

// ---- what was refused

void WriteLogEntry(Call& call, const AclLogEntry& entry) {
  auto text = [&](std::string_view name, std::string_view value) {
    call.reply.Bulk(name);
    call.reply.Bulk(value);
  };
  auto number = [&](std::string_view name, int64_t value) {
    call.reply.Bulk(name);
    call.reply.Integer(value);
  };
  call.reply.MapHeader(10);
  number("count", static_cast<int64_t>(entry.count));
  text("reason", NameOf(entry.reason));
  text("context", NameOf(entry.context));
  text("object", entry.object);
  text("username", entry.user);
  call.reply.Bulk("age-seconds");
  call.reply.Double(static_cast<double>(call.now_ms() - entry.updated_ms) / 1000);
  text("client-info", entry.client);
  number("entry-id", static_cast<int64_t>(entry.id));
  number("timestamp-created", entry.created_ms);
  number("timestamp-last-updated", entry.updated_ms);
}

void AclShowLog(Call& call) {
  if (call.args.size() > 3) return WrongForm(call);
  AclLog& log = call.engine.acl().log();
  int64_t count = 10;
  if (call.Is(2, "RESET")) {
    log.Clear();
    return call.reply.Ok();
  }
  if (call.args.size() == 3 && !call.ReadInteger(2, &count)) return;
  size_t n = std::min(log.entries().size(), static_cast<size_t>(std::max<int64_t>(count, 0)));
  call.reply.ArrayHeader(n);
  for (size_t i = 0; i < n; ++i) WriteLogEntry(call, log.entries()[i]);
}

// ---- the file

void AclLoad(Call& call) {
  if (call.engine.config().aclfile.empty()) return call.Error(kNoFile);
  std::string error = call.engine.acl().Load();
  if (!error.empty()) return call.Error("ERR " + error);
  call.engine.CloseUnentitled(call.session);
  call.reply.Ok();
}

void AclSave(Call& call) {
  if (call.engine.config().aclfile.empty()) return call.Error(kNoFile);
  std::string error = call.engine.acl().Save();
  if (error.empty()) return call.reply.Ok();
  call.engine.host().Log("ACL SAVE failed: " + error);
  call.Error(
      "ERR There was an error trying to save the ACLs. Please check the server logs for more "
      "information");
}

void AddUserRows(Rows* rows) {
  constexpr uint32_t kAdmins = kAdmin | kNoscript | kLoading | kStale;
  rows->push_back({"acl|deluser",
                   "username...",
                   "Deletes users, and closes their connections.",
                   "6.0.0",
                   "O(1)",
                   Group::kServer,
                   -3,
                   kAdmins,
                   {},
                   AclDeluser});
  rows->push_back({"acl|getuser",
                   "username",
                   "Shows a user's passwords and rights.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   3,
                   kAdmins,
                   {},
                   AclGetuser});
  rows->push_back({"acl|list",
                   "",
                   "Shows all users as an ACL file would.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   2,
                   kAdmins,
                   {},
                   AclList});
  rows->push_back({"acl|load",
                   "",
                   "Reads the ACL file again.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   2,
                   kAdmins,
                   {},
                   AclLoad});
  rows->push_back({"acl|save",
                   "",
                   "Writes all users to the ACL file.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   2,
                   kAdmins,
                   {},
                   AclSave});
  rows->push_back({"acl|setuser",
                   "username [rule...]",
                   "Makes a user, or changes one by rules.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   -3,
                   kAdmins,
                   {},
                   AclSetuser});
  rows->push_back({"acl|users",
                   "",
                   "Lists the users' names.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   2,
                   kAdmins,
                   {},
                   AclUsers});
}

}  // namespace

void AddAclRows(Rows* rows) {
  constexpr uint32_t kAdmins = kAdmin | kNoscript | kLoading | kStale;
  constexpr uint32_t kAnyone = kNoscript | kLoading | kStale;
  rows->push_back({"acl",
                   "",
                   "Commands about users and their rights.",
                   "6.0.0",
                   "",
                   Group::kServer,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"acl|cat",
                   "[categoryname]",
                   "Lists the categories of commands, or a category's commands.",
                   "6.0.0",
                   "O(1)",
                   Group::kServer,
                   -2,
                   kAnyone,
                   {},
                   AclCat});
  rows->push_back({"acl|dryrun",
                   "username command [arg...]",
                   "Tells whether a user may run a command, without running it.",
                   "7.0.0",
                   "O(1)",
                   Group::kServer,
                   -4,
                   kAdmins,
                   {},
                   AclDryrun});
  rows->push_back({"acl|genpass",
                   "[bits:int]",
                   "Makes up a password that nobody can guess.",
                   "6.0.0",
                   "O(1)",
                   Group::kServer,
                   -2,
                   kAnyone,
                   {},
                   AclGenpass});
  rows->push_back({"acl|help",
                   "",
                   "Lists the subcommands.",
                   "6.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"acl|log",
                   "[operation(count:int|RESET)]",
                   "Shows what was refused lately, or forgets it.",
                   "6.0.0",
                   "O(N)",
                   Group::kServer,
                   -2,
                   kAdmins,
                   {},
                   AclShowLog});
  rows->push_back({"acl|whoami",
                   "",
                   "Tells which user the connection is.",
                   "6.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kAnyone,
                   {},
                   AclWhoami});
  AddUserRows(rows);
}

}  // namespace sluice
