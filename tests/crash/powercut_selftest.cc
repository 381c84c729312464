// Programs small enough to know what a power cut may do to them. selftest.py runs them under
// libpowercut.so, cuts, and looks.
//
//   script            reads one system call per line from standard input, answers with its result
//   journal DIR       writers and an fsync thread; prints the last durable record, for ever
//   lmdb DIR          transactions, each writing its number to many keys; prints the last committed
//   lmdb-read DIR     prints the number if every key agrees
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

namespace {

// Each command line: NAME ARGUMENTS. Descriptors are given names. Data is a letter and a count.
class Script {
 public:
  long Run(const std::string& line) {
    std::istringstream in(line);
    std::string command, name, path, other, letter;
    off_t offset = 0;
    size_t count = 0;
    in >> command >> name;
    if (command == "open" || command == "opendir") {
      in >> path >> other;
      int flags = command == "opendir" ? O_RDONLY | O_DIRECTORY : O_RDWR;
      if (other.find('c') != std::string::npos) flags |= O_CREAT;
      if (other.find('t') != std::string::npos) flags |= O_TRUNC;
      if (other.find('a') != std::string::npos) flags |= O_APPEND;
      if (other.find('s') != std::string::npos) flags |= O_DSYNC;
      int fd = open(path.c_str(), flags, 0644);
      fds_[name] = fd;
      return fd < 0 ? -1 : 0;
    }
    int fd = fds_.count(name) ? fds_[name] : -1;
    if (command == "close") return close(fd);
    if (command == "dup") {
      in >> other;
      return fds_[other] = dup(fd), 0;
    }
    if (command == "write") {
      in >> letter >> count;
      std::string data(count, letter[0]);
      return write(fd, data.data(), data.size());
    }
    if (command == "pwrite" || command == "pwritev2" || command == "pwritev") {
      in >> offset >> letter >> count;
      std::string data(count, letter[0]);
      iovec parts[2] = {{data.data(), count / 2}, {data.data() + count / 2, count - count / 2}};
      if (command == "pwritev") return pwritev(fd, parts, 2, offset);
      if (command == "pwritev2") return pwritev2(fd, parts, 2, offset, RWF_DSYNC);
      return pwrite(fd, data.data(), data.size(), offset);
    }
    if (command == "fsync") return fsync(fd);
    if (command == "fdatasync") return fdatasync(fd);
    if (command == "sync_file_range") return sync_file_range(fd, 0, 0, 7);
    if (command == "ftruncate") return in >> offset, ftruncate(fd, offset);
    if (command == "fallocate") {
      in >> offset >> count;
      return posix_fallocate(fd, offset, static_cast<off_t>(count));
    }
    if (command == "free") {
      struct statvfs space;
      if (statvfs(name.c_str(), &space) != 0) return -1;
      return static_cast<long>(space.f_bavail * space.f_frsize);
    }
    if (command == "rename") return in >> path, rename(name.c_str(), path.c_str());
    if (command == "link") return in >> path, link(name.c_str(), path.c_str());
    if (command == "unlink") return unlink(name.c_str());
    if (command == "mkdir") return mkdir(name.c_str(), 0755);
    if (command == "rmdir") return rmdir(name.c_str());
    if (command == "stream") {
      std::ofstream out(name);
      in >> letter >> count;
      out << std::string(count, letter[0]);
      return out.flush() ? 0 : -1;
    }
    if (command == "map") {
      void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      return at == MAP_FAILED ? -1 : 0;
    }
    if (command == "kill") kill(getpid(), SIGKILL);
    std::cerr << "unknown: " << line << "\n";
    _exit(2);
  }

 private:
  std::map<std::string, int> fds_;
};

int RunScript() {
  Script script;
  std::string line;
  while (std::getline(std::cin, line)) {
    errno = 0;
    long result = script.Run(line);
    std::cout << result << " " << errno << std::endl;
  }
  return 0;
}

// Record n is 512 bytes at 512 * n holding n in every word. Two threads write in turn while a third
// syncs; every so often the file is synced by the write itself.
int RunJournal(const std::string& directory) {
  int fd = open((directory + "/journal").c_str(), O_RDWR | O_CREAT, 0644);
  int folder = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0 || folder < 0 || fsync(folder) != 0) return 1;
  std::mutex mutex;
  uint64_t next = 0;
  std::atomic<uint64_t> written{0};
  auto writer = [&] {
    for (;;) {
      std::lock_guard<std::mutex> lock(mutex);
      uint64_t record[64];
      for (uint64_t& word : record) word = next;
      if (pwrite(fd, record, sizeof record, static_cast<off_t>(next * 512)) != 512) _exit(1);
      written = ++next;
      if (next > 400000) _exit(0);
    }
  };
  std::thread one(writer), two(writer);
  for (;;) {
    uint64_t durable = written;
    if (fdatasync(fd) != 0) return 1;
    std::printf("%llu\n", static_cast<unsigned long long>(durable));
    std::fflush(stdout);
  }
}

constexpr int kKeys = 200;

MDB_env* OpenEnvironment(const std::string& directory) {
  MDB_env* env = nullptr;
  mdb_env_create(&env);
  mdb_env_set_mapsize(env, 64 << 20);
  int error = mdb_env_open(env, directory.c_str(), 0, 0644);
  if (error != 0) {
    std::fprintf(stderr, "mdb_env_open: %s\n", mdb_strerror(error));
    _exit(3);
  }
  return env;
}

int RunLmdb(const std::string& directory) {
  MDB_env* env = OpenEnvironment(directory);
  int folder = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (fsync(folder) != 0) return 1;
  for (uint64_t number = 1;; ++number) {
    MDB_txn* txn = nullptr;
    MDB_dbi dbi = 0;
    if (mdb_txn_begin(env, nullptr, 0, &txn) != 0 || mdb_dbi_open(txn, nullptr, 0, &dbi) != 0)
      return 1;
    for (int key = 0; key < kKeys; ++key) {
      uint64_t words[40];
      for (uint64_t& word : words) word = number;
      MDB_val k{sizeof key, &key}, v{sizeof words, words};
      if (mdb_put(txn, dbi, &k, &v, 0) != 0) return 1;
    }
    if (mdb_txn_commit(txn) != 0) return 1;
    std::printf("%llu\n", static_cast<unsigned long long>(number));
    std::fflush(stdout);
  }
}

int ReadLmdb(const std::string& directory) {
  MDB_env* env = OpenEnvironment(directory);
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  uint64_t number = 0;
  int count = 0;
  if (mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) != 0) return 1;
  MDB_cursor* cursor = nullptr;
  if (mdb_dbi_open(txn, nullptr, 0, &dbi) == 0 && mdb_cursor_open(txn, dbi, &cursor) == 0) {
    MDB_val k, v;
    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
      const char* bytes = static_cast<const char*>(v.mv_data);
      for (size_t at = 0; at < v.mv_size; at += 8) {
        uint64_t word;
        std::memcpy(&word, bytes + at, 8);
        if (count == 0 && at == 0) number = word;
        if (word != number) return 4;
      }
      ++count;
    }
  }
  if (count != 0 && count != kKeys) return 5;
  std::printf("%llu\n", static_cast<unsigned long long>(number));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "script") return RunScript();
  if (argc == 3 && mode == "journal") return RunJournal(argv[2]);
  if (argc == 3 && mode == "lmdb") return RunLmdb(argv[2]);
  if (argc == 3 && mode == "lmdb-read") return ReadLmdb(argv[2]);
  std::fprintf(stderr,
               "usage: powercut-selftest script | journal DIR | lmdb DIR | lmdb-read DIR\n");
  return 2;
}
