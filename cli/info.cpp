#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include <volley/checkpoint.hpp>
#include <volley/dataset.hpp>
#include <volley/device.hpp>
#include <volley/error.hpp>
#include <volley/kernels.hpp>
#include <volley/known_sets.hpp>
#include <volley/threads.hpp>
#include <volley/version.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "figures/gnuplot.hpp"

namespace {

using volley::cli::say;

/// Where data sets are kept, or why nowhere.
std::string data_folder() {
  try {
    return volley::datasets::default_folder().string();
  } catch (const volley::Error&) {
    return "none: neither HOME nor XDG_CACHE_HOME is set";
  }
}

void info(bool as_json) {
  namespace kernels = volley::kernels;
  const std::string gnuplot = volley::gnuplot::version();
  nlohmann::ordered_json devices = nlohmann::ordered_json::array();
  for (const auto& [name, description] : volley::devices())
    devices.push_back({{"name", name}, {"description", description}});
  const nlohmann::ordered_json json{
      {"version", VOLLEY_VERSION},
      {"numerics", volley::numerics_version()},
      {"cpu", volley::cli::cpu_model()},
      {"processors", volley::ThreadPool::shared().size()},
      {"devices", devices},
      {"simd_compiled", kernels::compiled_targets()},
      {"simd_supported", kernels::supported_targets()},
      {"simd_active", kernels::active_target()},
      {"compiler", volley::cli::compiler()},
      {"data_folder", data_folder()},
      {"optional",
       {{"gnuplot", gnuplot.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(gnuplot)}}},
  };
  if (as_json) {
    say("{}", volley::cli::json_text(json));
    return;
  }
  say("volley      {}, numerics {}\n", VOLLEY_VERSION, volley::numerics_version());
  say("cpu         {}, {} usable processors\n", volley::cli::cpu_model(),
      volley::ThreadPool::shared().size());
  for (const auto& [name, description] : volley::devices()) say("device      {}: {}\n", name, description);
  say("simd        compiled {}; supported {}; active {}\n", fmt::join(kernels::compiled_targets(), ", "),
      fmt::join(kernels::supported_targets(), ", "), kernels::active_target());
  say("compiler    {}\n", volley::cli::compiler());
  say("data folder {}\n", data_folder());
  say("optional    gnuplot (figures): {}\n", gnuplot.empty() ? volley::gnuplot::kInstall : gnuplot);
}

}  // namespace

void add_info_command(CLI::App& app) {
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("info", "Version, processor, instruction sets, components");
  command->add_flag("--json", *as_json, "As JSON");
  command->footer("Example: volley info --json");
  command->callback([as_json] { info(*as_json); });
}
