#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <volley/augment.hpp>
#include <volley/batch_norm.hpp>
#include <volley/conv.hpp>
#include <volley/dropout.hpp>
#include <volley/encoder.hpp>
#include <volley/error.hpp>
#include <volley/group_norm.hpp>
#include <volley/initialization.hpp>
#include <volley/layers.hpp>
#include <volley/loss.hpp>
#include <volley/neuron.hpp>
#include <volley/optimizer.hpp>
#include <volley/parallel_neuron.hpp>
#include <volley/pool.hpp>
#include <volley/rate_penalty.hpp>
#include <volley/recurrent.hpp>
#include <volley/regression_loss.hpp>
#include <volley/residual.hpp>
#include <volley/step_loss.hpp>
#include <volley/trainer.hpp>
#include <volley/type_list.hpp>
#include <volley/upsample.hpp>
#include <volley/voting.hpp>

namespace volley {

/// A linear layer in a recipe: its sizes beside its options.
struct LinearRecipe : LinearOptions {
  std::size_t in = 0;
  std::size_t out = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("in", self.in, between(1, 1 << 24));
    visit("out", self.out, between(1, 1 << 24));
    LinearOptions::fields(self, visit);
  }
};

/// A batch normalisation in a recipe: its channels beside its options.
template <class Options>
struct NormRecipe : Options {
  std::size_t channels = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("channels", self.channels, between(1, 1 << 24));
    Options::fields(self, visit);
  }
};
using BatchNormRecipe = NormRecipe<BatchNormOptions>;
using ThresholdDependentBatchNormRecipe = NormRecipe<ThresholdDependentBatchNormOptions>;

/// Recurrent neurons in a recipe: how many beside their options.
struct RecurrentRecipe : RecurrentOptions {
  std::size_t features = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("features", self.features, between(1, 1 << 16));
    RecurrentOptions::fields(self, visit);
  }
};

/// What an object of class C is made from.
template <class C>
using OptionsOf = typename C::Options;

struct LayerRecipe;

/// A residual block in a recipe: the layers of its two sides, [[network.branch]] and [[network.shortcut]],
/// beside its options. No shortcut: x itself.
struct ResidualRecipe : ResidualOptions {
  std::vector<LayerRecipe> branch;
  std::vector<LayerRecipe> shortcut;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    ResidualOptions::fields(self, visit);
    visit("branch", self.branch, any());
    visit("shortcut", self.shortcut, any());
  }
};

/// Layers in a layer in a recipe: [[network.layers]].
struct SequentialRecipe {
  static constexpr const char* kKind = Sequential::kKind;

  std::vector<LayerRecipe> layers;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("layers", self.layers, any());
  }
};

template <class Options>
using NeuronOf = Neuron<Options>;

/// Every class of layer that recipes know.
using Layers = JoinedLists<
    TypeList<Flatten, Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, MaxPool2d, AvgPool2d,
             AdaptiveAvgPool2d, Upsample, BatchNorm, ThresholdDependentBatchNorm, GroupNorm, LayerNorm,
             Unflatten, Identity, Slice, Dropout, Voting, Sequential, Residual, Recurrent>,
    MappedList<NeuronOf, Neurons>, TypeList<PSN, MaskedPSN, SlidingPSN, LI, SoftLIF, RatePenalty>>;

namespace detail {
template <class L>
struct RecipeOf {
  using Type = typename L::Options;
};
template <>
struct RecipeOf<Linear> {
  using Type = LinearRecipe;
};
template <>
struct RecipeOf<BatchNorm> {
  using Type = BatchNormRecipe;
};
template <>
struct RecipeOf<ThresholdDependentBatchNorm> {
  using Type = ThresholdDependentBatchNormRecipe;
};
template <>
struct RecipeOf<Sequential> {
  using Type = SequentialRecipe;
};
template <>
struct RecipeOf<Residual> {
  using Type = ResidualRecipe;
};
template <>
struct RecipeOf<Recurrent> {
  using Type = RecurrentRecipe;
};
}  // namespace detail

/// What describes a layer of class L: its options, and what else it is made from where these are not all.
template <class L>
using RecipeOf = typename detail::RecipeOf<L>::Type;

/// Of any layer, and where it stands among the others. A class of its own, so that the recipes of containers
/// can hold others.
struct LayerRecipe : VariantOf<MappedList<RecipeOf, Layers>> {
  using Base = VariantOf<MappedList<RecipeOf, Layers>>;
  using Base::Base;

  NodeOptions node{};
};

/// The layer that a recipe describes, with its weights drawn from seed 0.
std::unique_ptr<Layer> make_layer(const LayerRecipe& recipe);
/// The Sequential of `layers`.
Sequential make_network(const std::vector<LayerRecipe>& layers);
/// What describes `layer`, without its weights. Throws ArgumentError for a kind that recipes do not know, and
/// for a custom surrogate, which no text can hold.
LayerRecipe recipe_of(const Layer& layer);
/// The same of each layer.
std::vector<LayerRecipe> recipes_of(const Sequential& net);

using EncoderRecipe = EncoderOptions;

using Losses =
    TypeList<RateMse, RateCrossEntropy, CountMse, CountCrossEntropy, MembraneMse, MembraneCrossEntropy, Tet,
             StepCrossEntropy, FirstSpikeCrossEntropy, FirstSpikeMse, Mse, L1, Huber>;
using LossRecipe = VariantOf<MappedList<OptionsOf, Losses>>;

using Optimizers = TypeList<Adam, AdamW, Sgd>;
using OptimizerRecipe = VariantOf<MappedList<OptionsOf, Optimizers>>;

/// A whole training run. As TOML (recipes/*.toml are the built-in ones):
///
///     name = "lif_fc_mnist"
///     data = "mnist"
///     rule = "bptt"                        # or "article"
///     epochs = 100
///     validation = 5000                    # of the training pictures, held out
///     [augment]    crop_padding, flip
///     [training]   steps, batch, seed, threads, device, drop_last, on_non_finite, clip_norm, clip_value,
///                  monitors, early_stopping
///     [encoder]    kind = "poisson"
///     [loss]       kind = "rate_mse"       and the fields of that kind
///                  class_weights           "none", a number > 0 for each output, or "balanced"
///     [optimizer]  kind = "adam"           and the fields of that kind
///     [[optimizer.groups]]                 match, weight_decay, lr_factor: one table per group, in order
///     [schedule]   kind = "constant"       and the fields of that kind
///     [initialization] kind = "default"    and the fields of that kind
///     [[network]]  kind = "flatten"        one table per layer, in order; a container's own layers follow it
///                  name, inputs, join      where it stands in a Graph: NodeOptions
///     [[network.branch]]                   in tables of their own
struct Recipe {
  std::string name = "recipe";  // letters, digits, _ and -: run folders are named by it
  std::string description;
  std::string data = "mnist";
  std::string rule = "bptt";
  std::size_t epochs = 10;
  std::size_t train_samples = 0;  // only the first so many; 0: all
  std::size_t test_samples = 0;   // only the first so many; 0: all
  double validation = 0;          // held out of the training set: a number of pictures, or below 1 a share
  AugmentOptions augment;
  TrainerOptions training;
  EncoderRecipe encoder;          // poisson
  LossRecipe loss;                // rate_mse
  OptimizerRecipe optimizer;      // adam
  Schedule schedule;              // constant
  Initialization initialization;  // default
  std::vector<LayerRecipe> network;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name, any());
    visit("description", self.description, any());
    visit("data", self.data, any());
    visit("rule", self.rule, any());
    visit("epochs", self.epochs, between(1, (1 << 24) - 1));
    visit("train_samples", self.train_samples, between(0, 4294967295.0));
    visit("test_samples", self.test_samples, between(0, 4294967295.0));
    visit("validation", self.validation, between(0, 4294967295.0));
    visit("augment", self.augment, any());
    visit("training", self.training, any());
    visit("encoder", self.encoder, any());
    visit("loss", self.loss, any());
    visit("optimizer", self.optimizer, any());
    visit("schedule", self.schedule, any());
    visit("initialization", self.initialization, any());
    visit("network", self.network, any());
  }

  /// Every layer, built, with weights drawn from training.seed; shapes checked against what the encoder makes
  /// of a picture of shape `picture`. Weights of RateInitialization are not scaled yet.
  Sequential build_network(const Shape& picture) const;
  /// The same for the training set `train`, with the weights that the training begins with.
  Sequential build_network(const Source& train) const;
  Sequential build_network(const Dataset& train) const { return build_network(PictureSource(train)); }
  /// What this recipe uses of its data: the first train_samples and test_samples, less what is held out for
  /// validation, drawn from training.seed. Throws Error when there is too little of it.
  Split take(Split whole) const;
  /// The same of any samples; those that are held out are drawn from all alike.
  Sources take(Sources whole) const;
  /// With the class weights "balanced" as numbers, by the labels and classes of `train`; otherwise itself.
  Recipe balanced_by(const Source& train) const;
  Recipe balanced_by(const Dataset& train) const;
  /// Optimizer, loss, encoder, augmentation, rule and schedule. Throws ArgumentError for class weights that
  /// are still the word "balanced".
  TrainerParts build_parts() const;
};

/// Names of the recipes that are compiled in.
std::vector<std::string> builtin_recipes();

/// A built-in recipe by its name, or a TOML file by its path.
/// Throws RecipeError, with file, line, key and the nearest right name, for an unknown key, a wrong type or a
/// value out of range.
Recipe load_recipe(const std::string& name_or_path);

/// From TOML text; `origin` is how messages name it.
Recipe parse_recipe(std::string_view text, const std::string& origin);

/// The recipe with each `key=value` put in its place, in order: "optimizer.lr=0.01", "network.2.tau=3" (third
/// layer), "epochs=5". The value is TOML; a bare word counts as a string. Another kind ("optimizer.kind=sgd")
/// comes with that kind's defaults. Throws RecipeError naming the assignment.
Recipe with_settings(const Recipe& recipe, const std::vector<std::string>& assignments);

/// Complete TOML, every default written out; parse_recipe of it gives the same recipe.
std::string to_toml(const Recipe& recipe);

}  // namespace volley
