#include "src/engine/pubsub.h"

#include <algorithm>
#include <initializer_list>

#include "src/engine/call.h"
#include "src/engine/session.h"

namespace sluice {

bool PubSub::Subscribe(Session& session, Topic topic, std::string_view name) {
  if (!session.subscriptions) {
    session.subscriptions = std::make_unique<Subscriptions>();
    ++sessions_;
  }
  auto& own = session.subscriptions->of(topic);
  if (own.contains(name)) return false;
  auto it = table(topic).try_emplace(std::string(name)).first;
  it->second.push_back(&session);
  own.insert(it->first);
  return true;
}

bool PubSub::Unsubscribe(Session& session, Topic topic, std::string_view name) {
  if (!session.subscriptions || !session.subscriptions->of(topic).erase(name)) return false;
  auto it = table(topic).find(name);
  std::erase(it->second, &session);
  if (it->second.empty()) table(topic).erase(it);
  ForgetIfSilent(session);
  return true;
}

void PubSub::UnsubscribeAll(Session& session) {
  for (Topic topic : {Topic::kChannel, Topic::kPattern, Topic::kShard}) {
    for (const std::string& name : NamesOf(session, topic)) Unsubscribe(session, topic, name);
  }
}

void PubSub::ForgetIfSilent(Session& session) {
  if (!session.subscriptions->empty()) return;
  session.subscriptions.reset();
  --sessions_;
}

std::vector<std::string> PubSub::NamesOf(const Session& session, Topic topic) {
  if (!session.subscriptions) return {};
  auto& own = session.subscriptions->of(topic);
  return {own.begin(), own.end()};
}

size_t PubSub::CountOf(const Session& session, Topic topic) {
  return session.subscriptions ? session.subscriptions->count(topic) : 0;
}

namespace {

// A message is written once, and copied once into each output.
resp::Buffer Frame(std::initializer_list<std::string_view> parts) {
  resp::Buffer frame;
  resp::ReplyWriter writer(&frame, 3);
  writer.PushHeader(parts.size());
  for (std::string_view part : parts) writer.Bulk(part);
  return frame;
}

}  // namespace

size_t PubSub::Deliver(const Listening& listening, const resp::Buffer& frame) {
  for (Session* session : listening) {
    // One that is to go after its last reply gets nothing behind that.
    if (session->close_now || session->close_after_reply) continue;
    resp::Buffer& to = session->executing ? session->pushes : session->out;
    size_t at = to.size();
    to.Append(frame.view());
    // In RESP2 a push is an array, and nothing else differs.
    if (session->reply.protocol() < 3) to.data()[at] = '*';
    touch_(*session);
  }
  return listening.size();
}

size_t PubSub::Publish(Topic topic, std::string_view channel, std::string_view message) {
  size_t receivers = 0;
  if (auto it = table(topic).find(channel); it != table(topic).end()) {
    std::string_view kind = topic == Topic::kShard ? "smessage" : "message";
    receivers += Deliver(it->second, Frame({kind, channel, message}));
  }
  if (topic == Topic::kShard) return receivers;
  for (auto& [pattern, listening] : table(Topic::kPattern)) {
    if (!GlobMatch(pattern, channel)) continue;
    receivers += Deliver(listening, Frame({"pmessage", pattern, channel, message}));
  }
  return receivers;
}

size_t PubSub::Listeners(Topic topic, std::string_view name) const {
  auto it = table(topic).find(name);
  return it == table(topic).end() ? 0 : it->second.size();
}

std::vector<std::string_view> PubSub::Names(Topic topic, std::string_view glob) const {
  std::vector<std::string_view> names;
  for (auto& [name, listening] : table(topic)) {
    if (GlobMatch(glob, name)) names.push_back(name);
  }
  return names;
}

}  // namespace sluice
