// CRC32C (Castagnoli), as in iSCSI, ext4 and LevelDB: the checksum of everything the journal
// writes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

// The checksum of some earlier bytes, whose checksum is `crc`, followed by these. 0 begins.
// Uses the processor's instruction where there is one.
uint32_t Crc32c(uint32_t crc, const void* data, size_t size);

// The same without any special instruction.
uint32_t Crc32cPortable(uint32_t crc, const void* data, size_t size);

}  // namespace sluice
