#include <volley/kernels.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include <volley/error.hpp>

#include "core/processor.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/targets.cpp"
#include "kernels/simd_targets.hpp"

#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>
#include <hwy/targets.h>

HWY_BEFORE_NAMESPACE();
namespace volley::kernels {
namespace HWY_NAMESPACE {

std::int64_t own_target() { return HWY_TARGET; }

}  // namespace HWY_NAMESPACE
}  // namespace volley::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace volley::kernels {

HWY_EXPORT(own_target);

namespace {

// Best first.
constexpr std::array<std::pair<std::int64_t, const char*>, 3> kNames{{
    {HWY_AVX3, "avx512"},
    {HWY_AVX2, "avx2"},
    {HWY_NEON, "neon"},
}};

std::vector<std::string> names_of(std::int64_t targets) {
  std::vector<std::string> names;
  for (const auto& [target, name] : kNames) {
    if ((targets & target) != 0) names.emplace_back(name);
  }
  return names;
}

// What this processor has of what is compiled; asked once, before anything is forced.
std::int64_t machine_targets() {
  static const std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return targets;
}

}  // namespace

std::vector<std::string> compiled_targets() { return names_of(HWY_TARGETS); }

std::vector<std::string> supported_targets() { return names_of(machine_targets()); }

std::string active_target() {
  // Asked as any kernel is called: the answer comes from the code that runs, not from what was wished for.
  const std::vector<std::string> names = names_of(HWY_DYNAMIC_DISPATCH(own_target)());
  return names.empty() ? "none" : names.front();
}

void force_target(std::string_view name, std::string_view source) {
  const std::vector<std::string> supported = supported_targets();
  if (std::ranges::find(supported, name) == supported.end()) {
    throw ArgumentError("instruction set",
                        fmt::format("{} must be one of {}", source, fmt::join(supported, ", ")),
                        fmt::format("'{}'", name));
  }
  for (const auto& [target, known] : kNames) {
    if (name == known) hwy::SetSupportedTargetsForTest(target);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

void use_environment_target() {
  require_processor();
  if (machine_targets() == 0) refuse_processor();
  const char* name = std::getenv(kTargetVariable);
  if (name != nullptr && *name != '\0') force_target(name, kTargetVariable);
}

}  // namespace volley::kernels
#endif  // HWY_ONCE
