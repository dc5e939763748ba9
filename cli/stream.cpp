#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <volley/signal_forms.hpp>
#include <volley/volley.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "frame_reader.hpp"
#include "interrupt.hpp"
#include "own_pictures.hpp"
#include "predict.hpp"
#include "trained_run.hpp"

namespace {

using namespace volley;
using cli::say;

struct StreamOptions {
  std::string run;
  std::string checkpoint = "best";
  std::string data_dir;
  std::string format = "csv";
  bool outputs = false;
  std::uint64_t every = 1;
  std::uint64_t reset_every = 0;
  std::string state, save_state;
  std::size_t threads = 1;
  std::string device;  // empty: as the run has it
};

/// What the network takes at one step, made of a frame.
class StepEncoder {
 public:
  StepEncoder(const cli::LoadedRun& run, const Shape& picture, cli::FrameFormat format, const Device& device)
      : encoder_(make_encoder(run.recipe.encoder)),
        options_(run.recipe.encoder),
        bytes_(format == cli::FrameFormat::u8),
        draw_{.seed = run.recipe.training.seed,
              .epoch = static_cast<std::uint32_t>(run.checkpoint.epoch().epoch),
              .purpose = Draw::Purpose::test},
        tape_(device) {
    step_ = takes_pictures() ? picture : encoder_->output_shape(picture);
    picture_ = {.name = "frame", .shape = picture, .pixels = {}, .labels = {0}, .classes = {"frame"}};
    picture_.pixels.resize(picture.size());
    values_.resize(step_.after({1, 1}));
  }

  /// Of a frame.
  const Shape& shape() const { return step_; }
  std::span<float> frame() { return values_.values(); }

  /// The signal (1, 1, features...) of frame(); its memory is here.
  Signal encode(std::uint32_t step) {
    if (!takes_pictures()) return values_;
    draw_.first_sample = step;
    if (bytes_) {
      std::ranges::transform(values_.values(), picture_.pixels.begin(),
                             [](float v) { return static_cast<std::uint8_t>(v); });
      constexpr std::uint32_t kFirst[] = {0};
      return encoder_->encode(picture_, kFirst, 1, draw_, tape_);
    }
    sample_.resize(step_.after({1}));
    std::ranges::copy(values_.values(), sample_.data());
    return encoder_->encode(sample_, 1, draw_, tape_);
  }

 private:
  /// Encoders that make each step by itself. The others spread one picture over time.
  bool takes_pictures() const {
    return std::holds_alternative<PoissonOptions>(options_) ||
           std::holds_alternative<DirectOptions>(options_);
  }

  std::unique_ptr<Encoder> encoder_;
  EncoderOptions options_;
  bool bytes_;
  Draw draw_;
  Tape tape_;
  Shape step_;
  Dataset picture_;
  Tensor values_, sample_;
};

/// Name, shape and classes of the samples that a run was trained on.
Dataset pictures_of(const Recipe& recipe, const std::string& data_dir) {
  if (is_array_path(recipe.data)) {
    const SourceInfo& info = load_sources(recipe.data).test->info();
    return {.name = info.name, .shape = info.shape, .pixels = {}, .labels = {}, .classes = info.classes};
  }
  if (datasets::is_picture_folder(recipe.data)) return cli::load_test_pictures(recipe, data_dir).first(1);
  return cli::known_pictures(recipe.data);
}

/// How long steps took, to 1 %, in the same memory for any number of them.
class Latencies {
 public:
  void add(double microseconds) {
    const double bucket = std::log(std::max(microseconds, kLeast) / kLeast) / std::log(kRatio);
    ++counts_[std::min(counts_.size() - 1, static_cast<std::size_t>(bucket))];
    ++steps_;
    longest_ = std::max(longest_, microseconds);
  }
  /// "1000 steps; microseconds a step: median 8.1, 90 % 8.4, 99 % 10.2, longest 31.0"
  std::string text() const {
    if (steps_ == 0) return "0 steps";
    return fmt::format(
        "{} steps; microseconds a step: median {:.1f}, 90 % {:.1f}, 99 % {:.1f}, longest {:.1f}", steps_,
        at(0.5), at(0.9), at(0.99), longest_);
  }

 private:
  static constexpr double kLeast = 0.01, kRatio = 1.01;

  double at(double share) const {
    const double rank = share * static_cast<double>(steps_);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      below += counts_[i];
      if (static_cast<double>(below) >= rank) {
        return std::min(longest_, kLeast * std::pow(kRatio, static_cast<double>(i) + 0.5));
      }
    }
    return longest_;
  }

  std::array<std::uint64_t, 3000> counts_{};  // to 25 hours
  std::uint64_t steps_ = 0;
  double longest_ = 0;
};

cli::FrameFormat format_named(const std::string& name) {
  if (name == "csv") return cli::FrameFormat::csv;
  return name == "u8" ? cli::FrameFormat::u8 : cli::FrameFormat::f32;
}

class Stream {
 public:
  Stream(const StreamOptions& options, const cli::LoadedRun& run)
      : options_(options),
        pictures_(pictures_of(run.recipe, options.data_dir)),
        net_(cli::trained_network(run, pictures_.shape)),
        device_(options.device.empty() ? run.recipe.training.device : options.device, options.threads),
        threads_(device_.threads()),
        encoder_(run, pictures_.shape, format_named(options.format), device_),
        tape_(device_) {
    const std::size_t outputs =
        net_.output_shape(make_encoder(run.recipe.encoder)->output_shape(pictures_.shape)).size();
    sums_.resize(outputs);
    names_ = cli::output_names(pictures_, outputs);
    const std::filesystem::path folder = std::filesystem::path(options.save_state).parent_path();
    if (!folder.empty() && !std::filesystem::is_directory(folder)) {  // before the work
      throw FileError(options.save_state, "cannot write: its folder is not there");
    }
    if (!options.state.empty()) state_.set(net_, read_state_dict(options.state));
  }

  void run() {
    const cli::Interrupts interrupts;
    cli::FrameReader reader(STDIN_FILENO, format_named(options_.format), encoder_.shape().size(), "stdin");
    std::string header = "step";
    for (const std::string& name : names_) header += "," + cli::csv_cell(name);
    say("{}\n", header);
    std::fflush(stdout);
    while (!cli::Interrupts::asked() && std::ferror(stdout) == 0 && reader.next(encoder_.frame())) step();
    if (!options_.save_state.empty()) save_state_dict(options_.save_state, state_.named_tensors(net_));
    fmt::print(stderr, "{}\n", latencies_.text());
  }

 private:
  void step() {
    if (options_.reset_every > 0 && steps_ % options_.reset_every == 0) {
      state_.reset();
      since_reset_ = 0;
      sums_.assign(sums_.size(), 0.0);
    }
    const auto begin = std::chrono::steady_clock::now();
    const Signal y = net_.forward(encoder_.encode(static_cast<std::uint32_t>(steps_)), tape_, &state_);
    const Signal values = real_values(plain(y, form_, threads_), values_, threads_);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    latencies_.add(took.count());
    ++steps_;
    ++since_reset_;
    for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k] += static_cast<double>(values.values()[k]);
    if (steps_ % options_.every != 0) return;
    std::string row = fmt::format("{}", steps_);
    for (std::size_t k = 0; k < sums_.size(); ++k) {
      row += options_.outputs ? fmt::format(",{}", values.values()[k])
                              : fmt::format(",{:.6g}", sums_[k] / static_cast<double>(since_reset_));
    }
    say("{}\n", row);
    std::fflush(stdout);
  }

  const StreamOptions& options_;
  Dataset pictures_;
  Sequential net_;
  Device device_;
  ThreadPool& threads_;  // the device's
  StepEncoder encoder_;
  Tape tape_;
  State state_;
  SignalMemory form_, values_;
  std::vector<std::string> names_;
  std::vector<double> sums_;
  Latencies latencies_;
  std::uint64_t steps_ = 0, since_reset_ = 0;
};

void stream(const StreamOptions& options) {
  const cli::LoadedRun run = cli::load_run(options.run, {.checkpoint = options.checkpoint});
  Stream(options, run).run();
}

}  // namespace

void add_stream_command(CLI::App& app) {
  const auto options = std::make_shared<StreamOptions>();
  CLI::App* command =
      app.add_subcommand("stream", "Runs a trained network on frames from stdin, one step of time each");
  command->add_option("RUN", options->run, "A run folder that volley train wrote")->required();
  command
      ->add_option(
          "--format", options->format,
          "csv: a line of numbers a frame; u8: bytes, f32: little-endian float32, one frame after another")
      ->check(CLI::IsMember({"csv", "u8", "f32"}))
      ->capture_default_str();
  command->add_flag("--outputs", options->outputs,
                    "Print what the outputs give at the step (spikes: 0 or 1), and not their mean so far");
  command->add_option("--every", options->every, "Print each so many steps")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 62))
      ->capture_default_str();
  command
      ->add_option("--reset-every", options->reset_every,
                   "Put the network to rest after so many steps; 0: never")
      ->check(cli::from_zero())
      ->capture_default_str();
  command->add_option("--state", options->state, "Go on from this file of --save-state");
  command->add_option("--save-state", options->save_state, "Write the potentials after the last step");
  command->add_option("--checkpoint", options->checkpoint, "The best epoch's or the latest one's")
      ->check(CLI::IsMember({"best", "latest"}))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "0: one per processor; the result is the same bits")
      ->check(cli::from_zero())
      ->capture_default_str();
  cli::add_device_option(*command, options->device);
  command->add_option("--data-dir", options->data_dir,
                      "Folder of the data sets (default: $XDG_CACHE_HOME/volley)");
  command->footer("Example: camera | volley stream runs/mine --format u8 --every 10");
  command->callback([options] { stream(*options); });
}
