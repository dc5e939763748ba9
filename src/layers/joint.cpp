#include "layers/joint.hpp"

#include <algorithm>

#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

ops::Connection lower(Connect connect) {
  switch (connect) {
    case Connect::AND:
    case Connect::PRODUCT: return ops::Connection::both;
    case Connect::IAND: return ops::Connection::inhibit;
    default: return ops::Connection::add;
  }
}

void scale(Tensor& values, float factor, Executor& device) {
  device.run(ops::Scale{.values = device.update(values), .size = values.size(), .factor = factor});
}

}  // namespace

/// That which all have, else the plain one; spikes in step order.
void Joint::bring_to_one_form(std::span<const Signal> inputs, Executor& device) {
  const auto alike = [&](const Signal& s) {
    return s.layout() == inputs[0].layout() && s.constant() == inputs[0].constant();
  };
  const bool same = how_ != Connect::CONCATENATE && std::ranges::all_of(inputs, alike);
  while (parts_.size() < inputs.size()) parts_.emplace_back();
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    Part& part = parts_[k];
    part.joined = same ? inputs[k] : plain(inputs[k], part.memory, device);
    part.joined = in_step_order(part.joined, part.joined_memory, device);
  }
}

Signal Joint::forward(std::span<const Signal> inputs, Connect how, Executor& device) {
  count_ = inputs.size();
  how_ = how;
  if (count_ == 1) return inputs[0];
  bring_to_one_form(inputs, device);
  return how == Connect::CONCATENATE ? concatenate(device) : fold(device);
}

/// ((a b) c) ..., and what each step has given.
Signal Joint::fold(Executor& device) {
  const ops::Connection how = lower(how_);
  const auto is_spikes = [](const Part& part) { return part.joined.is_spikes(); };
  const bool spikes =
      (how_ == Connect::AND || how_ == Connect::IAND) &&
      std::all_of(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(count_), is_spikes);
  const Signal& form = parts_[0].joined;
  Signal until = form;
  parts_[0].until = until;
  for (std::size_t k = 1; k < count_; ++k) {
    Part& part = parts_[k];
    if (spikes) {
      SpikeWords::shape_steps(part.spikes, form.shape(), form.layout());
      device.run(
          ops::ConnectSpikes{.how = how,
                             .b = SpikeWords::view(until.spikes(), device).words,
                             .s = SpikeWords::view(part.joined.spikes(), device).words,
                             .y = SpikeWords::write(part.spikes, device),
                             .words = form.samples() * form.steps() * SpikeWords::row_words(part.spikes)});
      until = part.spikes;
    } else {
      const Signal b = real_values(until, parts_[k - 1].until_memory, device);
      const Signal s = real_values(part.joined, part.real_memory, device);
      part.values.resize(form.stored_shape());
      device.run(ops::Connect{.how = how,
                              .b = values_of(b, device),
                              .s = values_of(s, device),
                              .y = device.write(part.values),
                              .size = part.values.size()});
      until = b.with_values(part.values);
    }
    part.until = until;
  }
  if (how_ == Connect::MEAN) {
    scale(parts_[count_ - 1].values, 1 / static_cast<float>(count_), device);
  }
  return until;
}

Signal Joint::concatenate(Executor& device) {
  const Signal& first = parts_[0].joined;
  const std::size_t rows = first.samples() * first.steps();
  std::size_t channels = 0;
  bool spikes = true;
  for (std::size_t k = 0; k < count_; ++k) {
    channels += parts_[k].joined.shape()[2];
    spikes = spikes && parts_[k].joined.is_spikes();
  }
  const Shape shape = first.shape().from(3).after({first.samples(), first.steps(), channels});
  const std::size_t F = shape.from(2).size();
  if (spikes) {
    SpikeWords::shape_steps(spikes_, shape);
  } else {
    values_.resize(shape);
  }
  std::size_t begin = 0;
  for (std::size_t k = 0; k < count_; ++k) {
    Part& part = parts_[k];
    const std::size_t count = part.joined.features();
    if (spikes) {
      const ops::SpikesView from = SpikeWords::view(part.joined.spikes(), device);
      device.run(ops::CopyBits{.from = from.words,
                               .to = SpikeWords::write(spikes_, device),
                               .rows = rows,
                               .count = count,
                               .from_words = from.row_words,
                               .to_words = SpikeWords::row_words(spikes_),
                               .first = begin});
    } else {
      const Signal x = real_values(part.joined, part.real_memory, device);
      device.run(ops::CopyRows{.from = values_of(x, device),
                               .to = begin == 0 ? device.write(values_) : device.update(values_),
                               .rows = rows,
                               .count = count,
                               .from_stride = count,
                               .to_stride = F,
                               .to_begin = begin});
    }
    begin += count;
  }
  return spikes ? Signal(spikes_) : Signal(values_);
}

std::span<const Signal> Joint::backward(const Signal& dy, Executor& device) {
  gradients_.assign(count_, dy);
  if (count_ == 1 || how_ == Connect::ADD) return gradients_;
  switch (how_) {
    case Connect::CONCATENATE: split(dy, device); break;
    case Connect::MEAN: {
      Tensor& scaled = parts_[0].gradient;
      scaled.resize(dy.stored_shape());
      device.run(ops::CopyRows{.from = values_of(dy, device),
                               .to = device.write(scaled),
                               .rows = 1,
                               .count = scaled.size(),
                               .from_stride = 0,
                               .to_stride = 0});
      scale(scaled, 1 / static_cast<float>(count_), device);
      std::ranges::fill(gradients_, dy.with_values(scaled));
      break;
    }
    default: unfold(dy, device);
  }
  return gradients_;
}

void Joint::split(const Signal& dy, Executor& device) {
  const std::size_t rows = dy.samples() * dy.steps(), F = dy.features();
  std::size_t begin = 0;
  for (std::size_t k = 0; k < count_; ++k) {
    Part& part = parts_[k];
    const std::size_t count = part.joined.features();
    part.gradient.resize(part.joined.shape());
    device.run(ops::CopyRows{.from = values_of(dy, device),
                             .to = device.write(part.gradient),
                             .rows = rows,
                             .count = count,
                             .from_stride = F,
                             .to_stride = count,
                             .from_begin = begin});
    gradients_[k] = Signal(part.gradient);
    begin += count;
  }
}

void Joint::unfold(const Signal& dy, Executor& device) {
  Signal rest = dy;
  for (std::size_t k = count_; k-- > 1;) {
    Part& part = parts_[k];
    const Signal b = real_values(parts_[k - 1].until, parts_[k - 1].until_memory, device);
    const Signal s = real_values(part.joined, part.real_memory, device);
    part.gradient.resize(dy.stored_shape());
    part.rest.resize(dy.stored_shape());
    device.run(ops::ConnectBackward{.how = lower(how_),
                                    .dy = values_of(rest, device),
                                    .b = values_of(b, device),
                                    .s = values_of(s, device),
                                    .db = device.write(part.rest),
                                    .ds = device.write(part.gradient),
                                    .size = part.rest.size()});
    gradients_[k] = dy.with_values(part.gradient);
    rest = dy.with_values(part.rest);
  }
  gradients_[0] = rest;
}

}  // namespace volley
