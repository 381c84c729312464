#include "src/engine/function_dump.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace sluice {
namespace {

constexpr uint8_t kFunctionOpcode = 245;
constexpr uint8_t kOldFunctionOpcode = 246;
// What we write, so that Redis 7.0 can read it, and the highest that we read.
constexpr uint16_t kWrittenVersion = 10, kReadVersion = 12;
constexpr size_t kFooter = 10;  // version, checksum
// No text is longer, whatever a payload claims: the longest argument there is.
constexpr uint64_t kLongestText = uint64_t{512} << 20;

constexpr std::array<uint64_t, 256> MakeCrcTable() {
  std::array<uint64_t, 256> table{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t crc = i;
    // The polynomial ad93d23594c935a9, its bits in reverse order.
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x95ac9329ac4bc9b5 : crc >> 1;
    table[i] = crc;
  }
  return table;
}

void PutLength(std::string* out, uint64_t n) {
  if (n < 64) {
    *out += static_cast<char>(n);
  } else if (n < 16384) {
    *out += static_cast<char>(0x40 | n >> 8);
    *out += static_cast<char>(n);
  } else {
    *out += static_cast<char>(n <= UINT32_MAX ? 0x80 : 0x81);
    for (int shift = n <= UINT32_MAX ? 24 : 56; shift >= 0; shift -= 8) {
      *out += static_cast<char>(n >> shift);
    }
  }
}

// Reads front to back; false when there is nothing that makes sense.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  bool empty() const { return left_.empty(); }

  bool Byte(uint8_t* byte) {
    if (left_.empty()) return false;
    *byte = static_cast<uint8_t>(left_[0]);
    left_.remove_prefix(1);
    return true;
  }

  bool Text(std::string* text) {
    uint64_t n;
    bool special;
    if (!Length(&n, &special)) return false;
    if (special) return n == 3 ? Compressed(text) : SmallInteger(n, text);
    if (n > left_.size()) return false;
    text->assign(left_.substr(0, n));
    left_.remove_prefix(n);
    return true;
  }

 private:
  // `special`: no length, but the number of an encoding.
  bool Length(uint64_t* n, bool* special) {
    uint8_t first, next;
    if (!Byte(&first)) return false;
    *special = first >= 0xc0;
    if (first < 0x40 || *special) return *n = first & 0x3f, true;
    if (first < 0x80) {
      if (!Byte(&next)) return false;
      return *n = uint64_t{first & 0x3fu} << 8 | next, true;
    }
    if (first > 0x81) return false;
    *n = 0;
    for (int i = first == 0x80 ? 4 : 8; i > 0; --i) {
      if (!Byte(&next)) return false;
      *n = *n << 8 | next;
    }
    return true;
  }

  // A text of digits, kept as the number it is.
  bool SmallInteger(uint64_t encoding, std::string* text) {
    if (encoding > 2) return false;
    uint32_t value = 0;
    int bytes = 1 << encoding;
    for (int i = 0; i < bytes; ++i) {
      uint8_t byte;
      if (!Byte(&byte)) return false;
      value |= uint32_t{byte} << (8 * i);
    }
    int32_t number = bytes == 1   ? static_cast<int8_t>(value)
                     : bytes == 2 ? static_cast<int16_t>(value)
                                  : static_cast<int32_t>(value);
    *text = std::to_string(number);
    return true;
  }

  bool Compressed(std::string* text) {
    uint64_t compressed, size;
    bool special;
    if (!Length(&compressed, &special) || special || !Length(&size, &special) || special) {
      return false;
    }
    if (compressed > left_.size() || size > kLongestText) return false;
    std::optional<std::string> plain = DecompressLzf(left_.substr(0, compressed), size);
    if (!plain) return false;
    *text = std::move(*plain);
    left_.remove_prefix(compressed);
    return true;
  }

  std::string_view left_;
};

}  // namespace

uint64_t Crc64(std::string_view bytes) {
  static constexpr std::array<uint64_t, 256> kTable = MakeCrcTable();
  uint64_t crc = 0;
  for (char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ crc >> 8;
  return crc;
}

// LZF: a control byte below 32 announces so many and one literal bytes; from 32 on, its upper three
// bits (with one more byte when all are set) are a length, and the rest a distance backwards.
std::optional<std::string> DecompressLzf(std::string_view in, size_t size) {
  std::string out;
  size_t at = 0;
  auto next = [&] { return static_cast<uint8_t>(in[at++]); };
  while (at < in.size()) {
    unsigned control = next();
    if (control < 32) {
      size_t n = control + 1;
      if (n > in.size() - at || n > size - out.size()) return std::nullopt;
      out.append(in.substr(at, n));
      at += n;
      continue;
    }
    size_t length = control >> 5;
    if (length == 7) {
      if (at == in.size()) return std::nullopt;
      length += next();
    }
    if (at == in.size()) return std::nullopt;
    size_t back = ((control & 0x1f) << 8 | next()) + 1;
    length += 2;
    if (back > out.size() || length > size - out.size()) return std::nullopt;
    // Byte by byte: what is copied may overlap what is made of it.
    for (size_t from = out.size() - back; length > 0; --length) out += out[from++];
  }
  if (out.size() != size) return std::nullopt;
  return out;
}

std::string DumpLibraries(const std::vector<std::string_view>& codes) {
  std::string out;
  for (std::string_view code : codes) {
    out += static_cast<char>(kFunctionOpcode);
    PutLength(&out, code.size());
    out += code;
  }
  out += static_cast<char>(kWrittenVersion & 0xff);
  out += static_cast<char>(kWrittenVersion >> 8);
  uint64_t crc = Crc64(out);
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(crc >> shift);
  return out;
}

std::string ReadDump(std::string_view payload, std::vector<std::string>* codes) {
  constexpr const char* kWrongPayload = "ERR DUMP payload version or checksum are wrong";
  if (payload.size() < kFooter) return kWrongPayload;
  std::string_view checked = payload.substr(0, payload.size() - 8);
  auto byte = [&](size_t from_end) {
    return static_cast<uint8_t>(payload[payload.size() - from_end]);
  };
  uint64_t crc = 0;
  for (size_t i = 1; i <= 8; ++i) crc = crc << 8 | byte(i);
  unsigned version = byte(9) << 8 | byte(10);
  // A checksum of 0: it was not computed.
  if (version > kReadVersion || (crc != 0 && crc != Crc64(checked))) return kWrongPayload;
  Reader reader(payload.substr(0, payload.size() - kFooter));
  while (!reader.empty()) {
    uint8_t opcode;
    (void)reader.Byte(&opcode);
    if (opcode == kOldFunctionOpcode) return "ERR Pre-GA function format not supported";
    if (opcode != kFunctionOpcode) return "ERR given type is not a function";
    std::string code;
    if (!reader.Text(&code)) return "ERR Failed loading library data";
    codes->push_back(std::move(code));
  }
  return {};
}

}  // namespace sluice
