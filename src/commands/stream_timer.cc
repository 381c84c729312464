// What falls due inside streams: the agenda's items, one after the other.
#include "src/commands/families.h"
#include "src/commands/stream_append.h"
#include "store/agenda.h"

namespace sluice {

// How many things one call does: a moment at which a million fall due comes again and again, and
// clients are served in between.
constexpr int kDutiesPerCall = 64;

void FireStreamTimer(Call& call, Key* key) {
  int64_t fired_ms = key->timer_ms;
  Agenda agenda(call.env(), &call.keys(), key);
  for (int i = 0; i < kDutiesPerCall; ++i) {
    std::optional<Agenda::Item> item = agenda.First();
    if (!item || item->at_ms > fired_ms) break;
    Stream stream = OpenStream(call, key);
    if (item->duty == Duty::kProducer) {
      Idempotence(&stream).Expire(item->number, item->at_ms, call.now_ms(),
                                  IdempotenceLimits(call));
    } else if (item->duty == Duty::kStages) {
      // A slice, which is more than other duties are.
      FireStages(call, key->name, &stream);
      break;
    } else if (item->duty == Duty::kExpiry) {
      if (BuryExpired(call, key->name, &stream)) break;
    } else if (!FireGroup(call, key->name, &stream, item->number, item->at_ms)) {
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
