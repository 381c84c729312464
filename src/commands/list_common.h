// What the files of the list family share.
#pragma once

#include "src/engine/call.h"
#include "store/list.h"

namespace sluice {

using End = List::End;

// LEFT or RIGHT; replies a syntax error and returns false otherwise.
bool ReadEnd(Call& call, size_t i, End* end);

List OpenList(Call& call, Key* key);

// Whether the list `name` (nullptr: there is none) takes so many elements more. A list that is
// empty may have settings all the same.
bool HasRoom(Call& call, std::string_view name, Key* key, uint64_t more);
// The same, after replying that it does not.
bool CheckRoom(Call& call, std::string_view name, Key* key, uint64_t more);

// How many elements the list's rate lets a client take by now; UINT64_MAX without one.
uint64_t MayTake(Call& call, Key* key);

// Waits for one of the lists to have an element to give: one that is pushed, or one that its rate
// held back.
void BlockOnLists(Call& call, std::span<const std::string_view> names, int64_t timeout_ms);

// Counts `taken` elements against the rate, announces the pop, and drops a key that is left empty:
// `key` is not to be used after.
void AfterPop(Call& call, Key* key, List* list, End end, uint64_t taken);
// What is left in the list goes, and the key with it, unless it has more than elements. Announces
// nothing.
void DropElements(Call& call, Key* key, List* list);

// Pops up to `count` elements and replies their array. `put_back`, if any, gets copies.
void ReplyPopped(Call& call, Key* key, End end, uint64_t count, PutBack* put_back);

void AddListMoveRows(Rows* rows);
void AddListMoveManyRows(Rows* rows);
void AddLeaseRows(Rows* rows);

}  // namespace sluice
