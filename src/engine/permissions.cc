// What the engine does about users: who is one, and what becomes of those who are refused.
#include "src/engine/describe.h"
#include "src/engine/engine.h"

namespace sluice {
namespace {

// Whether all that a session listens to is still its user's to hear.
bool MayListen(const Session& session) {
  if (!session.subscriptions || session.user->unrestricted()) return true;
  for (Topic topic : {Topic::kChannel, Topic::kPattern, Topic::kShard}) {
    for (const std::string& name : PubSub::NamesOf(session, topic)) {
      if (!session.user->AllowsChannel(name, topic == Topic::kPattern)) return false;
    }
  }
  return true;
}

}  // namespace

void Engine::ForgetUser(Session& session) {
  session.user = acl_.default_user();
  session.authenticated = !acl_.auth_required();
}

void Engine::LogDenied(const Session& session, const Row& row, Args args, Verdict verdict,
                       AclContext context) {
  switch (verdict.denied) {
    case Denied::kKey:
      ++stats_.denied_keys;
      break;
    case Denied::kChannel:
      ++stats_.denied_channels;
      break;
    default:
      ++stats_.denied_commands;
  }
  AclLogEntry entry;
  entry.reason = verdict.denied;
  entry.context = context;
  entry.object = verdict.denied == Denied::kCommand ? row.name : args[verdict.arg];
  entry.user = session.user->name();
  entry.client = DescribeSession(session, now_ms());
  acl_.log().Add(std::move(entry), now_ms(), static_cast<size_t>(config_->acllog_max_len));
}

void Engine::LogWrongPassword(const Session& session, std::string_view command,
                              std::string_view user) {
  ++stats_.denied_passwords;
  AclLogEntry entry;
  entry.reason = Denied::kAuth;
  entry.context = session.in_multi ? AclContext::kMulti : AclContext::kTopLevel;
  entry.object = command;
  entry.user = user;
  entry.client = DescribeSession(session, now_ms());
  acl_.log().Add(std::move(entry), now_ms(), static_cast<size_t>(config_->acllog_max_len));
}

void Engine::CloseUnentitled(const Session& caller) {
  for (auto& [id, session] : sessions_) {
    if (acl_.Exists(*session->user) && MayListen(*session)) continue;
    // Whatever it had still in mind, it has no rights for it.
    session->user = acl_.default_user();
    session->authenticated = false;
    if (session.get() == &caller) {
      session->close_after_reply = true;
    } else {
      session->close_now = true;
      Touch(*session);
    }
  }
}

std::string Engine::ConfigChanged(std::string_view directive) {
  if (directive == "requirepass") acl_.SetDefaultPassword(config_->requirepass);
  return host_->Apply(directive);
}

}  // namespace sluice
