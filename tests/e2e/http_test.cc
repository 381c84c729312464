// What a scraper gets from metrics-port.
#include <arpa/inet.h>

#include <cctype>
#include <map>
#include <set>

#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

std::string Http(int port, const std::string& request) {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  std::string reply;
  char buffer[4096];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
    reply.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return reply;
}

std::string Ask(int port, const std::string& method, const std::string& path) {
  return Http(port, method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

// Goes through a text of Prometheus's format by its rules; the samples by name and labels.
class Samples {
 public:
  explicit Samples(const std::string& text) {
    REQUIRE(text.ends_with("\n"));
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) Line(line);
  }
  std::string operator[](const std::string& name) const {
    auto it = values_.find(name);
    return it == values_.end() ? "(none)" : it->second;
  }

 private:
  static size_t NameEnd(const std::string& s, size_t from = 0) {
    size_t i = from;
    while (i < s.size() && (std::isalnum(static_cast<unsigned char>(s[i])) || s[i] == '_')) ++i;
    REQUIRE(i > from);
    REQUIRE(!std::isdigit(static_cast<unsigned char>(s[from])));
    return i;
  }

  void Line(const std::string& line) {
    INFO(line);
    if (line.starts_with("# HELP ")) {
      metric_ = line.substr(7, NameEnd(line, 7) - 7);
      CHECK(metrics_.insert(metric_).second);  // all samples of a metric stand together
      return;
    }
    if (line.starts_with("# TYPE ")) {
      size_t end = NameEnd(line, 7);
      CHECK(line.substr(7, end - 7) == metric_);
      bool counter = line.substr(end) == " counter";
      CHECK((counter || line.substr(end) == " gauge"));
      CHECK(counter == metric_.ends_with("_total"));
      return;
    }
    size_t at = NameEnd(line);
    CHECK(line.substr(0, at) == metric_);
    if (line[at] == '{') at = Labels(line, at + 1);
    REQUIRE(line[at] == ' ');
    std::string value = line.substr(at + 1);
    size_t read = 0;
    (void)std::stod(value, &read);
    CHECK(read == value.size());
    CHECK(values_.emplace(line.substr(0, at), value).second);
  }

  static size_t Labels(const std::string& line, size_t at) {
    while (true) {
      at = NameEnd(line, at);
      REQUIRE(line.compare(at, 2, "=\"") == 0);
      for (at += 2; at < line.size() && line[at] != '"'; ++at) {
        CHECK(static_cast<unsigned char>(line[at]) < 0x80);
        if (line[at] == '\\') ++at;
      }
      REQUIRE(at + 1 < line.size());
      if (line[++at] == '}') return at + 1;
      REQUIRE(line[at++] == ',');
    }
  }

  std::string metric_;
  std::set<std::string> metrics_;
  std::map<std::string, std::string> values_;
};

}  // namespace

TEST_SUITE("metrics") {
  TEST_CASE("numbers of the server and of its queues, without a password") {
    int port = FreePort();
    Server server({"--metrics-port", std::to_string(port), "--requirepass", "secret"});
    Client c(server.port());
    CHECK(c("AUTH secret") == "OK");
    c.Do({"XGROUP", "CREATE", "a \"b\",=%\\\xff\n", "g,1", "$", "MKSTREAM"});
    c("XGROUP CREATE s g $ MKSTREAM");
    c("XADD s 1-1 f v");
    c("XADD s 1-2 f v");
    c("XREADGROUP GROUP g w COUNT 1 STREAMS s >");
    c("RPUSH plain x");
    c("RPUSH q a b");
    c("LMPOP 1 q LEFT LEASE 60000");
    c("EVAL return{err='WEIRD\"x\\\\'} 0");
    std::string reply = Ask(port, "GET", "/metrics");
    CHECK(reply.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(reply.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") !=
          std::string::npos);
    Samples s(reply.substr(reply.find("\r\n\r\n") + 4));
    CHECK(s["sluice_connected_clients"] == "2");
    CHECK(s["sluice_command_calls_total{command=\"xadd\"}"] == "2");
    CHECK(s["sluice_keys{db=\"0\"}"] == "4");
    CHECK(s["sluice_lsn_behind"] == "0");
    CHECK(s["sluice_queues_left_out"] == "0");
    CHECK(s["sluice_group_length{db=\"0\",key=\"s\",group=\"g\"}"] == "2");
    CHECK(s["sluice_group_lag{db=\"0\",key=\"s\",group=\"g\"}"] == "1");
    CHECK(s["sluice_group_pending{db=\"0\",key=\"s\",group=\"g\"}"] == "1");
    CHECK(s["sluice_group_lag{db=\"0\",key=\"a%20%22b%22%2C%3D%25%5C%FF%0A\",group=\"g%2C1\"}"] ==
          "0");
    CHECK(s["sluice_list_length{db=\"0\",key=\"q\"}"] == "1");
    CHECK(s["sluice_list_leased{db=\"0\",key=\"q\"}"] == "1");
    CHECK(s["sluice_list_length{db=\"0\",key=\"plain\"}"] == "(none)");
    CHECK(c("CLIENT LIST").find("cmd=info") == std::string::npos);
  }

  TEST_CASE("paths and methods") {
    int port = FreePort();
    Server server({"--metrics-port", std::to_string(port)});
    CHECK(Ask(port, "GET", "/").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(Ask(port, "GET", "/").find("/metrics") != std::string::npos);
    CHECK(Ask(port, "GET", "/metrics?x=y").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(Ask(port, "GET", "/metrics/").starts_with("HTTP/1.1 404 "));
    CHECK(Ask(port, "GET", "/x").starts_with("HTTP/1.1 404 "));
    std::string head = Ask(port, "HEAD", "/metrics");
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
      CHECK(Ask(port, method, "/metrics").starts_with("HTTP/1.1 405 "));
    }
    CHECK(Http(port, "GET /metrics HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200 OK\r\n"));
    std::string large(20000, 'x');
    std::string refused =
        Http(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + large + "\r\n\r\n");
    CHECK(!refused.starts_with("HTTP/1.1 200"));
    Client c(server.port());
    CHECK(c("CLIENT PAUSE 60000 ALL") == "OK");
    CHECK(Ask(port, "GET", "/metrics").starts_with("HTTP/1.1 503 "));
    CHECK(c("CLIENT UNPAUSE") == "OK");
    CHECK(Ask(port, "GET", "/metrics").starts_with("HTTP/1.1 200 OK\r\n"));
  }

  TEST_CASE("a port that is taken is said at the start") {
    Server first;
    Server second({"--metrics-port", std::to_string(first.port())});
    CHECK(!second.running());
    CHECK(second.LogText().find("cannot serve metrics at 127.0.0.1:") != std::string::npos);
  }
}
