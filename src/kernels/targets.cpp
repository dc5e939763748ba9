#include "kernels/targets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "kernels/simd_targets.hpp"

#include <hwy/highway.h>
#include <hwy/targets.h>

#include <volley/error.hpp>

namespace volley::kernels {
namespace {

// Best first.
constexpr std::array<std::pair<std::int64_t, const char*>, 4> kNames{{
    {HWY_AVX3, "avx512"},
    {HWY_AVX2, "avx2"},
    {HWY_SSE4, "sse4"},
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
  const std::vector<std::string> names = names_of(hwy::SupportedTargets() & HWY_TARGETS);
  return names.empty() ? "none" : names.front();
}

void force_target(std::string_view name) {
  const std::vector<std::string> supported = supported_targets();
  if (std::ranges::find(supported, name) == supported.end()) {
    throw Error(fmt::format("[target] must be one of {}, got '{}'", fmt::join(supported, ", "), name));
  }
  for (const auto& [target, known] : kNames) {
    if (name == known) hwy::SetSupportedTargetsForTest(target);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace volley::kernels
