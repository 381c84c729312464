// Publish and subscribe. The engine's PubSub keeps who listens to what.
//
// A subscription answers with one push per name, outside of the usual one reply.
#include <optional>

#include "src/commands/families.h"
#include "src/commands/help.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

// How the commands of one topic call what they do.
struct Words {
  std::string_view subscribe, unsubscribe;
};
constexpr Words kWords[] = {
    {"subscribe", "unsubscribe"}, {"psubscribe", "punsubscribe"}, {"ssubscribe", "sunsubscribe"}};

// What a confirmation counts: channels and patterns together, shard channels by themselves.
size_t Total(const Session& session, Topic topic) {
  if (topic == Topic::kShard) return PubSub::CountOf(session, topic);
  return PubSub::CountOf(session, Topic::kChannel) + PubSub::CountOf(session, Topic::kPattern);
}

// Like messages, confirmations are heard even when replies are switched off.
void Confirm(Call& call, Topic topic, std::string_view word, std::optional<std::string_view> name) {
  Session& session = call.session;
  resp::ReplyWriter reply = call.reply;
  if (session.reply_mode != ReplyMode::kOn) {
    reply = resp::ReplyWriter(&session.pushes, session.reply.protocol());
  }
  reply.PushHeader(3);
  reply.Bulk(word);
  name ? reply.Bulk(*name) : reply.Null();
  reply.Integer(static_cast<int64_t>(Total(session, topic)));
}

void SubscribeTo(Call& call, Topic topic) {
  for (std::string_view name : call.args.subspan(1)) {
    call.engine.pubsub().Subscribe(call.session, topic, name);
    Confirm(call, topic, kWords[static_cast<int>(topic)].subscribe, name);
  }
}

void UnsubscribeFrom(Call& call, Topic topic) {
  std::string_view word = kWords[static_cast<int>(topic)].unsubscribe;
  auto leave = [&](std::string_view name) {
    call.engine.pubsub().Unsubscribe(call.session, topic, name);
    Confirm(call, topic, word, name);
  };
  for (std::string_view name : call.args.subspan(1)) leave(name);
  if (call.args.size() > 1) return;
  std::vector<std::string> all = PubSub::NamesOf(call.session, topic);
  for (const std::string& name : all) leave(name);
  if (all.empty()) Confirm(call, topic, word, std::nullopt);
}

void Subscribe(Call& call) { SubscribeTo(call, Topic::kChannel); }
void Psubscribe(Call& call) { SubscribeTo(call, Topic::kPattern); }
// More replies than one have no place in EXEC's; the other two are older than that insight.
void Ssubscribe(Call& call) {
  if (call.deny_blocking) {
    return call.Error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
  }
  SubscribeTo(call, Topic::kShard);
}
void Unsubscribe(Call& call) { UnsubscribeFrom(call, Topic::kChannel); }
void Punsubscribe(Call& call) { UnsubscribeFrom(call, Topic::kPattern); }
void Sunsubscribe(Call& call) { UnsubscribeFrom(call, Topic::kShard); }

void PublishTo(Call& call, Topic topic) {
  size_t receivers = call.engine.pubsub().Publish(topic, call.args[1], call.args[2]);
  call.reply.Integer(static_cast<int64_t>(receivers));
}

void Publish(Call& call) { PublishTo(call, Topic::kChannel); }
void Spublish(Call& call) { PublishTo(call, Topic::kShard); }

// ---- PUBSUB

void ReplyNames(Call& call, Topic topic) {
  if (call.args.size() > 3) {
    return call.Error("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(call.args[1].substr(0, 128)) + "'. Try PUBSUB HELP.");
  }
  std::string_view glob = call.args.size() == 3 ? call.args[2] : "*";
  std::vector<std::string_view> names = call.engine.pubsub().Names(topic, glob);
  call.reply.ArrayHeader(names.size());
  for (std::string_view name : names) call.reply.Bulk(name);
}

void ReplyCounts(Call& call, Topic topic) {
  Args names = call.args.subspan(2);
  call.reply.ArrayHeader(2 * names.size());
  for (std::string_view name : names) {
    call.reply.Bulk(name);
    call.reply.Integer(static_cast<int64_t>(call.engine.pubsub().Listeners(topic, name)));
  }
}

void PubsubChannels(Call& call) { ReplyNames(call, Topic::kChannel); }
void PubsubShardchannels(Call& call) { ReplyNames(call, Topic::kShard); }
void PubsubNumsub(Call& call) { ReplyCounts(call, Topic::kChannel); }
void PubsubShardnumsub(Call& call) { ReplyCounts(call, Topic::kShard); }
void PubsubNumpat(Call& call) {
  call.reply.Integer(static_cast<int64_t>(call.engine.pubsub().Count(Topic::kPattern)));
}

constexpr uint32_t kListens = kPubsub | kNoscript | kLoading | kStale;
constexpr uint32_t kSends = kPubsub | kLoading | kStale | kFast | kMayReplicate;
constexpr uint32_t kAsks = kPubsub | kLoading | kStale;

void AddSubscribeRows(Rows* rows) {
  auto add = [&](std::string_view name, std::string_view syntax, std::string_view summary,
                 std::string_view since, std::string_view complexity, int arity,
                 std::vector<KeySpec> keys, Handler handler) {
    rows->push_back({name, syntax, summary, since, complexity, Group::kPubsub, arity, kListens,
                     std::move(keys), handler});
  };
  KeySpec shards = KeySpec::Range(1, -1, KeySpec::kNotKey);
  add("subscribe", "channel...", "Listens to channels.", "2.0.0", "O(N)", -2, {}, Subscribe);
  add("psubscribe", "pattern(pattern:pattern)...", "Listens to all channels that match patterns.",
      "2.0.0", "O(N)", -2, {}, Psubscribe);
  add("ssubscribe", "shardchannel...", "Listens to shard channels.", "7.0.0", "O(N)", -2, {shards},
      Ssubscribe);
  add("unsubscribe", "[channel...]", "Stops listening to channels, or to all of them.", "2.0.0",
      "O(N)", -1, {}, Unsubscribe);
  add("punsubscribe", "[pattern:pattern...]", "Stops listening to patterns, or to all of them.",
      "2.0.0", "O(N+M)", -1, {}, Punsubscribe);
  add("sunsubscribe", "[shardchannel...]", "Stops listening to shard channels, or to all of them.",
      "7.0.0", "O(N)", -1, {shards}, Sunsubscribe);
}

void AddPubsubContainerRows(Rows* rows) {
  auto add = [&](std::string_view name, std::string_view syntax, std::string_view summary,
                 std::string_view since, std::string_view complexity, int arity, uint32_t flags,
                 Handler handler) {
    rows->push_back(
        {name, syntax, summary, since, complexity, Group::kPubsub, arity, flags, {}, handler});
  };
  add("pubsub", "", "Commands about who listens to what.", "2.8.0", "", -2, 0, nullptr);
  add("pubsub|channels", "[pattern:pattern]", "Lists the channels that someone listens to.",
      "2.8.0", "O(N)", -2, kAsks, PubsubChannels);
  add("pubsub|help", "", "Lists the subcommands.", "6.2.0", "O(1)", 2,
      kLoading | kStale | kCatNotGroup, ContainerHelp);
  add("pubsub|numpat", "", "Counts the patterns that someone listens to.", "2.8.0", "O(1)", 2,
      kAsks, PubsubNumpat);
  add("pubsub|numsub", "[channel...]", "Counts who listens to channels.", "2.8.0", "O(N)", -2,
      kAsks, PubsubNumsub);
  add("pubsub|shardchannels", "[pattern:pattern]",
      "Lists the shard channels that someone listens to.", "7.0.0", "O(N)", -2, kAsks,
      PubsubShardchannels);
  add("pubsub|shardnumsub", "[shardchannel...]", "Counts who listens to shard channels.", "7.0.0",
      "O(N)", -2, kAsks, PubsubShardnumsub);
}

}  // namespace

void AddPubsubRows(Rows* rows) {
  AddSubscribeRows(rows);
  AddPubsubContainerRows(rows);
  rows->push_back({"publish",
                   "channel message",
                   "Sends a message to everyone who listens to a channel.",
                   "2.0.0",
                   "O(N+M)",
                   Group::kPubsub,
                   3,
                   kSends,
                   {},
                   Publish});
  rows->push_back({"spublish",
                   "shardchannel message",
                   "Sends a message to everyone who listens to a shard channel.",
                   "7.0.0",
                   "O(N)",
                   Group::kPubsub,
                   3,
                   kSends,
                   {KeySpec::At(1, KeySpec::kNotKey)},
                   Spublish});
}

}  // namespace sluice
