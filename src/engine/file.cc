#include "src/engine/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice {
namespace {

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return ::fsync(fd) == 0;
}

}  // namespace

std::string ReadFile(const std::string& path, std::string* text) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::strerror(errno);
  text->clear();
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    int error = errno;
    if (n > 0) {
      text->append(buffer, static_cast<size_t>(n));
      continue;
    }
    ::close(fd);
    return n < 0 ? std::strerror(error) : "";
  }
}

std::string ReplaceFile(const std::string& path, std::string_view text) {
  std::string temporary = path + "." + std::to_string(::getpid()) + ".tmp";
  auto fail = [&] {
    std::string why = std::strerror(errno);
    ::unlink(temporary.c_str());
    return why;
  };
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return fail();
  struct stat old;
  if (::stat(path.c_str(), &old) == 0) (void)::fchmod(fd, old.st_mode & 07777);
  bool written = WriteAll(fd, text);
  if (::close(fd) != 0 || !written || ::rename(temporary.c_str(), path.c_str()) != 0) return fail();
  // The new name is on the disk when the directory is.
  std::string directory = std::filesystem::path(path).parent_path().string();
  int dir = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_CLOEXEC);
  if (dir >= 0) {
    (void)::fsync(dir);
    ::close(dir);
  }
  return {};
}

}  // namespace sluice
