// Hashes: the commands that walk over fields, or choose some.
#include <algorithm>
#include <unordered_set>
#include <vector>

#include "src/commands/hash_common.h"
#include "src/commands/scan_common.h"

namespace sluice {
namespace {

// More repetitions than this are refused.
constexpr int64_t kMostRepeated = int64_t{1} << 24;

void Hgetall(Call& call) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  if (!key) return call.reply.MapHeader(0);
  Hash hash = OpenHash(call, key);
  call.reply.MapHeader(hash.size());
  hash.Walk([&](const Hash::Field& field) {
    call.reply.Bulk(field.name);
    call.reply.Bulk(field.value);
    return true;
  });
}

void ReplyOneOfEach(Call& call, std::string_view Hash::Field::*item) {
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  if (!key) return call.reply.ArrayHeader(0);
  Hash hash = OpenHash(call, key);
  call.reply.ArrayHeader(hash.size());
  hash.Walk([&](const Hash::Field& field) {
    call.reply.Bulk(field.*item);
    return true;
  });
}

void Hkeys(Call& call) { ReplyOneOfEach(call, &Hash::Field::name); }
void Hvals(Call& call) { ReplyOneOfEach(call, &Hash::Field::value); }

void Hscan(Call& call) {
  uint64_t cursor;
  if (!ReadCursor(call, 2, &cursor)) return;
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  ScanOptions options;
  // As in Redis, where there is nothing the options do not matter.
  if (key && !ReadScanOptions(call, 3, &options)) return;

  std::vector<Hash::Field> found;  // views of rows: nothing is written before the reply
  auto visit = [&](const Hash::Field& field) {
    if (options.Matches(field.name)) found.push_back(field);
    return true;
  };
  if (key) {
    cursor = OpenHash(call, key).Scan(cursor, static_cast<uint64_t>(options.count), visit);
  } else {
    cursor = 0;
  }
  call.reply.ArrayHeader(2);
  call.reply.Bulk(std::to_string(cursor));
  call.reply.ArrayHeader(found.size() * (options.no_values ? 1 : 2));
  for (const Hash::Field& field : found) {
    call.reply.Bulk(field.name);
    if (!options.no_values) call.reply.Bulk(field.value);
  }
}

// ---- HRANDFIELD

class RandomFields {
 public:
  RandomFields(Call* call, Hash* hash, bool with_values)
      : call_(call), hash_(hash), with_values_(with_values) {}

  // `count` fields, the same ones again and again.
  void Repeating(uint64_t count) {
    Header(count);
    if (hash_->size() > kWalked) {
      for (uint64_t i = 0; i < count; ++i) Pick([&](const Hash::Field& field) { Write(field); });
      return;
    }
    std::vector<Hash::Field> all;  // views: nothing is written meanwhile
    hash_->Walk([&](const Hash::Field& field) { return all.push_back(field), true; });
    for (uint64_t i = 0; i < count; ++i) Write(all[call_->engine.Random() % all.size()]);
  }

  // `count` different fields.
  void Different(uint64_t count) {
    uint64_t size = hash_->size();
    count = std::min(count, size);
    Header(count);
    // A few of many are drawn until they are different; otherwise each field of a walk is taken
    // with the probability that makes all choices equally likely.
    if (count * 8 < size && size > kWalked) return Draw(count);
    hash_->Walk([&](const Hash::Field& field) {
      if (call_->engine.Random() % size-- >= count) return true;
      Write(field);
      return --count > 0;
    });
  }

 private:
  static constexpr uint64_t kWalked = 256;

  template <typename Take>
  void Pick(Take take) {
    hash_->Random([&] { return call_->engine.Random(); },
                  [&](const Hash::Field& field) { return take(field), false; });
  }

  void Draw(uint64_t count) {
    std::unordered_set<std::string> seen;
    while (seen.size() < count) {
      Pick([&](const Hash::Field& field) {
        if (seen.emplace(field.name).second) Write(field);
      });
    }
  }

  void Header(uint64_t fields) {
    bool flat = with_values_ && call_->reply.protocol() < 3;
    call_->reply.ArrayHeader(flat ? fields * 2 : fields);
  }
  void Write(const Hash::Field& field) {
    if (with_values_ && call_->reply.protocol() >= 3) call_->reply.ArrayHeader(2);
    call_->reply.Bulk(field.name);
    if (with_values_) call_->reply.Bulk(field.value);
  }

  Call* call_;
  Hash* hash_;
  bool with_values_;
};

void Hrandfield(Call& call) {
  bool counted = call.args.size() > 2, with_values = call.args.size() > 3;
  int64_t count = 1;
  if (counted && !call.ReadInteger(2, &count)) return;
  if (count == INT64_MIN) {
    return call.Error(
        "ERR value is out of range, value must between -9223372036854775807 and "
        "9223372036854775807");
  }
  if (call.args.size() > 4 || (with_values && !call.Is(3, "WITHVALUES"))) {
    return call.Error(errors::kSyntax);
  }
  if (with_values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
    return call.Error("ERR value is out of range");
  }
  // Redis would begin to write, and never end.
  if (count < -kMostRepeated) return call.Error("ERR value is out of range");
  Key* key;
  if (!FindHash(call, call.args[1], &key)) return;
  if (!key) return counted ? call.reply.ArrayHeader(0) : call.reply.Null();
  Hash hash = OpenHash(call, key);
  if (!counted) {
    return hash.Random(
        [&] { return call.engine.Random(); },
        [&](const Hash::Field& field) { return call.reply.Bulk(field.name), false; });
  }
  RandomFields fields(&call, &hash, with_values);
  count < 0 ? fields.Repeating(static_cast<uint64_t>(-count))
            : fields.Different(static_cast<uint64_t>(count));
}

}  // namespace

void AddHashScanRows(Rows* rows) {
  rows->push_back({"hgetall",
                   "key",
                   "Reads all fields of a hash with their values.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hgetall,
                   {"nondeterministic_output_order"}});
  rows->push_back({"hkeys",
                   "key",
                   "Lists the fields of a hash.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hkeys,
                   {"nondeterministic_output_order"}});
  rows->push_back({"hvals",
                   "key",
                   "Lists the values in a hash.",
                   "2.0.0",
                   "O(N)",
                   Group::kHash,
                   2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hvals,
                   {"nondeterministic_output_order"}});
  rows->push_back({"hrandfield",
                   "key [options(count:int [WITHVALUES])]",
                   "Reads fields of a hash chosen at random.",
                   "6.2.0",
                   "O(N)",
                   Group::kHash,
                   -2,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hrandfield,
                   {"nondeterministic_output"}});
  rows->push_back({"hscan",
                   "key cursor:int [MATCH=pattern:pattern] [COUNT=count:int] [NOVALUES@7.4.0]",
                   "Lists fields and values of a hash piece by piece, from a cursor on.",
                   "2.8.0",
                   "O(1)",
                   Group::kHash,
                   -3,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Hscan,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
