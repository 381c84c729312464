// sluice: options -> Store -> Engine -> Server. Run like redis-server:
//
//   sluice [/path/to/redis.conf | -] [--port 6379] [--dir DIR] [--directive value ...] ...
//   sluice check [--repair] DIR
//   sluice --version | --help
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "src/engine/config.h"
#include "src/engine/version.h"
#include "src/net/log.h"
#include "src/net/server.h"
#include "src/tools.h"

namespace {

using namespace sluice;

constexpr const char* kHelp =
    "Usage: sluice [/path/to/redis.conf | -] [--port 6379] [--dir DIR] [--directive value ...]\n"
    "       sluice check [--repair] DIR   examine (and mend) what a server left in DIR\n"
    "       sluice --version\n"
    "\n"
    "Directives are redis.conf's. The ones most often wanted:\n"
    "  --port 6379  --bind 127.0.0.1  --unixsocket PATH  --requirepass SECRET\n"
    "  --dir DIR                          where the data is kept\n"
    "  --appendfsync always|everysec|no   when a change is answered (default: always)\n"
    "  --appendonly no                    keep nothing after exit: for tests\n"
    "  --daemonize yes  --pidfile PATH  --logfile PATH  --loglevel notice\n";

Server* running = nullptr;

void OnSignal(int) {
  if (running) running->Stop();
}

int Complain(const std::string& what) {
  std::fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR ***\n%s\n", what.c_str());
  return 1;
}

// "--name value value ..." until the next "--name"; empty on success.
std::string ReadArguments(int argc, char** argv, Directives* directives, Config* config) {
  int i = 1;
  if (i < argc && std::strncmp(argv[i], "--", 2) != 0) {
    std::string error = directives->ConfigureFile(argv[i]);
    if (!error.empty()) return error;
    if (std::strcmp(argv[i], "-") != 0) {
      char* absolute = ::realpath(argv[i], nullptr);
      config->config_file = absolute ? absolute : argv[i];
      std::free(absolute);
    }
    ++i;
  }
  while (i < argc) {
    std::string name = argv[i];
    if (!name.starts_with("--")) return "'" + name + "' is not a directive: it has no leading --";
    name.erase(0, 2);
    std::vector<std::string> values;
    for (++i; i < argc && std::strncmp(argv[i], "--", 2) != 0; ++i) values.push_back(argv[i]);
    std::string error = directives->Configure(name, values);
    if (!error.empty()) return "Reading the command line, at '" + name + "'\n" + error;
  }
  return {};
}

bool Daemonize() {
  pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid > 0) ::_exit(0);
  ::setsid();
  int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return false;
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  if (null > 2) ::close(null);
  return true;
}

void WritePidFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (!file) return;
  std::fprintf(file, "%d\n", static_cast<int>(::getpid()));
  std::fclose(file);
}

// As many descriptors as maxclients asks for, and some for files.
void RaiseDescriptorLimit(int64_t clients) {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  rlim_t wanted = static_cast<rlim_t>(clients) + 64;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void HandleSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
}

int Serve(Config config) {
  if (config.daemonize && !Daemonize()) return 1;
  Logger log(config.logfile, Logger::Parse(config.loglevel));
  RaiseDescriptorLimit(config.maxclients);
  HandleSignals();
  std::string pidfile = config.pidfile;
  if (pidfile.empty() && config.daemonize) pidfile = "/var/run/redis.pid";
  log.Write(Logger::Level::kNotice, "Sluice " + std::string(kVersion) + " starting, port " +
                                        std::to_string(config.port) + ", data in " + config.dir);
  for (const auto& [name, value] : config.ignored_given) {
    log.Write(Logger::Level::kNotice, "the directive '" + name + "' means nothing here");
  }
  if (!config.appendonly) {
    log.Write(Logger::Level::kWarning, "appendonly is no: NOTHING IS KEPT after this server ends");
  }
  SystemClock clock;
  Result<std::unique_ptr<Server>> server = Server::Open(std::move(config), &clock, &log);
  if (!server.ok()) {
    log.Write(Logger::Level::kWarning, "cannot start: " + server.status().message());
    std::fprintf(stderr, "sluice: cannot start: %s\n", server.status().message().c_str());
    return 1;
  }
  if (!pidfile.empty()) WritePidFile(pidfile);
  running = server->get();
  Status status = running->Run();
  running = nullptr;
  if (!pidfile.empty()) ::unlink(pidfile.c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    std::string first = argv[1];
    if (first == "--version" || first == "-v") return std::printf("%s\n", kVersionLine), 0;
    if (first == "--help" || first == "-h") return std::fputs(kHelp, stdout), 0;
    if (first == "check") return CheckCommand(argc - 2, argv + 2);
  }
  Config config;
  std::string error;
  {
    Directives directives(&config);
    error = ReadArguments(argc, argv, &directives, &config);
  }
  if (!error.empty()) return Complain(error);
  return Serve(std::move(config));
}
