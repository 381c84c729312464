// Strings in part, and as numbers.
#include <cmath>

#include "src/commands/string_common.h"

namespace sluice {
namespace {

// Whether a string may get so long; replies the error otherwise.
bool CheckLength(Call& call, uint64_t offset, size_t more) {
  uint64_t length;
  if (!__builtin_add_overflow(offset, more, &length) &&
      length <= static_cast<uint64_t>(call.engine.config().proto_max_bulk_len)) {
    return true;
  }
  call.Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return false;
}

void Strlen(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  call.reply.Integer(key ? static_cast<int64_t>(OpenString(call, key).size()) : 0);
}

void Append(Call& call) {
  std::string_view name = call.args[1], more = call.args[2];
  Key* key;
  if (!FindToChange(call, name, &key)) return;
  if (!key) {
    SetValue(call, nullptr, name, more);
    call.Changed(name, "append");
    return call.reply.Integer(static_cast<int64_t>(more.size()));
  }
  String string = OpenString(call, key);
  if (!CheckLength(call, string.size(), more.size())) return;
  string.Append(more);
  call.Changed(name, "append");
  call.reply.Integer(static_cast<int64_t>(string.size()));
}

void Setrange(Call& call) {
  std::string_view name = call.args[1], bytes = call.args[3];
  int64_t offset;
  if (!call.ReadInteger(2, &offset)) return;
  if (offset < 0) return call.Error("ERR offset is out of range");
  Key* key;
  if (!FindToChange(call, name, &key)) return;
  if (bytes.empty()) {
    return call.reply.Integer(key ? static_cast<int64_t>(OpenString(call, key).size()) : 0);
  }
  if (!CheckLength(call, static_cast<uint64_t>(offset), bytes.size())) return;
  if (!key) key = SetValue(call, nullptr, name, {});
  String string = OpenString(call, key);
  string.Write(static_cast<uint64_t>(offset), bytes);
  call.Changed(name, "setrange");
  call.reply.Integer(static_cast<int64_t>(string.size()));
}

void Getrange(Call& call) {
  int64_t start, end;
  if (!call.ReadInteger(2, &start) || !call.ReadInteger(3, &end)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kString, &key)) return;
  if (!key) return call.reply.Bulk({});
  String string = OpenString(call, key);
  int64_t size = static_cast<int64_t>(string.size());
  // A backward range from the end is empty even where cutting it to the string would not leave it
  // so.
  if (start < 0 && end < 0 && start > end) return call.reply.Bulk({});
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end) return call.reply.Bulk({});
  ReplyStretch(call, &string, static_cast<uint64_t>(start), static_cast<uint64_t>(end - start + 1));
}

// ---- numbers

void Add(Call& call, int64_t delta) {
  std::string_view name = call.args[1];
  Key* key;
  if (!FindToChange(call, name, &key)) return;
  int64_t number = 0;
  if (key) {
    String string = OpenString(call, key);
    std::optional<int64_t> old;
    if (string.size() <= 20) old = ParseInteger(string.value());
    if (!old) return call.Error(errors::kNotInteger);
    number = *old;
  }
  if (__builtin_add_overflow(number, delta, &number)) {
    return call.Error("ERR increment or decrement would overflow");
  }
  SetValue(call, key, name, std::to_string(number), true);
  call.Changed(name, "incrby");
  call.reply.Integer(number);
}

void Incr(Call& call) { Add(call, 1); }
void Decr(Call& call) { Add(call, -1); }

void Incrby(Call& call) {
  int64_t delta;
  if (call.ReadInteger(2, &delta)) Add(call, delta);
}

void Decrby(Call& call) {
  int64_t delta;
  if (!call.ReadInteger(2, &delta)) return;
  if (delta == INT64_MIN) return call.Error("ERR decrement would overflow");
  Add(call, -delta);
}

void Incrbyfloat(Call& call) {
  std::string_view name = call.args[1];
  Key* key;
  if (!FindToChange(call, name, &key)) return;
  std::optional<long double> old = 0;
  if (key) old = ParseLongDouble(OpenString(call, key).value());
  std::optional<long double> delta = old ? ParseLongDouble(call.args[2]) : std::nullopt;
  if (!delta) return call.Error(errors::kNotFloat);
  long double sum = *old + *delta;
  if (std::isnan(sum) || std::isinf(sum)) {
    return call.Error("ERR increment would produce NaN or Infinity");
  }
  if (!key) key = SetValue(call, nullptr, name, {});
  std::string text = SpellLongDouble(sum);
  OpenString(call, key).Assign(text, String::Origin::kComputed);
  call.Changed(name, "incrbyfloat");
  call.reply.Bulk(text);
}

}  // namespace

void AddStringEditRows(Rows* rows) {
  rows->push_back({"append",
                   "key value",
                   "Adds bytes to the end of a string; a missing one begins empty.",
                   "2.0.0",
                   "O(1)",
                   Group::kString,
                   3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Append});
  rows->push_back({"strlen",
                   "key",
                   "Returns how long a string is.",
                   "2.2.0",
                   "O(1)",
                   Group::kString,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Strlen});
  rows->push_back({"getrange",
                   "key start:int end:int",
                   "Returns part of a string, by its first and last byte.",
                   "2.4.0",
                   "O(N)",
                   Group::kString,
                   4,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Getrange});
  rows->push_back({"substr",
                   "key start:int end:int",
                   "Returns part of a string; the old name of GETRANGE.",
                   "1.0.0",
                   "O(N)",
                   Group::kString,
                   4,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Getrange,
                   {},
                   "2.0.0",
                   "`GETRANGE`"});
  rows->push_back({"setrange",
                   "key offset:int value",
                   "Overwrites part of a string, which grows where needed.",
                   "2.2.0",
                   "O(1)",
                   Group::kString,
                   4,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Setrange});
  rows->push_back({"incr",
                   "key",
                   "Adds one to an integer; a missing one counts as zero.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   2,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Incr});
  rows->push_back({"decr",
                   "key",
                   "Subtracts one from an integer; a missing one counts as zero.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   2,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Decr});
  rows->push_back({"incrby",
                   "key increment:int",
                   "Adds to an integer; a missing one counts as zero.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Incrby});
  rows->push_back({"decrby",
                   "key decrement:int",
                   "Subtracts from an integer; a missing one counts as zero.",
                   "1.0.0",
                   "O(1)",
                   Group::kString,
                   3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Decrby});
  rows->push_back({"incrbyfloat",
                   "key increment:double",
                   "Adds to a number with a fraction; a missing one counts as zero.",
                   "2.6.0",
                   "O(1)",
                   Group::kString,
                   3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kUpdate)},
                   Incrbyfloat});
}

}  // namespace sluice
