#include "src/net/server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice {

Result<std::unique_ptr<Server>> Server::Open(Config config, const Clock* clock, Logger* log) {
  std::unique_ptr<Server> server(new Server(std::move(config), clock, log));
  // The store first: a second server on the same directory is told about the directory.
  if (Status status = server->OpenStore(); !status.ok()) return status;
  const Config& c = server->config_;
  if (c.metrics_port > 0) {
    auto http = HttpServer::Open(server.get(), c.metrics_bind, static_cast<int>(c.metrics_port));
    if (!http.ok()) return http.status();
    server->http_ = std::move(http.value());
  }
  // Last, so that nobody can connect to a server that then refuses to start.
  if (Status status = server->OpenListeners(); !status.ok()) return status;
  return server;
}

Server::Server(Config config, const Clock* clock, Logger* log)
    : config_(std::move(config)), clock_(clock), log_(log) {
  event_config* options = event_config_new();
  // One thread, and epoll changes applied with the next wait: fewer system calls.
  event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(options, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  base_ = event_base_new_with_config(options);
  event_config_free(options);

  wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  auto on_wake = [](evutil_socket_t fd, short, void* self) {
    uint64_t ignored;
    (void)!::read(fd, &ignored, sizeof ignored);
    static_cast<Server*>(self)->BeginTurn();
  };
  wake_ = event_new(base_, wake_fd_, EV_READ | EV_PERSIST, on_wake, this);
  event_add(wake_, nullptr);
  auto on_timer = [](evutil_socket_t, short, void* self) {
    static_cast<Server*>(self)->timer_at_us_ = 0;
    static_cast<Server*>(self)->BeginTurn();
  };
  timer_ = evtimer_new(base_, on_timer, this);
}

Server::~Server() {
  http_.reset();
  connections_.clear();
  engine_.reset();
  store_.reset();
  CloseListeners();
  event_free(timer_);
  event_free(wake_);
  ::close(wake_fd_);
  event_base_free(base_);
}

Status Server::OpenStore() {
  Store::Options options;
  options.dir = config_.dir;
  options.durable = config_.appendonly;
  options.policy = config_.appendfsync;
  options.databases = static_cast<int>(config_.databases);
  options.min_free_bytes = static_cast<uint64_t>(config_.min_free_disk);
  options.wake = [fd = wake_fd_] {
    uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  };
  Result<std::unique_ptr<Store>> store = Store::Open(options);
  if (!store.ok()) return store.status();
  store_ = std::move(store.value());
  engine_ = std::make_unique<Engine>(store_.get(), &config_, clock_, this);
  std::string users = engine_->acl().LoadAtStart();
  if (!users.empty()) return Status(Code::kInvalid, users);
  if (uint64_t n = store_->stats().replayed_batches) {
    Log("recovered " + std::to_string(n) + " batches from the journal");
  }
  return Status::Ok();
}

char* Server::read_buffer(size_t size) {
  if (!read_buffer_) read_buffer_ = std::make_unique_for_overwrite<char[]>(size);
  return read_buffer_.get();
}

void Server::Stop() {
  stop_ = true;
  uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

// ---- turns

void Server::BeginTurn() {
  if (in_turn_) return;
  in_turn_ = true;
  engine_->BeginTurn();
  turn_began_us_ = clock_->MonotonicUs();
}

Status Server::Run() {
  Log("Ready to accept connections");
  while (!stop_ && !engine_->shutdown_requested) {
    ArmTimer();
    event_base_loop(base_, run_again_.empty() ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
    BeginTurn();
    for (uint64_t id : std::exchange(run_again_, {})) {
      if (Connection* connection = Find(id)) {
        connection->session().touched ? void() : engine_->Touch(connection->session());
        connection->Resume();
      }
    }
    EndTurn();
  }
  End();
  return store_->fatal();
}

void Server::EndTurn() {
  Lsn lsn = engine_->EndTurn();
  FlushTurn(lsn);
  Lsn released = store_->released();
  ReleaseHeld();
  for (Session* session : engine_->TakeTouched()) {
    auto* connection = static_cast<Connection*>(session->connection);
    if (connection && !connection->Settle(lsn, released)) Finished(connection);
  }
  // Destroying one can put an element back and so give other sessions something to send: the timer
  // sees that they are touched and makes the next turn come at once.
  for (Connection* connection : std::exchange(finished_, {})) Destroy(connection);
  store_->Housekeep();
  if (LooksEverySecond()) EverySecond();
  Stats& stats = engine_->stats();
  stats.slowest_turn_us = std::max(stats.slowest_turn_us, clock_->MonotonicUs() - turn_began_us_);
  in_turn_ = false;
}

// A sync on the loop answers soonest while the loop has little else to do (one client); when
// executing a turn takes about as long, the two had better overlap on two threads.
void Server::FlushTurn(Lsn lsn) {
  bool short_turn = engine_->stats().commands - commands_flushed_ <= 2 ||
                    2 * (clock_->MonotonicUs() - turn_began_us_) < sync_us_;
  commands_flushed_ = engine_->stats().commands;
  bool on_loop =
      store_->policy() == FsyncPolicy::kAlways && store_->inline_possible() && short_turn;
  if (lsn == flushed_ || !on_loop) {
    store_->Flush(false);
  } else {
    int64_t began_us = clock_->MonotonicUs();
    store_->Flush(true);
    sync_us_ += (clock_->MonotonicUs() - began_us - sync_us_) / 8;
  }
  flushed_ = lsn;
}

void Server::Hold(Lsn lsn, uint64_t session, size_t bytes) {
  held_.push_back({lsn, session, bytes});
}

void Server::ReleaseHeld() {
  if (held_.empty()) return;
  Lsn released = store_->released();
  bool fatal = !store_->fatal().ok();
  while (!held_.empty() && (held_.front().lsn <= released || fatal)) {
    Held held = held_.front();
    // Who runs a script keeps its output as it is until that is over; others wait behind it.
    if (busy_ && held.session == busy_->id) break;
    held_.pop_front();
    Connection* connection = Find(held.session);
    if (!connection) continue;
    // What can never become durable is never answered.
    if (held.lsn > released) {
      connection->session().close_now = true;
      engine_->Touch(connection->session());
    } else if (!connection->Release(held.bytes)) {
      Finished(connection);
    }
  }
}

void Server::RunAgain(Session* session) {
  for (uint64_t id : run_again_) {
    if (id == session->id) return;
  }
  run_again_.push_back(session->id);
}

void Server::Finished(Connection* connection) {
  if (std::find(finished_.begin(), finished_.end(), connection) == finished_.end()) {
    finished_.push_back(connection);
  }
}

void Server::Destroy(Connection* connection) {
  Session* session = &connection->session();
  uint64_t id = session->id;
  connections_.erase(id);
  engine_->CloseSession(session);
}

Connection* Server::Find(uint64_t session) {
  auto it = connections_.find(session);
  return it == connections_.end() ? nullptr : it->second.get();
}

void Server::ArmTimer() {
  std::optional<int64_t> wake_us = engine_->NextWakeUs();
  if (LooksEverySecond() && !connections_.empty()) {
    wake_us = std::min<int64_t>(wake_us.value_or(INT64_MAX), 1'000'000);
  }
  if (!wake_us) {
    if (timer_at_us_) event_del(timer_);
    timer_at_us_ = 0;
    return;
  }
  // By the real clock: the engine's may have been moved since the timer was set.
  int64_t at = clock_->MonotonicUs() + *wake_us;
  if (timer_at_us_ && timer_at_us_ <= at && at - timer_at_us_ < 1000) return;
  timer_at_us_ = std::max<int64_t>(at, 1);
  timeval wait{static_cast<time_t>(*wake_us / 1'000'000),
               static_cast<suseconds_t>(*wake_us % 1'000'000)};
  event_add(timer_, &wait);
}

void Server::EverySecond() {
  int64_t now = engine_->now_ms();
  if (now < next_look_ms_) return;
  next_look_ms_ = now + 1000;
  if (config_.timeout > 0) CloseIdle(now);
  if (!std::exchange(watch_limits_, false)) return;
  for (auto& [id, connection] : connections_) connection->CheckOutputLimit();
}

// `timeout`: closes clients that have sent nothing for so long; not those that wait or listen.
void Server::CloseIdle(int64_t now) {
  for (auto& [id, connection] : connections_) {
    Session& session = connection->session();
    if (session.blocked || session.monitor || session.subscriptions) continue;
    if (now - session.active_ms <= config_.timeout * 1000) continue;
    session.close_now = true;
    engine_->Touch(session);
  }
}

// The clean end: the turn is finished, everything is durable, what was answered is sent.
void Server::End() {
  CloseListeners();
  BeginTurn();
  EndTurn();
  Status status = store_->CheckpointNow();
  if (!status.ok()) Log("the last checkpoint failed: " + status.message());
  if (store_->fatal().ok()) {
    for (auto& [id, connection] : connections_) connection->SendLast();
  }
  Log("Sluice is now ready to exit, bye bye...");
}

// ---- Host

bool Server::StillConnected(const Session& session) {
  auto* connection = static_cast<Connection*>(session.connection);
  return !connection || (!connection->finished() && connection->StillConnected());
}

void Server::Measure(Session& session) {
  if (session.connection) static_cast<Connection*>(session.connection)->Measure();
}

// Looks at every socket once, without waiting. libevent's loop cannot be entered again from inside
// of what it called, so the sockets are asked directly; what it noticed itself stays as it is.
void Server::WhileBusy(const Session& running) {
  constexpr int64_t kBetweenLooksUs = 5000;
  int64_t now_us = clock_->MonotonicUs();
  if (now_us < next_look_us_) return;
  busy_ = &running;
  std::vector<pollfd> sockets;
  std::vector<uint64_t> sessions;
  for (const auto& listener : listeners_) sockets.push_back({listener->fd, POLLIN, 0});
  for (auto& [id, connection] : connections_) {
    if (&connection->session() == busy_ || !connection->reading()) continue;
    sockets.push_back({connection->session().fd, POLLIN, 0});
    sessions.push_back(id);
  }
  size_t listening = listeners_.size();
  if (::poll(sockets.data(), sockets.size(), 0) > 0) {
    for (size_t i = 0; i < sockets.size(); ++i) {
      if (!sockets[i].revents) continue;
      if (i < listening) {
        Accept(listeners_[i].get());
      } else if (Connection* connection = Find(sessions[i - listening])) {
        connection->ReadWhileBusy();
      }
    }
  }
  ReleaseHeld();
  busy_ = nullptr;
  next_look_us_ = clock_->MonotonicUs() + kBetweenLooksUs;
}

void Server::LogAt(int level, std::string_view line) {
  log_->Write(static_cast<Logger::Level>(level), line);
}

void Server::Log(std::string_view line) { log_->Write(Logger::Level::kNotice, line); }

std::string Server::Apply(std::string_view directive) {
  if (directive == "appendfsync") store_->SetPolicy(config_.appendfsync);
  if (directive == "loglevel") log_->set_level(Logger::Parse(config_.loglevel));
  if (directive == "proto-max-bulk-len") {
    for (auto& [id, connection] : connections_) connection->LimitsChanged();
  }
  if (directive != "port" && directive != "bind") return {};
  // The old listeners go first: they may hold the address that is asked for.
  CloseListeners();
  Status status = OpenListeners();
  return status.ok() ? std::string() : status.message();
}

}  // namespace sluice
