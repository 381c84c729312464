// What the files of the sorted-set family share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/engine/call.h"
#include "store/sorted_set.h"

namespace sluice {

SortedSet OpenSortedSet(Call& call, Key* key);

// Adds a member that is not there, or gives one that is there another score, as Redis would keep
// them: only a large set knows -0 from 0.
void AddMember(Call& call, SortedSet* set, std::string_view member, double score);
void MoveMember(SortedSet* set, std::string_view member, double from, double to);

// Announces that members were removed, and removes the key when none are left: `key` is not to be
// used after.
void AfterRemoval(Call& call, Key* key, const SortedSet& set, std::string_view event);
// Removes the entries from `at` on, as long as `more` says so, and does the same; returns how many
// there were. `all`: they are known to be all entries of the set.
uint64_t RemoveEntries(Call& call, Key* key, SortedSet* set, Ranked* at, bool all,
                       std::string_view event, const std::function<bool(const Ranked&)>& more);

// A member with its score; the two of them are an array of their own if so wished.
void ReplyEntry(Call& call, std::string_view member, double score, bool nested);

// Replaces whatever a key holds by these members, replies how many they are, and announces it as
// `event`; without members the key is removed.
void StoreMembers(Call& call, std::string_view name, const std::vector<SortedSet::Owned>& members,
                  std::string_view event);

void AddZsetRangeRows(Rows* rows);
void AddZsetPopRows(Rows* rows);
void AddZsetAlgebraRows(Rows* rows);
void AddZsetScanRows(Rows* rows);

}  // namespace sluice
