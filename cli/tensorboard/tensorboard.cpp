#include "tensorboard/tensorboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <system_error>
#include <vector>

#include <volley/error.hpp>
#include <volley/trainer.hpp>

#include "png_bytes.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

constexpr std::size_t kMostPoints = 10000;  // of one curve; TensorBoard itself shows 1000
constexpr std::size_t kPictures = 8;
constexpr std::size_t kMostFeatures = std::size_t{1} << 16;  // of an encoded picture that is shown
constexpr std::chrono::seconds kFlushEvery{10};

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

fs::path event_path(const fs::path& folder, std::size_t number) {
  return folder / fmt::format("events.out.tfevents.{:06}.volley", number);
}

/// The file behind all that are there. TensorBoard reads them in the order of their names: numbers, unlike
/// the usual seconds since 1970, are in order whatever the clock does.
fs::path next_path(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot make the folder: " + error.message());
  std::size_t number = 1;
  while (fs::exists(event_path(folder, number), error)) ++number;
  return event_path(folder, number);
}

/// Grey pictures of one size side by side, each pixel as a square.
struct Strip {
  std::size_t width = 0, height = 0;              // of each
  std::vector<std::vector<std::uint8_t>> panels;  // (height, width)

  Shape shape() const {
    return {1, height * kScale, panels.size() * width * kScale + (panels.size() - 1) * kGap};
  }
  std::vector<std::uint8_t> pixels() const {
    const std::size_t columns = shape()[2];
    std::vector<std::uint8_t> drawn(shape().size(), 128);
    for (std::size_t p = 0; p < panels.size(); ++p) {
      const std::size_t left = p * (width * kScale + kGap);
      for (std::size_t y = 0; y < height * kScale; ++y) {
        for (std::size_t x = 0; x < width * kScale; ++x)
          drawn[y * columns + left + x] = panels[p][y / kScale * width + x / kScale];
      }
    }
    return drawn;
  }

  static constexpr std::size_t kScale = 4, kGap = 8;
};

/// A picture's first channel, and where its spikes lie as its pixels do, the first step of them and their
/// mean.
Strip encoded(const Dataset& data, std::uint32_t sample, const Encoder& encoder,
              const TrainerOptions& options) {
  Strip strip{.width = data.shape[2], .height = data.shape[1]};
  const std::size_t size = strip.width * strip.height;
  const std::span<const std::uint8_t> pixels = data.picture(sample).first(size);
  strip.panels.emplace_back(pixels.begin(), pixels.end());
  if (encoder.output_shape(data.shape).size() != size || size > kMostFeatures) return strip;
  Tape tape;
  const std::array<std::uint32_t, 1> samples{sample};
  const Draw draw{options.seed, 1, Draw::Purpose::train};
  const Signal signal = encoder.encode(data, samples, options.steps, draw, tape);
  if (!signal.is_spikes()) return strip;
  const Spikes& spikes = signal.spikes();
  std::vector<std::uint8_t> first(size), mean(size);
  for (std::size_t f = 0; f < size; ++f) {
    first[f] = spikes.fired(0, 0, f) ? 255 : 0;
    mean[f] = static_cast<std::uint8_t>(spikes.count(0, f) * 255 / spikes.steps());
  }
  strip.panels.insert(strip.panels.end(), {first, mean});
  return strip;
}

}  // namespace

TensorBoardRecorder::TensorBoardRecorder(const fs::path& folder, const Trainer& trainer)
    : file_(
          std::make_unique<TfEventFile>(next_path(folder), trainer.position().iterations + 1, wall_time())) {
  flush();
}

void TensorBoardRecorder::show(const Dataset& data, const Encoder& encoder, const Trainer& trainer) {
  Summary summary;
  for (std::uint32_t sample = 0; sample < std::min(kPictures, data.size()); ++sample) {
    const Strip strip = encoded(data, sample, encoder, trainer.options());
    const std::string png = png_bytes(strip.pixels(), strip.shape());
    summary.image(fmt::format("pictures/{}", sample), strip.shape()[2], strip.shape()[1], png);
  }
  file_->add(trainer.position().iterations, wall_time(), summary);
  flush();
}

void TensorBoardRecorder::begin(std::size_t epochs, std::size_t iterations, std::size_t) {
  every_ = std::max<std::size_t>(1, (epochs * iterations + kMostPoints - 1) / kMostPoints);
}

void TensorBoardRecorder::iteration(const IterationRecord& record, Trainer& trainer) {
  if (record.iteration % every_ != 0) return;
  Summary summary;
  summary.scalar("iteration/loss", record.loss);
  summary.scalar("iteration/batch_acc", record.batch_acc);
  summary.scalar("iteration/grad_norm", record.grad_norm);
  summary.scalar("iteration/lr", static_cast<double>(trainer.optimizer().lr()));
  file_->add(record.iteration, wall_time(), summary);
  if (Clock::now() - flushed_at_ > kFlushEvery) flush();
}

void TensorBoardRecorder::epoch(const EpochRecord& record, Trainer& trainer) {
  Summary summary;
  summary.scalar("epoch/number", static_cast<double>(record.epoch));
  summary.scalar("epoch/train_loss", record.train_loss);
  summary.scalar("epoch/test_loss", record.test_loss);
  summary.scalar("epoch/train_acc", record.train_acc);
  summary.scalar("epoch/test_acc", record.test_acc);
  if (record.validation.has_value()) {
    summary.scalar("epoch/validation_loss", record.validation->loss);
    summary.scalar("epoch/validation_acc", record.validation->acc);
  }
  summary.scalar("speed/train_samples_per_second", record.train_samples_per_second);
  summary.scalar("speed/test_samples_per_second", record.test_samples_per_second);
  for (const LayerActivity& layer : record.activity) {
    if (layer.neurons == 0) continue;
    const auto neurons = static_cast<double>(layer.neurons);
    const std::string name = fmt::format("{}_{}", layer.layer, layer.kind);
    summary.scalar("firing_rate/" + name, layer.rate);
    summary.scalar("dead_share/" + name, static_cast<double>(layer.dead) / neurons);
  }
  // The gradients are those of the last training step: an evaluation makes none.
  for (const NamedParameter& p : trainer.net().parameters()) {
    summary.histogram("weights/" + p.name, Histogram::of(p.parameter->value.values()));
    summary.histogram("gradients/" + p.name, Histogram::of(p.parameter->gradient.values()));
  }
  file_->add(trainer.position().iterations, wall_time(), summary);
  flush();
}

void TensorBoardRecorder::flush() {
  file_->flush();
  flushed_at_ = Clock::now();
}

}  // namespace volley
