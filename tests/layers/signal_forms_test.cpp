// Layouts and signals that are constant in time: what is turned is the same signal, and a network gives the
// same for a constant signal as for one whose steps are all stored.

#include "support/signal_forms.hpp"

#include <gtest/gtest.h>

#include <volley/layers.hpp>
#include <volley/neuron.hpp>

#include "signal/spike_words.hpp"
#include "support/error_text.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

constexpr std::size_t kN = 3, kT = 5;

std::vector<float> values_of(const Signal& x) { return {x.values(), x.values() + x.stored_shape().size()}; }

// (C, H, W) at and beside the edges of words, of tiles, and of one channel or position.
const Shape kPictures[] = {{1, 3, 4},  {3, 1, 1},   {5, 4, 3},   {63, 3, 3},
                           {64, 8, 8}, {65, 13, 5}, {130, 5, 13}};

TEST(SignalForms, ValuesAreTurnedAndTurnedBack) {
  ThreadPool pool(2);
  for (const Shape& picture : kPictures) {
    const std::size_t C = picture[0], P = picture[1] * picture[2];
    for (const std::size_t stored : {kT, std::size_t{1}}) {
      const Shape shape = picture.after({kN, kT});
      const Tensor values = random_tensor(picture.after({kN, stored}), 1);
      const Signal x(values, shape);
      SignalMemory there, back;
      const Signal y = in_layout(x, Layout::channels_last, there, pool);
      EXPECT_EQ(y.shape(), shape);
      EXPECT_EQ(y.layout(), Layout::channels_last);
      EXPECT_EQ(y.stored_steps(), stored);
      EXPECT_EQ(y.stored_shape(), (Shape{kN, stored, picture[1], picture[2], C}));
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t step = i / (C * P), c = i / P % C, p = i % P;
        ASSERT_EQ(y.values()[(step * P + p) * C + c], values.data()[i]);
      }
      EXPECT_EQ(values_of(in_layout(y, Layout::row_major, back, pool)), values_of(x));
      EXPECT_EQ(in_layout(x, Layout::row_major, back, pool).values(), values.data());  // nothing to do
    }
  }
}

TEST(SignalForms, SpikesAnswerTheSameInEveryLayout) {
  ThreadPool pool(2);
  for (const Shape& picture : kPictures) {
    const Shape shape = picture.after({kN, kT});
    const std::vector<std::uint8_t> bytes = test::Random(2).spikes<std::uint8_t>(shape.size(), 0.3);
    const Spikes rows = Spikes::from_bytes(shape, bytes);
    Spikes trains, turned, turned_trains, back;
    to_trains(trains, rows, pool);
    to_layout(turned, rows, rows.shape(), Layout::channels_last, pool);
    to_layout(turned_trains, trains, trains.shape(), Layout::channels_last, pool);
    to_layout(back, turned, turned.shape(), Layout::row_major, pool);
    EXPECT_EQ(turned.layout(), Layout::channels_last);
    EXPECT_EQ(Signal(turned).layout(), Layout::channels_last);
    EXPECT_EQ(SpikeWords::row_words(turned), picture[1] * picture[2] * ((picture[0] + 63) / 64));
    for (const Spikes* form : {&turned, &turned_trains, &back}) {
      std::vector<std::uint8_t> got(bytes.size(), 7);
      form->to_bytes(got);
      ASSERT_EQ(got, bytes) << shape.text();
      EXPECT_EQ(form->count(), rows.count());
      std::vector<std::uint32_t> counts(form->features());
      for (std::size_t n = 0; n < kN; ++n) {
        form->count_by_feature(n, counts);
        for (std::size_t f = 0; f < form->features(); ++f) {
          ASSERT_EQ(counts[f], rows.count(n, f));
          ASSERT_EQ(form->fired(n, 1, f), rows.fired(n, 1, f));
        }
      }
    }
  }
}

TEST(SignalForms, PlainRepeatsAConstantAndItsBackwardAddsUp) {
  ThreadPool pool(2);
  const Shape picture{5, 3, 4}, shape = picture.after({kN, kT});
  const Tensor stored = random_tensor({kN, 1, 3, 4, 5}, 3);
  const Signal x(stored, shape, Layout::channels_last);
  EXPECT_TRUE(x.constant());
  SignalMemory memory, dx_memory;
  const Signal y = plain(x, memory, pool);
  EXPECT_EQ(y.stored_shape(), shape);
  const Tensor dy = random_tensor(shape, 4);
  const Signal dx = in_form_of(x, dy, dx_memory, pool);
  EXPECT_EQ(dx.stored_shape(), x.stored_shape());
  for (std::size_t n = 0; n < kN; ++n) {
    for (std::size_t f = 0; f < 60; ++f) {
      float sum = 0;
      const std::size_t at = (n * 12 + f % 12) * 5 + f / 12;
      for (std::size_t t = 0; t < kT; ++t) {
        EXPECT_EQ(y.values()[(n * kT + t) * 60 + f], stored.data()[at]);
        sum += dy.data()[(n * kT + t) * 60 + f];
      }
      EXPECT_EQ(dx.values()[at], sum);
    }
  }
}

/// The output, dx and gradients of a network for x and a fixed random dy.
struct Result {
  std::vector<float> y, dx, weight;
};

Result run(Sequential& net, const Signal& x) {
  ThreadPool pool(2);
  Tape tape(pool);
  SignalMemory y_memory, dy_memory;
  zero_gradients(net.parameters());
  const Signal y = net.forward(x, tape);
  Result result;
  std::vector<std::uint8_t> bytes(y.shape().size());
  if (y.is_spikes()) {
    y.spikes().to_bytes(bytes);
    result.y.assign(bytes.begin(), bytes.end());
  } else {
    result.y = values_of(plain(y, y_memory, pool));
  }
  const Tensor dy = random_tensor(y.shape(), 5);
  const Signal dx = net.backward(tape, in_form_of(y, dy, dy_memory, pool));
  EXPECT_EQ(dx.layout(), x.layout());
  EXPECT_EQ(dx.stored_shape(), x.stored_shape());
  result.dx = values_of(dx);
  const auto gradient = net.parameters()[0].parameter->gradient.values();
  result.weight.assign(gradient.begin(), gradient.end());
  return result;
}

TEST(SignalForms, ANetworkGivesTheSameForEveryForm) {
  ThreadPool pool(2);
  const Shape picture{5, 3, 4};
  const Tensor one = random_tensor(picture.after({kN, 1}), 6);
  const Signal x(one, picture.after({kN, kT}));
  SignalMemory repeated, turned;
  const Signal every_step = plain(x, repeated, pool);
  const Signal channels_last = in_layout(x, Layout::channels_last, turned, pool);
  Sequential with_neurons{Flatten{}, Linear{60, 40}, LIF{{.tau = 1.5f, .v_threshold = 0.2f}}};
  Sequential soft{Flatten{}, Linear{60, 40}, SoftLIF{}};
  Sequential without{Flatten{}, Linear{60, 40}};
  for (Sequential* net : {&with_neurons, &soft, &without}) {
    const Result expected = run(*net, every_step);
    for (const Signal& form : {x, channels_last}) {
      const Result got = run(*net, form);
      EXPECT_EQ(got.y, expected.y);
      EXPECT_LT(test::relative_error(got.weight, expected.weight), 1e-5);
      SignalMemory sum, rows;
      Tensor dx_every(every_step.shape());
      std::copy(expected.dx.begin(), expected.dx.end(), dx_every.data());
      EXPECT_LT(test::relative_error(got.dx, values_of(in_form_of(form, dx_every, sum, pool))), 1e-5);
    }
  }
}

TEST(SignalForms, FlattenPutsSpikesInRowMajorOrder) {
  ThreadPool pool(2);
  const Shape shape{kN, kT, 65, 3, 4};
  const std::vector<std::uint8_t> bytes = test::Random(7).spikes<std::uint8_t>(shape.size(), 0.3);
  const Spikes rows = Spikes::from_bytes(shape, bytes);
  Spikes turned;
  to_layout(turned, rows, rows.shape(), Layout::channels_last, pool);
  Flatten flatten;
  Tape tape(pool);
  const Signal y = flatten.forward(turned, tape);
  EXPECT_EQ(y.shape(), (Shape{kN, kT, 780}));
  EXPECT_EQ(y.layout(), Layout::row_major);
  std::vector<std::uint8_t> got(bytes.size());
  y.spikes().to_bytes(got);
  EXPECT_EQ(got, bytes);
  const Tensor dy = random_tensor(y.shape(), 8);
  const Signal dx = flatten.backward(tape, dy);
  EXPECT_EQ(dx.stored_shape(), (Shape{kN, kT, 3, 4, 65}));
  EXPECT_EQ(dx.values()[65 * 2 + 1], dy.data()[12 * 1 + 2]);
}

TEST(SignalForms, RefusesMemoryThatDoesNotFit) {
  const Tensor values(Shape{2, 3, 4, 5, 6});
  EXPECT_EQ(error_text([&] {
              Signal(values, Shape{2, 3, 4, 5, 6}, Layout::channels_last);
            }),
            "[signal] the memory of a channels-last signal of shape (2, 3, 4, 5, 6) must be (2, 3, 5, 6, 4), "
            "or have one "
            "step, got (2, 3, 4, 5, 6)");
  EXPECT_EQ(error_text([&] {
              Signal(values, Shape{2, 4, 4, 5, 6});
            }),
            "[signal] the memory of a row-major signal of shape (2, 4, 4, 5, 6) must be (2, 4, 4, 5, 6), or "
            "have one "
            "step, got (2, 3, 4, 5, 6)");
  EXPECT_EQ(error_text([&] {
              Signal(values, Shape{2, 3, 120}, Layout::channels_last);
            }),
            "[signal] a channels-last signal must be (N, T, C, positions...), got (2, 3, 120)");
  EXPECT_EQ(
      error_text([&] {
        static_cast<void>(Signal(values, Shape{2, 3, 6, 4, 5}, Layout::channels_last).reshaped({2, 3, 120}));
      }),
      "[signal] a signal that is reshaped must be row-major, got a channels-last one");
}

}  // namespace
}  // namespace volley
