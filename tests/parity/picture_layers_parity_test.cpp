#include <gtest/gtest.h>

#include <volley/recipe.hpp>

#include "layers/picture_layers.hpp"
#include "parity/agreement.hpp"
#include "parity/golden.hpp"

// Convolutions and pools against PyTorch's, written by peers/golden_torch.py.

namespace volley::test {
namespace {

/// The layer that a table of the manifest describes, through the recipe that a user would write.
std::unique_ptr<Layer> layer_of(const nlohmann::json& table) {
  std::string toml = "[[network]]\n";
  for (const auto& [key, value] : table.items()) toml += key + " = " + value.dump() + "\n";
  return make_layer(parse_recipe(toml, "golden").network.at(0));
}

/// (batch, C, H, W) as one step of a signal.
Tensor as_signal(const Tensor& t) {
  Tensor signal(t.shape().from(1).after({t.shape()[0], 1}));
  std::ranges::copy(t.values(), signal.data());
  return signal;
}

TEST(PictureLayersParity, OutputsAndGradientsAgreeWithPyTorch) {
  const Golden golden("pictures.safetensors", "pictures.json");
  const nlohmann::json& cases = golden.manifest().at("cases");
  ASSERT_GE(cases.size(), 10u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].dump());
    const std::string prefix = std::to_string(i) + ".";
    const std::unique_ptr<Layer> layer = layer_of(cases[i].at("layer"));
    for (const NamedParameter& p : layer->parameters()) {
      ASSERT_EQ(p.parameter->value.shape(), golden.tensor(prefix + p.name).shape());
      p.parameter->value = golden.tensor(prefix + p.name);
    }
    const Tensor values = as_signal(golden.tensor(prefix + "x"));
    const Tensor dy = as_signal(golden.tensor(prefix + "dy"));
    EXPECT_EQ(layer->output_shape(values.shape().from(2)), dy.shape().from(2));
    const bool spikes = cases[i].at("spikes");
    const Spikes bits = Spikes::from_bytes(values.shape(), golden.bytes(prefix + "x"));
    const PassResult got = run_pass(*layer, spikes ? Signal(bits) : Signal(values), dy);
    EXPECT_LE(scaled_error(got.y_values, golden.values(prefix + "y")), 1e-6);
    EXPECT_LE(scaled_error(got.dx, golden.values(prefix + "dx")), 1e-6);
    const auto parameters = layer->parameters();
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      EXPECT_LE(scaled_error(got.gradients[k], golden.values(prefix + "d" + parameters[k].name)), 1e-6);
    }
  }
}

}  // namespace
}  // namespace volley::test
