#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <volley/error.hpp>
#include <volley/layers.hpp>

#include "core/philox.hpp"
#include "kernels/linear.hpp"
#include "kernels/reduce.hpp"
#include "layers/spike_words.hpp"

namespace volley {
namespace {

// With more outputs than this the gather over outputs is faster than lanes of time
// (docs/decisions/kernels.md).
constexpr std::size_t kTrainOutputs = 32;
// Rows of real values, or of a gradient, in one piece of work: a multiple of the six that the matrix product
// takes side by side.
constexpr std::size_t kRows = 24;

constexpr std::size_t kColumns = 64;  // of a matrix, that one piece of work covers

struct Saved {
  Signal x;
  Tensor y;
  Tensor dx;
  Tensor weight_t;      // (in, out)
  Spikes other_order;   // the input's spikes, turned to the order that a kernel wants
  bool turned = false;  // whether other_order holds this pass's input
};

const Spikes& as_trains(Saved& saved, ThreadPool& threads) {
  if (SpikeWords::in_trains(saved.x.spikes())) return saved.x.spikes();
  if (!saved.turned) SpikeWords::to_trains(saved.other_order, saved.x.spikes(), threads);
  saved.turned = true;
  return saved.other_order;
}

const Spikes& as_steps(Saved& saved, ThreadPool& threads) {
  if (!SpikeWords::in_trains(saved.x.spikes())) return saved.x.spikes();
  SpikeWords::to_steps(saved.other_order, saved.x.spikes(), threads);
  return saved.other_order;
}

}  // namespace

Linear::Linear(std::size_t in, std::size_t out, const LinearOptions& options)
    : in_(in), out_(out), options_(options), weight_(Shape{out, in}) {
  check_range(LinearOptions::kKind, "in", static_cast<double>(in), at_least(1));
  check_range(LinearOptions::kKind, "out", static_cast<double>(out), at_least(1));
  if (options.bias) bias_ = Parameter(Shape{out});
  Linear::initialize(0, 0);
}

Shape Linear::output_shape(const Shape& features) const {
  if (features != Shape{in_}) {
    throw Error(
        fmt::format("[linear] input features must be {}, got {}", Shape{in_}.text(), features.text()));
  }
  return {out_};
}

std::vector<NamedParameter> Linear::parameters() {
  std::vector<NamedParameter> all{{"weight", &weight_}};
  if (options_.bias) all.push_back({"bias", &bias_});
  return all;
}

void Linear::initialize(std::uint32_t seed, std::uint32_t layer) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), layer);
  const double bound = 1 / std::sqrt(static_cast<double>(in_));
  const auto uniform = [&] { return static_cast<float>((2 * random.uniform() - 1) * bound); };
  const auto normal = [&] {  // Box and Muller, 1958; 1 - u is never 0
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
  };
  for (float& w : weight_.value.values()) w = options_.init == Init::normal ? normal() : uniform();
  if (options_.bias) {
    for (float& b : bias_.value.values()) b = uniform();
  }
}

Signal Linear::forward(const Signal& x, Tape& tape) const {
  output_shape(x.shape().from(2));
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.turned = false;
  const std::size_t N = x.samples();
  const std::size_t T = x.steps();
  const std::size_t rows = N * x.stored_steps();
  saved.y.resize({N, x.stored_steps(), out_});
  float* y = saved.y.data();
  const float* weight = weight_.value.data();
  const float* bias = options_.bias ? bias_.value.data() : nullptr;

  if (x.is_spikes() && out_ <= kTrainOutputs) {
    const Spikes& spikes = as_trains(saved, tape.threads());
    parallel_for(tape.threads(), N, 1, [&](std::size_t begin, std::size_t end) {
      static thread_local kernels::TrainScratch scratch;
      for (std::size_t n = begin; n < end; ++n) {
        const auto active = SpikeWords::active(spikes, n);
        kernels::linear_forward_trains(y + n * T * out_, SpikeWords::trains(spikes, n), active.data(),
                                       active.size(), weight, bias, T, in_, out_, scratch);
      }
    });
    return saved.y;
  }

  saved.weight_t.resize({in_, out_});
  parallel_for(tape.threads(), in_, kColumns, [&](std::size_t begin, std::size_t end) {
    kernels::transpose(saved.weight_t.data() + begin * out_, weight + begin, out_, end - begin, in_);
  });
  const float* weight_t = saved.weight_t.data();
  if (x.is_spikes()) {
    const Spikes& spikes = as_steps(saved, tape.threads());
    const std::size_t samples =
        std::max<std::size_t>(1, kernels::kListRows / T);  // that share a panel's weights
    parallel_for(tape.threads(), N, samples, [&](std::size_t begin, std::size_t end) {
      static thread_local Buffer<std::uint32_t> list;
      const std::size_t piece_rows = (end - begin) * T;
      list.resize(std::min(piece_rows, kernels::kListRows) * in_);
      kernels::linear_forward_steps(y + begin * T * out_, SpikeWords::steps(spikes, begin), weight_t, bias,
                                    piece_rows, in_, out_, list.data());
    });
    return saved.y;
  }
  parallel_for(tape.threads(), rows, kRows, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; bias != nullptr && r < end; ++r) std::copy_n(bias, out_, y + r * out_);
    kernels::matrix_product({.a = x.values() + begin * in_,
                             .a_row = in_,
                             .a_column = 1,
                             .b = weight_t,
                             .b_row = out_,
                             .c = y + begin * out_,
                             .c_row = out_,
                             .m = end - begin,
                             .n = out_,
                             .k = in_,
                             .accumulate = bias != nullptr});
  });
  return {saved.y, {N, T, out_}};
}

Signal Linear::backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const std::size_t rows = saved.x.samples() * saved.x.stored_steps();
  const float* dout = dy.values();
  float* dweight = weight_.gradient.data();

  // Pieces of 16 outputs; where there are too few of these for the threads, cut the features too. Each cut
  // costs one more table of subset sums a sample, and changes no result.
  const std::size_t output_pieces = (out_ + kernels::kGradientColumns - 1) / kernels::kGradientColumns;
  const std::size_t feature_pieces = (tape.threads().size() + output_pieces - 1) / output_pieces;
  const std::size_t piece_features = (in_ + feature_pieces - 1) / feature_pieces;
  const std::size_t pieces = feature_pieces * output_pieces;
  if (saved.x.is_spikes()) {
    const kernels::TrainBatch trains = SpikeWords::batch(as_trains(saved, tape.threads()));
    parallel_for(tape.threads(), pieces, 1, [&](std::size_t begin, std::size_t end) {
      static thread_local Buffer<float> scratch;
      scratch.resize(kernels::linear_gradient_scratch_size(piece_features));
      for (std::size_t p = begin; p < end; ++p) {
        const std::size_t f = std::min(in_, p % feature_pieces * piece_features);
        kernels::linear_weight_gradient_trains(dweight, dout, trains, out_,
                                               p / feature_pieces * kernels::kGradientColumns, f,
                                               std::min(in_, f + piece_features), scratch.data());
      }
    });
  } else {
    parallel_for(tape.threads(), out_, kernels::kGradientColumns, [&](std::size_t begin, std::size_t end) {
      kernels::matrix_product({.a = dout + begin,
                               .a_row = 1,
                               .a_column = out_,
                               .b = saved.x.values(),
                               .b_row = in_,
                               .c = dweight + begin * in_,
                               .c_row = in_,
                               .m = end - begin,
                               .n = in_,
                               .k = rows,
                               .accumulate = true});
    });
  }
  if (options_.bias) {
    parallel_for(tape.threads(), out_, kColumns, [&](std::size_t begin, std::size_t end) {
      kernels::add_rows(bias_.gradient.data() + begin, dout + begin, rows, end - begin, out_);
    });
  }

  if (!tape.needs_input_gradient()) return {};
  saved.dx.resize(saved.x.stored_shape());
  parallel_for(tape.threads(), rows, kRows, [&](std::size_t begin, std::size_t end) {
    kernels::matrix_product({.a = dout + begin * out_,
                             .a_row = out_,
                             .a_column = 1,
                             .b = weight_.value.data(),
                             .b_row = in_,
                             .c = saved.dx.data() + begin * in_,
                             .c_row = in_,
                             .m = end - begin,
                             .n = in_,
                             .k = out_,
                             .accumulate = false});
  });
  return saved.x.with_values(saved.dx);
}

}  // namespace volley
