#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace volley::kernels {

/// Instruction sets that the kernels are compiled for, best first: "avx512", "avx2", "sse4"; "neon".
std::vector<std::string> compiled_targets();
/// Those of them that this processor has.
std::vector<std::string> supported_targets();
/// The one in use, by the word of a kernel that the dispatch has chosen.
std::string active_target();
/// Uses `name` from now on. Throws Error when it is not one of supported_targets(). Not while a pass is
/// running.
void force_target(std::string_view name);

}  // namespace volley::kernels
