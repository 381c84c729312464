// Lists: moving several elements at once (Redis 8.10).
#include <algorithm>
#include <vector>

#include "src/commands/list_common.h"

namespace sluice {
namespace {

struct Request {
  End pop, push;
  uint64_t count = 1;
  bool exactly = false;     // all or nothing
  bool one_by_one = false;  // as so many LMOVEs; otherwise as a block that keeps its order
};

// [COUNT n|EXACTLY n OBO|BULK] from args[at] on.
bool ReadSelector(Call& call, size_t at, Request* request) {
  if (at == call.args.size()) return true;
  request->exactly = call.Is(at, "EXACTLY");
  bool known = request->exactly || call.Is(at, "COUNT");
  if (!known || at + 3 != call.args.size()) return call.Error(errors::kSyntax), false;
  request->one_by_one = call.Is(at + 2, "OBO");
  if (!request->one_by_one && !call.Is(at + 2, "BULK")) return call.Error(errors::kSyntax), false;
  int64_t count;
  if (!call.ReadRange(at + 1, 1, INT64_MAX, &count, "ERR count should be greater than 0")) {
    return false;
  }
  request->count = static_cast<uint64_t>(count);
  return true;
}

enum class Moved { kYes, kNothing, kError };

// Replies what was moved, as it stands in the destination; with kNothing,
// nothing was replied.
Moved Move(Call& call, const Request& request) {
  std::string_view to = call.args[2];
  Key *source, *target;
  if (!call.LookupType(call.args[1], Type::kList, &source)) return Moved::kError;
  if (!source) return Moved::kNothing;
  if (!call.LookupType(to, Type::kList, &target)) return Moved::kError;
  List list = OpenList(call, source);
  uint64_t count = std::min({request.count, list.size(), MayTake(call, source)});
  if (count == 0 || (request.exactly && count < request.count)) return Moved::kNothing;
  if (source != target && !CheckRoom(call, to, target, count)) return Moved::kError;

  std::vector<std::string> moved;  // from left to right as they will stand
  for (uint64_t n = count; n > 0; --n) moved.emplace_back(list.Pop(request.pop));
  bool popped_in_order = request.pop == End::kLeft;
  bool turned_round = request.one_by_one && request.pop == request.push;
  if (popped_in_order == turned_round) std::reverse(moved.begin(), moved.end());

  if (!target) target = &call.Create(to, Type::kList);
  List other = OpenList(call, target);
  List& destination = source == target ? list : other;
  if (request.push == End::kRight) {
    for (const std::string& element : moved) destination.Push(End::kRight, element);
  } else {
    for (auto it = moved.rbegin(); it != moved.rend(); ++it) destination.Push(End::kLeft, *it);
  }
  call.reply.ArrayHeader(moved.size());
  for (const std::string& element : moved) call.reply.Bulk(element);
  call.Changed(to, request.push == End::kLeft ? "lpush" : "rpush");
  call.Ready(to);
  AfterPop(call, source, &list, request.pop, count);
  return Moved::kYes;
}

void Lmovem(Call& call) {
  Request request;
  if (!ReadEnd(call, 3, &request.pop) || !ReadEnd(call, 4, &request.push) ||
      !ReadSelector(call, 5, &request)) {
    return;
  }
  if (Move(call, request) != Moved::kNothing) return;
  request.exactly ? call.reply.NullArray() : call.reply.ArrayHeader(0);
}

// With EXACTLY it waits for all that it wants, otherwise for an element.
void Blmovem(Call& call) {
  Request request;
  int64_t timeout_ms;
  if (!ReadEnd(call, 3, &request.pop) || !ReadEnd(call, 4, &request.push) ||
      !call.ReadTimeout(5, &timeout_ms) || !ReadSelector(call, 6, &request)) {
    return;
  }
  if (Move(call, request) != Moved::kNothing) return;
  BlockOnLists(call, call.args.subspan(1, 1), timeout_ms);
}

}  // namespace

void AddListMoveManyRows(Rows* rows) {
  constexpr uint32_t kFlags = kWrite | kDenyOom;
  rows->push_back({"lmovem",
                   "source:key destination:key1 wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT) "
                   "[several(selector(COUNT=count:int|EXACTLY=exactly:int) "
                   "ordering(OBO|BULK))]",
                   "Moves elements from an end of one list to an end of another.",
                   "8.10.0",
                   "O(N)",
                   Group::kList,
                   -5,
                   kFlags,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Lmovem});
  rows->push_back({"blmovem",
                   "source:key destination:key1 wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT) "
                   "timeout:double "
                   "[several(selector(COUNT=count:int|EXACTLY=exactly:int) "
                   "ordering(OBO|BULK))]",
                   "LMOVEM that waits for elements.",
                   "8.10.0",
                   "O(N)",
                   Group::kList,
                   -6,
                   kFlags | kNoscript | kBlocking,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kAccess | KeySpec::kDelete),
                    KeySpec::At(2, KeySpec::kRW | KeySpec::kInsert)},
                   Blmovem});
}

}  // namespace sluice
