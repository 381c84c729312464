// What the files about sets share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/engine/call.h"
#include "store/set.h"

namespace sluice {

Set OpenSet(Call& call, Key* key);
// Up to where a set counts as small, as the directives say now.
Set::Limits SetLimits(Call& call);

// Makes `name` a set of these members, or nothing where there are none, whatever it was before.
// Announces and counts it, replies how many there are.
void StoreSet(Call& call, std::string_view name, const std::vector<std::string>& members,
              std::string_view event);

void AddSetAlgebraRows(Rows* rows);

}  // namespace sluice
