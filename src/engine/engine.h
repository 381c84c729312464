// The engine: executes commands of sessions on the store, one at a time, and decides who is woken.
// It knows no sockets and no libevent. The server around it (src/net), or a test, drives it:
//
//   engine.BeginTurn();
//   engine.Execute(session, args);      for every command that arrived
//   Lsn lsn = engine.EndTurn();         timers, expiry, housekeeping; the batch is sealed
//   for (Session* s : engine.TakeTouched()) ...   who has something to send, to read on or to close
//   ... send s->out when store().released() >= lsn ...
//
// Everything time-dependent happens in Execute and EndTurn by the clock passed in.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/engine/acl.h"
#include "src/engine/clock.h"
#include "src/engine/config.h"
#include "src/engine/pubsub.h"
#include "src/engine/row.h"
#include "src/engine/session.h"
#include "src/engine/stats.h"
#include "store/store.h"

namespace sluice {

class Call;
class Scripting;

// What only the server around the engine can do.
class Host {
 public:
  virtual ~Host() = default;
  // Whether the client of a blocked session is still there; asked before it is given something.
  virtual bool StillConnected(const Session&) { return true; }
  // Fills in the buffer sizes that CLIENT LIST shows.
  virtual void Measure(Session&) {}
  // A directive was changed by CONFIG SET; empty when it could be applied, else why not.
  virtual std::string Apply(std::string_view /*directive*/) { return {}; }
  virtual void Log(std::string_view /*line*/) {}
  // The same at a level of Redis's: 0 debug, 1 verbose, 2 notice, 3 warning.
  virtual void LogAt(int /*level*/, std::string_view line) { Log(line); }
  // A script runs for long: the others' requests may be passed to Execute, which answers them BUSY,
  // or kills the script. No turn begins or ends meanwhile; `running` is not to be looked at.
  virtual void WhileBusy(const Session& /*running*/) {}
};

class Engine {
 public:
  Engine(Store* store, Config* config, const Clock* clock, Host* host);
  ~Engine();
  Engine(const Engine&) = delete;

  // ---- sessions
  Session* NewSession();
  // Forgets it: what it waited for, watched, had queued. What was popped for it and not yet sent is
  // put back.
  void CloseSession(Session* session);
  const std::map<uint64_t, std::unique_ptr<Session>>& sessions() const { return sessions_; }
  Session* FindSession(uint64_t id);

  // ---- turns
  void BeginTurn();
  // Executes one request. args[0] is the command's name. The reply is in session.out, or the
  // session is blocked. Sessions that are blocked, or to be closed, must not be given more.
  void Execute(Session& session, Args args);
  // A protocol error: counted, replied to, and the session is closed after it.
  void ProtocolError(Session& session, std::string_view error);
  Lsn EndTurn();
  // Sessions with output, unblocked or to be closed, since the last call.
  std::vector<Session*> TakeTouched();
  void Touch(Session& session);
  // The same for a session that is touched already: behind all others.
  void TouchLast(Session& session);
  // When EndTurn wants to run next even if nothing arrives, in microseconds from now; nullopt:
  // never. 0: at once.
  std::optional<int64_t> NextWakeUs();
  // Sealed early so that one batch does not grow without bound; called between commands.
  void SealIfLarge();

  // ---- time: one moment per command
  int64_t now_ms() const { return now_us_ / 1000; }
  int64_t now_us() const { return now_us_; }
  int64_t monotonic_us() const { return monotonic_us_; }
  void UpdateTime();
  // For how long something lasts that has nothing to do with the test clock.
  int64_t real_monotonic_us() const { return clock_.real().MonotonicUs(); }

  // ---- the test clock (DEBUG CLOCK). What falls due is done before these return, in order of
  // time, whoever's it is; not to be called inside of a transaction or a script.
  void FreezeClock();
  void AdvanceClock(int64_t ms);
  // Forwards is as AdvanceClock; backwards, what has happened has happened.
  void SetClock(int64_t unix_ms);
  void ResumeClock();

  // ---- keys (for Call)
  // Whether its time has come. A key lives through the millisecond it names.
  bool IsExpired(const Key* key) const;
  Key* Lookup(Session& session, int db, std::string_view name, bool touches);
  // For keyspace_hits and keyspace_misses, and the notification of a miss.
  void CountLookup(int db, std::string_view name, bool found) {
    ++(found ? stats_.keyspace_hits : stats_.keyspace_misses);
    if (!found) KeyEvent(db, name, "keymiss");
  }
  void RemoveKey(int db, Key* key, bool has_rows);
  void KeyChanged(int db, std::string_view name, std::string_view event);
  void KeyNoted(int db, std::string_view name, std::string_view event);
  // The keyspace notification alone, for what is no change. Costs a branch when none are wanted.
  void KeyEvent(int db, std::string_view name, std::string_view event) {
    if (!config_->notify_keyspace_events.empty()) Announce(db, name, event);
  }
  void KeyReady(int db, std::string_view name);
  // To be called *before* a database is emptied, or swapped with `other`: breaks the watches on
  // keys that are there (in either), and looks at every waited-for key again afterwards.
  void DatabaseChanging(int db, int other = -1);

  // ---- blocking
  void BlockOnKeys(Session& session, const Row& row, Args args, std::unique_ptr<Blocked> blocked);
  // CLIENT UNBLOCK, KILL: ends a wait with the timeout's reply or an error.
  void Unblock(Session& session, std::string_view error_or_empty);
  // Says, while a blocked session is served, that it goes on waiting.
  void KeepWaiting() { served_again_ = true; }
  // While a session is blocked: its keys count as ready at this moment (unix time); 0: not by
  // themselves.
  void AskAgainAt(Session& session, int64_t at_ms);
  size_t blocked_clients() const { return blocked_count_; }

  // ---- transactions (for MULTI, EXEC, ...)
  void WatchKey(Session& session, std::string_view name);
  void UnwatchAll(Session& session);
  void DiscardTransaction(Session& session);
  // Runs one queued command inside EXEC; its reply goes to the session's output.
  void ExecuteQueued(Session& session, const QueuedCommand& command);

  // ---- scripts
  Scripting& scripting() { return *scripting_; }
  // Between these, time stands still and blocked clients are not served.
  void BeginScript();
  void EndScript();
  // Executes a script's command, which was admitted, as its session.
  void ExecuteOfScript(Session& session, const Row& row, Args args);
  // Drops everything that this turn has changed, and everybody who may have been told of it.
  void DropTurn(const std::string& why);

  // ---- publish and subscribe
  PubSub& pubsub() { return pubsub_; }

  // ---- who may do what
  Acl& acl() { return acl_; }
  // Whether the session's user may run the command with these arguments.
  Verdict CheckPermissions(const Session& session, const Row& row, Args args) const {
    return session.user->unrestricted() ? Verdict{} : session.user->Check(row, args);
  }
  // Counts a refusal and keeps it for ACL LOG.
  void LogDenied(const Session& session, const Row& row, Args args, Verdict verdict,
                 AclContext context);
  // The same for a password that was wrong, or a user that is not there.
  void LogWrongPassword(const Session& session, std::string_view command, std::string_view user);
  // Whether it may do no more than authenticate.
  bool MustAuthenticate(const Session& session) const {
    return !session.authenticated && acl_.auth_required();
  }
  // Makes it the default user, authenticated if that needs no password.
  void ForgetUser(Session& session);
  // Closes, after users have changed, the sessions whose user is no more, and those that listen to
  // what their user may not hear any more; `caller` when its reply has been sent.
  void CloseUnentitled(const Session& caller);

  // ---- pausing (CLIENT PAUSE)
  void Pause(int64_t until_ms, bool writes_only);
  void Unpause();

  // ---- errors and statistics
  // Every error reply passes here: counts it by its code.
  void CountError(std::string_view text);
  Stats& stats() { return stats_; }

  Store& store() { return *store_; }
  Config& config() { return *config_; }
  Directives& directives() { return directives_; }
  Host& host() { return *host_; }
  const CommandTable& table() const { return table_; }
  uint64_t Random();
  const std::string& run_id() const { return run_id_; }

  // SHUTDOWN was accepted, or a signal came: the server ends after this turn.
  bool shutdown_requested = false;
  bool checkpoint_requested = false;  // BGSAVE: one begins at the end of the turn, or soon after
  bool active_expire = true;          // DEBUG SET-ACTIVE-EXPIRE

  // MONITOR
  void FeedMonitors(const Session& from, Args args);
  size_t monitors() const { return monitors_; }
  void SetMonitor(Session& session, bool on);

 private:
  struct DbKeyView {
    int db;
    std::string_view name;
  };
  struct DbKey {
    int db;
    std::string name;
    operator DbKeyView() const { return {db, name}; }
  };
  friend bool operator<(const DbKeyView& a, const DbKeyView& b) {
    return a.db != b.db ? a.db < b.db : a.name < b.name;
  }

  const Row* FindRow(Session& session, Args args);
  bool Admit(Session& session, const Row& row, Args args);
  std::string ConfigChanged(std::string_view directive);
  void Reject(Session& session, const Row* row, std::string_view error);
  void Queue(Session& session, const Row& row, Args args);
  void Run(Session& session, const Row& row, Args args, bool retrying, bool deny_blocking);
  void AfterCommand(const Call& call, size_t mark, int64_t started_us);
  // Sends what was published to a session while it executed a command.
  void EndExecuting(Session& session);
  void Announce(int db, std::string_view name, std::string_view event);  // notify.cc
  void LogIfSlow(Session& session, const Row& row, Args args, int64_t microseconds);
  void ServeReadyKeys();
  void ServeBlocked(Session& session);
  void ForgetWaits(Session& session);
  void BreakWatches(int db, std::string_view name);
  void ReadClock();
  void DoWhatIsDue();
  std::optional<int64_t> NextDueUs();
  bool WaitsOutPause(const Row& row, Args args);
  void ExpireDue();
  void FireDue();
  void AskAgain(bool everybody = false);
  void TimeOutBlocked();
  void ReleasePaused();
  void PutBackFor(Session& session);
  void PutBackReads(int db, const std::vector<ReadForGood>& reads);
  void RecoverFromFailure();

  Store* store_;
  Config* config_;
  TestClock clock_;
  Host* host_;
  Directives directives_;
  CommandTable table_;
  Acl acl_;
  Stats stats_;
  std::string run_id_;
  uint64_t random_state_[2];

  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  uint64_t next_session_ = 1;
  std::vector<Session*> touched_;
  Session nobody_{0};  // whose calls timers are
  PubSub pubsub_;
  std::unique_ptr<Scripting> scripting_;

  // The wall clock is read once a turn; within it, time moves by the monotonic clock.
  int64_t now_us_ = 0;
  int64_t monotonic_us_ = 0;
  int64_t skipped_us_ = 0;  // by which AdvanceClock has moved the monotonic time
  int64_t frozen_us_ = 0;   // in a script: the monotonic time at which now_us_ stands still

  // Who waits for a key, in order of arrival; keys with waiters that have become ready.
  std::map<DbKey, std::vector<Session*>, std::less<>> waiting_;
  std::vector<DbKey> ready_;
  std::set<std::pair<int64_t, uint64_t>> deadlines_;  // (monotonic us, session id)
  std::set<std::pair<int64_t, uint64_t>> ask_again_;  // the same
  size_t blocked_count_ = 0;
  uint64_t next_order_ = 1;
  bool serving_ = false;
  bool served_again_ = false;
  int depth_ = 0;  // inside EXEC or a script: woken clients are served afterwards

  std::map<DbKey, std::vector<Session*>, std::less<>> watching_;
  size_t monitors_ = 0;

  int64_t paused_until_ms_ = 0;
  bool pause_writes_only_ = false;
  int64_t checkpoint_by_us_ = 0;      // monotonic; while there is something to checkpoint
  int64_t timers_wait_until_us_ = 0;  // monotonic; the disk had no room for what they do
  bool more_housekeeping_ = false;
};

}  // namespace sluice
