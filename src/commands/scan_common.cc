#include "src/commands/scan_common.h"

#include <charconv>

namespace sluice {

// As strtoul reads: an optional sign, then digits. Nothing at all is the beginning.
bool ReadCursor(Call& call, size_t i, uint64_t* cursor) {
  std::string_view text = call.args[i];
  *cursor = 0;
  bool negative = text.starts_with('-');
  std::string_view digits = negative || text.starts_with('+') ? text.substr(1) : text;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *cursor);
  if (!text.empty() && (error != std::errc() || end != digits.data() + digits.size())) {
    return call.Error("ERR invalid cursor"), false;
  }
  if (negative) *cursor = -*cursor;
  return true;
}

bool ReadScanOptions(Call& call, size_t first, ScanOptions* o) {
  bool scan = call.row.name == "scan";
  for (size_t i = first; i < call.args.size(); ++i) {
    if (call.Is(i, "NOVALUES")) {
      if (call.row.name != "hscan") {
        return call.Error("ERR NOVALUES option can only be used in HSCAN"), false;
      }
      o->no_values = true;
      continue;
    }
    if (i + 1 == call.args.size()) return call.Error(errors::kSyntax), false;
    if (call.Is(i, "COUNT")) {
      if (!call.ReadInteger(i + 1, &o->count)) return false;
      if (o->count < 1) return call.Error(errors::kSyntax), false;
    } else if (call.Is(i, "MATCH")) {
      o->pattern = call.args[i + 1];
    } else if (scan && call.Is(i, "TYPE")) {
      o->type = call.args[i + 1];
    } else {
      return call.Error(errors::kSyntax), false;
    }
    ++i;
  }
  return true;
}

}  // namespace sluice
