// A load for `make bench`: producers and consumers, each on a connection of its own, all in one
// thread. Speaks to any Redis.
//
//   build/lifecycle PORT MESSAGES [PRODUCERS CONSUMERS [KIND]]
//
//   stream  XADD, XREADGROUP, XACK
//   policy  the same under a policy: VISIBILITY, BACKOFF, MAXDELIVERIES, DEADLETTER
//   move    RPUSH, BLMOVE, LREM
//   lease   RPUSH, BLMPOP ... LEASE, LLEASE ACK
//
// Prints "messages/s p50-ms p99-ms" of the way from a message's send to its acknowledgement's
// answer.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "resp/reply_reader.h"

namespace {

using sluice::resp::Reply;
using sluice::resp::ReplyReader;

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string Command(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return out;
}

struct Client {
  int fd = -1;
  bool producer = false;
  std::string name;
  ReplyReader reader;
  std::vector<int64_t> acking;  // when the entries being acknowledged were sent
};

constexpr const char* kPayload =
    "a hundred bytes or so of something that somebody wants to have done soon";

class Load {
 public:
  Load(int port, int messages, int producers, int consumers, const std::string& kind)
      : kind_(kind),
        messages_(messages),
        epoll_(epoll_create1(0)),
        clients_(producers + consumers) {
    Client setup;
    Connect(&setup, port);
    Send(setup, Command({"DEL", "bench", "taken"}));
    Await(&setup);
    if (kind == "stream" || kind == "policy") {
      Send(setup, Command({"XGROUP", "CREATE", "bench", "g", "$", "MKSTREAM"}));
      Await(&setup);
    }
    if (kind == "policy") {
      Send(setup, Command({"XGROUP", "CFGSET", "bench", "g", "VISIBILITY", "60000", "BACKOFF", "1",
                           "1000", "MAXDELIVERIES", "5", "DEADLETTER", "dead"}));
      Await(&setup);
    }
    close(setup.fd);
    for (size_t i = 0; i < clients_.size(); ++i) {
      Client& c = clients_[i];
      Connect(&c, port);
      c.producer = static_cast<int>(i) < producers;
      c.name = "c" + std::to_string(i);
      epoll_event event{EPOLLIN, {.ptr = &c}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
    }
  }

  void Run() {
    int64_t began = NowUs();
    for (Client& c : clients_) c.producer ? Produce(c) : Consume(c);
    while (static_cast<int>(latencies_.size()) < messages_) {
      epoll_event events[64];
      int n = epoll_wait(epoll_, events, 64, 10'000);
      if (n <= 0) Die("no answer for ten seconds");
      for (int i = 0; i < n; ++i) OnReadable(*static_cast<Client*>(events[i].data.ptr));
    }
    double seconds = static_cast<double>(NowUs() - began) / 1e6;
    std::sort(latencies_.begin(), latencies_.end());
    auto at = [&](double q) {
      return static_cast<double>(latencies_[static_cast<size_t>(q * (latencies_.size() - 1))]) /
             1e3;
    };
    std::printf("%.0f %.3f %.3f\n", messages_ / seconds, at(0.5), at(0.99));
  }

 private:
  [[noreturn]] static void Die(const char* what) {
    std::fprintf(stderr, "lifecycle: %s\n", what);
    std::exit(1);
  }

  static void Connect(Client* c, int port) {
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) Die("cannot connect");
  }

  static void Send(const Client& c, const std::string& bytes) {
    if (send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
      Die("cannot send");
    }
  }

  static void Fill(Client* c) {
    char buffer[65536];
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    if (n <= 0) Die("connection lost");
    c->reader.Feed({buffer, static_cast<size_t>(n)});
  }

  static void Await(Client* c) {
    Reply reply;
    while (c->reader.Next(&reply) != ReplyReader::Outcome::kReply) Fill(c);
  }

  void Produce(Client& c) {
    if (sent_ == messages_) return;
    ++sent_;
    std::string sent = std::to_string(NowUs());
    if (kind_ == "move" || kind_ == "lease")
      return Send(c, Command({"RPUSH", "bench", sent + " " + kPayload}));
    Send(c, Command({"XADD", "bench", "*", "sent", sent, "payload", kPayload}));
  }

  void Consume(Client& c) {
    if (kind_ == "move")
      return Send(c, Command({"BLMOVE", "bench", "taken", "LEFT", "RIGHT", "1"}));
    if (kind_ == "lease") {
      return Send(c, Command({"BLMPOP", "1", "1", "bench", "LEFT", "LEASE", "60000"}));
    }
    Send(c, Command({"XREADGROUP", "GROUP", "g", c.name, "COUNT", "10", "BLOCK", "1000", "STREAMS",
                     "bench", ">"}));
  }

  void OnReadable(Client& c) {
    Fill(&c);
    Reply reply;
    while (c.reader.Next(&reply) == ReplyReader::Outcome::kReply) {
      if (reply.type == Reply::Type::kError) Die(reply.text.c_str());
      if (c.producer) {
        Produce(c);
      } else if (!c.acking.empty()) {
        int64_t now = NowUs();
        for (int64_t sent : c.acking) latencies_.push_back(now - sent);
        c.acking.clear();
        Consume(c);
      } else if (reply.elements.empty() && reply.text.empty()) {
        Consume(c);  // timed out
      } else {
        Acknowledge(c, reply);
      }
    }
  }

  void Acknowledge(Client& c, const Reply& reply) {
    if (kind_ == "move") {
      c.acking.push_back(std::atoll(reply.text.c_str()));
      return Send(c, Command({"LREM", "taken", "1", reply.text}));
    }
    if (kind_ == "lease") {
      const Reply& lease = reply.elements[1].elements[0];
      c.acking.push_back(std::atoll(lease.elements[1].text.c_str()));
      return Send(c, Command({"LLEASE", "ACK", "bench", "IDS", "1", lease.elements[0].text}));
    }
    std::vector<std::string> words = {"XACK", "bench", "g"};
    for (const Reply& entry : reply.elements[0].elements[1].elements) {
      words.push_back(entry.elements[0].text);
      c.acking.push_back(std::atoll(entry.elements[1].elements[1].text.c_str()));
    }
    Send(c, Command(words));
  }

  std::string kind_;
  int messages_;
  int sent_ = 0;
  int epoll_;
  std::vector<Client> clients_;
  std::vector<int64_t> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3)
    return std::fprintf(stderr, "usage: lifecycle PORT MESSAGES [PRODUCERS CONSUMERS [KIND]]\n"), 2;
  int producers = argc > 3 ? std::atoi(argv[3]) : 20,
      consumers = argc > 4 ? std::atoi(argv[4]) : 20;
  std::string kind = argc > 5 ? argv[5] : "stream";
  Load(std::atoi(argv[1]), std::atoi(argv[2]), producers, consumers, kind).Run();
}
