// Listening and accepting.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/net/server.h"

namespace sluice {
namespace {

constexpr int kAcceptsPerTurn = 1000;

constexpr std::string_view kProtected =
    "-DENIED Sluice is running in protected mode: no password is set, so only clients on the same "
    "machine are served. Set a password (requirepass) or turn protected-mode off.\r\n";
constexpr std::string_view kTooMany = "-ERR max number of clients reached\r\n";

// "127.0.0.1:6379", "[::1]:6379".
std::string Spell(const sockaddr_storage& address, bool* loopback) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    *loopback = (ntohl(in.sin_addr.s_addr) >> 24) == 127;
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  auto& in = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
  *loopback = IN6_IS_ADDR_LOOPBACK(&in.sin6_addr) ||
              (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr) && in.sin6_addr.s6_addr[12] == 127);
  return "[" + std::string(text) + "]:" + std::to_string(ntohs(in.sin6_port));
}

void SetKeepalive(int fd, int seconds) {
  int one = 1, probes = 3, interval = std::max(1, seconds / 3);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

Status Server::OpenListeners() {
  if (config_.port != 0) {
    for (const std::string& address : config_.bind) TRY(ListenTcp(address));
    if (listeners_.empty()) {
      return Status(Code::kIoError, "could not listen on port " + std::to_string(config_.port) +
                                        " at any of the addresses of `bind`");
    }
  }
  if (!config_.unixsocket.empty()) TRY(ListenUnix());
  if (listeners_.empty()) {
    return Status(Code::kInvalid, "nothing to listen on: port is 0 and there is no unixsocket");
  }
  return Status::Ok();
}

// An address that begins with '-' may be missing on this machine; '*' and '::*' are all of them.
Status Server::ListenTcp(const std::string& spelled) {
  bool optional = spelled.starts_with('-');
  std::string address = optional ? spelled.substr(1) : spelled;
  if (address == "*") address = "0.0.0.0";
  if (address == "::*") address = "::";
  sockaddr_storage to{};
  socklen_t size;
  auto port = htons(static_cast<uint16_t>(config_.port));
  auto& in4 = reinterpret_cast<sockaddr_in&>(to);
  auto& in6 = reinterpret_cast<sockaddr_in6&>(to);
  if (inet_pton(AF_INET, address.c_str(), &in4.sin_addr) == 1) {
    in4.sin_family = AF_INET;
    in4.sin_port = port;
    size = sizeof in4;
  } else if (inet_pton(AF_INET6, address.c_str(), &in6.sin6_addr) == 1) {
    in6.sin6_family = AF_INET6;
    in6.sin6_port = port;
    size = sizeof in6;
  } else {
    return Status(Code::kInvalid, "bind: '" + address + "' is not an IP address");
  }

  int fd = ::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  bool ok = fd >= 0;
  ok = ok && ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
  if (ok && to.ss_family == AF_INET6) {
    ok = ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0;
  }
  ok = ok && ::bind(fd, reinterpret_cast<sockaddr*>(&to), size) == 0 &&
       ::listen(fd, static_cast<int>(config_.tcp_backlog)) == 0;
  if (!ok) {
    int error = errno;
    if (fd >= 0) ::close(fd);
    bool absent = error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT;
    if (optional && absent) return Status::Ok();
    return Status::FromErrno(
        error, "could not listen on " + address + " port " + std::to_string(config_.port));
  }
  port_ = static_cast<int>(config_.port);
  AddListener(fd, false);
  return Status::Ok();
}

Status Server::ListenUnix() {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (config_.unixsocket.size() >= sizeof to.sun_path) {
    return Status(Code::kInvalid, "unixsocket: the path is too long");
  }
  std::strcpy(to.sun_path, config_.unixsocket.c_str());
  ::unlink(to.sun_path);
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 ||
      ::listen(fd, static_cast<int>(config_.tcp_backlog)) != 0) {
    int error = errno;
    if (fd >= 0) ::close(fd);
    return Status::FromErrno(error, "could not listen on " + config_.unixsocket);
  }
  if (config_.unixsocketperm) {
    ::chmod(to.sun_path, static_cast<mode_t>(config_.unixsocketperm));
  }
  AddListener(fd, true);
  return Status::Ok();
}

void Server::AddListener(int fd, bool unix_socket) {
  auto listener = std::make_unique<Listener>();
  listener->fd = fd;
  listener->unix_socket = unix_socket;
  listener->server = this;
  listener->readable = event_new(base_, fd, EV_READ | EV_PERSIST, OnAcceptable, listener.get());
  event_add(listener->readable, nullptr);
  listeners_.push_back(std::move(listener));
}

void Server::CloseListeners() {
  for (auto& listener : listeners_) {
    event_free(listener->readable);
    ::close(listener->fd);
    if (listener->unix_socket) ::unlink(config_.unixsocket.c_str());
  }
  listeners_.clear();
}

void Server::OnAcceptable(evutil_socket_t, short, void* listener_pointer) {
  auto* listener = static_cast<Listener*>(listener_pointer);
  listener->server->BeginTurn();
  listener->server->Accept(listener);
}

void Server::Accept(Listener* listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    int fd = ::accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Adopt(fd, *listener);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;  // none left; or no descriptors, and the backlog waits until there are
    }
  }
}

bool Server::Refuse(int fd, const Listener& listener, bool from_loopback) {
  std::string_view text;
  if (static_cast<int64_t>(connections_.size()) >= config_.maxclients) {
    text = kTooMany;
  } else if (config_.protected_mode && engine_->acl().default_user()->no_password() &&
             !listener.unix_socket && !from_loopback) {
    text = kProtected;
  } else {
    return false;
  }
  (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(fd);
  ++engine_->stats().rejected_connections;
  return true;
}

void Server::Adopt(int fd, const Listener& listener) {
  sockaddr_storage peer{}, local{};
  std::string peer_name, local_name;
  bool loopback = true, ignored;
  if (listener.unix_socket) {
    peer_name = local_name = config_.unixsocket + ":0";
  } else {
    socklen_t size = sizeof peer;
    ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size);
    size = sizeof local;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
    peer_name = Spell(peer, &loopback);
    local_name = Spell(local, &ignored);
  }
  if (Refuse(fd, listener, loopback)) return;
  if (!listener.unix_socket) {
    int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (config_.tcp_keepalive) SetKeepalive(fd, static_cast<int>(config_.tcp_keepalive));
  }
  Session* session = engine_->NewSession();
  session->address = peer_name;
  session->local_address = local_name;
  session->is_unix_socket = listener.unix_socket;
  connections_.emplace(session->id, std::make_unique<Connection>(this, session, fd));
}

}  // namespace sluice
