#include <volley/trainer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "layers/signal_forms.hpp"
#include "training/batch_walk.hpp"

namespace volley {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

float scheduled_lr(const Schedule& schedule, const Optimizer& optimizer, std::size_t epochs) {
  const double base = static_cast<double>(optimizer.base_lr());
  return static_cast<float>(volley::scheduled_lr(schedule, base, epochs, optimizer.steps_taken()));
}

std::size_t count_right(const Tensor& scores, std::span<const std::uint8_t> labels) {
  const std::size_t K = scores.shape()[1];
  std::size_t right = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) right += predict({scores.data() + n * K, K}) == labels[n];
  return right;
}

}  // namespace

/// Everything a pass needs, kept from one to the next so that a running training asks for no memory.
struct Trainer::Pass {
  explicit Pass(std::size_t threads) : pool(threads), encoder_tapes(pool), tape(pool) {
    tape.set_needs_input_gradient(false);
  }

  ThreadPool pool;
  EncoderTapes encoder_tapes;
  Tape tape;
  Monitor monitor;
  Dataset augmented;  // as large as the training set, where pictures are augmented
  std::vector<std::uint32_t> order;
  std::vector<std::uint8_t> labels;
  std::vector<NamedParameter> parameters;
  std::vector<NamedTensor> buffers;
  std::vector<Tensor> buffers_before;  // the step under way
  SignalMemory plain_y;                // the output, where the network gives another form than the loss reads
  Tensor scores;
  double loss = 0;
  std::size_t right = 0;

  /// Runs the network on a batch: fills labels, scores, loss and right.
  Signal forward(const Sequential& net, const Loss& loss_function, const Dataset& data,
                 const BatchWalk& walk) {
    const std::span<const std::uint32_t> samples = walk.samples();
    labels.resize(samples.size());
    std::ranges::transform(samples, labels.begin(),
                           [&](std::uint32_t sample) { return data.labels[sample]; });
    tape.set_context(
        {.training = walk.draw().purpose == Draw::Purpose::train, .draw = walk.draw(), .samples = samples});
    const Signal y = net.forward(walk.x(), tape);
    loss = loss_function.forward(plain(y, plain_y, pool), labels, scores, pool);
    right = count_right(scores, labels);
    return y;
  }
};

Trainer::Trainer(Sequential& net, TrainerParts parts, const TrainerOptions& options)
    : net_(net), parts_(std::move(parts)), options_(options) {
  check_fields("trainer", options);
  if (options.clip_norm.has_value() && options.clip_value.has_value())
    throw Error("[trainer] clip_norm and clip_value: at most one may be given, got both");
  check_schedule(parts_.schedule);
  parts_.rule->check(net, *parts_.loss);
  pass_ = std::make_unique<Pass>(options.threads);
  pass_->parameters = net.parameters();
  pass_->buffers = net.buffers();
  for (const NamedTensor& buffer : pass_->buffers) pass_->buffers_before.push_back(*buffer.tensor);
  parts_.optimizer->prepare(pass_->parameters);
}

Trainer::~Trainer() = default;

std::size_t Trainer::threads() const { return pass_->pool.size(); }

void Trainer::set_position(const TrainerPosition& position) {
  check_fields("trainer", position);
  position_ = position;
}

/// The samples in the order in which an epoch visits them.
std::span<const std::uint32_t> Trainer::shuffled(const Dataset& train, std::uint32_t epoch) {
  pass_->order.resize(train.size());
  shuffle(pass_->order, PhiloxSequence(philox_key(options_.seed, Purpose::shuffle, epoch)));
  return pass_->order;
}

/// The set that has the pictures `order` as this epoch shows them: all are augmented before the first is
/// encoded, which goes on beside the steps.
const Dataset& Trainer::as_shown(const Dataset& train, std::span<const std::uint32_t> order,
                                 const Draw& draw) {
  if (!parts_.augment.active()) return train;
  parts_.augment.apply(pass_->augmented, train, order, draw, pass_->pool);
  return pass_->augmented;
}

BatchWalk Trainer::walk(const Dataset& data, std::span<const std::uint32_t> order, const Draw& draw) {
  return {data, order, options_.batch, options_.steps, draw, *parts_.encoder, pass_->encoder_tapes};
}

Trainer::StepResult Trainer::compute_gradients(const Dataset& train, const BatchWalk& walk) {
  Pass& pass = *pass_;
  const std::span<const std::uint32_t> samples = walk.samples();
  const Signal y = pass.forward(net_, *parts_.loss, train, walk);
  zero_gradients(pass.parameters);
  for (std::size_t i = 0; i < pass.buffers.size(); ++i) {
    std::ranges::copy(pass.buffers[i].tensor->values(), pass.buffers_before[i].data());
  }
  parts_.rule->gradients(net_, *parts_.loss, {train, samples, pass.labels, y, pass.scores}, pass.tape);
  return {pass.loss, pass.right, gradient_norm(pass.parameters, pass.pool)};
}

/// Takes back what the batch has changed in the layers' buffers.
void Trainer::restore_buffers() {
  for (std::size_t i = 0; i < pass_->buffers.size(); ++i) {
    std::ranges::copy(pass_->buffers_before[i].values(), pass_->buffers[i].tensor->data());
  }
}

void Trainer::update(const StepResult& step) {
  Pass& pass = *pass_;
  if (options_.clip_norm) clip_gradient_norm(pass.parameters, *options_.clip_norm, step.grad_norm, pass.pool);
  if (options_.clip_value) clip_gradient_value(pass.parameters, *options_.clip_value, pass.pool);
  parts_.optimizer->set_lr(scheduled_lr(parts_.schedule, *parts_.optimizer, position_.epoch - 1));
  parts_.optimizer->step(pass.parameters, pass.pool);
}

Evaluation Trainer::evaluate(const Dataset& data, std::size_t epoch, Recorder* recorder) {
  check_data(data);
  const Clock::time_point start = Clock::now();
  Pass& pass = *pass_;
  const std::size_t batches = batches_of(data.size(), false);
  const Draw draw{options_.seed, static_cast<std::uint32_t>(epoch), Draw::Purpose::test};
  pass.order.resize(data.size());
  std::iota(pass.order.begin(), pass.order.end(), 0u);

  pass.monitor.clear();
  Evaluation result;
  const std::size_t K = net_.output_shape(parts_.encoder->output_shape(data.shape))[0];
  result.scores.resize({data.size(), K});
  result.predictions.resize(data.size());
  std::size_t right = 0;
  BatchWalk walk = this->walk(data, pass.order, draw);
  for (std::size_t b = 0; walk.next(); ++b) {
    const std::size_t samples = walk.samples().size();
    pass.forward(net_, *parts_.loss, data, walk);
    if (options_.monitors) pass.monitor.look(pass.tape);
    std::ranges::copy(pass.scores.values(), result.scores.data() + b * options_.batch * K);
    result.loss += pass.loss * static_cast<double>(samples);
    right += pass.right;
    if (recorder != nullptr) {
      recorder->test_batch(b + 1, batches);
      result.stopped = recorder->stop();
      if (result.stopped) return result;
    }
  }
  for (std::size_t n = 0; n < data.size(); ++n) {
    result.predictions[n] = static_cast<std::uint8_t>(predict({result.scores.data() + n * K, K}));
  }
  result.loss /= static_cast<double>(data.size());
  result.accuracy = static_cast<double>(right) / static_cast<double>(data.size());
  result.activity = pass.monitor.activity();
  result.seconds = seconds_since(start);
  return result;
}

std::size_t Trainer::batches_of(std::size_t samples, bool drop_last) const {
  return drop_last ? samples / options_.batch : (samples + options_.batch - 1) / options_.batch;
}

void Trainer::check_data(const Dataset& data) const {
  if (data.size() == 0)
    throw Error(fmt::format("[trainer] {}: must have at least one sample, got none", data.name));
  const Shape out = net_.output_shape(parts_.encoder->output_shape(data.shape));
  if (out.rank() != 1 || out[0] < data.classes.size()) {
    throw Error(
        fmt::format("[trainer] {}: the network's output must be one score for each of {} classes, got {}",
                    data.name, data.classes.size(), out.text()));
  }
}

}  // namespace volley
