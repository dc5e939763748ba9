#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <volley/tensor.hpp>

namespace volley {

// What is told of a network beside its loss. Classes are numbers below `classes`; all throw ArgumentError for
// arguments that do not fit, and are NaN where there is nothing to tell.

/// The mean over the classes that have samples of the share of each that was right: balanced accuracy.
double macro_accuracy(std::span<const std::uint32_t> predictions, std::span<const std::uint32_t> labels,
                      std::size_t classes);

/// The mean of F1 = 2 TP / (2 TP + FP + FN) over the classes that have samples or predictions.
double macro_f1(std::span<const std::uint32_t> predictions, std::span<const std::uint32_t> labels,
                std::size_t classes);

/// The share of samples whose label is among the k highest of their scores (N, K), 1 <= k <= K. Of equal
/// scores the first counts as higher, as in a prediction.
double top_k_accuracy(const Tensor& scores, std::span<const std::uint32_t> labels, std::size_t k);

/// Of values and targets of one shape, over all elements.
double mean_absolute_error(const Tensor& values, const Tensor& targets);
double root_mean_squared_error(const Tensor& values, const Tensor& targets);
/// 1 - sum (y - t)^2 / sum (t - mean t)^2: 1 where all are right, 0 for the mean of the targets. NaN where
/// all targets are equal.
double r_squared(const Tensor& values, const Tensor& targets);

}  // namespace volley
