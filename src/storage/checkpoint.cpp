#include <volley/checkpoint.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/version.hpp>

#include "core/numerics.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/metrics.hpp"
#include "storage/safetensors.hpp"

namespace volley {
namespace {

/// How the metadata names a field of the position.
std::string position_key(std::string_view name) { return fmt::format("position.{}", name); }

}  // namespace

int numerics_version() { return numerics::kVersion; }

void save_checkpoint(const std::filesystem::path& path, const RunState& run, Trainer& trainer) {
  std::vector<SafetensorsEntry> tensors;
  for (const auto& [name, tensor] : trainer.net().named_tensors()) {
    if (!is_finite(*tensor)) {
      throw FileError(
          path.string(),
          fmt::format("not written, for '{}' is not finite; likely cause: the learning rate is too high",
                      name));
    }
    tensors.push_back({name, tensor});
  }
  for (const auto& [name, tensor] : trainer.optimizer().state()) {
    tensors.push_back({kCheckpointOptimizer + name, tensor});
  }
  std::map<std::string, std::string> metadata{
      {"format", kCheckpointFormat},
      {"format_version", kCheckpointVersion},
      {"volley_version", VOLLEY_VERSION},
      {"numerics", fmt::format("{}", numerics::kVersion)},
      {"recipe", run.recipe_toml},
      {"data_sha256", run.data_sha256},
      {"metrics", metrics_text(run.epochs)},
      {"optimizer_steps", fmt::format("{}", trainer.optimizer().steps_taken())}};
  const TrainerPosition& position = trainer.position();
  TrainerPosition::fields(position, [&](std::string_view name, const auto& value, const Range&) {
    metadata[position_key(name)] = fmt::format("{}", value);
  });
  write_safetensors(path, tensors, metadata);
}

Checkpoint::Checkpoint(const std::filesystem::path& path) : path_(path) {
  SafetensorsFile file = read_safetensors(path);
  metadata_ = std::move(file.metadata);
  tensors_ = std::move(file.tensors);
  const auto expect = [&](const std::string& key, std::string_view expected) {
    if (text(key) != expected) {
      throw FileError(path.string(), fmt::format("{} '{}'", key, expected), fmt::format("'{}'", text(key)));
    }
  };
  expect("format", kCheckpointFormat);
  expect("format_version", kCheckpointVersion);
  text("volley_version");
  if (metadata_.contains("numerics")) read_number("numerics", numerics_);
  run_ = {text("recipe"), text("data_sha256"), parse_metrics(text("metrics"), path.string())};
  read_number("optimizer_steps", optimizer_steps_);
  position_.epochs_since_best = epochs_since_best(run_.epochs);
  TrainerPosition::fields(position_, [&](std::string_view name, auto& value, const Range& range) {
    constexpr std::string_view kNewer[] = {"weight_sum", "predictions", "min_loss", "epochs_since_best"};
    const bool newer = std::ranges::find(kNewer, name) != std::end(kNewer);  // 0.1 does not write them
    if (newer && !metadata_.contains(position_key(name))) return;
    read_number(position_key(name), value);
    if (!range.contains(static_cast<double>(value))) {
      throw FileError(path.string(), fmt::format("'{}' to be {}", position_key(name), range.text()),
                      fmt::format("{}", value));
    }
  });
  if (!metadata_.contains(position_key("predictions"))) position_.predictions = position_.seen;
  if (run_.epochs.size() != position_.epoch - 1) {
    throw FileError(path.string(), fmt::format("metrics of the {} epochs that are done", position_.epoch - 1),
                    std::to_string(run_.epochs.size()));
  }
}

const std::string& Checkpoint::text(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) {
    throw FileError(path_.string(), fmt::format("a Volley checkpoint with '{}'", key), "none");
  }
  return found->second;
}

template <class T>
void Checkpoint::read_number(const std::string& key, T& value) const {
  const std::string& digits = text(key);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw FileError(path_.string(), fmt::format("a number as '{}'", key),
                    fmt::format("'{}'", digits.substr(0, 60)));
  }
}

NamedTensors Checkpoint::tensors(bool of_optimizer) const {
  NamedTensors chosen;
  for (const auto& [name, tensor] : tensors_) {
    if (name.starts_with(kCheckpointOptimizer) == of_optimizer) chosen.emplace(name, tensor);
  }
  return chosen;
}

void Checkpoint::check_sizes(const Recipe& recipe) const {
  volley::check_sizes(path_, tensors_, recipe.network);
}

void Checkpoint::check_resumable() const {
  if (numerics_ == numerics::kVersion) return;
  throw FileError(path_.string(), fmt::format("numerics {}", numerics::kVersion),
                  fmt::format("{} (Volley {}): its sums and draws are others, so the training cannot go on; "
                              "its network can be evaluated",
                              numerics_, volley_version()));
}

void Checkpoint::load_into(Layer& net) const {
  set_tensors(net.named_tensors(), tensors(false), path_.string());
}

void Checkpoint::load_into(Trainer& trainer) const {
  check_resumable();
  Optimizer& optimizer = trainer.optimizer();
  const NamedTensors saved = tensors(true);
  const std::vector<NamedTensor> state = optimizer.state();
  for (const auto& [name, tensor] : state) {
    const auto found = saved.find(kCheckpointOptimizer + name);
    if (found == saved.end() || !(found->second.shape() == tensor->shape())) {
      throw FileError(path_.string(),
                      fmt::format("'{}{}' of shape {}", kCheckpointOptimizer, name, tensor->shape().text()),
                      found == saved.end() ? "none" : found->second.shape().text());
    }
  }
  if (saved.size() != state.size()) {
    throw FileError(path_.string(),
                    fmt::format("{} tensors of the optimizer {}", state.size(), optimizer.kind()),
                    std::to_string(saved.size()));
  }
  load_into(trainer.net());
  for (const auto& [name, tensor] : state) {
    std::ranges::copy(saved.at(kCheckpointOptimizer + name).values(), tensor->data());
  }
  optimizer.set_steps_taken(optimizer_steps_);
  trainer.set_position(position_);
}

}  // namespace volley
