#include "fuzz/targets.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/current_csv.hpp>
#include <volley/error.hpp>
#include <volley/event_file.hpp>
#include <volley/image.hpp>
#include <volley/recipe.hpp>
#include <volley/run_recorder.hpp>
#include <volley/weights.hpp>

#include "commands.hpp"
#include "data/array_file.hpp"
#include "data/cifar.hpp"
#include "data/idx.hpp"
#include "data/packed_file.hpp"
#include "storage/safetensors.hpp"

namespace volley::test {
namespace {

/// A file that lies in memory, and has a path all the same.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    const auto size = static_cast<ssize_t>(bytes.size());
    if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) != size) {
      throw std::runtime_error("cannot make a file in memory");
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  std::filesystem::path path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
};

/// What users are told of is what is meant to happen.
template <class Read>
void refusing(Read&& read) {
  try {
    read();
  } catch (const Error&) {
  }
}

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void read_idx_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  for (const std::size_t rank : {1u, 3u}) refusing([&] { read_idx(file.path(), rank); });
}

void read_image_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  for (const Colours colours : {Colours::grey, Colours::as_stored}) {
    refusing([&] { read_image(file.path(), kMostImagePixels, colours); });
  }
}

void read_cifar_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  for (const std::size_t labels : {1u, 2u}) {
    refusing([&] {
      Dataset data{"cifar", {3, 32, 32}, {}, {}, {"a", "b", "c"}};
      const std::string unpacked = read_unpacked(file.path(), 2 * (labels + kCifarPixels));
      append_cifar(data, file.path(), unpacked, labels);
    });
  }
}

void read_current_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  refusing([&] { read_current_csv(file.path()); });
}

/// What is read and written is read again as the same.
void check_written(const Recipe& recipe) {
  const std::string text = to_toml(recipe);
  require(to_toml(parse_recipe(text, "written")) == text, "a recipe that was written is read as another");
}

/// Of one format. What the begin of a file says of its size must hold for every event.
template <EventFormat kFormat>
void read_event_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  refusing([&] {
    EventFile events(file.path(), {.format = kFormat});
    const EventFileInfo& info = events.info();
    std::vector<Event> block(1000);
    for (std::size_t n = block.size(); n == block.size();) {
      n = events.read(block);
      for (const Event& event : std::span(block).first(n)) {
        require(info.width == 0 || event.x < info.width, "x is beyond the width");
        require(info.height == 0 || event.y < info.height, "y is beyond the height");
      }
    }
  });
}

/// The format is that of the bytes.
void read_any_event_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  refusing([&] { read_events(file.path()); });
}

void read_recipe_bytes(std::string_view bytes) {
  refusing([&] { check_written(parse_recipe(bytes, "fuzz.toml")); });
}

/// A line is an assignment of --set.
void read_setting_bytes(std::string_view bytes) {
  static const Recipe base = load_recipe(builtin_recipes().front());
  std::vector<std::string> settings(1);
  for (const char c : bytes) c == '\n' ? settings.emplace_back() : settings.back() += c;
  refusing([&] { check_written(with_settings(base, settings)); });
}

/// Of each format; what is read is mapped memory, whose every element is there.
void read_array_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  for (const ArrayFormat format :
       {ArrayFormat::npy, ArrayFormat::npz, ArrayFormat::safetensors, ArrayFormat::csv}) {
    refusing([&] {
      for (const auto& [name, array] : read_arrays_as(format, file.path())) {
        const std::size_t size = array.shape().size();
        std::vector<float> piece(4096);
        for (std::size_t i = 0; i < size; i += piece.size()) {
          array.floats(std::span(piece).first(std::min(piece.size(), size - i)), i);
        }
      }
    });
  }
}

void read_safetensors_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  refusing([&] { read_safetensors(file.path()); });
  refusing([&] { load_network(file.path()); });
}

void read_checkpoint_bytes(std::string_view bytes) {
  const MemoryFile file(bytes);
  refusing([&] {
    const Checkpoint checkpoint(file.path());
    const Recipe recipe = parse_recipe(checkpoint.run().recipe_toml, "checkpoint");
    checkpoint.check_sizes(recipe);
    Sequential net;
    for (const LayerRecipe& layer : recipe.network) net.add(make_layer(layer));
    checkpoint.load_into(net);
  });
}

/// Commands are understood, and then not obeyed. Their callbacks stay: these own what the options are read
/// into.
void disarm(CLI::App& app) {
  app.parse_complete_callback([] { throw CLI::Success(); });
  for (CLI::App* command : app.get_subcommands(nullptr)) disarm(*command);
}

/// A line is a word of a command line.
void read_command_bytes(std::string_view bytes) {
  CLI::App app;
  add_commands(app);
  disarm(app);
  std::vector<std::string> words(1);
  for (const char c : bytes) c == '\n' ? words.emplace_back() : words.back() += c;
  refusing([&] { CheckpointEvery::parse(words.back()); });
  std::vector<const char*> arguments{"volley"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::Error&) {
  }
}

}  // namespace

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets{
      {"idx", read_idx_bytes},
      {"image", read_image_bytes},
      {"cifar", read_cifar_bytes},
      {"current", read_current_bytes},
      {"arrays", read_array_bytes},
      {"events", read_any_event_bytes},
      {"events_nmnist", read_event_bytes<EventFormat::nmnist>},
      {"events_bs1", read_event_bytes<EventFormat::bs1>},
      {"events_bs3", read_event_bytes<EventFormat::bs3>},
      {"events_aedat1", read_event_bytes<EventFormat::aedat1>},
      {"events_aedat2", read_event_bytes<EventFormat::aedat2>},
      {"events_aedat3", read_event_bytes<EventFormat::aedat3>},
      {"events_aedat4", read_event_bytes<EventFormat::aedat4>},
      {"events_evt2", read_event_bytes<EventFormat::evt2>},
      {"events_evt21", read_event_bytes<EventFormat::evt21>},
      {"events_evt3", read_event_bytes<EventFormat::evt3>},
      {"events_dat", read_event_bytes<EventFormat::dat>},
      {"events_es", read_event_bytes<EventFormat::es>},
      {"events_npz", read_event_bytes<EventFormat::npz>},
      {"events_csv", read_event_bytes<EventFormat::csv>},
      {"recipe", read_recipe_bytes},
      {"settings", read_setting_bytes},
      {"network", read_safetensors_bytes},
      {"checkpoint", read_checkpoint_bytes},
      {"command", read_command_bytes},
  };
  return targets;
}

}  // namespace volley::test
