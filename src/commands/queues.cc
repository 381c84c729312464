#include "src/commands/queues.h"

#include <algorithm>

#include "src/commands/list_common.h"

namespace sluice {
namespace {

// A name inside of a line of INFO: what the line is made of, and what would have to be escaped once
// more on the way to a dashboard, is written as %XX.
std::string Escaped(std::string_view name) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : name) {
    unsigned char byte = static_cast<unsigned char>(c);
    bool plain =
        byte > ' ' && byte < 0x7f && std::string_view("%,=\"\\").find(c) == std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// One line: kind_number:db=...,key=...,...
class Line {
 public:
  Line(std::string* out, std::string_view kind, uint64_t number, int db, std::string_view key)
      : out_(out) {
    out_->append(kind).append("_").append(std::to_string(number)).append(":db=");
    out_->append(std::to_string(db));
    Text("key", Escaped(key));
  }
  ~Line() { *out_ += "\r\n"; }
  void Text(std::string_view name, std::string_view value) {
    out_->append(",").append(name).append("=").append(value);
  }
  void Number(std::string_view name, uint64_t value) { Text(name, std::to_string(value)); }

 private:
  std::string* out_;
};

class Writer {
 public:
  Writer(Call& call, std::string* out) : call_(call), out_(out) {}

  void Write() {
    for (int db = 0; db < call_.keys().databases(); ++db) WriteDatabase(db);
    out_->append("queues_left_out:").append(std::to_string(left_out_)).append("\r\n");
  }

 private:
  uint64_t room() const { return kMaxQueuesShown - groups_ - lists_; }

  void WriteDatabase(int db) {
    std::vector<std::string> names = call_.keys().FindQueues(db, room());
    uint64_t all = call_.keys().Queues(db);
    left_out_ += all - std::min<uint64_t>(all, names.size());
    for (const std::string& name : names) {
      Key* key = call_.keys().Find(db, name);
      if (!key) key = call_.keys().FindHidden(db, name);
      if (!key || call_.engine.IsExpired(key)) continue;
      key->type == Type::kStream ? WriteStream(db, key) : WriteList(db, key);
    }
  }

  void WriteStream(int db, Key* key) {
    Stream stream(call_.env(), &call_.keys(), key);
    if (stream.groups() > room()) return void(left_out_ += stream.groups());
    for (const ConsumerGroup& group : ConsumerGroup::All(&stream)) {
      GroupCounts counts = CountGroup(call_, stream, group);
      std::optional<int64_t> lag = GroupLag(stream, group);
      Line line(out_, "group", groups_++, db, key->name);
      line.Text("group", Escaped(group.name()));
      line.Number("length", stream.length());
      line.Text("lag", lag ? std::to_string(*lag) : "nil");
      line.Number("pending", group.pending());
      line.Text("ready", counts.ready ? std::to_string(*counts.ready) : "nil");
      line.Number("in_flight", counts.in_flight);
      line.Number("waiting", counts.waiting);
      line.Number("parked", counts.parked);
      line.Number("dead", counts.dead);
      line.Number("redelivered", counts.redelivered);
      line.Number("dead_lettered", counts.dead_lettered);
      line.Number("oldest_ms", counts.oldest_ms);
    }
  }

  void WriteList(int db, Key* key) {
    if (room() == 0) return void(++left_out_);
    List list = OpenList(call_, key);
    const ListExtra& extra = list.extra();
    Line line(out_, "list", lists_++, db, key->name);
    line.Number("length", list.size());
    line.Number("leased", extra.held);
    line.Number("waiting", extra.waiting);
    line.Number("dead", extra.dead);
    line.Number("redelivered", extra.redelivered);
    line.Number("dead_lettered", extra.dead_lettered);
  }

  Call& call_;
  std::string* out_;
  uint64_t groups_ = 0, lists_ = 0, left_out_ = 0;
};

uint64_t OldestMs(const Call& call, const Stream& stream, const ConsumerGroup& group) {
  std::optional<StreamId> oldest = group.FirstPassedOver();
  auto consider = [&](StreamId id) { oldest = oldest ? std::min(*oldest, id) : id; };
  if (group.pending() > 0) consider(group.first_pending());
  StreamId next = group.last_id();
  if (next.Increment()) {
    Entries entry(stream, next, StreamId::Max());
    if (entry.valid()) consider(entry.id());
  }
  uint64_t now = static_cast<uint64_t>(call.now_ms());
  return oldest && oldest->ms < now ? now - oldest->ms : 0;
}

}  // namespace

std::optional<int64_t> GroupLag(const Stream& stream, const ConsumerGroup& group) {
  std::optional<int64_t> lag = stream.Lag(group.last_id(), group.entries_read());
  // What the cursor has passed over is still to be given out.
  uint64_t passed_over = group.extra().passed_over + group.extra().unparked;
  if (lag) *lag += static_cast<int64_t>(passed_over);
  return lag;
}

GroupCounts CountGroup(const Call& call, const Stream& stream, const ConsumerGroup& group) {
  const GroupExtra& extra = group.extra();
  GroupCounts counts{};
  if (std::optional<int64_t> lag = stream.Lag(group.last_id(), group.entries_read())) {
    counts.ready = extra.released + extra.overdue + extra.unparked + static_cast<uint64_t>(*lag);
  }
  counts.in_flight =
      group.pending() - extra.released - extra.waiting - extra.overdue - extra.dead - extra.parked;
  counts.waiting = extra.waiting;
  counts.parked = extra.parked + extra.passed_over;
  counts.dead = extra.dead;
  counts.redelivered = extra.redelivered;
  counts.dead_lettered = extra.dead_lettered;
  counts.filtered = extra.filtered;
  counts.expired = extra.expired;
  counts.throttled_ms = static_cast<uint64_t>(ThrottledMs(extra, call.now_ms()));
  counts.oldest_ms = OldestMs(call, stream, group);
  return counts;
}

void WriteQueues(Call& call, std::string* out) { Writer(call, out).Write(); }

}  // namespace sluice
