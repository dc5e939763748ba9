// How far results in float are from sums in double: the largest difference over the largest value. Public
// headers alone, so that it builds against other versions too. docs/decisions/order.md has what it printed.

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include <volley/volley.hpp>

namespace {

using namespace volley;

/// Uniform in [-1, 1), or spikes at `rate`.
Tensor drawn(const Shape& shape, unsigned seed, double rate = 0) {
  std::mt19937 random(seed);
  Tensor t(shape);
  for (float& v : t.values()) {
    const double u = static_cast<double>(random()) / 4294967296.0;
    v = static_cast<float>(rate > 0 ? (u < rate ? 1 : 0) : 2 * u - 1);
  }
  return t;
}

Spikes spikes_of(const Tensor& t) {
  const std::vector<std::uint8_t> bytes(t.values().begin(), t.values().end());
  return Spikes::from_bytes(t.shape(), bytes);
}

void print_error(const char* what, const Tensor& got, const std::vector<double>& exact) {
  double most = 0, scale = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(got.data()[i]) - exact[i]));
    scale = std::max(scale, std::abs(exact[i]));
  }
  std::printf("%-62s %.1e\n", what, most / scale);
}

void linear(std::size_t in, std::size_t out, std::size_t T, std::size_t N, double rate) {
  Linear layer(in, out);
  const Tensor x = drawn({N, T, in}, 1, rate), dy = drawn({N, T, out}, 2);
  const Spikes bits = rate > 0 ? spikes_of(x) : Spikes();
  Tape tape;
  zero_gradients(layer.parameters());
  const Signal y = layer.forward(rate > 0 ? Signal(bits) : Signal(x), tape);
  const Tensor y_values = [&] {
    Tensor t({N, T, out});
    std::copy_n(y.values(), t.size(), t.data());
    return t;
  }();
  layer.backward(tape, dy);
  const float* w = layer.weight().value.data();
  std::vector<double> y_exact(N * T * out), dw(in * out), db(out);
  for (std::size_t r = 0; r < N * T; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      double sum = static_cast<double>(layer.bias().value.data()[o]);
      const double d = static_cast<double>(dy.data()[r * out + o]);
      for (std::size_t i = 0; i < in; ++i) {
        const double v = static_cast<double>(x.data()[r * in + i]);
        if (v == 0) continue;
        sum += static_cast<double>(w[o * in + i]) * v;
        dw[o * in + i] += d * v;
      }
      y_exact[r * out + o] = sum;
      db[o] += d;
    }
  }
  char name[96];
  const char* kind = rate > 0 ? "spikes" : "real values";
  std::snprintf(name, sizeof name, "linear %zu to %zu, %s: y", in, out, kind);
  print_error(name, y_values, y_exact);
  std::snprintf(name, sizeof name, "    weight gradient over %zu rows", N * T);
  print_error(name, layer.weight().gradient, dw);
  std::snprintf(name, sizeof name, "    bias gradient over %zu terms", N * T);
  print_error(name, layer.bias().gradient, db);
}

void conv(std::size_t in, std::size_t out, std::size_t size, std::size_t T, std::size_t N, double rate) {
  Conv2d layer(in, out, Size2{3, 3}, Conv2dOptions{.padding = {1, 1}});
  const Tensor x = drawn({N, T, in, size, size}, 1, rate), dy = drawn({N, T, out, size, size}, 2);
  const Spikes bits = rate > 0 ? spikes_of(x) : Spikes();
  Tape tape;
  zero_gradients(layer.parameters());
  const Signal y = layer.forward(rate > 0 ? Signal(bits) : Signal(x), tape);
  const std::size_t P = size * size;
  Tensor in_form(y.stored_shape());  // as 0.1.0 wants it: channels-last
  for (std::size_t i = 0; i < dy.size(); ++i) {
    in_form.data()[(i / (out * P) * P + i % P) * out + i / P % out] = dy.data()[i];
  }
  layer.backward(tape, y.with_values(in_form));
  std::vector<double> dw(out * in * 9), db(out);
  for (std::size_t n = 0; n < N * T; ++n) {
    for (std::size_t o = 0; o < out; ++o) {
      for (std::size_t p = 0; p < P; ++p) {
        const double d = static_cast<double>(dy.data()[(n * out + o) * P + p]);
        db[o] += d;
        for (std::size_t tap = 0; tap < 9; ++tap) {
          const std::size_t r = p / size + tap / 3, c = p % size + tap % 3;
          if (r < 1 || r > size || c < 1 || c > size) continue;
          for (std::size_t i = 0; i < in; ++i) {
            dw[(o * in + i) * 9 + tap] +=
                d * static_cast<double>(x.data()[(n * in + i) * P + (r - 1) * size + c - 1]);
          }
        }
      }
    }
  }
  char name[96];
  std::snprintf(name, sizeof name, "conv2d %zu to %zu, %s: weight gradient over %zu terms", in, out,
                rate > 0 ? "spikes" : "real values", N * T * P);
  print_error(name, layer.weight().gradient, dw);
  std::snprintf(name, sizeof name, "    bias gradient over %zu terms", N * T * P);
  print_error(name, layer.bias().gradient, db);
}

void learned_tau(std::size_t N, std::size_t T, std::size_t F) {
  PLIF all, each(PLIFOptions{.channels = F});
  const Tensor x = drawn({N, T, F}, 1), dy = drawn({N, T, F}, 2);
  double sum = 0;
  for (PLIF* layer : {&each, &all}) {
    Tape tape;
    zero_gradients(layer->parameters());
    layer->forward(x, tape);
    layer->backward(tape, dy);
  }
  const Tensor& gradient = each.parameters()[0].parameter->gradient;
  for (const float g : gradient.values()) sum += static_cast<double>(g);
  print_error("plif: one gradient against the sum of its neurons'", all.parameters()[0].parameter->gradient,
              {sum});
}

}  // namespace

int main() {
  linear(784, 10, 100, 64, 0.13);
  linear(784, 800, 25, 64, 0.13);
  linear(784, 40, 25, 64, 0);
  conv(1, 8, 28, 4, 128, 0);
  conv(8, 8, 28, 4, 128, 0.2);
  learned_tau(64, 25, 800);
}
