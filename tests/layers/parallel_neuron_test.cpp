// The PSN family: the reference against finite differences, the layers against the reference.

#include <gtest/gtest.h>

#include <cmath>

#include <volley/parallel_neuron.hpp>
#include <volley/recipe.hpp>

#include "spec/psn.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

using spec::Fire;
using test::error_text;
using Values = std::vector<double>;

constexpr std::size_t kN = 5, kT = 6;

template <class Body>
void for_every_psn(const Body& body) {
  body(PSNOptions{.steps = kT});
  for (const float lambda : {0.0f, 0.3f, 1.0f}) {
    body(MaskedPSNOptions{.k = 3, .steps = kT, .lambda_init = lambda, .surrogate = Erf{}});
  }
  for (const std::size_t k : {1u, 3u, 9u}) body(SlidingPSNOptions{.k = k, .surrogate = Sigmoid{}});
}

template <class Options>
std::size_t weights_of(const Options& o) {
  if constexpr (std::is_same_v<Options, SlidingPSNOptions>) return o.k;
  return kT * kT;
}
template <class Options>
std::size_t biases_of(const Options&) {
  return std::is_same_v<Options, SlidingPSNOptions> ? 1 : kT;
}

/// Forward and backward of one sample; `numbers` are the weights, then the biases.
template <class Options>
struct Reference {
  Options o;
  std::size_t F;

  Values forward(const Values& x, const Values& numbers, Fire fire, Values* h = nullptr) const {
    Values matrix(kT * kT), bias(kT), s(kT * F), potential(kT * F);
    spec::psn_expand(matrix.data(), bias.data(), numbers.data(), numbers.data() + weights_of(o), o, kT);
    spec::psn_forward(s.data(), potential.data(), x.data(), matrix.data(), bias.data(), o.surrogate, fire, kT,
                      F);
    if (h != nullptr) *h = potential;
    return s;
  }
  /// dx; adds to dnumbers.
  Values backward(const Values& x, const Values& numbers, const Values& ds, Values& dnumbers) const {
    Values h, matrix(kT * kT), bias(kT), dmatrix(kT * kT), dbias(kT), dx(kT * F);
    forward(x, numbers, Fire::hard, &h);
    spec::psn_expand(matrix.data(), bias.data(), numbers.data(), numbers.data() + weights_of(o), o, kT);
    spec::psn_backward(dx.data(), dmatrix.data(), dbias.data(), ds.data(), h.data(), x.data(), matrix.data(),
                       o.surrogate, kT, F);
    spec::psn_fold(dnumbers.data(), dnumbers.data() + weights_of(o), dmatrix.data(), dbias.data(), o, kT);
    return dx;
  }
};

TEST(PSNReference, BackwardIsTheGradient) {
  for_every_psn([](const auto& o) {
    const Reference<std::remove_cvref_t<decltype(o)>> psn{o, 4};
    const Values x = test::Random(1).values<double>(kT * psn.F),
                 ds = test::Random(2).values<double>(kT * psn.F);
    const Values numbers = test::Random(3).values<double>(weights_of(o) + biases_of(o));
    Values dnumbers(numbers.size());
    const Values dx = psn.backward(x, numbers, ds, dnumbers);
    EXPECT_LT(
        test::gradient_error(
            [&](const Values& at) { return test::dot(ds, psn.forward(at, numbers, Fire::smooth)); }, x, dx),
        1e-7)
        << o.kKind;
    EXPECT_LT(test::gradient_error(
                  [&](const Values& at) { return test::dot(ds, psn.forward(x, at, Fire::smooth)); }, numbers,
                  dnumbers),
              1e-7)
        << o.kKind;
  });
}

TEST(PSNReference, SeesWhatSpikingJellysSee) {
  // A sliding neuron of order 2: h[t] = 1/2 x[t-1] + x[t] - 1.
  const Reference<SlidingPSNOptions> sliding{{.k = 2}, 1};
  Values h;
  sliding.forward({1, 2, 0, 0, 4, 1}, {0.5, 1, -1}, Fire::hard, &h);
  EXPECT_EQ(h, (Values{0, 1.5, 0, -1, 3, 2}));
  // Masked with lambda 1 and order 1: each step sees itself alone.
  const Reference<MaskedPSNOptions> masked{{.k = 1, .steps = kT, .lambda_init = 1}, 1};
  Values numbers(kT * kT, 7.0);
  numbers.resize(kT * kT + kT, -1.0);
  masked.forward({1, 2, 0, 0, 4, 1}, numbers, Fire::hard, &h);
  EXPECT_EQ(h, (Values{6, 13, -1, -1, 27, 6}));
}

TEST(PSNLayer, FollowsTheReferenceInEveryFormOfASignal) {
  ThreadPool pool(1);
  for_every_psn([&](const auto& o) {
    using Options = std::remove_cvref_t<decltype(o)>;
    const Shape shape{kN, kT, 3, 2, 5};
    const std::size_t F = 30;
    Tensor x(shape), ds(shape);
    std::ranges::copy(test::Random(4).values<float>(x.size(), -1, 2), x.data());
    std::ranges::copy(test::Random(5).values<float>(x.size()), ds.data());
    ParallelNeuron<Options> layer(o);
    Values numbers, expected_numbers;
    for (const NamedParameter& p : layer.parameters()) {
      for (const float w : p.parameter->value.values()) numbers.push_back(static_cast<double>(w));
    }
    expected_numbers.resize(numbers.size());
    const Reference<Options> psn{o, F};
    for (const Layout layout : {Layout::row_major, Layout::channels_last}) {
      zero_gradients(layer.parameters());
      std::ranges::fill(expected_numbers, 0.0);
      Tape tape(pool);
      SignalMemory memory, y_memory, dy_memory, dx_memory;
      const Signal y = layer.forward(in_layout(x, layout, memory, pool), tape);
      const Signal plain_y = plain(y, y_memory, pool);
      const Signal dx_given = layer.backward(tape, in_form_of(y, ds, dy_memory, pool));
      const Signal dx = plain(dx_given, dx_memory, pool);
      std::vector<std::uint8_t> s(x.size());
      plain_y.spikes().to_bytes(s);
      for (std::size_t n = 0; n < kN; ++n) {
        const auto sample = [&](const Tensor& t) {
          return Values(t.data() + n * kT * F, t.data() + (n + 1) * kT * F);
        };
        Values h;
        const Values expected_s = psn.forward(sample(x), numbers, Fire::hard, &h);
        const Values expected_dx = psn.backward(sample(x), numbers, sample(ds), expected_numbers);
        for (std::size_t i = 0; i < kT * F; ++i) {
          if (std::abs(h[i]) > 1e-5) {
            ASSERT_EQ(s[n * kT * F + i], expected_s[i]);
          }
          ASSERT_NEAR(static_cast<double>(dx.values()[n * kT * F + i]), expected_dx[i], 1e-5) << o.kKind;
        }
      }
      std::size_t i = 0;
      for (const NamedParameter& p : layer.parameters()) {
        for (const float g : p.parameter->gradient.values()) {
          EXPECT_NEAR(static_cast<double>(g), expected_numbers[i],
                      1e-4 * (1 + std::abs(expected_numbers[i])));
          ++i;
        }
      }
    }
  });
}

TEST(PSNLayer, AConstantCurrentIsReadAtEveryStep) {
  ThreadPool pool(3);
  const Shape shape{kN, kT, 7};
  Tensor stored({kN, 1, 7}), ds(shape);
  std::ranges::copy(test::Random(6).values<float>(stored.size(), -1, 2), stored.data());
  std::ranges::copy(test::Random(7).values<float>(ds.size()), ds.data());
  const Signal constant(stored, shape);
  SignalMemory memory;
  const Signal repeated = plain(constant, memory, pool);
  PSN layer({.steps = kT});
  Tape a(pool), b(pool);
  const Signal ya = layer.forward(constant, a), yb = layer.forward(repeated, b);
  EXPECT_EQ(ya.spikes().count(), yb.spikes().count());
  const Signal da = layer.backward(a, ds), db = layer.backward(b, ds);
  ASSERT_EQ(da.stored_steps(), 1u);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    float sum = 0;
    for (std::size_t t = 0; t < kT; ++t) sum += db.values()[(i / 7 * kT + t) * 7 + i % 7];
    EXPECT_NEAR(da.values()[i], sum, 1e-5f);
  }
}

TEST(PSNLayer, BeginsAsSpikingJellysDo) {
  SlidingPSN sliding({.k = 4});
  const auto w = sliding.parameters()[0].parameter->value.values();
  EXPECT_EQ(std::vector<float>(w.begin(), w.end()), (std::vector<float>{0.125f, 0.25f, 0.5f, 1}));
  EXPECT_EQ(sliding.parameters()[1].parameter->value.values()[0], -1.0f);
  PSN psn({.steps = 16});
  for (const float weight : psn.parameters()[0].parameter->value.values()) EXPECT_LE(std::abs(weight), 0.25f);
  for (const float bias : psn.parameters()[1].parameter->value.values()) EXPECT_EQ(bias, -1.0f);
}

TEST(PSNLayer, WhatDoesNotFitIsRefused) {
  const Tensor x({2, 5, 3});
  Tape tape;
  EXPECT_EQ(error_text([&] { PSN({.steps = 4}).forward(x, tape); }), "[psn] input must have 4 steps, got 5");
  EXPECT_EQ(error_text([] { MaskedPSN({.lambda_init = 1.5f}); }),
            "[masked_psn] lambda_init must be >= 0 and <= 1, got 1.5");
  EXPECT_EQ(error_text([] { SlidingPSN({.k = 0}); }), "[sliding_psn] k must be >= 1 and <= 4096, got 0");
}

TEST(PSNLayer, RecipesKnowThem) {
  for_every_psn([](const auto& o) {
    using Options = std::remove_cvref_t<decltype(o)>;
    EXPECT_TRUE(std::holds_alternative<Options>(recipe_of(*make_layer(LayerRecipe{o}))));
  });
}

}  // namespace
}  // namespace volley
