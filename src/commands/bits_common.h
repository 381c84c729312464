// What the files about bits share. Bits count from the highest of the first
// byte.
#pragma once

#include "src/commands/string_common.h"

namespace sluice {

// Reads where a bit is; "#3" is three times `width` bits on, where a width is
// given. Replies an error and returns false when it is no place that a string
// can have.
bool ReadBitOffset(Call& call, size_t i, uint64_t* offset, int width = 0);

// The string that holds a bit: made when missing, made longer when too short.
// `*grown` says whether it was either. Nothing has been announced.
String MakeRoomForBit(Call& call, Key* key, std::string_view name, uint64_t offset, bool* grown);

void AddBitfieldRows(Rows* rows);

}  // namespace sluice
