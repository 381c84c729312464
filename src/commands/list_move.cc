// Lists: moving between them, popping from the first of several, and waiting.
//
// A blocking command is its plain form plus Block when there is nothing to take; the engine runs
// the same handler again when there might be. What it takes then is noted in session.put_back until
// the reply has been written, so that a client that is gone by then swallows nothing.
#include <algorithm>
#include <vector>

#include "src/commands/lease_common.h"
#include "src/commands/multi_pop.h"

namespace sluice {
namespace {

PutBack* NotePutBack(Call& call, std::string_view key, End end) {
  PutBack* put_back = NewPutBack(call, Type::kList, key);
  if (put_back) put_back->left = end == End::kLeft;
  return put_back;
}

// The first of some lists that has an element to give; one that its rate holds back has none. False
// after replying WRONGTYPE.
bool FirstToPop(Call& call, std::span<const std::string_view> names, Key** key) {
  for (std::string_view name : names) {
    if (!call.LookupType(name, Type::kList, key)) return false;
    if (*key && MayTake(call, *key) > 0) return true;
  }
  *key = nullptr;
  return true;
}

// When the first of those that their rates hold back has an element to give; 0: none is held back.
int64_t NextTokenOf(Call& call, std::span<const std::string_view> names) {
  int64_t next_ms = 0;
  for (std::string_view name : names) {
    Key* key = call.keys().Find(call.db(), name);
    if (!key || key->type != Type::kList) continue;
    List list = OpenList(call, key);
    if (!list.extra().rate.tokens) continue;
    int64_t at_ms = list.extra().rate.NextAt(call.now_ms());
    next_ms = next_ms ? std::min(next_ms, at_ms) : at_ms;
  }
  return next_ms;
}

}  // namespace

void BlockOnLists(Call& call, std::span<const std::string_view> names, int64_t timeout_ms) {
  call.Block({names.begin(), names.end()},
             {.timeout_ms = timeout_ms, .ask_again_ms = NextTokenOf(call, names)});
}

namespace {

// False: there is nothing to move (nothing was replied), or an error was replied.
enum class Moved { kYes, kNothing, kError };

Moved Move(Call& call, std::string_view from, std::string_view to, End pop, End push) {
  Key* source;
  Key* target;
  if (!call.LookupType(from, Type::kList, &source)) return Moved::kError;
  if (!source || MayTake(call, source) == 0) return Moved::kNothing;
  if (!call.LookupType(to, Type::kList, &target)) return Moved::kError;
  if (source != target && !CheckRoom(call, to, target, 1)) return Moved::kError;

  List list = OpenList(call, source);
  std::string_view element = list.Pop(pop);
  call.reply.Bulk(element);
  if (source == target) {
    list.Push(push, element);
  } else {
    if (!target) target = &call.Create(to, Type::kList);
    OpenList(call, target).Push(push, element);
  }
  call.Changed(to, push == End::kLeft ? "lpush" : "rpush");
  call.Ready(to);
  AfterPop(call, source, &list, pop, 1);
  return Moved::kYes;
}

void BlockingMove(Call& call, End pop, End push, size_t timeout_at) {
  int64_t timeout_ms;
  if (!call.ReadTimeout(timeout_at, &timeout_ms)) return;
  if (Move(call, call.args[1], call.args[2], pop, push) != Moved::kNothing) return;
  if (call.deny_blocking) return call.reply.Null();
  BlockOnLists(call, call.args.subspan(1, 1), timeout_ms);
}

void Lmove(Call& call) {
  End pop, push;
  if (!ReadEnd(call, 3, &pop) || !ReadEnd(call, 4, &push)) return;
  if (Move(call, call.args[1], call.args[2], pop, push) == Moved::kNothing) call.reply.Null();
}

void Rpoplpush(Call& call) {
  if (Move(call, call.args[1], call.args[2], End::kRight, End::kLeft) == Moved::kNothing) {
    call.reply.Null();
  }
}

void Blmove(Call& call) {
  End pop, push;
  if (!ReadEnd(call, 3, &pop) || !ReadEnd(call, 4, &push)) return;
  BlockingMove(call, pop, push, 5);
}

void Brpoplpush(Call& call) { BlockingMove(call, End::kRight, End::kLeft, 3); }

void BlockingPop(Call& call, End end) {
  size_t last = call.args.size() - 1;
  int64_t timeout_ms;
  if (!call.ReadTimeout(last, &timeout_ms)) return;
  std::span<const std::string_view> names = call.args.subspan(1, last - 1);
  Key* key;
  if (!FirstToPop(call, names, &key)) return;
  if (!key) return BlockOnLists(call, names, timeout_ms);

  PutBack* put_back = NotePutBack(call, key->name, end);
  List list = OpenList(call, key);
  call.reply.ArrayHeader(2);
  call.reply.Bulk(key->name);
  uint64_t deliveries = 0;
  std::string_view element = list.Pop(end, &deliveries);
  call.reply.Bulk(element);
  if (put_back) {
    put_back->elements.emplace_back(element);
    put_back->deliveries.push_back(deliveries);
  }
  AfterPop(call, key, &list, end, 1);
}

void Blpop(Call& call) { BlockingPop(call, End::kLeft); }
void Brpop(Call& call) { BlockingPop(call, End::kRight); }

// False when there was nothing to pop and nothing was replied.
bool PopFirst(Call& call, const MultiPop& pop) {
  Key* key;
  if (!FirstToPop(call, pop.names, &key)) return true;
  if (!key) return false;
  End end = pop.first_end ? End::kLeft : End::kRight;
  PutBack* put_back = NotePutBack(call, key->name, end);
  call.reply.ArrayHeader(2);
  call.reply.Bulk(key->name);
  uint64_t count = std::min(static_cast<uint64_t>(pop.count), MayTake(call, key));
  if (pop.lease_ms) {
    ReplyLeased(call, key, end, count, pop.lease_ms, put_back);
  } else {
    ReplyPopped(call, key, end, count, put_back);
  }
  return true;
}

void Lmpop(Call& call) {
  MultiPop pop;
  if (!ReadMultiPop(call, 1, "LEFT", "RIGHT", &pop, true)) return;
  if (!PopFirst(call, pop)) call.reply.NullArray();
}

void Blmpop(Call& call) {
  int64_t timeout_ms;
  MultiPop pop;
  if (!ReadMultiPop(call, 2, "LEFT", "RIGHT", &pop, true)) return;
  if (!call.ReadTimeout(1, &timeout_ms)) return;
  if (!PopFirst(call, pop)) BlockOnLists(call, pop.names, timeout_ms);
}

}  // namespace

void AddListMoveRows(Rows* rows) {
  rows->push_back({"lmove",
                   "source:key destination:key1 wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT)",
                   "Moves an element from an end of one list to an end of another.",
                   "6.2.0",
                   "O(1)",
                   Group::kList,
                   5,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Lmove});
  rows->push_back({"rpoplpush",
                   "source:key destination:key1",
                   "Moves the rightmost element of one list to the left end of another.",
                   "1.2.0",
                   "O(1)",
                   Group::kList,
                   3,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Rpoplpush,
                   {},
                   "6.2.0",
                   "`LMOVE`"});
  rows->push_back(
      {"blmove",
       "source:key destination:key1 wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT) timeout:double",
       "LMOVE that waits for an element.",
       "6.2.0",
       "O(1)",
       Group::kList,
       6,
       kWrite | kDenyOom | kNoscript | kBlocking,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
        KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
       Blmove});
  rows->push_back({"brpoplpush",
                   "source:key destination:key1 timeout:double",
                   "RPOPLPUSH that waits for an element.",
                   "2.2.0",
                   "O(1)",
                   Group::kList,
                   4,
                   kWrite | kDenyOom | kNoscript | kBlocking,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Brpoplpush,
                   {},
                   "6.2.0",
                   "`BLMOVE`"});
  rows->push_back({"blpop",
                   "key... timeout:double",
                   "LPOP from the first of several lists that has elements; waits for one.",
                   "2.0.0",
                   "O(N)",
                   Group::kList,
                   -3,
                   kWrite | kNoscript | kBlocking,
                   {KeySpec::Range(1, -2, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Blpop});
  rows->push_back({"brpop",
                   "key... timeout:double",
                   "RPOP from the first of several lists that has elements; waits for one.",
                   "2.0.0",
                   "O(N)",
                   Group::kList,
                   -3,
                   kWrite | kNoscript | kBlocking,
                   {KeySpec::Range(1, -2, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Brpop});
  rows->push_back({"lmpop",
                   "numkeys:int key... where(LEFT|RIGHT) [COUNT=count:int] "
                   "[LEASE=milliseconds:int]",
                   "Takes elements off the first of several lists that has any.",
                   "7.0.0",
                   "O(N+M)",
                   Group::kList,
                   -4,
                   kWrite | kMovableKeys,
                   {KeySpec::Counted(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Lmpop});
  rows->push_back({"blmpop",
                   "timeout:double numkeys:int key... where(LEFT|RIGHT) [COUNT=count:int] "
                   "[LEASE=milliseconds:int]",
                   "LMPOP that waits for an element.",
                   "7.0.0",
                   "O(N+M)",
                   Group::kList,
                   -5,
                   kWrite | kBlocking | kMovableKeys,
                   {KeySpec::Counted(2, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete)},
                   Blmpop});
}

}  // namespace sluice
