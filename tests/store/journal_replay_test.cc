// What replay makes of files that a crash, a bad disk or a later program left behind.
#include "store/journal_check.h"
#include "store/journal_scan.h"
#include "tests/store/journal_fixture.h"

namespace sluice {
namespace {

struct Replayed {
  std::vector<std::string> payloads;
  JournalScan scan;
  Status status;  // of the scan, or the damage
};

Replayed Replay(const std::string& dir, Lsn first = 1) {
  Replayed replayed;
  JournalFiles files;
  auto reader = [&](Lsn lsn, uint64_t, std::string_view payload) {
    CHECK(lsn == first + replayed.payloads.size());
    replayed.payloads.emplace_back(payload);
    return Status::Ok();
  };
  replayed.status = ScanJournal(&files, dir, first, false, reader, &replayed.scan);
  if (replayed.status.ok()) replayed.status = replayed.scan.damage;
  return replayed;
}

bool Says(const Status& status, const std::string& text) {
  return status.message().find(text) != std::string::npos;
}

using Payloads = std::vector<std::string>;

// Writes each payload with its own flush, as a server that is then killed: its files as they are.
std::string WriteOne(const TempDir& dir, FsyncPolicy policy, const Payloads& payloads,
                     Lsn first = 1) {
  Opened opened = OpenJournal(dir.path(), Small(policy), first);
  REQUIRE(opened.status.ok());
  Lsn lsn = first + opened.records.size();
  for (const std::string& payload : payloads) {
    Put(*opened.journal, lsn++, payload);
    // One by one, even if a segment is not ready in time.
    if (policy == FsyncPolicy::kAlways) REQUIRE(opened.journal->Sync().ok());
  }
  return dir.Names().back();
}

constexpr size_t kSecond = 2 * kJournalBlock;  // where the second record is under kAlways
constexpr size_t kThird = 3 * kJournalBlock;

TEST_CASE("a last record torn at any byte ends replay cleanly") {
  TempDir dir;
  std::string name = WriteOne(dir, FsyncPolicy::kAlways, {"one", "two", std::string(77, 'c')});
  const std::string whole = dir.Read(name);
  size_t size = kRecordHeaderSize + 77;
  CHECK(Replay(dir.path()).payloads.size() == 3);
  for (char filler : {'\0', '\xa5'}) {
    for (size_t cut = 0; cut < size; cut++) {
      std::string bytes = whole;
      std::fill(bytes.begin() + kThird + cut, bytes.begin() + kThird + size, filler);
      dir.Write(name, bytes);
      Replayed replayed = Replay(dir.path());
      CHECK(replayed.status.ok());
      CHECK(replayed.payloads == Payloads{"one", "two"});
    }
  }
  for (size_t cut = kJournalBlock; cut < kThird + size; cut++) {
    dir.Write(name, whole.substr(0, cut));
    CHECK(Replay(dir.path()).status.ok());
  }
}

TEST_CASE("a flipped bit in a record that was durable is damage, by file and offset") {
  TempDir dir;
  std::string name = WriteOne(dir, FsyncPolicy::kAlways, {"one", std::string(50, 'b'), "three"});
  const std::string whole = dir.Read(name);
  for (size_t at = 0; at < kRecordHeaderSize + 50; at++) {
    std::string bytes = whole;
    bytes[kSecond + at] ^= static_cast<char>(1 << (at % 8));
    dir.Write(name, bytes);
    Replayed replayed = Replay(dir.path());
    CHECK(replayed.payloads == Payloads{"one"});
    CHECK(replayed.status.code() == Code::kCorrupt);
    CHECK(Says(replayed.status, dir.path() + "/" + name + ": offset " + std::to_string(kSecond)));
    CHECK(Says(replayed.status, "record 2"));
    // A checkpoint that covers the record makes it unimportant.
    replayed = Replay(dir.path(), 3);
    CHECK(replayed.status.ok());
    CHECK(replayed.payloads == Payloads{"three"});
  }
  Opened opened = OpenJournal(dir.path(), Small());
  CHECK(opened.status.code() == Code::kCorrupt);
  CHECK(opened.journal->Append(2, 0, "").code() == Code::kInvalid);
}

TEST_CASE("a flipped bit in a record that was perhaps not durable is a clean end") {
  TempDir dir;
  std::string name = WriteOne(dir, FsyncPolicy::kAlways, {"one", "two", std::string(50, 'c')});
  const std::string whole = dir.Read(name);
  for (size_t at = 0; at < kRecordHeaderSize + 50; at++) {
    std::string bytes = whole;
    bytes[kThird + at] ^= static_cast<char>(1 << (at % 8));
    dir.Write(name, bytes);
    Replayed replayed = Replay(dir.path());
    CHECK(replayed.status.ok());
    CHECK(replayed.payloads == Payloads{"one", "two"});
  }
  // After a restart it is known to be durable.
  dir.Write(name, whole);
  OpenJournal(dir.path(), Small());
  std::string bytes = whole;
  bytes[kThird + 20] ^= 1;
  dir.Write(name, bytes);
  CHECK(Replay(dir.path()).status.code() == Code::kCorrupt);
}

TEST_CASE("the evidence may be far behind the damage, or itself torn") {
  TempDir dir;
  Payloads payloads(40, std::string(3000, 'x'));
  WriteOne(dir, FsyncPolicy::kAlways, payloads);
  REQUIRE(dir.Names().size() >= 3);
  std::string first = dir.Names()[0];
  std::string bytes = dir.Read(first);
  // From the third record on, this file is gone; all evidence is in the next ones.
  std::fill(bytes.begin() + kThird, bytes.end(), '\0');
  dir.Write(first, bytes);
  Replayed replayed = Replay(dir.path());
  CHECK(replayed.status.code() == Code::kCorrupt);
  CHECK(replayed.payloads.size() == 2);
  CHECK(Says(replayed.status, first));
  // Even if those have no intact payload, and one intact header.
  for (size_t i = 1; i < dir.Names().size(); i++) {
    std::string name = dir.Names()[i];
    bytes = dir.Read(name);
    for (size_t at = kFirstRecord; at < bytes.size(); at += kJournalBlock) {
      if (i == 1 && at == 5 * kJournalBlock) {
        bytes[at + kRecordHeaderSize] ^= 1;
      } else {
        bytes[at] ^= 1;
      }
    }
    dir.Write(name, bytes);
  }
  CHECK(Replay(dir.path()).status.code() == Code::kCorrupt);
}

TEST_CASE("a missing file is damage, if anything later proves it") {
  TempDir dir;
  WriteOne(dir, FsyncPolicy::kAlways, Payloads(40, std::string(3000, 'x')));
  std::vector<std::string> names = dir.Names();
  REQUIRE(names.size() >= 3);
  Lsn needed = Replay(dir.path()).scan.segments[1].last + 1;
  std::filesystem::remove(dir.path() + "/" + names[1]);
  Replayed replayed = Replay(dir.path());
  CHECK(replayed.status.code() == Code::kCorrupt);
  CHECK(Says(replayed.status, names[0]));
  CHECK(Replay(dir.path(), needed).status.ok());
  CHECK(Replay(dir.path(), needed).payloads.size() == 41 - needed);
}

TEST_CASE("packed records torn at random: the good ones before the first bad one") {
  TempDir dir;
  Payloads payloads;
  for (int i = 0; i < 8; i++) payloads.push_back("payload " + std::to_string(i));
  std::string name;
  {
    Opened opened = OpenJournal(dir.path(), Small(FsyncPolicy::kNo));
    for (Lsn lsn = 1; lsn <= 8; lsn++) Put(*opened.journal, lsn, payloads[lsn - 1]);
    name = dir.Names()[0];
    // As a power cut would find it, before anything was synced.
    std::filesystem::copy(dir.path() + "/" + name, dir.path() + "/copy");
  }
  const std::string whole = dir.Read("copy");
  size_t size = RecordSize(payloads[0].size());
  for (size_t torn = 0; torn < 8; torn++) {
    for (size_t at : {size_t{0}, size_t{36}, kRecordHeaderSize + 1}) {
      std::string bytes = whole;
      bytes[kFirstRecord + torn * size + at] ^= 4;
      dir.Write(name, bytes);
      Replayed replayed = Replay(dir.path());
      CHECK(replayed.status.ok());
      CHECK(replayed.payloads == Payloads(payloads.begin(), payloads.begin() + torn));
    }
  }
}

TEST_CASE("what a crash left behind a torn record never becomes valid again") {
  TempDir dir;
  std::string name;
  {
    Opened opened = OpenJournal(dir.path(), Small(FsyncPolicy::kNo));
    for (Lsn lsn = 1; lsn <= 5; lsn++) Put(*opened.journal, lsn, "old " + std::to_string(lsn));
    name = dir.Names()[0];
    std::filesystem::copy(dir.path() + "/" + name, dir.path() + "/copy");
  }
  std::string bytes = dir.Read("copy");
  size_t size = RecordSize(5);
  bytes[kFirstRecord + size + 8] ^= 1;  // record 2
  dir.Write(name, bytes);
  for (Lsn lsn = 2; lsn <= 4; lsn++) {
    Opened opened = OpenJournal(dir.path(), Small());
    REQUIRE(opened.status.ok());
    CHECK(opened.records.size() == lsn - 1);
    Put(*opened.journal, lsn, "new");
  }
  CHECK(Replay(dir.path()).payloads == Payloads{"old 1", "new", "new", "new"});
}

TEST_CASE("nor when a later checkpoint jumps over the torn record") {
  TempDir dir;
  std::string name;
  {
    Opened opened = OpenJournal(dir.path(), Small(FsyncPolicy::kNo));
    for (Lsn lsn = 1; lsn <= 5; lsn++) Put(*opened.journal, lsn, "old " + std::to_string(lsn));
    name = dir.Names()[0];
    std::filesystem::copy(dir.path() + "/" + name, dir.path() + "/copy");
  }
  std::string bytes = dir.Read("copy");
  bytes[kFirstRecord + RecordSize(5) + 8] ^= 1;  // record 2
  dir.Write(name, bytes);
  // The next run writes its own 2 and 3, and a checkpoint covers 2. Its 3 counts, not the old one.
  WriteOne(dir, FsyncPolicy::kAlways, {"new 2", "new 3"});
  CHECK(Replay(dir.path(), 3).payloads == Payloads{"new 3"});
  CHECK(Replay(dir.path(), 4).payloads.empty());
  CHECK(Replay(dir.path(), 4).status.ok());
}

TEST_CASE("the leftovers in a recycled segment are not records") {
  TempDir dir;
  FileJournalOptions options = Small();
  options.salt = 0;
  Opened opened = OpenJournal(dir.path(), options);
  std::string payload(100, 'x');
  for (Lsn lsn = 1; lsn <= 100; lsn++) {
    Put(*opened.journal, lsn, payload);
    if (lsn % 10 == 0) {
      opened.journal->Trim(lsn);
      CHECK(Eventually([&] { return dir.Names().size() <= 2; }));
    }
    REQUIRE(opened.journal->Sync().ok());
    Replayed replayed;
    do {  // again, if the journal's thread renamed a file under way
      replayed = Replay(dir.path(), lsn / 10 * 10 + 1);
    } while (replayed.status.code() == Code::kIoError);
    CHECK(replayed.status.ok());
    CHECK(replayed.payloads.size() == lsn % 10);
  }
}

TEST_CASE("a record inside a payload is not a record") {
  TempDir dir;
  std::string planted;
  FrameRecord(&planted, 2, 0, "planted");
  SegmentIdentity guess = IdentityOf({.sequence = 1, .salt = 1});
  SealRecord(planted.data(), guess, 1000);
  std::string name = WriteOne(dir, FsyncPolicy::kNo, {planted + planted});
  CHECK(Replay(dir.path()).payloads.size() == 1);
  // Nor when the record around it is torn.
  std::string bytes = dir.Read(name);
  bytes[kFirstRecord] ^= 1;
  dir.Write(name, bytes);
  CHECK(Replay(dir.path()).status.ok());
  CHECK(Replay(dir.path()).payloads.empty());
}

TEST_CASE("a later format version is refused as such") {
  TempDir dir;
  std::string name = WriteOne(dir, FsyncPolicy::kAlways, {"one"});
  std::string bytes = dir.Read(name);
  auto header = EncodeSegmentHeader({.version = kJournalVersion + 1, .sequence = 1});
  bytes.replace(0, header.size(), header.data(), header.size());
  dir.Write(name, bytes);
  Opened opened = OpenJournal(dir.path(), Small());
  CHECK(opened.status.code() == Code::kTooNew);
  CHECK(Says(opened.status, name));
  CHECK(CheckJournal(dir.path(), 0).status().code() == Code::kTooNew);
}

TEST_CASE("a damaged segment header is damage, unless nothing in the segment is needed") {
  TempDir dir;
  std::string first = WriteOne(dir, FsyncPolicy::kAlways, {"one"});
  std::string second = WriteOne(dir, FsyncPolicy::kAlways, {"two"});
  REQUIRE(first != second);
  for (const std::string& name : {first, second}) {
    const std::string whole = dir.Read(name);
    for (size_t at = 0; at < 48; at++) {
      std::string bytes = whole;
      bytes[at] ^= 1;
      dir.Write(name, bytes);
      Replayed replayed = Replay(dir.path());
      CHECK(replayed.status.code() == Code::kCorrupt);
      CHECK(Says(replayed.status, name));
    }
    if (name == first) CHECK(Replay(dir.path(), 2).payloads == Payloads{"two"});
    dir.Write(name, whole);
  }
  // One segment under the name of another is no better.
  dir.Write(second, dir.Read(first));
  CHECK(Replay(dir.path()).status.code() == Code::kCorrupt);
}

TEST_CASE("a checkpoint may be ahead of what the journal kept") {
  TempDir dir;
  std::string first = WriteOne(dir, FsyncPolicy::kAlways, {"one", "two", "three"});
  // A power cut took 4 to 9, the checkpoint has them.
  WriteOne(dir, FsyncPolicy::kAlways, {"ten", "eleven"}, 10);
  CHECK(Replay(dir.path(), 10).payloads == Payloads{"ten", "eleven"});
  CHECK(Replay(dir.path(), 12).payloads.empty());
  CHECK(Replay(dir.path(), 12).status.ok());
  // An older copy of the store cannot be carried forward, and must not be in part.
  CHECK(Replay(dir.path(), 2).status.code() == Code::kCorrupt);
}

TEST_CASE("the reader's failure ends the reading") {
  TempDir dir;
  WriteOne(dir, FsyncPolicy::kAlways, {"one", "two"});
  auto journal = FileJournal::Open(dir.path(), Small());
  int calls = 0;
  Status status = (*journal)->ReadFrom(1, [&](Lsn, uint64_t, std::string_view) {
    calls++;
    return Status(Code::kInvalid, "no");
  });
  CHECK(status.code() == Code::kInvalid);
  CHECK(calls == 1);
}

TEST_CASE("check reports and changes nothing; repair cuts and keeps copies") {
  TempDir dir;
  WriteOne(dir, FsyncPolicy::kAlways, Payloads(40, std::string(3000, 'x')));
  std::vector<std::string> names = dir.Names();
  REQUIRE(names.size() >= 3);
  Result<JournalReport> report = CheckJournal(dir.path(), 0);
  REQUIRE(report.ok());
  CHECK(report->damage.ok());
  CHECK(report->first == 1);
  CHECK(report->last == 40);
  CHECK(report->payload_bytes == 40 * 3000);
  CHECK(report->segments == names.size());
  report = RepairJournal(dir.path(), 0);
  REQUIRE(report.ok());
  CHECK(report->actions.empty());
  CHECK(dir.Names() == names);

  std::string damaged = dir.Read(names[1]);
  damaged[kThird + 100] ^= 1;
  dir.Write(names[1], damaged);
  report = CheckJournal(dir.path(), 0);
  REQUIRE(report.ok());
  CHECK(report->damage.code() == Code::kCorrupt);
  CHECK(report->damaged_file == names[1]);
  CHECK(report->damaged_offset == kThird);
  Lsn last = report->last;
  CHECK(dir.Names() == names);

  report = RepairJournal(dir.path(), 0);
  REQUIRE(report.ok());
  CHECK(report->damage.code() == Code::kCorrupt);
  CHECK(report->actions.size() == names.size() - 1);
  CHECK(dir.Names().size() == 3);
  CHECK(dir.Names()[1] == names[1]);
  CHECK(dir.Names()[2] > names.back());
  CHECK(dir.Read(names[1] + ".damaged") == damaged);
  report = CheckJournal(dir.path(), 0);
  REQUIRE(report.ok());
  CHECK(report->damage.ok());
  CHECK(report->last == last);

  // The server goes on from there, and a second accident does not cost the first one's copy.
  WriteOne(dir, FsyncPolicy::kAlways, {"a", "b"});
  CHECK(Replay(dir.path()).payloads.size() == last + 2);
  std::string again = dir.Read(names[1]);
  again[kFirstRecord] ^= 1;
  dir.Write(names[1], again);
  REQUIRE(RepairJournal(dir.path(), 0).ok());
  CHECK(dir.Read(names[1] + ".damaged") == damaged);
  CHECK(dir.Read(names[1] + ".damaged.2") == again);
  CHECK(CheckJournal(dir.path(), 0)->damage.ok());
}

TEST_CASE("repair of a segment without a header") {
  TempDir dir;
  WriteOne(dir, FsyncPolicy::kAlways, {"one"});
  std::string second = WriteOne(dir, FsyncPolicy::kAlways, {"two"});
  dir.Write(second, "");
  CHECK(CheckJournal(dir.path(), 0)->damaged_file == second);
  REQUIRE(RepairJournal(dir.path(), 0).ok());
  CHECK(CheckJournal(dir.path(), 0)->damage.ok());
  CHECK(Replay(dir.path()).payloads == Payloads{"one"});
}

TEST_CASE("an empty directory, and one that does not exist") {
  TempDir dir;
  CHECK(CheckJournal(dir.path(), 0)->last == 0);
  CHECK(CheckJournal(dir.path() + "/none", 0).status().code() == Code::kIoError);
  CHECK(OpenJournal(dir.path() + "/none", Small()).status.code() == Code::kIoError);
}

}  // namespace
}  // namespace sluice
