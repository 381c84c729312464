// WATCH: which sessions' transactions depend on which keys, and what counts as a change of one.
#include "src/engine/engine.h"

namespace sluice {
namespace {

Session::Watch* FindWatch(Session& session, int db, std::string_view name) {
  for (Session::Watch& watch : session.watches) {
    if (watch.db == db && watch.key == name) return &watch;
  }
  return nullptr;
}

}  // namespace

bool Engine::IsExpired(const Key* key) const {
  return key && key->expires_at_ms && now_ms() > key->expires_at_ms;
}

void Engine::WatchKey(Session& session, std::string_view name) {
  if (FindWatch(session, session.db, name)) return;
  bool expired = IsExpired(store_->keys().Find(session.db, name));
  session.watches.push_back({session.db, std::string(name), expired});
  watching_[DbKey{session.db, std::string(name)}].push_back(&session);
}

void Engine::UnwatchAll(Session& session) {
  for (const Session::Watch& watch : session.watches) {
    auto it = watching_.find(DbKeyView{watch.db, watch.key});
    std::erase(it->second, &session);
    if (it->second.empty()) watching_.erase(it);
  }
  session.watches.clear();
  session.watch_broken = false;
}

// That a key goes which had expired before it was watched is no change: it was not there then and
// is not there now.
void Engine::BreakWatches(int db, std::string_view name) {
  auto it = watching_.find(DbKeyView{db, name});
  if (it == watching_.end()) return;
  bool gone = !store_->keys().Find(db, name);
  for (Session* session : it->second) {
    Session::Watch* watch = FindWatch(*session, db, name);
    if (gone && watch->expired_already) {
      watch->expired_already = false;
    } else {
      session->watch_broken = true;
    }
  }
}

void Engine::DatabaseChanging(int db, int other) {
  for (auto& [at, sessions] : watching_) {
    if (at.db != db && at.db != other) continue;
    Key* before = store_->keys().Find(at.db, at.name);
    Key* after = other < 0 ? nullptr : store_->keys().Find(at.db == db ? other : db, at.name);
    if (!before && !after) continue;
    for (Session* session : sessions) {
      Session::Watch* watch = FindWatch(*session, at.db, at.name);
      bool was_there = before && !watch->expired_already;
      if (!was_there && (!after || IsExpired(after))) {
        watch->expired_already = after != nullptr;
      } else {
        session->watch_broken = true;
      }
    }
  }
  for (auto& [at, sessions] : waiting_) {
    if (at.db == db || at.db == other) ready_.push_back(at);
  }
}

void Engine::DiscardTransaction(Session& session) {
  session.in_multi = session.exec_aborted = false;
  session.queue.clear();
  session.queued_bytes = 0;
  UnwatchAll(session);
}

}  // namespace sluice
