#include "core/processor.hpp"

#include <cstddef>
#include <fstream>

#include <volley/error.hpp>

namespace volley {

void require_processor() {
#if defined(__x86_64__)
  static const bool enough = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                             __builtin_cpu_supports("bmi2") != 0;
  if (!enough) refuse_processor();
#endif
}

void refuse_processor() {
  throw Error(
      "this processor has no AVX2 with FMA; Volley needs both on x86-64 (Intel since Haswell, AMD since "
      "Excavator)");
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace volley
