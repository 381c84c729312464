// SipHash-2-4 with a result of 128 bits: for when two different inputs must not be taken for one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice {

using Hash128 = std::array<uint64_t, 2>;

// With a key that is part of the disk format.
Hash128 SipHash128(std::string_view bytes);

}  // namespace sluice
