#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/run_folder.hpp>

namespace volley {

/// The folder of one recipe trained from several seeds: seeds.json has the seeds, recipe.toml the recipe with
/// the first of them, and seed-0, seed-1, ... are run folders.
namespace seeds_folder {

inline constexpr const char* kSeeds = "seeds.json";
inline constexpr std::size_t kMost = 1000;

/// Whether `folder` has a seeds.json.
bool is_one(const std::filesystem::path& folder);
/// The run folder of a seed.
std::filesystem::path run_of(const std::filesystem::path& folder, std::uint32_t seed);

/// `count` seeds, the recipe's training.seed and those after it. Throws a RecipeError, naming `option`, for
/// fewer than 2, more than kMost, and beyond the highest seed.
std::vector<std::uint32_t> seeds_from(const Recipe& recipe, std::size_t count, const std::string& option);

/// Makes the folder as run_folder::create does, and writes seeds.json, then recipe.toml.
run_folder::Lock create(const Recipe& recipe, const std::vector<std::uint32_t>& seeds,
                        const std::filesystem::path& folder);
/// Throws a FileError unless seeds.json is what create wrote.
std::vector<std::uint32_t> seeds(const std::filesystem::path& folder);
/// Its recipe.toml. Throws a FileError where there is none, or no recipe.
Recipe recipe(const std::filesystem::path& folder);
/// What the runs that have begun say of themselves, in the order of the seeds.
std::vector<RunRecord> read_runs(const std::filesystem::path& folder);

}  // namespace seeds_folder

}  // namespace volley
