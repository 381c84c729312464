// What was popped for a client that is gone goes back to where it came from.
#include <algorithm>

#include "src/engine/engine.h"
#include "store/group.h"
#include "store/lease.h"
#include "store/sorted_set.h"

namespace sluice {
namespace {

// Last popped first.
void PutBackElements(List list, const PutBack& back) {
  List::End end = back.left ? List::End::kLeft : List::End::kRight;
  for (size_t i = back.elements.size(); i > 0; --i) {
    list.Return(end, back.elements[i - 1], back.deliveries[i - 1]);
  }
  list.extra().rate.GiveBack(back.elements.size());
  list.Save();
}

// Those that have not ended by themselves meanwhile. False when there is none.
bool PutBackLeases(List list, const PutBack& back) {
  Leases leases(&list);
  uint64_t returned = 0;
  for (size_t i = back.leases.size(); i > 0; --i) {
    std::optional<Lease> lease = leases.Find(back.leases[i - 1]);
    if (!lease || lease->state != LeaseState::kHeld) continue;
    if (lease->deliveries > 1) --list.extra().redelivered;
    leases.Return(*lease, lease->deliveries - 1);
    ++returned;
  }
  list.extra().rate.GiveBack(returned);
  list.Save();
  return returned > 0;
}

// A member that somebody has added again meanwhile keeps the score it got.
void PutBackMembers(SortedSet set, const PutBack& back) {
  for (size_t i = 0; i < back.elements.size(); ++i) {
    if (!set.Score(back.elements[i])) set.Add(back.elements[i], back.scores[i]);
  }
}

// The group is as if it had never been read, unless somebody has read on meanwhile or a policy has
// counted: then the entries are pending, nobody's, never delivered. False when there are none.
bool PutBackRead(Stream stream, const ReadForGood& read) {
  std::optional<ConsumerGroup> group = ConsumerGroup::Find(&stream, read.group);
  if (!group) return false;
  if (group->last_id() == read.moved_to && !group->extra().has_policy()) {
    group->SetCursor(read.cursor, read.entries_read);
    group->Save();
    return true;
  }
  bool some = false;
  for (StreamId id : read.ids) {
    if (id > group->last_id() || group->FindPending(id) || !stream.Contains(id)) continue;
    group->Release({.id = id}, 0, 0, nullptr);
    some = true;
  }
  group->extra().rate.GiveBack(read.ids.size());
  group->Save();
  return some;
}

}  // namespace

void Engine::PutBackReads(int db, const std::vector<ReadForGood>& reads) {
  for (auto read = reads.rbegin(); read != reads.rend(); ++read) {
    Key* key = Lookup(nobody_, db, read->key, false);
    if (!key || key->type != Type::kStream) continue;
    if (!PutBackRead(Stream(&store_->env(), &store_->keys(), key), *read)) continue;
    KeyNoted(db, read->key, "");
    KeyReady(db, read->key);
  }
  more_housekeeping_ = true;  // a turn must follow to seal this
  if (depth_ == 0) ServeReadyKeys();
}

void Engine::PutBackFor(Session& session) {
  std::unique_ptr<PutBack> back = std::move(session.put_back);
  if (!back->reads.empty()) return PutBackReads(back->db, back->reads);
  Key* key = Lookup(session, back->db, back->key, false);
  if (key && key->type != back->type) return;  // the name means something else by now
  bool leased = !back->leases.empty();
  if (!key && leased) key = store_->keys().FindHidden(back->db, back->key);
  if (!key && leased) return;
  bool was_hidden = key && key->hidden;
  if (!key) {
    key = &store_->keys().Create(back->db, back->key, back->type);
    KeyEvent(back->db, back->key, "new");
  }
  if (leased) {
    if (!PutBackLeases(List(&store_->env(), &store_->keys(), key), *back)) return;
    if (was_hidden) KeyEvent(back->db, back->key, "new");
    KeyChanged(back->db, back->key, back->left ? "lpush" : "rpush");
  } else if (back->type == Type::kList) {
    PutBackElements(List(&store_->env(), &store_->keys(), key), *back);
    KeyChanged(back->db, back->key, back->left ? "lpush" : "rpush");
  } else {
    PutBackMembers(SortedSet(&store_->env(), &store_->keys(), key), *back);
    KeyChanged(back->db, back->key, "zadd");
  }
  KeyReady(back->db, back->key);
  more_housekeeping_ = true;  // a turn must follow to seal this
  if (depth_ == 0) ServeReadyKeys();
}

}  // namespace sluice
