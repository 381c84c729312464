// Users over a socket, and the files they are kept in.
#include "tests/e2e/fixture.h"

using namespace sluice::e2e;

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteAll(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

TEST_SUITE("users") {
  TEST_CASE("users are saved, survive a restart and are loaded again") {
    TempDir where;
    std::string path = where.path() + "/users.acl";
    WriteAll(path, "user default on nopass ~* &* +@all\n");
    Server server({"--aclfile", path});
    {
      Client c(server.port());
      CHECK(c("ACL SETUSER worker on >secret ~jobs:* +@list +auth") == "OK");
      CHECK(c("ACL SAVE") == "OK");
      CHECK(ReadAll(path).find("user worker on #") != std::string::npos);
      CHECK(ReadAll(path).find("secret") == std::string::npos);
    }
    server.Restart();
    Client c(server.port()), worker(server.port());
    CHECK(worker("AUTH worker wrong").starts_with("WRONGPASS"));
    CHECK(worker("AUTH worker secret") == "OK");
    CHECK(worker("LPUSH jobs:1 x") == "1");
    CHECK(worker("LPUSH other x").starts_with("NOPERM"));
    CHECK(worker("FLUSHALL").starts_with("NOPERM"));

    // Who is in the file again keeps the connection, with the new rights.
    WriteAll(path, "user default on nopass ~* &* +@all\nuser worker on nopass ~other +@list\n");
    CHECK(c("ACL LOAD") == "OK");
    CHECK(worker("LPUSH other x") == "1");
    CHECK(worker("LPUSH jobs:1 x").starts_with("NOPERM"));
    // A file with an error is no file.
    WriteAll(path, "user default off\nuser worker +nonsense\n");
    CHECK(c("ACL LOAD").starts_with("ERR " + path + ":2: Error in applying operation"));
    CHECK(c("PING") == "PONG");
    WriteAll(path, "user default on nopass ~* &* +@all\n");
    CHECK(c("ACL LOAD") == "OK");
    CHECK(worker("LPUSH other x") == "(lost)");
    CHECK(c("PING") == "PONG");
    std::filesystem::remove(path);
    CHECK(c("ACL LOAD") ==
          "ERR Error loading ACLs, opening file '" + path + "': No such file or directory");
  }

  TEST_CASE("a password is asked for before anything else") {
    Server server({"--requirepass", "secret"});
    Client c(server.port());
    CHECK(c("PING").starts_with("NOAUTH"));
    CHECK(c("AUTH wrong").starts_with("WRONGPASS"));
    CHECK(c("HELLO 3 AUTH default wrong").starts_with("WRONGPASS"));
    CHECK(c("AUTH secret") == "OK");
    CHECK(c("ACL WHOAMI") == "default");
    CHECK(c("CONFIG SET requirepass other") == "OK");
    CHECK(c("PING") == "PONG");
    Client d(server.port());
    CHECK(d("AUTH secret").starts_with("WRONGPASS"));
    CHECK(d("AUTH default other") == "OK");
  }

  TEST_CASE("users of the configuration file, and back into it") {
    TempDir where;
    std::string path = where.path() + "/sluice.conf";
    WriteAll(path, "user worker on >secret ~jobs:* +@list (+get ~x)\n");
    TempDir data;
    int port = FreePort();
    // The file must come first on the command line, so this server is started by hand.
    const char* program = std::getenv("SLUICE");
    pid_t pid = ::fork();
    if (pid == 0) {
      std::string number = std::to_string(port), log = data.path() + "/log";
      ::execl(program ? program : "build/sluice", "sluice", path.c_str(), "--port", number.c_str(),
              "--dir", data.path().c_str(), "--logfile", log.c_str(), nullptr);
      ::_exit(127);
    }
    redisContext* probe = nullptr;
    for (int i = 0; i < 2000 && (!probe || probe->err); ++i) {
      if (probe) ::redisFree(probe);
      probe = ::redisConnect("127.0.0.1", port);
      if (probe->err) ::usleep(5000);
    }
    ::redisFree(probe);
    {
      Client c(port), worker(port);
      CHECK(worker("AUTH worker secret") == "OK");
      CHECK(worker("LPUSH jobs:1 a") == "1");
      CHECK(worker("GET x") == "(nil)");
      CHECK(worker("GET jobs:1").starts_with("NOPERM"));
      CHECK(c("ACL SETUSER other on nopass +ping") == "OK");
      CHECK(c("CONFIG REWRITE") == "OK");
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    std::string text = ReadAll(path);
    CHECK(text.starts_with("user worker on #"));
    CHECK(text.find("(~x resetchannels -@all +get)\n") != std::string::npos);
    CHECK(text.find("\nuser other on nopass resetchannels -@all +ping\n") != std::string::npos);
    CHECK(text.find("user default") == std::string::npos);
  }

  TEST_CASE("a server whose users make no sense does not start") {
    TempDir where;
    std::string path = where.path() + "/users.acl";
    WriteAll(path, "user worker +nonsense\n");
    Server server({"--aclfile", path});
    CHECK_FALSE(server.running());
    CHECK(server.exit_status() == 1);
    CHECK(server.LogText().find("Unknown command or category name in ACL") != std::string::npos);
  }
}
