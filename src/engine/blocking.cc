// Who waits for what, and who is woken. A blocked session keeps its command; when a key it waits
// for becomes ready the same handler runs again, in order of arrival. It either replies, and the
// wait is over, or calls Block again and keeps its place.
#include <algorithm>

#include "src/engine/call.h"
#include "src/engine/engine.h"
#include "src/engine/script.h"

namespace sluice {
namespace {

constexpr int64_t kFarAwayMs = 86'400'000;

}  // namespace

void Engine::BlockOnKeys(Session& session, const Row& row, Args args,
                         std::unique_ptr<Blocked> blocked) {
  blocked->row = &row;
  blocked->args = OwnedArgs(args);
  blocked->db = session.db;
  blocked->order = next_order_++;
  for (const std::string& name : blocked->keys) {
    waiting_[DbKey{session.db, name}].push_back(&session);
  }
  if (blocked->deadline_us) deadlines_.emplace(blocked->deadline_us, session.id);
  if (blocked->reason == Blocked::Reason::kKeys) ++blocked_count_;
  session.blocked = std::move(blocked);
}

void Engine::ForgetWaits(Session& session) {
  std::unique_ptr<Blocked> blocked = std::move(session.blocked);
  for (const std::string& name : blocked->keys) {
    auto it = waiting_.find(DbKeyView{blocked->db, name});
    std::erase(it->second, &session);
    if (it->second.empty()) waiting_.erase(it);
  }
  if (blocked->deadline_us) deadlines_.erase({blocked->deadline_us, session.id});
  if (blocked->ask_again_us) ask_again_.erase({blocked->ask_again_us, session.id});
  if (blocked->reason == Blocked::Reason::kKeys) --blocked_count_;
  Touch(session);
}

void Engine::Unblock(Session& session, std::string_view error_or_empty) {
  if (!session.blocked) return;
  TimeoutReply on_timeout = session.blocked->on_timeout;
  std::string raw_reply = std::move(session.blocked->raw_reply);
  ForgetWaits(session);
  if (!error_or_empty.empty()) {
    session.reply.Error(error_or_empty);
    CountError(error_or_empty);
  } else if (on_timeout == TimeoutReply::kRaw) {
    session.reply.Raw(raw_reply);
  } else if (on_timeout == TimeoutReply::kNull) {
    session.reply.Null();
  } else {
    session.reply.NullArray();
  }
}

void Engine::TimeOutBlocked() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= monotonic_us_) {
    Session* session = FindSession(deadlines_.begin()->second);
    Unblock(*session, {});
  }
}

void Engine::AskAgainAt(Session& session, int64_t at_ms) {
  Blocked& blocked = *session.blocked;
  if (blocked.ask_again_us) ask_again_.erase({blocked.ask_again_us, session.id});
  blocked.ask_again_us = 0;
  if (!at_ms) return;
  int64_t in_ms = std::clamp<int64_t>(at_ms - now_ms(), 0, kFarAwayMs);
  blocked.ask_again_us = monotonic_us_ + in_ms * 1000 - now_us_ % 1000;
  ask_again_.emplace(blocked.ask_again_us, session.id);
}

// `everybody`: their moments are wall clock time, and that has been set.
void Engine::AskAgain(bool everybody) {
  while (!ask_again_.empty() && (everybody || ask_again_.begin()->first <= monotonic_us_)) {
    Session* session = FindSession(ask_again_.begin()->second);
    AskAgainAt(*session, 0);
    for (const std::string& name : session->blocked->keys) KeyReady(session->blocked->db, name);
  }
}

// Keys can become ready while others are served (BLMOVE), hence the outer loop.
void Engine::ServeReadyKeys() {
  if (depth_ > 0 || serving_) return;
  serving_ = true;
  while (!ready_.empty()) {
    std::vector<DbKey> ready = std::exchange(ready_, {});
    for (const DbKey& at : ready) {
      auto it = waiting_.find(at);
      if (it == waiting_.end()) continue;
      std::vector<Session*> waiters = it->second;
      for (Session* session : waiters) {
        if (!session->blocked || session->close_now) continue;
        // One that has nothing to take is not asked, unless it wants to hear of that.
        bool there = Lookup(*session, at.db, at.name, false) != nullptr;
        if (!there && !session->blocked->wake_on_removal) continue;
        ServeBlocked(*session);
      }
    }
  }
  serving_ = false;
}

void Engine::ServeBlocked(Session& session) {
  if (!host_->StillConnected(session)) {
    session.close_now = true;
    Touch(session);
    return;
  }
  // The handler sees session.blocked while it runs; `args` must outlive it.
  const Blocked* before = session.blocked.get();
  Args args = before->args.args();
  // Rights may have changed since it began to wait.
  if (Verdict verdict = CheckPermissions(session, *before->row, args); !verdict.ok()) {
    LogDenied(session, *before->row, args, verdict, AclContext::kTopLevel);
    return Unblock(session, DeniedText(verdict.denied, *before->row));
  }
  served_again_ = false;
  ++session.executing;
  Run(session, *before->row, args, true, false);
  EndExecuting(session);
  if (!served_again_ && session.blocked.get() == before) ForgetWaits(session);
}

void Call::Block(const std::vector<std::string_view>& names, BlockOptions options) {
  Block(names, options, args);
}

void Call::Block(const std::vector<std::string_view>& names, BlockOptions options, Args again) {
  if (retrying) {
    engine.AskAgainAt(session, options.ask_again_ms);
    return engine.KeepWaiting();
  }
  if (deny_blocking) {
    if (options.on_timeout == TimeoutReply::kRaw) return reply.Raw(options.raw_reply);
    options.on_timeout == TimeoutReply::kNull ? reply.Null() : reply.NullArray();
    return;
  }
  auto blocked = std::make_unique<Blocked>();
  for (std::string_view name : names) {
    if (std::find(blocked->keys.begin(), blocked->keys.end(), name) == blocked->keys.end()) {
      blocked->keys.emplace_back(name);
    }
  }
  if (options.timeout_ms) {
    int64_t ms = std::min<int64_t>(options.timeout_ms, 1'000'000'000'000);  // thirty years will do
    blocked->deadline_us = engine.monotonic_us() + ms * 1000;
  }
  blocked->on_timeout = options.on_timeout;
  blocked->raw_reply = options.raw_reply;
  blocked->wake_on_removal = options.wake_on_removal;
  engine.BlockOnKeys(session, row, again, std::move(blocked));
  if (options.ask_again_ms) engine.AskAgainAt(session, options.ask_again_ms);
}

void Engine::Pause(int64_t until_ms, bool writes_only) {
  // As in Redis: a second PAUSE can only make the first one stricter or longer.
  if (paused_until_ms_ && !pause_writes_only_) writes_only = false;
  pause_writes_only_ = writes_only;
  paused_until_ms_ = std::max(paused_until_ms_, until_ms);
}

// What ends a pause is not kept waiting by it.
bool Engine::WaitsOutPause(const Row& row, Args args) {
  if (row.name == "client|unpause" || row.name == "client|pause") return false;
  if (row.name == "debug" && Call::Same(args[1], "CLOCK")) return false;
  return !pause_writes_only_ || (row.flags & (kWrite | kMayReplicate)) ||
         scripting_->MightWrite(row, args);
}

void Engine::Unpause() {
  paused_until_ms_ = 0;
  ReleasePaused();
}

void Engine::ReleasePaused() {
  std::vector<Session*> paused;
  for (auto& [id, session] : sessions_) {
    if (session->blocked && session->blocked->reason == Blocked::Reason::kPaused) {
      paused.push_back(session.get());
    }
  }
  std::sort(paused.begin(), paused.end(),
            [](Session* a, Session* b) { return a->blocked->order < b->blocked->order; });
  for (Session* session : paused) {
    OwnedArgs args = std::move(session->blocked->args);
    ForgetWaits(*session);
    --session->commands;
    Execute(*session, args.args());
  }
}

}  // namespace sluice
