// Transactions: MULTI queues, EXEC runs what is queued inside one batch, WATCH makes EXEC depend on
// keys staying as they are. The engine queues, and keeps the watches.
#include <utility>
#include <vector>

#include "src/commands/families.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

void Multi(Call& call) {
  if (call.session.in_multi) return call.Error("ERR MULTI calls can not be nested");
  call.session.in_multi = true;
  call.reply.Ok();
}

void Discard(Call& call) {
  if (!call.session.in_multi) return call.Error("ERR DISCARD without MULTI");
  call.engine.DiscardTransaction(call.session);
  call.reply.Ok();
}

// A watched key whose time has come counts as changed although it is not deleted yet, unless it was
// past its time already when WATCH came.
bool WatchedKeyExpired(Call& call) {
  for (const Session::Watch& watch : call.session.watches) {
    if (watch.expired_already) continue;
    if (call.engine.IsExpired(call.keys().Find(watch.db, watch.key))) return true;
  }
  return false;
}

void Exec(Call& call) {
  Session& session = call.session;
  if (!session.in_multi) return call.Error("ERR EXEC without MULTI");
  if (session.exec_aborted) {
    call.engine.DiscardTransaction(session);
    return call.Error("EXECABORT Transaction discarded because of previous errors.");
  }
  if (session.watch_broken || WatchedKeyExpired(call)) {
    call.engine.DiscardTransaction(session);
    return call.reply.NullArray();
  }
  std::vector<QueuedCommand> queue = std::move(session.queue);
  call.engine.DiscardTransaction(session);
  call.reply.ArrayHeader(queue.size());
  for (const QueuedCommand& command : queue) call.engine.ExecuteQueued(session, command);
}

void Watch(Call& call) {
  if (call.session.in_multi) return call.Error("ERR WATCH inside MULTI is not allowed");
  for (std::string_view name : call.args.subspan(1)) call.engine.WatchKey(call.session, name);
  call.reply.Ok();
}

void Unwatch(Call& call) {
  call.engine.UnwatchAll(call.session);
  call.reply.Ok();
}

}  // namespace

void AddTransactionRows(Rows* rows) {
  rows->push_back({"multi",
                   "",
                   "Begins a transaction: commands are queued from here on.",
                   "1.2.0",
                   "O(1)",
                   Group::kTransactions,
                   1,
                   kNoscript | kLoading | kStale | kFast | kAllowBusy,
                   {},
                   Multi});
  rows->push_back({"exec",
                   "",
                   "Runs the queued commands as one.",
                   "1.2.0",
                   "",
                   Group::kTransactions,
                   1,
                   kNoscript | kLoading | kStale | kSkipSlowlog,
                   {},
                   Exec});
  rows->push_back({"discard",
                   "",
                   "Drops the queued commands and ends the transaction.",
                   "2.0.0",
                   "O(N)",
                   Group::kTransactions,
                   1,
                   kNoscript | kLoading | kStale | kFast | kAllowBusy,
                   {},
                   Discard});
  rows->push_back({"watch",
                   "key...",
                   "Makes the next EXEC depend on keys staying as they are.",
                   "2.2.0",
                   "O(1)",
                   Group::kTransactions,
                   -2,
                   kNoscript | kLoading | kStale | kFast | kAllowBusy,
                   {KeySpec::Range(1, -1, KeySpec::kRO)},
                   Watch});
  rows->push_back({"unwatch",
                   "",
                   "Makes EXEC depend on no key any more.",
                   "2.2.0",
                   "O(1)",
                   Group::kTransactions,
                   1,
                   kNoscript | kLoading | kStale | kFast | kAllowBusy,
                   {},
                   Unwatch});
}

}  // namespace sluice
