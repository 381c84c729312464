#include "store/journal_space.h"

#include <algorithm>
#include <array>

#include "store/journal_scan.h"

namespace sluice {
namespace {

constexpr uint64_t kFillStep = 1 << 20;
constexpr std::array<char, 64 << 10> kZeros{};

}  // namespace

JournalSpace::~JournalSpace() { Abandon(); }

Status JournalSpace::Begin(uint64_t highest, Lsn base) {
  next_sequence_ = run_ = highest + 1;
  base_ = base;
  Result<std::vector<JournalFile>> listed = ListJournal(files_, dir_);
  if (!listed.ok()) return listed.status();
  for (const JournalFile& file : *listed) {
    if (file.kind == JournalFileKind::kSegment) continue;
    std::string path = dir_ + "/" + file.name;
    int64_t size = 0;
    if (file.kind == JournalFileKind::kFree &&
        free_.size() < static_cast<size_t>(limits_.spare_segments)) {
      int fd = files_->Open(path, false);
      if (fd < 0) return Status::FromErrno(-fd, "open " + path);
      size = files_->Size(fd);
      files_->Close(fd);
    }
    if (size >= static_cast<int64_t>(limits_.segment_bytes)) {
      free_.push_back({file.sequence, static_cast<uint64_t>(size)});
    } else if (int error = files_->Remove(path); error < 0) {
      return Status::FromErrno(-error, "remove " + path);
    }
  }
  return Status::Ok();
}

Result<std::unique_ptr<JournalSegment>> JournalSpace::Prepare(uint64_t bytes, uint64_t minimum,
                                                              Lsn attested) {
  if (making_ && making_->segment.size < minimum) Abandon();
  std::unique_ptr<JournalSegment> segment;
  Status status;
  if (!making_) {
    status = Start(AlignUp(bytes, kJournalBlock), minimum);
  } else if (making_->filled < making_->segment.size) {
    status = Fill();
  }
  if (status.ok() && making_->filled == making_->segment.size) {
    status = Finish(attested);
    if (status.ok()) {
      segment = std::make_unique<JournalSegment>(making_->segment);
      making_.reset();
    }
  }
  if (!status.ok()) {
    Abandon();
    return status;
  }
  return segment;
}

bool JournalSpace::TakeFree(uint64_t minimum) {
  auto it =
      std::find_if(free_.begin(), free_.end(), [&](const Free& f) { return f.size >= minimum; });
  if (it == free_.end()) return false;
  making_ = std::make_unique<Making>();
  making_->path = PathOf(it->sequence, JournalFileKind::kFree);
  making_->segment.size = it->size;
  making_->filled = it->size;
  free_.erase(it);
  return true;
}

Status JournalSpace::Start(uint64_t bytes, uint64_t minimum) {
  bool reuse = TakeFree(minimum);
  if (reuse) {
    // Before its header changes, it must have lost its old name for good.
    TRY(SyncNames());
  } else {
    making_ = std::make_unique<Making>();
    making_->path = PathOf(next_sequence_, JournalFileKind::kNew);
    making_->segment.size = bytes;
  }
  making_->segment.sequence = next_sequence_++;
  int fd = files_->Open(making_->path, !reuse);
  if (fd < 0) return Status::FromErrno(-fd, "open " + making_->path);
  making_->segment.fd = fd;
  return reuse ? Status::Ok() : Fill();
}

// Writes zeros rather than only reserving space: a later write into reserved but unwritten space
// would change the file's metadata, and its sync would cost a journal commit of the file system.
Status JournalSpace::Fill() {
  JournalSegment& segment = making_->segment;
  if (!making_->allocated) {
    int error = files_->Allocate(segment.fd, segment.size);
    if (error < 0) return Status::FromErrno(-error, "allocate " + making_->path);
    making_->allocated = true;
  }
  uint64_t end = std::min(segment.size, making_->filled + kFillStep);
  int error = WriteZeros(segment.fd, making_->filled, end);
  if (error < 0) return SyncFailed(-error, "write " + making_->path);
  making_->filled = end;
  if (end == segment.size) return Status::Ok();  // the header's sync is next
  error = files_->Sync(segment.fd);
  return error < 0 ? SyncFailed(-error, "sync " + making_->path) : Status::Ok();
}

int JournalSpace::WriteZeros(int fd, uint64_t from, uint64_t to) {
  int error = 0;
  while (from < to && error == 0) {
    std::array<iovec, kFillStep / kZeros.size()> parts;
    size_t count = 0;
    uint64_t at = from;
    for (; from < to && count < parts.size(); count++) {
      size_t size = std::min<uint64_t>(kZeros.size(), to - from);
      parts[count] = {const_cast<char*>(kZeros.data()), size};
      from += size;
    }
    error = files_->Write(fd, at, parts.data(), static_cast<int>(count), false);
  }
  return error;
}

Status JournalSpace::Erase(uint64_t sequence, uint64_t from, uint64_t to) {
  std::string path = PathOf(sequence, JournalFileKind::kSegment);
  int fd = files_->Open(path, false);
  if (fd < 0) return Status::FromErrno(-fd, "open " + path);
  int error = WriteZeros(fd, from, to);
  if (error == 0) error = files_->Sync(fd);
  files_->Close(fd);
  return error < 0 ? SyncFailed(-error, "erase the end of " + path) : Status::Ok();
}

Status JournalSpace::Finish(Lsn attested) {
  JournalSegment& segment = making_->segment;
  SegmentHeader header{.sequence = segment.sequence,
                       .salt = limits_.salt,
                       .size = segment.size,
                       .attested = attested,
                       .run = run_,
                       .base = base_};
  segment.identity = IdentityOf(header);
  std::array<char, kSegmentHeaderSize> bytes = EncodeSegmentHeader(header);
  std::array<iovec, 2> parts{{{bytes.data(), bytes.size()},
                              {const_cast<char*>(kZeros.data()), kFirstRecord - bytes.size()}}};
  int error = files_->Write(segment.fd, 0, parts.data(), 2, false);
  if (error < 0) return SyncFailed(-error, "write " + making_->path);
  error = files_->Sync(segment.fd);
  if (error < 0) return SyncFailed(-error, "sync " + making_->path);
  std::string path = PathOf(segment.sequence, JournalFileKind::kSegment);
  error = files_->Rename(making_->path, path);
  if (error < 0) return Status::FromErrno(-error, "rename " + making_->path);
  making_->path = path;
  return SyncNames();
}

Status JournalSpace::SyncNames() {
  int error = files_->SyncDir(dir_);
  return error < 0 ? SyncFailed(-error, "sync " + dir_) : Status::Ok();
}

// A full disk is no failure: nothing in this file matters yet. Anything else means that the disk
// does not keep what it is given.
Status JournalSpace::SyncFailed(int error, const std::string& what) {
  Status status = Status::FromErrno(error, what);
  if (status.code() != Code::kNoSpace) broken_ = true;
  return status;
}

void JournalSpace::Abandon() {
  if (!making_) return;
  if (making_->segment.fd >= 0) files_->Close(making_->segment.fd);
  // If this fails too, the file is found and removed at the next start.
  files_->Remove(making_->path);
  making_.reset();
}

void JournalSpace::Retire(std::unique_ptr<JournalSegment> segment, bool keep_any) {
  Close(segment.get());
  std::string path = PathOf(segment->sequence, JournalFileKind::kSegment);
  bool fits = keep_any || segment->size == limits_.segment_bytes;
  if (fits && free_.size() < static_cast<size_t>(limits_.spare_segments)) {
    if (files_->Rename(path, PathOf(segment->sequence, JournalFileKind::kFree)) == 0) {
      free_.push_back({segment->sequence, segment->size});
      return;
    }
  }
  // Left behind, it only costs space until the next start.
  files_->Remove(path);
}

void JournalSpace::Close(JournalSegment* segment) {
  if (segment->fd >= 0) files_->Close(segment->fd);
  segment->fd = -1;
}

}  // namespace sluice
