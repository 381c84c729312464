// COMMAND: what the table says of its rows, for clients that route by it, complete by it, or show
// it to people. And HELP, of every container.
#include <algorithm>

#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"
#include "src/engine/categories.h"
#include "src/engine/syntax.h"

namespace sluice {
namespace {

// "get", "config|get"; nullptr when there is none.
const Row* FindByFullName(const Call& call, std::string_view name) {
  size_t bar = name.find('|');
  const Row* row = call.engine.table().Find(name.substr(0, bar));
  if (!row || bar == std::string_view::npos) return row;
  return CommandTable::FindSub(*row, name.substr(bar + 1));
}

void WriteStatuses(Call& call, const std::vector<std::string_view>& words) {
  call.reply.SetHeader(words.size());
  for (std::string_view word : words) call.reply.SimpleString(word);
}

// The first key, the last and the step between them, as clients before 7.0 knew them.
struct Legacy {
  int first = 0, last = 0, step = 0;
};

Legacy LegacyKeys(const Row& row) {
  auto is_range = [](const KeySpec& k) { return !k.keyword && k.find == KeySpec::kRange; };
  if (row.keys.size() == 1 && is_range(row.keys[0])) {
    const KeySpec& k = row.keys[0];
    return {k.index, k.last >= 0 ? k.index + k.last : k.last, k.step};
  }
  // Several: neighbours make one range.
  Legacy legacy;
  for (const KeySpec& k : row.keys) {
    if (!is_range(k)) continue;
    if (k.step != 1) return {};
    if (legacy.last && legacy.last != k.index - 1) break;
    if (!legacy.first) legacy.first = k.index;
    legacy.last = k.last >= 0 ? k.index + k.last : k.last;
    legacy.step = 1;
  }
  return legacy;
}

void WriteKeySpec(Call& call, const KeySpec& k) {
  auto number = [&](std::string_view name, int value) {
    call.reply.Bulk(name);
    call.reply.Integer(value);
  };
  auto begin = [&](std::string_view name, std::string_view type, size_t facts) {
    call.reply.Bulk(name);
    call.reply.MapHeader(2);
    call.reply.Bulk("type");
    call.reply.Bulk(type);
    call.reply.Bulk("spec");
    call.reply.MapHeader(facts);
  };
  call.reply.MapHeader(3);
  call.reply.Bulk("flags");
  WriteStatuses(call, FlagNames(k));
  if (k.find == KeySpec::kUnknown) {
    begin("begin_search", "unknown", 0);
    begin("find_keys", "unknown", 0);
    return;
  }
  if (k.keyword) {
    begin("begin_search", "keyword", 2);
    call.reply.Bulk("keyword");
    call.reply.Bulk(k.keyword);
    number("startfrom", k.index);
  } else {
    begin("begin_search", "index", 1);
    number("index", k.index);
  }
  if (k.find == KeySpec::kRange) {
    begin("find_keys", "range", 3);
    number("lastkey", k.last);
    number("keystep", k.step);
    number("limit", k.limit);
  } else {
    begin("find_keys", "keynum", 3);
    number("keynumidx", k.count_index);
    number("firstkey", k.first_key);
    number("keystep", k.step);
  }
}

void WriteInfo(Call& call, const Row& row) {
  call.reply.ArrayHeader(10);
  call.reply.Bulk(row.name);
  call.reply.Integer(row.arity);
  WriteStatuses(call, FlagNames(row));
  Legacy legacy = LegacyKeys(row);
  call.reply.Integer(legacy.first);
  call.reply.Integer(legacy.last);
  call.reply.Integer(legacy.step);
  Categories categories = CategoriesOf(row);
  std::vector<std::string> shown;
  for (size_t i = 0; i < CategoryNames().size(); ++i) {
    if (categories >> i & 1) shown.push_back("@" + std::string(CategoryNames()[i]));
  }
  WriteStatuses(call, {shown.begin(), shown.end()});
  call.reply.SetHeader(row.tips.size());
  for (std::string_view tip : row.tips) call.reply.Bulk(tip);
  call.reply.SetHeader(row.keys.size());
  for (const KeySpec& k : row.keys) WriteKeySpec(call, k);
  if (row.subcommands.empty()) return call.reply.SetHeader(0);
  call.reply.ArrayHeader(row.subcommands.size());
  for (const Row* sub : row.subcommands) WriteInfo(call, *sub);
}

void WriteDocs(Call& call, const Row& row) {
  auto pair = [&](std::string_view name, std::string_view value) {
    call.reply.Bulk(name);
    call.reply.Bulk(value);
  };
  bool deprecated = !row.deprecated_since.empty();
  bool flagged = deprecated || (row.flags & kSysCmd);
  std::string_view complexity = row.complexity;
  if (complexity.empty() && !row.subcommands.empty()) complexity = "Depends on the subcommand.";
  call.reply.MapHeader(3 + !complexity.empty() + flagged + (deprecated ? 2 : 0) +
                       !row.syntax.empty() + !row.subcommands.empty());
  pair("summary", row.summary);
  pair("since", row.since);
  pair("group", GroupName(row.group));
  if (!complexity.empty()) pair("complexity", complexity);
  if (flagged) {
    call.reply.Bulk("doc_flags");
    call.reply.SetHeader(1);
    call.reply.SimpleString(deprecated ? "deprecated" : "syscmd");
  }
  if (deprecated) {
    pair("deprecated_since", row.deprecated_since);
    pair("replaced_by", row.replaced_by);
  }
  if (!row.syntax.empty()) {
    call.reply.Bulk("arguments");
    WriteArguments(row.syntax, call.reply);
  }
  if (row.subcommands.empty()) return;
  call.reply.Bulk("subcommands");
  call.reply.MapHeader(row.subcommands.size());
  for (const Row* sub : row.subcommands) {
    call.reply.Bulk(sub->name);
    WriteDocs(call, *sub);
  }
}

void CommandInfo(Call& call) {
  if (call.args.size() <= 2) {
    const auto& commands = call.engine.table().commands();
    call.reply.ArrayHeader(commands.size());
    for (const Row* row : commands) WriteInfo(call, *row);
    return;
  }
  call.reply.ArrayHeader(call.args.size() - 2);
  for (std::string_view name : call.args.subspan(2)) {
    const Row* row = FindByFullName(call, name);
    row ? WriteInfo(call, *row) : call.reply.Null();
  }
}

void CommandDocs(Call& call) {
  std::vector<const Row*> rows;
  if (call.args.size() == 2) rows = call.engine.table().commands();
  for (std::string_view name : call.args.subspan(2)) {
    if (const Row* row = FindByFullName(call, name)) rows.push_back(row);
  }
  call.reply.MapHeader(rows.size());
  for (const Row* row : rows) {
    call.reply.Bulk(row->name);
    WriteDocs(call, *row);
  }
}

void CommandCount(Call& call) {
  call.reply.Integer(static_cast<int64_t>(call.engine.table().commands().size()));
}

void CommandList(Call& call) {
  Args args = call.args;
  bool filtered = args.size() == 5 && call.Is(2, "FILTERBY");
  bool module = filtered && call.Is(3, "MODULE");
  bool category = filtered && call.Is(3, "ACLCAT");
  bool pattern = filtered && call.Is(3, "PATTERN");
  if (args.size() != 2 && !module && !category && !pattern) return call.Error(errors::kSyntax);
  Categories wanted = category ? CategoryNamed(args[4]) : 0;
  size_t mark = call.reply.BeginArray();
  size_t n = 0;
  for (int i = 0; i < call.engine.table().size(); ++i) {
    const Row& row = call.engine.table().at(i);
    if (module || (category && !(CategoriesOf(row) & wanted)) ||
        (pattern && !GlobMatch(args[4], row.name, true))) {
      continue;
    }
    call.reply.Bulk(row.name);
    ++n;
  }
  call.reply.EndArray(mark, n);
}

// The command whose keys are asked for, when they can be told; otherwise nullptr, after an error.
const Row* CommandWithKeys(Call& call, std::vector<KeyPosition>* keys) {
  auto fail = [&](std::string_view error) -> const Row* {
    call.Error(error);
    return nullptr;
  };
  Args args = call.args.subspan(2);
  const Row* row = call.engine.table().Find(args[0]);
  if (row && !row->subcommands.empty() && args.size() > 1) {
    row = CommandTable::FindSub(*row, args[1]);
  }
  if (!row) return fail("ERR Invalid command specified");
  bool has_keys = std::any_of(row->keys.begin(), row->keys.end(),
                              [](const KeySpec& k) { return !(k.flags & KeySpec::kNotKey); });
  if (!has_keys) return fail("ERR The command has no key arguments");
  int n = static_cast<int>(args.size());
  if (row->arity > 0 ? n != row->arity : n < -row->arity) {
    return fail("ERR Invalid number of arguments specified for command");
  }
  *keys = FindKeys(*row, args);
  if (keys->empty() && !(row->flags & kNoMandatoryKeys)) {
    return fail("ERR Invalid arguments specified for command");
  }
  return row;
}

void CommandGetkeys(Call& call) {
  std::vector<KeyPosition> keys;
  if (!CommandWithKeys(call, &keys)) return;
  call.reply.ArrayHeader(keys.size());
  for (const KeyPosition& key : keys) call.reply.Bulk(call.args[2 + key.index]);
}

void CommandGetkeysandflags(Call& call) {
  std::vector<KeyPosition> keys;
  if (!CommandWithKeys(call, &keys)) return;
  call.reply.ArrayHeader(keys.size());
  for (const KeyPosition& key : keys) {
    KeySpec what;
    what.flags = key.flags;
    call.reply.ArrayHeader(2);
    call.reply.Bulk(call.args[2 + key.index]);
    WriteStatuses(call, FlagNames(what));
  }
}

std::string Upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

void ContainerHelp(Call& call) {
  std::string_view name = call.row.name.substr(0, call.row.name.find('|'));
  std::vector<const Row*> subs = call.engine.table().Find(name)->subcommands;
  std::sort(subs.begin(), subs.end(), [](const Row* a, const Row* b) { return a->name < b->name; });
  call.reply.ArrayHeader(1 + 2 * subs.size());
  call.reply.SimpleString(Upper(name) +
                          " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Row* sub : subs) {
    std::string line = Upper(sub->name.substr(name.size() + 1));
    if (!sub->syntax.empty()) line += " " + Synopsis(sub->syntax);
    call.reply.SimpleString(line);
    call.reply.SimpleString("    " + std::string(sub->summary));
  }
}

void AddCommandRows(Rows* rows) {
  rows->push_back({"command",
                   "",
                   "Describes all commands, for clients.",
                   "2.8.13",
                   "O(N)",
                   Group::kServer,
                   -1,
                   kLoading | kStale | kCatConnection,
                   {},
                   CommandInfo,
                   {"nondeterministic_output_order"}});
  rows->push_back({"command|count",
                   "",
                   "Counts the commands.",
                   "2.8.13",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale | kCatConnection,
                   {},
                   CommandCount});
  rows->push_back({"command|docs",
                   "[command-name...]",
                   "Describes commands, for people.",
                   "7.0.0",
                   "O(N)",
                   Group::kServer,
                   -2,
                   kLoading | kStale | kCatConnection,
                   {},
                   CommandDocs,
                   {"nondeterministic_output_order"}});
  rows->push_back({"command|getkeys",
                   "",
                   "Picks the keys out of a full command.",
                   "2.8.13",
                   "O(N)",
                   Group::kServer,
                   -4,
                   kLoading | kStale | kCatConnection,
                   {},
                   CommandGetkeys});
  rows->push_back({"command|getkeysandflags",
                   "",
                   "Picks the keys out of a full command, with what it does to them.",
                   "7.0.0",
                   "O(N)",
                   Group::kServer,
                   -4,
                   kLoading | kStale | kCatConnection,
                   {},
                   CommandGetkeysandflags});
  rows->push_back({"command|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale | kCatConnection,
                   {},
                   ContainerHelp});
  rows->push_back({"command|info",
                   "[command-name...]",
                   "Describes some commands, or all, for clients.",
                   "2.8.13",
                   "O(N)",
                   Group::kServer,
                   -2,
                   kLoading | kStale | kCatConnection,
                   {},
                   CommandInfo,
                   {"nondeterministic_output_order"}});
  rows->push_back(
      {"command|list",
       "[FILTERBY=filterby(MODULE=module-name|ACLCAT=category|PATTERN=pattern:pattern)]",
       "Lists the names of commands.",
       "7.0.0",
       "O(N)",
       Group::kServer,
       -2,
       kLoading | kStale | kCatConnection,
       {},
       CommandList,
       {"nondeterministic_output_order"}});
}

}  // namespace sluice
