// What falls due inside streams: the agenda's items, one after the other.
#include "src/commands/families.h"
#include "src/commands/stream_append.h"
#include "store/agenda.h"

namespace sluice {

void FireStreamTimer(Call& call, Key* key) {
  int64_t fired_ms = key->timer_ms;
  Agenda agenda(call.env(), &call.keys(), key);
  for (Slice slice(call); slice.Take();) {
    std::optional<Agenda::Item> item = agenda.First();
    if (!item || item->at_ms > fired_ms) break;
    Stream stream = OpenStream(call, key);
    if (item->duty == Duty::kProducer) {
      Idempotence(&stream).Expire(item->number, item->at_ms, call.now_ms(),
                                  IdempotenceLimits(call));
    } else if (item->duty == Duty::kStages) {
      FireStages(call, key->name, &stream, &slice);
    } else if (item->duty == Duty::kExpiry) {
      BuryExpired(call, key->name, &stream, &slice);
    } else if (!FireGroup(call, key->name, &stream, item->number, item->at_ms, &slice)) {
      agenda.Move(item->duty, item->number, item->at_ms, 0);
    }
  }
  std::optional<Agenda::Item> next = agenda.First();
  // The engine takes a timer that is as it was for one that has been dealt with.
  int64_t at_ms = next ? next->at_ms : 0;
  if (at_ms && at_ms <= fired_ms) at_ms = std::max<int64_t>(fired_ms - 1, 1);
  call.keys().SetTimer(key, at_ms);
}

}  // namespace sluice
