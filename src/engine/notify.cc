#include "src/engine/notify.h"

#include <string>

#include "src/engine/engine.h"

namespace sluice {
namespace {

struct Class {
  char letter;
  std::string_view events;  // with a blank on either side of each
};

constexpr Class kClasses[] = {
    {'g', " del expire persist rename_from rename_to move_from move_to copy_to restore "},
    {'$', " set setrange append incrby incrbyfloat setbit "},
    {'l', " lpush rpush lpop rpop linsert lset lrem ltrim sortstore "},
    {'s', " sadd srem spop sinterstore sunionstore sdiffstore "},
    {'h', " hset hincrby hincrbyfloat hdel hexpire hexpired hpersist "},
    {'z',
     " zadd zincr zrem zremrangebyrank zremrangebyscore zremrangebylex zpopmin zpopmax"
     " zunionstore zinterstore zdiffstore zrangestore "},
    {'t',
     " xadd xtrim xdel xsetid xgroup-create xgroup-createconsumer xgroup-delconsumer"
     " xgroup-destroy xgroup-setid xbind xunbind "},
    {'x', " expired "},
    {'e', " evicted "},
    {'m', " keymiss "},
    {'n', " new "},
};

}  // namespace

char EventClass(std::string_view event) {
  std::string word = " " + std::string(event) + " ";
  for (const Class& c : kClasses) {
    if (c.events.find(word) != std::string_view::npos) return c.letter;
  }
  return 0;
}

// A is an alias for every class but the last two, which would be too much for most.
bool IncludesEventClass(std::string_view directive, char event_class) {
  bool in_all = event_class != 'm' && event_class != 'n';
  return directive.find(event_class) != std::string_view::npos ||
         (in_all && directive.find('A') != std::string_view::npos);
}

void Engine::Announce(int db, std::string_view name, std::string_view event) {
  std::string_view wanted = config_->notify_keyspace_events;
  char event_class = EventClass(event);
  if (!event_class || !IncludesEventClass(wanted, event_class)) return;
  auto channel = [&](std::string_view kind, std::string_view of) {
    std::string text = "__";
    return text.append(kind).append("@").append(std::to_string(db)).append("__:").append(of);
  };
  if (wanted.find('K') != std::string_view::npos) {
    pubsub_.Publish(Topic::kChannel, channel("keyspace", name), event);
  }
  if (wanted.find('E') != std::string_view::npos) {
    pubsub_.Publish(Topic::kChannel, channel("keyevent", event), name);
  }
}

}  // namespace sluice
