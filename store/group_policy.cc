#include "store/group_policy.h"

#include <algorithm>

#include "store/codec.h"

namespace sluice {

GroupPolicy GroupPolicy::Decode(std::string_view bytes) {
  ValueReader in(bytes);
  GroupPolicy policy;
  static_cast<RetryPolicy&>(policy) = RetryPolicy::Decode(&in);
  policy.order_by = in.Bytes();
  for (uint64_t n = in.Varint(); n > 0 && in.ok(); --n) {
    Filter filter;
    filter.field = in.Bytes();
    for (uint64_t globs = in.Varint(); globs > 0 && in.ok(); --globs) {
      filter.globs.emplace_back(in.Bytes());
    }
    policy.filters.push_back(std::move(filter));
  }
  return policy;
}

std::string GroupPolicy::Encode() const {
  std::string out;
  RetryPolicy::Encode(&out);
  PutBytes(&out, order_by);
  PutVarint(&out, filters.size());
  for (const Filter& filter : filters) {
    PutBytes(&out, filter.field);
    PutVarint(&out, filter.globs.size());
    for (const std::string& glob : filter.globs) PutBytes(&out, glob);
  }
  return out;
}

void NoteThrottled(GroupExtra* group, int64_t now_ms) {
  int64_t until_ms = group->rate.NextAt(now_ms);
  int64_t from_ms = std::max(now_ms, group->throttled_until_ms);
  if (until_ms <= from_ms) return;
  group->throttled_ms += until_ms - from_ms;
  group->throttled_until_ms = until_ms;
}

int64_t ThrottledMs(const GroupExtra& group, int64_t now_ms) {
  return group.throttled_ms - std::max<int64_t>(group.throttled_until_ms - now_ms, 0);
}

}  // namespace sluice
