#include "run_pictures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <volley/error.hpp>
#include <volley/files.hpp>
#include <volley/seeds_folder.hpp>
#include <volley/text.hpp>

#include "figures/gnuplot.hpp"

namespace fs = std::filesystem;

namespace volley::cli {
namespace {

class StopWhen final : public Recorder {
 public:
  explicit StopWhen(const std::function<bool()>& cancelled) : cancelled_(cancelled) {}
  bool stop() override { return cancelled_ && cancelled_(); }

 private:
  const std::function<bool()>& cancelled_;
};

}  // namespace

RunPictures::RunPictures(const fs::path& folder, const TrainedRunOptions& options, std::size_t sample,
                         std::function<bool()> cancelled)
    : folder_(folder),
      options_(options),
      sample_(sample),
      cancelled_(std::move(cancelled)),
      record_(read_run(folder)) {}

void RunPictures::load_network() {
  if (run_ != nullptr) return;
  if (!failed_.has_value()) {
    try {
      run_ = std::make_unique<TrainedRun>(folder_, options_);
      return;
    } catch (const Error& error) {
      failed_ = error.what();
    }
  }
  throw Error(*failed_);
}

void RunPictures::evaluate() {
  if (classes_.has_value()) return;
  if (run_->data().labels.empty()) throw Error(fmt::format("{} has no label a sample", run_->data().name));
  StopWhen recorder(cancelled_);
  const Evaluation evaluation = run_->evaluate(&recorder);
  if (evaluation.stopped) throw Error("interrupted");
  classes_ = class_report(evaluation, run_->data());
}

FigureSource RunPictures::source(RunFigure::Needs needs) {
  FigureSource source{.record = &record_};
  if (needs == RunFigure::Needs::record) return source;
  load_network();
  source.net = &run_->net();
  source.data = &run_->data();
  source.epoch = run_->checkpoint().epoch().epoch;
  if (needs == RunFigure::Needs::life) {
    if (!life_.has_value()) life_ = run_->inspect(sample_);
    source.life = &*life_;
  }
  if (needs == RunFigure::Needs::classes) {
    evaluate();
    source.classes = &*classes_;
  }
  return source;
}

fs::path RunPictures::write(const RunFigure& figure, const fs::path& folder, PictureFormat format,
                            Theme theme) {
  fs::path path = folder / fmt::format("{}.{}", figure.name, format == PictureFormat::png ? "png" : "svg");
  write_file_whole(path, render(figure.draw(source(figure.needs)), format, theme, cancelled_));
  return path;
}

std::vector<fs::path> draw_seeds(const fs::path& folder, const fs::path& out,
                                 const std::vector<std::string>& names, PictureFormat format, Theme theme,
                                 const std::function<bool()>& cancelled) {
  std::vector<std::string> known;
  for (const SeedsFigure& figure : seeds_figures()) known.emplace_back(figure.name);
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end()) continue;
    throw ArgumentError("plot",
                        fmt::format("a figure of several seeds must be one of {}", quoted_list(known)),
                        fmt::format("'{}'", name));
  }
  const std::vector<RunRecord> runs = seeds_folder::read_runs(folder);
  fs::create_directories(out);
  std::vector<fs::path> paths;
  for (const SeedsFigure& figure : seeds_figures()) {
    if (!names.empty() && std::ranges::find(names, figure.name) == names.end()) continue;
    const fs::path path =
        out / fmt::format("{}.{}", figure.name, format == PictureFormat::png ? "png" : "svg");
    write_file_whole(path, render(figure.draw(runs), format, theme, cancelled));
    paths.push_back(path);
  }
  return paths;
}

std::string draw_all(const fs::path& folder, const std::string& data_dir, bool quick,
                     const std::function<bool()>& cancelled) try {
  if (gnuplot::version().empty()) return fmt::format("none: {}", gnuplot::kInstall);
  const fs::path out = folder / run_folder::kFigures;
  fs::create_directories(out);
  RunPictures pictures(folder, {.data_dir = data_dir}, 0, cancelled);
  std::size_t drawn = 0;
  for (const RunFigure& figure : run_figures()) {
    if (cancelled && cancelled()) return fmt::format("{}: {}, then interrupted", out.string(), drawn);
    if (quick && figure.needs == RunFigure::Needs::classes) continue;
    try {
      pictures.write(figure, out, PictureFormat::png, Theme::light);
      ++drawn;
    } catch (const Error&) {
      // A run that has no such figure; `volley plot` says why.
    }
  }
  if (drawn == run_figures().size()) return out.string();
  return fmt::format("{}: {} of {}; volley plot says what the others need", out.string(), drawn,
                     run_figures().size());
} catch (const std::exception& error) {  // a training does not fail by its figures
  return fmt::format("none: {}", error.what());
}

}  // namespace volley::cli
