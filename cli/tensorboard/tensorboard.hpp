#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>

#include <volley/dataset.hpp>
#include <volley/encoder.hpp>
#include <volley/recorder.hpp>

#include "tensorboard/event_file.hpp"

namespace volley {

/// Where in a run folder the event files lie.
inline constexpr const char* kTensorBoardFolder = "tensorboard";

/// Tells TensorBoard of a training: RUN/tensorboard/events.out.tfevents.000001.volley, and one more such file
/// for each time the training went on; docs/guide/runs.md. The step of everything is the number of training
/// steps done, so that a training that goes on takes up its curves where its checkpoint was made.
class TensorBoardRecorder final : public Recorder {
 public:
  /// `folder` is made where it is not there. The files that are there stay as they are.
  TensorBoardRecorder(const std::filesystem::path& folder, const Trainer& trainer);

  /// The first pictures of `data`, each beside what `encoder` makes of it.
  void show(const Dataset& data, const Encoder& encoder, const Trainer& trainer);

  void begin(std::size_t epochs, std::size_t iterations, std::size_t test_batches) override;
  void iteration(const IterationRecord& record, Trainer& trainer) override;
  void epoch(const EpochRecord& record, Trainer& trainer) override;
  /// When training ends.
  void end() { file_->flush(); }

 private:
  using Clock = std::chrono::steady_clock;

  void flush();

  std::unique_ptr<TfEventFile> file_;
  std::size_t every_ = 1;  // steps from one point of a curve to the next
  Clock::time_point flushed_at_ = Clock::now();
};

}  // namespace volley
