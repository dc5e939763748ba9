// The layers as a user puts them together, against the double reference of the same network on the same
// spikes.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <volley/error.hpp>
#include <volley/layers.hpp>
#include <volley/loss.hpp>
#include <volley/neuron.hpp>

#include "spec/lif.hpp"
#include "spec/linear.hpp"
#include "spec/loss.hpp"
#include "support/counting_layer.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using test::error_text;

constexpr std::size_t kT = 20;

struct Gradients {
  double loss;
  std::vector<std::vector<float>> of;  // parameters in order, then dx
};

/// One pass and its gradients, MSE of the rate.
Gradients run(Sequential& net, const Signal& x, const std::vector<std::uint32_t>& labels, std::size_t threads,
              bool want_dx = true) {
  ThreadPool pool(threads);
  Tape tape(pool);
  tape.set_needs_input_gradient(want_dx);
  Tape loss_tape(pool);
  const RateMse loss;
  Tensor scores;
  Gradients result;
  zero_gradients(net.parameters());
  for (int pass = 0; pass < 2;
       ++pass) {  // the second on a used tape: nothing may be left over from the first
    zero_gradients(net.parameters());
    const Signal y = net.forward(x, tape);
    result.loss = loss.forward(y, labels, scores, loss_tape);
    const Signal dx = net.backward(tape, loss.backward(loss_tape));
    result.of.clear();
    for (const NamedParameter& p : net.parameters()) {
      const auto g = p.parameter->gradient.values();
      result.of.emplace_back(g.begin(), g.end());
    }
    if (want_dx) result.of.emplace_back(dx.values(), dx.values() + dx.shape().size());
    EXPECT_EQ(dx.empty(), !want_dx);
  }
  return result;
}

/// The reference of Linear(bias), LIF, Linear, LIF, in double, on spikes x (N, T, in).
struct ReferenceNetwork {
  std::size_t N, in, hidden, out;

  Gradients operator()(const std::vector<float>& x, const std::vector<NamedParameter>& p, const LIFOptions& o,
                       const std::vector<std::uint32_t>& labels) const {
    using V = std::vector<double>;
    const auto value = [&](std::size_t i) {
      const auto v = p[i].parameter->value.values();
      return V(v.begin(), v.end());
    };
    const V w1 = value(0), b1 = value(1), w2 = value(2), xd(x.begin(), x.end());
    const auto q = spec::everywhere(spec::LIFNeuron<double>(o));
    V a1(N * kT * hidden), s1 = a1, h1 = a1, da1 = a1, ds1 = a1, a2(N * kT * out), s2 = a2, h2 = a2, da2 = a2,
                           ds2 = a2;
    const auto lif = [&](V& s, V& h, const V& a, std::size_t F) {
      for (std::size_t n = 0; n < N; ++n) {
        const std::size_t i = n * kT * F;
        spec::neuron_forward(&s[i], &h[i], &a[i], q, o.surrogate, spec::Fire::hard, kT, F);
      }
    };
    const auto lif_back = [&](V& da, const V& ds, const V& s, const V& h, const V& a, std::size_t F) {
      for (std::size_t n = 0; n < N; ++n) {
        const std::size_t i = n * kT * F;
        spec::neuron_backward<double>(&da[i], nullptr, &ds[i], &s[i], &h[i], &a[i], q, o.surrogate, kT, F);
      }
    };
    spec::linear_forward(a1.data(), xd.data(), w1.data(), b1.data(), N * kT, in, hidden);
    lif(s1, h1, a1, hidden);
    spec::linear_forward<double>(a2.data(), s1.data(), w2.data(), nullptr, N * kT, hidden, out);
    lif(s2, h2, a2, out);
    V rates(N * out), dr(N * out), dw1(w1.size()), db1(b1.size()), dw2(w2.size()), dx(xd.size());
    for (std::size_t i = 0; i < s2.size(); ++i) rates[i / (kT * out) * out + i % out] += s2[i] / kT;
    Gradients g;
    g.loss = spec::mse_forward(rates.data(), labels.data(), 1.0, 1.0, 0.0, N, out);
    spec::mse_backward(dr.data(), rates.data(), labels.data(), 1.0, 1.0, 0.0, N, out);
    for (std::size_t i = 0; i < ds2.size(); ++i) ds2[i] = dr[i / (kT * out) * out + i % out] / kT;
    lif_back(da2, ds2, s2, h2, a2, out);
    spec::linear_weight_gradient(dw2.data(), da2.data(), s1.data(), N * kT, hidden, out);
    spec::linear_input_gradient(ds1.data(), da2.data(), w2.data(), N * kT, hidden, out);
    lif_back(da1, ds1, s1, h1, a1, hidden);
    spec::linear_weight_gradient(dw1.data(), da1.data(), xd.data(), N * kT, in, hidden);
    spec::linear_bias_gradient(db1.data(), da1.data(), N * kT, hidden);
    spec::linear_input_gradient(dx.data(), da1.data(), w1.data(), N * kT, in, hidden);
    for (const V* v : {&dw1, &db1, &dw2, &dx}) g.of.emplace_back(v->begin(), v->end());
    return g;
  }
};

struct TestData {
  std::size_t N = 9, in = 70, hidden = 45, out = 10;
  std::vector<float> x;
  std::vector<std::uint32_t> labels;
  Spikes spikes;
  Tensor values;

  TestData() {
    x = test::Random(1).spikes<float>(N * kT * in, 0.3);
    for (std::size_t n = 0; n < N; ++n) labels.push_back(static_cast<std::uint8_t>(n % out));
    spikes = Spikes::from_bytes({N, kT, in}, std::vector<std::uint8_t>(x.begin(), x.end()));
    values.resize({N, kT, in});
    std::copy(x.begin(), x.end(), values.data());
  }
};

/// Weights that are multiples of 1/64 and tau 2: potentials are then so nearly exact that float and double
/// agree on every spike.
void make_dyadic(Sequential& net) {
  std::uint32_t seed = 5;
  for (const NamedParameter& p : net.parameters()) {
    const std::vector<float> w = test::Random(seed++).dyadic(p.parameter->value.size(), 8);
    for (std::size_t i = 0; i < w.size(); ++i) p.parameter->value.data()[i] = w[i];
  }
}

Sequential two_layers(const TestData& s, const LIFOptions& lif) {
  Sequential net{Flatten{}, Linear{s.in, s.hidden}, LIF{lif}, Linear{s.hidden, s.out, {.bias = false}},
                 LIF{lif}};
  make_dyadic(net);
  return net;
}

TEST(Network, GradientsAreThoseOfTheReference) {
  const TestData s;
  const ReferenceNetwork reference{s.N, s.in, s.hidden, s.out};
  for (const LIFOptions& lif : {LIFOptions{}, LIFOptions{.v_reset = std::nullopt},
                                LIFOptions{.decay_input = false, .surrogate = Sigmoid{}}}) {
    Sequential net = two_layers(s, lif);
    const Gradients expected = reference(s.x, net.parameters(), lif, s.labels);
    for (const Signal& x : {Signal(s.spikes), Signal(s.values)}) {
      const Gradients got = run(net, x, s.labels, 2);
      EXPECT_NEAR(got.loss, expected.loss, 1e-6);
      ASSERT_EQ(got.of.size(), expected.of.size());
      for (std::size_t i = 0; i < got.of.size(); ++i) {
        EXPECT_LT(test::relative_error(got.of[i], expected.of[i]), 2e-5) << "gradient " << i;
      }
    }
  }
}

TEST(Network, SameBitsForAnyNumberOfThreads) {
  const TestData s;
  Sequential net = two_layers(s, {.tau = 3.1f});
  for (const Signal& x : {Signal(s.spikes), Signal(s.values)}) {
    const Gradients one = run(net, x, s.labels, 1);
    for (const std::size_t threads : {2u, 3u, 8u}) EXPECT_EQ(run(net, x, s.labels, threads).of, one.of);
  }
}

TEST(Network, WithoutInputGradientTheParametersGetTheSame) {
  const TestData s;
  Sequential net = two_layers(s, {});
  Gradients with = run(net, s.spikes, s.labels, 2, true);
  with.of.pop_back();
  EXPECT_EQ(run(net, s.spikes, s.labels, 2, false).of, with.of);
}

TEST(Network, ParameterGradientsAccumulate) {
  const TestData s;
  Sequential net = two_layers(s, {});
  const Gradients once = run(net, s.spikes, s.labels, 2);
  Tape tape, loss_tape;
  Tensor scores;
  const RateMse loss;
  loss.forward(net.forward(s.spikes, tape), s.labels, scores, loss_tape);
  net.backward(tape, loss.backward(loss_tape));  // on top of what run() left
  const auto twice = net.parameters()[0].parameter->gradient.values();
  for (std::size_t i = 0; i < twice.size(); ++i) EXPECT_NEAR(twice[i], 2 * once.of[0][i], 1e-6);
}

TEST(Network, EmptyBatchGoesThrough) {
  Sequential net{Flatten{}, Linear{6, 3}, LIF{}};
  Tape tape;
  const Spikes none(Shape{0, 4, 1, 2, 3});
  EXPECT_EQ(net.forward(none, tape).shape(), (Shape{0, 4, 3}));
}

TEST(Sequential, NamesParametersByPlace) {
  Sequential net{Flatten{}, Linear{4, 3}, LIF{}, Linear{3, 2, {.bias = false}}};
  std::vector<std::string> names;
  for (const NamedParameter& p : net.parameters()) names.push_back(p.name);
  EXPECT_EQ(names, (std::vector<std::string>{"1.weight", "1.bias", "3.weight"}));
}

TEST(Sequential, NamesBuffersByPlace) {
  Sequential net{Flatten{}, test::CountingLayer{}, Linear{4, 3}};
  ASSERT_EQ(net.buffers().size(), 1u);
  EXPECT_EQ(net.buffers()[0].name, "1.count");
  std::vector<std::string> names;
  for (const NamedTensor& t : net.named_tensors()) names.push_back(t.name);
  EXPECT_EQ(names, (std::vector<std::string>{"2.weight", "2.bias", "1.count"}));
}

TEST(Sequential, RefusesShapesThatDoNotFitWithTheLayersPlace) {
  const Sequential net{Flatten{}, Linear{784, 10}, LIF{}};
  EXPECT_EQ(net.output_shape({1, 28, 28}), (Shape{10}));
  EXPECT_EQ(error_text([&] {
              static_cast<void>(net.output_shape({3, 32, 32}));
            }),
            "layer 1: [linear] input features must be (784), got (3072)");
  const Sequential unflattened{Linear{784, 10}};
  EXPECT_EQ(error_text([&] {
              static_cast<void>(unflattened.output_shape({1, 28, 28}));
            }),
            "layer 0: [linear] input features must be (784), got (1, 28, 28)");
}

TEST(Layers, RefuseWhatTheyCannotDo) {
  EXPECT_EQ(error_text([] { Linear(0, 3); }), "[linear] in must be >= 1, got 0");
  EXPECT_EQ(error_text([] { Linear(3, 0); }), "[linear] out must be >= 1, got 0");
  EXPECT_EQ(error_text([] { LIF({.tau = 1.0f}); }), "[lif] tau must be > 1, got 1");
  EXPECT_EQ(error_text([] { LIF({.tau = std::nanf("")}); }), "[lif] tau must be > 1, got nan");
  EXPECT_EQ(error_text([] { LIF({.v_reset = std::numeric_limits<float>::infinity()}); }),
            "[lif] v_reset must be a finite number, got inf");
  EXPECT_EQ(error_text([] { LIF({.surrogate = ATan{0.0f}}); }), "[atan] alpha must be > 0, got 0");
  EXPECT_EQ(error_text([] { SoftLIF({.tau = 0.5f}); }), "[soft_lif] tau must be > 1, got 0.5");
  Tape tape;
  const Spikes spikes(Shape{2, 3, 4});
  EXPECT_EQ(error_text([&] { LIF{}.forward(spikes, tape); }),
            "[lif] input must be real-valued currents, got spikes of shape (2, 3, 4); put a linear layer "
            "before it");
}

// PyTorch's default initialisation: U(-1/sqrt(in), 1/sqrt(in)), standard deviation 1 / sqrt(3 in).
TEST(Linear, WeightsAreDrawnAsPyTorchDrawsThem) {
  Linear linear(784, 100);
  const auto check = [](Tensor& w, double low, double high, double deviation) {
    double sum = 0, squares = 0;
    for (const float x : w.values()) {
      EXPECT_GE(x, low);
      EXPECT_LE(x, high);
      sum += static_cast<double>(x);
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    const double n = static_cast<double>(w.size());
    EXPECT_NEAR(sum / n, 0, 5 * deviation / std::sqrt(n));
    EXPECT_NEAR(std::sqrt(squares / n), deviation, 0.01 * deviation);
  };
  check(linear.weight().value, -1.0 / 28, 1.0 / 28, 1 / std::sqrt(3 * 784.0));
  Linear normal(784, 100, {.init = Init::normal});
  check(normal.weight().value, -7, 7, 1);
}

TEST(Linear, EveryLayerOfANetworkHasADrawOfItsOwnAndSeedsDiffer) {
  Sequential net{Linear{8, 8, {.bias = false}}, Linear{8, 8, {.bias = false}}};
  const auto weights = [&](std::uint32_t seed) {
    net.initialize(seed);
    std::vector<float> all;
    for (const NamedParameter& p : net.parameters()) {
      all.insert(all.end(), p.parameter->value.values().begin(), p.parameter->value.values().end());
    }
    return all;
  };
  const std::vector<float> seed0 = weights(0);
  EXPECT_NE(std::vector<float>(seed0.begin(), seed0.begin() + 64),
            std::vector<float>(seed0.begin() + 64, seed0.end()));
  EXPECT_NE(weights(1), seed0);
  EXPECT_EQ(weights(0), seed0);
}

}  // namespace
}  // namespace volley
