#include "src/engine/engine.h"

#include <algorithm>
#include <random>

#include "src/commands/families.h"
#include "src/engine/call.h"
#include "src/engine/monitor.h"
#include "src/engine/script.h"

namespace sluice {
namespace {

constexpr size_t kLargeBatch = 1 << 20;
constexpr int64_t kCheckpointEveryUs = 30'000'000;
// What is further away than this is asked for again.
constexpr int64_t kFarAwayMs = 3'600'000;
// How many keys one turn lets expire, and how many timers it lets fire: about a millisecond's work.
constexpr int kExpiriesPerTurn = 500;
constexpr int kTimersPerTurn = 500;
// A timer that has much to do is as much as many; clients are not kept waiting for longer.
constexpr int64_t kTimersUsPerTurn = 5000;
// While the disk is full.
constexpr int64_t kTimersRetryUs = 100'000;
// Redis shows at most so many bytes of an unknown command and of its arguments.
constexpr size_t kShownBytes = 128;

// As C's "%.*s" prints it: a NUL ends it.
std::string_view Shown(std::string_view text, size_t most) {
  text = text.substr(0, most);
  return text.substr(0, text.find('\0'));
}

std::string UnknownCommand(Args args) {
  std::string shown;
  for (size_t i = 1; i < args.size() && shown.size() < kShownBytes; ++i) {
    std::string_view arg = Shown(args[i], kShownBytes - shown.size());
    shown.append("'").append(arg).append("' ");
  }
  return "ERR unknown command '" + std::string(Shown(args[0], kShownBytes)) +
         "', with args beginning with: " + shown;
}

std::string Upper(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

bool IsTransactionCommand(const Row& row) {
  return row.name == "exec" || row.name == "discard" || row.name == "multi" ||
         row.name == "watch" || row.name == "quit" || row.name == "reset";
}

// Timers fire for nobody: a row that counts no look-ups and is no command.
const Row& TimerRow() {
  static const Row row{"timer", "", "", "", "", Group::kGeneric, 0, kWrite};
  return row;
}

// What a session of RESP2 may send while it listens.
bool IsSubscriberCommand(const Row& row) {
  return row.name.ends_with("subscribe") || row.name == "ping" || row.name == "quit" ||
         row.name == "reset";
}

std::string HexDigits(uint64_t (*random)(void*), void* state, int n) {
  std::string out;
  while (static_cast<int>(out.size()) < n) out += "0123456789abcdef"[random(state) & 15];
  return out;
}

}  // namespace

Engine::Engine(Store* store, Config* config, const Clock* clock, Host* host)
    : store_(store),
      config_(config),
      clock_(clock),
      host_(host),
      directives_(config),
      acl_(&table_, config),
      pubsub_([this](Session& session) { Touch(session); }) {
  std::random_device seed;
  for (uint64_t& s : random_state_) s = (uint64_t{seed()} << 32) | seed() | 1;
  run_id_ = HexDigits([](void* self) { return static_cast<Engine*>(self)->Random(); }, this, 40);
  stats_.commands_by_row.resize(table_.size());
  scripting_ = std::make_unique<Scripting>(this);
  UpdateTime();
  stats_.started_ms = now_ms();
  stats_.last_save_s = now_ms() / 1000;
  directives_.SetListener([this](std::string_view name) { return ConfigChanged(name); });
}

Engine::~Engine() = default;

// xorshift128+: fast, and good enough for RANDOMKEY and identifiers that are no secrets.
uint64_t Engine::Random() {
  uint64_t a = random_state_[0], b = random_state_[1];
  random_state_[0] = b;
  a ^= a << 23;
  random_state_[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
  return random_state_[1] + b;
}

// ---- sessions

Session* Engine::NewSession() {
  uint64_t id = next_session_++;
  auto session = std::make_unique<Session>(id);
  session->created_ms = session->active_ms = now_ms();
  ForgetUser(*session);
  Session* raw = session.get();
  sessions_.emplace(id, std::move(session));
  ++stats_.connections;
  stats_.peak_clients = std::max<uint64_t>(stats_.peak_clients, sessions_.size());
  return raw;
}

void Engine::CloseSession(Session* session) {
  if (session->put_back) PutBackFor(*session);
  if (session->blocked) ForgetWaits(*session);
  UnwatchAll(*session);
  pubsub_.UnsubscribeAll(*session);
  SetMonitor(*session, false);
  std::erase(touched_, session);
  sessions_.erase(session->id);
}

Session* Engine::FindSession(uint64_t id) {
  auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : it->second.get();
}

void Engine::Touch(Session& session) {
  if (session.touched) return;
  session.touched = true;
  touched_.push_back(&session);
}

void Engine::TouchLast(Session& session) {
  std::erase(touched_, &session);
  session.touched = false;
  Touch(session);
}

std::vector<Session*> Engine::TakeTouched() {
  for (Session* session : touched_) session->touched = false;
  return std::exchange(touched_, {});
}

// ---- turns and time

void Engine::ReadClock() {
  now_us_ = clock_.WallUs();
  monotonic_us_ = clock_.MonotonicUs();
}

void Engine::BeginTurn() {
  ReadClock();
  ++stats_.turns;
  stats_.Sample(monotonic_us_);
}

void Engine::UpdateTime() {
  int64_t monotonic = clock_.MonotonicUs();
  if (monotonic_us_ == 0) {
    now_us_ = clock_.WallUs();
  } else if (frozen_us_ == 0) {
    now_us_ += monotonic - monotonic_us_;
  }
  monotonic_us_ = monotonic;
}

void Engine::BeginScript() {
  ++depth_;
  frozen_us_ = monotonic_us_;
}

void Engine::EndScript() {
  --depth_;
  UpdateTime();
  now_us_ += monotonic_us_ - std::exchange(frozen_us_, 0);
}

void Engine::SealIfLarge() {
  if (depth_ == 0 && store_->batch_bytes() >= kLargeBatch) store_->Seal();
}

void Engine::DoWhatIsDue() {
  TimeOutBlocked();
  if (active_expire) ExpireDue();
  FireDue();
  AskAgain();
  if (paused_until_ms_ && now_ms() >= paused_until_ms_) Unpause();
  ServeReadyKeys();
}

Lsn Engine::EndTurn() {
  DoWhatIsDue();
  bool due = checkpoint_requested || (checkpoint_by_us_ && monotonic_us_ >= checkpoint_by_us_);
  if (due && !store_->checkpoint_running()) {
    checkpoint_requested = false;
    store_->BeginCheckpoint();
  }
  more_housekeeping_ = store_->Reclaim();
  if (!store_->failure().ok()) RecoverFromFailure();
  Lsn lsn = store_->Seal();
  if (!store_->dirty()) {
    checkpoint_by_us_ = 0;
  } else if (checkpoint_by_us_ == 0) {
    checkpoint_by_us_ = monotonic_us_ + kCheckpointEveryUs;
  }
  return lsn;
}

std::optional<int64_t> Engine::NextWakeUs() {
  if (more_housekeeping_ || !touched_.empty()) return 0;
  std::optional<int64_t> next = NextDueUs();
  // On a clock that stands still nothing falls due by itself.
  if (clock_.frozen()) return next == 0 ? next : std::nullopt;
  if (checkpoint_by_us_) {
    int64_t us = std::max<int64_t>(0, checkpoint_by_us_ - monotonic_us_);
    next = next ? std::min(*next, us) : us;
  }
  return next;
}

// When something of DoWhatIsDue comes, or may come, in microseconds from now.
std::optional<int64_t> Engine::NextDueUs() {
  std::optional<int64_t> next;
  auto consider = [&](int64_t us) { next = std::max<int64_t>(0, next ? std::min(*next, us) : us); };
  if (!deadlines_.empty()) consider(deadlines_.begin()->first - monotonic_us_);
  if (!ask_again_.empty()) consider(ask_again_.begin()->first - monotonic_us_);
  if (paused_until_ms_) consider(std::min(paused_until_ms_ - now_ms(), kFarAwayMs) * 1000);
  if (active_expire) {
    // A key expires in the millisecond after the one it names.
    if (auto at = store_->keys().NextMoment(Keyspace::Moment::kExpiry)) {
      bool far_away = *at > now_ms() + kFarAwayMs;
      consider(far_away ? kFarAwayMs * 1000 : (*at + 1) * 1000 - now_us_);
    }
  }
  if (auto at = store_->keys().NextMoment(Keyspace::Moment::kTimer)) {
    int64_t in_us = *at > now_ms() + kFarAwayMs ? kFarAwayMs * 1000 : *at * 1000 - now_us_;
    consider(std::max(in_us, timers_wait_until_us_ - monotonic_us_));
  }
  return next;
}

// The rows failed in mid-flight: go back to what the journal knows. Replies of this turn may speak
// of what is now gone, so whoever waits for one is disconnected, and learns nothing.
void Engine::DropTurn(const std::string& why) {
  host_->Log(why + "; recovering from the journal");
  for (Session* session : touched_) session->close_now = true;
  Status status = store_->Recover();
  scripting_->Recovered();
  host_->Log(status.ok() ? "recovered" : "recovery failed: " + status.message());
}

void Engine::RecoverFromFailure() { DropTurn("storage failure: " + store_->failure().message()); }

// ---- executing

const Row* Engine::FindRow(Session& session, Args args) {
  const Row* row = table_.Find(args[0]);
  if (!row) {
    // A browser lured into talking to us: nothing that follows in its request is to be executed.
    if (Call::Same(args[0], "POST") || Call::Same(args[0], "HOST:")) {
      session.close_now = true;
      return nullptr;
    }
    std::string refusal = RefusedOnPurpose(args[0], Shown(args[0], kShownBytes));
    Reject(session, nullptr, refusal.empty() ? UnknownCommand(args) : refusal);
    return nullptr;
  }
  if (!row->subcommands.empty() && args.size() > 1) {
    const Row* sub = CommandTable::FindSub(*row, args[1]);
    if (!sub) {
      std::string_view shown = Shown(args[1], kShownBytes);
      std::string refusal =
          RefusedOnPurpose(std::string(row->name) + "|" + std::string(args[1]), shown);
      Reject(session, nullptr,
             refusal.empty() ? "ERR unknown subcommand '" + std::string(shown) + "'. Try " +
                                   Upper(row->name) + " HELP."
                             : refusal);
      return nullptr;
    }
    row = sub;
  }
  int n = static_cast<int>(args.size());
  if (row->arity > 0 ? n != row->arity : n < -row->arity) {
    Reject(session, row,
           "ERR wrong number of arguments for '" + std::string(row->name) + "' command");
    return nullptr;
  }
  return row;
}

// A command that is refused before it runs; inside MULTI it spoils the transaction.
void Engine::Reject(Session& session, const Row* row, std::string_view error) {
  if (row) ++stats_.commands_by_row[row->index].rejected;
  if (row && row->name == "exec") {
    DiscardTransaction(session);
    std::string text = "EXECABORT Transaction discarded because of: ";
    text += error.starts_with("ERR ") ? error.substr(4) : error;
    session.reply.Error(text);
    CountError(text);
    return;
  }
  if (session.in_multi) session.exec_aborted = true;
  session.reply.Error(error);
  CountError(error);
}

bool Engine::Admit(Session& session, const Row& row, Args args) {
  auto refuse = [&](std::string_view error) {
    Reject(session, &row, error);
    return false;
  };
  if (MustAuthenticate(session) && !(row.flags & kNoAuth)) {
    return refuse("NOAUTH Authentication required.");
  }
  if (session.in_multi && (row.flags & kNoMulti)) {
    return refuse("ERR Command not allowed inside a transaction");
  }
  if (Verdict verdict = CheckPermissions(session, row, args); !verdict.ok()) {
    LogDenied(session, row, args, verdict,
              session.in_multi ? AclContext::kMulti : AclContext::kTopLevel);
    return refuse(DeniedText(verdict.denied, row));
  }
  if (const RunningScript* script = scripting_->running(); script && !(row.flags & kAllowBusy)) {
    return refuse(script->is_function ? errors::kBusyFunction : errors::kBusyScript);
  }
  if (row.flags & kWrite) {
    if (Status fatal = store_->fatal(); !fatal.ok()) {
      return refuse("MISCONF Errors writing to the AOF file: " + fatal.message());
    }
    if ((row.flags & kDenyOom) && store_->disk_full()) {
      return refuse("MISCONF Errors writing to the AOF file: No space left on device");
    }
  }
  if (session.subscriptions && session.reply.protocol() == 2 && !IsSubscriberCommand(row)) {
    return refuse("ERR Can't execute '" + std::string(row.name) +
                  "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                  "this context");
  }
  return true;
}

void Engine::Execute(Session& session, Args args) {
  ++session.commands;
  ++session.executing;
  session.active_ms = now_ms();
  Touch(session);
  size_t mark = session.out.size();
  const Row* row = FindRow(session, args);
  if (row && Admit(session, *row, args)) {
    session.last_row = row;
    if (paused_until_ms_ && WaitsOutPause(*row, args)) {
      auto blocked = std::make_unique<Blocked>();
      blocked->reason = Blocked::Reason::kPaused;
      BlockOnKeys(session, *row, args, std::move(blocked));
    } else if (session.in_multi && !IsTransactionCommand(*row)) {
      Queue(session, *row, args);
    } else {
      Run(session, *row, args, false, false);
    }
  }
  if (session.reply_mode != ReplyMode::kOn) {
    // CLIENT REPLY ON answers itself; OFF and what follows SKIP do not.
    if (session.reply_mode == ReplyMode::kSkipNext) {
      session.reply_mode = ReplyMode::kSkipping;
    } else if (session.reply_mode == ReplyMode::kSkipping) {
      session.reply_mode = ReplyMode::kOn;
    }
    session.out.Truncate(mark);
  }
  EndExecuting(session);
  if (!ready_.empty()) ServeReadyKeys();
}

void Engine::EndExecuting(Session& session) {
  if (--session.executing > 0 || session.pushes.empty()) return;
  session.out.Append(session.pushes.view());
  session.pushes.Clear();
  session.pushes.Shrink(0);
}

void Engine::ProtocolError(Session& session, std::string_view error) {
  CountError(error);
  session.reply.Error(error);
  session.close_after_reply = true;
  Touch(session);
}

void Engine::Queue(Session& session, const Row& row, Args args) {
  session.queue.push_back({&row, OwnedArgs(args)});
  session.queued_bytes += session.queue.back().args.bytes();
  session.reply.SimpleString("QUEUED");
}

void Engine::Run(Session& session, const Row& row, Args args, bool retrying, bool deny_blocking) {
  int64_t started_us = monotonic_us_ - skipped_us_;
  size_t mark = session.out.size();
  Call call(*this, session, row, args, session.reply);
  call.retrying = retrying;
  call.deny_blocking = deny_blocking;
  row.handler(call);
  if (!retrying) {
    ++stats_.commands;
    ++stats_.commands_by_row[row.index].calls;
  }
  AfterCommand(call, mark, started_us);
  // Afterwards: EXEC comes behind what it executed.
  if (monitors_ && !retrying && !(row.flags & (kSkipMonitor | kAdmin))) {
    FeedMonitors(session, Redacted(row, args));
  }
}

void Engine::AfterCommand(const Call& call, size_t mark, int64_t started_us) {
  UpdateTime();
  CommandStats& stats = stats_.commands_by_row[call.row.index];
  int64_t lasted_us = monotonic_us_ - skipped_us_ - started_us;
  stats.microseconds += lasted_us;
  if (config_->latency_tracking) stats.latency.Add(lasted_us);
  const resp::Buffer& out = call.session.out;
  std::string_view reply = out.view().substr(std::min(mark, out.size()));
  bool error = !reply.empty() && reply[0] == '-';
  if (error || call.failed) ++stats.failed;
  if (error && !call.error_counted) CountError(reply.substr(1, reply.find('\r') - 1));
  LogIfSlow(call.session, call.row, call.args, lasted_us);
  // A transaction or a script is dropped as a whole, at its end.
  if (depth_ == 0 && !store_->failure().ok()) RecoverFromFailure();
}

void Engine::ExecuteOfScript(Session& session, const Row& row, Args args) {
  session.last_row = &row;
  Run(session, row, args, false, true);
}

// Rights may have changed since it was queued.
void Engine::ExecuteQueued(Session& session, const QueuedCommand& command) {
  const Row& row = *command.row;
  Args args = command.args.args();
  session.last_row = &row;
  if (Verdict verdict = CheckPermissions(session, row, args); !verdict.ok()) {
    LogDenied(session, row, args, verdict, AclContext::kMulti);
    std::string error = DeniedInExecText(verdict.denied);
    session.reply.Error(error);
    return CountError(error);
  }
  ++depth_;
  Run(session, row, args, false, true);
  --depth_;
}

void Engine::LogIfSlow(Session& session, const Row& row, Args args, int64_t microseconds) {
  if (config_->slowlog_log_slower_than < 0 || microseconds < config_->slowlog_log_slower_than ||
      (row.flags & kSkipSlowlog)) {
    return;
  }
  stats_.slowlog.push_front({stats_.next_slowlog_id++, now_ms() / 1000, microseconds,
                             ShortenedArgs(Redacted(row, args)), session.address, session.name});
  while (stats_.slowlog.size() > static_cast<size_t>(config_->slowlog_max_len)) {
    stats_.slowlog.pop_back();
  }
}

void Engine::CountError(std::string_view text) {
  ++stats_.error_replies;
  std::string_view code = text.substr(0, text.find(' '));
  auto it = stats_.errors.find(std::string(code));
  if (it != stats_.errors.end()) {
    ++it->second;
  } else if (stats_.errors.size() < 128) {
    stats_.errors.emplace(code, 1);
  }
}

// ---- keys

Key* Engine::Lookup(Session& session, int db, std::string_view name, bool touches) {
  Key* key = store_->keys().Find(db, name);
  if (IsExpired(key)) {
    RemoveKey(db, key, true);
    KeyChanged(db, name, "expired");
    ++stats_.expired_keys;
    key = nullptr;
  }
  if (key && touches && !session.no_touch) key->accessed_ms = now_ms();
  return key;
}

void Engine::RemoveKey(int db, Key* key, bool has_rows) {
  if (!waiting_.empty()) KeyReady(db, key->name);
  store_->keys().Remove(key, has_rows);
}

void Engine::KeyChanged(int db, std::string_view name, std::string_view event) {
  if (!watching_.empty()) BreakWatches(db, name);
  KeyNoted(db, name, event);
}

void Engine::KeyNoted(int db, std::string_view name, std::string_view event) {
  ++stats_.dirty;
  KeyEvent(db, name, event);
}

void Engine::KeyReady(int db, std::string_view name) {
  if (waiting_.empty()) return;
  DbKeyView view{db, name};
  if (waiting_.find(view) == waiting_.end()) return;
  for (const DbKey& ready : ready_) {
    if (ready.db == db && ready.name == name) return;
  }
  ready_.push_back({db, std::string(name)});
}

void Engine::ExpireDue() {
  for (int i = 0; i < kExpiriesPerTurn; ++i) {
    auto due = store_->keys().NextDue(Keyspace::Moment::kExpiry, now_ms());
    if (!due) return;
    Key* key = store_->keys().Find(due->db, due->name);
    if (!key) return;
    RemoveKey(due->db, key, true);
    KeyChanged(due->db, due->name, "expired");
    ++stats_.expired_keys;
  }
}

// A timer is due in the millisecond that it names, and fires late rather than never: what it does may
// need space, and while the disk has none the replies of everybody would wait for it.
void Engine::FireDue() {
  if (timers_wait_until_us_ > monotonic_us_) return;
  std::optional<int64_t> first = store_->keys().NextMoment(Keyspace::Moment::kTimer);
  if (!first || *first > now_ms()) return;
  if (store_->disk_full() || !store_->fatal().ok()) {
    timers_wait_until_us_ = monotonic_us_ + kTimersRetryUs;
    return;
  }
  int64_t until_us = clock_.MonotonicUs() + kTimersUsPerTurn;
  for (int i = 0; i < kTimersPerTurn && clock_.MonotonicUs() <= until_us; ++i) {
    auto due = store_->keys().NextDue(Keyspace::Moment::kTimer, now_ms() + 1);
    if (!due) return;
    nobody_.db = due->db;
    Key* key = Lookup(nobody_, due->db, due->name, false);
    if (!key) key = store_->keys().FindHidden(due->db, due->name);
    if (!key) continue;  // it was its time as a whole
    int64_t fired_ms = key->timer_ms;
    Call call(*this, nobody_, TimerRow(), {}, nobody_.reply);
    if (TimerHandler handler = table_.timer(key->type)) handler(call, key);
    key = store_->keys().Find(due->db, due->name);
    if (!key) key = store_->keys().FindHidden(due->db, due->name);
    if (key && key->timer_ms == fired_ms) store_->keys().SetTimer(key, 0);
    nobody_.out.Truncate(0);
    if (!store_->failure().ok()) return;
  }
}

// ---- monitors

void Engine::SetMonitor(Session& session, bool on) {
  if (session.monitor == on) return;
  session.monitor = on;
  monitors_ += on ? 1 : -1;
}

void Engine::FeedMonitors(const Session& from, Args args) {
  std::string line = MonitorLine(now_us_, from, args);
  for (auto& [id, session] : sessions_) {
    if (!session->monitor || session->close_now || session->close_after_reply) continue;
    session->reply.SimpleString(line);
    Touch(*session);
  }
}

}  // namespace sluice
