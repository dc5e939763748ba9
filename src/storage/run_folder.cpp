#include <volley/run_folder.hpp>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/recipe_difference.hpp>
#include <volley/seeds_folder.hpp>
#include <volley/version.hpp>

#include "core/sha256.hpp"
#include "storage/csv_file.hpp"

namespace fs = std::filesystem;

namespace volley {

namespace run_folder {
namespace {

/// What of a recipe decides no bit of the epochs that both have.
constexpr std::array<std::string_view, 7> kMayDiffer{"name",
                                                     "description",
                                                     "epochs",
                                                     "training.threads",
                                                     "training.device",
                                                     "training.on_non_finite",
                                                     "training.early_stopping"};

/// Makes the folder and those above it; false when it was there already.
bool make(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot make the run folder: " + error.message());
  return made;
}

/// `text` is a RecipeError's, "PATH: ..." or "PATH:LINE: ...".
[[noreturn]] void refuse_recipe(const std::string& path, std::string_view text) {
  text.remove_prefix(std::min(text.size(), path.size() + 1));
  std::size_t line = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), line);
  const bool has_line = error == std::errc();
  if (has_line) text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(' ')));
  if (has_line) throw FileError(path, line, text);
  throw FileError(path, text);
}

}  // namespace

Lock::Lock(const fs::path& folder)
    : folder_(folder), descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) {
    throw FileError(folder.string(), "cannot open the run folder: " + std::generic_category().message(errno));
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(descriptor_);
    throw FileError(folder.string(), "another training is writing into this run folder");
  }
}

Lock::Lock(Lock&& other) noexcept
    : folder_(std::move(other.folder_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

Lock::~Lock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Lock create(const std::string& recipe_name, const fs::path& folder) {
  if (!folder.empty()) {
    make(folder);
    Lock lock(folder);
    std::error_code error;
    if (!fs::is_empty(folder, error)) {
      throw FileError(folder.string(), "a new or empty run folder",
                      error ? error.message() : "one with files in it");
    }
    return lock;
  }
  std::tm local{};
  const std::time_t now = std::time(nullptr);
  ::localtime_r(&now, &local);
  const std::string name = fmt::format("{}-{:%Y%m%d-%H%M%S}", recipe_name, local);
  fs::path path = fs::path("runs") / name;
  for (int i = 2; !make(path); ++i) path = fs::path("runs") / fmt::format("{}-{}", name, i);
  return Lock(path);
}

Recipe load_recipe(const fs::path& folder) {
  if (seeds_folder::is_one(folder)) {
    const std::uint32_t seed = seeds_folder::seeds(folder).front();
    throw FileError(folder.string(), "a run folder",
                    fmt::format("one of several seeds, whose runs are in it: {}",
                                seeds_folder::run_of(folder, seed).string()));
  }
  return recipe_in(folder);
}

Recipe recipe_in(const fs::path& folder) {
  const fs::path path = folder / kRecipe;
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw FileError(folder.string(), fmt::format("a run folder with a {}", kRecipe), "none");
  }
  try {
    return volley::load_recipe(path.string());
  } catch (const RecipeError& wrong) {  // the recipe is the run's, not the user's
    refuse_recipe(path.string(), wrong.what());
  }
}

Paused open(const fs::path& folder) {
  Recipe recipe = load_recipe(folder);  // says it best when this is no run folder
  Lock lock(folder);
  Paused run{std::move(lock), std::move(recipe), std::nullopt};
  std::error_code ignored;
  if (fs::exists(folder / kLatest, ignored)) {
    run.checkpoint.emplace(folder / kLatest);
    run.checkpoint->check_resumable();
  } else if (CsvFile::count_rows(folder / kIterations, kIterationsHeader, 1) > 0) {
    // It is written before the first step: to begin from epoch 1 would discard a training.
    throw FileError(folder.string(), fmt::format("a {}", kLatest), "none, though there were steps");
  }
  return run;
}

void check_unchanged(const Paused& run, const Recipe& recipe, const std::string& data_sha256) {
  if (!run.checkpoint.has_value()) return;
  const Checkpoint& checkpoint = *run.checkpoint;
  std::vector<std::string> differences;
  const auto compare = [&](const std::string& what, const std::string& before, const std::string& now) {
    if (before != now) differences.push_back(fmt::format("{} was {}, is {}", what, before, now));
  };
  const Recipe before = parse_recipe(checkpoint.run().recipe_toml, checkpoint.path().string());
  for (const RecipeDifference& d : differences_of(before, recipe)) {
    const bool free = std::ranges::find(kMayDiffer, d.key) != kMayDiffer.end();
    if (!free) compare(d.key, d.first, d.second);
  }
  compare("the SHA-256 of the data", checkpoint.run().data_sha256, data_sha256);
  compare("the version of volley", checkpoint.volley_version(), VOLLEY_VERSION);
  const std::size_t rows = checkpoint.position().iterations;
  const std::size_t there = CsvFile::count_rows(run.lock.folder() / kIterations, kIterationsHeader, rows);
  if (there < rows) {
    differences.push_back(fmt::format("{} had {} rows at the checkpoint, has {}", kIterations, rows, there));
  }
  if (differences.empty()) return;
  throw FileError(run.lock.folder().string(),
                  fmt::format("going on would not give what a training without interruption gives:\n    {}\n "
                              " --force goes on all the same",
                              fmt::join(differences, "\n    ")));
}

}  // namespace run_folder

namespace {

/// Labels as bytes: one each where all classes have one, else four, the lowest first.
std::vector<std::uint8_t> bytes_of(std::span<const std::uint32_t> labels, std::size_t classes) {
  const std::size_t width = classes <= 256 ? 1 : 4;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(labels.size() * width);
  for (const std::uint32_t label : labels) {
    for (std::size_t i = 0; i < width; ++i) bytes.push_back(static_cast<std::uint8_t>(label >> 8 * i));
  }
  return bytes;
}

void add_text(Sha256& sum, const std::string& text) {
  sum.add({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void add_pictures(Sha256& sum, const Dataset& part) {
  add_text(sum, fmt::format("{} {} ", part.shape.text(), part.size()));
  sum.add(part.pixels);
  sum.add(bytes_of(part.labels, part.classes.size()));
}

template <class T>
void add_values(Sha256& sum, std::span<const T> values) {
  add_text(sum, fmt::format("{} ", values.size()));
  sum.add({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
}

void add_targets(Sha256& sum, const Targets& targets) {
  add_values(sum, std::span(targets.labels));
  add_values(sum, targets.values.values());
  add_values(sum, std::span(targets.weights));
  add_values(sum, std::span(targets.lengths));
  add_values(sum, std::span(targets.mask));
  for (const Targets& head : targets.heads) add_targets(sum, head);
}

/// Of samples one after another, so that neither batches nor padding can be seen.
void add_samples(Sha256& sum, const Source& source) {
  const SourceInfo& info = source.info();
  add_text(sum, fmt::format("{} {} ", info.shape.text(), info.size));
  Samples samples;
  std::vector<std::uint8_t> bytes;
  for (std::uint32_t n = 0; n < info.size; ++n) {
    source.read({&n, 1}, samples);
    switch (info.kind) {
      case SampleKind::bytes: sum.add(samples.bytes); break;
      case SampleKind::values:
      case SampleKind::sequences: add_values(sum, std::as_const(samples.values).values()); break;
      case SampleKind::spikes:
        bytes.resize(samples.spikes.shape().size());
        samples.spikes.to_bytes(bytes);
        sum.add(bytes);
        break;
      case SampleKind::events:
        for (const Event& e : samples.events.front())
          add_text(sum, fmt::format("{} {} {} {} ", e.t, e.x, e.y, e.channel));
        break;
    }
    add_targets(sum, samples.targets);
  }
}

}  // namespace

std::string sha256_of(const Split& data) {
  Sha256 sum;
  for (const Dataset* part : {&data.train, &data.test, &data.validation}) add_pictures(sum, *part);
  return sum.hex();
}

std::string sha256_of(const Sources& data) {
  Sha256 sum;
  for (const auto& part : {data.train, data.test, data.validation}) {
    const Dataset* pictures = part != nullptr ? part->pictures() : nullptr;
    if (part == nullptr || pictures != nullptr) {
      add_pictures(sum, pictures != nullptr ? *pictures : Dataset{});
    } else {
      add_samples(sum, *part);
    }
  }
  return sum.hex();
}

}  // namespace volley
