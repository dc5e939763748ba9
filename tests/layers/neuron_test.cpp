// Neurons as layers: every form of a signal, parameters, and what is refused.

#include <gtest/gtest.h>

#include <cmath>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/recipe.hpp>

#include "spec/li.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"
#include "support/signal_forms.hpp"

namespace volley {
namespace {

using test::error_text;
using Floats = std::vector<float>;

/// What a layer makes of a signal, all of it row-major with every step.
struct Pass {
  Floats y, dx;
  std::vector<Floats> parameters;

  bool operator==(const Pass&) const = default;
};

Floats plain_values(const Signal& x, ThreadPool& threads) {
  SignalMemory memory;
  const Signal p = plain(x, memory, threads);
  if (!p.is_spikes()) return {p.values(), p.values() + p.shape().size()};
  std::vector<std::uint8_t> bytes(p.shape().size());
  p.spikes().to_bytes(bytes);
  return {bytes.begin(), bytes.end()};
}

/// ds is row-major; dx comes in x's form.
Pass run(Layer& layer, const Signal& x, const Floats& ds, std::size_t threads = 1) {
  ThreadPool pool(threads);
  Tape tape(pool);
  zero_gradients(layer.parameters());
  const Signal y = layer.forward(x, tape);
  Pass pass;
  pass.y = plain_values(y, pool);
  Tensor dy(y.shape());
  std::ranges::copy(ds, dy.data());
  SignalMemory memory;
  const Signal dx = layer.backward(tape, in_form_of(y, dy, memory, pool));
  EXPECT_EQ(dx.layout(), x.layout());
  EXPECT_EQ(dx.stored_steps(), x.stored_steps());
  SignalMemory turned;
  const Signal row_major = in_layout(dx, Layout::row_major, turned, pool);
  pass.dx.assign(row_major.values(), row_major.values() + row_major.stored_shape().size());
  for (const NamedParameter& p : layer.parameters()) {
    pass.parameters.emplace_back(p.parameter->gradient.values().begin(),
                                 p.parameter->gradient.values().end());
  }
  return pass;
}

Tensor filled(const Shape& shape, std::uint32_t seed, double low, double high) {
  Tensor t(shape);
  std::ranges::copy(test::Random(seed).values<float>(t.size(), low, high), t.data());
  return t;
}

constexpr std::size_t kN = 11, kT = 6, kC = 5, kH = 3, kW = 4;
const Shape kPictures{kN, kT, kC, kH, kW};

TEST(NeuronLayer, PicturesMayLieChannelsLast) {
  const Tensor x = filled(kPictures, 1, -1, 3);
  const Floats ds = test::Random(2).values<float>(x.size());
  ThreadPool pool(1);
  SignalMemory memory;
  const Signal turned = in_layout(x, Layout::channels_last, memory, pool);
  test::for_every_neuron(SuperSpike{}, [&](const auto& o, const std::string& name) {
    Neuron<std::remove_cvref_t<decltype(o)>> layer(o);
    const Pass a = run(layer, x, ds), b = run(layer, turned, ds);
    EXPECT_EQ(a.y, b.y) << name;
    EXPECT_EQ(a.dx, b.dx) << name;
    for (std::size_t k = 0; k < a.parameters.size(); ++k) {
      EXPECT_NEAR(a.parameters[k][0], b.parameters[k][0], 1e-4) << name;  // added in another order
    }
  });
}

TEST(NeuronLayer, AConstantCurrentIsReadAtEveryStep) {
  for (const Layout layout : {Layout::row_major, Layout::channels_last}) {
    const Tensor stored = filled(stored_shape(kPictures, layout, 1), 3, -1, 3);
    const Signal constant(stored, kPictures, layout);
    const Floats ds = test::Random(4).values<float>(kPictures.size());
    ThreadPool pool(1);
    SignalMemory memory;
    const Signal repeated = plain(constant, memory, pool);
    test::for_every_neuron(ATan{}, [&](const auto& o, const std::string& name) {
      Neuron<std::remove_cvref_t<decltype(o)>> layer(o);
      const Pass a = run(layer, constant, ds), b = run(layer, repeated, ds);
      EXPECT_EQ(a.y, b.y) << name;
      const std::size_t F = kC * kH * kW;
      ASSERT_EQ(a.dx.size(), kN * F);
      for (std::size_t i = 0; i < a.dx.size(); ++i) {
        float sum = 0;
        for (std::size_t t = kT; t-- > 0;) sum += b.dx[(i / F * kT + t) * F + i % F];
        ASSERT_EQ(a.dx[i], sum) << name;
      }
    });
  }
}

TEST(NeuronLayer, NothingDependsOnTheNumberOfThreads) {
  const Tensor x = filled({40, 9, 37}, 5, -1, 3);
  const Floats ds = test::Random(6).values<float>(x.size());
  for (const std::size_t channels : {0u, 37u}) {
    PLIF layer({.learn_threshold = true, .channels = channels});
    const Pass one = run(layer, x, ds, 1);
    for (const std::size_t threads : {2u, 3u, 7u}) EXPECT_EQ(run(layer, x, ds, threads), one);
  }
}

TEST(NeuronLayer, EachChannelHasItsOwnNumbers) {
  const Tensor x = filled(kPictures, 7, -1, 3);
  const Floats ds = test::Random(8).values<float>(x.size());
  PLIF layer({.learn_threshold = true, .channels = kC});
  const std::vector<NamedParameter> p = layer.parameters();
  ASSERT_EQ(p.size(), 2u);
  EXPECT_EQ(p[0].name, "w");
  EXPECT_EQ(p[1].name, "v_threshold");
  EXPECT_EQ(p[0].parameter->value.shape(), Shape{kC});
  for (std::size_t c = 0; c < kC; ++c) {
    p[0].parameter->value.data()[c] = -0.5f + 0.3f * static_cast<float>(c);
    p[1].parameter->value.data()[c] = 0.6f + 0.1f * static_cast<float>(c);
  }
  const Pass all = run(layer, x, ds);
  // Channel by channel, with one number each, it is the same.
  const std::size_t area = kH * kW;
  for (std::size_t c = 0; c < kC; ++c) {
    PLIF one({.learn_threshold = true});
    one.parameters()[0].parameter->value.data()[0] = p[0].parameter->value.data()[c];
    one.parameters()[1].parameter->value.data()[0] = p[1].parameter->value.data()[c];
    Tensor x_c({kN, kT, 1, kH, kW});
    Floats ds_c(x_c.size());
    for (std::size_t i = 0; i < ds_c.size(); ++i) {
      const std::size_t from = (i / area * kC + c) * area + i % area;
      x_c.data()[i] = x.data()[from];
      ds_c[i] = ds[from];
    }
    const Pass alone = run(one, x_c, ds_c);
    for (std::size_t i = 0; i < ds_c.size(); ++i) {
      const std::size_t from = (i / area * kC + c) * area + i % area;
      ASSERT_EQ(alone.y[i], all.y[from]);
      ASSERT_EQ(alone.dx[i], all.dx[from]);
    }
    for (const std::size_t k : {0u, 1u}) {
      EXPECT_NEAR(alone.parameters[k][0], all.parameters[k][c], 1e-4 * (1 + std::abs(all.parameters[k][c])));
    }
  }
}

// More than a vector has lanes, and not a multiple of them.
TEST(NeuronLayer, EachOfManyNeuronsHasItsOwnNumbers) {
  constexpr std::size_t F = 37, N = 3, T = 7;
  const Tensor x = filled({N, T, F}, 15, -1, 3);
  const Floats ds = test::Random(16).values<float>(x.size());
  PLIF layer({.learn_threshold = true, .channels = F});
  const std::vector<NamedParameter> p = layer.parameters();
  for (std::size_t f = 0; f < F; ++f) {
    p[0].parameter->value.data()[f] = -1.0f + 0.06f * static_cast<float>(f);
    p[1].parameter->value.data()[f] = 0.4f + 0.02f * static_cast<float>(f);
  }
  const Pass all = run(layer, x, ds);
  for (std::size_t f = 0; f < F; ++f) {
    PLIF one({.learn_threshold = true});
    for (const std::size_t k : {0u, 1u}) {
      one.parameters()[k].parameter->value.data()[0] = p[k].parameter->value.data()[f];
    }
    Tensor x_f({N, T, 1});
    Floats ds_f(N * T);
    for (std::size_t i = 0; i < N * T; ++i) {
      x_f.data()[i] = x.data()[i * F + f];
      ds_f[i] = ds[i * F + f];
    }
    const Pass alone = run(one, x_f, ds_f);
    for (std::size_t i = 0; i < N * T; ++i) {
      ASSERT_EQ(alone.y[i], all.y[i * F + f]) << "neuron " << f;
      ASSERT_EQ(alone.dx[i], all.dx[i * F + f]) << "neuron " << f;
    }
  }
}

// However the pictures lie: the numbers are those of the neurons in row-major order.
TEST(NeuronLayer, EachNeuronOfAPictureMayHaveItsOwnNumbers) {
  constexpr std::size_t F = kC * kH * kW;
  const Tensor x = filled(kPictures, 21, -1, 3);
  Tensor rows({kN, kT, F});
  std::ranges::copy(x.values(), rows.data());
  const Floats ds = test::Random(22).values<float>(x.size());
  PLIF layer({.learn_threshold = true, .channels = F});
  const std::vector<NamedParameter> p = layer.parameters();
  for (std::size_t f = 0; f < F; ++f) {
    p[0].parameter->value.data()[f] = -1.0f + 0.03f * static_cast<float>(f);
    p[1].parameter->value.data()[f] = 0.4f + 0.01f * static_cast<float>(f);
  }
  const Pass expected = run(layer, rows, ds);
  EXPECT_EQ(run(layer, x, ds), expected);
  ThreadPool pool(1);
  SignalMemory memory;
  EXPECT_EQ(run(layer, in_layout(x, Layout::channels_last, memory, pool), ds), expected);
}

TEST(NeuronLayer, NumbersThatAreNotLearnedAreBuffers) {
  const Tensor x = filled(kPictures, 7, -1, 3);
  const Floats ds = test::Random(8).values<float>(x.size());
  for (const bool learn_tau : {false, true}) {
    for (const bool learn_threshold : {false, true}) {
      PLIF learned({.learn_threshold = true, .channels = kC});
      PLIF layer({.learn_tau = learn_tau, .learn_threshold = learn_threshold, .channels = kC});
      std::vector<NamedTensor> numbers = values_of(layer.parameters());
      for (const NamedTensor& b : layer.buffers()) numbers.push_back(b);
      ASSERT_EQ(numbers.size(), 2u);
      EXPECT_EQ(layer.parameters().size(), std::size_t{learn_tau} + std::size_t{learn_threshold});
      for (const NamedTensor& number : numbers) {
        const bool is_w = number.name == "w";
        ASSERT_TRUE(is_w || number.name == "v_threshold");
        const NamedParameter same = learned.parameters()[is_w ? 0 : 1];
        for (std::size_t c = 0; c < kC; ++c) {
          number.tensor->data()[c] = same.parameter->value.data()[c] =
              0.4f + (is_w ? 0.3f : 0.2f) * static_cast<float>(c);
        }
      }
      const Pass all = run(learned, x, ds), some = run(layer, x, ds);
      EXPECT_EQ(some.y, all.y);
      EXPECT_EQ(some.dx, all.dx);
      std::vector<Floats> expected;
      if (learn_tau) expected.push_back(all.parameters[0]);
      if (learn_threshold) expected.push_back(all.parameters[1]);
      EXPECT_EQ(some.parameters, expected);
    }
  }
  EXPECT_TRUE(PLIF{}.buffers().empty());
}

TEST(NeuronLayer, GradientsOfParametersAreAddedToWhatIsThere) {
  const Tensor x = filled({4, 5, 6}, 9, -1, 3);
  PLIF layer;
  ThreadPool pool(1);
  Tape tape(pool);
  layer.forward(x, tape);
  layer.backward(tape, x);
  const float once = layer.parameters()[0].parameter->gradient.values()[0];
  EXPECT_NE(once, 0.0f);
  layer.backward(tape, x);
  EXPECT_EQ(layer.parameters()[0].parameter->gradient.values()[0], 2 * once);
}

TEST(NeuronLayer, APLIFBeginsWhereItsOptionsSay) {
  PLIF layer({.init_tau = 3.0f});
  EXPECT_FLOAT_EQ(layer.parameters()[0].parameter->value.values()[0], -std::log(2.0f));
  EXPECT_TRUE(IF{}.parameters().empty());
}

TEST(NeuronLayer, RawNumbersKeepTheirDigitsAtTheEndsOfTheirRange) {
  const float after_1 = std::nextafter(1.0f, 2.0f), before_1 = std::nextafter(1.0f, 0.0f);
  for (const float tau : {after_1, 1.001f, 2.0f, 3.3f, 1e8f, 3e38f}) {
    const float w = -static_cast<float>(std::log(tau - 1.0));
    EXPECT_EQ(PLIF({.init_tau = tau}).parameters()[0].parameter->value.values()[0], w) << tau;
  }
  for (const float value : {1e-30f, 1e-4f, 0.3f, 0.5f, 0.9f, 0.9999f, before_1}) {
    const double raw = std::log(static_cast<double>(value)) - std::log1p(-static_cast<double>(value));
    const float got = GLIF({.alpha = value}).parameters()[0].parameter->value.values()[0];
    EXPECT_NEAR(got, raw, 1e-7 * std::abs(raw)) << value;
  }
}

TEST(NeuronLayer, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(error_text([] {
              PLIF({.channels = 3}).output_shape(Shape{4, 2, 2});
            }),
            "[plif] input must have 3 channels or neurons, got (4, 2, 2)");
  EXPECT_EQ(error_text([] { PLIF({.init_tau = 1.0f}); }), "[plif] init_tau must be > 1, got 1");
  EXPECT_EQ(error_text([] { CUBALIF({.c_decay = 1.5f}); }),
            "[cuba_lif] c_decay must be >= 0 and <= 1, got 1.5");
  EXPECT_EQ(error_text([] { EIF({.delta_T = 0.0f}); }), "[eif] delta_T must be > 0, got 0");
  EXPECT_EQ(error_text([] { ALIF({.tau_a = 0.5f}); }), "[alif] tau_a must be >= 1, got 0.5");
  for (const auto& [text, kind] :
       {std::pair(error_text([] { LIF({.decay_input = false, .tau_charge = 3.0f}); }), "lif"),
        std::pair(error_text([] { ALIF({.decay_input = false, .tau_charge = 3.0f}); }), "alif")}) {
    EXPECT_EQ(text, "[" + std::string(kind) + "] tau_charge must be none where decay_input is false, got 3");
  }
  EXPECT_EQ(error_text([] { KLIF({.tau_charge = -1.0f}); }), "[klif] tau_charge must be > 0, got -1");
  EXPECT_EQ(error_text([] { GLIF({.v_init = std::numeric_limits<float>::infinity()}); }),
            "[glif] v_init must be a finite number, got inf");
  EXPECT_EQ(error_text([] { LI({.tau = 1.0f}); }), "[li] tau must be > 1, got 1");
  EXPECT_EQ(error_text([] { IF({.surrogate = CustomSurrogate{}}); }),
            "[custom surrogate] derivative must not be null");
}

TEST(NeuronLayer, RecipesKnowEveryNeuron) {
  test::for_every_neuron(Erf{}, [&](const auto& o, const std::string& name) {
    using Options = std::remove_cvref_t<decltype(o)>;
    const std::unique_ptr<Layer> layer = make_layer(LayerRecipe{o});
    EXPECT_EQ(layer->kind(), Options::kKind);
    const LayerRecipe again = recipe_of(*layer);
    ASSERT_TRUE(std::holds_alternative<Options>(again)) << name;
    EXPECT_EQ(std::get<Options>(again).detach_reset, o.detach_reset);
    EXPECT_EQ(std::get<Options>(again).refractory, o.refractory);
    EXPECT_EQ(std::get<Options>(again).v_init, o.v_init);
  });
  EXPECT_TRUE(std::holds_alternative<LIOptions>(recipe_of(LI{})));
}

TEST(LILayer, IntegratesAsByHand) {
  Tensor x({1, 3, 1});
  x.data()[0] = 2, x.data()[1] = 0, x.data()[2] = 1;
  LI layer;
  EXPECT_EQ(run(layer, x, {1, 1, 1}).y, (Floats{1, 0.5, 0.75}));
  LI whole({.decay_input = false});
  EXPECT_EQ(run(whole, x, {1, 1, 1}).y, (Floats{2, 1, 1.5}));
}

TEST(LILayer, BackwardIsTheGradient) {
  using Values = std::vector<double>;
  constexpr std::size_t T = 7, F = 3;
  for (const bool constant : {false, true}) {
    for (const bool decay_input : {false, true}) {
      const spec::LIParameters<double> p{3.7, decay_input};
      const Values x = test::Random(1).values<double>(constant ? F : T * F);
      const Values dv = test::Random(2).values<double>(T * F);
      Values dx(x.size()), carry(F);
      spec::li_backward(dx.data(), carry.data(), dv.data(), p, T, F, constant);
      const auto loss = [&](const Values& at) {
        Values v(T * F);
        spec::li_forward(v.data(), at.data(), p, T, F, constant);
        return test::dot(dv, v);
      };
      EXPECT_LT(test::gradient_error(loss, x, dx), 1e-8);
    }
  }
}

TEST(LILayer, TakesEveryFormOfASignal) {
  ThreadPool pool(1);
  const Tensor x = filled(kPictures, 11, -1, 1);
  const Floats dv = test::Random(12).values<float>(x.size());
  SignalMemory memory, repeated;
  LI layer;
  const Pass a = run(layer, x, dv);
  EXPECT_EQ(run(layer, in_layout(x, Layout::channels_last, memory, pool), dv, 3), a);
  const Tensor stored = filled(stored_shape(kPictures, Layout::channels_last, 1), 13, -1, 1);
  const Signal constant(stored, kPictures, Layout::channels_last);
  EXPECT_EQ(run(layer, constant, dv).y, run(layer, plain(constant, repeated, pool), dv).y);
}

}  // namespace
}  // namespace volley
