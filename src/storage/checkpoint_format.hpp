#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>

namespace volley {

/// What the metadata of a checkpoint calls itself.
inline constexpr const char* kCheckpointFormat = "volley checkpoint";
inline constexpr const char* kCheckpointVersion = "2";
/// The names of the optimizer's tensors begin with it.
inline constexpr const char* kCheckpointOptimizer = "optimizer.";

/// A hostile description may ask for more weights than its file has: nothing is built before this. Throws
/// FileError unless `state` has the weights of all `layers`, in the sizes that these ask for.
/// `prefix` stands before the names of the parameters of `layers`.
void check_sizes(const std::filesystem::path& path, const NamedTensors& state,
                 const std::vector<LayerRecipe>& layers, const std::string& prefix = "");

}  // namespace volley
