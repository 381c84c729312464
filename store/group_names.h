// The rows of groups and consumers: names of any length, each with a number and a state.
//
// A scope is a set of names: 0 holds a stream's groups, a group's number its consumers. The same
// holds producers and their messages in a table of their own (idempotence.h).
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/keyspace.h"

namespace sluice {

struct NameScope {
  Env* env;
  ObjectId object;
  uint32_t scope;
  Table table = Table::kGroup;

  // The row of a name that has this number.
  RowKey RowOf(std::string_view name, uint32_t number) const;
  // The row from which the number leads back to the name.
  RowKey NumberRow(uint32_t number) const;

  // The state found under a name. A view: see Env::Get.
  std::optional<std::string_view> Find(std::string_view name) const;
  void Put(std::string_view name, uint32_t number, std::string_view state) const;
  void Delete(std::string_view name, uint32_t number) const;
  void PutNumber(std::string_view name, uint32_t number) const;
  std::optional<std::string> NameOf(uint32_t number) const;

  // Every name with its state, long names that begin alike in no particular order.
  void Walk(const std::function<void(std::string_view name, std::string_view state)>& visit) const;
};

// States are structs without padding; one from an older version is shorter, and the rest keeps its
// default.
template <typename State>
void ReadState(std::string_view bytes, State* state) {
  std::memcpy(static_cast<void*>(state), bytes.data(), std::min(bytes.size(), sizeof *state));
}
template <typename State>
std::string_view StateBytes(const State& state) {
  return {reinterpret_cast<const char*>(&state), sizeof state};
}

}  // namespace sluice
