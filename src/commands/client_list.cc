// CLIENT LIST and INFO, and CLIENT KILL: connections described, and chosen by what describes them.
#include <algorithm>
#include <optional>
#include <set>

#include "src/commands/client_common.h"
#include "src/engine/describe.h"

namespace sluice {
namespace {

std::optional<ClientKind> KindNamed(std::string_view name) {
  if (Call::Same(name, "NORMAL")) return ClientKind::kNormal;
  if (Call::Same(name, "PUBSUB")) return ClientKind::kPubsub;
  if (Call::Same(name, "MASTER")) return ClientKind::kMaster;
  if (Call::Same(name, "SLAVE") || Call::Same(name, "REPLICA")) return ClientKind::kReplica;
  return std::nullopt;
}

std::string DescribeLine(Call& call, Session& session) {
  call.engine.host().Measure(session);
  return DescribeSession(session, call.now_ms()) + "\n";
}

// What CLIENT KILL goes by.
struct Filter {
  std::optional<uint64_t> id;
  std::optional<ClientKind> kind;
  std::optional<std::string_view> address, local_address;
  const AclUser* user = nullptr;
  std::optional<int64_t> max_age_s;
  bool skip_me = true;

  bool Matches(const Session& s, const Call& call) const {
    return (!id || s.id == *id) && (!kind || KindOf(s) == *kind) &&
           (!address || s.address == *address) &&
           (!local_address || s.local_address == *local_address) && (!user || s.user.get() == user) &&
           (!max_age_s || (call.now_ms() - s.created_ms) / 1000 >= *max_age_s) &&
           !(skip_me && &s == &call.session);
  }
};

bool ReadFilter(Call& call, Filter* filter) {
  auto fail = [&](std::string_view error) {
    call.Error(error);
    return false;
  };
  for (size_t i = 2; i < call.args.size(); i += 2) {
    if (i + 1 == call.args.size()) return fail(errors::kSyntax);
    std::string_view value = call.args[i + 1];
    int64_t number;
    if (call.Is(i, "ID")) {
      if (!call.ReadRange(i + 1, 1, INT64_MAX, &number, "ERR client-id should be greater than 0")) {
        return false;
      }
      filter->id = static_cast<uint64_t>(number);
    } else if (call.Is(i, "MAXAGE")) {
      if (!call.ReadInteger(i + 1, &number, "ERR maxage is not an integer or out of range")) {
        return false;
      }
      if (number <= 0) return fail("ERR maxage should be greater than 0");
      filter->max_age_s = number;
    } else if (call.Is(i, "TYPE")) {
      filter->kind = KindNamed(value);
      if (!filter->kind) return fail("ERR Unknown client type '" + std::string(value) + "'");
    } else if (call.Is(i, "ADDR")) {
      filter->address = value;
    } else if (call.Is(i, "LADDR")) {
      filter->local_address = value;
    } else if (call.Is(i, "USER")) {
      filter->user = call.engine.acl().Find(value).get();
      if (!filter->user) return fail("ERR No such user '" + std::string(value) + "'");
    } else if (call.Is(i, "SKIPME")) {
      filter->skip_me = call.Is(i + 1, "YES");
      if (!filter->skip_me && !call.Is(i + 1, "NO")) return fail(errors::kSyntax);
    } else {
      return fail(errors::kSyntax);
    }
  }
  return true;
}

}  // namespace

void ClientList(Call& call) {
  Args args = call.args;
  std::string text;
  if (args.size() > 3 && call.Is(2, "ID")) {
    for (size_t i = 3; i < args.size(); ++i) {
      int64_t id;
      if (!call.ReadInteger(i, &id, "ERR Invalid client ID")) return;
      Session* session = call.engine.FindSession(static_cast<uint64_t>(id));
      if (session) text += DescribeLine(call, *session);
    }
    return call.reply.Verbatim("txt", text);
  }
  std::optional<ClientKind> kind;
  if (args.size() == 4 && call.Is(2, "TYPE")) {
    kind = KindNamed(args[3]);
    if (!kind) return call.Error("ERR Unknown client type '" + std::string(args[3]) + "'");
  } else if (args.size() != 2) {
    return call.Error(errors::kSyntax);
  }
  for (auto& [id, session] : call.engine.sessions()) {
    if (!kind || KindOf(*session) == *kind) text += DescribeLine(call, *session);
  }
  call.reply.Verbatim("txt", text);
}

void ClientInfo(Call& call) { call.reply.Verbatim("txt", DescribeLine(call, call.session)); }

void ClientKill(Call& call) {
  Filter filter;
  bool old_form = call.args.size() == 3;
  if (old_form) {
    filter.address = call.args[2];
    filter.skip_me = false;
  } else if (!ReadFilter(call, &filter)) {
    return;
  }
  int64_t killed = 0;
  for (auto& [id, session] : call.engine.sessions()) {
    if (!filter.Matches(*session, call)) continue;
    ++killed;
    if (session.get() == &call.session) {
      session->close_after_reply = true;
    } else {
      session->close_now = true;
      call.engine.Touch(*session);
    }
    if (old_form) break;
  }
  if (!old_form) return call.reply.Integer(killed);
  killed ? call.reply.Ok() : call.Error("ERR No such client");
}

}  // namespace sluice
