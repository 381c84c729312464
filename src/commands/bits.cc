// Strings as bits: one of them, counting, finding, and combining whole strings.
// Numbers of some bits are in bitfield.cc. Of a long string only the pieces
// concerned are read and written.
#include <algorithm>
#include <bit>
#include <optional>
#include <string>

#include "src/commands/bits_common.h"
#include "src/commands/families.h"

namespace sluice {

bool ReadBitOffset(Call& call, size_t i, uint64_t* offset, int width) {
  std::string_view text = call.args[i];
  bool in_widths = width > 0 && text.starts_with('#');
  std::optional<int64_t> number = ParseInteger(in_widths ? text.substr(1) : text);
  int64_t at = 0;
  bool fits = number && !__builtin_mul_overflow(*number, in_widths ? width : 1, &at) && at >= 0 &&
              at / 8 < call.engine.config().proto_max_bulk_len;
  if (!fits) return call.Error("ERR bit offset is not an integer or out of range"), false;
  *offset = static_cast<uint64_t>(at);
  return true;
}

String MakeRoomForBit(Call& call, Key* key, std::string_view name, uint64_t offset, bool* grown) {
  bool is_new = !key;
  if (is_new) {
    key = &call.Create(name, Type::kString);
    key->accessed_ms = call.now_ms();
  }
  String string = OpenString(call, key);
  uint64_t last = offset / 8;
  *grown = is_new || string.size() <= last;
  if (string.size() <= last) {
    string.Write(last, std::string_view("\0", 1));
  } else {
    string.Write(0, {});  // counts as edited, as in Redis
  }
  return string;
}

namespace {

bool BitOf(String* string, uint64_t offset) {
  if (offset / 8 >= string->size()) return false;
  return static_cast<uint8_t>(string->Read(offset / 8, 1)[0]) >> (7 - offset % 8) & 1;
}

void Getbit(Call& call) {
  uint64_t offset;
  if (!ReadBitOffset(call, 2, &offset)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  if (!key) return call.reply.Integer(0);
  String string = OpenString(call, key);
  call.reply.Integer(BitOf(&string, offset));
}

void Setbit(Call& call) {
  std::string_view name = call.args[1];
  uint64_t offset;
  int64_t bit;
  if (!ReadBitOffset(call, 2, &offset) ||
      !call.ReadRange(3, 0, 1, &bit, "ERR bit is not an integer or out of range")) {
    return;
  }
  Key* key;
  if (!FindToChange(call, name, &key)) return;
  bool grown;
  String string = MakeRoomForBit(call, key, name, offset, &grown);
  bool before = BitOf(&string, offset);
  if (before != (bit == 1)) {
    char byte = string.Read(offset / 8, 1)[0];
    byte = static_cast<char>(byte ^ 1 << (7 - offset % 8));
    string.Write(offset / 8, {&byte, 1});
  }
  if (grown || before != (bit == 1)) call.Changed(name, "setbit");
  call.reply.Integer(before);
}

// ---- stretches of bits

// The bits first..last, or none if first is behind last.
struct Bits {
  int64_t first = 0, last = -1;
  bool to_the_end = true;  // nobody said where it ends
};

// Reads the arguments [start [end [BYTE|BIT]]] from `at` on. False after replying an error.
// BITCOUNT finds nothing between two ends that are both counted from the string's and the wrong way
// round, before it looks at the unit.
bool ReadBits(Call& call, size_t at, uint64_t bytes, bool of_bitcount, Bits* bits) {
  size_t given = call.args.size() - at;
  bool in_bits = given == 3 && call.Is(at + 2, "BIT");
  int64_t size = static_cast<int64_t>(in_bits ? bytes * 8 : bytes);
  int64_t start = 0, end = size - 1;
  if (given > 3) return call.Error(errors::kSyntax), false;
  if (given >= 1 && !call.ReadInteger(at, &start)) return false;
  if (given >= 2 && !call.ReadInteger(at + 1, &end)) return false;
  if (of_bitcount && start < 0 && end < 0 && start > end) return true;
  if (given == 3 && !in_bits && !call.Is(at + 2, "BYTE")) {
    return call.Error(errors::kSyntax), false;
  }
  bits->to_the_end = given < 2;
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end) return true;
  bits->first = in_bits ? start : start * 8;
  bits->last = in_bits ? end : end * 8 + 7;
  return true;
}

// Calls `visit` for the bytes that have bits of the stretch, those outside it
// set to `others`, piece by piece, until it says false.
void WalkBits(String* string, const Bits& bits, bool others,
              const std::function<bool(uint64_t at, std::string_view piece)>& visit) {
  uint64_t first = static_cast<uint64_t>(bits.first) / 8;
  uint64_t last = static_cast<uint64_t>(bits.last) / 8;
  bool going_on = true;
  auto edge = [&](uint64_t at, uint8_t byte) {
    uint8_t inside = 0xff;
    if (at == first) inside &= static_cast<uint8_t>(0xff >> bits.first % 8);
    if (at == last) inside &= static_cast<uint8_t>(0xff << (7 - bits.last % 8));
    char changed = static_cast<char>(others ? byte | static_cast<uint8_t>(~inside) : byte & inside);
    going_on = visit(at, {&changed, 1});
  };
  auto byte_at = [&](uint64_t at) { return static_cast<uint8_t>(string->Read(at, 1)[0]); };
  edge(first, byte_at(first));
  if (last == first) return;
  uint64_t at = first + 1;
  while (going_on && at < last) {
    uint64_t length = std::min<uint64_t>(last - at, String::kChunkBytes - at % String::kChunkBytes);
    going_on = visit(at, string->Read(at, length));
    at += length;
  }
  if (going_on) edge(last, byte_at(last));
}

uint64_t CountOnes(std::string_view bytes) {
  uint64_t ones = 0;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    ones += static_cast<uint64_t>(std::popcount(word));
  }
  for (char byte : bytes) ones += static_cast<uint64_t>(std::popcount(static_cast<uint8_t>(byte)));
  return ones;
}

void Bitcount(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  if (!key) return call.reply.Integer(0);
  if (call.args.size() == 3) return call.Error(errors::kSyntax);
  String string = OpenString(call, key);
  Bits bits;
  if (!ReadBits(call, 2, string.size(), true, &bits)) return;
  uint64_t ones = 0;
  if (bits.first <= bits.last) {
    WalkBits(&string, bits, false, [&](uint64_t, std::string_view piece) {
      ones += CountOnes(piece);
      return true;
    });
  }
  call.reply.Integer(static_cast<int64_t>(ones));
}

void Bitpos(Call& call) {
  int64_t bit;
  if (!call.ReadInteger(2, &bit)) return;
  if (bit != 0 && bit != 1) return call.Error("ERR The bit argument must be 1 or 0.");
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  if (!key) return call.reply.Integer(bit ? -1 : 0);
  String string = OpenString(call, key);
  Bits bits;
  if (!ReadBits(call, 3, string.size(), false, &bits)) return;
  if (bits.first > bits.last) return call.reply.Integer(-1);

  char other = static_cast<char>(bit ? 0x00 : 0xff);
  // Behind a string's end are zeros, unless one looks at a part of it only.
  int64_t found = bit || !bits.to_the_end ? -1 : static_cast<int64_t>(string.size()) * 8;
  WalkBits(&string, bits, !bit, [&](uint64_t at, std::string_view piece) {
    auto hit = std::find_if(piece.begin(), piece.end(), [&](char byte) { return byte != other; });
    if (hit == piece.end()) return true;
    uint8_t differs = static_cast<uint8_t>(*hit ^ other);
    found = static_cast<int64_t>(at + static_cast<uint64_t>(hit - piece.begin())) * 8 +
            std::countl_zero(differs);
    return false;
  });
  call.reply.Integer(found);
}

// ---- whole strings

enum class Operation { kAnd, kOr, kXor, kNot };

std::optional<Operation> ReadOperation(Call& call) {
  if (call.Is(1, "AND")) return Operation::kAnd;
  if (call.Is(1, "OR")) return Operation::kOr;
  if (call.Is(1, "XOR")) return Operation::kXor;
  if (call.Is(1, "NOT")) return Operation::kNot;
  return std::nullopt;
}

void Combine(Operation operation, char* to, std::string_view from) {
  auto each = [&](auto combine) {
    for (char byte : from) {
      *to = static_cast<char>(combine(*to, byte));
      ++to;
    }
  };
  switch (operation) {
    case Operation::kAnd:
      return each([](char a, char b) { return a & b; });
    case Operation::kOr:
      return each([](char a, char b) { return a | b; });
    case Operation::kXor:
      return each([](char a, char b) { return a ^ b; });
    case Operation::kNot:
      return each([](char, char b) { return ~b; });
  }
}

// A string that ends early goes on with zeros.
std::string CombineAll(Call& call, Operation operation, const std::vector<Key*>& keys,
                       uint64_t size) {
  std::string result(size, operation == Operation::kAnd ? '\xff' : '\0');
  for (Key* key : keys) {
    uint64_t at = 0;
    if (key) {
      String string = OpenString(call, key);
      string.Walk(0, string.size(), [&](std::string_view piece) {
        Combine(operation, result.data() + at, piece);
        at += piece.size();
      });
    }
    if (operation == Operation::kAnd) std::fill(result.data() + at, result.data() + size, '\0');
  }
  return result;
}

void Bitop(Call& call) {
  std::optional<Operation> operation = ReadOperation(call);
  if (!operation) return call.Error(errors::kSyntax);
  if (operation == Operation::kNot && call.args.size() != 4) {
    return call.Error("ERR BITOP NOT must be called with a single source key.");
  }
  std::vector<Key*> keys;
  uint64_t size = 0;
  for (std::string_view name : call.args.subspan(3)) {
    Key* key;
    if (!call.LookupType(name, Type::kString, &key)) return;
    call.CountLookup(name, key);
    keys.push_back(key);
    if (key) size = std::max(size, OpenString(call, key).size());
  }
  std::string result = CombineAll(call, *operation, keys, size);
  std::string_view name = call.args[2];
  Key* target = call.Peek(name);
  if (size > 0) {
    target = SetValue(call, target, name, {});
    OpenString(call, target).Assign(result, String::Origin::kEdited);
    call.Changed(name, "set");
  } else if (target) {
    call.Remove(target);
    call.Changed(name, "del");
  }
  call.reply.Integer(static_cast<int64_t>(size));
}

}  // namespace

void AddBitRows(Rows* rows) {
  AddBitfieldRows(rows);
  rows->push_back({"getbit",
                   "key offset:int",
                   "Returns a bit of a string.",
                   "2.2.0",
                   "O(1)",
                   Group::kBitmap,
                   3,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Getbit});
  rows->push_back({"setbit",
                   "key offset:int value:int",
                   "Sets or clears a bit of a string, which grows where needed.",
                   "2.2.0",
                   "O(1)",
                   Group::kBitmap,
                   4,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Setbit});
  rows->push_back({"bitcount",
                   "key [index(start:int end:int [index_unit(BYTE|BIT)@7.0.0])]",
                   "Counts the set bits of a string.",
                   "2.6.0",
                   "O(N)",
                   Group::kBitmap,
                   -2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Bitcount});
  rows->push_back({"bitpos",
                   "key bit:int [index(start:int [end_index(end:int "
                   "[index_unit(BYTE|BIT)@7.0.0])])]",
                   "Finds the first bit of a string that is set, or clear.",
                   "2.8.7",
                   "O(N)",
                   Group::kBitmap,
                   -3,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Bitpos});
  rows->push_back({"bitop",
                   "operation destkey:key key:key1...",
                   "Combines strings bit by bit and keeps the result.",
                   "2.6.0",
                   "O(N)",
                   Group::kBitmap,
                   -4,
                   kWrite | kDenyOom,
                   {KeySpec::At(2, KeySpec::kOW | KeySpec::kUpdate),
                    KeySpec::Range(3, -1, KeySpec::kRO | KeySpec::kAccess)},
                   Bitop});
}

}  // namespace sluice
