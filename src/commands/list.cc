// Lists: the plain commands. Those that move between lists or wait are in list_move.cc.
#include <algorithm>
#include <vector>

#include "src/commands/families.h"
#include "src/commands/list_common.h"

namespace sluice {

bool ReadEnd(Call& call, size_t i, End* end) {
  if (call.Is(i, "LEFT")) {
    *end = End::kLeft;
  } else if (call.Is(i, "RIGHT")) {
    *end = End::kRight;
  } else {
    return call.Error(errors::kSyntax), false;
  }
  return true;
}

List OpenList(Call& call, Key* key) { return List(call.env(), &call.keys(), key); }

bool HasRoom(Call& call, std::string_view name, Key* key, uint64_t more) {
  if (!key) key = call.keys().FindHidden(call.db(), name);
  return !key || key->type != Type::kList || OpenList(call, key).HasRoomFor(more);
}

bool CheckRoom(Call& call, std::string_view name, Key* key, uint64_t more) {
  if (HasRoom(call, name, key, more)) return true;
  return call.Error("BACKLOG queue limit reached"), false;
}

uint64_t MayTake(Call& call, Key* key) {
  return OpenList(call, key).extra().rate.At(call.now_ms());
}

void AfterPop(Call& call, Key* key, List* list, End end, uint64_t taken) {
  std::string_view name = key->name;
  if (list->extra().rate.tokens) {
    list->extra().rate.Take(call.now_ms(), taken);
    list->Save();
  }
  call.Changed(name, end == End::kLeft ? "lpop" : "rpop");
  if (list->size() > 0) return;
  DropElements(call, key, list);
  call.Changed(name, "del");
}

void DropElements(Call& call, Key* key, List* list) {
  if (!list->outlives_elements()) return call.Remove(key, list->size() > 0);
  list->Clear();
  call.keys().Hide(key);
}

void ReplyPopped(Call& call, Key* key, End end, uint64_t count, PutBack* put_back) {
  List list = OpenList(call, key);
  count = std::min(count, list.size());
  call.reply.ArrayHeader(count);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t deliveries = 0;
    std::string_view element = list.Pop(end, &deliveries);
    call.reply.Bulk(element);
    if (!put_back) continue;
    put_back->elements.emplace_back(element);
    put_back->deliveries.push_back(deliveries);
  }
  if (count > 0) AfterPop(call, key, &list, end, count);
}

namespace {

// A position as commands give it: negative counts from the right end. False outside the list.
bool Position(const List& list, int64_t index, uint64_t* position) {
  int64_t size = static_cast<int64_t>(list.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return false;
  *position = static_cast<uint64_t>(index);
  return true;
}

// LRANGE's and LTRIM's first and last, made to lie inside the list; false when nothing does.
bool Range(const List& list, int64_t first, int64_t last, uint64_t* from, uint64_t* to) {
  int64_t size = static_cast<int64_t>(list.size());
  if (first < 0) first = std::max<int64_t>(first + size, 0);
  if (last < 0) last += size;
  last = std::min(last, size - 1);
  if (first > last || first >= size) return false;
  *from = static_cast<uint64_t>(first);
  *to = static_cast<uint64_t>(last);
  return true;
}

void Push(Call& call, End end, bool only_existing) {
  std::string_view name = call.args[1];
  Key* key;
  if (!call.LookupType(name, Type::kList, &key)) return;
  if (!key && only_existing) return call.reply.Integer(0);
  if (!CheckRoom(call, name, key, call.args.size() - 2)) return;
  if (!key) key = &call.Create(name, Type::kList);
  List list = OpenList(call, key);
  for (size_t i = 2; i < call.args.size(); ++i) list.Push(end, call.args[i]);
  call.Changed(name, end == End::kLeft ? "lpush" : "rpush");
  call.Ready(name);
  call.reply.Integer(static_cast<int64_t>(list.size()));
}

void Lpush(Call& call) { Push(call, End::kLeft, false); }
void Rpush(Call& call) { Push(call, End::kRight, false); }
void Lpushx(Call& call) { Push(call, End::kLeft, true); }
void Rpushx(Call& call) { Push(call, End::kRight, true); }

void Pop(Call& call, End end) {
  if (call.args.size() > 3) return call.WrongArity();
  bool counted = call.args.size() == 3;
  int64_t count = 1;
  if (counted &&
      !call.ReadRange(2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive")) {
    return;
  }
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  uint64_t most = static_cast<uint64_t>(count);
  if (key && count > 0) most = std::min(most, MayTake(call, key));
  bool none = !key || (count > 0 && most == 0);
  if (none) return counted ? call.reply.NullArray() : call.reply.Null();
  if (counted) return ReplyPopped(call, key, end, most, nullptr);
  List list = OpenList(call, key);
  call.reply.Bulk(list.Pop(end));
  AfterPop(call, key, &list, end, 1);
}

void Lpop(Call& call) { Pop(call, End::kLeft); }
void Rpop(Call& call) { Pop(call, End::kRight); }

void Llen(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  call.reply.Integer(key ? static_cast<int64_t>(OpenList(call, key).size()) : 0);
}

void Lindex(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  if (!key) return call.reply.Null();
  int64_t index;
  if (!call.ReadInteger(2, &index)) return;
  List list = OpenList(call, key);
  uint64_t position;
  if (!Position(list, index, &position)) return call.reply.Null();
  if (auto element = list.At(position)) call.reply.Bulk(*element);
}

void Lset(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  int64_t index;
  if (!call.ReadInteger(2, &index)) return;
  List list = OpenList(call, key);
  uint64_t position;
  if (!Position(list, index, &position)) return call.Error(errors::kOutOfRange);
  list.Set(position, call.args[3]);
  call.Changed(call.args[1], "lset");
  call.reply.Ok();
}

void Linsert(Call& call) {
  bool before = call.Is(2, "BEFORE");
  if (!before && !call.Is(2, "AFTER")) return call.Error(errors::kSyntax);
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  if (!key) return call.reply.Integer(0);
  List list = OpenList(call, key);
  if (!list.HasRoomFor(1)) {
    if (!list.Contains(call.args[3])) return call.reply.Integer(-1);
    if (!CheckRoom(call, call.args[1], key, 1)) return;
  }
  if (!list.Insert(before, call.args[3], call.args[4])) return call.reply.Integer(-1);
  call.Changed(call.args[1], "linsert");
  call.reply.Integer(static_cast<int64_t>(list.size()));
}

void Lrange(Call& call) {
  int64_t first, last;
  if (!call.ReadInteger(2, &first) || !call.ReadInteger(3, &last)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  if (!key) return call.reply.ArrayHeader(0);
  List list = OpenList(call, key);
  uint64_t from, to;
  if (!Range(list, first, last, &from, &to)) return call.reply.ArrayHeader(0);
  call.reply.ArrayHeader(to - from + 1);
  list.Walk(from, true, [&](uint64_t position, std::string_view element) {
    call.reply.Bulk(element);
    return position < to;
  });
}

void Ltrim(Call& call) {
  int64_t first, last;
  if (!call.ReadInteger(2, &first) || !call.ReadInteger(3, &last)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  if (!key) return call.reply.Ok();
  List list = OpenList(call, key);
  uint64_t from, to;
  bool some_left = Range(list, first, last, &from, &to);
  if (some_left) list.Trim(from, to);
  call.Changed(call.args[1], "ltrim");
  if (!some_left) {
    DropElements(call, key, &list);
    call.Changed(call.args[1], "del");
  }
  call.reply.Ok();
}

void Lrem(Call& call) {
  int64_t count;
  if (!call.ReadRange(2, -INT64_MAX, INT64_MAX, &count, errors::kNotInteger)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  if (!key) return call.reply.Integer(0);
  List list = OpenList(call, key);
  End from = count < 0 ? End::kRight : End::kLeft;
  uint64_t removed =
      list.Remove(from, call.args[3], static_cast<uint64_t>(count < 0 ? -count : count));
  if (removed > 0) call.Changed(call.args[1], "lrem");
  if (removed > 0 && list.size() == 0) {
    DropElements(call, key, &list);
    call.Changed(call.args[1], "del");
  }
  call.reply.Integer(static_cast<int64_t>(removed));
}

struct LposOptions {
  int64_t rank = 1;
  int64_t count = -1;  // -1: not given, one position is the reply
  int64_t maxlen = 0;
};

bool ReadLposOptions(Call& call, LposOptions* options) {
  for (size_t i = 3; i < call.args.size(); i += 2) {
    if (i + 1 >= call.args.size()) return call.Error(errors::kSyntax), false;
    if (call.Is(i, "RANK")) {
      if (!call.ReadRange(i + 1, -INT64_MAX, INT64_MAX, &options->rank, errors::kNotInteger)) {
        return false;
      }
      if (options->rank == 0) {
        call.Error(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
            "or use negative to start from the end of the list");
        return false;
      }
    } else if (call.Is(i, "COUNT")) {
      if (!call.ReadRange(i + 1, 0, INT64_MAX, &options->count, "ERR COUNT can't be negative")) {
        return false;
      }
    } else if (call.Is(i, "MAXLEN")) {
      if (!call.ReadRange(i + 1, 0, INT64_MAX, &options->maxlen, "ERR MAXLEN can't be negative")) {
        return false;
      }
    } else {
      return call.Error(errors::kSyntax), false;
    }
  }
  return true;
}

void Lpos(Call& call) {
  LposOptions options;
  if (!ReadLposOptions(call, &options)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kList, &key)) return;
  bool single = options.count < 0;
  if (!key) return single ? call.reply.Null() : call.reply.ArrayHeader(0);

  List list = OpenList(call, key);
  bool forwards = options.rank > 0;
  int64_t to_skip = (forwards ? options.rank : -options.rank) - 1;
  uint64_t wanted = single ? 1 : static_cast<uint64_t>(options.count);
  int64_t looked_at = 0;
  std::vector<uint64_t> found;
  list.Walk(forwards ? 0 : list.size() - 1, forwards,
            [&](uint64_t position, std::string_view element) {
              if (options.maxlen && looked_at++ >= options.maxlen) return false;
              if (element != call.args[2] || to_skip-- > 0) return true;
              found.push_back(position);
              return wanted == 0 || found.size() < wanted;
            });
  if (single) {
    return found.empty() ? call.reply.Null() : call.reply.Integer(static_cast<int64_t>(found[0]));
  }
  call.reply.ArrayHeader(found.size());
  for (uint64_t position : found) call.reply.Integer(static_cast<int64_t>(position));
}

}  // namespace

void AddListRows(Rows* rows) {
  AddListMoveRows(rows);
  AddListMoveManyRows(rows);
  AddLeaseRows(rows);
  rows->push_back({"lpush",
                   "key element...",
                   "Adds elements to the left end of a list, which is made when missing.",
                   "1.0.0",
                   "O(1)",
                   Group::kList,
                   -3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Lpush});
  rows->push_back({"rpush",
                   "key element...",
                   "Adds elements to the right end of a list, which is made when missing.",
                   "1.0.0",
                   "O(1)",
                   Group::kList,
                   -3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Rpush});
  rows->push_back({"lpushx",
                   "key element...",
                   "Adds elements to the left end of a list that exists.",
                   "2.2.0",
                   "O(1)",
                   Group::kList,
                   -3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Lpushx});
  rows->push_back({"rpushx",
                   "key element...",
                   "Adds elements to the right end of a list that exists.",
                   "2.2.0",
                   "O(1)",
                   Group::kList,
                   -3,
                   kWrite | kDenyOom | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Rpushx});
  rows->push_back({"lpop",
                   "key [count:int@6.2.0]",
                   "Takes elements off the left end of a list.",
                   "1.0.0",
                   "O(N)",
                   Group::kList,
                   -2,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Lpop});
  rows->push_back({"rpop",
                   "key [count:int@6.2.0]",
                   "Takes elements off the right end of a list.",
                   "1.0.0",
                   "O(N)",
                   Group::kList,
                   -2,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Rpop});
  rows->push_back({"llen",
                   "key",
                   "Says how many elements a list has.",
                   "1.0.0",
                   "O(1)",
                   Group::kList,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO)},
                   Llen});
  rows->push_back({"lindex",
                   "key index:int",
                   "Reads one element of a list by its position.",
                   "1.0.0",
                   "O(N)",
                   Group::kList,
                   3,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Lindex});
  rows->push_back({"lset",
                   "key index:int element",
                   "Replaces one element of a list by its position.",
                   "1.0.0",
                   "O(N)",
                   Group::kList,
                   4,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Lset});
  rows->push_back({"linsert",
                   "key where(BEFORE|AFTER) pivot element",
                   "Puts an element next to another one of a list.",
                   "2.2.0",
                   "O(N)",
                   Group::kList,
                   5,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kInsert)},
                   Linsert});
  rows->push_back({"lrange",
                   "key start:int stop:int",
                   "Reads a stretch of a list.",
                   "1.0.0",
                   "O(S+N)",
                   Group::kList,
                   4,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Lrange});
  rows->push_back({"ltrim",
                   "key start:int stop:int",
                   "Keeps a stretch of a list and drops the rest.",
                   "1.0.0",
                   "O(N)",
                   Group::kList,
                   4,
                   kWrite,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Ltrim});
  rows->push_back({"lrem",
                   "key count:int element",
                   "Drops elements equal to a given one.",
                   "1.0.0",
                   "O(N+M)",
                   Group::kList,
                   4,
                   kWrite,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Lrem});
  rows->push_back({"lpos",
                   "key element [RANK=rank:int] [COUNT=num-matches:int] [MAXLEN=len:int]",
                   "Finds the positions of elements equal to a given one.",
                   "6.0.6",
                   "O(N)",
                   Group::kList,
                   -3,
                   kReadonly,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Lpos});
}

}  // namespace sluice
