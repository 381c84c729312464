// The families of commands; each file ends in its rows, and table.cc joins them.
#pragma once

#include "src/engine/row.h"

namespace sluice {

void AddListRows(Rows* rows);
void AddStringRows(Rows* rows);
void AddHashRows(Rows* rows);
void AddSetRows(Rows* rows);
void AddSortRows(Rows* rows);
void AddBitRows(Rows* rows);
void AddSortedSetRows(Rows* rows);
void AddKeyRows(Rows* rows);
void AddExpireRows(Rows* rows);
void AddTransactionRows(Rows* rows);
void AddStreamRows(Rows* rows);
void AddGroupRows(Rows* rows);
void AddStreamInfoRows(Rows* rows);
void AddConnectionRows(Rows* rows);
void AddAclRows(Rows* rows);
void AddClientRows(Rows* rows);
void AddCommandRows(Rows* rows);
void AddServerRows(Rows* rows);
void AddSlowlogRows(Rows* rows);
void AddMemoryRows(Rows* rows);
void AddReplicationRows(Rows* rows);
void AddConfigRows(Rows* rows);
void AddInfoRows(Rows* rows);
void AddDebugRows(Rows* rows);
void AddScriptRows(Rows* rows);
void AddFunctionRows(Rows* rows);
void AddPubsubRows(Rows* rows);

// What a hash does when its timer has come.
void ExpireHashFields(Call& call, Key* key);

// The error for a command of Redis that Sluice leaves out on purpose (of a subcommand, the name is
// "container|name"); empty for any other name. `shown`: the name as it was typed.
std::string RefusedOnPurpose(std::string_view name, std::string_view shown);

// What falls due inside a stream (see TimerHandler).
void FireStreamTimer(Call& call, Key* key);
// The same for a list: its leases.
void FireListTimer(Call& call, Key* key);

}  // namespace sluice
