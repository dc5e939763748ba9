#include <volley/metrics.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <vector>

#include "support/error_text.hpp"

namespace volley {
namespace {

using Classes = std::vector<std::uint32_t>;
using test::error_text;

Tensor tensor(const Shape& shape, std::initializer_list<float> values) {
  Tensor t(shape);
  std::copy(values.begin(), values.end(), t.data());
  return t;
}

// By hand. Class 0: 3 of 4 right, predicted 4 times; 1: 1 of 2, predicted 2 times; 2: none; 3: predicted
// once.
const Classes kLabels{0, 0, 0, 0, 1, 1}, kPredictions{0, 0, 0, 3, 1, 0};

TEST(Metrics, MacroAccuracyIsTheMeanOfTheClassesThatAreThere) {
  EXPECT_DOUBLE_EQ(macro_accuracy(kPredictions, kLabels, 4), (0.75 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(macro_accuracy(kLabels, kLabels, 9), 1);
  EXPECT_TRUE(std::isnan(macro_accuracy(Classes{}, Classes{}, 3)));
}

TEST(Metrics, MacroF1CountsWhatIsPredictedInVain) {
  // F1 of 0: 6 / (4 + 4), of 1: 2 / (2 + 1), of 3: 0; class 2 is neither there nor predicted.
  EXPECT_DOUBLE_EQ(macro_f1(kPredictions, kLabels, 4), (6.0 / 8 + 2.0 / 3 + 0) / 3);
  EXPECT_DOUBLE_EQ(macro_f1(kLabels, kLabels, 4), 1);
}

TEST(Metrics, TopKTakesTheFirstOfEqualScores) {
  const Tensor scores = tensor({3, 3}, {0.1f, 0.9f, 0.5f,  //
                                        0.4f, 0.4f, 0.4f,  //
                                        0.0f, 0.2f, 0.1f});
  const Classes labels{2, 1, 0};
  EXPECT_DOUBLE_EQ(top_k_accuracy(scores, labels, 1), 0);
  EXPECT_DOUBLE_EQ(top_k_accuracy(scores, labels, 2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(top_k_accuracy(scores, labels, 3), 1);
}

TEST(Metrics, ErrorsOfRegression) {
  const Tensor t = tensor({2, 2}, {1, 2, 3, 6}), y = tensor({2, 2}, {2, 2, 1, 6});
  EXPECT_DOUBLE_EQ(mean_absolute_error(y, t), 0.75);
  EXPECT_DOUBLE_EQ(root_mean_squared_error(y, t), std::sqrt(5.0 / 4));
  EXPECT_DOUBLE_EQ(r_squared(y, t), 1 - 5.0 / 14);
  EXPECT_DOUBLE_EQ(r_squared(t, t), 1);
  EXPECT_DOUBLE_EQ(r_squared(tensor({4}, {3, 3, 3, 3}), tensor({4}, {1, 2, 3, 6})), 0);
  EXPECT_TRUE(std::isnan(r_squared(y, tensor({2, 2}, {1, 1, 1, 1}))));
}

TEST(Metrics, WhatDoesNotFitIsNamed) {
  EXPECT_EQ(error_text([] { static_cast<void>(macro_f1(Classes{0}, kLabels, 4)); }),
            "[metrics] predictions must be one for each of 6 labels, got 1");
  EXPECT_EQ(error_text([] { static_cast<void>(macro_accuracy(kPredictions, kLabels, 3)); }),
            "[metrics] predictions must be < 3, got 3");
  EXPECT_EQ(error_text([] {
              static_cast<void>(top_k_accuracy(Tensor({6, 2}), kLabels, 3));
            }),
            "[metrics] k must be 1 to 2, got 3");
  EXPECT_EQ(error_text([] {
              static_cast<void>(top_k_accuracy(Tensor({5, 2}), kLabels, 1));
            }),
            "[metrics] scores must be (N, K) with a row for each of 6 labels, got (5, 2)");
  EXPECT_EQ(error_text([] { static_cast<void>(r_squared(Tensor({2}), Tensor({3}))); }),
            "[metrics] values must have the shape of the targets, (3), got (2)");
}

}  // namespace
}  // namespace volley
