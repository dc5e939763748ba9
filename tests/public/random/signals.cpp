#include "signals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace volley::test {
namespace {

struct Sizes {
  std::size_t N, T, C, positions, features;

  explicit Sizes(const Shape& shape) : N(shape[0]), T(shape[1]), features(shape.from(2).size()) {
    C = shape.rank() >= 4 ? shape[2] : features;
    positions = shape.rank() >= 4 ? shape.from(3).size() : 1;
  }
  /// Where feature f lies among the features of a step.
  std::size_t place(std::size_t f, bool channels_last) const {
    return channels_last ? f % positions * C + f / positions : f;
  }
};

}  // namespace

Shape signal_shape(std::size_t N, std::size_t T, const Shape& features) { return features.after({N, T}); }

Input::Input(const Shape& shape, const std::vector<float>& plain, const Form& form)
    : plain_(plain), form_(form) {
  const Sizes s(shape);
  if (form.spikes) {
    const std::vector<std::uint8_t> bytes(plain.begin(), plain.end());
    *spikes_ = Spikes::from_bytes(shape, bytes);
    x_ = *spikes_;
    return;
  }
  const Layout layout = form.channels_last ? Layout::channels_last : Layout::row_major;
  const std::size_t stored = form.constant ? 1 : s.T;
  *tensor_ = Tensor(stored_shape(shape, layout, stored));
  for (std::size_t n = 0; n < s.N; ++n) {
    for (std::size_t t = 0; t < stored; ++t) {
      for (std::size_t f = 0; f < s.features; ++f) {
        tensor_->data()[(n * stored + t) * s.features + s.place(f, form.channels_last)] =
            plain[(n * s.T + t) * s.features + f];
      }
    }
  }
  x_ = Signal(*tensor_, shape, layout);
}

Input Input::sample(std::size_t n) const {
  const Sizes s(shape());
  const std::size_t size = s.T * s.features;
  const auto begin = plain_.begin() + static_cast<std::ptrdiff_t>(n * size);
  return {signal_shape(1, s.T, shape().from(2)), {begin, begin + static_cast<std::ptrdiff_t>(size)}, form_};
}

Input Input::repeated() const { return {shape(), plain_, {.spikes = form_.spikes}}; }

std::vector<float> draw_values(Program& p, std::size_t size) {
  const bool extreme = p.random.chance(0.05);
  const double scale = p.random.one_of({0.3, 1.0, 1.0, 3.0});
  std::vector<float> values(size);
  for (float& value : values) {
    value = static_cast<float>(p.random.real(-scale, scale) + scale / 3);
    if (!extreme || !p.random.chance(0.2)) continue;
    value =
        p.random.one_of({0.0f, -0.0f, 1e-40f, 3e38f, -3e38f, std::numeric_limits<float>::infinity(),
                         -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()});
  }
  return values;
}

Input draw_input(Program& p, const std::string& name, const Shape& shape, const Form& form) {
  const Sizes s(shape);
  std::vector<float> plain = draw_values(p, shape.size());
  const double density = p.random.one_of({0.0, 0.05, 0.3, 0.3, 0.6, 1.0});
  if (form.spikes) {
    for (float& value : plain) value = p.random.chance(density) ? 1.0f : 0.0f;
  }
  if (form.constant) {
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const std::size_t n = i / (s.T * s.features);
      plain[i] = plain[n * s.T * s.features + i % s.features];
    }
  }
  Input input(shape, plain, form);
  if (form.spikes) {
    p.count("Spikes::from_bytes");
    p.say(cat("Spikes ", name, "_memory = Spikes::from_bytes(", shape, ", bytes /* density ", density,
              " */);  Signal ", name, "(", name, "_memory);"));
  } else {
    p.count("Tensor::Tensor");
    const Layout layout = form.channels_last ? Layout::channels_last : Layout::row_major;
    p.say(cat("Tensor ", name, "_memory(Shape", stored_shape(shape, layout, form.constant ? 1 : s.T),
              ");  Signal ", name, "(", name, "_memory, ", shape, ", ",
              form.channels_last ? "Layout::channels_last" : "Layout::row_major", ");"));
  }
  p.count("Signal::Signal");
  return input;
}

Input draw_input(Program& p, const std::string& name, const Shape& shape, Want want) {
  Form form;
  form.spikes = want == Want::spikes || (want == Want::either && p.random.chance(0.4));
  if (!form.spikes) {
    form.constant = shape[1] > 0 && p.random.chance(0.3);
    form.channels_last = shape.rank() >= 4 && p.random.chance(0.3);
  }
  return draw_input(p, name, shape, form);
}

std::vector<float> values_of_tensor(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

std::vector<float> plain_values(Program& p, const Signal& x) {
  for (const char* accessor : {"Signal::shape", "Signal::samples", "Signal::steps", "Signal::features",
                               "Signal::layout", "Signal::stored_steps", "Signal::is_spikes"})
    p.count(accessor);
  std::vector<float> plain(x.shape().size());
  const Sizes s(x.shape());
  p.check(x.samples() == s.N && x.steps() == s.T && x.features() == s.features,
          "Signal: samples, steps and features are those of its shape");
  if (x.is_spikes()) {
    p.count("Signal::spikes");
    p.count("Spikes::to_bytes");
    std::vector<std::uint8_t> bytes(plain.size());
    x.spikes().to_bytes(bytes);
    for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<float>(bytes[i]);
    return plain;
  }
  p.count("Signal::constant");
  p.count("Signal::stored_shape");
  p.count("Signal::values");
  const bool channels_last = x.layout() == Layout::channels_last;
  const std::size_t stored = x.stored_steps();
  p.check(stored == s.T || stored == 1, "Signal: stored steps are 1 or T");
  p.check(x.constant() == (stored != s.T), "Signal: constant where one of several steps is stored");
  p.check(x.stored_shape() == stored_shape(x.shape(), x.layout(), stored), "Signal: stored_shape");
  if (plain.empty()) return plain;
  const float* values = x.values();
  for (std::size_t n = 0; n < s.N; ++n) {
    for (std::size_t t = 0; t < s.T; ++t) {
      const std::size_t row = n * stored + (stored == s.T ? t : 0);
      for (std::size_t f = 0; f < s.features; ++f)
        plain[(n * s.T + t) * s.features + f] = values[row * s.features + s.place(f, channels_last)];
    }
  }
  return plain;
}

Input gradient_like(const Signal& y, const std::vector<float>& plain) {
  if (y.is_spikes()) return {y.shape(), plain, {.channels_last = y.layout() == Layout::channels_last}};
  const Sizes s(y.shape());
  std::vector<float> values = plain;
  if (y.constant()) {
    const std::size_t F = s.features;
    for (std::size_t i = 0; i < s.N * F; ++i) {
      const std::size_t first = i / F * s.T * F + i % F;
      float sum = 0;
      for (std::size_t t = 0; t < s.T; ++t) sum += plain[first + t * F];
      values[first] = sum;
    }
  }
  return {
      y.shape(), values, {.constant = y.constant(), .channels_last = y.layout() == Layout::channels_last}};
}

bool same_values(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(a, b,
                            [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

std::string difference(const std::vector<float>& got, const std::vector<float>& expected) {
  if (got.size() != expected.size()) return cat(got.size(), " values, not ", expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (same_values({got[i]}, {expected[i]})) continue;
    return cat("[", i, "] of ", got.size(), " is ", got[i], ", not ", expected[i]);
  }
  return "no difference";
}

bool close_values(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
  if (a.size() != b.size()) return false;
  double scale = 1e-6;
  for (const float value : b) {
    if (!std::isfinite(value)) return true;
    scale = std::max(scale, std::abs(static_cast<double>(value)));
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(error <= tolerance * scale)) return false;
  }
  return true;
}

Shape draw_features(Program& p) {
  const auto size = [&] { return p.random.one_of<std::size_t>({1, 2, 3, 4, 5, 6, 8, 9}); };
  if (p.random.chance(0.45)) {
    const std::size_t C = p.random.one_of<std::size_t>({1, 2, 3, 4, 8, 17, 65});
    return {C, size(), C > 8 ? 2 : size()};
  }
  if (p.random.chance(0.1)) return {size(), size()};
  return {p.random.one_of<std::size_t>({1, 2, 3, 8, 8, 10, 16, 17, 33, 63, 64, 65, 100})};
}

}  // namespace volley::test
