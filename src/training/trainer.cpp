#include <volley/trainer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "optimizers/gradient_norm.hpp"
#include "training/batch_walk.hpp"
#include "training/stage_guard.hpp"

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

/// Whether it ever gives another learning rate than that which the optimizer was made with.
bool changes_lr(const Schedule& schedule) {
  const auto* constant = std::get_if<ConstantSchedule>(&schedule);
  return constant == nullptr || constant->warmup > 0;
}

/// What row i of the scores predicts.
void count_prediction(Evaluation& evaluation, std::size_t i) {
  const Shape& shape = evaluation.scores.shape();
  const std::size_t K = shape[shape.rank() - 1];
  const std::span<const float> scores(evaluation.scores.data() + i * K, K);
  const std::size_t prediction = predict(scores);
  evaluation.predictions[i] = static_cast<std::uint32_t>(prediction);
  if (shape.rank() == 3) return;  // silence and ties are those of samples
  const bool silent = std::ranges::count(scores, 0.0f) == static_cast<std::ptrdiff_t>(K);
  evaluation.silent += silent;
  evaluation.tied += !silent && std::ranges::count(scores, scores[prediction]) > 1;
}

}  // namespace

/// Everything a pass needs, kept from one to the next so that a running training asks for no memory.
struct Trainer::Pass {
  Pass(const std::string& device_name, std::size_t threads)
      : device(device_name, threads),
        pool(device.threads()),
        walk(device),
        evaluation_within(device),
        tape(device),
        loss_tape(device) {
    tape.set_needs_input_gradient(false);
  }

  Device device;
  ThreadPool& pool;              // the device's
  WalkMemory walk;               // of a training, or of an evaluation after it
  WalkMemory evaluation_within;  // of an evaluation that a recorder asks for while a training walks
  Tape tape;                     // free between two steps: an evaluation has it too
  Tape loss_tape;
  Monitor monitor;
  std::vector<NamedParameter> parameters;  // of the network that is in training
  std::vector<NamedTensor> buffers;
  std::vector<Tensor> buffers_before;  // the step under way
  Buffer<double> norms;                // of the gradients, squared
  Tensor scores;
  double loss = 0;
  double weight = 0;  // of the batch in a mean of losses
  bool weighted = false;
  Hits hits;
  Dataset no_pictures;
  std::array<DevicePictures, 3> sets;  // of a fit
  DevicePictures other_set;            // another that is evaluated

  /// A source's pictures as the device has them or will; null where it reads the host's.
  DevicePictures* set_of(const Source& source) {
    const Dataset* pictures = source.pictures();
    if (pictures == nullptr || DeviceAccess::executor(device).is_host()) return nullptr;
    for (DevicePictures& known : sets) {
      if (known.are_of(*pictures)) return &known;
    }
    other_set.keep(pictures);
    return &other_set;
  }
  /// Keeps the sets of a fit, which do not change until its end; nulls: none.
  void keep_sets(std::array<const Source*, 3> sources) {
    for (std::size_t i = 0; i < sources.size(); ++i)
      sets[i].keep(sources[i] != nullptr ? sources[i]->pictures() : nullptr);
  }

  /// Runs the network on a batch: fills scores, loss, weight and hits.
  Signal forward(const Layer& net, const Loss& loss_function, const Batch& batch, const Draw& draw,
                 bool training) {
    const Targets& targets = *batch.targets;
    tape.set_context({.training = training,
                      .draw = draw,
                      .samples = batch.samples,
                      .lengths = targets.lengths,
                      .pictures = batch.pictures});
    loss_tape.set_context({.draw = {}, .samples = batch.samples, .pictures = batch.set});
    const Signal y = net.forward(batch.x, tape);
    loss = loss_function.forward(y, targets, scores, loss_tape);
    weight = loss_function.total_weight(targets, batch.samples.size());
    weighted = !loss_function.class_weights().empty() || !targets.weights.empty();
    hits = loss_function.hits(scores, targets);
    return y;
  }
};

Trainer::Trainer(Layer& net, TrainerParts parts, const TrainerOptions& options)
    : net_(net), parts_(std::move(parts)), options_(options) {
  check_fields("trainer", options);
  if (options.clip_norm.has_value() && options.clip_value.has_value())
    throw ArgumentError("trainer", "clip_norm and clip_value: at most one may be given", "both");
  const auto require = [](const auto& part, const char* name) {
    if (part == nullptr) throw ArgumentError("trainer", fmt::format("{} must not be null", name));
  };
  require(parts_.optimizer, "optimizer");
  require(parts_.loss, "loss");
  require(parts_.encoder, "encoder");
  require(parts_.rule, "rule");
  check_schedule(parts_.schedule);
  check_device_name(options.device);
  parts_.rule->check(net, *parts_.loss);
  parts_.optimizer->prepare(net.parameters());
  pass_ = std::make_unique<Pass>(options.device, options.threads);
}

Trainer::~Trainer() = default;

History Trainer::fit(const Sources& data, std::size_t epochs, Recorder* recorder) {
  if (data.train == nullptr) throw ArgumentError("trainer", "train must not be null");
  return fit(Sets{*data.train, data.test.get(), data.validation.get()}, epochs, recorder);
}

History Trainer::fit(const Split& data, std::size_t epochs, Recorder* recorder) {
  const PictureSource train(data.train), test(data.test);
  if (data.validation.size() == 0) return fit(Sets{train, &test, nullptr}, epochs, recorder);
  const PictureSource validation(data.validation);
  return fit(Sets{train, &test, &validation}, epochs, recorder);
}

std::size_t Trainer::threads() const { return pass_->pool.size(); }

const Device& Trainer::device() const { return pass_->device; }

void Trainer::set_position(const TrainerPosition& position) {
  if (stage_ != Stage::idle) throw ArgumentError("trainer", "set_position must not be called within a fit");
  check_fields("trainer", position);
  position_ = position;
}

/// Looks at the network as it is now, which may be another than at the fit before.
void Trainer::begin_fit(const Sets& data) {
  Pass& pass = *pass_;
  pass.keep_sets({&data.train, data.test, data.validation});
  parts_.rule->check(net_, *parts_.loss);
  pass.parameters = net_.parameters();
  pass.buffers = net_.buffers();
  parts_.optimizer->prepare(pass.parameters);
  pass.buffers_before.resize(pass.buffers.size());
}

/// The samples in the order in which an epoch visits them.
std::span<const std::uint32_t> Trainer::shuffled(const Source& train, std::uint32_t epoch) {
  std::vector<std::uint32_t>& order = pass_->walk.order;
  order.resize(train.size());
  shuffle(order, PhiloxSequence(philox_key(options_.seed, Purpose::shuffle, epoch)));
  return order;
}

BatchWalk Trainer::walk(const Source& train, std::span<const std::uint32_t> order, const Draw& draw) {
  return {{.source = train,
           .order = order,
           .batch = options_.batch,
           .steps = options_.steps,
           .draw = draw,
           .encoder = *parts_.encoder,
           .augment = parts_.augment.active() ? &parts_.augment : nullptr,
           .set = pass_->set_of(train),
           .host_pixels = parts_.encoder->reads_pixels() || parts_.rule->reads_pixels()},
          pass_->walk};
}

Trainer::StepResult Trainer::compute_gradients(const Batch& batch, const Draw& draw) {
  Pass& pass = *pass_;
  const Signal y = pass.forward(net_, *parts_.loss, batch, draw, true);
  zero_gradients(pass.parameters, pass.device);
  for (std::size_t i = 0; i < pass.buffers.size(); ++i) pass.buffers_before[i] = *pass.buffers[i].tensor;
  const Dataset& pictures = batch.data != nullptr ? *batch.data : pass.no_pictures;
  parts_.rule->gradients(net_, *parts_.loss,
                         {pictures, batch.places, batch.targets->labels, y, pass.scores, pass.loss_tape},
                         pass.tape);
  return {pass.loss, pass.hits, gradient_norm(pass.parameters, pass.device, pass.norms), pass.weight,
          pass.weighted};
}

/// Takes back what the batch has changed in the layers' buffers.
void Trainer::restore_buffers() {
  for (std::size_t i = 0; i < pass_->buffers.size(); ++i)
    *pass_->buffers[i].tensor = pass_->buffers_before[i];
}

void Trainer::update(const StepResult& step) {
  Pass& pass = *pass_;
  if (options_.clip_norm)
    clip_gradient_norm(pass.parameters, *options_.clip_norm, step.grad_norm, pass.device);
  if (options_.clip_value) clip_gradient_value(pass.parameters, *options_.clip_value, pass.device);
  if (changes_lr(parts_.schedule)) {
    parts_.optimizer->set_lr(scheduled_lr(parts_.schedule, *parts_.optimizer, position_.epoch - 1));
  }
  parts_.optimizer->step(pass.parameters, pass.device);
}

Evaluation Trainer::evaluate(const Source& data, std::size_t epoch, Recorder* recorder,
                             Draw::Purpose purpose) {
  if (stage_ == Stage::working) {
    throw ArgumentError("trainer", "evaluate must not be called within a step or another evaluation");
  }
  check_range("trainer", "epoch", static_cast<double>(epoch), between(0, kMaxEpoch));
  if (stage_ == Stage::idle) pass_->keep_sets({});  // the sets of the last fit may have changed
  const StageGuard guard(stage_, Stage::working);
  check_data(data);
  const Draw draw{options_.seed, static_cast<std::uint32_t>(epoch), purpose};
  return run_evaluation(data, draw, recorder);
}

/// An evaluation of data that fits. A training that walks keeps its memory, and the one job that threads do
/// ahead.
Evaluation Trainer::run_evaluation(const Source& data, const Draw& draw, Recorder* recorder) {
  const Clock::time_point start = Clock::now();
  Pass& pass = *pass_;
  const bool ahead = !pass.walk.walked;
  WalkMemory& memory = ahead ? pass.walk : pass.evaluation_within;
  const std::size_t batches = batches_of(data.size(), false);
  memory.order.resize(data.size());
  std::iota(memory.order.begin(), memory.order.end(), 0u);

  pass.monitor.clear();
  Evaluation result;
  const SourceInfo& info = data.info();
  const std::size_t T = has_steps(info.kind) ? info.steps : options_.steps;
  const std::size_t K = net_.output_shape(parts_.encoder->output_shape(info.shape))[0];
  const Shape scores = parts_.loss->scores_shape({data.size(), T, K});
  const std::size_t row = scores.from(1).size();  // of a sample
  result.scores.resize(scores);
  result.scores.zero();
  Hits hits;
  double weight = 0;
  BatchWalk walk({.source = data,
                  .order = memory.order,
                  .batch = options_.batch,
                  .steps = options_.steps,
                  .draw = draw,
                  .encoder = *parts_.encoder,
                  .set = pass.set_of(data),
                  .ahead = ahead},
                 memory);
  for (std::size_t b = 0; walk.next(); ++b) {
    const std::size_t samples = walk.batch().samples.size();
    const Signal y = pass.forward(net_, *parts_.loss, walk.batch(), draw, false);
    if (y.features() != K) {
      throw ShapeError("trainer",
                       fmt::format("the network's output must be of {} scores, as its output_shape says", K),
                       Shape{samples, y.features()});
    }
    if (options_.monitors) pass.monitor.look(pass.tape);
    const std::size_t of_batch = pass.scores.size() / samples;  // fewer steps where all samples are shorter
    for (std::size_t n = 0; n < samples; ++n) {
      std::copy_n(pass.scores.data() + n * of_batch, of_batch,
                  result.scores.data() + (b * options_.batch + n) * row);
    }
    result.loss += pass.loss * pass.weight;
    weight += pass.weight;
    hits.right += pass.hits.right;
    hits.of += pass.hits.of;
    if (recorder != nullptr) {
      recorder->test_batch(b + 1, batches);
      result.stopped = recorder->stop();
      if (result.stopped) return result;
    }
  }
  if (hits.of > 0) {
    result.predictions.resize(result.scores.size() / K);
    for (std::size_t i = 0; i < result.predictions.size(); ++i) count_prediction(result, i);
  }
  result.loss = weight > 0 ? result.loss / weight : 0;
  result.accuracy = share_of(hits);
  result.activity = pass.monitor.activity();
  result.seconds = seconds_since(start);
  return result;
}

std::size_t Trainer::batches_of(std::size_t samples, bool drop_last) const {
  return drop_last ? samples / options_.batch : (samples + options_.batch - 1) / options_.batch;
}

void Trainer::check_data(const Source& data) const {
  const SourceInfo& info = data.info();
  const auto fail = [&](const std::string& rule, const std::string& got) {
    throw ArgumentError("trainer", fmt::format("{}: {}", info.name, rule), got);
  };
  if (data.size() == 0) fail("must have at least one sample", "none");
  if (info.kind == SampleKind::events) fail("samples must be bytes, values, sequences or spikes", "events");
  std::size_t outputs = info.outputs;
  if (const Dataset* pictures = data.pictures(); pictures != nullptr && pictures->classes.empty())
    outputs = std::size_t{*std::ranges::max_element(pictures->labels)} + 1;
  const Shape out = net_.output_shape(parts_.encoder->output_shape(info.shape));
  if (out.rank() != 1 || out[0] < outputs) {
    throw ShapeError(
        "trainer",
        fmt::format("{}: the network's output must be one score for each of {} classes", info.name, outputs),
        out);
  }
  parts_.loss->check_outputs(out[0]);
  if (data.pictures() == nullptr) try_one_sample(data, out[0]);
}

/// Reads one sample, encodes it, and shows the loss an output that it might have: what does not fit is
/// refused before anything is done.
void Trainer::try_one_sample(const Source& data, std::size_t outputs) const {
  const std::array<std::uint32_t, 1> first{0};
  WalkMemory memory(pass_->device);
  BatchWalk walk({.source = data,
                  .order = first,
                  .batch = 1,
                  .steps = options_.steps,
                  .draw = {.seed = options_.seed},
                  .encoder = *parts_.encoder,
                  .ahead = false},
                 memory);
  if (!walk.next()) return;
  const Tensor y(Shape{1, walk.batch().x.steps(), outputs});
  Tensor scores;
  Tape tape(pass_->device);
  static_cast<void>(parts_.loss->forward(y, *walk.batch().targets, scores, tape));
}

}  // namespace volley
