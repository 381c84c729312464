// SLOWLOG, and LATENCY, which keeps no history here: it answers as a server that has seen no
// latency worth noting.
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

void SlowlogGet(Call& call) {
  if (call.args.size() > 3) {
    return call.Error("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(call.args[1]) + "'. Try SLOWLOG HELP.");
  }
  const auto& log = call.engine.stats().slowlog;
  int64_t count = 10;
  if (call.args.size() == 3 && !call.ReadRange(2, -1, INT64_MAX, &count,
                                               "ERR count should be greater than or equal to -1")) {
    return;
  }
  size_t shown = log.size();
  if (count >= 0) shown = std::min(shown, static_cast<size_t>(count));
  call.reply.ArrayHeader(shown);
  for (size_t i = 0; i < shown; ++i) {
    const SlowlogEntry& entry = log[i];
    call.reply.ArrayHeader(6);
    call.reply.Integer(static_cast<int64_t>(entry.id));
    call.reply.Integer(entry.unix_seconds);
    call.reply.Integer(entry.microseconds);
    call.reply.ArrayHeader(entry.args.size());
    for (const std::string& arg : entry.args) call.reply.Bulk(arg);
    call.reply.Bulk(entry.address);
    call.reply.Bulk(entry.client_name);
  }
}

void SlowlogLen(Call& call) {
  call.reply.Integer(static_cast<int64_t>(call.engine.stats().slowlog.size()));
}

void SlowlogReset(Call& call) {
  call.engine.stats().slowlog.clear();
  call.reply.Ok();
}

void NoSamples(Call& call) { call.reply.ArrayHeader(0); }
void LatencyReset(Call& call) { call.reply.Integer(0); }

// Cumulative counts up to powers of two, as far as they grow.
void WriteHistogram(Call& call, const Row& row, const CommandStats& stats) {
  call.reply.Bulk(row.name);
  call.reply.MapHeader(2);
  call.reply.Bulk("calls");
  call.reply.Integer(static_cast<int64_t>(stats.latency.count()));
  call.reply.Bulk("histogram_usec");
  size_t mark = call.reply.BeginMap();
  size_t pairs = 0;
  uint64_t shown = 0;
  for (int64_t us = 1; shown < stats.latency.count() && us < int64_t{1} << 40; us *= 2) {
    uint64_t below = stats.latency.CountBelow(us + 1);
    if (below == shown) continue;
    shown = below;
    call.reply.Integer(us);
    call.reply.Integer(static_cast<int64_t>(below));
    ++pairs;
  }
  call.reply.EndMap(mark, pairs);
}

void LatencyHistogram(Call& call) {
  const CommandTable& table = call.engine.table();
  size_t mark = call.reply.BeginMap();
  size_t n = 0;
  auto write = [&](const Row& row) {
    const CommandStats& stats = call.engine.stats().commands_by_row[row.index];
    if (!stats.latency.count()) return;
    WriteHistogram(call, row, stats);
    ++n;
  };
  if (call.args.size() == 2) {
    for (int i = 0; i < table.size(); ++i) write(table.at(i));
  }
  for (std::string_view name : call.args.subspan(2)) {
    size_t bar = name.find('|');
    const Row* row = table.Find(name.substr(0, bar));
    if (row && bar != std::string_view::npos)
      row = CommandTable::FindSub(*row, name.substr(bar + 1));
    if (!row) continue;
    write(*row);
    for (const Row* sub : row->subcommands) write(*sub);
  }
  call.reply.EndMap(mark, n);
}

void LatencyGraph(Call& call) {
  call.Error("ERR No samples available for event '" + std::string(call.args[2]) + "'");
}

void LatencyDoctor(Call& call) {
  call.reply.Verbatim("txt",
                      "Sluice keeps no history of latency. INFO sluice tells how long the slowest "
                      "turn of the server took, SLOWLOG GET which commands were slow.\n");
}

}  // namespace

void AddSlowlogRows(Rows* rows) {
  rows->push_back({"slowlog",
                   "",
                   "Commands about the log of slow commands.",
                   "2.2.12",
                   "",
                   Group::kServer,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"slowlog|get",
                   "[count:int]",
                   "Shows the latest entries.",
                   "2.2.12",
                   "O(N)",
                   Group::kServer,
                   -2,
                   kAdmin | kLoading | kStale,
                   {},
                   SlowlogGet,
                   {"request_policy:all_nodes", "nondeterministic_output"}});
  rows->push_back({"slowlog|help",
                   "",
                   "Lists the subcommands.",
                   "6.2.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back(
      {"slowlog|len",
       "",
       "Counts the entries.",
       "2.2.12",
       "O(1)",
       Group::kServer,
       2,
       kAdmin | kLoading | kStale,
       {},
       SlowlogLen,
       {"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"}});
  rows->push_back({"slowlog|reset",
                   "",
                   "Empties the log.",
                   "2.2.12",
                   "O(N)",
                   Group::kServer,
                   2,
                   kAdmin | kLoading | kStale,
                   {},
                   SlowlogReset,
                   {"request_policy:all_nodes", "response_policy:all_succeeded"}});
  rows->push_back(
      {"latency", "", "Commands about latency.", "2.8.13", "", Group::kServer, -2, 0, {}, nullptr});
  rows->push_back(
      {"latency|doctor",
       "",
       "Gives advice on latency.",
       "2.8.13",
       "O(1)",
       Group::kServer,
       2,
       kAdmin | kNoscript | kLoading | kStale,
       {},
       LatencyDoctor,
       {"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}});
  rows->push_back(
      {"latency|graph",
       "event",
       "Draws the history of an event.",
       "2.8.13",
       "O(1)",
       Group::kServer,
       3,
       kAdmin | kNoscript | kLoading | kStale,
       {},
       LatencyGraph,
       {"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}});
  rows->push_back({"latency|help",
                   "",
                   "Lists the subcommands.",
                   "2.8.13",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back(
      {"latency|histogram",
       "[command...]",
       "Shows how the latencies of commands are distributed.",
       "7.0.0",
       "O(N)",
       Group::kServer,
       -2,
       kAdmin | kNoscript | kLoading | kStale,
       {},
       LatencyHistogram,
       {"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}});
  rows->push_back(
      {"latency|history",
       "event",
       "Shows the history of an event.",
       "2.8.13",
       "O(1)",
       Group::kServer,
       3,
       kAdmin | kNoscript | kLoading | kStale,
       {},
       NoSamples,
       {"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}});
  rows->push_back(
      {"latency|latest",
       "",
       "Shows the latest of each event.",
       "2.8.13",
       "O(1)",
       Group::kServer,
       2,
       kAdmin | kNoscript | kLoading | kStale,
       {},
       NoSamples,
       {"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}});
  rows->push_back({"latency|reset",
                   "[event...]",
                   "Forgets the history of events.",
                   "2.8.13",
                   "O(1)",
                   Group::kServer,
                   -2,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   LatencyReset,
                   {"request_policy:all_nodes", "response_policy:all_succeeded"}});
}

}  // namespace sluice
