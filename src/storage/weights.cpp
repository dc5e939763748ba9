#include <volley/weights.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/version.hpp>

#include "storage/checkpoint_format.hpp"
#include "storage/recipe_toml.hpp"
#include "storage/safetensors.hpp"
#include "storage/weights_checks.hpp"

namespace volley {
namespace {

constexpr const char* kFormat = "volley network";
constexpr const char* kFormatVersion = "1";

/// A tensor of a layer whose size is in its recipe, and its shape; no name where there is none.
struct Sized {
  const char* name = nullptr;
  Shape shape;
};
template <class Options>
Sized sized_tensor(const Options&) {
  return {};
}
Sized sized_tensor(const LinearRecipe& linear) { return {"weight", {linear.out, linear.in}}; }
Sized sized_tensor(const Conv2dOptions& conv) {
  return {"weight",
          {conv.out_channels, conv.in_channels / conv.groups, conv.kernel_size.h, conv.kernel_size.w}};
}
Sized sized_tensor(const RecurrentRecipe& r) {
  return {"weight", r.feedback == Feedback::linear ? Shape{r.features, r.features} : Shape{r.features}};
}
template <class Options>
Sized sized_tensor(const NormRecipe<Options>& norm) {
  return {"running_mean", {norm.channels}};
}
Sized sized_tensor(const PSNOptions& psn) { return {"weight", {psn.steps, psn.steps}}; }
Sized sized_tensor(const MaskedPSNOptions& psn) { return {"weight", {psn.steps, psn.steps}}; }
Sized sized_tensor(const SlidingPSNOptions& psn) { return {"weight", {psn.k}}; }

std::string layers_toml(const std::filesystem::path& path, const SafetensorsFile& file) {
  const auto text = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  const bool network = text("format") == kFormat;
  if (!network && text("format") != kCheckpointFormat) {
    throw FileError(path.string(), "a network or a checkpoint of Volley",
                    "neither; a state_dict of parameters alone is read by load_state_dict");
  }
  const std::string version = network ? kFormatVersion : kCheckpointVersion;
  if (text("format_version") != version) {
    throw FileError(path.string(), fmt::format("format_version '{}'", version),
                    fmt::format("'{}'", text("format_version")));
  }
  return text(network ? "network" : "recipe");
}

}  // namespace

void check_sizes(const std::filesystem::path& path, const NamedTensors& state,
                 const std::vector<LayerRecipe>& layers, const std::string& prefix) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string place =
        prefix + (layers[i].node.name.empty() ? fmt::format("{}", i) : layers[i].node.name) + '.';
    if (const auto* inner = std::get_if<SequentialRecipe>(&layers[i])) {
      check_sizes(path, state, inner->layers, place);
    }
    if (const auto* residual = std::get_if<ResidualRecipe>(&layers[i])) {
      check_sizes(path, state, residual->branch, place + "branch.");
      check_sizes(path, state, residual->shortcut, place + "shortcut.");
    }
    const Sized sized = std::visit([](const auto& recipe) { return sized_tensor(recipe); }, layers[i]);
    if (sized.name == nullptr) continue;
    const std::string name = place + sized.name;
    const auto tensor = state.find(name);
    if (tensor == state.end() || !(tensor->second.shape() == sized.shape)) {
      throw FileError(path.string(), fmt::format("the parameter '{}' of shape {}", name, sized.shape.text()),
                      tensor == state.end() ? "none" : tensor->second.shape().text());
    }
  }
}

void save_network(const std::string& path, const std::vector<LayerRecipe>& layers,
                  const std::vector<NamedTensor>& state) {
  if (layers.empty()) throw ArgumentError("save_network", "network must have at least one layer, got none");
  check_not_null("save_network", state);
  std::vector<SafetensorsEntry> tensors;
  for (const auto& [name, tensor] : state) tensors.push_back({name, tensor});
  write_safetensors(path, tensors,
                    {{"format", kFormat},
                     {"format_version", kFormatVersion},
                     {"volley_version", VOLLEY_VERSION},
                     {"network", network_toml(layers)}});
}

void save_network(const std::string& path, Sequential& net) {
  save_network(path, recipes_of(net), net.named_tensors());
}

SavedNetwork read_network(const std::string& path) {
  SafetensorsFile file = read_safetensors(path);
  SavedNetwork saved;
  saved.layers = parse_recipe(layers_toml(path, file), path).network;
  for (auto& [name, tensor] : file.tensors) {
    if (!name.starts_with(kCheckpointOptimizer)) saved.tensors.emplace(name, std::move(tensor));
  }
  check_sizes(path, saved.tensors, saved.layers);
  return saved;
}

Sequential load_network(const std::string& path) {
  const SavedNetwork saved = read_network(path);
  Sequential net = make_network(saved.layers);
  set_tensors(net.named_tensors(), saved.tensors, path);
  return net;
}

}  // namespace volley
