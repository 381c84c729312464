// What HELLO and CLIENT share.
#pragma once

#include "src/engine/call.h"

namespace sluice {

// A connection's name may consist of visible ASCII only: false after replying so.
bool CheckClientName(Call& call, std::string_view name);

}  // namespace sluice
