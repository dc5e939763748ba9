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
  std::unique_ptr<Layer> operator()(const LIFOptions& options) const {
    return std::make_unique<LIF>(options);
  }
  std::unique_ptr<Layer> operator()(const SoftLIFOptions& options) const {
    return std::make_unique<SoftLIF>(options);
  }
};

struct MakeEncoder {
  std::unique_ptr<Encoder> operator()(const PoissonOptions& options) const {
    return std::make_unique<Poisson>(options);
  }
};

struct MakeLoss {
  std::unique_ptr<Loss> operator()(const RateMseOptions& options) const {
    return std::make_unique<RateMse>(options);
  }
  std::unique_ptr<Loss> operator()(const RateCrossEntropyOptions& options) const {
    return std::make_unique<RateCrossEntropy>(options);
  }
};

struct MakeOptimizer {
  std::unique_ptr<Optimizer> operator()(const AdamOptions& options) const {
    return std::make_unique<Adam>(options);
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

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerRecipe& recipe) { return std::visit(MakeLayer{}, recipe); }

LayerRecipe recipe_of(const Layer& layer) {
  LayerRecipe recipe;
  const bool known = describes<Flatten>(layer, recipe) || describes<Linear>(layer, recipe) ||
                     describes<Conv2d>(layer, recipe) || describes<MaxPool2d>(layer, recipe) ||
                     describes<AvgPool2d>(layer, recipe) || describes<AdaptiveAvgPool2d>(layer, recipe) ||
                     describes<LIF>(layer, recipe) || describes<SoftLIF>(layer, recipe);
  if (!known) throw Error(fmt::format("[recipe] a layer of kind '{}' cannot be described", layer.kind()));
  return recipe;
}

Sequential Recipe::build_network(const Shape& picture) const {
  if (network.empty()) throw RecipeError("[recipe] network must have at least one layer, got none");
  Sequential net;
  for (const LayerRecipe& layer : network) net.add(make_layer(layer));
  net.initialize(training.seed);
  net.output_shape(picture);  // throws where two layers do not fit
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
          .encoder = std::visit(MakeEncoder{}, encoder),
          .augment = Augment(augment),
          .rule = make_rule(rule)};
}

}  // namespace volley
