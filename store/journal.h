// The journal: the ordered, durable record of every batch since LMDB's last checkpoint.
//
// Each turn of the loop seals its effects into one batch, which gets the next LSN and is handed
// over with Append(); Flush() ends the turn. Neither waits for durability unless asked to: the
// loop compares the LSN that a reply depends on with released() and sends when it is reached.
//
//   start-up    ReadFrom(checkpoint + 1, apply)          once, before the first Append
//   each turn   Append(lsn, epoch, batch); Flush(...)
//   checkpoint  Trim(lsn that the durable LMDB commit covers)
//
// The embedded journal is a few local files (file_journal.h). The interface leaves room for one
// that lives in a replicated engine's log.
//
// Threads: all methods belong to one thread, the loop's, except durable(), released(), room(),
// full() and failure(), which any thread may call.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "store/result.h"

namespace sluice {

// Log sequence number: the number of a batch. The first is 1, each next one is one more.
using Lsn = uint64_t;

// What a reply waits for.
enum class FsyncPolicy : unsigned char {
  kAlways,    // the batch would survive a power cut
  kEverySec,  // it would survive the end of this process; a power cut costs at most a second
  kNo,        // as kEverySec, but the kernel decides when
};

class Journal {
 public:
  // Receives one record; the payload is valid during the call. A failure ends the reading.
  using Reader = std::function<Status(Lsn lsn, uint64_t epoch, std::string_view payload)>;
  // Called on the journal's own thread, holding no lock, when durable() or released() advanced
  // there, when failure() was latched or when full() changed. Must not call the journal back,
  // except for what any thread may call. What Flush() did before it returned is not announced.
  using Wake = std::function<void()>;

  virtual ~Journal() = default;

  // Hands every record with an LSN of at least `first` to `reader`, in order and without gaps.
  // Called once, before the first Append, which continues from the last record read (or starts
  // with `first`, when there was none). Records below `first` are in a durable checkpoint and
  // may be missing or damaged. The records handed over are durable when this returns.
  //   kCorrupt  a record that is known to have been durable is damaged or missing; the message
  //             names file and offset
  //   kTooNew   the journal was written by a later program
  virtual Status ReadFrom(Lsn first, const Reader& reader) = 0;

  // Takes over one sealed batch. `lsn` is the previous one plus one. The payload is copied; the
  // record reaches nobody before Flush(). Fails only if failure() is latched, or with kInvalid
  // for an LSN out of order or a payload of 4 GiB.
  virtual Status Append(Lsn lsn, uint64_t epoch, std::string_view payload) = 0;

  // Ends the turn: whatever was appended is on its way when this returns. With `inline_sync`
  // under kAlways it is durable when this returns, provided inline_possible(); otherwise the
  // journal's thread makes it so while the loop executes the next turns. Calls without anything
  // appended cost nothing.
  //   kNoSpace  there is no room on the disk for what was appended. It is kept and will be
  //             written by itself once there is room (space returned or a Trim); released()
  //             stays behind until then. Do not append more than needed.
  //   others    failure()
  virtual Status Flush(bool inline_sync) = 0;

  // Whether Flush(true) would work on the calling thread: false while the journal's thread still
  // has earlier records in hand.
  virtual bool inline_possible() const = 0;

  // The highest LSN that would survive a power cut. Never goes back.
  virtual Lsn durable() const = 0;

  // The highest LSN whose reply may leave under the current policy. Never goes back.
  virtual Lsn released() const = 0;

  // Ok, or the first failed write or sync. Latched: from then on nothing more becomes durable or
  // released, and every Append and Flush returns it. The way out is a new Journal and ReadFrom.
  virtual Status failure() const = 0;

  // Records up to `covered` are in a durable checkpoint and their space may be used again.
  virtual void Trim(Lsn covered) = 0;

  // Waits until everything appended is durable, whatever the policy.
  virtual Status Sync() = 0;

  // Takes effect for what is appended from now on.
  virtual void SetPolicy(FsyncPolicy policy) = 0;
  virtual FsyncPolicy policy() const = 0;

  // Bytes of already allocated space for further records. Under kAlways a Flush takes at least
  // 4 KiB of it.
  virtual uint64_t room() const = 0;

  // Space ahead could not be allocated because the disk is full: refuse commands that add data
  // before they change anything; room() is left for pops, acks and deletes. Retried by itself.
  virtual bool full() const = 0;
};

}  // namespace sluice
