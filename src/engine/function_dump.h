// The payload of FUNCTION DUMP and FUNCTION RESTORE, in the format of Redis's RDB files: libraries
// can be carried from a redis-server here, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

std::string DumpLibraries(const std::vector<std::string_view>& codes);

// The libraries' texts; empty on success, else what is wrong ("ERR ..."). Bytes from outside: any
// are answered with an error at worst.
std::string ReadDump(std::string_view payload, std::vector<std::string>* codes);

// What LZF compressed to `compressed`, if it is `size` bytes.
std::optional<std::string> DecompressLzf(std::string_view compressed, size_t size);
// CRC-64 as Redis uses it (Jones's polynomial, reflected).
uint64_t Crc64(std::string_view bytes);

}  // namespace sluice
