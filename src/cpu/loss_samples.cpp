#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include <volley/error.hpp>

#include "core/tree_sum.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/loss_parts.hpp"
#include "cpu/spikes.hpp"

// Losses of each sample by itself, and their mean.

namespace volley::cpu {
namespace {

/// The outputs (steps, K) of sample n; spikes as 0 and 1, in `values`.
const float* outputs_of(const ops::SignalView& y, std::size_t n, std::size_t steps, Scratch<float>& values) {
  if (!y.is_spikes) return y.values + n * y.S * y.F;
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t k = 0; k < y.F; ++k) values[t * y.F + k] = fired(y.spikes, n, t, k) ? 1.0f : 0.0f;
  }
  return values.data();
}

/// (R8) of one sample, y (T, K).
float tet(const ops::Tet& op, const float* y, std::uint32_t label, std::size_t T, std::size_t K) {
  double cross_entropies = 0;
  double squares = 0;
  for (std::size_t t = 0; t < T; ++t) {
    cross_entropies += cross_entropy(y + t * K, label, op.smoothing, K);
    for (std::size_t k = 0; k < K; ++k) {
      const double e = static_cast<double>(y[t * K + k]) - static_cast<double>(op.means);
      squares += e * e;
    }
  }
  const double lamb = static_cast<double>(op.lamb);
  return static_cast<float>((1 - lamb) * cross_entropies / static_cast<double>(T) +
                            lamb * squares / static_cast<double>(T * K));
}

/// (R9) dy (T, K) of the mean over `count` samples, (R11).
void tet_gradient(const ops::Tet& op, float* dy, const float* y, std::uint32_t label, double count,
                  std::size_t T, std::size_t K) {
  const float entropy_share = (1 - op.lamb) / static_cast<float>(count * static_cast<double>(T));
  const float square_share = 2 * op.lamb / static_cast<float>(count * static_cast<double>(T * K));
  for (std::size_t t = 0; t < T; ++t) {
    cross_entropy_gradient(dy + t * K, y + t * K, label, op.smoothing, entropy_share, K);
    for (std::size_t k = 0; k < K; ++k) dy[t * K + k] += square_share * (y[t * K + k] - op.means);
  }
}

/// (R13) What an error is worth, and the slope of that.
double worth_of(const ops::Regression& op, double e) {
  const double size = e < 0 ? -e : e, delta = static_cast<double>(op.delta);
  if (op.worth == ops::ErrorWorth::square) return e * e;
  if (op.worth == ops::ErrorWorth::size) return size;
  return size <= delta ? 0.5 * e * e : delta * (size - 0.5 * delta);
}
double slope_of(const ops::Regression& op, double e) {
  const double delta = static_cast<double>(op.delta);
  if (op.worth == ops::ErrorWorth::square) return 2 * e;
  if (op.worth == ops::ErrorWorth::size) return e < 0 ? -1 : e > 0 ? 1 : 0 * e;  // NaN stays NaN
  return e < -delta ? -delta : e > delta ? delta : e;
}

/// (R14) The mean of what the errors of K scores are worth, and its gradient, times `factor`.
double mean_worth(const ops::Regression& op, const float* z, const float* targets) {
  double sum = 0;
  for (std::size_t k = 0; k < op.K; ++k)
    sum += worth_of(op, static_cast<double>(z[k]) - static_cast<double>(targets[k]));
  return sum / static_cast<double>(op.K);
}
void mean_worth_gradient(const ops::Regression& op, float* dz, const float* z, const float* targets,
                         double factor) {
  const double share = factor / static_cast<double>(op.K);
  for (std::size_t k = 0; k < op.K; ++k) {
    const double e = static_cast<double>(z[k]) - static_cast<double>(targets[k]);
    dz[k] = static_cast<float>(slope_of(op, e) * share);
  }
}

/// Where the targets of sample n at step t begin.
const float* values_of(const ops::Regression& op, std::size_t n, std::size_t t) {
  return op.targets.values + (op.targets.of_steps ? n * op.T + t : n) * op.K;
}

void regression_gradient(const ops::Regression& op, std::size_t n) {
  const std::size_t T = op.T, K = op.K, steps = steps_of(op.targets.lengths, n, T);
  const double share = static_cast<double>(op.scale) / count_of(op.targets, n);
  const double of_step = share / static_cast<double>(steps);
  float* const first = op.dy + n * T * K;
  std::fill(first + steps * K, first + T * K, 0.0f);
  if (op.over == ops::ReadOver::each_step) {
    for (std::size_t t = 0; t < steps; ++t)
      mean_worth_gradient(op, first + t * K, op.z + (n * T + t) * K, values_of(op, n, t), of_step);
    return;
  }
  float* const last = first + (steps - 1) * K;
  mean_worth_gradient(op, last, op.z + n * K, values_of(op, n, 0),
                      op.over == ops::ReadOver::mean ? of_step : share);
  for (std::size_t t = 0; t + 1 < steps; ++t) {
    if (op.over == ops::ReadOver::last) {
      std::fill_n(first + t * K, K, 0.0f);
    } else {
      std::copy_n(last, K, first + t * K);
    }
  }
}

/// The labels of the steps of a sample, and how much each step counts in it.
struct Steps {
  const ops::StepCrossEntropy& op;

  std::uint32_t label(std::size_t n, std::size_t t) const {
    return op.targets.labels[op.targets.of_steps ? n * op.T + t : n];
  }
  double weight(std::size_t n, std::size_t t) const {
    return op.class_weights == nullptr ? 1 : static_cast<double>(op.class_weights[label(n, t)]);
  }
  double sum(std::size_t n) const {
    double sum = 0;
    for (std::size_t t = 0; t < steps_of(op.targets.lengths, n, op.T); ++t) sum += weight(n, t);
    return sum;
  }
};

void check_spikes(const ops::FirstSpikes& at) {
  for (const float value : std::span(at.y, at.N * at.T * at.K)) {
    if (value == 0 || value == 1) continue;
    throw ArgumentError(at.kind, "y must be spikes, 0 or 1", fmt::format("{}", value));
  }
}

/// (R16) z (K) = the steps, negated, of the first spikes of y (T, K); the last step where there is none.
void first_spikes(float* z, const float* y, std::size_t T, std::size_t K) {
  for (std::size_t k = 0; k < K; ++k) {
    std::size_t t = 0;
    while (t + 1 < T && y[t * K + k] == 0) ++t;
    z[k] = -static_cast<float>(t);
  }
}

/// The losses, loss(z, n, steps) by the scores, or dy by gradient(dz, z, n, steps).
template <class SampleLoss, class Gradient>
void of_first_spikes(ThreadPool& threads, const ops::FirstSpikes& at, const SampleLoss& loss,
                     const Gradient& gradient) {
  const std::size_t T = at.T, K = at.K;
  if (at.losses != nullptr) {
    check_spikes(at);
    for_samples(at.N, threads, [&](std::size_t n) {
      const std::size_t steps = steps_of(at.targets.lengths, n, T);
      first_spikes(at.scores + n * K, at.y + n * T * K, steps, K);
      at.losses[n] = static_cast<float>(loss(at.scores + n * K, n, steps));
    });
  }
  if (at.dy == nullptr) return;
  for_samples(at.N, threads, [&](std::size_t n) {
    const std::size_t steps = steps_of(at.targets.lengths, n, T);
    Scratch<float> z(K), dz(K);
    first_spikes(z.data(), at.y + n * T * K, steps, K);
    gradient(dz.data(), z.data(), n, steps);
    float* const dy = at.dy + n * T * K;
    std::fill_n(dy, T * K, 0.0f);
    for (std::size_t k = 0; k < K; ++k)  // (R17): dz by the step is -dz, and the step by the spike -1
      dy[static_cast<std::size_t>(-z[k]) * K + k] = dz[k];
  });
}

}  // namespace

void run(ThreadPool&, const ops::Gather& op) {
  for (std::size_t n = 0; n < op.N; ++n) op.to[n] = op.from[op.numbers[n]];
}

void run(ThreadPool&, const ops::MeanOfSamples& op) {
  const double sum = tree_sum(
      op.N, [&](std::size_t n) { return weight_of(op.targets, n) * static_cast<double>(op.losses[n]); });
  *op.loss = static_cast<double>(op.scale) * (sum / op.targets.total_weight);
}

void run(ThreadPool& threads, const ops::Tet& op) {
  const std::size_t T = op.y.S, K = op.y.F;
  for_samples(op.y.N, threads, [&](std::size_t n) {
    const std::size_t steps = steps_of(op.targets.lengths, n, T);
    const std::uint32_t label = op.targets.labels[n];
    Scratch<float> values(op.y.is_spikes ? steps * K : 0);
    const float* const y = outputs_of(op.y, n, steps, values);
    if (op.losses != nullptr) op.losses[n] = tet(op, y, label, steps, K);
    if (op.dy == nullptr) return;
    float* const dy = op.dy + n * T * K;
    tet_gradient(op, dy, y, label, count_of(op.targets, n), steps, K);
    std::fill(dy + steps * K, dy + T * K, 0.0f);
  });
}

void run(ThreadPool& threads, const ops::StepCrossEntropy& op) {
  const std::size_t T = op.T, K = op.K;
  const Steps of{op};
  for_samples(op.N, threads, [&](std::size_t n) {
    const std::size_t steps = steps_of(op.targets.lengths, n, T);
    const float* const y = op.y + n * T * K;
    if (op.losses != nullptr) {
      double sum = 0;
      for (std::size_t t = 0; t < steps; ++t)
        sum += of.weight(n, t) * cross_entropy(y + t * K, of.label(n, t), op.smoothing, K);
      op.losses[n] = static_cast<float>(sum / of.sum(n));
    }
    if (op.dy == nullptr) return;
    float* const dy = op.dy + n * T * K;
    const double share = weight_of(op.targets, n) / op.targets.total_weight / of.sum(n);
    for (std::size_t t = 0; t < steps; ++t) {
      cross_entropy_gradient(dy + t * K, y + t * K, of.label(n, t), op.smoothing,
                             static_cast<float>(of.weight(n, t) * share), K);
    }
    std::fill(dy + steps * K, dy + T * K, 0.0f);
  });
}

void run(ThreadPool& threads, const ops::Regression& op) {
  for_samples(op.N, threads, [&](std::size_t n) {
    if (op.dy != nullptr) regression_gradient(op, n);
    if (op.losses == nullptr) return;
    if (op.over != ops::ReadOver::each_step) {
      op.losses[n] = static_cast<float>(mean_worth(op, op.z + n * op.K, values_of(op, n, 0)));
      return;
    }
    const std::size_t steps = steps_of(op.targets.lengths, n, op.T);
    double sum = 0;
    for (std::size_t t = 0; t < steps; ++t)
      sum += mean_worth(op, op.z + (n * op.T + t) * op.K, values_of(op, n, t));
    op.losses[n] = static_cast<float>(sum / static_cast<double>(steps));
  });
}

void run(ThreadPool& threads, const ops::FirstSpikeCrossEntropy& op) {
  const ops::TargetsView& targets = op.at.targets;
  of_first_spikes(
      threads, op.at,
      [&](const float* z, std::size_t n, std::size_t) {
        return cross_entropy(z, targets.labels[n], op.smoothing, op.at.K);
      },
      [&](float* dz, const float* z, std::size_t n, std::size_t) {
        cross_entropy_gradient(dz, z, targets.labels[n], op.smoothing,
                               static_cast<float>(1 / count_of(targets, n)), op.at.K);
      });
}

void run(ThreadPool& threads, const ops::FirstSpikeMse& op) {
  const ops::TargetsView& targets = op.at.targets;
  const std::size_t K = op.at.K;
  const double scale = static_cast<double>(op.scale);
  const auto error = [&](const float* z, std::size_t n, std::size_t k, std::size_t steps) {
    const float off = op.off_at_last ? static_cast<float>(steps - 1) : op.off;
    const float target = targets.labels == nullptr ? targets.values[n * K + k]
                         : targets.labels[n] == k  ? op.on
                                                   : off;
    return -static_cast<double>(z[k]) - static_cast<double>(target);
  };
  of_first_spikes(
      threads, op.at,
      [&](const float* z, std::size_t n, std::size_t steps) {
        double sum = 0;
        for (std::size_t k = 0; k < K; ++k) {
          const double e = error(z, n, k, steps);
          sum += e * e;
        }
        return scale * sum / static_cast<double>(K);
      },
      [&](float* dz, const float* z, std::size_t n, std::size_t steps) {
        const double share = 2 * scale * (1 / count_of(targets, n)) / static_cast<double>(K);
        for (std::size_t k = 0; k < K; ++k) dz[k] = static_cast<float>(-share * error(z, n, k, steps));
      });
}

}  // namespace volley::cpu
