// CONFIG. Directives and their rules are in src/engine/config.h.
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

void ConfigGet(Call& call) {
  Args globs = call.args.subspan(2);
  auto found = call.engine.directives().Get({globs.begin(), globs.end()});
  call.reply.MapHeader(found.size());
  for (auto& [name, value] : found) {
    call.reply.Bulk(name);
    call.reply.Bulk(value);
  }
}

void ConfigSet(Call& call) {
  if (call.args.size() % 2) return call.Error(errors::kSyntax);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 2; i < call.args.size(); i += 2) {
    pairs.emplace_back(call.args[i], call.args[i + 1]);
  }
  std::string error = call.engine.directives().Set(pairs);
  error.empty() ? call.reply.Ok() : call.Error(error);
}

void ConfigResetstat(Call& call) {
  call.engine.stats().Reset();
  call.reply.Ok();
}

void ConfigRewrite(Call& call) {
  // Users who have a file of their own are saved by ACL SAVE.
  std::vector<std::string> users;
  if (call.engine.config().aclfile.empty()) users = call.engine.acl().DescribeForConfig();
  std::string error = call.engine.directives().Rewrite(users);
  error.empty() ? call.reply.Ok() : call.Error(error);
}

}  // namespace

void AddConfigRows(Rows* rows) {
  rows->push_back({"config",
                   "",
                   "Commands about the configuration.",
                   "2.0.0",
                   "",
                   Group::kServer,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"config|get",
                   "parameter(parameter)...",
                   "Shows directives whose names match a pattern.",
                   "2.0.0",
                   "O(N)",
                   Group::kServer,
                   -3,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ConfigGet});
  rows->push_back({"config|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"config|resetstat",
                   "",
                   "Sets the counters that INFO shows to zero.",
                   "2.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ConfigResetstat});
  rows->push_back({"config|rewrite",
                   "",
                   "Writes what has changed into the configuration file.",
                   "2.8.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ConfigRewrite});
  rows->push_back({"config|set",
                   "parameter_value(parameter value)...",
                   "Changes directives, all of those given or none.",
                   "2.0.0",
                   "O(N)",
                   Group::kServer,
                   -4,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ConfigSet,
                   {"request_policy:all_nodes", "response_policy:all_succeeded"}});
}

}  // namespace sluice
