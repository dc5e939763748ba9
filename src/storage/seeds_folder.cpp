#include <volley/seeds_folder.hpp>

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include <volley/error.hpp>

#include "core/files.hpp"

namespace fs = std::filesystem;

namespace volley::seeds_folder {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;

}  // namespace

bool is_one(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / kSeeds, error);
}

fs::path run_of(const fs::path& folder, std::uint32_t seed) { return folder / fmt::format("seed-{}", seed); }

std::vector<std::uint32_t> seeds_from(const Recipe& recipe, std::size_t count, const std::string& option) {
  if (count < 2 || count > kMost) {
    throw RecipeError(fmt::format("{}: expected an integer >= 2 and <= {}, got {}", option, kMost, count));
  }
  const std::uint32_t first = recipe.training.seed;
  if (std::numeric_limits<std::uint32_t>::max() - first < count - 1) {
    throw RecipeError(fmt::format("{}: expected seeds <= {}, got {} from {} on", option,
                                  std::numeric_limits<std::uint32_t>::max(), count, first));
  }
  std::vector<std::uint32_t> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(first + static_cast<std::uint32_t>(i));
  return all;
}

run_folder::Lock create(const Recipe& recipe, const std::vector<std::uint32_t>& seeds,
                        const fs::path& folder) {
  run_folder::Lock lock = run_folder::create(recipe.name, folder);
  // First of all: without it, recipe.toml would make this the folder of a single run.
  write_file_whole(lock.folder() / kSeeds, nlohmann::json{{"seeds", seeds}}.dump() + "\n");
  write_file_whole(lock.folder() / run_folder::kRecipe, to_toml(recipe));
  return lock;
}

std::vector<std::uint32_t> seeds(const fs::path& folder) {
  const fs::path path = folder / kSeeds;
  const auto json = nlohmann::json::parse(read_file(path, kMostBytes), nullptr, false);
  std::vector<std::uint32_t> all;
  const auto fail = [&] { throw FileError(path.string(), "a list of seeds", "something else"); };
  if (!json.is_object() || !json.contains("seeds") || !json["seeds"].is_array()) fail();
  for (const auto& seed : json["seeds"]) {
    if (!seed.is_number_unsigned() || seed.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max() ||
        all.size() == kMost) {
      fail();
    }
    all.push_back(seed.get<std::uint32_t>());
  }
  if (all.empty()) fail();
  return all;
}

Recipe recipe(const fs::path& folder) { return run_folder::recipe_in(folder); }

std::vector<RunRecord> read_runs(const fs::path& folder) {
  std::vector<RunRecord> runs;
  for (const std::uint32_t seed : seeds(folder)) {
    std::error_code error;
    const fs::path run = run_of(folder, seed);
    if (fs::exists(run / run_folder::kIterations, error)) runs.push_back(read_run(run));
  }
  return runs;
}

}  // namespace volley::seeds_folder
