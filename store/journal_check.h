// What `sluice check [--repair]` does to a journal. Offline: no process may have it open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/journal.h"
#include "store/journal_files.h"
#include "store/result.h"

namespace sluice {

struct JournalReport {
  Lsn first = 0;  // the first LSN needed, which is the checkpoint's plus one
  Lsn last = 0;   // the last one there; first - 1 if there is none
  uint64_t payload_bytes = 0;
  size_t segments = 0;
  Status damage;             // Ok or kCorrupt; names file and offset
  std::string damaged_file;  // name in the directory
  uint64_t damaged_offset = 0;
  std::vector<std::string> actions;  // what a repair did, one sentence each
};

// Reads what ReadFrom(covered + 1) would read, and changes nothing. Damage is part of the report;
// a failure is one of input, or kTooNew.
Result<JournalReport> CheckJournal(const std::string& dir, Lsn covered,
                                   JournalFiles* files = nullptr);

// If there is damage, cuts the journal there: the records before it stay, those after it will not
// be read again. Nothing is thrown away: each file with such records is kept, or copied, under its
// name with ".damaged" behind it. Returns the report of the damage that was there, and what was
// done about it.
Result<JournalReport> RepairJournal(const std::string& dir, Lsn covered,
                                    JournalFiles* files = nullptr);

}  // namespace sluice
