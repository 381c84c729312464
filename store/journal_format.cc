#include "store/journal_format.h"

#include <bit>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "store/crc32c.h"

namespace sluice {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

constexpr char kMagic[] = "SLUICEJ\n";
constexpr size_t kHeaderCrcAt = 12;  // in a segment header
constexpr size_t kRecordCrcAt = 36;  // in a record header
constexpr size_t kPayloadCrcAt = 32;
constexpr size_t kAttestedAt = 24;

template <typename T>
void Put(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
T Get(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Covers everything but the checksum itself.
uint32_t SegmentHeaderCrc(const char* bytes) {
  uint32_t crc = Crc32c(0, bytes, kHeaderCrcAt);
  return Crc32c(crc, bytes + kHeaderCrcAt + 4, kSegmentHeaderSize - kHeaderCrcAt - 4);
}

constexpr char kHexDigits[] = "0123456789abcdef";

}  // namespace

std::array<char, kSegmentHeaderSize> EncodeSegmentHeader(const SegmentHeader& header) {
  std::array<char, kSegmentHeaderSize> bytes{};
  std::memcpy(bytes.data(), kMagic, 8);
  Put(&bytes[8], header.version);
  Put(&bytes[16], header.sequence);
  Put(&bytes[24], header.salt);
  Put(&bytes[32], header.size);
  Put(&bytes[40], header.attested);
  Put(&bytes[48], header.run);
  Put(&bytes[56], header.base);
  Put(&bytes[kHeaderCrcAt], SegmentHeaderCrc(bytes.data()));
  return bytes;
}

HeaderState DecodeSegmentHeader(std::string_view bytes, SegmentHeader* header) {
  if (bytes.size() < kSegmentHeaderSize) return HeaderState::kDamaged;
  const char* p = bytes.data();
  if (std::memcmp(p, kMagic, 8) != 0) return HeaderState::kDamaged;
  if (Get<uint32_t>(p + kHeaderCrcAt) != SegmentHeaderCrc(p)) return HeaderState::kDamaged;
  header->version = Get<uint32_t>(p + 8);
  if (header->version > kJournalVersion) return HeaderState::kTooNew;
  header->sequence = Get<uint64_t>(p + 16);
  header->salt = Get<uint64_t>(p + 24);
  header->size = Get<uint64_t>(p + 32);
  header->attested = Get<uint64_t>(p + 40);
  header->run = Get<uint64_t>(p + 48);
  header->base = Get<uint64_t>(p + 56);
  return header->run <= header->sequence ? HeaderState::kGood : HeaderState::kDamaged;
}

SegmentIdentity IdentityOf(const SegmentHeader& header) {
  // The finalizer of splitmix64: one-to-one, so that segments of one salt do not share an identity.
  // The tag is never 0, as unwritten space is.
  uint64_t x = header.salt + header.sequence * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return {.tag = static_cast<uint32_t>(x) | 1, .seed = static_cast<uint32_t>(x >> 32)};
}

void FrameRecord(std::string* buffer, Lsn lsn, uint64_t epoch, std::string_view payload) {
  char header[kRecordHeaderSize] = {};
  Put(header + 4, static_cast<uint32_t>(payload.size()));
  Put(header + 8, lsn);
  Put(header + 16, epoch);
  Put(header + kPayloadCrcAt, Crc32c(0, payload.data(), payload.size()));
  buffer->append(header, sizeof header);
  buffer->append(payload);
  buffer->append(RecordSize(payload.size()) - kRecordHeaderSize - payload.size(), '\0');
}

void SealRecord(char* record, const SegmentIdentity& identity, Lsn attested) {
  Put(record, identity.tag);
  Put(record + kAttestedAt, attested);
  Put(record + kRecordCrcAt, Crc32c(identity.seed, record, kRecordCrcAt));
}

std::optional<RecordHeader> DecodeRecordHeader(const char* bytes, const SegmentIdentity& identity) {
  if (Get<uint32_t>(bytes) != identity.tag) return std::nullopt;
  if (Get<uint32_t>(bytes + kRecordCrcAt) != Crc32c(identity.seed, bytes, kRecordCrcAt)) {
    return std::nullopt;
  }
  return RecordHeader{.length = Get<uint32_t>(bytes + 4),
                      .lsn = Get<uint64_t>(bytes + 8),
                      .epoch = Get<uint64_t>(bytes + 16),
                      .attested = Get<uint64_t>(bytes + kAttestedAt),
                      .payload_crc = Get<uint32_t>(bytes + kPayloadCrcAt)};
}

uint64_t FramedSize(const char* record) { return RecordSize(Get<uint32_t>(record + 4)); }

Lsn FramedLsn(const char* record) { return Get<uint64_t>(record + 8); }

std::string JournalFileName(uint64_t sequence, JournalFileKind kind) {
  char name[40];
  const char* suffix = kind == JournalFileKind::kNew    ? ".new"
                       : kind == JournalFileKind::kFree ? ".free"
                                                        : "";
  std::snprintf(name, sizeof name, "journal-%016" PRIx64 "%s", sequence, suffix);
  return name;
}

bool ParseJournalFileName(std::string_view name, uint64_t* sequence, JournalFileKind* kind) {
  constexpr std::string_view kPrefix = "journal-";
  if (!name.starts_with(kPrefix) || name.size() < kPrefix.size() + 16) return false;
  std::string_view digits = name.substr(kPrefix.size(), 16);
  std::string_view suffix = name.substr(kPrefix.size() + 16);
  *sequence = 0;
  for (char c : digits) {
    size_t value = std::string_view(kHexDigits).find(c);
    if (value == std::string_view::npos) return false;
    *sequence = *sequence << 4 | value;
  }
  if (suffix.empty()) {
    *kind = JournalFileKind::kSegment;
  } else if (suffix == ".new") {
    *kind = JournalFileKind::kNew;
  } else if (suffix == ".free") {
    *kind = JournalFileKind::kFree;
  } else {
    return false;
  }
  return true;
}

}  // namespace sluice
