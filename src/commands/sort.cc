// SORT: the elements of a list, set or sorted set in another order, or other
// keys' values in theirs.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "src/commands/families.h"
#include "src/commands/hash_common.h"
#include "src/commands/list_common.h"
#include "src/commands/set_common.h"
#include "src/commands/string_common.h"
#include "store/sorted_set.h"

namespace sluice {
namespace {

struct Options {
  bool descending = false;
  bool by_letters = false;
  // BY a pattern without a star: the elements stay in the order in which they
  // are kept.
  bool sorts = true;
  int64_t start = 0, count = -1;
  std::optional<std::string_view> by;
  std::vector<std::string_view> get;
  std::optional<std::string_view> store;
};

// BY and GET look at keys that nobody can tell beforehand.
bool MayReadAll(Call& call, std::string_view word) {
  if (call.session.user->AllowsAllKeys(call.row, call.args, KeySpec::kRO | KeySpec::kAccess)) {
    return true;
  }
  call.Error("ERR " + std::string(word) +
             " option of SORT denied due to insufficient ACL permissions.");
  return false;
}

bool ReadOptions(Call& call, Options* o) {
  bool read_only = !(call.row.flags & kWrite);
  for (size_t i = 2; i < call.args.size(); ++i) {
    size_t behind = call.args.size() - 1 - i;
    if (call.Is(i, "ASC")) {
      o->descending = false;
    } else if (call.Is(i, "DESC")) {
      o->descending = true;
    } else if (call.Is(i, "ALPHA")) {
      o->by_letters = true;
    } else if (call.Is(i, "LIMIT") && behind >= 2) {
      if (!call.ReadInteger(i + 1, &o->start) || !call.ReadInteger(i + 2, &o->count)) return false;
      i += 2;
    } else if (!read_only && call.Is(i, "STORE") && behind >= 1) {
      o->store = call.args[++i];
    } else if (call.Is(i, "BY") && behind >= 1) {
      o->by = call.args[++i];
      bool has_star = o->by->find('*') != std::string_view::npos;
      o->sorts &= has_star;
      if (has_star && !MayReadAll(call, "BY")) return false;
    } else if (call.Is(i, "GET") && behind >= 1) {
      if (!MayReadAll(call, "GET")) return false;
      o->get.push_back(call.args[++i]);
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

// What a pattern stands for with an element in the place of its star: the
// element ("#"), a string
// ("weight_*"), or a field of a hash ("job_*->priority"). nullopt when there is
// no such thing.
std::optional<std::string> Resolve(Call& call, std::string_view pattern, std::string_view element) {
  if (pattern == "#") return std::string(element);
  size_t star = pattern.find('*');
  if (star == std::string_view::npos) return std::nullopt;
  std::string_view behind = pattern.substr(star + 1), field;
  size_t arrow = behind.find("->");
  if (arrow != std::string_view::npos && arrow + 2 < behind.size()) {
    field = behind.substr(arrow + 2);
    behind = behind.substr(0, arrow);
  }
  std::string name(pattern.substr(0, star));
  name.append(element).append(behind);

  Key* key = call.Lookup(name);
  if (call.row.flags & kWrite) call.CountLookup(name, key);
  if (!key || key->type != (field.empty() ? Type::kString : Type::kHash)) return std::nullopt;
  if (field.empty()) return std::string(OpenString(call, key).value());
  std::optional<Hash::Field> found = OpenHash(call, key).Find(field);
  return found ? std::optional<std::string>(found->value) : std::nullopt;
}

uint64_t SizeOf(Call& call, Key* key) {
  if (key->type == Type::kList) return OpenList(call, key).size();
  if (key->type == Type::kSet) return OpenSet(call, key).size();
  return SortedSet(call.env(), &call.keys(), key).size();
}

// The elements from..to in the order in which they are kept, or in the opposite
// one: a set has no order that could be turned round.
std::vector<std::string> Elements(Call& call, Key* key, uint64_t from, uint64_t to,
                                  bool backwards) {
  std::vector<std::string> elements;
  uint64_t wanted = to - from + 1;
  auto take = [&](std::string_view element) {
    elements.emplace_back(element);
    return elements.size() < wanted;
  };
  if (key->type == Type::kList) {
    List list = OpenList(call, key);
    list.Walk(backwards ? list.size() - 1 - from : from, !backwards,
              [&](uint64_t, std::string_view element) { return take(element); });
  } else if (key->type == Type::kSet) {
    uint64_t seen = 0;
    OpenSet(call, key).Walk(
        [&](std::string_view element) { return seen++ < from || take(element); });
  } else {
    SortedSet set(call.env(), &call.keys(), key);
    Ranked at(set);
    at.Nth(backwards ? set.size() - 1 - from : from);
    for (bool more = at.valid(); more && take(at.member());) more = at.Step(!backwards);
  }
  return elements;
}

// An element and what it is sorted by.
struct Item {
  std::string element;
  double number = 0;
  std::optional<std::string> text = {};
};

// As strtod reads: blanks before it do no harm, anything behind it does.
bool ReadNumber(const std::string& text, double* number) {
  char* end = nullptr;
  errno = 0;
  *number = std::strtod(text.c_str(), &end);
  return *end == '\0' && errno != ERANGE && !std::isnan(*number);
}

// False when what should be a number is none.
bool Weigh(Call& call, const Options& o, std::vector<Item>* items) {
  bool all_numbers = true;
  for (Item& item : *items) {
    std::optional<std::string> weight = item.element;
    if (o.by) weight = Resolve(call, *o.by, item.element);
    if (o.by_letters) {
      item.text = std::move(weight);
    } else if (weight) {
      all_numbers &= ReadNumber(*weight, &item.number);
    }
  }
  return all_numbers;
}

int Compare(const Options& o, const Item& a, const Item& b) {
  if (!o.by_letters) {
    if (a.number != b.number) return a.number < b.number ? -1 : 1;
    return a.element.compare(b.element);
  }
  // What has no weight comes first.
  if (!a.text || !b.text) return a.text.has_value() - b.text.has_value();
  return a.text->compare(*b.text);
}

void Order(const Options& o, std::vector<Item>* items) {
  std::stable_sort(items->begin(), items->end(), [&](const Item& a, const Item& b) {
    return o.descending ? Compare(o, b, a) < 0 : Compare(o, a, b) < 0;
  });
}

// LIMIT, made to lie inside what there is: how much is left behind `*start`.
uint64_t Stretch(const Options& o, uint64_t size, uint64_t* start) {
  *start = std::min(static_cast<uint64_t>(std::max<int64_t>(o.start, 0)), size);
  uint64_t rest = size - *start;
  return o.count < 0 ? rest : std::min(rest, static_cast<uint64_t>(o.count));
}

// The elements that are the result, in its order. False after replying an
// error.
bool SortedElements(Call& call, Key* key, Options o, std::vector<std::string>* result) {
  if (!key) return true;
  // What is stored, or what a script sees, must not depend on a set's own order.
  if (!o.sorts && key->type == Type::kSet && (o.store || call.session.is_script)) {
    o.sorts = o.by_letters = true;
    o.by.reset();
  }
  uint64_t size = SizeOf(call, key), start;
  uint64_t count = Stretch(o, size, &start);
  if (!o.sorts) {
    if (count > 0) *result = Elements(call, key, start, start + count - 1, o.descending);
    return true;
  }
  std::vector<Item> items;
  items.reserve(size);
  for (std::string& element : Elements(call, key, 0, size - 1, false)) {
    items.push_back({std::move(element)});
  }
  if (!Weigh(call, o, &items)) {
    return call.Error("ERR One or more scores can't be converted into double"), false;
  }
  Order(o, &items);
  for (uint64_t i = start; i < start + count; ++i) result->push_back(std::move(items[i].element));
  return true;
}

// A missing value is nothing in a reply, and empty in a list that is stored.
void Reply(Call& call, const Options& o, const std::vector<std::string>& elements) {
  call.reply.ArrayHeader(elements.size() * std::max<size_t>(o.get.size(), 1));
  for (const std::string& element : elements) {
    if (o.get.empty()) call.reply.Bulk(element);
    for (std::string_view pattern : o.get) {
      std::optional<std::string> value = Resolve(call, pattern, element);
      value ? call.reply.Bulk(*value) : call.reply.Null();
    }
  }
}

void Store(Call& call, const Options& o, const std::vector<std::string>& elements) {
  std::vector<std::string> values;
  for (const std::string& element : elements) {
    if (o.get.empty()) values.push_back(element);
    for (std::string_view pattern : o.get) {
      values.push_back(Resolve(call, pattern, element).value_or(std::string()));
    }
  }
  std::string_view name = *o.store;
  Key* before = call.Peek(name);
  // What is replaced takes its settings with it; those of a list that is empty hold.
  if (!before && !CheckRoom(call, name, nullptr, values.size())) return;
  if (before) call.Remove(before);
  call.reply.Integer(static_cast<int64_t>(values.size()));
  if (values.empty()) {
    if (before) call.Changed(name, "del");
    return;
  }
  Key& key =
      before ? call.keys().Create(call.db(), name, Type::kList) : call.Create(name, Type::kList);
  key.accessed_ms = call.now_ms();
  List list = OpenList(call, &key);
  for (const std::string& value : values) list.Push(End::kRight, value);
  call.Changed(name, "sortstore");
  call.Ready(name);
}

void Sort(Call& call) {
  Options options;
  if (!ReadOptions(call, &options)) return;
  Key* key = call.Lookup(call.args[1]);
  if (call.row.flags & kWrite) call.CountLookup(call.args[1], key);
  bool sortable =
      !key || key->type == Type::kList || key->type == Type::kSet || key->type == Type::kSortedSet;
  if (!sortable) return call.Error(errors::kWrongType);
  // Redis makes a small sorted set a large one to sort it, whatever comes of that.
  if (key && key->type == Type::kSortedSet && (call.row.flags & kWrite)) {
    SortedSet(call.env(), &call.keys(), key).MarkLarge();
  }
  std::vector<std::string> elements;
  if (!SortedElements(call, key, options, &elements)) return;
  options.store ? Store(call, options, elements) : Reply(call, options, elements);
}

}  // namespace

void AddSortRows(Rows* rows) {
  rows->push_back({"sort",
                   "key [BY=pattern:pattern1] [LIMIT=offset_count(offset:int count:int)] "
                   "[GET=pattern:pattern1]... [order(ASC|DESC)] [ALPHA!sorting] "
                   "[STORE=destination:key2]",
                   "Returns or keeps the elements of a list, set or sorted set in another "
                   "order.",
                   "1.0.0",
                   "O(N+M*log(M))",
                   Group::kGeneric,
                   -2,
                   kWrite | kDenyOom | kMovableKeys | kCatCollections | kCatDangerous,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess),
                    KeySpec::Unknown(KeySpec::kRO | KeySpec::kAccess),
                    KeySpec::Unknown(KeySpec::kOW | KeySpec::kUpdate)},
                   Sort});
  rows->push_back({"sort_ro",
                   "key [BY=pattern:pattern1] [LIMIT=offset_count(offset:int count:int)] "
                   "[GET=pattern:pattern1]... [order(ASC|DESC)] [ALPHA!sorting]",
                   "Returns the elements of a list, set or sorted set in another order.",
                   "7.0.0",
                   "O(N+M*log(M))",
                   Group::kGeneric,
                   -2,
                   kReadonly | kMovableKeys | kCatCollections | kCatDangerous,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess),
                    KeySpec::Unknown(KeySpec::kRO | KeySpec::kAccess)},
                   Sort});
}

}  // namespace sluice
