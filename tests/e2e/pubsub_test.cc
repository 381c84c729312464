// Messages: not before the change they tell of is durable, and not without end to a client that
// does not read.
#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

// Runs the servers started while it lives with a disk whose syncs can be made to fail.
class FailingDisk {
 public:
  FailingDisk() {
    const char* library = std::getenv("POWERCUT");
    Set("LD_PRELOAD", library ? library : "build/libpowercut.so");
    Set("POWERCUT_FSYNC_FAIL", control());
    Set("POWERCUT_LOG", dir_.path() + "/log");
    Set("ASAN_OPTIONS", "verify_asan_link_order=0");
    std::ofstream(control()).close();
  }
  ~FailingDisk() {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
  }
  // The directory whose files are meant is known only when the server is there.
  void Watch(const std::string& dir) { Set("POWERCUT_DIR", dir); }
  // From now on every sync fails.
  void Break() { std::ofstream(control()) << "1+"; }

 private:
  std::string control() const { return dir_.path() + "/control"; }
  void Set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    names_.push_back(name);
  }
  TempDir dir_;
  std::vector<std::string> names_;
};

// A client that is sent more than it reads: what its socket takes is little.
void Narrow(const Client& client) {
  int size = 4096;
  ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

}  // namespace

TEST_SUITE("pubsub") {
  TEST_CASE("a message about a write arrives, and the write is there") {
    Server server({"--notify-keyspace-events", "KEA"});
    Client listener(server.port()), writer(server.port());
    CHECK(listener("SUBSCRIBE __keyevent@0__:rpush done") == "[subscribe __keyevent@0__:rpush 1]");
    CHECK(listener.Receive() == "[subscribe done 2]");
    CHECK(writer("RPUSH q a") == "1");
    CHECK(listener.Receive() == "[message __keyevent@0__:rpush q]");
    writer.Send("MULTI");
    writer.Send("RPUSH q b");
    writer.Send("PUBLISH done b");
    writer.Send("EXEC");
    CHECK(listener.Receive() == "[message __keyevent@0__:rpush q]");
    CHECK(listener.Receive() == "[message done b]");
    server.Restart(SIGKILL);
    CHECK(Client(server.port())("LRANGE q 0 -1") == "[a b]");
  }

  TEST_CASE("what does not become durable is told to nobody") {
    FailingDisk disk;
    Server server({"--notify-keyspace-events", "KEA"});
    server.Stop();
    disk.Watch(server.dir());
    server.Start();
    Client listener(server.port()), other(server.port()), writer(server.port());
    CHECK(listener("PSUBSCRIBE __keyevent@0__:*") == "[psubscribe __keyevent@0__:* 1]");
    CHECK(other("SUBSCRIBE done") == "[subscribe done 1]");
    CHECK(writer("SET k 1") == "OK");
    CHECK(listener.Receive() == "[pmessage __keyevent@0__:* __keyevent@0__:set k]");
    CHECK(writer("MULTI") == "OK");
    CHECK(writer("SET k 2") == "QUEUED");
    CHECK(writer("PUBLISH done k") == "QUEUED");
    disk.Break();
    writer.Send("EXEC");
    CHECK(writer.Receive() == "(lost)");
    CHECK(listener.Receive() == "(lost)");
    CHECK(other.Receive() == "(lost)");
  }

  TEST_CASE("a subscriber over the hard limit is closed, the others are not") {
    Server server({"--client-output-buffer-limit", "pubsub", "1mb", "0", "0"});
    Client slow(server.port()), fast(server.port()), publisher(server.port());
    Narrow(slow);
    CHECK(slow("SUBSCRIBE c") == "[subscribe c 1]");
    CHECK(fast("SUBSCRIBE c") == "[subscribe c 1]");
    std::string big(100'000, 'x');
    int sent = 0;
    for (std::string reached = "2"; reached == "2" && sent < 1000; ++sent) {
      reached = publisher.Do({"PUBLISH", "c", big});
      CHECK(fast.Receive() == "[message c " + big + "]");
    }
    CHECK(sent < 1000);
    CHECK(publisher("PUBSUB NUMSUB c") == "[c 1]");
    CHECK(publisher("INFO stats").find("client_output_buffer_limit_disconnections:1\r") !=
          std::string::npos);
  }

  TEST_CASE("a subscriber over the soft limit is closed in time, even when nothing more comes") {
    Server server({"--client-output-buffer-limit", "pubsub", "0", "100kb", "1"});
    Client slow(server.port()), publisher(server.port());
    Narrow(slow);
    CHECK(slow("SUBSCRIBE c") == "[subscribe c 1]");
    CHECK(publisher.Do({"PUBLISH", "c", std::string(8 << 20, 'x')}) == "1");
    CHECK(publisher("PUBSUB NUMSUB c") == "[c 1]");
    Until(publisher, "PUBSUB NUMSUB c", "[c 0]");
  }

  TEST_CASE("the limit of ordinary clients is not that of subscribers") {
    Server server({"--client-output-buffer-limit", "pubsub", "1mb", "0", "0"});
    Client c(server.port());
    CHECK(c.Do({"SET", "k", std::string(4 << 20, 'x')}) == "OK");
    CHECK(c("GET k").size() == 4 << 20);
  }
}
