// What was taken off a list and is not done yet: elements that were given out under a lease.
//
// A lease is held until its time is over; what is given back or lost then waits for its backoff, if
// it has to, and returns to the end of the list that it was taken from. One that has failed too
// often and has no place to go stays where it is, dead. An acknowledged one is gone.
//
// Leases stand under an object of their own, which the list's extra names: the list's own object is
// given up whenever a list is trimmed to nearly nothing. The key's timer is the moment of the first
// lease that falls due, or earlier: moving it back with every acknowledgement would cost more than
// being asked once for nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/list.h"
#include "store/retry_policy.h"

namespace sluice {

// As good as unique: objects are never numbered twice, and neither are a list's leases.
struct LeaseId {
  ObjectId list = 0;  // ListExtra::leases
  uint64_t number = 0;
  auto operator<=>(const LeaseId&) const = default;
};

// On disk: never renumber.
enum class LeaseState : uint8_t {
  kHeld = 0,     // until `due_ms`
  kWaiting = 1,  // returns at `due_ms`
  kDead = 2,
};

struct Lease {
  uint64_t number = 0;
  LeaseState state = LeaseState::kHeld;
  List::End end = List::End::kLeft;  // from which it was taken
  uint64_t deliveries = 0;           // this one included
  int64_t since_ms = 0;              // when it was given out, or extended
  int64_t due_ms = 0;                // 0: never (dead)
  // Views of the row, or of what the caller has: see Env::Get.
  std::string_view consumer;
  std::string_view element;
};

class Leases {
 public:
  // Of an open list, whose extra it changes: there must be no other List of the key meanwhile.
  explicit Leases(List* list) : list_(list) {}

  // Takes an element off a list that is not empty. The views in the reply are good until the next
  // Pop on any list of this Env, and as long as `consumer`.
  Lease Take(List::End end, std::string_view consumer, int64_t now_ms, int64_t until_ms);

  LeaseId IdOf(uint64_t number) const { return {list_->extra().leases, number}; }
  LeaseId IdOf(const Lease& lease) const { return IdOf(lease.number); }
  std::optional<Lease> Find(LeaseId id) const;
  // The first that falls due; of those with the same moment, the last that was given out.
  std::optional<Lease> FirstDue() const;
  // Visits leases with numbers from `first` to `last`, in order, until `visit` says false. It must
  // not change rows.
  void Walk(uint64_t first, uint64_t last, const std::function<bool(const Lease&)>& visit) const;
  // The lowest and the highest number; 0: there is no lease.
  uint64_t FirstNumber() const;
  uint64_t LastNumber() const;
  // Visits every consumer that has a name and a lease.
  void WalkConsumers(
      const std::function<void(std::string_view name, uint64_t leases)>& visit) const;

  // Its views end with each of these.
  void Remove(const Lease& lease);
  // From now on it is `after`, which differs in state, deliveries and moments only.
  void Change(const Lease& lease, Lease after);
  // Puts its element back into the list.
  void Return(const Lease& lease, uint64_t deliveries);

  RetryPolicy ReadPolicy() const;
  void SavePolicy(const RetryPolicy& policy);

  // Makes a list's key that is a copy of another's, byte for byte, one without leases but with the
  // policy.
  static void LeaveOut(Env* env, Keyspace* keys, Key* copy);

 private:
  RowKey RowOf(uint64_t number) const;
  RowKey DueRowOf(const Lease& lease) const;
  uint64_t* CountOf(LeaseState state);
  void NeedObject();
  void PutDue(const Lease& lease);
  void CountConsumer(std::string_view name, int change);

  List* list_;
};

}  // namespace sluice
