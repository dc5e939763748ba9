#include <volley/state.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <type_traits>

#include <volley/volley.hpp>

#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"
#include "support/signal_forms.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

constexpr std::size_t kN = 3, kT = 15;

/// Steps [first, last) of x (N, T, features...).
Tensor steps_of(const Tensor& x, std::size_t first, std::size_t last) {
  const Shape features = x.shape().from(2);
  const std::size_t F = features.size(), T = x.shape()[1];
  Tensor part(features.after({x.shape()[0], last - first}));
  for (std::size_t n = 0; n < x.shape()[0]; ++n) {
    std::copy_n(x.data() + (n * T + first) * F, (last - first) * F, part.data() + n * (last - first) * F);
  }
  return part;
}

/// y as floats, appended to those of the steps before: [sample][step, feature].
void append(std::vector<std::vector<float>>& to, const Signal& y, ThreadPool& threads) {
  SignalMemory form, values;
  const Signal plain_y = real_values(plain(y, form, threads), values, threads);
  const std::size_t size = y.steps() * y.features();
  for (std::size_t n = 0; n < y.samples(); ++n) {
    to[n].insert(to[n].end(), plain_y.values() + n * size, plain_y.values() + (n + 1) * size);
  }
}

struct Result {
  std::vector<std::vector<float>> y{kN}, dx{kN};
  std::vector<std::vector<float>> parameters, state;
};

/// Forward and backward in chunks of `chunk` steps with a state, or in one pass without.
Result run(Layer& net, const Tensor& x, std::size_t chunk, std::size_t threads, bool training = false) {
  ThreadPool pool(threads);
  Result result;
  State state;
  const std::size_t T = x.shape()[1];
  const bool whole = chunk >= T;
  std::vector<Tensor> parts;
  for (std::size_t t = 0; t < T; t += chunk) parts.push_back(steps_of(x, t, std::min(T, t + chunk)));
  std::deque<Tape> tapes;
  zero_gradients(net.parameters());
  for (const Tensor& part : parts) {
    Tape& tape = tapes.emplace_back(pool);
    tape.set_context({.training = training});
    append(result.y, net.forward(part, tape, whole ? nullptr : &state), pool);
  }
  for (const NamedTensor& t : state.named_tensors(net)) {
    result.state.emplace_back(t.tensor->values().begin(), t.tensor->values().end());
  }
  const Tensor dy = random_tensor(net.output_shape(x.shape().from(2)).after({kN, T}), 5);
  std::vector<std::vector<std::vector<float>>> backwards;
  for (std::size_t i = parts.size(); i-- > 0;) {
    const Tensor part = steps_of(dy, i * chunk, std::min(T, (i + 1) * chunk));
    append(backwards.emplace_back(kN), net.backward(tapes[i], part, whole ? nullptr : &state), pool);
  }
  for (std::size_t i = backwards.size(); i-- > 0;) {
    for (std::size_t n = 0; n < kN; ++n) {
      result.dx[n].insert(result.dx[n].end(), backwards[i][n].begin(), backwards[i][n].end());
    }
  }
  for (const NamedParameter& p : net.parameters()) {
    result.parameters.emplace_back(p.parameter->gradient.values().begin(),
                                   p.parameter->gradient.values().end());
  }
  return result;
}

/// y and dx have the bits of the whole pass, parameters the same sums to rounding.
void expect_chunks_change_nothing(Layer& net, const Tensor& x, double spikes_at_least = 0) {
  const Result whole = run(net, x, x.shape()[1], 1);
  double spikes = 0;
  for (const std::vector<float>& y : whole.y) {
    for (const float value : y) spikes += value != 0;
  }
  EXPECT_GE(spikes, spikes_at_least);
  std::vector<std::vector<float>> last_state;
  for (const std::size_t chunk : {1, 7}) {
    for (const std::size_t threads : {1, 3}) {
      const Result got = run(net, x, chunk, threads);
      EXPECT_EQ(got.y, whole.y) << chunk;
      EXPECT_EQ(got.dx, whole.dx) << chunk;
      ASSERT_EQ(got.parameters.size(), whole.parameters.size());
      for (std::size_t k = 0; k < whole.parameters.size(); ++k) {
        EXPECT_LT(test::relative_error(got.parameters[k], whole.parameters[k]), 1e-4) << k;
      }
      if (last_state.empty()) last_state = got.state;
      EXPECT_EQ(got.state, last_state);
    }
  }
}

// 11 features: a slice that is not full; four of these go side by side.
TEST(State, ChunksChangeNoBitOfAnyNeuron) {
  const Tensor x = random_tensor({kN, kT, 11}, 1, -0.5, 2.0);
  for (const Surrogate& surrogate : {Surrogate(ATan{}), Surrogate(Sigmoid{}), Surrogate(Erf{})}) {
    test::for_every_neuron(surrogate, [&](const auto& options, const std::string& name) {
      SCOPED_TRACE(name);
      NeuronLayer layer(options);
      expect_chunks_change_nothing(layer, x, 5);
    });
  }
}

TEST(State, ChunksChangeNoBitOfNumbersOfEachChannel) {
  const Tensor x = random_tensor({kN, kT, 5, 3, 4}, 1, -0.5, 2.0);
  Sequential of_pictures{PLIF{{.channels = 5}}, Conv2d(5, 5, 1), PLIF{{.v_threshold = 0.3f, .channels = 60}}};
  expect_chunks_change_nothing(of_pictures, x, 5);
}

// A quadratic neuron that is not put back to a potential runs off to infinity where the input is strong.
TEST(State, ChunksChangeNoBitOfRecurrentNeurons) {
  const Tensor strong = random_tensor({kN, kT, 6}, 2, -1, 4), weak = random_tensor({kN, kT, 6}, 2, -1, 2);
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    test::for_every_neuron(ATan{}, [&]<class Options>(const Options& options, const std::string& name) {
      SCOPED_TRACE(name);
      bool runs_off = false;
      if constexpr (requires { options.v_reset; }) {
        runs_off = !options.v_reset.has_value() &&
                   (std::is_same_v<Options, QIFOptions> || std::is_same_v<Options, EIFOptions> ||
                    std::is_same_v<Options, IzhikevichOptions>);
      }
      const Tensor& x = runs_off ? weak : strong;
      Sequential net{Linear(6, 9), Recurrent(9, {.feedback = feedback, .neuron = options}), Linear(9, 4),
                     LI{}};
      expect_chunks_change_nothing(net, x);
      ThreadPool pool(1);
      Tape tape(pool);
      net.forward(x, tape);
      EXPECT_GE(tape.child(1).trace().y.spikes().count(), 2u) << "something must come back";
    });
  }
}

TEST(State, ChunksChangeNoBitOfNetworks) {
  const LIFOptions low{.v_threshold = 0.3f};
  const ALIFOptions adaptive{.v_threshold = 0.3f};
  const struct {
    const char* name;
    Shape features;
    std::function<Sequential()> build;
  } cases[] = {
      {"pictures",
       {2, 8, 6},
       [=] {
         return Sequential{Conv2d(2, 19, 3, {.padding = 1}),
                           BatchNorm(19),
                           LIF{low},
                           MaxPool2d(2),
                           Conv2d(19, 8, 3, {.padding = 1}),
                           IF{{.v_threshold = 0.2f}},
                           AvgPool2d(2),
                           Flatten{},
                           Dropout{},
                           Linear(16, 20),
                           LIF{low},
                           Voting{{.voting_size = 2}}};
       }},
      {"residual",
       {3, 6, 6},
       [=] {
         Sequential branch{Conv2d(3, 3, 3, {.padding = 1}), BatchNorm(3), ALIF{adaptive}};
         Sequential shortcut{Conv2d(3, 3, 1), PLIF{}};
         return Sequential{Conv2d(3, 3, 3, {.padding = 1}),
                           LIF{low},
                           Residual(branch, shortcut),
                           Residual(branch),
                           GroupNorm(1, 3),
                           CUBALIF{{.v_threshold = 0.2f}}};
       }},
      {"one dimension",
       {2, 13},
       [=] {
         return Sequential{Conv1d(2, 5, 3, {.padding = 1}), BatchNorm(5), LIF{low},
                           ConvTranspose1d(5, 4, 2, {.stride = 2}), SoftLIF{}};
       }},
      {"a wide layer, and one that adds up potentials",
       {40},
       [=] {
         return Sequential{Linear(40, 300), LIF{low}, Linear(300, 10), LI{}};
       }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Sequential net = c.build();
    net.initialize(3);
    expect_chunks_change_nothing(net, random_tensor(c.features.after({kN, kT}), 4, -1, 2), 20);
  }
}

TEST(State, WithoutItsGradientWhatComesLaterIsLeftOut) {
  Sequential net{Linear(4, 6), LIF{}, Linear(6, 2), LIF{}};
  const Tensor x1 = random_tensor({kN, 4, 4}, 1), x2 = random_tensor({kN, 4, 4}, 2);
  const Tensor dy = random_tensor({kN, 4, 2}, 3), none({kN, 4, 2});
  ThreadPool pool(1);
  Tape first(pool), second(pool);
  State state;
  net.forward(x1, first, &state);
  net.forward(x2, second, &state);
  State later = state;
  net.backward(second, dy, &later);
  const Signal with = net.backward(first, none, &later);
  EXPECT_TRUE(
      std::any_of(with.values(), with.values() + with.shape().size(), [](float v) { return v != 0; }));
  const Signal without = net.backward(first, none);
  EXPECT_TRUE(std::all_of(without.values(), without.values() + without.shape().size(),
                          [](float v) { return v == 0; }));
}

TEST(State, HasTheNamesOfTheNetwork) {
  Sequential branch{Linear(4, 4), ALIF{{.refractory = 2}}};
  Sequential net{
      Linear(3, 4), LIF{}, Residual(branch), Linear(4, 4), Recurrent(4, {.neuron = IzhikevichOptions{}}),
      Linear(4, 4), LI{}};
  ThreadPool pool(1);
  Tape tape(pool);
  State state;
  EXPECT_TRUE(state.at_rest());
  EXPECT_TRUE(state.named_tensors(net).empty());
  const Tensor x = random_tensor({2, 1, 3}, 1);
  net.forward(x, tape, &state);
  EXPECT_FALSE(state.at_rest());
  std::vector<std::string> names;
  for (const NamedTensor& t : state.named_tensors(net)) {
    names.push_back(t.name);
    EXPECT_EQ(t.tensor->shape(), Shape({2, 4}));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"1.v", "2.branch.1.v", "2.branch.1.a", "2.branch.1.refractory",
                                             "4.v", "4.w", "4.s", "6.v"}));
  state.reset();
  EXPECT_TRUE(state.at_rest());
}

/// The membranes of chunks are those of the whole pass, and end in the state's v.
TEST(State, MembranesAreThoseOfTheKernels) {
  const Tensor x = random_tensor({kN, kT, 11}, 1, -0.5, 2.0);
  test::for_every_neuron(ATan{}, [&](const auto& options, const std::string& name) {
    SCOPED_TRACE(name);
    for (const bool recurrent : {false, true}) {
      Sequential net;
      if (recurrent) {
        net.add(std::make_shared<Recurrent>(11, RecurrentOptions{.neuron = options}));
      } else {
        net.add(std::make_shared<NeuronLayer>(options));
      }
      ThreadPool pool(1);
      Tape tape(pool);
      State state;
      const Signal y = net.forward(x, tape, &state);
      const std::vector<NamedMembrane> all = membranes(net, tape);
      ASSERT_EQ(all.size(), 1u);
      EXPECT_EQ(all[0].name, "0");
      const Membrane& whole = all[0].membrane;
      ASSERT_EQ(whole.h.shape(), x.shape());
      std::vector<std::uint8_t> spikes(x.size());
      y.spikes().to_bytes(spikes);
      const Tensor& v = *state.named_tensors(net).at(0).tensor;
      for (std::size_t i = 0; i < spikes.size(); ++i) {
        const float h = whole.h.data()[i], threshold = whole.threshold.data()[i];
        if (options.refractory == 0 && std::isfinite(h)) {
          ASSERT_EQ(spikes[i] != 0, options.fires_at_threshold ? h >= threshold : h > threshold);
        }
        const std::size_t f = i % 11, t = i / 11 % kT, n = i / 11 / kT;
        if (t + 1 == kT) {
          const float expected = v.data()[n * 11 + f];
          ASSERT_TRUE(whole.v.data()[i] == expected || std::isnan(expected)) << whole.v.data()[i];
        }
      }
      State chunks;
      const Tensor first = steps_of(x, 0, 6), rest = steps_of(x, 6, kT);
      net.forward(first, tape, &chunks);
      net.forward(rest, tape, &chunks);
      const Membrane part = membranes(net, tape).at(0).membrane;
      const Tensor expected = steps_of(whole.h, 6, kT);
      EXPECT_TRUE(std::ranges::equal(part.h.values(), expected.values(), [](float a, float b) {
        return a == b || (std::isnan(a) && std::isnan(b));
      }));
    }
  });
}

TEST(State, EveryLayerWithPotentialsHasMembranes) {
  Sequential branch{Conv2d(3, 3, 3, {.padding = 1}), PLIF{{.channels = 3}}};
  Sequential net{Conv2d(2, 3, 3, {.padding = 1}),
                 BatchNorm(3),
                 LIF{},
                 MaxPool2d(2),
                 Residual(branch),
                 Flatten{},
                 Linear(12, 4),
                 PSN{{.steps = 5}},
                 Linear(4, 2),
                 LI{},
                 SoftLIF{}};
  const Tensor x = random_tensor({2, 5, 2, 4, 4}, 1, -1, 3);
  ThreadPool pool(2);
  Tape tape(pool);
  const Signal y = net.forward(x, tape);
  std::vector<std::string> names;
  for (const NamedMembrane& m : membranes(net, tape)) names.push_back(m.name);
  EXPECT_EQ(names, (std::vector<std::string>{"2", "4.branch.1", "7", "9", "10"}));
  const std::vector<NamedMembrane> all = membranes(net, tape);
  EXPECT_EQ(all[1].membrane.h.shape(), Shape({2, 5, 3, 2, 2}));
  EXPECT_TRUE(all[3].membrane.threshold.size() == 0 && all[4].membrane.threshold.size() == 0);
  EXPECT_TRUE(std::ranges::equal(all[3].membrane.v.values(), all[4].membrane.current.values()));
  EXPECT_FALSE(net[0].membrane(tape.child(0)).has_value());
  EXPECT_EQ(
      error_text([&] { static_cast<void>(net[2].membrane(tape.child(7))); }),
      "[lif] membrane must follow a forward of this layer on the same tape, got the tape of another layer");
  EXPECT_EQ(y.shape(), Shape({2, 5, 2}));
}

/// v after a step is what the equations say: (L1), (L4).
TEST(State, ThePotentialIsThatAfterTheStep) {
  LIF lif{{.tau = 2.0f, .v_threshold = 1.0f}};
  ThreadPool pool(1);
  Tape tape(pool);
  State state;
  Tensor x({1, 1, 3});
  std::ranges::copy(std::vector<float>{0.5f, 1.5f, 2.5f}, x.data());
  lif.forward(x, tape, &state);
  const Tensor& v = *state.named_tensors(lif).at(0).tensor;
  EXPECT_EQ(std::vector<float>(v.values().begin(), v.values().end()),
            (std::vector<float>{0.25f, 0.75f, 0.0f}));
  lif.forward(x, tape, &state);
  EXPECT_EQ(v.values()[0], 0.375f);
  EXPECT_EQ(v.values()[1], 0.0f);  // 1.125: it fired
}

TEST(State, GoesToAFileAndBack) {
  const test::TempFolder folder;
  Sequential net{Conv2d(1, 3, 3), ALIF{{.v_threshold = 0.2f}}, Flatten{}, Linear(12, 4),
                 LIF{{.v_threshold = 0.02f, .refractory = 1}}};
  net.initialize(1);
  const Tensor first = random_tensor({2, 3, 1, 4, 4}, 1, 0, 3),
               rest = random_tensor({2, 3, 1, 4, 4}, 2, 0, 3);
  ThreadPool pool(1);
  Tape tape(pool);
  State state;
  net.forward(first, tape, &state);
  save_state_dict(folder / "state.safetensors", state.named_tensors(net));
  std::vector<std::vector<float>> expected(2), got(2);
  append(expected, net.forward(rest, tape, &state), pool);
  State read;
  read.set(net, read_state_dict(folder / "state.safetensors"));
  append(got, net.forward(rest, tape, &read), pool);
  EXPECT_EQ(got, expected);
  EXPECT_NE(expected, std::vector<std::vector<float>>(2, std::vector<float>(12, 0.0f)));
  const std::string text = error_text([&] {
    read.set(net, {{"1.v", Tensor({2, 3, 2, 2})}, {"3.v", Tensor({2, 4})}});
  });
  EXPECT_EQ(text, "[state] names must be of 1.v, 1.a, 4.v, 4.refractory, got 3.v");
  EXPECT_EQ(read.named_tensors(net).size(), 4u);
}

TEST(State, OneNetworkServesSeveralStreams) {
  Sequential net{Linear(5, 20), LIF{}, Linear(20, 3), LIF{{.v_threshold = 0.2f}}};
  net.initialize(2);
  const Tensor a = random_tensor({1, 9, 5}, 1, 0, 4), b = random_tensor({1, 9, 5}, 2, -8, 8);
  ThreadPool pool(1);
  Tape tape(pool);
  std::vector<std::vector<float>> whole_a(1), whole_b(1), got_a(1), got_b(1);
  append(whole_a, net.forward(a, tape), pool);
  append(whole_b, net.forward(b, tape), pool);
  State of_a, of_b;
  for (std::size_t t = 0; t < 9; ++t) {
    const Tensor step_a = steps_of(a, t, t + 1), step_b = steps_of(b, t, t + 1);
    append(got_a, net.forward(step_a, tape, &of_a), pool);
    append(got_b, net.forward(step_b, tape, &of_b), pool);
  }
  EXPECT_EQ(got_a, whole_a);
  EXPECT_EQ(got_b, whole_b);
  EXPECT_NE(whole_a, whole_b);
}

/// A layer of a user that carries the sum of what came in.
class Total final : public Layer {
 public:
  std::string_view kind() const override { return "total"; }
  Shape output_shape(const Shape& features) const override { return features; }
  std::vector<std::string> state_names() const override { return {"total"}; }

 private:
  Signal do_forward(const Signal& x, Tape& tape) const override {
    Tensor& y = tape.saved<Tensor>();
    y.resize(x.shape());
    const std::size_t F = x.features(), T = x.steps();
    Tensor none({x.samples(), F});
    State* state = tape.state();
    float* total = state != nullptr ? state->at("total", {x.samples(), F}, 0).value.data() : none.data();
    for (std::size_t n = 0; n < x.samples(); ++n) {
      for (std::size_t t = 0; t < T; ++t) {
        for (std::size_t f = 0; f < F; ++f) {
          y.data()[(n * T + t) * F + f] = total[n * F + f] += x.values()[(n * T + t) * F + f];
        }
      }
    }
    return y;
  }
  Signal do_backward(Tape&, const Signal&) override { return {}; }
};

TEST(State, ALayerOfTheUserCanCarry) {
  Sequential net{Total{}, Linear(2, 2), LIF{}};
  const Tensor x = random_tensor({2, 6, 2}, 1);
  ThreadPool pool(1);
  Tape tape(pool);
  std::vector<std::vector<float>> whole(2), got(2);
  append(whole, net.forward(x, tape), pool);
  State state;
  for (std::size_t t = 0; t < 6; t += 2) {
    const Tensor part = steps_of(x, t, t + 2);
    append(got, net.forward(part, tape, &state), pool);
  }
  EXPECT_EQ(got, whole);
  EXPECT_EQ(state.named_tensors(net).at(0).name, "0.total");
}

TEST(State, WrongUsesAreNamed) {
  ThreadPool pool(1);
  Tape tape(pool);
  State state;
  const Tensor x({2, 1, 3}), more({3, 1, 3}), dy({2, 1, 4});
  Sequential net{Linear(3, 4), LIF{}};
  net.forward(x, tape, &state);
  EXPECT_EQ(error_text([&] { net.forward(more, tape, &state); }),
            "[state] v must have the shape (3, 4) for this x; reset it, or pass another, got (2, 4)");
  net.forward(x, tape);
  EXPECT_EQ(error_text([&] { net.backward(tape, dy, &state); }),
            "[sequential] backward with a state must follow a forward with one");
  state.named_gradients(net).at(0).tensor->resize({7});
  net.forward(x, tape, &state);
  EXPECT_EQ(error_text([&] { net.backward(tape, dy, &state); }),
            "[state] the gradient of v must have the shape (2, 4), got (7)");
  Sequential parallel{Linear(3, 4), PSN{{.steps = 1}}};
  State other;
  EXPECT_EQ(
      error_text([&] { parallel.forward(x, tape, &other); }),
      "[psn] a parallel neuron must have all T steps at once, and no state, got a state: its potential is a "
      "product over all steps, and not a recursion");
}

}  // namespace
}  // namespace volley
