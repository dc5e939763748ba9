#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include <volley/error.hpp>
#include <volley/recipe.hpp>

#include "core/philox.hpp"
#include "training/batch_walk.hpp"

namespace volley {
namespace {

/// How a layer is made from its recipe, and what the recipe of a layer is.
template <class L>
struct Described {
  static std::unique_ptr<L> make(const RecipeOf<L>& recipe) { return std::make_unique<L>(recipe); }
  static RecipeOf<L> recipe(const L& layer) { return layer.options(); }
};

template <>
struct Described<Linear> {
  static std::unique_ptr<Linear> make(const LinearRecipe& recipe) {
    return std::make_unique<Linear>(recipe.in, recipe.out, recipe);
  }
  static LinearRecipe recipe(const Linear& layer) { return {layer.options(), layer.in(), layer.out()}; }
};

template <class Norm>
struct DescribedNorm {
  static std::unique_ptr<Norm> make(const RecipeOf<Norm>& recipe) {
    return std::make_unique<Norm>(recipe.channels, recipe);
  }
  static RecipeOf<Norm> recipe(const Norm& layer) { return {layer.options(), layer.channels()}; }
};
template <>
struct Described<BatchNorm> : DescribedNorm<BatchNorm> {};
template <>
struct Described<ThresholdDependentBatchNorm> : DescribedNorm<ThresholdDependentBatchNorm> {};

template <>
struct Described<Recurrent> {
  static std::unique_ptr<Recurrent> make(const RecurrentRecipe& recipe) {
    return std::make_unique<Recurrent>(recipe.features, recipe);
  }
  static RecurrentRecipe recipe(const Recurrent& layer) { return {layer.options(), layer.features()}; }
};

template <>
struct Described<Sequential> {
  static std::unique_ptr<Sequential> make(const SequentialRecipe& recipe) {
    return std::make_unique<Sequential>(make_network(recipe.layers));
  }
  static SequentialRecipe recipe(const Sequential& layer) { return {recipes_of(layer)}; }
};

template <>
struct Described<Residual> {
  static std::shared_ptr<Sequential> side(const std::vector<LayerRecipe>& layers) {
    return std::make_shared<Sequential>(make_network(layers));
  }
  static std::unique_ptr<Residual> make(const ResidualRecipe& recipe) {
    if (recipe.branch.empty()) throw RecipeError("[residual] branch must have at least one layer, got none");
    return std::make_unique<Residual>(side(recipe.branch),
                                      recipe.shortcut.empty() ? nullptr : side(recipe.shortcut), recipe);
  }
  static ResidualRecipe recipe(const Residual& layer) {
    ResidualRecipe recipe{layer.options(), recipes_of(*layer.branch()), {}};
    if (layer.shortcut() != nullptr) recipe.shortcut = recipes_of(*layer.shortcut());
    return recipe;
  }
};

/// Throws where a field holds what no text can: a surrogate that is a function.
struct DescribableCheck {
  std::string_view kind;

  template <class T>
  void operator()(std::string_view name, const T& value, const Range&) const {
    if constexpr (std::is_same_v<T, Surrogate>) {
      if (!std::holds_alternative<CustomSurrogate>(value)) return;
      throw ArgumentError(kind, fmt::format("{} must be a built-in one in a file or a recipe", name),
                          "a function");
    } else if constexpr (std::is_same_v<T, AnyNeuron>) {
      std::visit([&]<class O>(const O& options) { O::fields(options, *this); }, value);
    }
  }
};

/// The one of the Classes whose options the variant holds.
template <class Base, class... Classes, class Variant>
std::unique_ptr<Base> make_one(TypeList<Classes...> classes, const Variant& options) {
  std::unique_ptr<Base> made;
  for_each_type(classes, [&]<class C>() {
    if (const auto* own = std::get_if<typename C::Options>(&options)) made = std::make_unique<C>(*own);
  });
  return made;
}

std::unique_ptr<LearningRule> make_rule(const std::string& name) {
  if (name == "bptt") return std::make_unique<Bptt>();
  if (name == "article") return std::make_unique<ArticleRule>();
  throw RecipeError(fmt::format("[recipe] rule must be one of 'bptt', 'article', got '{}'", name));
}

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerRecipe& recipe) {
  std::unique_ptr<Layer> layer;
  for_each_type(Layers{}, [&]<class L>() {
    if (const auto* own = std::get_if<RecipeOf<L>>(&recipe)) layer = Described<L>::make(*own);
  });
  return layer;
}

Sequential make_network(const std::vector<LayerRecipe>& layers) {
  Sequential net;
  for (const LayerRecipe& layer : layers) net.add(make_layer(layer), layer.node);
  return net;
}

LayerRecipe recipe_of(const Layer& layer) {
  std::optional<LayerRecipe> recipe;
  for_each_type(Layers{}, [&]<class L>() {
    if (layer.kind() != RecipeOf<L>::kKind) return;
    const L* own = dynamic_cast<const L*>(&layer);
    if (own == nullptr) return;
    recipe = Described<L>::recipe(*own);
    RecipeOf<L>::fields(std::get<RecipeOf<L>>(*recipe), DescribableCheck{layer.kind()});
  });
  if (recipe.has_value()) return *recipe;
  throw ArgumentError("recipe", "a layer of a file or a recipe must be of a built-in kind",
                      fmt::format("'{}'", layer.kind()));
}

std::vector<LayerRecipe> recipes_of(const Sequential& net) {
  std::vector<LayerRecipe> recipes;
  for (std::size_t i = 0; i < net.size(); ++i) {
    recipes.push_back(recipe_of(net[i]));
    recipes.back().node = net.node(i);
  }
  return recipes;
}

Sequential Recipe::build_network(const Shape& picture) const {
  if (network.empty()) throw RecipeError("[recipe] network must have at least one layer, got none");
  Sequential net = make_network(network);
  net.initialize(training.seed);
  net.output_shape(make_encoder(encoder)->output_shape(picture));  // throws where two layers do not fit
  if (const auto* own = std::get_if<FluctuationInitialization>(&initialization)) {
    initialize_fluctuations(net, training.seed, *own);
  }
  return net;
}

Sequential Recipe::build_network(const Source& train) const {
  Sequential net = build_network(train.info().shape);
  const auto* own = std::get_if<RateInitialization>(&initialization);
  if (own == nullptr) return net;
  const Device device(training.device, training.threads);
  WalkMemory memory(device);
  memory.order.resize(std::min(own->samples, train.size()));
  std::iota(memory.order.begin(), memory.order.end(), 0u);
  const std::unique_ptr<Encoder> of = make_encoder(encoder);
  BatchWalk walk({.source = train,
                  .order = memory.order,
                  .batch = memory.order.size(),
                  .steps = training.steps,
                  .draw = {.seed = training.seed},
                  .encoder = *of,
                  .ahead = false},
                 memory);
  if (walk.next()) initialize_rates(net, walk.batch().x, *own, device.threads());
  return net;
}

namespace {

/// How many of `samples` a recipe's `validation` holds out.
std::size_t held_out_of(double validation, std::size_t samples) {
  const double held_out = validation < 1 ? std::round(validation * static_cast<double>(samples)) : validation;
  if (held_out == std::floor(held_out)) return static_cast<std::size_t>(held_out);
  throw RecipeError(fmt::format(
      "[recipe] validation must be a whole number of samples, or a share < 1, got {}", validation));
}

std::shared_ptr<const Source> first_of(const std::shared_ptr<const Source>& source, std::size_t samples) {
  if (source == nullptr || samples == 0 || samples >= source->size()) return source;
  std::vector<std::uint32_t> ids(samples);
  std::iota(ids.begin(), ids.end(), 0u);
  return std::make_shared<Subset>(source, std::move(ids), source->info().name);
}

}  // namespace

Split Recipe::take(Split whole) const {
  if (train_samples > 0) whole.train = whole.train.first(train_samples);
  if (test_samples > 0) whole.test = whole.test.first(test_samples);
  if (validation == 0) return whole;
  hold_out(whole, held_out_of(validation, whole.train.size()), training.seed);
  return whole;
}

Sources Recipe::take(Sources whole) const {
  whole.train = first_of(whole.train, train_samples);
  whole.test = first_of(whole.test, test_samples);
  if (validation == 0 || whole.train == nullptr) return whole;
  const std::size_t size = whole.train->size(), held_out = held_out_of(validation, size);
  const std::string of = whole.train->info().name;
  if (held_out == 0 || held_out >= size) {
    throw ArgumentError("data",
                        fmt::format("{}: 1 to {} of its {} samples can be held out", of,
                                    std::max<std::size_t>(size, 1) - 1, size),
                        fmt::format("{}", held_out));
  }
  std::vector<std::uint32_t> order(size);
  shuffle(order, PhiloxSequence(philox_key(training.seed, Purpose::hold_out, 0)));
  std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(held_out));
  std::sort(order.begin() + static_cast<std::ptrdiff_t>(held_out), order.end());
  const auto cut = order.begin() + static_cast<std::ptrdiff_t>(held_out);
  whole.validation =
      std::make_shared<Subset>(whole.train, std::vector(order.begin(), cut), of + ", held out");
  whole.train = std::make_shared<Subset>(whole.train, std::vector(cut, order.end()), of);
  return whole;
}

Recipe Recipe::balanced_by(const Source& train) const {
  Recipe result = *this;
  const auto resolve = [&](auto& options) {
    if constexpr (requires { options.class_weights; }) {
      if (!options.class_weights.balanced) return;
      const std::vector<std::uint32_t> labels = labels_of(train);
      if (labels.empty()) {
        throw RecipeError(fmt::format(
            "[recipe] class_weights \"balanced\" needs a label for each sample of {}", train.info().name));
      }
      std::size_t classes = train.info().outputs;
      if (classes == 0) classes = std::size_t{*std::ranges::max_element(labels)} + 1;
      options.class_weights = balanced_class_weights(labels, classes);
    }
  };
  std::visit(resolve, result.loss);
  return result;
}

TrainerParts Recipe::build_parts() const {
  return {.optimizer = make_one<Optimizer>(Optimizers{}, optimizer),
          .loss = make_one<Loss>(Losses{}, loss),
          .encoder = make_encoder(encoder),
          .augment = Augment(augment),
          .rule = make_rule(rule),
          .schedule = schedule};
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it loses track of what a member owns
}

Recipe Recipe::balanced_by(const Dataset& train) const { return balanced_by(PictureSource(train)); }

}  // namespace volley
