// Which LMDB commit a power cut cannot touch.
//
// LMDB alternates between two meta pages: commit t writes its own into page t & 1, after its data
// pages. Sluice commits without syncing, so that the loop never waits for the disk, and then the
// kernel may write the meta page before the pages it points to. So a commit counts only once its
// data pages are synced *and* a copy of its meta page is kept in the `checkpoint` file; opening
// puts that copy back into both meta pages, and LMDB finds exactly that commit. The pages of the
// last two commits are never overwritten by the next, because LMDB reuses a page only two commits
// after it was freed.
#pragma once

#include <cstdint>
#include <string>

#include "store/result.h"

namespace sluice {

// Copies commit `txn`'s meta page, whose data pages are already synced, from `data_fd` into one of
// the two slots of the file `checkpoint_path`, and syncs that.
Status SaveSnapshot(int data_fd, const std::string& checkpoint_path, uint64_t txn);

// Makes the file at `data_path` show the newest saved commit. Does nothing when nothing was saved
// yet, except to remove a database that was never finished.
Status RestoreSnapshot(const std::string& data_path, const std::string& checkpoint_path);

}  // namespace sluice
