// HELP of any container of subcommands, made from its rows.
#pragma once

#include "src/engine/call.h"

namespace sluice {

void ContainerHelp(Call& call);

}  // namespace sluice
