#include "reference/recurrent.hpp"

#include <gtest/gtest.h>

#include "reference/neurons.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;
using reference::Fire;

constexpr std::size_t kT = 6, kF = 4;
const Surrogate kSurrogate = Sigmoid{2.0f};

Values transposed(const Values& weight) {
  if (weight.size() == kF) return weight;
  Values t(weight.size());
  for (std::size_t i = 0; i < weight.size(); ++i) t[i % kF * kF + i / kF] = weight[i];
  return t;
}

/// Spikes, or smooth ones, of a pass.
template <class Neuron>
struct Pass {
  Values s = Values(kT * kF), i = s, z = Values(kT * kF * Neuron::kStates);

  Pass(const Neuron& neuron, const Values& x, const Values& weight, Feedback feedback, Fire fire) {
    Values now(kF * Neuron::kStates);
    reference::recurrent_forward(s.data(), z.data(), i.data(), x.data(), transposed(weight).data(), feedback,
                                 neuron, kSurrogate, fire, kT, kF, now.data());
  }
};

TEST(RecurrentReference, BackwardIsTheGradientForEveryNeuron) {
  const Values x = test::Random(1).values<double>(kT * kF, -0.5, 2),
               dy = test::Random(2).values<double>(kT * kF);
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    const Values weight = test::Random(3).values<double>(feedback == Feedback::linear ? kF * kF : kF);
    const auto check = [&]<class Options>(const Options& options) {
      SCOPED_TRACE(Options::kKind);
      const auto neuron = reference::neuron_of<double>(options);
      using Neuron = std::remove_const_t<decltype(neuron)>;
      const Pass<Neuron> pass(neuron, x, weight, feedback, Fire::smooth);
      Values dx(kT * kF), dweight(weight.size()), ds(kF), dz(kF * Neuron::kStates);
      reference::recurrent_backward(dx.data(), dweight.data(), dy.data(), pass.s.data(), pass.z.data(),
                                    pass.i.data(), weight.data(), feedback, neuron, kSurrogate, kT, kF,
                                    ds.data(), dz.data());
      const auto loss = [&](const Values& in, const Values& w) {
        return test::dot(dy, Pass<Neuron>(neuron, in, w, feedback, Fire::smooth).s);
      };
      EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(at, weight); }, x, dx), 1e-7);
      EXPECT_LT(test::gradient_error([&](const Values& at) { return loss(x, at); }, weight, dweight), 1e-7);
      // Without what comes back it is another gradient.
      const Values none(weight.size());
      reference::recurrent_backward(dx.data(), dweight.data(), dy.data(), pass.s.data(), pass.z.data(),
                                    pass.i.data(), none.data(), feedback, neuron, kSurrogate, kT, kF,
                                    ds.data(), dz.data());
      EXPECT_GT(test::gradient_error([&](const Values& at) { return loss(at, weight); }, x, dx), 1e-3);
    };
    for (const std::optional<float> v_reset : {std::optional<float>{0.0f}, std::optional<float>{}}) {
      check(IFOptions{.v_reset = v_reset});
      check(LIFOptions{.tau = 1.7f, .v_reset = v_reset});
    }
    check(QIFOptions{});
    check(EIFOptions{});
    check(IzhikevichOptions{});
    check(CUBALIFOptions{});
    check(ALIFOptions{});
  }
}

// By hand: IF, x = 1 at the first step alone. Neuron 0 fires at 0; its spike makes neuron 1 fire at 1, whose
// spike is not enough for neuron 0.
TEST(RecurrentReference, SpikesComeBackAStepLater) {
  Values x(kT * kF), weight(kF * kF);
  x[0] = 1;
  weight[1 * kF + 0] = 1;    // from 0 to 1
  weight[0 * kF + 1] = 0.5;  // from 1 to 0
  const auto neuron = reference::neuron_of<double>(IFOptions{});
  const Pass<reference::IFNeuron<double>> pass(neuron, x, weight, Feedback::linear, Fire::hard);
  for (std::size_t t = 0; t < kT; ++t) {
    EXPECT_EQ(pass.s[t * kF], t == 0) << t;
    EXPECT_EQ(pass.s[t * kF + 1], t == 1) << t;
  }
  EXPECT_EQ(pass.z[2 * kF], 0.5);
}

}  // namespace
}  // namespace volley
