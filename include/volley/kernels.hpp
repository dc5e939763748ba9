#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <volley/threads.hpp>

namespace volley {

/// The code that computes, and the processor that it runs on.
namespace kernels {

/// Instruction sets that the kernels are compiled for, best first: "avx512", "avx2"; "neon".
std::vector<std::string> compiled_targets();
/// Those of them that this processor has.
std::vector<std::string> supported_targets();
/// The one in use, by the word of a kernel that the dispatch has chosen.
std::string active_target();
/// Uses `name` from now on, in the whole process. Throws an ArgumentError, "SOURCE must be one of ...", when
/// it is not one of supported_targets(). Not while a pass is running.
void force_target(std::string_view name, std::string_view source = "target");

/// The environment variable that names an instruction set.
inline constexpr const char* kTargetVariable = "VOLLEY_TARGET";
/// What a program calls as it begins, before its first pass. Throws an Error where this processor has none of
/// compiled_targets(). Uses what VOLLEY_TARGET names, if it is set and not empty, by force_target.
void use_environment_target();

/// The most that this processor can do, to set the figures of a training against.
struct Limits {
  double bytes_per_second = 0;       // of a triad over arrays that no cache holds: read and written
  double operations_per_second = 0;  // of float32 multiply-adds on registers; a multiply-add is two
};
/// Measures both with the threads of a pool: the best of several runs, which take about 0.2 s and 96 MiB.
/// Other work on the processor makes them smaller. One call at a time.
Limits measure_limits(ThreadPool& threads = ThreadPool::shared());

}  // namespace kernels
}  // namespace volley
