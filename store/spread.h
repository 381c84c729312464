// Rows in an order that was made by hand: a 64-bit number at the end of the row key tells it, and
// a row is put between two others by taking a number between theirs.
#pragma once

#include <cstdint>
#include <functional>

#include "store/codec.h"
#include "store/env.h"

namespace sluice {

// Makes room on both sides of the row `stem`, `number`, and returns its number from now on. Rows
// with the same stem may get other numbers; `moved`, if any, is told which.
uint64_t SpreadRows(Env* env, Table table, const RowKey& stem, uint64_t number,
                    const std::function<void(uint64_t from, uint64_t to)>& moved = {});

}  // namespace sluice
