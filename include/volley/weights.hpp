#pragma once

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

/// Names of a state_dict, and what the network calls the same: {"conv.3", "2"} has "conv.3.weight" mean
/// "2.weight". A name is that of a tensor, or what stands before a "." of its name; the longest counts.
using NameMap = std::map<std::string, std::string>;

struct StateDictOptions {
  NameMap names;       // none: the names are the network's own, but for one prefix that all have in common
  bool strict = true;  // whether every name must be in both; else what is in one alone stays as it is
};

/// The names that a load which is not strict passed over.
struct StateDictReport {
  std::vector<std::string> missing;     // tensors of the network, which kept their values
  std::vector<std::string> unexpected;  // names of the state_dict
};

/// Gives `tensors` the values of a state_dict of PyTorch or SpikingJelly. Without `options.names`, all names
/// may have one prefix in common, as those of a network that is a member of a module have: "layer.1.weight"
/// for "1.weight". Shapes may differ in dimensions of 1: () for (1), (T, 1) for (T). Throws as set_tensors
/// does, and where no name is in both; nothing is changed then.
StateDictReport load_state_dict(const std::vector<NamedTensor>& tensors, const NamedTensors& values,
                                std::string_view origin, const StateDictOptions& options = {});

/// The map by order, for StateDictOptions: the modules of `names`, in their order, mean the network's modules
/// that have tensors, in theirs. A module is all names that are equal up to the last "."; one that has none
/// of the names that the network's next module has, such as "lif1.beta" before a linear layer, is passed
/// over. Throws ArgumentError where the network has a module that is left without one.
NameMap names_by_order(const std::vector<NamedTensor>& tensors, const std::vector<std::string>& names);
/// With the names of `values` in the order of their text, where numbers count as numbers: "2" before "10".
NameMap names_by_order(const std::vector<NamedTensor>& tensors, const NamedTensors& values);

/// Writes the values alone as a safetensors file, with their checksum in the metadata; whole or not at all.
void save_state_dict(const std::string& path, const std::vector<NamedTensor>& tensors);

/// The tensors of a safetensors file: F32; F64, F16 and BF16, rounded once; and integers that a float holds.
NamedTensors read_state_dict(const std::string& path);

/// A network in a file: its layers in order, and the values of its parameters and buffers.
struct SavedNetwork {
  std::vector<LayerRecipe> layers;
  NamedTensors tensors;
};

/// Writes a network as a safetensors file with the layers, as TOML, in its metadata; whole or not at all.
void save_network(const std::string& path, const std::vector<LayerRecipe>& layers,
                  const std::vector<NamedTensor>& tensors);
void save_network(const std::string& path, Sequential& net);

/// Reads what save_network wrote, or a checkpoint of a training. Throws a FileError unless every
/// layer has its parameters and buffers in the file.
SavedNetwork read_network(const std::string& path);
Sequential load_network(const std::string& path);

}  // namespace volley
