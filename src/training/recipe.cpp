#include <fmt/format.h>

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

}  // namespace

Sequential Recipe::build_network(const Shape& picture) const {
  if (network.empty()) throw RecipeError("[recipe] network must have at least one layer, got none");
  Sequential net;
  for (const LayerRecipe& layer : network) net.add(std::visit(MakeLayer{}, layer));
  net.initialize(training.seed);
  net.output_shape(picture);  // throws where two layers do not fit
  return net;
}

TrainerParts Recipe::build_parts() const {
  return {.optimizer = std::visit(MakeOptimizer{}, optimizer),
          .loss = std::visit(MakeLoss{}, loss),
          .encoder = std::visit(MakeEncoder{}, encoder),
          .rule = make_rule(rule)};
}

}  // namespace volley
