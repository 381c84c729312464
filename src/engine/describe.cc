#include "src/engine/describe.h"

#include "src/engine/pubsub.h"

namespace sluice {

ClientKind KindOf(const Session& session) {
  return session.subscriptions ? ClientKind::kPubsub : ClientKind::kNormal;
}

namespace {

std::string Flags(const Session& s) {
  std::string flags;
  if (s.monitor) flags += 'O';
  if (KindOf(s) == ClientKind::kPubsub) flags += 'P';
  if (s.in_multi) flags += 'x';
  if (s.blocked) flags += 'b';
  if (s.watch_broken) flags += 'd';
  if (s.close_after_reply) flags += 'c';
  if (s.close_now) flags += 'A';
  if (s.is_unix_socket) flags += 'U';
  if (s.no_evict) flags += 'e';
  if (s.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

}  // namespace

std::string DescribeSession(const Session& s, int64_t now_ms) {
  std::string out;
  auto text = [&](const char* name, std::string_view value) {
    if (!out.empty()) out += ' ';
    out.append(name).append("=").append(value);
  };
  auto number = [&](const char* name, int64_t value) { text(name, std::to_string(value)); };
  int64_t output = static_cast<int64_t>(s.out.size());
  int64_t output_room = static_cast<int64_t>(s.out.capacity());
  int64_t input = static_cast<int64_t>(s.query_buffer + s.query_buffer_free);
  int64_t queued = static_cast<int64_t>(s.queued_bytes + s.queue.size() * sizeof(QueuedCommand));
  number("id", static_cast<int64_t>(s.id));
  text("addr", s.address);
  text("laddr", s.local_address);
  number("fd", s.fd);
  text("name", s.name);
  number("age", (now_ms - s.created_ms) / 1000);
  number("idle", (now_ms - s.active_ms) / 1000);
  text("flags", Flags(s));
  number("db", s.db);
  auto listening = [&](Topic topic) { return static_cast<int64_t>(PubSub::CountOf(s, topic)); };
  number("sub", listening(Topic::kChannel));
  number("psub", listening(Topic::kPattern));
  number("ssub", listening(Topic::kShard));
  number("multi", s.in_multi ? static_cast<int64_t>(s.queue.size()) : -1);
  number("watch", static_cast<int64_t>(s.watches.size()));
  number("qbuf", static_cast<int64_t>(s.query_buffer));
  number("qbuf-free", static_cast<int64_t>(s.query_buffer_free));
  number("argv-mem", static_cast<int64_t>(s.argv_bytes));
  number("multi-mem", queued);
  number("rbs", output_room);
  number("rbp", output_room);
  number("obl", output);
  number("oll", 0);
  number("omem", 0);
  number("tot-mem", static_cast<int64_t>(sizeof s + s.argv_bytes) + input + output_room + queued);
  text("events", "r");
  text("cmd", s.last_row ? s.last_row->name : "NULL");
  text("user", s.user->name());
  number("redir", -1);
  number("resp", s.reply.protocol());
  text("lib-name", s.library_name);
  text("lib-ver", s.library_version);
  return out;
}

}  // namespace sluice
