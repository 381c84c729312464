#include "src/commands/multi_pop.h"

#include <memory>

#include "src/commands/stream_common.h"

namespace sluice {
namespace {

constexpr std::string_view kInvalidCount = "ERR count should be greater than 0";

}  // namespace

bool FirstOf(Call& call, std::span<const std::string_view> names, Type type, Key** key) {
  *key = nullptr;
  for (std::string_view name : names) {
    if (!call.LookupType(name, type, key)) return false;
    if (*key) return true;
  }
  return true;
}

bool ReadMultiPop(Call& call, size_t at, std::string_view first, std::string_view last,
                  MultiPop* pop, bool leases) {
  int64_t numkeys;
  if (!call.ReadRange(at, 1, INT64_MAX, &numkeys, "ERR numkeys should be greater than 0")) {
    return false;
  }
  size_t where = at + 1 + static_cast<size_t>(numkeys);
  if (numkeys > static_cast<int64_t>(call.args.size()) || where >= call.args.size()) {
    return call.Error(errors::kSyntax), false;
  }
  pop->names = call.args.subspan(at + 1, static_cast<size_t>(numkeys));
  pop->first_end = call.Is(where, first);
  if (!pop->first_end && !call.Is(where, last)) return call.Error(errors::kSyntax), false;
  bool counted = false;
  for (size_t i = where + 1; i < call.args.size(); i += 2) {
    bool more = i + 1 < call.args.size();
    if (more && !counted && call.Is(i, "COUNT")) {
      if (!call.ReadRange(i + 1, 1, INT64_MAX, &pop->count, kInvalidCount)) return false;
      counted = true;
    } else if (more && leases && pop->lease_ms == 0 && call.Is(i, "LEASE")) {
      if (!call.ReadRange(i + 1, 1, kMaxDelayMs, &pop->lease_ms, kInvalidLease)) return false;
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

PutBack* NewPutBack(Call& call, Type type, std::string_view key) {
  if (!call.retrying) return nullptr;
  call.session.put_back = std::make_unique<PutBack>();
  call.session.put_back->db = call.db();
  call.session.put_back->key = key;
  call.session.put_back->type = type;
  return call.session.put_back.get();
}

}  // namespace sluice
