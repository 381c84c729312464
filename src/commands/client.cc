// CLIENT: what a connection asks about itself, and what an operator does to others. LIST, INFO and
// KILL are in client_list.cc.
#include "src/commands/client_common.h"
#include "src/commands/connection_common.h"
#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

void ClientId(Call& call) { call.reply.Integer(static_cast<int64_t>(call.session.id)); }

void ClientSetname(Call& call) {
  if (!CheckClientName(call, call.args[2])) return;
  call.session.name = call.args[2];
  call.reply.Ok();
}

void ClientGetname(Call& call) {
  call.session.name.empty() ? call.reply.Null() : call.reply.Bulk(call.session.name);
}

// What the client's library calls itself, for CLIENT LIST.
void ClientSetinfo(Call& call) {
  std::string* field = nullptr;
  if (call.Is(2, "LIB-NAME")) field = &call.session.library_name;
  if (call.Is(2, "LIB-VER")) field = &call.session.library_version;
  if (!field) return call.Error("ERR Unrecognized option '" + std::string(call.args[2]) + "'");
  for (char c : call.args[3]) {
    if (c < '!' || c > '~') {
      return call.Error("ERR " + std::string(call.args[2]) +
                        " cannot contain spaces, newlines or special characters.");
    }
  }
  *field = call.args[3];
  call.reply.Ok();
}

void ClientReply(Call& call) {
  ReplyMode& mode = call.session.reply_mode;
  if (call.Is(2, "ON")) {
    mode = ReplyMode::kOn;
    call.reply.Ok();
  } else if (call.Is(2, "OFF")) {
    mode = ReplyMode::kOff;
  } else if (call.Is(2, "SKIP")) {
    if (mode != ReplyMode::kOff) mode = ReplyMode::kSkipNext;
  } else {
    call.Error(errors::kSyntax);
  }
}

void WrongForm(Call& call, std::string_view subcommand) {
  call.Error("ERR unknown subcommand or wrong number of arguments for '" +
             std::string(subcommand.substr(0, 128)) + "'. Try CLIENT HELP.");
}

void SetSwitch(Call& call, bool* value) {
  bool on = call.Is(2, "ON");
  if (!on && !call.Is(2, "OFF")) return call.Error(errors::kSyntax);
  *value = on;
  call.reply.Ok();
}

void ClientNoEvict(Call& call) { SetSwitch(call, &call.session.no_evict); }
void ClientNoTouch(Call& call) { SetSwitch(call, &call.session.no_touch); }

void ClientPause(Call& call) {
  bool writes_only = false;
  if (call.args.size() > 4) return WrongForm(call, call.args[1]);
  if (call.args.size() == 4) {
    writes_only = call.Is(3, "WRITE");
    if (!writes_only && !call.Is(3, "ALL")) {
      return call.Error("ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
  }
  int64_t timeout_ms;
  if (!call.ReadTimeoutMs(2, &timeout_ms)) return;
  call.engine.Pause(call.now_ms() + timeout_ms, writes_only);
  call.reply.Ok();
}

void ClientUnpause(Call& call) {
  call.engine.Unpause();
  call.reply.Ok();
}

void ClientUnblock(Call& call) {
  if (call.args.size() > 4) return WrongForm(call, call.args[1]);
  bool with_error = call.Is(3, "ERROR");
  if (call.args.size() == 4 && !with_error && !call.Is(3, "TIMEOUT")) {
    return call.Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  int64_t id;
  if (!call.ReadInteger(2, &id)) return;
  Session* session = call.engine.FindSession(static_cast<uint64_t>(id));
  // One that is paused waits for no key, and for no timeout.
  if (!session || !session->blocked || session->blocked->reason != Blocked::Reason::kKeys) {
    return call.reply.Integer(0);
  }
  call.engine.Unblock(*session, with_error ? "UNBLOCKED client unblocked via CLIENT UNBLOCK" : "");
  call.reply.Integer(1);
}

// ---- tracking: nobody is told of changed keys, so it cannot be switched on.

void ClientGetredir(Call& call) { call.reply.Integer(-1); }

void ClientTrackinginfo(Call& call) {
  call.reply.MapHeader(3);
  call.reply.Bulk("flags");
  call.reply.SetHeader(1);
  call.reply.Bulk("off");
  call.reply.Bulk("redirect");
  call.reply.Integer(-1);
  call.reply.Bulk("prefixes");
  call.reply.ArrayHeader(0);
}

void ClientCaching(Call& call) {
  call.Error(
      "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
      "OPTOUT mode enabled");
}

void ClientTracking(Call& call) {
  bool bcast = false, optin = false, optout = false;
  std::vector<std::string_view> prefixes;
  for (size_t i = 3; i < call.args.size(); ++i) {
    bool more = i + 1 < call.args.size();
    if (call.Is(i, "REDIRECT") && more) {
      int64_t id;
      if (!call.ReadInteger(++i, &id)) return;
      if (!call.engine.FindSession(static_cast<uint64_t>(id))) {
        return call.Error("ERR The client ID you want redirect to does not exist");
      }
    } else if (call.Is(i, "BCAST")) {
      bcast = true;
    } else if (call.Is(i, "OPTIN")) {
      optin = true;
    } else if (call.Is(i, "OPTOUT")) {
      optout = true;
    } else if (call.Is(i, "PREFIX") && more) {
      prefixes.push_back(call.args[++i]);
    } else if (!call.Is(i, "NOLOOP")) {
      return call.Error(errors::kSyntax);
    }
  }
  if (call.Is(2, "OFF")) return call.reply.Ok();
  if (!call.Is(2, "ON")) return call.Error(errors::kSyntax);
  if (!prefixes.empty() && !bcast) {
    return call.Error("ERR PREFIX option requires BCAST mode to be enabled");
  }
  if (bcast && (optin || optout)) {
    return call.Error("ERR OPTIN and OPTOUT are not compatible with BCAST");
  }
  if (optin && optout) {
    return call.Error("ERR You can't specify both OPTIN mode and OPTOUT mode");
  }
  for (size_t i = 0; i < prefixes.size(); ++i) {
    for (size_t j = i + 1; j < prefixes.size(); ++j) {
      if (!prefixes[i].starts_with(prefixes[j]) && !prefixes[j].starts_with(prefixes[i])) continue;
      return call.Error("ERR Prefix '" + std::string(prefixes[i]) +
                        "' overlaps with another provided prefix '" + std::string(prefixes[j]) +
                        "'. Prefixes for a single client must not overlap.");
    }
  }
  call.Error("ERR Sluice sends no invalidation messages: client tracking is not available");
}

}  // namespace

void AddClientRows(Rows* rows) {
  rows->push_back({"client",
                   "",
                   "Commands about connections.",
                   "2.4.0",
                   "",
                   Group::kConnection,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"client|caching",
                   "mode(YES|NO)",
                   "Says whether the keys of the next command are to be tracked.",
                   "6.0.0",
                   "O(1)",
                   Group::kConnection,
                   3,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientCaching});
  rows->push_back({"client|getname",
                   "",
                   "Tells the connection's name.",
                   "2.6.9",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientGetname});
  rows->push_back({"client|getredir",
                   "",
                   "Tells where tracking's messages go.",
                   "6.0.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientGetredir});
  rows->push_back({"client|help",
                   "",
                   "Lists the subcommands.",
                   "5.0.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"client|id",
                   "",
                   "Tells the connection's number.",
                   "5.0.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientId});
  rows->push_back({"client|info",
                   "",
                   "Describes this connection.",
                   "6.2.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientInfo,
                   {"nondeterministic_output"}});
  rows->push_back({"client|kill",
                   "filter('ip:port'@<2.8.12|new-format([ID=client-id:int@2.8.12]|[TYPE=normal_"
                   "master_slave_pubsub(NORMAL|MASTER@3.2.0|SLAVE|REPLICA@5.0.0|PUBSUB)@2.8.12]|["
                   "USER=username]|[ADDR='ip:port']|[LADDR='ip:port'@6.2.0]|[SKIPME='yes/no'])...)",
                   "Closes connections.",
                   "2.4.0",
                   "O(N)",
                   Group::kConnection,
                   -3,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ClientKill});
  rows->push_back({"client|list",
                   "[TYPE=normal_master_replica_pubsub(NORMAL|MASTER|REPLICA|PUBSUB)@5.0.0] "
                   "[ID=id(client-id:int...)@6.2.0]",
                   "Describes all connections, or some.",
                   "2.4.0",
                   "O(N)",
                   Group::kConnection,
                   -2,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ClientList,
                   {"nondeterministic_output"}});
  rows->push_back({"client|no-evict",
                   "enabled(ON|OFF)",
                   "Keeps the connection when memory runs out; nothing here evicts one.",
                   "7.0.0",
                   "O(1)",
                   Group::kConnection,
                   3,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ClientNoEvict});
  rows->push_back({"client|no-touch",
                   "enabled(ON|OFF)",
                   "Lets this connection's commands leave the keys' idle times alone.",
                   "7.2.0",
                   "O(1)",
                   Group::kConnection,
                   3,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientNoTouch});
  rows->push_back({"client|pause",
                   "timeout:int [mode(WRITE|ALL)@6.2.0]",
                   "Makes commands, or writes only, wait for a while.",
                   "2.9.50",
                   "O(1)",
                   Group::kConnection,
                   -3,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ClientPause});
  rows->push_back({"client|reply",
                   "on_off_skip(ON|OFF|SKIP)",
                   "Switches replies on and off.",
                   "3.2.0",
                   "O(1)",
                   Group::kConnection,
                   3,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientReply});
  rows->push_back({"client|setinfo",
                   "attr(LIB-NAME=libname|LIB-VER=libver)",
                   "Says what the client's library is.",
                   "7.2.0",
                   "O(1)",
                   Group::kConnection,
                   4,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientSetinfo,
                   {"request_policy:all_nodes", "response_policy:all_succeeded"}});
  rows->push_back({"client|setname",
                   "connection-name",
                   "Gives the connection a name.",
                   "2.6.9",
                   "O(1)",
                   Group::kConnection,
                   3,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientSetname});
  rows->push_back({"client|tracking",
                   "status(ON|OFF) [REDIRECT=client-id:int] [PREFIX=prefix]... [BCAST] [OPTIN] "
                   "[OPTOUT] [NOLOOP]",
                   "Switches the tracking of keys; only off is to be had.",
                   "6.0.0",
                   "O(1)",
                   Group::kConnection,
                   -3,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientTracking});
  rows->push_back({"client|trackinginfo",
                   "",
                   "Tells how keys are tracked.",
                   "6.2.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kNoscript | kLoading | kStale,
                   {},
                   ClientTrackinginfo});
  rows->push_back({"client|unblock",
                   "client-id:int [timeout_error(TIMEOUT|ERROR)]",
                   "Ends the wait of a blocked client.",
                   "5.0.0",
                   "O(log N)",
                   Group::kConnection,
                   -3,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ClientUnblock});
  rows->push_back({"client|unpause",
                   "",
                   "Ends a pause.",
                   "6.2.0",
                   "O(N)",
                   Group::kConnection,
                   2,
                   kAdmin | kNoscript | kLoading | kStale,
                   {},
                   ClientUnpause});
}

}  // namespace sluice
