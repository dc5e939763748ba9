#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <volley/layer.hpp>
#include <volley/layers.hpp>
#include <volley/recipe.hpp>
#include <volley/tensor.hpp>

namespace volley {

using NamedTensors = std::map<std::string, Tensor>;

/// Gives `tensors` the values of the same names. Throws an error that begins with `origin` and names the
/// first that is missing, of another shape or left over; nothing is changed then. `origin` is the path of a
/// file (FileError), or "[operation] argument" (ArgumentError).
void set_tensors(const std::vector<NamedTensor>& tensors, const NamedTensors& values,
                 std::string_view origin);

/// The same, where all names may have one prefix in common, as those of a network that is a member of a
/// PyTorch module have: "layer.1.weight" for "1.weight".
void load_state_dict(const std::vector<NamedTensor>& tensors, const NamedTensors& values,
                     std::string_view origin);

/// The tensors of a safetensors file.
NamedTensors read_state_dict(const std::filesystem::path& path);

/// A network in a file: its layers in order, and the values of its parameters and buffers.
struct SavedNetwork {
  std::vector<LayerRecipe> layers;
  NamedTensors tensors;
};

/// Writes a network as a safetensors file with the layers, as TOML, in its metadata; whole or not at all.
void save_network(const std::filesystem::path& path, const std::vector<LayerRecipe>& layers,
                  const std::vector<NamedTensor>& tensors);
void save_network(const std::filesystem::path& path, Sequential& net);

/// Reads what save_network wrote, or a checkpoint of a training. Throws a FileError unless every
/// layer has its parameters and buffers in the file.
SavedNetwork read_network(const std::filesystem::path& path);
Sequential load_network(const std::filesystem::path& path);

}  // namespace volley
