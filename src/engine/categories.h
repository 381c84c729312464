// ACL categories and flags of commands, by name.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/engine/row.h"

namespace sluice {

// A set of categories: bit i stands for the i-th name, in the order in which Redis shows them.
using Categories = uint32_t;

// "keyspace", "read", ... without the @.
const std::vector<std::string_view>& CategoryNames();
// The category's bit; 0 when there is none of this name (any letter case, no @).
Categories CategoryNamed(std::string_view name);
// What flags, group and the row's kCat... bits make of it.
Categories CategoriesOf(const Row& row);

// The flags that COMMAND INFO shows, in its order.
std::vector<std::string_view> FlagNames(const Row& row);
std::vector<std::string_view> FlagNames(const KeySpec& spec);
// "sorted-set"
std::string_view GroupName(Group group);

}  // namespace sluice
