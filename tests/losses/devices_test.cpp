#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <volley/volley.hpp>

#include "support/deferred_device.hpp"
#include "support/error_text.hpp"
#include "support/loss_cases.hpp"

namespace volley {
namespace {

using test::error_text;
using test::every_loss;
using test::LossCase;
using test::random_tensor;

constexpr std::size_t kN = LossCase::kN, kT = LossCase::kT, kK = LossCase::kK;

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values(), b.values());
}

struct Result {
  double loss = 0;
  Tensor scores, dy;
};

Result run(const Loss& loss, const Signal& y, const Targets& targets, Tape& tape) {
  Result result;
  result.loss = loss.forward(y, targets, result.scores, tape);
  result.dy = to_tensor(loss.backward(tape));
  return result;
}

/// The targets as they are; with lengths and weights; with a mask beside; where no sample counts.
std::vector<std::pair<std::string, Targets>> forms_of(const Targets& plain) {
  Targets sized = plain;
  sized.lengths = {6, 4, 6, 5, 3};
  sized.weights = {1, 0.3f, 2.7f, 0, 3};
  Targets masked = sized;
  masked.mask = {0, 1, 1, 0, 1, 1,  //
                 1, 0, 0, 1, 0, 1,  //
                 0, 0, 0, 0, 0, 1,  //
                 1, 1, 1, 1, 1, 0,  //
                 0, 1, 0, 1, 1, 1};
  Targets nothing = plain;
  nothing.weights.assign(kN, 0.0f);
  return {{"plain", plain}, {"sized", sized}, {"masked", masked}, {"nothing", nothing}};
}

Spikes spikes_of(const Tensor& y) {
  std::vector<std::uint8_t> bytes;
  for (const float value : y.values()) bytes.push_back(value > 0.3f);
  return Spikes::from_bytes(y.shape(), bytes);
}

/// A device whose operations run later, on memory that no other code can reach, gives the CPU's bits: in a
/// first pass, and in one of other outputs that finds the memory of the first.
TEST(LossOnADevice, HasTheBitsOfTheCpu) {
  for (const LossCase& c : every_loss()) {
    for (const auto& [form, targets] : forms_of(c.targets)) {
      for (const bool as_spikes : {false, true}) {
        if (as_spikes && c.name.starts_with("membrane")) continue;  // refuses them
        SCOPED_TRACE(c.name + ", " + form + (as_spikes ? ", spikes" : ""));
        const Device cpu("cpu", 2);
        const test::UseDeferredDevices use;
        const Device device("cpu", 2);
        Tape tape(cpu), other(device);
        for (const std::uint32_t seed : {14u, 15u}) {
          const Tensor values = c.outputs(seed);
          const Spikes spikes = spikes_of(values);
          const Signal y = as_spikes ? Signal(spikes) : Signal(values);
          const Result expected = run(*c.loss, y, targets, tape), result = run(*c.loss, y, targets, other);
          EXPECT_EQ(result.loss, expected.loss);
          EXPECT_TRUE(same(result.scores, expected.scores));
          EXPECT_TRUE(same(result.dy, expected.dy));
        }
      }
    }
  }
}

/// The bytes that a pass copies where the pass before had the same targets, without a mask. The real values
/// and the weights go to the device again. Labels and lengths stay there. The loss comes back.
std::size_t bytes_of(const Loss& loss, const Targets& targets) {
  std::size_t bytes = 0;
  if (const auto* heads = dynamic_cast<const Heads*>(&loss); heads != nullptr) {
    for (std::size_t h = 0; h < targets.heads.size(); ++h) {
      Targets of = targets.heads[h];
      of.lengths = targets.lengths;
      of.weights = targets.weights;
      bytes += bytes_of(*heads->heads()[h].loss, of);
    }
    return bytes;
  }
  const bool weighs = !loss.class_weights().empty() || !targets.weights.empty();
  bytes += 4 * targets.values.size();
  bytes += weighs ? kN * sizeof(double) : 0;
  return bytes + sizeof(double);
}

/// y lies on the device, and dy and the scores stay there.
TEST(LossOnADevice, CopiesTargetsAndTheLossAlone) {
  const test::UseDeferredDevices use;
  for (const LossCase& c : every_loss()) {
    for (const auto& [form, targets] : forms_of(c.targets)) {
      for (const bool as_spikes : {false, true}) {
        if (as_spikes && c.name.starts_with("membrane")) continue;  // refuses them
        SCOPED_TRACE(c.name + ", " + form + (as_spikes ? ", spikes" : ""));
        const Device device("cpu", 1);
        Tape tape(device);
        Tensor scores;
        const Tensor values = c.outputs(14);
        const Spikes spikes = spikes_of(values);
        const Signal y = as_spikes ? Signal(spikes) : Signal(values);
        std::uint64_t before = 0;
        for (int pass = 0; pass < 2; ++pass) {
          before = device.copied_bytes();
          c.loss->forward(y, targets, scores, tape);
          static_cast<void>(c.loss->backward(tape));
        }
        const std::uint64_t copied = device.copied_bytes() - before;
        const std::size_t expected = bytes_of(*c.loss, targets);
        if (targets.mask.empty()) {
          EXPECT_EQ(copied, expected);
        } else {  // also which steps count, and no more of the targets
          EXPECT_LE(copied, expected + kN * kT * sizeof(std::uint32_t));
        }
      }
    }
  }
}

/// That an output is no spike is found by the operation, and thrown by the forward that began it.
TEST(LossOnADevice, RefusesOutputsThatAreNoSpikes) {
  const test::UseDeferredDevices use;
  const Device device("cpu", 1);
  Tape tape(device);
  Tensor scores;
  Tensor y = random_tensor({2, 3, 4}, 1, 0, 0);
  const std::vector<std::uint32_t> labels{0, 1};
  const FirstSpikeCrossEntropy loss;
  static_cast<void>(loss.forward(y, labels, scores, tape));
  y.data()[5] = 0.5f;
  EXPECT_EQ(error_text([&] { static_cast<void>(loss.forward(y, labels, scores, tape)); }),
            "[first_spike_cross_entropy] y must be spikes, 0 or 1, got 0.5");
  EXPECT_EQ(error_text([&] { static_cast<void>(loss.backward(tape)); }),
            "[first_spike_cross_entropy] the last forward on the tape of backward must be one of this loss, "
            "got none");
}

/// A loss of a user, computed by the host: the sum of y[n, t, label], whose scores are the last step.
class SumOfLabels final : public Loss {
 public:
  std::string_view kind() const override { return "sum_of_labels"; }

 private:
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape&) const override {
    const std::size_t T = y.steps(), K = y.features();
    double sum = 0;
    for (std::size_t n = 0; n < y.samples(); ++n) {
      const float* const first = y.values() + n * T * K;
      for (std::size_t t = 0; t < targets.steps_of(n, T); ++t)
        sum += static_cast<double>(first[t * K + targets.labels[n]]);
      std::copy_n(first + (T - 1) * K, K, scores.data() + n * K);
    }
    return sum;
  }
  void do_backward(const Signal& y, const Targets& targets, const Tensor&, Tensor& dy, Tape&) const override {
    dy.zero();
    for (std::size_t n = 0; n < y.samples(); ++n) {
      for (std::size_t t = 0; t < targets.steps_of(n, y.steps()); ++t)
        dy.data()[(n * y.steps() + t) * y.features() + targets.labels[n]] = 1;
    }
  }
};

TEST(LossOnADevice, MayBeComputedByTheHost) {
  const Tensor values = random_tensor({kN, kT, kK}, 3);
  const Spikes spikes = spikes_of(values);
  const Device cpu("cpu", 1);
  const test::UseDeferredDevices use;
  const Device device("cpu", 1);
  const SumOfLabels loss;
  for (const auto& [form, targets] : forms_of({.labels = {3, 0, 1, 1, 2}})) {
    for (const Signal& y : {Signal(values), Signal(spikes)}) {
      SCOPED_TRACE(form);
      Tape tape(cpu), other(device);
      const Result expected = run(loss, y, targets, tape), result = run(loss, y, targets, other);
      EXPECT_EQ(result.loss, expected.loss);
      EXPECT_TRUE(same(result.scores, expected.scores));
      EXPECT_TRUE(same(result.dy, expected.dy));
    }
  }
}

}  // namespace
}  // namespace volley
