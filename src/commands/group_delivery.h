// What a group's policy does with single entries: gives them up, orders them, leaves them out.
#pragma once

#include <optional>
#include <string_view>

#include "src/commands/stream_append.h"
#include "store/group_policy.h"

namespace sluice {

// The group of one call with its policy. Everything it names must outlive it.
struct Delivery {
  Call& call;
  std::string_view key;  // the stream's name
  Stream& stream;
  ConsumerGroup& group;
  GroupPolicy policy;
  Consumer* consumer = nullptr;  // one whom the caller saves

  Delivery(Call& call, std::string_view key, Stream& stream, ConsumerGroup& group,
           Consumer* consumer = nullptr)
      : call(call), key(key), stream(stream), group(group), consumer(consumer) {
    if (group.extra().has_policy()) policy = group.ReadPolicy();
  }

  bool has_policy() const { return group.extra().has_policy(); }
  // Whether an entry has been given out as often as it may.
  bool AtLimit(const Pending& pending) const;
  // Appends the entry to the policy's dead letters and acknowledges it; if that cannot be, it stays
  // pending, marked as dead. One that exists no more is only acknowledged. `rejected`: for good, by
  // a consumer.
  void GiveUp(const Pending& pending, std::string_view reason, bool rejected = false);
  // Acknowledges an entry that exists no more. If it has expired and was not put away yet, that is
  // done first.
  void Forget(const Pending& pending);
  // What has expired while the group had it pending, or had not given it out: counts it, and
  // appends it to the dead letters. False when there is no place for these.
  bool Expire(const Pending& pending, EntryFields fields);
  // The hash of the entry's value of the ORDERBY field; nullopt: it has none, or nobody asks.
  std::optional<uint64_t> ValueOf(EntryFields fields) const;
  // Whether the filters let it through.
  bool Passes(EntryFields fields) const;
  // Makes a pending entry stand for its value, as `pending` says afterwards. False when another
  // does.
  bool Order(Pending* pending, EntryFields fields);
};

}  // namespace sluice
