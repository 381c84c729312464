// A client in words, for CLIENT LIST and ACL LOG.
#pragma once

#include <cstdint>
#include <string>

#include "src/engine/session.h"

namespace sluice {

// Redis's kinds of clients; the last two do not exist here, but can be asked for.
enum class ClientKind { kNormal, kPubsub, kMaster, kReplica };

ClientKind KindOf(const Session& session);

// "id=3 addr=... ", everything there is to say, without a line's end.
std::string DescribeSession(const Session& session, int64_t now_ms);

}  // namespace sluice
