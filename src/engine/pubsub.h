// Publish and subscribe: who listens to which channels, and how a message reaches them.
//
// A message goes straight into the outputs of those who listen, and leaves with whatever else this
// turn answers: not before what the turn changed is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "resp/buffer.h"

namespace sluice {

struct Session;

// The three name spaces: a name in one has nothing to do with the same name in another.
enum class Topic : uint8_t { kChannel, kPattern, kShard };

// What one session listens to. The names are views of those that PubSub keeps.
class Subscriptions {
 public:
  std::unordered_set<std::string_view>& of(Topic topic) { return names_[static_cast<int>(topic)]; }
  size_t count(Topic topic) const { return names_[static_cast<int>(topic)].size(); }
  bool empty() const { return names_[0].empty() && names_[1].empty() && names_[2].empty(); }

 private:
  std::unordered_set<std::string_view> names_[3];
};

class PubSub {
 public:
  // `touch` is called for every session that was sent something.
  explicit PubSub(std::function<void(Session&)> touch) : touch_(std::move(touch)) {}
  PubSub(const PubSub&) = delete;

  // False when nothing changed: the session listens already, or did not.
  bool Subscribe(Session& session, Topic topic, std::string_view name);
  bool Unsubscribe(Session& session, Topic topic, std::string_view name);
  void UnsubscribeAll(Session& session);
  // What the session listens to, in no order.
  static std::vector<std::string> NamesOf(const Session& session, Topic topic);
  static size_t CountOf(const Session& session, Topic topic);

  // Sends a message to everyone who listens to a channel, or to a pattern that fits it; a message
  // to a shard channel knows no patterns. Returns to how many. What goes to the session that is
  // executing a command follows that command's reply.
  size_t Publish(Topic topic, std::string_view channel, std::string_view message);

  // How many sessions listen to this name.
  size_t Listeners(Topic topic, std::string_view name) const;
  // How many names someone listens to.
  size_t Count(Topic topic) const { return table(topic).size(); }
  // Those of them that match a glob. Views live until the next (un)subscription.
  std::vector<std::string_view> Names(Topic topic, std::string_view glob) const;
  // How many sessions listen to anything.
  size_t sessions() const { return sessions_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Listening = std::vector<Session*>;  // in order of arrival
  using Table = std::unordered_map<std::string, Listening, Hash, std::equal_to<>>;

  Table& table(Topic topic) { return tables_[static_cast<int>(topic)]; }
  const Table& table(Topic topic) const { return tables_[static_cast<int>(topic)]; }
  size_t Deliver(const Listening& listening, const resp::Buffer& frame);
  void ForgetIfSilent(Session& session);

  std::function<void(Session&)> touch_;
  Table tables_[3];
  size_t sessions_ = 0;
};

}  // namespace sluice
