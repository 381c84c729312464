// The bytes of the journal's files, as FORMAT.md describes them. No input or output here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/journal.h"

namespace sluice {

inline constexpr uint64_t kJournalBlock = 4096;          // never rewritten once it is durable
inline constexpr uint64_t kJournalAlign = 8;             // of every record
inline constexpr size_t kSegmentHeaderSize = 64;         // at offset 0, alone in its block
inline constexpr uint64_t kFirstRecord = kJournalBlock;  // where records start
inline constexpr size_t kRecordHeaderSize = 40;
inline constexpr uint32_t kJournalVersion = 1;

constexpr uint64_t AlignUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

// What a record of this payload takes in a segment.
constexpr uint64_t RecordSize(uint64_t payload) {
  return AlignUp(kRecordHeaderSize + payload, kJournalAlign);
}

struct SegmentHeader {
  uint32_t version = kJournalVersion;
  uint64_t sequence = 0;  // place in the order of segments; never used twice
  uint64_t salt = 0;
  uint64_t size = 0;  // of the file when it was made
  Lsn attested = 0;   // highest LSN known to be durable when this header was written
  // A run is what one opening of the journal writes. It continues behind the last record that it
  // could read; what earlier runs' segments hold behind that one is void from then on.
  uint64_t run = 0;  // sequence of the run's first segment
  Lsn base = 0;      // last LSN of the earlier runs
};

enum class HeaderState { kGood, kDamaged, kTooNew };

std::array<char, kSegmentHeaderSize> EncodeSegmentHeader(const SegmentHeader& header);
HeaderState DecodeSegmentHeader(std::string_view bytes, SegmentHeader* header);

// What makes a record belong to this segment and no other, so that the leftovers in a recycled
// file are not mistaken for records.
struct SegmentIdentity {
  uint32_t tag = 0;   // first word of each record
  uint32_t seed = 0;  // start value of each record header's checksum
};
SegmentIdentity IdentityOf(const SegmentHeader& header);

struct RecordHeader {
  uint32_t length = 0;  // of the payload
  Lsn lsn = 0;
  uint64_t epoch = 0;
  Lsn attested = 0;  // highest LSN known to be durable when the record was written
  uint32_t payload_crc = 0;
};

// A record is framed in two steps: what is known when it is appended (in any buffer, aligned or
// not), and what depends on the segment it is written to.
void FrameRecord(std::string* buffer, Lsn lsn, uint64_t epoch, std::string_view payload);
void SealRecord(char* record, const SegmentIdentity& identity, Lsn attested);

// The header at `bytes`, which holds at least kRecordHeaderSize, if it belongs to the segment and
// its own checksum is right. Says nothing about the payload.
std::optional<RecordHeader> DecodeRecordHeader(const char* bytes, const SegmentIdentity& identity);

// For walking a buffer of framed records.
uint64_t FramedSize(const char* record);
Lsn FramedLsn(const char* record);

// File names. Sequence numbers sort as the names do.
//   journal-<16 hex digits>        a segment
//   journal-<16 hex digits>.new    one being made
//   journal-<16 hex digits>.free   one that is no longer needed, for reuse
enum class JournalFileKind { kSegment, kNew, kFree };
std::string JournalFileName(uint64_t sequence, JournalFileKind kind);
bool ParseJournalFileName(std::string_view name, uint64_t* sequence, JournalFileKind* kind);

}  // namespace sluice
