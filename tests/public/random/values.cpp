#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

// One layer against its formula, written again in double.

using Values = std::vector<double>;

struct Case {
  const Input& x;
  std::size_t rows, F, T;  // rows: N T
  Values values;
};

Case case_of(const Input& x) {
  const Shape& shape = x.shape();
  return {x, shape[0] * shape[1], shape.from(2).size(), shape[1], {x.plain().begin(), x.plain().end()}};
}

std::vector<float> run(Program& p, const Layer& layer, const Input& x, const std::string& text) {
  std::vector<float> y;
  Tape tape(pool_of(p.random.between(1, p.threads())));
  p.must("Layer::forward", text + ".forward(x, tape);",
         [&] { y = plain_values(p, layer.forward(x.x(), tape)); });
  return y;
}

void expect_close(Program& p, const std::vector<float>& y, const Values& expected, const std::string& text) {
  const std::vector<float> wide(expected.begin(), expected.end());
  p.check(close_values(y, wide, 2e-4), "the values of a layer", cat(text, ": ", difference(y, wide)));
}

double value_of(const Parameter& parameter, std::size_t i) {
  return static_cast<double>(parameter.value.data()[i]);
}

void linear(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t out = p.random.one_of<std::size_t>({1, 5, 16, 33, 40});
  Linear layer(c.F, out, {.bias = p.random.chance(0.5)});
  const std::string text = cat("Linear{", c.F, ", ", out, "}");
  p.count("Linear::weight");
  Values y(c.rows * out);
  for (std::size_t r = 0; r < c.rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      double sum = layer.options().bias ? value_of(layer.bias(), o) : 0;
      for (std::size_t i = 0; i < c.F; ++i)
        sum += value_of(layer.weight(), o * c.F + i) * c.values[r * c.F + i];
      y[r * out + o] = sum;
    }
  }
  expect_close(p, run(p, layer, x, text), y, text);
}

void conv(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t C = x.shape()[2], H = x.shape()[3], W = x.shape()[4], out = p.random.between(1, 5);
  Conv2d layer(C, out, 3, {.padding = 1});
  p.count("Convolution::weight");
  p.count("Convolution::bias");
  Values y(c.rows * out * H * W);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t w = i % W, h = i / W % H, o = i / W / H % out, r = i / W / H / out;
    double sum = value_of(layer.bias(), o);
    for (std::size_t tap = 0; tap < C * 9; ++tap) {
      const std::size_t from_h = h + tap / 3 % 3, from_w = w + tap % 3;  // + 1
      if (from_h == 0 || from_h > H || from_w == 0 || from_w > W) continue;
      sum += value_of(layer.weight(), o * C * 9 + tap) *
             c.values[((r * C + tap / 9) * H + from_h - 1) * W + from_w - 1];
    }
    y[i] = sum;
  }
  const std::string text = cat("Conv2d{", C, ", ", out, ", 3, {.padding = 1}}");
  expect_close(p, run(p, layer, x, text), y, text);
}

void pool(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t H = x.shape()[3], W = x.shape()[4], h2 = H / 2, w2 = W / 2;
  if (h2 == 0 || w2 == 0) return;
  Values most(c.rows * x.shape()[2] * h2 * w2), mean(most.size());
  for (std::size_t i = 0; i < most.size(); ++i) {
    const std::size_t w = i % w2, h = i / w2 % h2, picture = i / w2 / h2;
    const double* first = &c.values[(picture * H + 2 * h) * W + 2 * w];
    most[i] = std::max({first[0], first[1], first[W], first[W + 1]});
    mean[i] = (first[0] + first[1] + first[W] + first[W + 1]) / 4;
  }
  expect_close(p, run(p, MaxPool2d(2), x, "MaxPool2d{2}"), most, "MaxPool2d{2}");
  expect_close(p, run(p, AvgPool2d(2), x, "AvgPool2d{2}"), mean, "AvgPool2d{2}");
}

void voting(Program& p, const Input& x) {
  const Case c = case_of(x);
  if (c.F % 2 != 0) return;
  Values y(c.rows * c.F / 2);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = (c.values[2 * i] + c.values[2 * i + 1]) / 2;
  expect_close(p, run(p, Voting({.voting_size = 2}), x, "Voting{{2}}"), y, "Voting{{2}}");
}

void identity(Program& p, const Input& x) {
  const Values& values = case_of(x).values;
  const Values same = values;
  expect_close(p, run(p, Flatten{}, x, "Flatten{}"), same, "Flatten{}");
  expect_close(p, run(p, Dropout{}, x, "Dropout{}"), same, "Dropout{}");
  expect_close(p, run(p, RatePenalty{}, x, "RatePenalty{}"), same, "RatePenalty{}");
  expect_close(p, run(p, Sequential{}, x, "Sequential{}"), same, "Sequential{}");
  Sequential empty;
  Residual twice(std::move(empty));
  Values two = values;
  for (double& value : two) value *= 2;
  expect_close(p, run(p, twice, x, "Residual{Sequential{}}"), two, "Residual{Sequential{}}");
}

/// y[o] = b[o] + the sums of W[i, o, tap] x[i] over the positions and taps that reach it.
void conv_transpose(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t C = x.shape()[2], H = x.shape()[3], W = x.shape()[4], out = p.random.between(1, 3);
  ConvTranspose2d layer(C, out, 2, {.stride = 2});
  p.count("Convolution::weight");
  p.count("Convolution::bias");
  Values y(c.rows * out * 4 * H * W);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t w = i % (2 * W), h = i / (2 * W) % (2 * H), o = i / (4 * H * W) % out,
                      r = i / (4 * H * W) / out;
    y[i] = value_of(layer.bias(), o);
    for (std::size_t k = 0; k < C; ++k) {
      y[i] += value_of(layer.weight(), (k * out + o) * 4 + h % 2 * 2 + w % 2) *
              c.values[((r * C + k) * H + h / 2) * W + w / 2];
    }
  }
  const std::string text = cat("ConvTranspose2d{", C, ", ", out, ", 2, {.stride = 2}}");
  expect_close(p, run(p, layer, x, text), y, text);
}

void upsample(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t H = x.shape()[3], W = x.shape()[4];
  Values y(c.rows * x.shape()[2] * 4 * H * W);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t w = i % (2 * W), h = i / (2 * W) % (2 * H), picture = i / (4 * H * W);
    y[i] = c.values[(picture * H + h / 2) * W + w / 2];
  }
  expect_close(p, run(p, Upsample({.scale_factor = 2}), x, "Upsample{2}"), y, "Upsample{2}");
}

void conv_line(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t C = x.shape()[2], L = x.shape()[3], out = p.random.between(1, 3);
  Conv1d layer(C, out, 3, {.padding = 1});
  Values y(c.rows * out * L);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t l = i % L, o = i / L % out, r = i / L / out;
    y[i] = value_of(layer.bias(), o);
    for (std::size_t tap = 0; tap < C * 3; ++tap) {
      const std::size_t from = l + tap % 3;  // + 1
      if (from == 0 || from > L) continue;
      y[i] += value_of(layer.weight(), o * C * 3 + tap) * c.values[(r * C + tap / 3) * L + from - 1];
    }
  }
  const std::string text = cat("Conv1d{", C, ", ", out, ", 3, {.padding = 1}}");
  expect_close(p, run(p, layer, x, text), y, text);
}

/// One group, and so layer normalisation of all features too.
void sample_norm(Program& p, const Input& x) {
  const Case c = case_of(x);
  GroupNorm group(1, x.shape()[2], {.eps = 0.5f});
  const Shape features = x.shape().from(2);
  LayerNorm layer(std::vector<std::size_t>(features.sizes().begin(), features.sizes().end()), {.eps = 0.5f});
  for (const char* name : {"SampleNorm::weight", "SampleNorm::bias"}) p.count(name);
  // Where all values are equal, y is the bias alone, and what rounding leaves of x is small beside it.
  std::ranges::fill(group.bias().value.values(), 1.0f);
  std::ranges::fill(layer.bias().value.values(), 1.0f);
  group.weight().value.data()[0] = layer.weight().value.data()[0] = 1;
  Values y(c.values.size());
  for (std::size_t r = 0; r < c.rows; ++r) {
    double mean = 0, variance = 0;
    for (std::size_t f = 0; f < c.F; ++f) mean += c.values[r * c.F + f] / static_cast<double>(c.F);
    for (std::size_t f = 0; f < c.F; ++f)
      variance += std::pow(c.values[r * c.F + f] - mean, 2) / static_cast<double>(c.F);
    for (std::size_t f = 0; f < c.F; ++f)
      y[r * c.F + f] = (c.values[r * c.F + f] - mean) / std::sqrt(variance + 0.5) + 1;
  }
  expect_close(p, run(p, group, x, "GroupNorm"), y, "GroupNorm");
  expect_close(p, run(p, layer, x, "LayerNorm"), y, "LayerNorm");
}

void norm(Program& p, const Input& x) {
  const Case c = case_of(x);
  const std::size_t C = x.shape()[2], positions = c.F / C;
  BatchNorm layer(C);
  for (const char* name : {"BatchNorm::weight", "BatchNorm::bias", "BatchNorm::running_mean",
                           "BatchNorm::running_var", "BatchNorm::channels"})
    p.count(name);
  Values y(c.values.size());
  for (std::size_t k = 0; k < C; ++k) {
    layer.weight().value.data()[k] = 0.5f + static_cast<float>(k);
    layer.running_mean().data()[k] = 0.25f * static_cast<float>(k);
    layer.running_var().data()[k] = 2;
  }
  for (std::size_t i = 0; i < y.size(); ++i) {
    const auto k = static_cast<double>(i / positions % C);
    y[i] = (c.values[i] - 0.25 * k) / std::sqrt(2 + 1e-5) * (0.5 + k);
  }
  expect_close(p, run(p, layer, x, "BatchNorm"), y, "BatchNorm");
}

/// The charge of a neuron, and whether its potential is anywhere too near to the threshold to tell a spike.
template <class Charge>
void neuron(Program& p, const Input& x, const Layer& layer, const std::string& text, double threshold,
            const std::optional<float>& v_reset, const Charge& charge) {
  const Case c = case_of(x);
  Values s(c.values.size());
  for (std::size_t i = 0; i < c.rows / c.T * c.F; ++i) {
    double v = static_cast<double>(v_reset.value_or(0));
    for (std::size_t t = 0; t < c.T; ++t) {
      const std::size_t at = (i / c.F * c.T + t) * c.F + i % c.F;
      const double h = charge(v, c.values[at]);
      if (!(std::abs(h - threshold) > 1e-4 * (1 + std::abs(h)))) return;
      s[at] = h >= threshold ? 1 : 0;
      v = s[at] == 0 ? h : v_reset.has_value() ? static_cast<double>(*v_reset) : h - threshold;
    }
  }
  expect_close(p, run(p, layer, x, text), s, text);
}

void neurons(Program& p, const Input& x) {
  const std::optional<float> reset = p.random.chance(0.5) ? std::optional<float>{} : 0.125f;
  const double rest = static_cast<double>(reset.value_or(0));
  const float threshold = p.random.one_of({0.25f, 0.5f, 1.0f});
  const auto theta = static_cast<double>(threshold);
  const float tau = p.random.one_of({1.5f, 2.0f, 7.0f});
  const auto T = static_cast<double>(tau);
  neuron(p, x, IF({.v_threshold = threshold, .v_reset = reset}), "IF", theta, reset,
         [](double v, double in) { return v + in; });
  neuron(p, x, LIF({.tau = tau, .v_threshold = threshold, .v_reset = reset}), "LIF", theta, reset,
         [&](double v, double in) { return v + (in - (v - rest)) / T; });
  neuron(p, x, LIF({.tau = tau, .v_threshold = threshold, .v_reset = reset, .decay_input = false}),
         "LIF{{.decay_input = false}}", theta, reset,
         [&](double v, double in) { return v - (v - rest) / T + in; });
  neuron(p, x, PLIF({.init_tau = tau, .v_threshold = threshold, .v_reset = reset}), "PLIF", theta, reset,
         [&](double v, double in) { return v + (in - (v - rest)) / T; });
  const Case c = case_of(x);
  Values v(c.values.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double before = i / c.F % c.T == 0 ? 0 : v[i - c.F];
    v[i] = before + (c.values[i] - before) / T;
  }
  expect_close(p, run(p, LI({.tau = tau}), x, "LI"), v, "LI");
}

}  // namespace

void values_scene(Program& p) {
  const Shape features = draw_features(p);
  const Shape shape = signal_shape(p.random.between(1, 4), p.random.between(1, 6), features);
  const Input x = draw_input(p, "x", shape, Want::either);
  if (std::ranges::any_of(x.plain(), [](float v) { return !(std::abs(v) < 1e6f); })) return;
  identity(p, x);
  if (features.rank() == 1) {
    linear(p, x);
    voting(p, x);
  }
  if (features.rank() == 3) {
    conv(p, x);
    conv_transpose(p, x);
    upsample(p, x);
    pool(p, x);
  }
  if (features.rank() == 2) conv_line(p, x);
  sample_norm(p, x);
  if (x.form().spikes) return;
  norm(p, x);
  neurons(p, x);
}

}  // namespace volley::test
