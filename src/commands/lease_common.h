// A list's leases in one call: how they are given out and how they end.
#pragma once

#include <optional>
#include <string>

#include "src/commands/list_common.h"
#include "store/lease.h"

namespace sluice {

// The key args[at] names if it is a list, hidden or not; nullptr when there is none. False after
// replying WRONGTYPE.
bool FindLeased(Call& call, size_t at, Key** key);

// "IDS numids id [id ...]" from args[*i] on; *i moves to its last word. Ids that are none name
// nothing and are left out. False after replying an error.
bool ReadLeaseIds(Call& call, size_t* i, std::vector<LeaseId>* ids);
std::optional<LeaseId> ParseLeaseId(std::string_view text);
void ReplyLeaseId(Call& call, LeaseId id);

// Pops up to `count` elements under a lease and replies their array.
void ReplyLeased(Call& call, Key* key, End end, uint64_t count, int64_t lease_ms,
                 PutBack* put_back);

// Ends leases. Finish must follow; there must be no other List of the key in between.
class LeaseEnding {
 public:
  LeaseEnding(Call& call, Key* key);

  List& list() { return list_; }
  Leases& leases() { return leases_; }

  void Acknowledge(const Lease& lease) { leases_.Remove(lease); }
  // The delivery counts, and the element returns after its backoff, or after `delay_ms` if that is
  // given; unless it was the last one. `ended_ms`: when it failed.
  void Fail(const Lease& lease, int64_t ended_ms, std::optional<int64_t> delay_ms);
  // The delivery does not count. What was dead begins anew.
  void Release(const Lease& lease, std::optional<int64_t> delay_ms);
  // To the dead letters, when Finish is called; if that cannot be, it stays, dead.
  void GiveUp(const Lease& lease, int64_t ended_ms);
  void Return(const Lease& lease, uint64_t deliveries);

  // Tells whom it concerns, and drops a key that holds nothing any more; then false.
  bool Finish();

 private:
  void PushDeadLetters();
  bool PushDeadLetter(std::string_view element);
  const RetryPolicy& policy();

  Call& call_;
  Key* key_;
  bool was_hidden_;
  List list_;
  Leases leases_;
  std::optional<RetryPolicy> policy_;
  std::vector<std::pair<int64_t, uint64_t>> given_up_;  // when; number
  bool returned_left_ = false, returned_right_ = false;
};

void AddLeasePolicyRows(Rows* rows);

}  // namespace sluice
