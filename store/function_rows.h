// The libraries of functions: source texts by number. What they mean is not the store's business.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "store/env.h"

namespace sluice {

class FunctionRows {
 public:
  explicit FunctionRows(Env* env) : env_(env) {}

  // Keeps a text; returns its number, above all others'.
  uint64_t Add(std::string_view code);
  void Remove(uint64_t number);
  // In the order in which they were added. `visit` must not change any.
  void ForEach(const std::function<void(uint64_t number, std::string_view code)>& visit);

 private:
  Env* env_;
};

}  // namespace sluice
