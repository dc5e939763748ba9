#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <volley/error.hpp>
#include <volley/files.hpp>
#include <volley/run_folder.hpp>

#include "common.hpp"
#include "predict.hpp"

namespace volley::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostProblems = 10;

/// The regular files in a folder and in those within it, but for names that begin with a dot.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->path().filename().string().starts_with(".")) {
      entry.disable_recursion_pending();
    } else if (std::error_code ignored; entry->is_regular_file(ignored)) {
      files.push_back(entry->path());
    }
  }
  if (error) throw FileError(folder.string(), error.message());
  if (files.empty()) throw FileError(folder.string(), "a folder with pictures in it", "none");
  std::ranges::sort(files);
  return files;
}

/// All of them, or one FileError that names what cannot be read.
std::vector<OwnPictures::Read> read_all(const OwnPictures& own, const fs::path& folder,
                                        const std::vector<fs::path>& files) {
  std::vector<OwnPictures::Read> pictures;
  std::vector<std::string> problems;
  for (const fs::path& file : files) {
    try {
      pictures.push_back(own.read(file));
    } catch (const FileError& error) {
      problems.emplace_back(error.what());
      if (problems.size() == kMostProblems) break;
    }
  }
  if (!problems.empty()) {
    throw FileError(folder.string(),
                    fmt::format("must hold pictures alone, got\n    {}{}", fmt::join(problems, "\n    "),
                                problems.size() == kMostProblems ? "\n    (there may be more)" : ""));
  }
  return pictures;
}

/// What the network said of a file.
struct Row {
  std::string file;
  std::vector<float> scores;
  std::size_t prediction = 0;
  std::size_t tied = 0;  // other outputs with the highest score
  bool silent = false;   // no output fired: there is no prediction
  std::string note;
};

/// The file's evaluation alone: its row does not depend on what else is in the folder.
Row row_of(TrainedRun& run, const OwnPictures::Read& read, const fs::path& folder) {
  const Evaluation evaluation = run.evaluate(PictureSource(read.picture));
  Row row{.file = fs::path(read.picture.name).lexically_relative(folder).string(), .note = read.note};
  const std::span<const float> scores = evaluation.scores.values();
  row.scores.assign(scores.begin(), scores.end());
  row.prediction = evaluation.predictions[0];
  row.silent = evaluation.silent > 0;
  const auto highest = std::ranges::count(row.scores, row.scores[row.prediction]);
  row.tied = row.silent ? 0 : static_cast<std::size_t>(highest) - 1;
  return row;
}

std::string to_csv(const std::vector<Row>& rows, const std::vector<std::string>& names) {
  std::string csv = "file,prediction,class,score,tied";
  for (const std::string& name : names) csv += "," + csv_cell("score of " + name);
  csv += "\n";
  for (const Row& row : rows) {
    csv += row.silent ? fmt::format("{},,,0,0", csv_cell(row.file))
                      : fmt::format("{},{},{},{},{}", csv_cell(row.file), row.prediction,
                                    csv_cell(names[row.prediction]), row.scores[row.prediction], row.tied);
    csv += fmt::format(",{}\n", fmt::join(row.scores, ","));
  }
  return csv;
}

std::string to_json(const std::vector<Row>& rows, const std::vector<std::string>& names) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    nlohmann::ordered_json one = {{"file", row.file},
                                  {"prediction", row.prediction},
                                  {"class", names[row.prediction]},
                                  {"silent", row.silent},
                                  {"tied", row.tied},
                                  {"scores", row.scores}};
    if (row.silent) one["prediction"] = one["class"] = nullptr;
    if (!row.note.empty()) one["note"] = row.note;
    json.push_back(std::move(one));
  }
  json = {{"classes", names}, {"pictures", std::move(json)}};
  return json_text(json);
}

/// To stderr: what a table does not say.
void tell_summary(const std::vector<Row>& rows, std::size_t odd, const OwnPictures::Options& own) {
  const auto silent = std::ranges::count_if(rows, [](const Row& row) { return row.silent; });
  fmt::print(stderr, "{} pictures\n", rows.size());
  if (silent > 0)
    fmt::print(stderr, "no output fired for {} of them: their scores are all 0, and they have no class\n",
               silent);
  if (odd > 0)
    fmt::print(stderr, "{} of them look inverted; {}\n", odd,
               own.invert ? "leave out --invert" : "--invert turns them over");
}

}  // namespace

std::vector<std::string> output_names(const Dataset& data, std::size_t outputs) {
  std::vector<std::string> names = data.classes;
  for (std::size_t k = names.size(); k < outputs; ++k) names.push_back(fmt::format("output {}", k));
  return names;
}

void predict_folder(const PredictOptions& options) {
  const OwnPictures own(run_folder::load_recipe(options.run), options.data_dir, options.own);
  const fs::path folder = options.image;
  const std::vector<OwnPictures::Read> pictures = read_all(own, folder, files_in(folder));
  TrainedRun run(options.run, options.loaded(), pictures.front().picture);
  std::vector<Row> rows;
  for (const OwnPictures::Read& read : pictures) rows.push_back(row_of(run, read, folder));
  const std::vector<std::string> names = output_names(run.data(), rows.front().scores.size());
  const std::string text = (options.json ? to_json : to_csv)(rows, names);
  if (options.out.empty()) {
    say("{}", text);
  } else {
    write_file_whole(options.out, text);
  }
  const auto odd = std::ranges::count_if(pictures, &OwnPictures::Read::odd);
  tell_summary(rows, static_cast<std::size_t>(odd), options.own);
}

}  // namespace volley::cli
