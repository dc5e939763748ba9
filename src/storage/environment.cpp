#include <fmt/chrono.h>

#include <ctime>
#include <string>

#include <volley/kernels.hpp>
#include <volley/run_folder.hpp>
#include <volley/trainer.hpp>
#include <volley/version.hpp>

#include "core/numerics.hpp"
#include "core/processor.hpp"

namespace volley {

std::string cpu_model() { return processor_name(); }

std::string compiler() {
#if defined(__clang__)
  return "clang++ " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

Environment environment_of(const Trainer& trainer) {
  std::tm utc{};
  const std::time_t now = std::time(nullptr);
  ::gmtime_r(&now, &utc);
  return {.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", utc),
          .version = VOLLEY_VERSION,
          .numerics = numerics::kVersion,
          .compiler = compiler(),
          .cpu = cpu_model(),
          .simd_target = kernels::active_target(),
          .threads = trainer.threads(),
          .seed = trainer.options().seed};
}

}  // namespace volley
