#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/layers.hpp>
#include <volley/neuron.hpp>

#include "storage/safetensors.hpp"

namespace volley::test {

/// What SpikingJelly or PyTorch computed: tests/golden, written by peers/golden_spikingjelly.py and
/// peers/golden_torch.py.
class Golden {
 public:
  /// Reads the manifest and `file`. Fails the test unless the file is the one that the manifest describes.
  explicit Golden(const std::string& file, const std::string& manifest = "manifest.json");

  static std::filesystem::path folder();
  const nlohmann::json& manifest() const { return manifest_; }
  const Tensor& tensor(const std::string& name) const;
  bool has(const std::string& name) const { return file_.tensors.contains(name); }
  std::span<const float> values(const std::string& name) const { return tensor(name).values(); }
  std::vector<std::uint8_t> bytes(const std::string& name) const;
  std::vector<std::uint32_t> labels(const std::string& name) const;
  /// The tensors PREFIX.pixels and PREFIX.labels as a data set of ten classes.
  Dataset dataset(const std::string& prefix) const;
  /// Gives the network the tensors PREFIX + parameter name.
  void load_weights(Sequential& net, const std::string& prefix) const;

 private:
  nlohmann::json manifest_;
  SafetensorsFile file_;
};

/// The neuron that a table of the manifest describes, a case or a layer.
LIFOptions lif_options(const nlohmann::json& table);
Sequential build_network(const nlohmann::json& recipe);

}  // namespace volley::test
