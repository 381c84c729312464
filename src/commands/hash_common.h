// What the files of the hash family share.
#pragma once

#include "src/engine/call.h"
#include "store/hash.h"

namespace sluice {

Hash OpenHash(Call& call, Key* key);

// Looks a hash up; fields whose time has come are removed first, and the key with the last of them.
// False when the key has another type, after replying WRONGTYPE. `*key` is nullptr when there is
// none.
bool FindHash(Call& call, std::string_view name, Key** key);
// The hash that a command is to write to: `*key`, which becomes a new one where there is none.
Hash OpenOrCreateHash(Call& call, Key** key, std::string_view name);

// Removes the key, and says so, when its last field has gone: `key` is not to be used after.
void RemoveIfEmpty(Call& call, Key* key, Hash* hash);

void AddHashScanRows(Rows* rows);
void AddHashExpireRows(Rows* rows);

}  // namespace sluice
