#include "src/engine/process.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace sluice {
namespace {

CpuSeconds Cpu(int who) {
  rusage usage;
  if (::getrusage(who, &usage) != 0) return {};
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

}  // namespace

uint64_t AllocatedBytes() {
  struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t SystemMemoryBytes() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

CpuSeconds CpuOfProcess() { return Cpu(RUSAGE_SELF); }
CpuSeconds CpuOfChildren() { return Cpu(RUSAGE_CHILDREN); }
CpuSeconds CpuOfThread() { return Cpu(RUSAGE_THREAD); }

std::string ExecutablePath() {
  char path[4096];
  ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
}

std::string OperatingSystem() {
  utsname name;
  if (::uname(&name) != 0) return "";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

std::string HumanBytes(uint64_t bytes) {
  static constexpr char kUnits[] = {'K', 'M', 'G', 'T', 'P'};
  char text[32];
  if (bytes < 1024) {
    std::snprintf(text, sizeof text, "%lluB", static_cast<unsigned long long>(bytes));
    return text;
  }
  double size = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  std::snprintf(text, sizeof text, "%.2f%c", size, kUnits[unit]);
  return text;
}

}  // namespace sluice
