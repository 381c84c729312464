#include "src/tools.h"

#include <cstdio>
#include <cstring>
#include <string>

#include "store/env.h"
#include "store/journal_check.h"
#include "store/keyspace.h"
#include "store/store.h"

namespace sluice {

// Looks at the checkpoint (by opening it, which changes nothing but the place of its newest meta
// page) and at what of the journal follows it.
int CheckCommand(int argc, char** argv) {
  bool repair = false;
  std::string dir;
  for (int i = 0; i < argc; ++i) {
    if (std::strcmp(argv[i], "--repair") == 0) {
      repair = true;
    } else {
      dir = argv[i];
    }
  }
  if (dir.empty()) return std::fprintf(stderr, "usage: sluice check [--repair] DIR\n"), 2;
  auto fail = [](const Status& status) {
    std::fprintf(stderr, "sluice check: %s\n", status.message().c_str());
    return 1;
  };
  Result<DirectoryLock> lock = DirectoryLock::Take(dir);
  if (!lock.ok()) return fail(lock.status());
  Env::Options options;
  options.dir = dir;
  Result<std::unique_ptr<Env>> env = Env::Open(options);
  if (!env.ok()) return fail(env.status());
  Lsn covered = (*env)->lsn();
  Result<JournalReport> report = repair ? RepairJournal(dir, covered) : CheckJournal(dir, covered);
  if (!report.ok()) return fail(report.status());

  std::printf("checkpoint: batch %llu\n", static_cast<unsigned long long>(covered));
  std::printf("journal: %zu segments, batches up to %llu (%llu bytes) follow\n", report->segments,
              static_cast<unsigned long long>(report->last),
              static_cast<unsigned long long>(report->payload_bytes));
  for (const std::string& action : report->actions) std::printf("repair: %s\n", action.c_str());
  if (report->damage.ok()) return std::printf("no damage\n"), 0;
  std::printf("damage: %s\n", report->damage.message().c_str());
  if (repair) return 0;
  std::printf("`sluice check --repair %s` cuts the journal there and keeps a copy\n", dir.c_str());
  return 1;
}

}  // namespace sluice
