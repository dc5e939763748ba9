#include "storage/checkpoint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <vector>

#include <volley/error.hpp>
#include <volley/version.hpp>
#include <volley/weights.hpp>

namespace volley {
namespace {

constexpr std::string_view kFormatVersion = "1";

/// The fields of an epoch and the names they are saved by.
template <class Self, class Visit>
void epoch_fields(Self& epoch, Visit&& visit) {
  visit("epoch", epoch.epoch);
  visit("train_loss", epoch.train_loss);
  visit("train_acc", epoch.train_acc);
  visit("test_loss", epoch.test_loss);
  visit("test_acc", epoch.test_acc);
  visit("max_test_acc", epoch.max_test_acc);
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const std::string& recipe_toml,
                     const EpochRecord& epoch, Sequential& net, Optimizer& optimizer) {
  std::map<std::string, std::string> metadata{
      {"format", kCheckpointFormat},
      {"format_version", std::string(kFormatVersion)},
      {"volley_version", VOLLEY_VERSION},
      {"recipe", recipe_toml},
      {"optimizer_steps", fmt::format("{}", optimizer.steps_taken())}};
  epoch_fields(epoch,
               [&](const char* name, const auto& value) { metadata[name] = fmt::format("{}", value); });
  std::vector<SafetensorsEntry> tensors;
  for (const auto& [name, tensor] : state_of(net)) tensors.push_back({name, tensor});
  for (const auto& [name, tensor] : optimizer.state()) {
    tensors.push_back({kCheckpointOptimizer + name, tensor});
  }
  write_safetensors(path, tensors, metadata);
}

Checkpoint::Checkpoint(const std::filesystem::path& path) : path_(path), file_(read_safetensors(path)) {
  const auto text = [&](const std::string& key) -> const std::string& {
    const auto found = file_.metadata.find(key);
    if (found == file_.metadata.end()) {
      throw Error(fmt::format("{}: expected a Volley checkpoint with '{}', found none", path.string(), key));
    }
    return found->second;
  };
  const auto expect = [&](const std::string& key, std::string_view expected) {
    if (text(key) != expected) {
      throw Error(fmt::format("{}: expected {} '{}', found '{}'", path.string(), key, expected, text(key)));
    }
  };
  expect("format", kCheckpointFormat);
  expect("format_version", kFormatVersion);
  recipe_toml_ = text("recipe");
  epoch_fields(epoch_, [&](const char* name, auto& value) {
    const std::string& digits = text(name);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      throw Error(fmt::format("{}: expected a number as '{}', found '{}'", path.string(), name, digits));
    }
  });
}

void Checkpoint::load_into(Sequential& net) const {
  NamedTensors values;
  for (const auto& [name, tensor] : file_.tensors) {
    if (!name.starts_with(kCheckpointOptimizer)) values.emplace(name, tensor);
  }
  set_state(state_of(net), values, path_.string());
}

}  // namespace volley
