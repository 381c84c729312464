// A server of one's own, in a process of its own, and clients that speak to it with hiredis.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "resp/reply_reader.h"

namespace sluice::e2e {

inline int FreePort() {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  ::close(fd);
  return ntohs(at.sin_port);
}

class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "sluice-e2e-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One connection. Replies as text: see Text.
class Client {
 public:
  explicit Client(int port) : context_(::redisConnect("127.0.0.1", port)) { Check(); }
  explicit Client(const std::string& socket) : context_(::redisConnectUnix(socket.c_str())) {
    Check();
  }
  ~Client() {
    if (context_) ::redisFree(context_);
  }
  Client(const Client&) = delete;

  // Sends one command and awaits its reply; "(lost)" when the connection ends instead.
  std::string Do(const std::vector<std::string>& words) {
    Send(words);
    return Receive();
  }
  // "SET key value": for words without blanks.
  std::string operator()(const std::string& line) { return Do(Words(line)); }

  void Send(const std::vector<std::string>& words) {
    std::vector<const char*> argv;
    std::vector<size_t> sizes;
    for (const std::string& word : words) {
      argv.push_back(word.data());
      sizes.push_back(word.size());
    }
    ::redisAppendCommandArgv(context_, static_cast<int>(argv.size()), argv.data(), sizes.data());
    int done = 0;
    while (!done && ::redisBufferWrite(context_, &done) == REDIS_OK) {
    }
  }
  void Send(const std::string& line) { Send(Words(line)); }

  std::string Receive() {
    void* reply = nullptr;
    if (::redisGetReply(context_, &reply) != REDIS_OK) return "(lost)";
    std::string text = Text(*static_cast<redisReply*>(reply));
    ::freeReplyObject(reply);
    return text;
  }

  int fd() const { return context_->fd; }
  // Ends the connection without a word.
  void Vanish() {
    ::redisFree(context_);
    context_ = nullptr;
  }

 private:
  void Check() { REQUIRE_MESSAGE((context_ && !context_->err), "cannot connect"); }
  static std::vector<std::string> Words(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
  }
  static std::string Text(const redisReply& r) {
    switch (r.type) {
      case REDIS_REPLY_NIL:
        return "(nil)";
      case REDIS_REPLY_INTEGER:
        return std::to_string(r.integer);
      case REDIS_REPLY_ARRAY: {
        std::string out = "[";
        for (size_t i = 0; i < r.elements; ++i) out += (i ? " " : "") + Text(*r.element[i]);
        return out + "]";
      }
      default:
        return std::string(r.str, r.len);
    }
  }
  redisContext* context_;
};

class Server {
 public:
  explicit Server(std::vector<std::string> options = {}) : options_(std::move(options)) {
    port_ = FreePort();
    Start();
  }
  ~Server() { Kill(); }

  void Start() {
    const char* program = std::getenv("SLUICE");
    std::vector<std::string> line = {program ? program : "build/sluice",
                                     "--port",
                                     std::to_string(port_),
                                     "--dir",
                                     dir_.path(),
                                     "--logfile",
                                     log()};
    line.insert(line.end(), options_.begin(), options_.end());
    pid_ = ::fork();
    if (pid_ == 0) {
      std::vector<char*> argv;
      for (std::string& word : line) argv.push_back(word.data());
      argv.push_back(nullptr);
      int null = ::open("/dev/null", O_RDWR);
      ::dup2(null, 2);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    for (int i = 0; i < 2000 && !Answers(); ++i) {
      int status;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        exit_status_ = WEXITSTATUS(status);
        pid_ = 0;
        return;
      }
      ::usleep(5000);
    }
  }

  // Ends it with a signal; returns its exit status, or -1 when it died of the signal.
  int Stop(int signal = SIGTERM) {
    if (!pid_) return exit_status_;
    ::kill(pid_, signal);
    return Wait();
  }
  int Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void Kill() { Stop(SIGKILL); }
  void Restart(int signal = SIGKILL) {
    Stop(signal);
    Start();
  }

  bool running() const { return pid_ != 0; }
  int port() const { return port_; }
  int exit_status() const { return exit_status_; }
  const std::string& dir() const { return dir_.path(); }
  std::string log() const { return dir_.path() + "/log"; }
  std::string LogText() const {
    std::ifstream in(log());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // A line of /proc/pid/status, in kB.
  long Memory(const std::string& field) const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with(field + ":")) return std::atol(line.c_str() + field.size() + 1);
    }
    return -1;
  }

 private:
  bool Answers() const {
    redisContext* c = ::redisConnect("127.0.0.1", port_);
    bool ok = c && !c->err;
    if (c) ::redisFree(c);
    return ok;
  }
  std::vector<std::string> options_;
  TempDir dir_;
  int port_;
  pid_t pid_ = 0;
  int exit_status_ = 0;
};

// Waits until a client's question has an answer: for what another connection causes.
inline void Until(Client& client, const std::string& question, const std::string& answer) {
  std::string last;
  for (int i = 0; i < 2000; ++i) {
    if ((last = client(question)).find(answer) != std::string::npos) return;
    ::usleep(2000);
  }
  FAIL(question, " never said ", answer, " but ", last);
}

}  // namespace sluice::e2e
