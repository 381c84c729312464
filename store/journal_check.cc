#include "store/journal_check.h"

#include <algorithm>
#include <climits>
#include <memory>
#include <utility>

#include "store/journal_scan.h"
#include "store/journal_space.h"

namespace sluice {
namespace {

JournalReport ReportOf(const JournalScan& scan) {
  JournalReport report;
  report.first = scan.first;
  report.last = scan.last;
  report.payload_bytes = scan.payload_bytes;
  report.segments = scan.segments.size();
  report.damage = scan.damage;
  if (!scan.damage.ok() && !scan.segments.empty()) {
    report.damaged_file = scan.segments[scan.end_segment].file.name;
    report.damaged_offset = scan.end_offset;
  }
  return report;
}

Status Scan(JournalFiles* files, const std::string& dir, Lsn covered, JournalScan* scan) {
  auto ignore = [](Lsn, uint64_t, std::string_view) { return Status::Ok(); };
  return ScanJournal(files, dir, covered + 1, /*settle=*/false, ignore, scan);
}

// Durable once the directory is.
Status CopyFile(JournalFiles* files, const std::string& from, const std::string& to) {
  int in = files->Open(from, false);
  if (in < 0) return Status::FromErrno(-in, "open " + from);
  int out = files->Open(to, true);
  if (out < 0) {
    files->Close(in);
    return Status::FromErrno(-out, "create " + to);
  }
  std::string buffer(1 << 20, '\0');
  int64_t error = 0;
  for (uint64_t at = 0; error == 0;) {
    int64_t got = files->Read(in, at, buffer.data(), buffer.size());
    if (got <= 0) {
      error = got;
      break;
    }
    iovec part{buffer.data(), static_cast<size_t>(got)};
    error = files->Write(out, at, &part, 1, false);
    at += static_cast<uint64_t>(got);
  }
  if (error == 0) error = files->Sync(out);
  files->Close(in);
  files->Close(out);
  return error < 0 ? Status::FromErrno(static_cast<int>(-error), "copy " + from + " to " + to)
                   : Status::Ok();
}

// A name for the backup that no earlier backup has.
Result<std::string> BackupName(JournalFiles* files, const std::string& dir,
                               const std::string& name) {
  std::vector<std::string> taken;
  if (int error = files->List(dir, &taken); error < 0) {
    return Status::FromErrno(-error, "list " + dir);
  }
  std::string backup = name + ".damaged";
  for (int i = 2; std::find(taken.begin(), taken.end(), backup) != taken.end(); i++) {
    backup = name + ".damaged." + std::to_string(i);
  }
  return backup;
}

Status SetAside(JournalFiles* files, const std::string& dir, const std::string& name,
                JournalReport* report) {
  Result<std::string> backup = BackupName(files, dir, name);
  if (!backup.ok()) return backup.status();
  int error = files->Rename(dir + "/" + name, dir + "/" + *backup);
  if (error < 0) return Status::FromErrno(-error, "rename " + dir + "/" + name);
  report->actions.push_back(name + ": set aside as " + *backup);
  return Status::Ok();
}

// An empty segment of a new run, which makes void whatever earlier ones have after `last`.
Status BeginRun(JournalFiles* files, const std::string& dir, uint64_t highest, Lsn last) {
  constexpr uint64_t kBytes = 2 * kJournalBlock;
  JournalSpace space(files, dir, {.segment_bytes = kBytes, .spare_segments = INT_MAX, .salt = 0});
  TRY(space.Begin(highest, last));
  Result<std::unique_ptr<JournalSegment>> made = space.Prepare(kBytes, kBytes, last);
  while (made.ok() && !*made) made = space.Prepare(kBytes, kBytes, last);
  if (made.ok()) space.Close(made->get());
  return made.status();
}

}  // namespace

Result<JournalReport> CheckJournal(const std::string& dir, Lsn covered, JournalFiles* files) {
  JournalFiles own;
  JournalScan scan;
  TRY(Scan(files != nullptr ? files : &own, dir, covered, &scan));
  return ReportOf(scan);
}

Result<JournalReport> RepairJournal(const std::string& dir, Lsn covered, JournalFiles* files) {
  JournalFiles own;
  if (files == nullptr) files = &own;
  JournalScan scan;
  TRY(Scan(files, dir, covered, &scan));
  JournalReport report = ReportOf(scan);
  if (report.damage.ok()) return report;

  for (size_t i = scan.segments.size(); i-- > scan.end_segment;) {
    const JournalScan::Segment& segment = scan.segments[i];
    const std::string& name = segment.file.name;
    if (i > scan.end_segment || segment.state != HeaderState::kGood) {
      TRY(SetAside(files, dir, name, &report));
      continue;
    }
    Result<std::string> backup = BackupName(files, dir, name);
    if (!backup.ok()) return backup.status();
    TRY(CopyFile(files, dir + "/" + name, dir + "/" + *backup));
    report.actions.push_back(name + ": cut at offset " + std::to_string(scan.end_offset) +
                             "; the whole file is kept as " + *backup);
  }
  TRY(BeginRun(files, dir, scan.highest_sequence, scan.last));
  return report;
}

}  // namespace sluice
