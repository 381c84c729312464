#include "src/net/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/net/server.h"

namespace sluice {
namespace {

// A connection's share of a turn: so many bytes read, so many requests executed.
constexpr size_t kReadShare = 64 * 1024;
constexpr size_t kLargestRead = 1 << 20;  // towards a large argument whose size is known
constexpr int kRequestShare = 10'000;
// A client that does not read its replies is not read from either beyond this.
constexpr size_t kPauseOutput = 32 << 20;

}  // namespace

Connection::Connection(Server* server, Session* session, int fd)
    : server_(server), session_(session), fd_(fd) {
  session->connection = this;
  session->fd = fd;
  LimitsChanged();
  readable_ = event_new(server->base(), fd, EV_READ | EV_PERSIST, OnReadable, this);
  writable_ = event_new(server->base(), fd, EV_WRITE | EV_PERSIST, OnWritable, this);
  WatchReading(true);
}

Connection::~Connection() {
  event_free(readable_);
  event_free(writable_);
  ::close(fd_);
}

void Connection::WatchReading(bool on) {
  if (on == reading_) return;
  reading_ = on;
  on ? event_add(readable_, nullptr) : event_del(readable_);
}

void Connection::OnReadable(evutil_socket_t, short, void* self) {
  static_cast<Connection*>(self)->Read();
}

void Connection::Read() {
  server_->BeginTurn();
  if (finished_) return;
  // Most requests arrive whole: they are read into memory that all connections share, and only what
  // is incomplete moves to this connection's own.
  bool shared = in_.empty() && !server_->busy();
  size_t want = kReadShare;
  if (!shared) {
    size_t missing = parser_.wanted() > in_.size() ? parser_.wanted() - in_.size() : 0;
    want = std::clamp(missing, size_t{16 * 1024}, kLargestRead);
    if (missing > kLargestRead && in_.capacity() < parser_.wanted()) in_.Reserve(missing);
  }
  char* to = shared ? server_->read_buffer(kReadShare) : in_.Reserve(want);
  ssize_t n = ::read(fd_, to, want);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n == 0 && held_ + sendable_ > 0 && !session_->blocked) {
    // It has said its last word, but may still listen for the answer, which waits for the disk.
    session_->close_after_reply = true;
    WatchReading(false);
    return;
  }
  if (n <= 0) {
    finished_ = true;
    server_->Finished(this);
    return;
  }
  session_->bytes_in += n;
  server_->engine().stats().bytes_in += n;
  ++server_->engine().stats().reads;
  if (shared) {
    std::string_view input(to, n);
    in_.Append(input.substr(Process(input)));
  } else {
    in_.Commit(n);
    in_.Consume(Process(in_.view()));
    if (in_.empty()) in_.Shrink();
  }
  if (in_.size() > static_cast<size_t>(server_->config().client_query_buffer_limit)) {
    ++server_->engine().stats().query_limit_disconnections;
    session_->close_now = true;
    server_->engine().Touch(*session_);
  }
}

void Connection::ReadWhileBusy() {
  bool settled = session_->out.size() == sendable_ && held_ == 0;
  Read();
  if (finished_ || !settled || session_->close_now) return;
  sendable_ = session_->out.size();
  Send();
  if (finished_) server_->Finished(this);
}

bool Connection::Paused() const {
  return session_->blocked || session_->close_after_reply || session_->close_now ||
         session_->out.size() >= kPauseOutput;
}

size_t Connection::Process(std::string_view input) {
  Engine& engine = server_->engine();
  size_t done = 0;
  for (int left = kRequestShare; !Paused(); --left) {
    if (left == 0) {
      server_->RunAgain(session_);
      break;
    }
    parser_.set_authenticated(!engine.MustAuthenticate(*session_));
    auto outcome = parser_.Parse(input.substr(done));
    if (outcome == resp::RequestParser::Outcome::kError) {
      engine.ProtocolError(*session_, parser_.error());
      return input.size();
    }
    done += parser_.consumed();
    if (outcome == resp::RequestParser::Outcome::kNeedMore) break;
    engine.Execute(*session_, parser_.args());
    engine.SealIfLarge();
  }
  if (session_->out.size() > held_ + sendable_) CheckOutputLimit();
  return done;
}

void Connection::Resume() {
  if (finished_) return;
  if (!Paused()) WatchReading(true);
  if (in_.empty()) return;
  in_.Consume(Process(in_.view()));
  if (in_.empty()) in_.Shrink();
}

// Redis's client-output-buffer-limit.
void Connection::CheckOutputLimit() {
  const Config& config = server_->config();
  const Config::OutputLimit& limit =
      session_->subscriptions ? config.output_pubsub : config.output_normal;
  int64_t size = static_cast<int64_t>(session_->out.size());
  bool over = limit.hard && size >= limit.hard;
  if (limit.soft && size >= limit.soft) {
    int64_t now = server_->engine().now_ms();
    if (!over_soft_limit_since_ms_) over_soft_limit_since_ms_ = now;
    server_->WatchLimits();
    over = over || now - over_soft_limit_since_ms_ > limit.soft_seconds * 1000;
  } else {
    over_soft_limit_since_ms_ = 0;
  }
  if (!over) return;
  ++server_->engine().stats().output_limit_disconnections;
  session_->close_now = true;
  server_->engine().Touch(*session_);
}

bool Connection::Settle(Lsn lsn, Lsn released) {
  if (finished_) return false;
  if (session_->close_now) return !(finished_ = true);
  size_t fresh = session_->out.size() - sendable_ - held_;
  if (fresh > 0) {
    CheckOutputLimit();
    if (session_->close_now) return !(finished_ = true);
    if (released >= lsn && held_ == 0) {
      sendable_ += fresh;
      Send();
    } else {
      held_ += fresh;
      server_->Hold(lsn, session_->id, fresh);
    }
  }
  if (finished_) return false;
  if (session_->close_after_reply && session_->out.empty()) return !(finished_ = true);
  if (!session_->blocked && !in_.empty() && !Paused() && parser_.wanted() <= in_.size()) {
    server_->RunAgain(session_);
  }
  // A client that does not take its replies is left waiting; one that is blocked is still read
  // from, so that its end is noticed.
  WatchReading(session_->out.size() < kPauseOutput && !session_->close_after_reply);
  return true;
}

bool Connection::Release(size_t bytes) {
  if (finished_) return false;
  held_ -= bytes;
  sendable_ += bytes;
  Send();
  if (!finished_ && session_->close_after_reply && session_->out.empty()) finished_ = true;
  return !finished_;
}

bool Connection::StillConnected() const {
  pollfd p{fd_, POLLRDHUP, 0};
  return ::poll(&p, 1, 0) == 0;
}

void Connection::Send() {
  // What was popped for a blocked client must not vanish with it.
  if (session_->put_back && !StillConnected()) {
    finished_ = true;
    return;
  }
  while (sendable_ > 0) {
    std::string_view bytes = session_->out.view().substr(0, sendable_);
    ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        finished_ = true;
        return;
      }
      if (!writing_) event_add(writable_, nullptr);
      writing_ = true;
      return;
    }
    sendable_ -= n;
    session_->bytes_out += n;
    server_->engine().stats().bytes_out += n;
    ++server_->engine().stats().writes;
    session_->out.Consume(n);
  }
  session_->put_back.reset();
  session_->out.Shrink();
  if (writing_) event_del(writable_);
  writing_ = false;
}

void Connection::OnWritable(evutil_socket_t, short, void* self_pointer) {
  auto* self = static_cast<Connection*>(self_pointer);
  self->server_->BeginTurn();
  if (self->finished_) return;
  self->Send();
  if (self->session_->close_after_reply && self->session_->out.empty()) self->finished_ = true;
  if (self->finished_) return self->server_->Finished(self);
  if (self->session_->out.size() < kPauseOutput) self->server_->RunAgain(self->session_);
}

void Connection::SendLast() {
  sendable_ += held_;
  held_ = 0;
  sendable_ = session_->out.size();
  pollfd p{fd_, POLLOUT, 0};
  if (sendable_ > 0 && ::poll(&p, 1, 100) == 1) Send();
}

void Connection::LimitsChanged() {
  parser_.set_max_bulk(static_cast<size_t>(server_->config().proto_max_bulk_len));
}

void Connection::Measure() {
  session_->query_buffer = in_.size();
  session_->query_buffer_free = in_.capacity() - in_.size();
}

}  // namespace sluice
