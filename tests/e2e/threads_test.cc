// A whole server inside this process, on a thread of its own, with the journal's and the
// checkpoint's threads under it and clients on further ones: what ThreadSanitizer should look at.
#include <thread>

#include "src/net/server.h"
#include "tests/e2e/fixture.h"

using namespace sluice;
using e2e::Client;

namespace {

class Embedded {
 public:
  Embedded(const std::string& dir, FsyncPolicy policy) : log_(dir + "/log") {
    Config config;
    config.dir = dir;
    config.appendfsync = policy;
    config.bind = {"127.0.0.1"};
    config.port = port_ = e2e::FreePort();
    auto server = sluice::Server::Open(config, &clock_, &log_);
    REQUIRE_MESSAGE(server.ok(), server.status().message());
    server_ = std::move(server.value());
    thread_ = std::thread([this] { status_ = server_->Run(); });
  }
  ~Embedded() {
    server_->Stop();
    thread_.join();
    CHECK(status_.ok());
  }
  int port() const { return port_; }

 private:
  SystemClock clock_;
  Logger log_;
  int port_;
  std::unique_ptr<sluice::Server> server_;
  std::thread thread_;
  Status status_;
};

}  // namespace

TEST_SUITE("threads") {
  TEST_CASE(
      "several clients, every policy, checkpoints in between, and all of it is there afterwards") {
    e2e::TempDir dir;
    int expected = 0;
    for (FsyncPolicy policy : {FsyncPolicy::kAlways, FsyncPolicy::kEverySec, FsyncPolicy::kNo}) {
      Embedded server(dir.path(), policy);
      std::vector<std::thread> clients;
      for (int t = 0; t < 3; ++t) {
        clients.emplace_back([&] {
          Client c(server.port());
          for (int i = 0; i < 300; ++i) c.Send("RPUSH q " + std::string(200, 'x'));
          for (int i = 0; i < 300; ++i) c.Receive();
        });
      }
      Client c(server.port());
      for (int i = 0; i < 5; ++i) CHECK(c("SAVE") == "OK");
      CHECK(c("CONFIG SET appendfsync everysec") == "OK");
      CHECK(c("CONFIG SET appendfsync always") == "OK");
      for (std::thread& client : clients) client.join();
      expected += 900;
      CHECK(c("LLEN q") == std::to_string(expected));
    }
  }

  TEST_CASE("two servers in one process do not know of each other") {
    e2e::TempDir one_dir, two_dir;
    Embedded one(one_dir.path(), FsyncPolicy::kAlways), two(two_dir.path(), FsyncPolicy::kAlways);
    Client a(one.port()), b(two.port());
    CHECK(a("SET k 1") == "OK");
    CHECK(b("GET k") == "(nil)");
  }
}
