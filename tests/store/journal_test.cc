// The file journal at work: policies, the thread, segments, and disks that fail or fill up.
#include <map>

#include "tests/store/journal_fixture.h"

namespace sluice {
namespace {

std::string Payload(Lsn lsn) {
  return "payload " + std::to_string(lsn) + std::string(lsn * 7 % 90, 'x');
}

void CheckRecords(const Opened& opened, Lsn first, Lsn last) {
  REQUIRE(opened.status.ok());
  REQUIRE(opened.records.size() == last + 1 - first);
  for (Lsn lsn = first; lsn <= last; lsn++) {
    CHECK(opened.records[lsn - first] == ReadRecord{lsn, 7, Payload(lsn)});
  }
}

TEST_CASE("what was appended is read back, under each policy, inline or not") {
  for (FsyncPolicy policy : {FsyncPolicy::kAlways, FsyncPolicy::kEverySec, FsyncPolicy::kNo}) {
    for (bool inline_sync : {true, false}) {
      TempDir dir;
      {
        Opened opened = OpenJournal(dir.path(), Small(policy));
        CheckRecords(opened, 1, 0);
        for (Lsn lsn = 1; lsn <= 200; lsn++) Put(*opened.journal, lsn, Payload(lsn), inline_sync);
        CHECK(Eventually([&] { return opened.journal->released() == 200; }));
        if (policy == FsyncPolicy::kEverySec) {
          CHECK(Eventually([&] { return opened.journal->durable() == 200; }));
        }
        CHECK(opened.journal->Sync().ok());
        CHECK(opened.journal->durable() == 200);
      }
      CheckRecords(OpenJournal(dir.path(), Small(policy)), 1, 200);
      CheckRecords(OpenJournal(dir.path(), Small(policy), 151), 151, 200);
    }
  }
}

TEST_CASE("several records in one flush, empty and binary payloads, epochs") {
  TempDir dir;
  std::vector<ReadRecord> records = {{1, 5, ""}, {2, 5, std::string("\0\r\n\xff", 4)}, {3, 6, "x"}};
  {
    Opened opened = OpenJournal(dir.path(), Small());
    for (auto& r : records) REQUIRE(opened.journal->Append(r.lsn, r.epoch, r.payload).ok());
    CHECK(opened.journal->durable() == 0);
    REQUIRE(opened.journal->Flush(true).ok());
    CHECK(opened.journal->durable() == 3);
  }
  CHECK(OpenJournal(dir.path(), Small()).records == records);
}

TEST_CASE("inline under always: durable when Flush returns, with one call") {
  TempDir dir;
  FaultyFiles files;
  FileJournalOptions options = Small();
  options.files = &files;
  std::atomic<int> wakes{0};
  options.wake = [&] { wakes++; };
  Opened opened = OpenJournal(dir.path(), options);
  files.writes = files.syncs = 0;
  Put(*opened.journal, 1, "a");
  CHECK(opened.journal->inline_possible());
  CHECK(opened.journal->durable() == 1);
  CHECK(opened.journal->released() == 1);
  CHECK(files.writes == 1);
  CHECK(files.syncs == 0);
  CHECK(wakes == 0);
  REQUIRE(opened.journal->Flush(true).ok());
  CHECK(files.writes == 1);
}

TEST_CASE("pipelined: what queues up during a sync goes out together") {
  TempDir dir;
  FaultyFiles files;
  FileJournalOptions options = Small();
  options.files = &files;
  std::atomic<int> wakes{0};
  options.wake = [&] { wakes++; };
  {
    Opened opened = OpenJournal(dir.path(), options);
    files.hold = true;
    files.writes = 0;
    for (Lsn lsn = 1; lsn <= 20; lsn++) {
      Put(*opened.journal, lsn, Payload(lsn), false);
      if (lsn == 1) CHECK(Eventually([&] { return files.writes == 1; }));
    }
    CHECK(opened.journal->durable() == 0);
    CHECK(!opened.journal->inline_possible());
    // Asking for inline now must not overtake the thread.
    Put(*opened.journal, 21, Payload(21), true);
    CHECK(opened.journal->durable() == 0);
    files.hold = false;
    CHECK(Eventually([&] { return opened.journal->durable() == 21; }));
    CHECK(Eventually([&] { return opened.journal->inline_possible(); }));
    CHECK(files.writes == 2);
    CHECK(Eventually([&] { return wakes == 2; }));
    Put(*opened.journal, 22, Payload(22), true);
    CHECK(opened.journal->durable() == 22);
  }
  CheckRecords(OpenJournal(dir.path(), Small()), 1, 22);
}

TEST_CASE("everysec: released when written, durable a moment later, nothing to do when idle") {
  TempDir dir;
  FaultyFiles files;
  FileJournalOptions options = Small(FsyncPolicy::kEverySec);
  options.files = &files;
  options.sync_interval = std::chrono::milliseconds(200);
  Opened opened = OpenJournal(dir.path(), options);
  files.syncs = 0;
  for (Lsn lsn = 1; lsn <= 10; lsn++) Put(*opened.journal, lsn, Payload(lsn));
  CHECK(opened.journal->released() == 10);
  CHECK(opened.journal->durable() == 0);
  CHECK(Eventually([&] { return opened.journal->durable() == 10; }));
  CHECK(files.syncs == 1);
  usleep(450000);
  CHECK(files.syncs == 1);
}

TEST_CASE("no: written, and synced only when asked") {
  TempDir dir;
  FaultyFiles files;
  FileJournalOptions options = Small(FsyncPolicy::kNo);
  options.files = &files;
  Opened opened = OpenJournal(dir.path(), options);
  files.syncs = 0;
  Put(*opened.journal, 1, "a");
  usleep(50000);
  CHECK(opened.journal->released() == 1);
  CHECK(opened.journal->durable() == 0);
  CHECK(files.syncs == 0);
  CHECK(opened.journal->Sync().ok());
  CHECK(opened.journal->durable() == 1);
}

TEST_CASE("the policy changes at run time") {
  TempDir dir;
  {
    Opened opened = OpenJournal(dir.path(), Small(FsyncPolicy::kNo));
    FileJournal& journal = *opened.journal;
    Put(journal, 1, Payload(1));
    journal.SetPolicy(FsyncPolicy::kAlways);
    CHECK(journal.policy() == FsyncPolicy::kAlways);
    CHECK(journal.released() == 1);  // it was already
    Put(journal, 2, Payload(2));
    CHECK(Eventually([&] { return journal.durable() == 2; }));
    CHECK(Eventually([&] { return journal.inline_possible(); }));
    Put(journal, 3, Payload(3));
    CHECK(journal.durable() == 3);
    journal.SetPolicy(FsyncPolicy::kEverySec);
    Put(journal, 4, Payload(4));
    CHECK(journal.released() == 4);
    journal.SetPolicy(FsyncPolicy::kNo);
    Put(journal, 5, Payload(5));
    Lsn released = 0;
    for (Lsn lsn = 6; lsn <= 600; lsn++) {
      journal.SetPolicy(static_cast<FsyncPolicy>(lsn / 3 % 3));
      Put(journal, lsn, Payload(lsn), lsn % 2 == 0);
      CHECK(journal.released() >= released);
      released = journal.released();
    }
  }
  CheckRecords(OpenJournal(dir.path(), Small()), 1, 600);
}

TEST_CASE("segments roll, are recycled, and take bounded space") {
  for (bool inline_sync : {true, false}) {
    TempDir dir;
    FileJournalOptions options = Small();
    {
      Opened opened = OpenJournal(dir.path(), options);
      for (Lsn lsn = 1; lsn <= 500; lsn++) {
        Put(*opened.journal, lsn, Payload(lsn), inline_sync);
        if (lsn % 50 == 0) {  // a checkpoint
          REQUIRE(opened.journal->Sync().ok());
          opened.journal->Trim(lsn - 10);
          CHECK(Eventually([&] { return dir.Names().size() <= 4; }));
          CHECK(dir.Names(JournalFileKind::kFree).size() <= 2);
        }
      }
      opened.journal->Trim(500);
      CHECK(Eventually([&] { return dir.Names().size() <= 2; }));
    }
    CheckRecords(OpenJournal(dir.path(), options, 501), 501, 500);
  }
}

TEST_CASE("untrimmed segments stay") {
  TempDir dir;
  FileJournalOptions options = Small();
  {
    Opened opened = OpenJournal(dir.path(), options);
    for (Lsn lsn = 1; lsn <= 100; lsn++) Put(*opened.journal, lsn, Payload(lsn));
    opened.journal->Trim(60);
  }
  CheckRecords(OpenJournal(dir.path(), options, 61), 61, 100);
}

TEST_CASE("the first segments are small and grow") {
  TempDir dir;
  FileJournalOptions options;
  options.policy = FsyncPolicy::kNo;
  Opened opened = OpenJournal(dir.path(), options);
  CHECK(opened.journal->room() < (1 << 20));
  std::string payload(1000, 'p');
  for (Lsn lsn = 1; lsn <= 40000; lsn++) Put(*opened.journal, lsn, payload);
  REQUIRE(opened.journal->Sync().ok());
  std::map<uint64_t, int> sizes;
  for (const std::string& name : dir.Names()) sizes[dir.Size(name)]++;
  CHECK(sizes[1 << 20] == 1);
  CHECK(sizes[4 << 20] == 1);
  CHECK(sizes[16 << 20] >= 2);
  CHECK(sizes.size() == 3);
}

TEST_CASE("a record larger than a segment gets its own file, which is not kept") {
  for (FsyncPolicy policy : {FsyncPolicy::kAlways, FsyncPolicy::kEverySec}) {
    for (bool inline_sync : {true, false}) {
      TempDir dir;
      FileJournalOptions options = Small(policy);
      std::string big(300 << 10, 'b');
      {
        Opened opened = OpenJournal(dir.path(), options);
        Put(*opened.journal, 1, "small", inline_sync);
        Put(*opened.journal, 2, big, inline_sync);
        Put(*opened.journal, 3, "small", inline_sync);
        REQUIRE(opened.journal->Sync().ok());
        CHECK(opened.journal->durable() == 3);
      }
      {
        Opened opened = OpenJournal(dir.path(), options);
        REQUIRE(opened.records.size() == 3);
        CHECK(opened.records[1].payload == big);
        opened.journal->Trim(3);
        CHECK(Eventually([&] { return dir.Names().size() == 1; }));
      }
      for (auto kind : {JournalFileKind::kSegment, JournalFileKind::kFree}) {
        for (const std::string& name : dir.Names(kind)) {
          CHECK(dir.Size(name) <= options.segment_bytes);
        }
      }
    }
  }
}

TEST_CASE("restart after restart") {
  TempDir dir;
  Lsn last = 0;
  for (int run = 0; run < 20; run++) {
    Opened opened = OpenJournal(dir.path(), Small(static_cast<FsyncPolicy>(run % 3)));
    CheckRecords(opened, 1, last);
    CHECK(opened.journal->durable() == last);
    for (int i = 0; i < run; i++) {
      last++;
      Put(*opened.journal, last, Payload(last), run % 2 == 0);
    }
  }
  // Starts that write nothing leave nothing behind.
  OpenJournal(dir.path(), Small(), last + 1);
  size_t files = dir.Names().size() + dir.Names(JournalFileKind::kFree).size();
  for (int i = 0; i < 5; i++) OpenJournal(dir.path(), Small(), last + 1);
  CHECK(dir.Names().size() + dir.Names(JournalFileKind::kFree).size() == files);
  CHECK(dir.Names(JournalFileKind::kNew).empty());
}

TEST_CASE("an LSN out of order is refused") {
  TempDir dir;
  Opened opened = OpenJournal(dir.path(), Small(), 10);
  CHECK(opened.journal->durable() == 9);
  CHECK(opened.journal->Append(1, 0, "").code() == Code::kInvalid);
  CHECK(opened.journal->Append(10, 0, "").ok());
  CHECK(opened.journal->Append(12, 0, "").code() == Code::kInvalid);
  auto unread = FileJournal::Open(dir.path(), Small());
  CHECK((*unread)->Append(1, 0, "").code() == Code::kInvalid);
}

TEST_CASE("a failed sync or write is final") {
  for (FsyncPolicy policy : {FsyncPolicy::kAlways, FsyncPolicy::kEverySec}) {
    for (bool inline_sync : {true, false}) {
      for (bool write : {true, false}) {
        TempDir dir;
        FaultyFiles files;
        FileJournalOptions options = Small(policy);
        options.files = &files;
        std::atomic<int> wakes{0};
        options.wake = [&] { wakes++; };
        Opened opened = OpenJournal(dir.path(), options);
        FileJournal& journal = *opened.journal;
        Put(journal, 1, "kept", inline_sync);
        REQUIRE(journal.Sync().ok());
        int before = wakes;
        (write ? files.write_error : files.sync_error) = EIO;
        REQUIRE(journal.Append(2, 0, "lost").ok());
        (void)journal.Flush(inline_sync);
        CHECK(Eventually([&] { return !journal.failure().ok(); }));
        CHECK(journal.failure().code() == Code::kIoError);
        (write ? files.write_error : files.sync_error) = 0;
        CHECK(journal.durable() == 1);
        CHECK(journal.Append(3, 0, "refused").code() == Code::kIoError);
        CHECK(journal.Flush(inline_sync).code() == Code::kIoError);
        CHECK(journal.Sync().code() == Code::kIoError);
        usleep(30000);
        CHECK(journal.durable() == 1);
        if (!inline_sync && policy == FsyncPolicy::kAlways) CHECK(wakes > before);
        opened.journal.reset();
        // The same way out as after a crash.
        Opened again = OpenJournal(dir.path(), Small(policy));
        CHECK(again.status.ok());
        CHECK(again.records.size() >= 1);
        Put(*again.journal, again.records.size() + 1, "on we go");
      }
    }
  }
}

// Fills a journal on a disk without space until records have to wait; returns the last LSN.
Lsn FillUp(FileJournal& journal, bool inline_sync) {
  Lsn lsn = 0;
  while (!journal.full() && lsn < 10) {
    lsn++;
    Put(journal, lsn, Payload(lsn), inline_sync);
    if (lsn == 9) REQUIRE(Eventually([&] { return journal.full(); }));
    CHECK(Eventually([&] { return journal.durable() == lsn; }));
  }
  // Deletes go on while there is room.
  while (journal.room() >= kJournalBlock) {
    lsn++;
    Put(journal, lsn, Payload(lsn), inline_sync);
    CHECK(Eventually([&] { return journal.durable() == lsn; }));
  }
  // Without room they are taken, and wait.
  bool told = false;
  for (int i = 0; i < 5000 && !told; i++) {
    lsn++;
    REQUIRE(journal.Append(lsn, 7, Payload(lsn)).ok());
    told = journal.Flush(inline_sync).code() == Code::kNoSpace;
    usleep(1000);
  }
  CHECK(told);
  CHECK(journal.Sync().code() == Code::kNoSpace);
  CHECK(journal.durable() < lsn);
  CHECK(journal.failure().ok());
  return lsn;
}

TEST_CASE("a full disk is not a failure") {
  for (bool inline_sync : {true, false}) {
    for (bool checkpoint : {true, false}) {
      CAPTURE(inline_sync);
      CAPTURE(checkpoint);
      TempDir dir;
      FaultyFiles files;
      FileJournalOptions options = Small();
      options.files = &files;
      std::atomic<int> wakes{0};
      options.wake = [&] { wakes++; };
      Opened opened = OpenJournal(dir.path(), options);
      FileJournal& journal = *opened.journal;
      files.allocate_error = ENOSPC;
      Lsn lsn = FillUp(journal, inline_sync);
      CHECK(wakes >= 1);
      Lsn covered = 0;
      if (checkpoint) {  // of what is written: its segment can be used again
        covered = journal.durable();
        journal.Trim(covered);
      } else {
        files.allocate_error = 0;
      }
      CHECK(Eventually([&] { return journal.durable() == lsn; }));
      CHECK(Eventually([&] { return journal.inline_possible(); }));
      if (!checkpoint) CHECK(!journal.full());
      CHECK(journal.Sync().ok());
      Put(journal, lsn + 1, Payload(lsn + 1), inline_sync);
      opened.journal.reset();
      CheckRecords(OpenJournal(dir.path(), Small(), covered + 1), covered + 1, lsn + 1);
    }
  }
}

TEST_CASE("starting on a full disk") {
  TempDir dir;
  FaultyFiles files;
  FileJournalOptions options = Small();
  options.files = &files;
  {
    Opened opened = OpenJournal(dir.path(), options);
    for (Lsn lsn = 1; lsn <= 3; lsn++) Put(*opened.journal, lsn, Payload(lsn));
  }
  files.allocate_error = ENOSPC;
  Opened opened = OpenJournal(dir.path(), options);
  CheckRecords(opened, 1, 3);
  CHECK(opened.journal->full());
  CHECK(opened.journal->room() == 0);
  REQUIRE(opened.journal->Append(4, 7, Payload(4)).ok());
  (void)opened.journal->Flush(true);
  usleep(30000);
  CHECK(opened.journal->durable() == 3);
  opened.journal->Trim(3);
  CHECK(Eventually([&] { return opened.journal->durable() == 4; }));
}

TEST_CASE("two journals do not know each other") {
  TempDir a, b;
  Opened first = OpenJournal(a.path(), Small());
  Opened second = OpenJournal(b.path(), Small(FsyncPolicy::kEverySec));
  for (Lsn lsn = 1; lsn <= 50; lsn++) {
    Put(*first.journal, lsn, "first", lsn % 2 == 0);
    Put(*second.journal, lsn, "second");
  }
  CHECK(first.journal->Sync().ok());
  CHECK(first.journal->durable() == 50);
}

}  // namespace
}  // namespace sluice
