#include "core/processor.hpp"

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

}  // namespace volley
