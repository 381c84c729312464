// XREADGROUP of one stream: a consumer's history, entries that are given out again, new ones.
#include <set>
#include <utility>

#include "src/commands/group_delivery.h"
#include "src/commands/stream_read.h"

namespace sluice {
namespace {

// Attempts that find nothing are noted no more often than this, so that polling writes nothing.
constexpr int64_t kSeenGrainMs = 100;
// A waiting reader looks at no more new entries at once that are not for it.
constexpr int kPassedPerLook = 10000;
// The same of those that have expired and must be put away first: a few milliseconds' work.
constexpr int kBuriedPerLook = 1000;

// What one reading works on.
struct Reading {
  Delivery delivery;
  const ReadOptions& options;
  Consumer& consumer;
  EntryList& list;
  std::vector<StreamId>* for_good = nullptr;  // notes what NOACK gives out, if anyone asks
  bool out_of_tokens = false;
  std::set<StreamId> ahead = {};  // given out again, in front of the cursor

  ConsumerGroup& group() { return delivery.group; }
  Stream& stream() { return delivery.stream; }
  int64_t now() const { return delivery.call.now_ms(); }

  // Whether one more entry may be given out.
  bool HasRoom() {
    if (list.full()) return false;
    out_of_tokens = group().extra().rate.At(now()) == 0;
    return !out_of_tokens;
  }
  // The same for one that is not pending yet.
  bool HasRoomForNew() {
    const GroupExtra& extra = group().extra();
    bool at_cap = extra.max_pending && group().pending() - extra.dead >= extra.max_pending;
    return !at_cap && HasRoom();
  }
  void Show(StreamId id, EntryFields fields, int64_t idle_ms = 0, uint64_t deliveries = 0) {
    if (options.claim_idle_ms) {
      list.AddClaimed(id, fields, idle_ms, deliveries);
    } else {
      list.Add(id, fields);
    }
    group().extra().rate.Take(now());
  }
  void GiveAgain(const Pending& pending, EntryFields fields) {
    int64_t idle_ms = std::max<int64_t>(now() - pending.delivered_ms, 0);
    Show(pending.id, fields, idle_ms, pending.deliveries);
    group().Reassign(pending, &consumer, now(), pending.next_deliveries());
    if (!delivery.has_policy()) return;
    if (pending.deliveries > 0) ++group().extra().redelivered;
    if (pending.id > group().last_id()) ahead.insert(pending.id);
  }
};

// What a consumer has in hand and has not acknowledged, from an id on. Entries that no longer exist
// are shown by their ids alone.
void ReadHistory(Reading& r, StreamId from) {
  r.list.Open();
  PendingEntries held(r.group(), from, StreamId::Max(), r.consumer.number);
  for (; held.valid() && !r.list.full(); held.Next()) {
    std::optional<EntryFields> fields = r.stream().Find(held.id());
    if (!fields) {
      r.list.AddGone(held.id());
      continue;
    }
    r.list.Add(held.id(), *fields);
    Pending pending = held.pending();
    if (pending.place == Place::kDead) continue;  // looking at it does not bring it back
    r.group().Reassign(pending, &r.consumer, r.now(), pending.next_deliveries());
  }
}

// XREADGROUP CLAIM. First look, then change: what is taken over is idle no more.
void ReadClaimed(Reading& r) {
  r.group().KeepQueues();
  std::vector<Pending> claimed;
  uint64_t most = r.delivery.has_policy() ? UINT64_MAX : r.list.left();
  r.group().ForClaimable(r.now() - *r.options.claim_idle_ms, [&](const Pending& pending) {
    if (r.stream().Contains(pending.id)) claimed.push_back(pending);
    return claimed.size() < most;
  });
  for (Pending& pending : claimed) {
    if (!r.HasRoom()) break;
    if (r.delivery.AtLimit(pending)) {
      r.delivery.GiveUp(pending, "max-deliveries");
      continue;
    }
    EntryFields fields = *r.stream().Find(pending.id);
    if (r.delivery.Order(&pending, fields)) r.GiveAgain(pending, *r.stream().Find(pending.id));
  }
}

// What the policy gives out again: what was released, what is overdue.
void ReadReady(Reading& r) {
  while (r.HasRoom()) {
    std::optional<Pending> pending = r.group().FirstReady();
    if (!pending) return;
    std::optional<EntryFields> fields = r.stream().Find(pending->id);
    if (!fields) {
      r.delivery.Forget(*pending);
    } else if (r.delivery.AtLimit(*pending)) {
      r.delivery.GiveUp(*pending, "max-deliveries");
    } else if (Pending ordered = *pending; !r.delivery.Order(&ordered, *fields)) {
      r.group().Park(*pending, *r.delivery.ValueOf(*fields), &r.consumer);
    } else {
      r.GiveAgain(ordered, *r.stream().Find(pending->id));
    }
  }
}

// A first delivery; the entry's value, if it has one, is taken already. It may be pending all the
// same: the cursor has been set back, or XNACK or XCLAIM was ahead of it.
void GiveNew(Reading& r, StreamId id, EntryFields fields, std::optional<uint64_t> value) {
  r.Show(id, fields);
  if (!r.options.no_ack && !value) return r.group().Deliver(id, &r.consumer, r.now());
  Pending before = r.group().FindPending(id).value_or(Pending{.id = id});
  if (r.options.no_ack) {
    if (r.for_good) r.for_good->push_back(id);
    bool keeps = before.ordered && before.value == value;
    if (value && !keeps) r.group().FreeValue(*value, id);
    return;
  }
  before.ordered = true;
  before.value = *value;
  r.group().Reassign(before, &r.consumer, r.now(), 1);
}

// What the cursor had passed over until others of the same value were done with.
void ReadUnparked(Reading& r) {
  while (r.HasRoomForNew()) {
    std::optional<StreamId> id = r.group().FirstUnparked();
    if (!id) return;
    std::optional<EntryFields> fields = r.stream().Find(*id);
    if (!fields) {
      if (auto hidden = r.stream().FindHidden(*id)) r.delivery.Expire({.id = *id}, *hidden);
      r.group().ForgetPassedOver(*id);
      continue;
    }
    std::optional<uint64_t> value = r.delivery.ValueOf(*fields);
    r.group().RemoveUnparked(*id);
    if (value && !r.group().TakeValue(*value, *id)) {
      r.group().PassOver(*id, *value);
    } else {
      GiveNew(r, *id, *r.stream().Find(*id), value);
    }
  }
}

// The cursor has come to it. False when it is passed by: it stands in the reply already, does not
// pass the filters, or waits for others of the same value.
bool TakeNew(Reading& r, StreamId id, EntryFields fields) {
  if (r.ahead.count(id)) return false;
  if (!r.delivery.Passes(fields)) {
    ++r.group().extra().filtered;
    return false;
  }
  std::optional<uint64_t> value = r.delivery.ValueOf(fields);
  if (value && !r.group().TakeValue(*value, id)) {
    // One that is pending comes by itself, or is dead.
    if (!r.group().FindPending(id)) r.group().PassOver(id, *value);
    return false;
  }
  GiveNew(r, id, fields, value);
  return true;
}

// Entries in front of the cursor that have expired, before they were given out, and are not put
// away yet: under a policy they are not passed by without a word. False when there are too many at
// once; who reads then gets no more for now.
bool BuryUnread(Reading& r) {
  for (int left = kBuriedPerLook;; --left) {
    StreamId from = r.group().last_id();
    if (!from.Increment()) return true;
    Entries entry(r.stream(), from, Entries::HiddenToo());
    if (!entry.valid() || !entry.hidden()) return true;
    if (left == 0) return false;
    StreamId id = entry.id();
    if (r.delivery.Passes(entry.fields())) r.delivery.Expire({.id = id}, entry.fields());
    r.group().Advance(id);
  }
}

// True when it stopped at an entry only because it had passed so many.
bool ReadNew(Reading& r) {
  if (r.stream().length() == 0 || r.stream().top_id() <= r.group().last_id()) return false;
  bool may_stop = r.options.block_ms && !r.delivery.call.deny_blocking;
  bool buries = r.delivery.has_policy() && r.stream().hidden() > 0;
  int passed = 0;
  for (bool at_hidden = true; at_hidden;) {
    if (buries && !BuryUnread(r)) return r.list.empty();
    at_hidden = false;
    StreamId from = r.group().last_id();
    if (!from.Increment()) return false;
    Entries entry = buries ? Entries(r.stream(), from, Entries::HiddenToo())
                           : Entries(r.stream(), from, StreamId::Max());
    for (; entry.valid() && r.HasRoomForNew(); entry.Next()) {
      if ((at_hidden = buries && entry.hidden())) break;
      if (may_stop && passed == kPassedPerLook && r.list.empty()) return true;
      passed += !TakeNew(r, entry.id(), entry.fields());
      r.group().Advance(entry.id());
    }
  }
  return false;
}

bool ReadFresh(Reading& r) {
  if (r.options.claim_idle_ms) {
    ReadClaimed(r);
  } else if (r.delivery.has_policy()) {
    ReadReady(r);
  }
  ReadUnparked(r);
  bool more = ReadNew(r);
  if (r.out_of_tokens && r.list.empty()) {
    bool waits = r.group().FirstReady() || r.group().FirstUnparked() ||
                 (r.stream().length() > 0 && r.stream().top_id() > r.group().last_id());
    if (waits) NoteThrottled(&r.group().extra(), r.now());
  }
  return more;
}

// A woken reader may have vanished: what it got for good must not be lost with it.
void NoteForGood(Call& call, ReadForGood read) {
  std::unique_ptr<PutBack>& back = call.session.put_back;
  if (!back) back = std::make_unique<PutBack>();
  back->db = call.db();
  back->reads.push_back(std::move(read));
}

}  // namespace

resp::ReplyWriter& EntryList::Next() {
  Open();
  ++entries_;
  ++all_->entries_;
  return all_->reply_;
}

void EntryList::Open() {
  if (open_) return;
  open_ = true;
  all_->Begin(name_);
  mark_ = all_->reply_.BeginArray(count_);
}

void EntryList::Add(StreamId id, EntryFields fields) { ReplyEntry(Next(), id, fields); }

void EntryList::AddClaimed(StreamId id, EntryFields fields, int64_t idle_ms, uint64_t deliveries) {
  resp::ReplyWriter& reply = Next();
  reply.ArrayHeader(4);
  ReplyId(reply, id);
  ReplyFields(reply, fields);
  reply.Integer(idle_ms);
  reply.Integer(static_cast<int64_t>(deliveries));
}

void EntryList::AddGone(StreamId id) {
  resp::ReplyWriter& reply = Next();
  reply.ArrayHeader(2);
  ReplyId(reply, id);
  reply.NullArray();
}

void OpenGroup(Call& call, const ReadOptions& options, Source* source) {
  if (!source->key) return;
  source->stream.emplace(OpenStream(call, source->key));
  source->group = ConsumerGroup::Find(&*source->stream, options.group);
}

void ReadSourceForGroup(Call& call, const ReadOptions& options, std::string_view name,
                        Source& source, StreamsReply* reply) {
  // A stream may come twice in one call: what its first reading did must be seen by the second.
  if (options.streams > 1) OpenGroup(call, options, &source);
  ConsumerGroup& group = *source.group;
  uint64_t consumers = group.consumers();
  StreamId cursor = group.last_id();
  GroupExtra extra = group.extra();
  Consumer consumer = MakeConsumer(call, &group, name, options.consumer);
  int64_t unseen_ms = call.now_ms() - consumer.seen_ms;
  consumer.seen_ms = call.now_ms();
  uint64_t pending = consumer.pending;
  ReadForGood for_good;
  for_good.cursor = cursor;
  for_good.entries_read = group.entries_read();

  bool found;
  {
    EntryList list(reply, name, options.count);
    Delivery delivery(call, name, *source.stream, group, &consumer);
    Reading reading{std::move(delivery), options, consumer, list};
    if (call.retrying) reading.for_good = &for_good.ids;
    if (source.fresh) {
      source.more = ReadFresh(reading);
      found = !list.empty();
      if (found && !options.no_ack) consumer.active_ms = call.now_ms();
    } else {
      StreamId from = source.after;
      from.Increment();
      ReadHistory(reading, from);
      found = true;
    }
  }
  if (!for_good.ids.empty()) {
    for_good.key = name;
    for_good.group = options.group;
    for_good.moved_to = group.last_id();
    NoteForGood(call, std::move(for_good));
  }
  bool moved = group.last_id() != cursor || group.extra() != extra;
  bool changed = moved || (found && source.fresh);
  if (changed || group.consumers() != consumers) group.Save();
  bool own = consumer.pending != pending;
  if (found || own || unseen_ms >= kSeenGrainMs) group.SaveConsumer(consumer);
  if (found || moved) call.Noted(name, "");
  if (group.TakeNews()) call.Ready(name);
}

int64_t NextChance(const Call& call, const ReadOptions& options, const Source& source) {
  int64_t now = call.now_ms();
  if (source.more) return now;
  int64_t next = 0;
  if (options.claim_idle_ms) {
    std::optional<int64_t> since = source.group->DeliveredAfter(now - *options.claim_idle_ms);
    if (since) next = *since + *options.claim_idle_ms;
  }
  if (source.group->extra().rate.tokens) {
    int64_t token = source.group->extra().rate.NextAt(now);
    if (token > now && (!next || token < next)) next = token;
  }
  return next;
}

}  // namespace sluice
