#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <thread>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

void use_shapes(Program& p) {
  std::vector<std::size_t> sizes(p.random.below(11));
  const bool huge = p.random.chance(0.3);
  for (std::size_t& size : sizes) size = huge ? std::size_t{1} << p.random.below(64) : p.random.below(5);
  Shape shape;
  const bool fits =
      p.may("Shape::Shape", cat("Shape shape(", sizes.size(), " sizes);"), [&] { shape = Shape(sizes); });
  p.check(fits == (sizes.size() <= Shape::kMaxRank), "a Shape has eight dimensions at most");
  p.must("Shape::text", "shape.text();", [&] { static_cast<void>(shape.text()); });
  double product = 1;
  for (const std::size_t size : shape.sizes()) product *= static_cast<double>(size);
  p.may("Shape::size", cat("Shape", shape, ".size();"), [&] {
    p.check(static_cast<double>(shape.size()) == product, "the size of a Shape",
            cat(shape, ": ", shape.size()));
  });
  const std::size_t first = p.random.below(12);
  p.may("Shape::from", cat("shape.from(", first, ");"), [&] { static_cast<void>(shape.from(first).size()); });
  p.may("Shape::after", "shape.after({2, 3});", [&] { static_cast<void>(shape.after({2, 3}).text()); });
  p.may("Shape::operator[]", cat("shape[", first, "];"), [&] { static_cast<void>(shape[first]); });
  for (const char* name : {"Shape::rank", "Shape::sizes"}) p.count(name);
  p.check(shape == Shape(shape.sizes()) && shape.rank() == shape.sizes().size(), "a Shape is itself");
}

void use_tensors(Program& p) {
  Shape shape{p.random.below(4), p.random.below(4)};
  if (p.random.chance(0.3))
    shape = p.random.one_of<Shape>(
        {Shape{}, Shape{std::size_t{1} << 62}, Shape{std::size_t{1} << 40, std::size_t{1} << 40}});
  const bool huge = shape.rank() > 0 && shape[0] > 100;
  Tensor tensor;
  const auto make = [&] { tensor = Tensor(shape); };
  huge ? p.must_throw("Tensor::Tensor", cat("Tensor tensor(Shape", shape, ");"), make)
       : p.must("Tensor::Tensor", cat("Tensor tensor(Shape", shape, ");"), make);
  p.check(std::ranges::all_of(tensor.values(), [](float v) { return v == 0; }), "a Tensor begins as zeros");
  p.count("is_finite");
  p.check(is_finite(tensor), "zeros are finite");
  const auto resize = [&] { tensor.resize(shape); };
  huge ? p.must_throw("Tensor::resize", "tensor.resize(shape);", resize)
       : p.must("Tensor::resize", "tensor.resize(shape);", resize);
  for (const char* name : {"Tensor::zero", "Tensor::values", "Tensor::data", "Tensor::size", "Tensor::shape"})
    p.count(name);
  tensor.zero();
  p.check(tensor.size() == tensor.shape().size() || tensor.size() == 0, "the size of a Tensor");
  Tensor moved = std::move(tensor);
  p.check(tensor.size() == 0 || tensor.shape().size() == tensor.size(), "a moved Tensor is whole");
  Tensor& self = moved;
  moved = self;
  tensor = moved;
  p.check(std::ranges::equal(tensor.values(), moved.values()), "a copied Tensor is the same");
  Buffer<float> buffer(4);
  p.count("Buffer::Buffer");
  buffer.zero();
  p.count("Buffer::zero");
  p.count("Buffer::span");
  p.count("Buffer::resize");
  buffer.resize(p.random.below(100));
  Buffer<float> copy = buffer, other = std::move(copy);
  p.check(other.span().size() == buffer.size(), "a Buffer that is copied and moved");
}

void use_spikes(Program& p) {
  const Shape shape = signal_shape(p.random.below(3), p.random.below(4), draw_features(p));
  const Input x = draw_input(p, "x", shape, Form{.spikes = true});
  const Spikes& spikes = x.x().spikes();
  p.must("Spikes::count", "spikes.count();", [&] {
    const auto ones = static_cast<std::size_t>(std::ranges::count(x.plain(), 1.0f));
    p.check(spikes.count() == ones, "Spikes::count", cat(spikes.count(), ", not ", ones));
  });
  for (const char* name :
       {"Spikes::shape", "Spikes::samples", "Spikes::steps", "Spikes::features", "Spikes::layout"})
    p.count(name);
  const std::size_t N = spikes.samples(), T = spikes.steps(), F = spikes.features();
  const std::size_t n = p.random.below(N + 1), t = p.random.below(T + 1), f = p.random.below(F + 1);
  const bool inside = n < N && t < T && f < F;
  const auto fired = [&] {
    const bool spike = spikes.fired(n, t, f);
    if (inside) p.check(spike == (x.plain()[(n * T + t) * F + f] == 1), "Spikes::fired");
  };
  const std::string text = cat("spikes.fired(", n, ", ", t, ", ", f, ");  // of ", shape);
  inside ? p.must("Spikes::fired", text, fired) : p.must_throw("Spikes::fired", text, fired);
  const auto count = [&] { static_cast<void>(spikes.count(n, f)); };
  n < N&& f < F ? p.must("Spikes::count", "spikes.count(n, f);", count)
                : p.must_throw("Spikes::count", cat("spikes.count(", n, ", ", f, ");"), count);
  std::vector<std::uint32_t> counts(p.random.chance(0.7) ? F : p.random.below(F + 2));
  const auto by_feature = [&] { spikes.count_by_feature(n, counts); };
  n < N&& counts.size() == F
      ? p.must("Spikes::count_by_feature", "spikes.count_by_feature(n, counts);", by_feature)
      : p.must_throw("Spikes::count_by_feature",
                     cat("spikes.count_by_feature(", n, ", ", counts.size(), " counts);"), by_feature);
  std::vector<std::uint8_t> bytes(x.plain().size() + p.random.one_of<std::size_t>({1, 7}));
  p.must_throw("Spikes::to_bytes", "spikes.to_bytes(too_many);", [&] { spikes.to_bytes(bytes); });
  p.must_throw("Spikes::from_bytes", "Spikes::from_bytes(shape, too_many);",
               [&] { Spikes::from_bytes(shape, bytes); });
  p.must_throw("Spikes::Spikes", "Spikes(Shape{2, 3});", [&] { Spikes none(Shape{2, 3}); });
  p.must_throw("Spikes::Spikes", "Spikes(Shape{2^20, 2^40, 2^20});", [&] {
    Spikes none(Shape{1u << 20, std::size_t{1} << 40, 1u << 20});
  });
}

void use_signals(Program& p) {
  const Shape shape = signal_shape(p.random.between(1, 2), p.random.between(1, 3), draw_features(p));
  const Input x = draw_input(p, "x", shape, Want::either);
  const Signal& signal = x.x();
  plain_values(p, signal);
  Tensor odd(p.random.one_of<Shape>({Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 0, 0}, Shape{2, 3, 4}}));
  p.may("Signal::Signal", cat("Signal(Tensor", odd.shape(), ");"), [&] { plain_values(p, Signal(odd)); });
  p.may("Signal::Signal", cat("Signal(Tensor", odd.shape(), ", ", shape, ", channels_last);"), [&] {
    plain_values(p, Signal(odd, shape, p.random.chance(0.5) ? Layout::channels_last : Layout::row_major));
  });
  p.may("Signal::reshaped", "x.reshaped({N, T, F});", [&] {
    plain_values(p, signal.reshaped({shape[0], shape[1], shape.from(2).size()}));
  });
  p.may("Signal::reshaped", cat("x.reshaped(", odd.shape(), ");"),
        [&] { plain_values(p, signal.reshaped(odd.shape())); });
  p.may("Signal::with_values", "x.with_values(odd);", [&] { plain_values(p, signal.with_values(odd)); });
  p.count("Signal::empty");
  const Signal empty;
  p.check(empty.empty(), "a Signal of nothing is empty");
  p.may("Signal::shape", "Signal{}.stored_shape();", [&] { static_cast<void>(empty.stored_shape()); });
  p.may("stored_shape", "stored_shape(Shape{2}, channels_last, 1);",
        [&] { static_cast<void>(stored_shape(Shape{2}, Layout::channels_last, 1)); });
  Tape tape;
  Linear linear(4, 2);
  p.must_throw("Layer::forward", "Linear(4, 2).forward(Signal{}, tape);",
               [&] { linear.forward(empty, tape); });
  if constexpr (!kHasContract) return;
  if (signal.is_spikes()) {
    p.must_throw("Signal::values", "spikes.values();", [&] { static_cast<void>(signal.values()); });
  } else {
    p.must_throw("Signal::spikes", "values.spikes();", [&] { static_cast<void>(signal.spikes()); });
  }
  p.must_throw("Signal::values", "Signal{}.values();", [&] { static_cast<void>(empty.values()); });
}

void use_windows(Program& p) {
  const Window window{Size2(p.random.between(1, 4)), Size2(p.random.between(1, 3), 2),
                      Size2(p.random.below(3)), 1};
  for (const char* name : {"Size2::area", "Size2::text", "Window::extent", "Window::outputs"}) p.count(name);
  p.check(window.kernel_size.area() == window.kernel_size.h * window.kernel_size.w, "Size2::area");
  p.check(!window.kernel_size.text().empty(), "Size2::text");
  const Shape features = draw_features(p);
  p.may("Window::check_outputs", cat("window.check_outputs(\"pool\", ", features, ");"), [&] {
    const Size2 size = window.check_outputs("pool", features);
    p.check(size == window.outputs({features[1], features[2]}) && size.area() > 0, "Window::check_outputs");
    static_cast<void>(window.extent());
  });
  p.may("check_picture", "check_picture(\"pool\", features);", [&] { check_picture("pool", features); });
  p.may("check_range", "check_range(\"lif\", \"tau\", x, above(1));", [&] {
    check_range("lif", "tau", p.random.one_of({1.0, 2.0, std::nan("")}), above(1));
  });
  p.may("check_fields", "check_fields(\"lif\", LIFOptions{...});", [&] {
    LIFOptions options;
    draw_fields(p, options, 0.2);
    check_fields("lif", options);
  });
  p.may("check_surrogate", "check_surrogate(...);",
        [&] { check_surrogate(draw_variant<Surrogate>(p, 0.2)); });
  p.count("Range::contains");
  p.count("Range::text");
  p.check(!above(1).contains(1) && at_least(1).contains(1) && !any().contains(std::nan("")),
          "Range::contains");
  p.check(!inside(0, 1).text().empty(), "Range::text");
}

void use_neurons(Program& p) {
  const AnyNeuron options = draw_variant<AnyNeuron>(p, 0.1);
  p.may("NeuronLayer::NeuronLayer", "NeuronLayer layer(options);", [&] {
    NeuronLayer layer(options);
    for (const char* name : {"NeuronLayer::any_options", "NeuronLayer::numbers", "parameters_of"})
      p.count(name);
    p.check(layer.numbers().size() == parameters_of(layer.any_options()).size(), "the numbers of a neuron");
    if (const auto* o = std::get_if<IzhikevichOptions>(&options); o != nullptr) {
      p.count("IzhikevichOptions::second_start");
      p.check(carried_by(options)[1].start == o->second_start(), "the start of a second state");
    }
  });
  p.must("RatePenalty::penalty", "penalty.penalty(tape);  // after forward, and before", [&] {
    const RatePenalty penalty;
    const Input x = draw_input(p, "x", {2, 3, 4}, Want::either);
    Tape tape, fresh;
    penalty.forward(x.x(), tape);
    p.check(!(penalty.penalty(tape) < 0), "a penalty is not negative");
    p.may("RatePenalty::penalty", "penalty.penalty(fresh_tape);",
          [&] { static_cast<void>(penalty.penalty(fresh)); });
  });
  p.must("SoftLIF::last_potential", "SoftLIF::last_potential(tape);  // after forward, and before", [&] {
    const SoftLIF soft;
    const Input x = draw_input(p, "x", {2, 3, 4}, Want::real);
    Tape tape, fresh;
    soft.forward(x.x(), tape);
    p.check(SoftLIF::last_potential(tape).size() == 8, "SoftLIF::last_potential");
    p.may("SoftLIF::last_potential", "SoftLIF::last_potential(fresh_tape);",
          [&] { static_cast<void>(SoftLIF::last_potential(fresh).size()); });
  });
}

}  // namespace

void core_scene(Program& p) {
  for (std::size_t i = p.random.between(2, 5); i-- > 0;) {
    switch (p.random.below(6)) {
      case 0: use_shapes(p); break;
      case 1: use_tensors(p); break;
      case 2: use_spikes(p); break;
      case 3: use_signals(p); break;
      case 4: use_windows(p); break;
      default: use_neurons(p);
    }
  }
  check_arrays(p);
  check_tools(p);
}

}  // namespace volley::test
