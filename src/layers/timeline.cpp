#include "layers/timeline.hpp"

#include <algorithm>

#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

/// Some steps of all samples: `count` of `from`, which has `from_steps`, to step `to_at` of `to`. A step has
/// `size` elements.
template <class Copy, class T>
Copy steps_between(const T* from, std::size_t from_steps, std::size_t from_at, T* to, std::size_t to_steps,
                   std::size_t to_at, std::size_t N, std::size_t count, std::size_t size) {
  return {.from = from,
          .to = to,
          .rows = N,
          .count = count * size,
          .from_stride = from_steps * size,
          .to_stride = to_steps * size,
          .from_begin = from_at * size,
          .to_begin = to_at * size};
}

std::string name_in_state(const std::string& name, bool spikes) {
  return (spikes ? "past_spikes." : "past.") + name;
}

void zero(Tensor& values, Executor& device) {
  device.run(ops::Fill{.values = device.write(values), .size = values.size(), .value = 0});
}

}  // namespace

void Timeline::begin(const Shape& features, std::size_t N, std::size_t past, std::size_t T,
                     Executor& device) {
  shape_ = features.after({N, past + T});
  past_ = past;
  spikes_ = false;
  values_.resize(shape_);
  zero(values_, device);
}

void Timeline::put(const Signal& y, std::size_t at, Executor& device) {
  const std::size_t N = shape_[0], all = shape_[1], F = shape_.from(2).size();
  const Signal given = in_step_order(plain(y, plain_, device), in_steps_, device);
  if (given.is_spikes() && !spikes_) {
    SpikeWords::shape_steps(words_, shape_);
    device.run(ops::PackSpikes{.x = device.read(values_),
                               .rows = N * all,
                               .F = F,
                               .row_words = SpikeWords::row_words(words_),
                               .words = SpikeWords::write(words_, device)});
    spikes_ = true;
  }
  if (given.is_spikes()) {
    device.run(steps_between<ops::CopyWords>(SpikeWords::view(given.spikes(), device).words, given.steps(), 0,
                                             SpikeWords::write(words_, device), all, at, N, given.steps(),
                                             SpikeWords::row_words(words_)));
    return;
  }
  device.run(steps_between<ops::CopyRows>(values_of(given, device), given.steps(), 0, device.update(values_),
                                          all, at, N, given.steps(), F));
}

Signal Timeline::take(std::size_t at, std::size_t count, SignalMemory& memory, Executor& device) const {
  const std::size_t N = shape_[0], all = shape_[1], F = shape_.from(2).size();
  const Shape shape = shape_.from(2).after({N, count});
  if (spikes_) {
    SpikeWords::shape_steps(memory.spikes, shape);
    device.run(steps_between<ops::CopyWords>(SpikeWords::view(words_, device).words, all, at,
                                             SpikeWords::write(memory.spikes, device), count, 0, N, count,
                                             SpikeWords::row_words(words_)));
    return memory.spikes;
  }
  memory.values.resize(shape);
  device.run(steps_between<ops::CopyRows>(device.read(values_), all, at, device.write(memory.values), count,
                                          0, N, count, F));
  return memory.values;
}

void Timeline::load(State& state, const std::string& name, Executor& device) {
  const Shape shape = shape_.from(2).after({shape_[0], past_});
  for (const bool spikes : {false, true}) {
    const std::string stored = name_in_state(name, spikes);
    if (past_ == 0 || state.find(stored) == nullptr) continue;
    const Tensor& past = state.at(stored, shape, 0).value;
    if (!spikes) {
      put(past, 0, device);
      continue;
    }
    Spikes words;
    SpikeWords::shape_steps(words, shape);
    device.run(ops::PackSpikes{.x = device.read(past),
                               .rows = shape[0] * shape[1],
                               .F = shape.from(2).size(),
                               .row_words = SpikeWords::row_words(words),
                               .words = SpikeWords::write(words, device)});
    put(words, 0, device);
  }
}

void Timeline::store(State& state, const std::string& name, Executor& device) const {
  if (past_ == 0) return;
  SignalMemory memory, real;
  const Signal past = take(steps(), past_, memory, device);
  const Signal values = real_values(past, real, device);
  Tensor& stored = state.at(name_in_state(name, spikes_), values.shape(), 0).value;
  device.run(ops::CopyRows{.from = values_of(values, device),
                           .to = device.write(stored),
                           .rows = 1,
                           .count = stored.size(),
                           .from_stride = 0,
                           .to_stride = 0});
}

void Timeline::begin_gradient(Executor& device) {
  gradients_.resize(shape_);
  zero(gradients_, device);
}

void Timeline::add_gradient(const Signal& dy, std::size_t at, Executor& device) {
  const Signal given = plain(dy, plain_, device);
  ops::CopyRows op =
      steps_between<ops::CopyRows>(values_of(given, device), given.steps(), 0, device.update(gradients_),
                                   shape_[1], at, shape_[0], given.steps(), shape_.from(2).size());
  op.add = true;
  device.run(op);
}

Signal Timeline::gradient(std::size_t at, std::size_t count, Tensor& memory, Executor& device) const {
  memory.resize(shape_.from(2).after({shape_[0], count}));
  device.run(steps_between<ops::CopyRows>(device.read(gradients_), shape_[1], at, device.write(memory), count,
                                          0, shape_[0], count, shape_.from(2).size()));
  return memory;
}

void Timeline::load_gradient(State& state, const std::string& name, Executor& device) {
  const Shape shape = shape_.from(2).after({shape_[0], past_});
  if (past_ == 0) return;
  const Tensor& gradient = state.at(name_in_state(name, spikes_), shape, 0).gradient;
  if (gradient.size() > 0) add_gradient(gradient, steps(), device);
}

void Timeline::store_gradient(State& state, const std::string& name, Executor& device) const {
  const Shape shape = shape_.from(2).after({shape_[0], past_});
  if (past_ == 0) return;
  Tensor& gradient = state.at(name_in_state(name, spikes_), shape, 0).gradient;
  static_cast<void>(this->gradient(0, past_, gradient, device));
}

}  // namespace volley
