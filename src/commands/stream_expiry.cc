// Entries that expire: XADD's EX, PX, EXAT and PXAT, and what becomes of entries whose time is
// over.
//
// OpenStream hides them at their moment, before any command can see them. Here they are put away:
// in slices, because a million may have the same moment.
#include "src/commands/group_delivery.h"
#include "src/commands/string_options.h"

namespace sluice {
namespace {

// The groups that want to know: those with a policy.
class Mourners {
 public:
  Mourners(Call& call, std::string_view key, Stream* stream) : call_(call), key_(key) {
    if (stream->groups() == 0) return;
    groups_ = ConsumerGroup::All(stream);
    std::erase_if(groups_, [](ConsumerGroup& group) { return !group.extra().has_policy(); });
    for (ConsumerGroup& group : groups_) deliveries_.emplace_back(call, key, *stream, group);
  }

  // Says that a hidden entry is about to go.
  void Tell(Stream* stream, StreamId id) {
    for (Delivery& d : deliveries_) {
      std::optional<EntryFields> fields = stream->FindHidden(id);
      if (!fields) return;
      std::optional<Pending> pending = d.group.FindPending(id);
      bool passed_over = !pending && d.group.WasPassedOver(id);
      bool unread = id > d.group.last_id() && d.Passes(*fields);
      if (!pending && !passed_over && !unread) continue;
      changed_ = true;
      bool moved = d.Expire(pending.value_or(Pending{.id = id}), *fields);
      if (passed_over) d.group.ForgetPassedOver(id);
      if (moved && pending) d.group.RemovePending(*pending, nullptr);
    }
  }

  void Save() {
    if (!changed_) return;
    bool news = false;
    for (ConsumerGroup& group : groups_) {
      group.Save();
      news |= group.TakeNews();
    }
    call_.Noted(key_, "");
    if (news) call_.Ready(key_);
  }

 private:
  Call& call_;
  std::string_view key_;
  std::vector<ConsumerGroup> groups_;
  std::vector<Delivery> deliveries_;
  bool changed_ = false;
};

}  // namespace

bool ReadLifetime(Call& call, size_t* i, Lifetime* lifetime) {
  const TimeUnit* unit = FindTimeUnit(call, *i);
  if (lifetime->ms || *i + 1 >= call.args.size()) return call.Error(errors::kSyntax), false;
  std::optional<int64_t> at_ms = ReadExpiry(call, ++*i, *unit);
  if (!at_ms) return false;
  lifetime->absolute = !unit->relative;
  lifetime->ms = unit->relative ? *at_ms - call.now_ms() : *at_ms;
  return true;
}

void BuryExpired(Call& call, std::string_view name, Stream* stream, Slice* slice) {
  Mourners groups(call, name, stream);
  while (slice->Take()) {
    std::optional<StreamId> id = stream->FirstHidden();
    if (!id) break;
    groups.Tell(stream, *id);
    stream->RemoveHidden(*id);
  }
  groups.Save();
  stream->RearmExpiry();
}

}  // namespace sluice
