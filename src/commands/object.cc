// OBJECT: how Redis would keep a value. Sluice keeps it otherwise; clients and job libraries look
// at these answers all the same.
#include "src/commands/hash_common.h"
#include "src/commands/help.h"
#include "src/commands/keys_common.h"
#include "store/list.h"
#include "store/set.h"
#include "store/sorted_set.h"
#include "store/string.h"

namespace sluice {
namespace {

// Small integers are shared objects in Redis, which shows in their reference count.
constexpr int64_t kSharedIntegers = 10000;
constexpr size_t kEmbedded = 44;

std::optional<int64_t> AsInteger(String* string) {
  if (string->origin() != String::Origin::kGiven || string->size() > 20) return std::nullopt;
  return ParseInteger(string->value());
}

std::string_view StringEncoding(String* string) {
  if (string->origin() == String::Origin::kEdited) return "raw";
  if (AsInteger(string)) return "int";
  return string->size() <= kEmbedded ? "embstr" : "raw";
}

// Redis keeps a list in one listpack while that stays below a number of bytes (a negative limit
// names one of five) or of elements. An element takes its own bytes and two or more around them.
std::string_view ListEncoding(const List& list, int64_t limit) {
  constexpr uint64_t kHeader = 7;
  constexpr uint64_t kSafeBytes = 8192;
  uint64_t around = list.bytes() / list.size() < 64 ? 2 : 4;
  uint64_t bytes = kHeader + list.bytes() + list.size() * around;
  bool small;
  if (limit < 0) {
    small = bytes <= uint64_t{4096} << (std::min<int64_t>(-limit, 5) - 1);
  } else {
    small = list.size() <= static_cast<uint64_t>(limit) && bytes <= kSafeBytes;
  }
  return small ? "listpack" : "quicklist";
}

std::string_view EncodingName(Hash::Encoding encoding) {
  switch (encoding) {
    case Hash::Encoding::kListpack:
      return "listpack";
    case Hash::Encoding::kListpackWithTimes:
      return "listpackex";
    case Hash::Encoding::kHashtable:
      break;
  }
  return "hashtable";
}

std::string_view EncodingName(Set::Form form) {
  switch (form) {
    case Set::Form::kIntegers:
      return "intset";
    case Set::Form::kFew:
      return "listpack";
    case Set::Form::kTable:
      return "hashtable";
  }
  return "hashtable";
}

Key* Find(Call& call) {
  // Counted as any look, but a miss is not announced.
  Key* key = call.engine.Lookup(call.session, call.db(), call.args[2], false);
  Stats& stats = call.engine.stats();
  ++(key ? stats.keyspace_hits : stats.keyspace_misses);
  if (!key) call.reply.Null();
  return key;
}

void ObjectEncoding(Call& call) {
  if (Key* key = Find(call)) call.reply.Bulk(EncodingName(call, key));
}

void ObjectRefcount(Call& call) {
  Key* key = Find(call);
  if (!key) return;
  std::optional<int64_t> number;
  if (key->type == Type::kString) {
    String string(call.env(), &call.keys(), key);
    number = AsInteger(&string);
  }
  bool shared = number && *number >= 0 && *number < kSharedIntegers;
  call.reply.Integer(shared ? INT32_MAX : 1);
}

void ObjectIdletime(Call& call) {
  Key* key = Find(call);
  if (!key) return;
  // Not known of a key that nobody has read lately: it is idle from now on.
  if (key->accessed_ms == 0) key->accessed_ms = call.now_ms();
  call.reply.Integer((call.now_ms() - key->accessed_ms) / 1000);
}

void ObjectFreq(Call& call) {
  if (!Find(call)) return;
  call.Error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
      "when switching between policies at runtime LRU and LFU data will take some time to adjust.");
}

}  // namespace

std::string_view EncodingName(Call& call, Key* key) {
  if (key->type == Type::kString) {
    String string(call.env(), &call.keys(), key);
    return StringEncoding(&string);
  }
  if (key->type == Type::kList) {
    List list(call.env(), &call.keys(), key);
    return ListEncoding(list, call.engine.config().list_max_listpack_size);
  }
  if (key->type == Type::kHash) return EncodingName(OpenHash(call, key).encoding());
  if (key->type == Type::kSet) return EncodingName(Set(call.env(), &call.keys(), key).form());
  if (key->type == Type::kSortedSet) {
    return SortedSet(call.env(), &call.keys(), key).large() ? "skiplist" : "listpack";
  }
  return TypeName(key->type);
}

void AddObjectRows(Rows* rows) {
  rows->push_back({"object",
                   "",
                   "Commands that look at how a value is kept.",
                   "2.2.3",
                   "",
                   Group::kGeneric,
                   -2,
                   0,
                   {},
                   nullptr});
  rows->push_back({"object|encoding",
                   "key",
                   "Tells the form in which Redis would keep the value.",
                   "2.2.3",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO)},
                   ObjectEncoding,
                   {"nondeterministic_output"}});
  rows->push_back({"object|freq",
                   "key",
                   "Tells how often a key is used; never known here.",
                   "4.0.0",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO)},
                   ObjectFreq,
                   {"nondeterministic_output"}});
  rows->push_back({"object|help",
                   "",
                   "Lists the subcommands.",
                   "6.2.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back({"object|idletime",
                   "key",
                   "Tells for how many seconds nobody has used a key.",
                   "2.2.3",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO)},
                   ObjectIdletime,
                   {"nondeterministic_output"}});
  rows->push_back({"object|refcount",
                   "key",
                   "Tells how many references Redis would hold to the value.",
                   "2.2.3",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO)},
                   ObjectRefcount,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
