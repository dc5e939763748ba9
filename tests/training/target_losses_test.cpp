#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <volley/volley.hpp>

#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/loss_cases.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

using test::error_text;
using test::every_loss;
using test::LossCase;
using test::random_tensor;

struct Result {
  double loss = 0;
  Tensor scores, dy;
};

Result run(const Loss& loss, const Signal& y, const Targets& targets, std::size_t threads = 1) {
  ThreadPool pool(threads);
  Tape tape(pool);
  Result result;
  result.loss = loss.forward(y, targets, result.scores, tape);
  result.dy = to_tensor(loss.backward(tape));
  return result;
}

/// Steps [0, length) of sample n of y (N, T, K).
Tensor one_of(const Tensor& y, std::size_t n, std::size_t length) {
  const std::size_t T = y.shape()[1], K = y.shape()[2];
  Tensor one(Shape{1, length, K});
  std::copy_n(y.data() + n * T * K, length * K, one.data());
  return one;
}

/// The targets of sample n by itself.
Targets one_of(const Targets& all, std::size_t n, std::size_t N, std::size_t T, std::size_t length) {
  Targets one;
  if (all.labels.size() == N) one.labels = {all.labels[n]};
  if (all.labels.size() == N * T) {
    const auto first = all.labels.begin() + static_cast<std::ptrdiff_t>(n * T);
    one.labels.assign(first, first + static_cast<std::ptrdiff_t>(length));
  }
  const Shape& shape = all.values.shape();
  if (shape.rank() == 2) {
    one.values = Tensor(Shape{1, shape[1]});
    std::copy_n(all.values.data() + n * shape[1], shape[1], one.values.data());
  }
  if (shape.rank() == 3) one.values = one_of(all.values, n, length);
  for (const Targets& head : all.heads) one.heads.push_back(one_of(head, n, N, T, length));
  return one;
}

constexpr std::size_t kN = LossCase::kN, kT = LossCase::kT, kK = LossCase::kK;

TEST(TargetLosses, HaveTheirGradients) {
  for (LossCase& c : every_loss()) {
    SCOPED_TRACE(c.name);
    if (!c.smooth) continue;
    for (const bool masked : {false, true}) {
      Targets targets = c.targets;
      if (masked) {
        targets.lengths = {6, 1, 4, 5, 2};
        targets.weights = {1, 0.5f, 2, 0, 3};
      }
      const Tensor y = c.outputs(11);
      const Result result = run(*c.loss, y, targets);
      const auto loss = [&](const std::vector<double>& at) {
        Tensor moved(y.shape());
        std::ranges::transform(at, moved.data(), [](double v) { return static_cast<float>(v); });
        return run(*c.loss, moved, targets).loss;
      };
      const std::vector<double> at(y.values().begin(), y.values().end());
      const std::vector<double> dy(result.dy.values().begin(), result.dy.values().end());
      EXPECT_LT(test::gradient_error(loss, at, dy, 1e-3), 5e-3) << (masked ? "masked" : "whole");
    }
  }
}

/// A sample's scores, loss and gradient do not depend on what lies beyond its length, nor on the batch.
TEST(TargetLosses, OfABatchAreThoseOfItsSamples) {
  const std::vector<std::uint32_t> lengths{6, 1, 4, 5, 2};
  for (LossCase& c : every_loss()) {
    SCOPED_TRACE(c.name);
    Targets targets = c.targets;
    targets.lengths = lengths;
    Tensor y = c.outputs(12);
    const Result result = run(*c.loss, y, targets, 2);
    for (std::size_t n = 0; n < kN; ++n) {  // what is not there does not matter
      for (std::size_t i = (n * kT + lengths[n]) * kK; i < (n + 1) * kT * kK; ++i)
        y.data()[i] = 1 - y.data()[i];
    }
    const Result other = run(*c.loss, y, targets, 2);
    EXPECT_EQ(result.loss, other.loss);
    EXPECT_TRUE(std::ranges::equal(result.dy.values(), other.dy.values()));
    double mean = 0;
    double total = 0;
    for (std::size_t n = 0; n < kN; ++n) {
      const Tensor alone = one_of(y, n, lengths[n]);
      const Targets of = one_of(c.targets, n, kN, kT, lengths[n]);
      const Result single = run(*c.loss, alone, of);
      const double weight = c.loss->total_weight(of, 1);
      const std::size_t size = single.scores.size();
      EXPECT_TRUE(
          std::ranges::equal(single.scores.values(),
                             result.scores.values().subspan(n * (result.scores.size() / kN)).first(size)));
      mean += weight * single.loss;
      total += weight;
      const float* dy = result.dy.data() + n * kT * kK;
      for (std::size_t i = lengths[n] * kK; i < kT * kK; ++i) EXPECT_EQ(dy[i], 0);
      const double share = weight / c.loss->total_weight(targets, kN);
      for (std::size_t i = 0; i < lengths[n] * kK; ++i)
        EXPECT_NEAR(dy[i], share * static_cast<double>(single.dy.data()[i]), 1e-6);
    }
    EXPECT_NEAR(result.loss, mean / total, 1e-6);
  }
}

/// `rows` (N, T, K) without the steps that do not count: (N, U, K), 0 behind the last that does.
Tensor counted(const Tensor& rows, const Targets& by, std::size_t U) {
  const std::size_t T = rows.shape()[1], K = rows.shape()[2];
  Tensor picked(Shape{kN, U, K});
  for (std::size_t n = 0; n < kN; ++n) {
    for (std::size_t t = 0, u = 0; t < T; ++t) {
      if (by.counts(n, t, T))
        std::copy_n(rows.data() + (n * T + t) * K, K, picked.data() + (n * U + u++) * K);
    }
  }
  return picked;
}

/// A mask with holes: every loss is that of the sequences without the steps that do not count, bit for bit.
TEST(TargetLosses, OfAMaskAreThoseOfTheStepsThatCount) {
  Targets mask;
  mask.lengths = {6, 4, 6, 5, 3};
  mask.mask = {0, 1, 1, 0, 1, 1,  //
               1, 0, 0, 1, 9, 1,  // what lies beyond a length is not read
               0, 0, 0, 0, 0, 1,  //
               1, 1, 1, 1, 1, 0,  //
               0, 1, 0, 1, 1, 1};
  const std::vector<std::uint32_t> counts{4, 2, 1, 5, 1};
  constexpr std::size_t kMost = 5;
  for (LossCase& c : every_loss()) {
    for (const bool as_spikes : {false, true}) {
      if (as_spikes && c.name.starts_with("membrane")) continue;  // refuses them
      SCOPED_TRACE(c.name + (as_spikes ? " spikes" : ""));
      Tensor y = c.outputs(14);
      if (as_spikes)
        std::ranges::transform(y.values(), y.data(), [](float v) { return v > 0.3f ? 1.0f : 0.0f; });
      Targets masked = c.targets, without = c.targets;
      masked.weights = without.weights = {1, 0.5f, 2, 0, 3};
      masked.lengths = mask.lengths;
      masked.mask = mask.mask;
      without.lengths = counts;
      if (c.targets.labels.size() == kN * kT) {
        without.labels.assign(kN * kMost, 0);
        for (std::size_t n = 0; n < kN; ++n) {
          for (std::size_t t = 0, u = 0; t < kT; ++t) {
            if (mask.counts(n, t, kT)) {
              without.labels[n * kMost + u++] = c.targets.labels[n * kT + t];
            } else {
              masked.labels[n * kT + t] = 99;  // not read
            }
          }
        }
      }
      if (c.targets.values.shape().rank() == 3) without.values = counted(c.targets.values, mask, kMost);
      const Tensor short_y = counted(y, mask, kMost);
      const auto signal = [&](const Tensor& of, Spikes& memory) -> Signal {
        if (!as_spikes) return of;
        const std::vector<std::uint8_t> bytes(of.values().begin(), of.values().end());
        return memory = Spikes::from_bytes(of.shape(), bytes);
      };
      Spikes long_memory, short_memory;
      const Result result = run(*c.loss, signal(y, long_memory), masked, 2);
      const Result expected = run(*c.loss, signal(short_y, short_memory), without);
      EXPECT_EQ(result.loss, expected.loss);
      EXPECT_EQ(c.loss->total_weight(masked, kN), c.loss->total_weight(without, kN));
      const auto same = [](const Tensor& a, const Tensor& b) {
        return a.shape() == b.shape() && std::ranges::equal(a.values(), b.values());
      };
      if (expected.scores.shape().rank() == 3) {
        Tensor scores = counted(result.scores, mask, kMost);
        for (std::size_t n = 0; n < kN; ++n) {  // beyond a length any
          for (std::size_t i = (n * kMost + counts[n]) * kK; i < (n + 1) * kMost * kK; ++i)
            scores.data()[i] = expected.scores.data()[i];
        }
        EXPECT_TRUE(same(scores, expected.scores));
      } else {
        EXPECT_TRUE(same(result.scores, expected.scores));
      }
      const Hits hits = c.loss->hits(result.scores, masked), of = c.loss->hits(expected.scores, without);
      EXPECT_EQ(hits.right, of.right);
      EXPECT_EQ(hits.of, of.of);
      EXPECT_TRUE(same(counted(result.dy, mask, kMost), expected.dy));
      for (std::size_t i = 0; i < result.dy.size(); ++i) {
        EXPECT_TRUE(mask.counts(i / (kT * kK), i / kK % kT, kT) || result.dy.data()[i] == 0);
      }
    }
  }
}

TEST(TargetLosses, RefuseAMaskThatDoesNotFit) {
  const Tensor y = random_tensor({2, 3, 4}, 1);
  const auto text = [&](std::vector<std::uint8_t> mask, std::vector<std::uint32_t> lengths = {}) {
    return error_text([&] {
      run(RateMse{}, y, {.labels = {0, 1}, .lengths = std::move(lengths), .mask = std::move(mask)});
    });
  };
  EXPECT_EQ(text({1, 1, 1}), "[rate_mse] mask must be one for each of 3 steps of 2 samples, got 3");
  EXPECT_EQ(text({1, 1, 1, 1, 2, 1}), "[rate_mse] mask must be 0 or 1, got 2");
  EXPECT_EQ(text({1, 1, 1, 0, 0, 0}), "[rate_mse] mask must leave each sample a step, got none of sample 1");
  EXPECT_EQ(text({1, 1, 1, 0, 0, 1}, {3, 2}),
            "[rate_mse] mask must leave each sample a step, got none of sample 1");
  Targets heads;
  heads.heads = {Targets{.labels = {1, 0}}, Targets{.labels = {1, 0}, .mask = {1, 1, 1, 1, 1, 0}}};
  const Heads two{{{std::make_shared<RateMse>(), 2, 1.0f}, {std::make_shared<RateMse>(), 2, 1.0f}}};
  EXPECT_EQ(error_text([&] { run(two, y, heads); }),
            "[heads] weights, lengths and mask must be those of the targets as a whole");
}

/// One tape, with a mask and without: nothing of the mask stays.
TEST(TargetLosses, AMaskIsForgottenByTheNextPass) {
  ThreadPool pool(1);
  Tape tape(pool);
  Tensor scores;
  const Tensor y = random_tensor({2, 3, 4}, 1);
  const std::vector<std::uint32_t> labels{0, 1};
  const RateMse loss;
  const double whole = loss.forward(y, labels, scores, tape);
  const double masked = loss.forward(y, {.labels = labels, .mask = {1, 0, 1, 1, 1, 0}}, scores, tape);
  EXPECT_NE(masked, whole);
  EXPECT_EQ(loss.forward(y, labels, scores, tape), whole);
  EXPECT_EQ(to_tensor(loss.backward(tape)).shape(), y.shape());
}

TEST(TargetLosses, WeightsOfSamplesCountAsSamples) {
  for (LossCase& c : every_loss()) {
    SCOPED_TRACE(c.name);
    const Tensor y = c.outputs(13);
    Targets twice = c.targets;
    twice.weights = {1, 2, 0, 1, 0};
    const Result weighed = run(*c.loss, y, twice);
    double sum = 0, total = 0;
    for (std::size_t n = 0; n < kN; ++n) {
      const Targets of = one_of(c.targets, n, kN, kT, kT);
      const double weight = c.loss->total_weight(of, 1) * static_cast<double>(twice.weights[n]);
      const Tensor one = one_of(y, n, kT);
      sum += weight * run(*c.loss, one, of).loss;
      total += weight;
    }
    EXPECT_NEAR(weighed.loss, sum / total, 1e-6);
    Targets none = c.targets;
    none.weights.assign(kN, 0.0f);
    const Result nothing = run(*c.loss, y, none);
    EXPECT_EQ(nothing.loss, 0);
    EXPECT_EQ(std::ranges::count(nothing.dy.values(), 0.0f), static_cast<std::ptrdiff_t>(y.size()));
  }
}

TEST(TargetLosses, WorkedByHand) {
  Tensor y(Shape{1, 2, 2});
  std::ranges::copy(std::vector<float>{1, -2, 3, 0}, y.data());
  Targets targets{.values = Tensor(Shape{1, 2})};
  std::ranges::copy(std::vector<float>{1, 1}, targets.values.data());
  EXPECT_EQ(run(Mse{}, y, targets).loss, (1.0 + 4.0) / 2);                               // means 2, -1
  EXPECT_EQ(run(Mse{{.readout = ValueReadout::last}}, y, targets).loss, (4.0 + 1) / 2);  // 3, 0
  EXPECT_EQ(run(Mse{{.readout = ValueReadout::sum}}, y, targets).loss, (9.0 + 9) / 2);   // 4, -2
  EXPECT_EQ(run(Mse{{.readout = ValueReadout::each_step}}, y, targets).loss, (0.0 + 9 + 4 + 1) / 4);
  EXPECT_EQ(run(L1{}, y, targets).loss, (1.0 + 2.0) / 2);
  EXPECT_EQ(run(Huber{}, y, targets).loss, (0.5 + 1.5) / 2);
  EXPECT_EQ(run(L1{}, y, targets).dy.values()[0], 0.25f);
  // Spikes at steps 2 and never, of 4: times 2 and 3.
  Tensor s(Shape{1, 4, 2});
  s.data()[4] = s.data()[6] = 1;
  const Result first = run(FirstSpikeMse{}, s, {.labels = {0}});
  EXPECT_EQ(first.loss, (2.0 * 2 + 0) / 2);  // of 0, and of the last, 3
  EXPECT_EQ(first.scores.values()[0], -2);
  EXPECT_EQ(first.scores.values()[1], -3);
  std::vector<float> dy(8);
  dy[4] = -2;  // d loss / d time = 2, and a spike there would have been earlier
  EXPECT_TRUE(std::ranges::equal(first.dy.values(), dy));
  EXPECT_EQ(FirstSpikeMse{}.hits(first.scores, {.labels = {0}}).right, 1u);
  const Result entropy = run(FirstSpikeCrossEntropy{}, s, {.labels = {1}});
  EXPECT_NEAR(entropy.loss, std::log1p(std::exp(1.0)), 1e-6);
}

TEST(TargetLosses, CountTheStepsThatAreThere) {
  Tensor scores(Shape{2, 3, 2});
  std::ranges::copy(std::vector<float>{1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1}, scores.data());
  const StepCrossEntropy loss;
  const Hits hits = loss.hits(scores, {.labels = {0, 1, 1, 1, 0, 0}, .lengths = {3, 1}});
  EXPECT_EQ(hits.right, 3u);
  EXPECT_EQ(hits.of, 4u);
  EXPECT_EQ(loss.hits(scores, {.labels = {0, 1}}).right, 5u);
  EXPECT_TRUE(std::isnan(share_of(Mse{}.hits(scores, Targets{.values = Tensor(Shape{2, 2})}))));
}

TEST(TargetLosses, RefuseWhatDoesNotFit) {
  const Tensor y = random_tensor({2, 3, 4}, 1);
  const auto text = [&](const Loss& loss, const Targets& targets) {
    return error_text([&] { run(loss, y, targets); });
  };
  EXPECT_EQ(text(Mse{}, {.labels = {0, 1}}), "[mse] targets must be real values, got labels");
  EXPECT_EQ(text(Mse{}, {.values = Tensor(Shape{2, 3})}), "[mse] targets must be (2, 4), got (2, 3)");
  EXPECT_EQ(text(Mse{{.readout = ValueReadout::each_step}}, {.values = Tensor(Shape{2, 4, 4})}),
            "[mse] targets must be (2, 4) or (2, 3, 4), got (2, 4, 4)");
  EXPECT_EQ(text(RateMse{}, {.values = Tensor(Shape{2, 4})}),
            "[rate_mse] targets must be labels, got real values");
  EXPECT_EQ(text(RateMse{}, {.labels = {0, 1}, .weights = {1}}),
            "[rate_mse] weights must be one for each of 2 samples, got 1");
  EXPECT_EQ(text(RateMse{}, {.labels = {0, 1}, .weights = {1, -1}}),
            "[rate_mse] weights must be >= 0, got -1");
  EXPECT_EQ(text(RateMse{}, {.labels = {0, 1}, .lengths = {3, 4}}),
            "[rate_mse] lengths must be 1 to 3, got 4");
  EXPECT_EQ(text(RateMse{}, {.labels = {0, 1}, .lengths = {0, 3}}),
            "[rate_mse] lengths must be 1 to 3, got 0");
  EXPECT_EQ(text(StepCrossEntropy{}, {.labels = {0, 1, 2}}),
            "[step_cross_entropy] needs one label for each of 2 samples, or each of 6 steps, got 3");
  EXPECT_EQ(text(StepCrossEntropy{}, {.labels = {0, 1, 9, 1, 2, 3}}),
            "[step_cross_entropy] labels must be < 4, the number of outputs, got 9");
  EXPECT_NO_THROW(run(StepCrossEntropy{}, y, {.labels = {0, 1, 9, 1, 2, 3}, .lengths = {2, 3}}));
  EXPECT_EQ(text(FirstSpikeCrossEntropy{}, {.labels = {0, 1}}).substr(0, 54),
            "[first_spike_cross_entropy] y must be spikes, 0 or 1, ");
  const auto heads = [&] { return Heads{{{std::make_shared<Mse>(), 3}, {std::make_shared<Mse>(), 2}}}; };
  EXPECT_EQ(text(heads(), {}), "[heads] the heads must have the 4 outputs of y, got 5");
  EXPECT_EQ(error_text([] { Heads{{{nullptr, 3}}}; }), "[heads] loss must not be null");
  EXPECT_EQ(error_text([] {
              Heads{{{std::make_shared<StepCrossEntropy>(), 3}}};
            }),
            "[heads] a head must have one score for each of its outputs, got step_cross_entropy");
  const Heads one{{{std::make_shared<Mse>(), 4}}};
  EXPECT_EQ(text(one, {.values = Tensor(Shape{2, 4})}),
            "[heads] needs the targets of 1 heads, and no others, got 0");
}

TEST(TargetLosses, OfSpikesAreThoseOfZerosAndOnes) {
  const std::vector<std::uint8_t> bytes = test::Random(3).spikes<std::uint8_t>(kN * kT * kK, 0.4);
  const Spikes spikes = Spikes::from_bytes({kN, kT, kK}, bytes);
  Tensor values(Shape{kN, kT, kK});
  std::ranges::copy(bytes, values.data());
  for (LossCase& c : every_loss()) {
    if (c.name.starts_with("membrane")) continue;
    SCOPED_TRACE(c.name);
    Targets targets = c.targets;
    targets.lengths = {6, 1, 4, 5, 2};
    const Result a = run(*c.loss, spikes, targets), b = run(*c.loss, values, targets);
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_TRUE(std::ranges::equal(a.scores.values(), b.scores.values()));
    EXPECT_TRUE(std::ranges::equal(a.dy.values(), b.dy.values()));
  }
}

}  // namespace
}  // namespace volley
