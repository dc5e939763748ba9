#include <fmt/format.h>

#include <cmath>
#include <memory>

#include <volley/recipe.hpp>

namespace volley {
namespace {

struct MakeLayer {
  std::unique_ptr<Layer> operator()(const FlattenOptions& options) const {
    return std::make_unique<Flatten>(options);
  }
  std::unique_ptr<Layer> operator()(const LinearRecipe& recipe) const {
    return std::make_unique<Linear>(recipe.in, recipe.out, recipe);
  }
  std::unique_ptr<Layer> operator()(const Conv2dOptions& options) const {
    return std::make_unique<Conv2d>(options);
  }
  std::unique_ptr<Layer> operator()(const MaxPool2dOptions& options) const {
    return std::make_unique<MaxPool2d>(options);
  }
  std::unique_ptr<Layer> operator()(const AvgPool2dOptions& options) const {
    return std::make_unique<AvgPool2d>(options);
  }
  std::unique_ptr<Layer> operator()(const AdaptiveAvgPool2dOptions& options) const {
    return std::make_unique<AdaptiveAvgPool2d>(options);
  }
  template <NeuronOptions Options>
  std::unique_ptr<Layer> operator()(const Options& neuron) const {
    return std::make_unique<Neuron<Options>>(neuron);
  }
  std::unique_ptr<Layer> operator()(const PSNOptions& options) const {
    return std::make_unique<PSN>(options);
  }
  std::unique_ptr<Layer> operator()(const MaskedPSNOptions& options) const {
    return std::make_unique<MaskedPSN>(options);
  }
  std::unique_ptr<Layer> operator()(const SlidingPSNOptions& options) const {
    return std::make_unique<SlidingPSN>(options);
  }
  std::unique_ptr<Layer> operator()(const LIOptions& options) const { return std::make_unique<LI>(options); }
  std::unique_ptr<Layer> operator()(const SoftLIFOptions& options) const {
    return std::make_unique<SoftLIF>(options);
  }
  std::unique_ptr<Layer> operator()(const RatePenaltyOptions& options) const {
    return std::make_unique<RatePenalty>(options);
  }
  std::unique_ptr<Layer> operator()(const BatchNormRecipe& recipe) const {
    return std::make_unique<BatchNorm>(recipe.channels, recipe);
  }
  std::unique_ptr<Layer> operator()(const ThresholdDependentBatchNormRecipe& recipe) const {
    return std::make_unique<ThresholdDependentBatchNorm>(recipe.channels, recipe);
  }
  std::unique_ptr<Layer> operator()(const DropoutOptions& options) const {
    return std::make_unique<Dropout>(options);
  }
  std::unique_ptr<Layer> operator()(const VotingOptions& options) const {
    return std::make_unique<Voting>(options);
  }
  std::unique_ptr<Layer> operator()(const RecurrentRecipe& recipe) const {
    return std::make_unique<Recurrent>(recipe.features, recipe);
  }
  std::unique_ptr<Layer> operator()(const ResidualRecipe& recipe) const {
    if (recipe.branch.empty()) throw RecipeError("[residual] branch must have at least one layer, got none");
    const auto side = [](const std::vector<LayerRecipe>& layers) {
      auto sequential = std::make_unique<Sequential>();
      for (const LayerRecipe& layer : layers) sequential->add(make_layer(layer));
      return sequential;
    };
    return std::make_unique<Residual>(side(recipe.branch),
                                      recipe.shortcut.empty() ? nullptr : side(recipe.shortcut), recipe);
  }
};

struct MakeLoss {
  std::unique_ptr<Loss> operator()(const RateMseOptions& options) const {
    return std::make_unique<RateMse>(options);
  }
  std::unique_ptr<Loss> operator()(const RateCrossEntropyOptions& options) const {
    return std::make_unique<RateCrossEntropy>(options);
  }
  std::unique_ptr<Loss> operator()(const CountMseOptions& options) const {
    return std::make_unique<CountMse>(options);
  }
  std::unique_ptr<Loss> operator()(const CountCrossEntropyOptions& options) const {
    return std::make_unique<CountCrossEntropy>(options);
  }
  std::unique_ptr<Loss> operator()(const MembraneMseOptions& options) const {
    return std::make_unique<MembraneMse>(options);
  }
  std::unique_ptr<Loss> operator()(const MembraneCrossEntropyOptions& options) const {
    return std::make_unique<MembraneCrossEntropy>(options);
  }
  std::unique_ptr<Loss> operator()(const TetOptions& options) const { return std::make_unique<Tet>(options); }
};

struct MakeOptimizer {
  std::unique_ptr<Optimizer> operator()(const AdamOptions& options) const {
    return std::make_unique<Adam>(options);
  }
  std::unique_ptr<Optimizer> operator()(const AdamWOptions& options) const {
    return std::make_unique<AdamW>(options);
  }
  std::unique_ptr<Optimizer> operator()(const SgdOptions& options) const {
    return std::make_unique<Sgd>(options);
  }
};

std::unique_ptr<LearningRule> make_rule(const std::string& name) {
  if (name == "bptt") return std::make_unique<Bptt>();
  if (name == "article") return std::make_unique<ArticleRule>();
  throw RecipeError(fmt::format("[recipe] rule must be one of 'bptt', 'article', got '{}'", name));
}

/// The recipe of a layer of type L, whose options have all of it.
template <class L>
bool describes(const Layer& layer, LayerRecipe& recipe) {
  const L* same = dynamic_cast<const L*>(&layer);
  if (same != nullptr) recipe = same->options();
  return same != nullptr;
}

template <>
bool describes<Linear>(const Layer& layer, LayerRecipe& recipe) {
  const Linear* linear = dynamic_cast<const Linear*>(&layer);
  if (linear != nullptr) recipe = LinearRecipe{linear->options(), linear->in(), linear->out()};
  return linear != nullptr;
}

template <class Norm>
bool describes_norm(const Layer& layer, LayerRecipe& recipe) {
  const Norm* norm = layer.kind() == Norm::Options::kKind ? dynamic_cast<const Norm*>(&layer) : nullptr;
  if (norm != nullptr) recipe = NormRecipe<typename Norm::Options>{norm->options(), norm->channels()};
  return norm != nullptr;
}

/// The recipe of a Neuron<Options>, whichever of the kinds that recipes know.
bool describes_neuron(const Layer& layer, LayerRecipe& recipe) {
  const auto is = [&]<class Options>(const Options*) {
    if constexpr (NeuronOptions<Options>) return describes<Neuron<Options>>(layer, recipe);
    return false;
  };
  return [&]<class... Options>(const std::variant<Options...>*) {
    return (is(static_cast<const Options*>(nullptr)) || ...);
  }(static_cast<const LayerRecipe*>(nullptr));
}

template <>
bool describes<Recurrent>(const Layer& layer, LayerRecipe& recipe) {
  const Recurrent* recurrent = dynamic_cast<const Recurrent*>(&layer);
  if (recurrent != nullptr) recipe = RecurrentRecipe{recurrent->options(), recurrent->features()};
  return recurrent != nullptr;
}

template <>
bool describes<Residual>(const Layer& layer, LayerRecipe& recipe) {
  const Residual* residual = dynamic_cast<const Residual*>(&layer);
  if (residual == nullptr) return false;
  const auto side = [](const Layer* of) {
    std::vector<LayerRecipe> layers;
    if (of == nullptr) return layers;
    const Sequential* sequential = dynamic_cast<const Sequential*>(of);
    if (sequential == nullptr) return std::vector<LayerRecipe>{recipe_of(*of)};
    for (std::size_t i = 0; i < sequential->size(); ++i) layers.push_back(recipe_of((*sequential)[i]));
    return layers;
  };
  recipe = ResidualRecipe{residual->options(), side(&residual->branch()), side(residual->shortcut())};
  return true;
}

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerRecipe& recipe) { return std::visit(MakeLayer{}, recipe); }

LayerRecipe recipe_of(const Layer& layer) {
  LayerRecipe recipe;
  const bool known = describes<Flatten>(layer, recipe) || describes<Linear>(layer, recipe) ||
                     describes<Conv2d>(layer, recipe) || describes<MaxPool2d>(layer, recipe) ||
                     describes<AvgPool2d>(layer, recipe) || describes<AdaptiveAvgPool2d>(layer, recipe) ||
                     describes_norm<BatchNorm>(layer, recipe) ||
                     describes_norm<ThresholdDependentBatchNorm>(layer, recipe) ||
                     describes<Dropout>(layer, recipe) || describes<Voting>(layer, recipe) ||
                     describes<Residual>(layer, recipe) || describes<Recurrent>(layer, recipe) ||
                     describes<PSN>(layer, recipe) || describes<MaskedPSN>(layer, recipe) ||
                     describes<SlidingPSN>(layer, recipe) || describes<LI>(layer, recipe) ||
                     describes<SoftLIF>(layer, recipe) || describes<RatePenalty>(layer, recipe) ||
                     describes_neuron(layer, recipe);
  if (!known) throw Error(fmt::format("[recipe] a layer of kind '{}' cannot be described", layer.kind()));
  return recipe;
}

Sequential Recipe::build_network(const Shape& picture) const {
  if (network.empty()) throw RecipeError("[recipe] network must have at least one layer, got none");
  Sequential net;
  for (const LayerRecipe& layer : network) net.add(make_layer(layer));
  net.initialize(training.seed);
  net.output_shape(make_encoder(encoder)->output_shape(picture));  // throws where two layers do not fit
  return net;
}

Split Recipe::take(Split whole) const {
  if (train_samples > 0) whole.train = whole.train.first(train_samples);
  if (test_samples > 0) whole.test = whole.test.first(test_samples);
  if (validation == 0) return whole;
  const double held_out =
      validation < 1 ? std::round(validation * static_cast<double>(whole.train.size())) : validation;
  if (held_out != std::floor(held_out)) {
    throw RecipeError(fmt::format(
        "[recipe] validation must be a whole number of pictures, or a share < 1, got {}", validation));
  }
  hold_out(whole, static_cast<std::size_t>(held_out), training.seed);
  return whole;
}

TrainerParts Recipe::build_parts() const {
  return {.optimizer = std::visit(MakeOptimizer{}, optimizer),
          .loss = std::visit(MakeLoss{}, loss),
          .encoder = make_encoder(encoder),
          .augment = Augment(augment),
          .rule = make_rule(rule),
          .schedule = schedule};
}

}  // namespace volley
