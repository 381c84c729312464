#include "src/engine/categories.h"

#include <strings.h>

namespace sluice {
namespace {

enum Category {
  kCategoryKeyspace,
  kCategoryRead,
  kCategoryWrite,
  kCategorySet,
  kCategorySortedSet,
  kCategoryList,
  kCategoryHash,
  kCategoryString,
  kCategoryBitmap,
  kCategoryHyperLogLog,
  kCategoryGeo,
  kCategoryStream,
  kCategoryPubsub,
  kCategoryAdmin,
  kCategoryFast,
  kCategorySlow,
  kCategoryBlocking,
  kCategoryDangerous,
  kCategoryConnection,
  kCategoryTransaction,
  kCategoryScripting,
};

constexpr Categories Bit(Category category) { return 1u << category; }

Categories OfGroup(Group group) {
  switch (group) {
    case Group::kGeneric:
      return Bit(kCategoryKeyspace);
    case Group::kString:
      return Bit(kCategoryString);
    case Group::kList:
      return Bit(kCategoryList);
    case Group::kSet:
      return Bit(kCategorySet);
    case Group::kSortedSet:
      return Bit(kCategorySortedSet);
    case Group::kHash:
      return Bit(kCategoryHash);
    case Group::kPubsub:
      return Bit(kCategoryPubsub);
    case Group::kTransactions:
      return Bit(kCategoryTransaction);
    case Group::kConnection:
      return Bit(kCategoryConnection);
    case Group::kScripting:
      return Bit(kCategoryScripting);
    case Group::kBitmap:
      return Bit(kCategoryBitmap);
    case Group::kStream:
      return Bit(kCategoryStream);
    case Group::kHyperLogLog:
      return Bit(kCategoryHyperLogLog);
    case Group::kGeo:
      return Bit(kCategoryGeo);
    case Group::kServer:
    case Group::kCluster:
      return 0;
  }
  return 0;
}

}  // namespace

const std::vector<std::string_view>& CategoryNames() {
  static const std::vector<std::string_view> names = {
      "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
      "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
      "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};
  return names;
}

Categories CategoryNamed(std::string_view name) {
  const auto& names = CategoryNames();
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].size() == name.size() && !strncasecmp(names[i].data(), name.data(), name.size())) {
      return 1u << i;
    }
  }
  return 0;
}

Categories CategoriesOf(const Row& row) {
  Categories c = 0;
  // A container is in its group's category only by its subcommands.
  bool of_group = row.subcommands.empty() && !(row.flags & (kCatNotGroup | kCatCollections));
  if (of_group) c |= OfGroup(row.group);
  if (row.flags & kWrite) c |= Bit(kCategoryWrite);
  if ((row.flags & kReadonly) && row.group != Group::kScripting) c |= Bit(kCategoryRead);
  if (row.flags & kAdmin) c |= Bit(kCategoryAdmin) | Bit(kCategoryDangerous);
  if (row.flags & kPubsub) c |= Bit(kCategoryPubsub);
  if (row.flags & kBlocking) c |= Bit(kCategoryBlocking);
  c |= Bit((row.flags & kFast) ? kCategoryFast : kCategorySlow);
  if (row.flags & kCatDangerous) c |= Bit(kCategoryDangerous);
  if (row.flags & kCatConnection) c |= Bit(kCategoryConnection);
  if (row.flags & kCatKeyspace) c |= Bit(kCategoryKeyspace);
  if (row.flags & kCatAdmin) c |= Bit(kCategoryAdmin);
  if (row.flags & kCatCollections) {
    c |= Bit(kCategoryList) | Bit(kCategorySet) | Bit(kCategorySortedSet);
  }
  return c;
}

std::vector<std::string_view> FlagNames(const Row& row) {
  static constexpr std::pair<uint32_t, std::string_view> kNames[] = {
      {kWrite, "write"},
      {kReadonly, "readonly"},
      {kDenyOom, "denyoom"},
      {kAdmin, "admin"},
      {kPubsub, "pubsub"},
      {kNoscript, "noscript"},
      {kBlocking, "blocking"},
      {kLoading, "loading"},
      {kStale, "stale"},
      {kSkipMonitor, "skip_monitor"},
      {kSkipSlowlog, "skip_slowlog"},
      {kAsking, "asking"},
      {kFast, "fast"},
      {kNoAuth, "no_auth"},
      {kNoMandatoryKeys, "no_mandatory_keys"},
      {kNoAsyncLoading, "no_async_loading"},
      {kNoMulti, "no_multi"},
      {kMovableKeys, "movablekeys"},
      {kAllowBusy, "allow_busy"},
  };
  std::vector<std::string_view> out;
  for (auto& [flag, name] : kNames) {
    if (row.flags & flag) out.push_back(name);
  }
  return out;
}

std::vector<std::string_view> FlagNames(const KeySpec& spec) {
  static constexpr std::pair<uint16_t, std::string_view> kNames[] = {
      {KeySpec::kRO, "RO"},
      {KeySpec::kRW, "RW"},
      {KeySpec::kOW, "OW"},
      {KeySpec::kRM, "RM"},
      {KeySpec::kAccess, "access"},
      {KeySpec::kUpdate, "update"},
      {KeySpec::kInsert, "insert"},
      {KeySpec::kDelete, "delete"},
      {KeySpec::kNotKey, "not_key"},
      {KeySpec::kIncomplete, "incomplete"},
      {KeySpec::kVariableFlags, "variable_flags"},
  };
  std::vector<std::string_view> out;
  for (auto& [flag, name] : kNames) {
    if (spec.flags & flag) out.push_back(name);
  }
  return out;
}

std::string_view GroupName(Group group) {
  switch (group) {
    case Group::kGeneric:
      return "generic";
    case Group::kString:
      return "string";
    case Group::kList:
      return "list";
    case Group::kSet:
      return "set";
    case Group::kSortedSet:
      return "sorted-set";
    case Group::kHash:
      return "hash";
    case Group::kPubsub:
      return "pubsub";
    case Group::kTransactions:
      return "transactions";
    case Group::kConnection:
      return "connection";
    case Group::kServer:
      return "server";
    case Group::kScripting:
      return "scripting";
    case Group::kBitmap:
      return "bitmap";
    case Group::kStream:
      return "stream";
    case Group::kHyperLogLog:
      return "hyperloglog";
    case Group::kGeo:
      return "geo";
    case Group::kCluster:
      return "cluster";
  }
  return "";
}

}  // namespace sluice
