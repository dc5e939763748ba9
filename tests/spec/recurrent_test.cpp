#include "spec/recurrent.hpp"

#include <gtest/gtest.h>

#include "spec/neurons.hpp"
#include "support/gradient_check.hpp"
#include "support/neurons.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using Values = std::vector<double>;
using spec::Fire;

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

  Pass(const Neuron& neuron, const Values& x, const Values& weight, Feedback feedback, Fire fire,
       const Values* reset_spikes = nullptr) {
    Values now(kF * Neuron::kStates);
    spec::recurrent_start(now.data(), spec::everywhere(neuron), kF);
    spec::recurrent_forward(s.data(), z.data(), i.data(), x.data(), transposed(weight).data(), feedback,
                            spec::everywhere(neuron), kSurrogate, fire, kT, kF, now.data(),
                            static_cast<const double*>(nullptr),
                            reset_spikes != nullptr ? reset_spikes->data() : nullptr);
  }
};

TEST(RecurrentReference, BackwardIsTheGradientForEveryNeuron) {
  const Values x = test::Random(1).values<double>(kT * kF, -0.5, 1.3),
               dy = test::Random(2).values<double>(kT * kF);
  for (const Feedback feedback : {Feedback::linear, Feedback::element_wise}) {
    const Values weight =
        test::Random(3).values<double>(feedback == Feedback::linear ? kF * kF : kF, -0.4, 0.4);
    test::for_every_neuron(kSurrogate, [&](const auto& options, const std::string& name) {
      SCOPED_TRACE(name);
      spec::with_neuron_of<double>(options, [&]<class Neuron>(const Neuron& neuron) {
        const auto at = spec::everywhere(neuron);
        const Pass<Neuron> pass(neuron, x, weight, feedback, Fire::smooth);
        Values dx(kT * kF), dweight(weight.size()), dp(kF * Neuron::kParameters), ds(kF),
            dz(kF * Neuron::kStates);
        spec::recurrent_backward(dx.data(), dweight.data(), dp.data(), dy.data(), pass.s.data(),
                                 pass.z.data(), pass.i.data(), weight.data(), feedback, at, kSurrogate, kT,
                                 kF, ds.data(), dz.data());
        const Values* seen = options.detach_reset ? &pass.s : nullptr;
        const auto loss = [&](const Neuron& n, const Values& in, const Values& w) {
          return test::dot(dy, Pass<Neuron>(n, in, w, feedback, Fire::smooth, seen).s);
        };
        EXPECT_LT(test::gradient_error([&](const Values& v) { return loss(neuron, v, weight); }, x, dx),
                  1e-7);
        EXPECT_LT(test::gradient_error([&](const Values& w) { return loss(neuron, x, w); }, weight, dweight),
                  1e-7);
        for (std::size_t k = 0; k < Neuron::kParameters; ++k) {
          Neuron moved = neuron;
          double sum = 0;
          for (std::size_t f = 0; f < kF; ++f) sum += dp[f * Neuron::kParameters + k];
          const auto of_parameter = [&](const Values& v) {
            moved.parameter(k) = v[0];
            return loss(moved, x, weight);
          };
          EXPECT_LT(test::gradient_error(of_parameter, {moved.parameter(k)}, {sum}), 1e-6)
              << "parameter " << k;
        }
        // Without what comes back it is another gradient.
        const Values none(weight.size());
        spec::recurrent_backward(dx.data(), dweight.data(), dp.data(), dy.data(), pass.s.data(),
                                 pass.z.data(), pass.i.data(), none.data(), feedback, at, kSurrogate, kT, kF,
                                 ds.data(), dz.data());
        EXPECT_GT(test::gradient_error([&](const Values& v) { return loss(neuron, v, weight); }, x, dx),
                  1e-3);
      });
    });
  }
}

// By hand: IF, x = 1 at the first step alone. Neuron 0 fires at 0; its spike makes neuron 1 fire at 1, whose
// spike is not enough for neuron 0.
TEST(RecurrentReference, SpikesComeBackAStepLater) {
  Values x(kT * kF), weight(kF * kF);
  x[0] = 1;
  weight[1 * kF + 0] = 1;    // from 0 to 1
  weight[0 * kF + 1] = 0.5;  // from 1 to 0
  const auto neuron = spec::neuron_of<double>(IFOptions{});
  const Pass<spec::IFNeuron<double>> pass(neuron, x, weight, Feedback::linear, Fire::hard);
  for (std::size_t t = 0; t < kT; ++t) {
    EXPECT_EQ(pass.s[t * kF], t == 0) << t;
    EXPECT_EQ(pass.s[t * kF + 1], t == 1) << t;
  }
  EXPECT_EQ(pass.z[2 * kF], 0.5);
}

}  // namespace
}  // namespace volley
