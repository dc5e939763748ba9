#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace volley::kernels {

/// Instruction sets that the kernels are compiled for, best first: "avx512", "avx2"; "neon".
std::vector<std::string> compiled_targets();
/// Those of them that this processor has.
std::vector<std::string> supported_targets();
/// The one in use, by the word of a kernel that the dispatch has chosen.
std::string active_target();
/// Uses `name` from now on. Throws an ArgumentError, "SOURCE must be one of ...", when it is not one of
/// supported_targets(). Not while a pass is running.
void force_target(std::string_view name, std::string_view source = "target");

/// The environment variable that names an instruction set.
inline constexpr const char* kTargetVariable = "VOLLEY_TARGET";
/// What a program and the Python module call as they begin. Throws an Error where this processor has none of
/// compiled_targets(). Uses what VOLLEY_TARGET names, if it is set and not empty, by force_target.
void use_environment_target();

}  // namespace volley::kernels
