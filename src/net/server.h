// The server: the loop, the listeners, the connections, the end of a turn. With connection.cc the
// only place that knows libevent.
//
// Everything runs on the thread that calls Run; other threads (the journal's, the checkpoint's, a
// signal's) only write to an eventfd.
#pragma once

#include <event2/event.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/engine/engine.h"
#include "src/net/connection.h"
#include "src/net/http.h"
#include "src/net/log.h"

namespace sluice {

class Server final : public Host {
 public:
  // Opens the store (recovering it) and the listeners; nothing is served before Run.
  static Result<std::unique_ptr<Server>> Open(Config config, const Clock* clock, Logger* log);
  ~Server() override;

  // Serves until SHUTDOWN or Stop; returns when everything answered is durable. Ok: the clean end.
  Status Run();
  // Ends Run after the current turn. From any thread and from signal handlers.
  void Stop();

  // The TCP port in use (`port 0` has none; -1: chosen by the system is not a thing Redis has).
  int port() const { return port_; }

  // ---- for connections
  event_base* base() { return base_; }
  Engine& engine() { return *engine_; }
  Config& config() { return config_; }
  char* read_buffer(size_t size);
  // A script runs for long, and the read buffer holds its arguments.
  bool busy() const { return busy_ != nullptr; }
  // To be called first by everything that libevent calls.
  void BeginTurn();
  // Output of a session waits for an LSN.
  void Hold(Lsn lsn, uint64_t session, size_t bytes);
  // The session has requests that can be executed in the next turn.
  void RunAgain(Session* session);
  // A connection is over its soft output limit: to be looked at again even if nothing happens.
  void WatchLimits() { watch_limits_ = true; }
  // The connection is to be destroyed at the end of the turn.
  void Finished(Connection* connection);

  // ---- Host
  bool StillConnected(const Session& session) override;
  void Measure(Session& session) override;
  std::string Apply(std::string_view directive) override;
  void Log(std::string_view line) override;
  void LogAt(int level, std::string_view line) override;
  void WhileBusy(const Session& running) override;

 private:
  struct Listener {
    int fd = -1;
    bool unix_socket = false;
    event* readable = nullptr;
    Server* server = nullptr;
  };
  struct Held {
    Lsn lsn;
    uint64_t session;
    size_t bytes;
  };

  Server(Config config, const Clock* clock, Logger* log);
  Status OpenStore();
  Status OpenListeners();
  Status ListenTcp(const std::string& address);
  Status ListenUnix();
  void AddListener(int fd, bool unix_socket);
  void CloseListeners();
  static void OnAcceptable(evutil_socket_t, short, void* listener);
  void Accept(Listener* listener);
  void Adopt(int fd, const Listener& listener);
  bool Refuse(int fd, const Listener& listener, bool from_loopback);

  void EndTurn();
  void ReleaseHeld();
  void Destroy(Connection* connection);
  void FlushTurn(Lsn lsn);
  void ArmTimer();
  // Once a second while there is `timeout` or a soft limit to watch.
  bool LooksEverySecond() const { return config_.timeout > 0 || watch_limits_; }
  void EverySecond();
  void CloseIdle(int64_t now_ms);
  void End();
  Connection* Find(uint64_t session);

  Config config_;
  const Clock* clock_;
  Logger* log_;
  event_base* base_ = nullptr;
  int wake_fd_ = -1;
  event* wake_ = nullptr;
  event* timer_ = nullptr;
  int64_t timer_at_us_ = 0;  // monotonic; 0: not armed
  std::vector<std::unique_ptr<Listener>> listeners_;
  int port_ = 0;

  std::unique_ptr<Store> store_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<HttpServer> http_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> finished_;
  std::vector<uint64_t> run_again_;
  std::deque<Held> held_;
  std::unique_ptr<char[]> read_buffer_;
  bool in_turn_ = false;
  const Session* busy_ = nullptr;  // whose script runs for long
  int64_t next_look_us_ = 0;       // at the others, meanwhile
  std::atomic<bool> stop_{false};
  int64_t turn_began_us_ = 0;
  Lsn flushed_ = 0;
  uint64_t commands_flushed_ = 0;  // Stats::commands at the last flush
  int64_t sync_us_ = 100;          // moving average of a sync on the loop
  int64_t next_look_ms_ = 0;
  bool watch_limits_ = false;
};

}  // namespace sluice
