// BITFIELD: numbers of 1 to 64 bits anywhere in a string.
#include <optional>
#include <string>
#include <vector>

#include "src/commands/bits_common.h"

namespace sluice {
namespace {

enum class Overflow { kWrap, kSaturate, kFail };

// "i5", "u63": how a number is kept.
struct Format {
  bool is_signed = false;
  int bits = 0;

  __int128 lowest() const { return is_signed ? -(__int128{1} << (bits - 1)) : 0; }
  __int128 highest() const { return (__int128{1} << (is_signed ? bits - 1 : bits)) - 1; }
};

struct Step {
  enum class Kind { kGet, kSet, kAdd } kind;
  Format format;
  uint64_t offset = 0;
  int64_t operand = 0;
  Overflow overflow = Overflow::kWrap;
};

// ---- the words

bool ReadFormat(Call& call, size_t i, Format* format) {
  std::string_view text = call.args[i];
  std::optional<int64_t> bits;
  if (!text.empty()) bits = ParseInteger(text.substr(1));
  format->is_signed = text.starts_with('i');
  bool valid = bits && (format->is_signed || text.starts_with('u')) && *bits >= 1 &&
               *bits <= (format->is_signed ? 64 : 63);
  if (!valid) {
    call.Error(
        "ERR Invalid bitfield type. Use something like i16 u8. Note "
        "that u64 is not supported but "
        "i64 is.");
    return false;
  }
  format->bits = static_cast<int>(*bits);
  return true;
}

bool ReadOverflow(Call& call, size_t i, Overflow* overflow) {
  if (call.Is(i, "WRAP")) {
    *overflow = Overflow::kWrap;
  } else if (call.Is(i, "SAT")) {
    *overflow = Overflow::kSaturate;
  } else if (call.Is(i, "FAIL")) {
    *overflow = Overflow::kFail;
  } else {
    return call.Error("ERR Invalid OVERFLOW type specified"), false;
  }
  return true;
}

bool ReadSteps(Call& call, std::vector<Step>* steps) {
  Overflow overflow = Overflow::kWrap;
  for (size_t i = 2; i < call.args.size();) {
    size_t behind = call.args.size() - 1 - i;
    Step step;
    if (call.Is(i, "GET") && behind >= 2) {
      step.kind = Step::Kind::kGet;
    } else if (call.Is(i, "SET") && behind >= 3) {
      step.kind = Step::Kind::kSet;
    } else if (call.Is(i, "INCRBY") && behind >= 3) {
      step.kind = Step::Kind::kAdd;
    } else if (call.Is(i, "OVERFLOW") && behind >= 1) {
      if (!ReadOverflow(call, i + 1, &overflow)) return false;
      i += 2;
      continue;
    } else {
      return call.Error(errors::kSyntax), false;
    }
    step.overflow = overflow;
    bool writes = step.kind != Step::Kind::kGet;
    if (!ReadFormat(call, i + 1, &step.format) ||
        !ReadBitOffset(call, i + 2, &step.offset, step.format.bits) ||
        (writes && !call.ReadInteger(i + 3, &step.operand))) {
      return false;
    }
    i += writes ? 4 : 3;
    steps->push_back(step);
  }
  return true;
}

// ---- the bits

// The bytes that a field lies in, at most nine, as one number, those behind the
// string's end zero.
struct Window {
  uint64_t first_byte;
  size_t bytes;
  int below;  // bits of the last byte that lie behind the field
};

Window WindowOf(const Step& step) {
  uint64_t end = step.offset + static_cast<uint64_t>(step.format.bits);
  uint64_t first = step.offset / 8, last = (end - 1) / 8;
  return {first, last - first + 1, static_cast<int>((last + 1) * 8 - end)};
}

unsigned __int128 ReadWindow(String* string, const Window& window) {
  uint64_t there = string && string->size() > window.first_byte
                       ? std::min<uint64_t>(window.bytes, string->size() - window.first_byte)
                       : 0;
  std::string bytes;
  if (there > 0) bytes = string->Read(window.first_byte, there);
  bytes.resize(window.bytes);
  unsigned __int128 value = 0;
  for (char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

unsigned __int128 MaskOf(const Format& format) {
  return (static_cast<unsigned __int128>(1) << format.bits) - 1;
}

// What some bits are in a format: the number whose lowest bits they are.
__int128 Interpret(const Format& format, unsigned __int128 bits) {
  __int128 value = static_cast<__int128>(bits & MaskOf(format));
  return value > format.highest() ? value - (__int128{1} << format.bits) : value;
}

__int128 ReadField(String* string, const Step& step) {
  Window window = WindowOf(step);
  return Interpret(step.format, ReadWindow(string, window) >> window.below);
}

void WriteField(String* string, const Step& step, __int128 value) {
  Window window = WindowOf(step);
  unsigned __int128 mask = MaskOf(step.format) << window.below;
  unsigned __int128 bits = static_cast<unsigned __int128>(value) << window.below & mask;
  unsigned __int128 all = (ReadWindow(string, window) & ~mask) | bits;
  std::string bytes(window.bytes, '\0');
  for (size_t i = window.bytes; i-- > 0; all >>= 8) bytes[i] = static_cast<char>(all & 0xff);
  string->Write(window.first_byte, bytes);
}

// Makes a number fit; nullopt when it does not and is not to be written.
std::optional<__int128> Fit(const Step& step, __int128 value) {
  const Format& format = step.format;
  if (value >= format.lowest() && value <= format.highest()) return value;
  switch (step.overflow) {
    case Overflow::kWrap:
      return Interpret(format, static_cast<unsigned __int128>(value));
    case Overflow::kSaturate:
      return value < format.lowest() ? format.lowest() : format.highest();
    case Overflow::kFail:
      break;
  }
  return std::nullopt;
}

// ---- the command

// Replies what the step says; true when it has written something new. In a
// string that was made or lengthened for it (`grown`) anything is.
bool Take(Call& call, String* string, const Step& step, bool grown) {
  __int128 before = ReadField(string, step);
  if (step.kind == Step::Kind::kGet) {
    call.reply.Integer(static_cast<int64_t>(before));
    return false;
  }
  __int128 wanted = step.operand;
  if (step.kind == Step::Kind::kAdd) {
    wanted += before;
  } else if (!step.format.is_signed) {
    wanted = static_cast<uint64_t>(step.operand);  // a negative one is far too large
  }
  std::optional<__int128> value = Fit(step, wanted);
  if (!value) return call.reply.Null(), false;
  call.reply.Integer(static_cast<int64_t>(step.kind == Step::Kind::kSet ? before : *value));
  if (*value == before) return grown;
  WriteField(string, step, *value);
  return true;
}

// The highest bit that is written to; nullopt when none is.
std::optional<uint64_t> HighestWritten(const std::vector<Step>& steps) {
  std::optional<uint64_t> highest;
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::kGet) continue;
    uint64_t last = step.offset + static_cast<uint64_t>(step.format.bits) - 1;
    highest = std::max(highest.value_or(0), last);
  }
  return highest;
}

void Bitfield(Call& call) {
  std::string_view name = call.args[1];
  std::vector<Step> steps;
  if (!ReadSteps(call, &steps)) return;
  std::optional<uint64_t> highest = HighestWritten(steps);
  if (highest && !(call.row.flags & kWrite)) {
    return call.Error("ERR BITFIELD_RO only supports the GET subcommand");
  }
  Key* key;
  bool grown = false;
  std::optional<String> string;
  if (highest) {
    if (!FindToChange(call, name, &key)) return;
    string = MakeRoomForBit(call, key, name, *highest, &grown);
  } else {
    if (!call.LookupType(name, Type::kString, &key)) return;
    if (call.row.flags & kWrite) call.CountLookup(name, key);
    if (key) string = OpenString(call, key);
  }
  call.reply.ArrayHeader(steps.size());
  bool changed = false;
  for (const Step& step : steps) changed |= Take(call, string ? &*string : nullptr, step, grown);
  if (changed) call.Changed(name, "setbit");
}

}  // namespace

void AddBitfieldRows(Rows* rows) {
  rows->push_back({"bitfield",
                   "key [operation(GET=encoding_offset(encoding "
                   "offset:int)|write([OVERFLOW=wrap_sat_fail(WRAP|SAT|FAIL)] "
                   "write_operation(SET=encoding_offset_value(encoding offset:int "
                   "value:int)|INCRBY=encoding_offset_increment(encoding offset:int "
                   "increment:int))))...]",
                   "Reads and changes numbers of any width inside a string.",
                   "3.2.0",
                   "O(1)",
                   Group::kBitmap,
                   -2,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate |
                                       KeySpec::kVariableFlags)},
                   Bitfield});
  rows->push_back({"bitfield_ro",
                   "key [GET=encoding_offset(encoding offset:int)]...",
                   "Reads numbers of any width inside a string.",
                   "6.0.0",
                   "O(1)",
                   Group::kBitmap,
                   -2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Bitfield});
}

}  // namespace sluice
