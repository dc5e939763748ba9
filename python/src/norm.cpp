#include <nanobind/stl/shared_ptr.h>

#include <variant>
#include <vector>

#include <volley/batch_norm.hpp>
#include <volley/dropout.hpp>
#include <volley/group_norm.hpp>
#include <volley/voting.hpp>

#include "layers.hpp"
#include "module.hpp"

namespace volley::python {

namespace {

void bind_sample_norms(nb::module_& m) {
  auto group = nb::class_<GroupNorm, Layer>(
      m, "GroupNorm",
      "PyTorch's GroupNorm on whole passes, of each sample at each step: (T, N, num_channels) or (T, N, "
      "num_channels, ...),\nspikes or float32 -> the same shape, float32. num_groups groups of neighbouring "
      "channels are normalised by\nthemselves, each with all its positions. weight and bias (num_channels) "
      "are learned with affine.");
  def_forward(group, kAnyInput, kReal);
  group
      .def(
          "__init__",
          [](GroupNorm* self, std::size_t num_groups, std::size_t num_channels, float eps, bool affine) {
            new (self) GroupNorm(num_groups, num_channels, {.eps = eps, .affine = affine});
          },
          nb::arg("num_groups"), nb::arg("num_channels"), nb::arg("eps") = 1e-5f, nb::arg("affine") = true)
      .def("__repr__", [](const GroupNorm& self) { return repr_of("GroupNorm", self.options()); });
  option<&GroupNormOptions::num_groups>(group, "num_groups");
  option<&GroupNormOptions::num_channels>(group, "num_channels");
  option<&GroupNormOptions::eps>(group, "eps");
  option<&GroupNormOptions::affine>(group, "affine");

  using Sizes = std::variant<std::size_t, std::vector<std::size_t>>;
  auto layer = nb::class_<LayerNorm, Layer>(
      m, "LayerNorm",
      "PyTorch's LayerNorm on whole passes: the last dimensions of x, which are normalized_shape, are "
      "normalised for each\nsample, step and place in the dimensions before. x spikes or float32, y float32. "
      "weight and bias\n(*normalized_shape) are learned with elementwise_affine; bias=False: the weight "
      "alone.");
  def_forward(layer, kAnyInput, kReal);
  layer
      .def(
          "__init__",
          [](LayerNorm* self, const Sizes& sizes, float eps, bool elementwise_affine, bool bias) {
            const auto* list = std::get_if<std::vector<std::size_t>>(&sizes);
            new (self) LayerNorm(list != nullptr ? *list : std::vector{std::get<std::size_t>(sizes)},
                                 {.eps = eps, .elementwise_affine = elementwise_affine, .bias = bias});
          },
          nb::arg("normalized_shape"), nb::arg("eps") = 1e-5f, nb::arg("elementwise_affine") = true,
          nb::arg("bias") = true)
      .def("__repr__", [](const LayerNorm& self) { return repr_of("LayerNorm", self.options()); });
  option<&LayerNormOptions::normalized_shape>(layer, "normalized_shape");
  option<&LayerNormOptions::eps>(layer, "eps");
  option<&LayerNormOptions::elementwise_affine>(layer, "elementwise_affine");
}

}  // namespace

void bind_norm(nb::module_& m) {
  bind_sample_norms(m);
  auto norm = nb::class_<BatchNorm, Layer>(
      m, "BatchNorm",
      "Batch normalisation of each channel over samples, steps and positions: PyTorch's BatchNorm1d for "
      "features (C) or (C, L),\nits BatchNorm2d for (C, H, W).\n\n"
      "    y = (x - mean) / sqrt(variance + eps) weight + bias\n\n"
      "forward(x, training=True) takes mean and variance of the batch, and backward then updates the buffers "
      "running_mean,\nrunning_var and num_batches_tracked; without training they are the running ones. "
      "momentum: the part of a batch in the\nrunning statistics; None: their plain mean. affine: whether "
      "weight and bias (C) are learned.");
  def_forward(norm, kReal, kReal);
  norm.def(
          "__init__",
          [](BatchNorm* self, std::size_t channels, float eps, std::optional<float> momentum, bool affine) {
            new (self) BatchNorm(channels, {.eps = eps, .momentum = momentum, .affine = affine});
          },
          nb::arg("channels"), nb::kw_only(), nb::arg("eps") = 1e-5f, nb::arg("momentum").none() = 0.1f,
          nb::arg("affine") = true)
      .def_prop_ro("channels", &BatchNorm::channels)
      .def("__repr__", [](const BatchNorm& self) {
        return repr_of("BatchNorm", self.options(), std::to_string(self.channels()));
      });
  option<&BatchNormOptions::eps>(norm, "eps");
  option<&BatchNormOptions::momentum>(norm, "momentum");
  option<&BatchNormOptions::affine>(norm, "affine");

  using TdBatchNorm = ThresholdDependentBatchNorm;
  auto td = nb::class_<TdBatchNorm, Layer>(
      m, "ThresholdDependentBatchNorm",
      "tdBN (Zheng et al., 2021): a BatchNorm whose weights are alpha v_threshold at first, so that currents "
      "spread as far\nas the threshold of the neurons that follow. SpikingJelly's.");
  def_forward(td, kReal, kReal);
  td.def(
        "__init__",
        [](TdBatchNorm* self, std::size_t channels, float alpha, float v_threshold, float eps,
           std::optional<float> momentum) {
          new (self) TdBatchNorm(
              channels, {.alpha = alpha, .v_threshold = v_threshold, .eps = eps, .momentum = momentum});
        },
        nb::arg("channels"), nb::kw_only(), nb::arg("alpha") = 1.0f, nb::arg("v_threshold") = 1.0f,
        nb::arg("eps") = 1e-5f, nb::arg("momentum").none() = 0.1f)
      .def_prop_ro("channels", &TdBatchNorm::channels)
      .def("__repr__", [](const TdBatchNorm& self) {
        return repr_of("ThresholdDependentBatchNorm", self.options(), std::to_string(self.channels()));
      });
  option<&TdBatchNorm::Options::alpha>(td, "alpha");
  option<&TdBatchNorm::Options::v_threshold>(td, "v_threshold");
  option<&TdBatchNorm::Options::eps>(td, "eps");
  option<&TdBatchNorm::Options::momentum>(td, "momentum");

  auto dropout = nb::class_<Dropout, Layer>(
      m, "Dropout",
      "forward(x, training=True) silences each feature of a sample with probability p for all its steps, and "
      "scales the\nothers by 1 / (1 - p); without training the identity. Which ones is a function of seed, "
      "epoch, sample, feature and\nthe layer's place alone. SpikingJelly's Dropout.");
  def_forward(dropout, kAnyInput, kEither);
  dropout
      .def(
          "__init__", [](Dropout* self, float p) { new (self) Dropout({.p = p}); }, nb::arg("p") = 0.5f)
      .def("__repr__", [](const Dropout& self) { return repr_of("Dropout", self.options()); });
  option<&DropoutOptions::p>(dropout, "p");

  auto voting = nb::class_<Voting, Layer>(
      m, "Voting",
      "The mean of each group of voting_size neighbouring features: (T, N, K voting_size) -> (T, N, K), "
      "float32.\nSpikingJelly's VotingLayer.");
  def_forward(voting, kAnyInput, kReal);
  voting
      .def(
          "__init__",
          [](Voting* self, std::int64_t voting_size) {
            new (self) Voting({.voting_size = number_from("voting", "voting_size", voting_size)});
          },
          nb::arg("voting_size") = 10)
      .def("__repr__", [](const Voting& self) { return repr_of("Voting", self.options()); });
  option<&VotingOptions::voting_size>(voting, "voting_size");
}

}  // namespace volley::python
