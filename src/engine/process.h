// Facts about this process and the machine, for INFO and MEMORY.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// Bytes that the program itself has allocated. What LMDB maps is the kernel's cache, and not in it.
uint64_t AllocatedBytes();
// Bytes of RAM that the process occupies, mapped files included.
uint64_t ResidentBytes();
uint64_t SystemMemoryBytes();

struct CpuSeconds {
  double user = 0, system = 0;
};
CpuSeconds CpuOfProcess();
CpuSeconds CpuOfChildren();
CpuSeconds CpuOfThread();

std::string ExecutablePath();
// "Linux 6.1.0 x86_64"
std::string OperatingSystem();

// "1.50M", in Redis's manner.
std::string HumanBytes(uint64_t bytes);

}  // namespace sluice
