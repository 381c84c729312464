// What a client says about its connection: who it is, which protocol it speaks, which database it
// means. CLIENT is in client.cc.
#include "src/commands/connection_common.h"
#include "src/commands/families.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

bool Authenticate(Call& call, std::string_view name, std::string_view password) {
  std::shared_ptr<AclUser> user = call.engine.acl().Authenticate(name, password);
  if (!user) {
    call.engine.LogWrongPassword(call.session, call.args[0], name);
    call.Error("WRONGPASS invalid username-password pair or user is disabled.");
    return false;
  }
  call.session.user = std::move(user);
  call.session.authenticated = true;
  return true;
}

void Ping(Call& call) {
  if (call.args.size() > 2) return call.WrongArity();
  if (call.session.subscriptions && call.reply.protocol() == 2) {
    call.reply.ArrayHeader(2);
    call.reply.Bulk("pong");
    return call.reply.Bulk(call.args.size() == 1 ? "" : call.args[1]);
  }
  call.args.size() == 1 ? call.reply.SimpleString("PONG") : call.reply.Bulk(call.args[1]);
}

void Echo(Call& call) { call.reply.Bulk(call.args[1]); }

void Quit(Call& call) {
  call.reply.Ok();
  call.session.close_after_reply = true;
}

void Auth(Call& call) {
  if (call.args.size() > 3) return call.Error(errors::kSyntax);
  bool named = call.args.size() == 3;
  if (!named && call.engine.acl().default_user()->no_password()) {
    return call.Error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  std::string_view user = named ? call.args[1] : "default";
  if (Authenticate(call, user, call.args.back())) call.reply.Ok();
}

void Select(Call& call) {
  int64_t db;
  if (!call.ReadInteger(1, &db)) return;
  if (db < INT32_MIN || db > INT32_MAX) {
    return call.Error("ERR value is out of range, value must between -2147483648 and 2147483647");
  }
  if (db < 0 || db >= call.keys().databases()) return call.Error("ERR DB index is out of range");
  call.session.db = static_cast<int>(db);
  call.reply.Ok();
}

// What HELLO was asked for; nothing of it happens before all of it is known to be possible.
struct Greeting {
  int protocol = 0;  // 0: as before
  bool authenticate = false, set_name = false;
  std::string_view user, password, name;
};

bool ReadGreeting(Call& call, Greeting* greeting) {
  Args args = call.args;
  size_t next = 1;
  if (args.size() > next) {
    int64_t version;
    if (!call.ReadInteger(next++, &version,
                          "ERR Protocol version is not an integer or out of range")) {
      return false;
    }
    if (version < 2 || version > 3) {
      call.Error("NOPROTO unsupported protocol version");
      return false;
    }
    greeting->protocol = static_cast<int>(version);
  }
  while (next < args.size()) {
    size_t left = args.size() - next - 1;
    if (call.Is(next, "AUTH") && left >= 2) {
      greeting->authenticate = true;
      greeting->user = args[next + 1];
      greeting->password = args[next + 2];
      next += 3;
    } else if (call.Is(next, "SETNAME") && left >= 1) {
      greeting->set_name = true;
      greeting->name = args[next + 1];
      if (!CheckClientName(call, greeting->name)) return false;
      next += 2;
    } else {
      call.Error("ERR Syntax error in HELLO option '" + std::string(args[next]) + "'");
      return false;
    }
  }
  return true;
}

void Hello(Call& call) {
  Greeting greeting;
  if (!ReadGreeting(call, &greeting)) return;
  Session& session = call.session;
  if (greeting.authenticate && !Authenticate(call, greeting.user, greeting.password)) return;
  if (!session.authenticated) {
    return call.Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  if (greeting.set_name) session.name = greeting.name;
  if (greeting.protocol) {
    session.reply.set_protocol(greeting.protocol);
    call.reply.set_protocol(greeting.protocol);
  }
  auto pair = [&](std::string_view name, std::string_view value) {
    call.reply.Bulk(name);
    call.reply.Bulk(value);
  };
  call.reply.MapHeader(7);
  pair("server", "redis");
  pair("version", call.engine.config().redis_version);
  call.reply.Bulk("proto");
  call.reply.Integer(call.reply.protocol());
  call.reply.Bulk("id");
  call.reply.Integer(static_cast<int64_t>(session.id));
  pair("mode", "standalone");
  pair("role", "master");
  call.reply.Bulk("modules");
  call.reply.ArrayHeader(0);
}

// As if the client had just connected. What it has said of its library stays.
void Reset(Call& call) {
  Session& session = call.session;
  call.engine.DiscardTransaction(session);
  call.engine.pubsub().UnsubscribeAll(session);
  call.engine.SetMonitor(session, false);
  session.db = 0;
  session.name.clear();
  call.engine.ForgetUser(session);
  session.reply_mode = ReplyMode::kOn;
  session.no_evict = session.no_touch = false;
  session.reply.set_protocol(2);
  call.reply.set_protocol(2);
  call.reply.SimpleString("RESET");
}

}  // namespace

bool CheckClientName(Call& call, std::string_view name) {
  for (char c : name) {
    if (c < '!' || c > '~') {
      call.Error("ERR Client names cannot contain spaces, newlines or special characters.");
      return false;
    }
  }
  return true;
}

void AddConnectionRows(Rows* rows) {
  rows->push_back({"ping",
                   "[message]",
                   "Answers PONG, or what it was given.",
                   "1.0.0",
                   "O(1)",
                   Group::kConnection,
                   -1,
                   kFast,
                   {},
                   Ping,
                   {"request_policy:all_shards", "response_policy:all_succeeded"}});
  rows->push_back({"echo",
                   "message",
                   "Answers what it was given.",
                   "1.0.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kLoading | kStale | kFast,
                   {},
                   Echo});
  rows->push_back({"quit",
                   "",
                   "Closes the connection.",
                   "1.0.0",
                   "O(1)",
                   Group::kConnection,
                   -1,
                   kNoscript | kLoading | kStale | kFast | kNoAuth | kAllowBusy,
                   {},
                   Quit});
  rows->push_back({"reset",
                   "",
                   "Puts the connection into the state of a new one.",
                   "6.2.0",
                   "O(1)",
                   Group::kConnection,
                   1,
                   kNoscript | kLoading | kStale | kFast | kNoAuth | kAllowBusy,
                   {},
                   Reset});
  rows->push_back({"auth",
                   "[username@6.0.0] password",
                   "Tells the server who the client is.",
                   "1.0.0",
                   "O(N)",
                   Group::kConnection,
                   -2,
                   kNoscript | kLoading | kStale | kFast | kNoAuth | kAllowBusy,
                   {},
                   Auth});
  rows->push_back(
      {"hello",
       "[arguments(protover:int [AUTH=username_password(username password)] [SETNAME=clientname])]",
       "Chooses the protocol, and can authenticate and name the connection.",
       "6.0.0",
       "O(1)",
       Group::kConnection,
       -1,
       kNoscript | kLoading | kStale | kFast | kNoAuth | kAllowBusy,
       {},
       Hello});
  rows->push_back({"select",
                   "index:int",
                   "Chooses the connection's database.",
                   "1.0.0",
                   "O(1)",
                   Group::kConnection,
                   2,
                   kLoading | kStale | kFast,
                   {},
                   Select});
}

}  // namespace sluice
