// The parts of CLIENT that are in client_list.cc.
#pragma once

#include "src/engine/call.h"

namespace sluice {

void ClientList(Call& call);
void ClientInfo(Call& call);
void ClientKill(Call& call);

}  // namespace sluice
