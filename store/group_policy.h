// The delivery policy of a consumer group: what the server does with entries that were given out
// and not acknowledged, which ones it gives out at all, and how fast.
//
// The policy's numbers stand in the group's own row (GroupExtra), where everything that changes a
// pending entry finds them; what has no fixed size is here, in a row of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/group_state.h"
#include "store/retry_policy.h"

namespace sluice {

struct GroupPolicy : RetryPolicy {
  std::string order_by;  // a field's name
  // An entry is given out if each of these fields matches one of its globs.
  struct Filter {
    std::string field;
    std::vector<std::string> globs;
  };
  std::vector<Filter> filters;

  bool empty() const {
    return backoff_ms.empty() && dead_letter.empty() && order_by.empty() && filters.empty();
  }

  static GroupPolicy Decode(std::string_view bytes);
  std::string Encode() const;
};

// A reader is held back until there is a token.
void NoteThrottled(GroupExtra* group, int64_t now_ms);
// For how long readers have been held back by now.
int64_t ThrottledMs(const GroupExtra& group, int64_t now_ms);

}  // namespace sluice
