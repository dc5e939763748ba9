#include "peer.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include <volley/dataset.hpp>
#include <volley/files.hpp>
#include <volley/known_sets.hpp>
#include <volley/process.hpp>
#include <volley/recipe.hpp>
#include <volley/text.hpp>

#include "embedded/peer_scripts.hpp"
#include "interrupt.hpp"

namespace volley::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kMissing = 3;  // exit codes of peers/common.py
constexpr int kUnmatched = 4;
constexpr const char* kPythonVariable = "VOLLEY_PEER_PYTHON";
constexpr std::size_t kTrialBatches = 24;

std::string script_of(const std::string& name) { return "run_" + name + ".py"; }

std::vector<std::string> peer_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& script : embedded::peer_scripts()) {
    if (!script.name.starts_with("run_")) continue;
    names.emplace_back(script.name.substr(4, script.name.size() - 4 - std::string_view(".py").size()));
  }
  return names;
}

std::string how_to_install(const std::string& name) {
  return fmt::format(
      "\n  To install it: python3 -m venv .peers && .peers/bin/pip install numpy torch {}\n"
      "  or with the distribution's torch: apt-get install python3-torch python3-venv && "
      "python3 -m venv --system-site-packages .peers && .peers/bin/pip install --no-deps {}\n"
      "  A Python elsewhere is named by --python or {}.",
      name, name, kPythonVariable);
}

fs::path find_python(const std::string& name, const std::string& given) {
  if (!given.empty()) return given;
  if (const char* variable = std::getenv(kPythonVariable); variable != nullptr && *variable != '\0') {
    return variable;
  }
  const std::vector<fs::path> places{fs::current_path() / ".peers" / "bin" / "python",
                                     datasets::default_folder() / ".peers" / "bin" / "python"};
  std::error_code ignored;
  for (const fs::path& place : places) {
    if (fs::exists(place, ignored)) return place;
  }
  throw Error(fmt::format("{} was not found: no {} and no {}{}", name, places[0].string(), places[1].string(),
                          how_to_install(name)));
}

/// The last line of `text` that says something.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  const std::size_t end = text.rfind('\n');
  return std::string(end == std::string_view::npos ? text : text.substr(end + 1));
}

std::vector<std::string> arguments_of(const PeerRun& run) {
  std::vector<std::string> arguments{
      "--recipe", run.recipe.string(), "--weights", run.weights.string(),
      "--data",   run.data.string(),   "--threads", std::to_string(run.threads)};
  if (run.same_spikes) arguments.emplace_back("--same-spikes");
  if (run.compiled) arguments.emplace_back("--compile");
  return arguments;
}

ProgramOptions options_of(const PeerRun& run) {
  ProgramOptions options;
  const std::string threads = std::to_string(run.threads);
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}) {
    options.environment.emplace_back(name, threads);
  }
  options.environment.emplace_back("PYTHONUNBUFFERED", "1");
  options.cancelled = Interrupts::asked;
  return options;
}

/// One record of the peer's output.
Json parse_record(const std::string& name, std::string_view line) {
  Json record = Json::parse(line, nullptr, false);
  if (record.is_object()) return record;
  throw Error(
      fmt::format("{}: expected a record in JSON from the peer, got '{}'", name, line.substr(0, 200)));
}

template <class T>
T field(const std::string& name, const Json& record, const char* key) {
  const auto found = record.find(key);
  const bool fits = found != record.end() && (std::is_arithmetic_v<T> ? found->is_number() : true);
  if (!fits) {
    throw Error(fmt::format("{}: expected a number '{}' from the peer, got '{}'", name, key,
                            record.dump().substr(0, 200)));
  }
  return found->get<T>();
}

EpochRecord epoch_of(const std::string& name, const Json& record) {
  EpochRecord epoch;
  epoch.epoch = field<std::size_t>(name, record, "epoch");
  epoch.train_loss = field<double>(name, record, "train_loss");
  epoch.train_acc = field<double>(name, record, "train_acc");
  epoch.test_loss = field<double>(name, record, "test_loss");
  epoch.test_acc = field<double>(name, record, "test_acc");
  epoch.train_samples_per_second = field<double>(name, record, "train_samples_per_second");
  epoch.test_samples_per_second = field<double>(name, record, "test_samples_per_second");
  return epoch;
}

void check_end(const std::string& name, const ProgramResult& result) {
  if (result.ok()) return;
  if (result.end == ProgramResult::End::cancelled) throw Error("interrupted");
  if (result.end == ProgramResult::End::exited && result.code == kUnmatched) {
    throw Error(last_line(result.err));
  }
  throw Error(fmt::format("{}: the peer failed ({}): {}", name, result.reason(), last_line(result.err)));
}

}  // namespace

void check_peer_name(const std::string& name) {
  const std::vector<std::string> names = peer_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  throw RecipeError(fmt::format("--peer: unknown framework '{}'{}", name, suggestion(name, names)));
}

Peer::Peer(const std::string& name, const std::string& python)
    : name_(name), python_(find_python(name, python)) {
  for (const EmbeddedFile& script : embedded::peer_scripts())
    write_file_whole(folder_.path() / script.name, script.text);
  describe();
}

void Peer::describe() {
  const ProgramResult result = run_program(
      {python_.string(), (folder_.path() / script_of(name_)).string(), "--describe"}, options_of({}));
  if (result.end == ProgramResult::End::not_started) {
    throw Error(fmt::format("{} was not found: cannot run {}: {}{}", name_, python_.string(), result.reason(),
                            how_to_install(name_)));
  }
  if (result.end == ProgramResult::End::exited && result.code == kMissing) {
    throw Error(fmt::format("{} was not found: {} has no module '{}'{}", name_, python_.string(),
                            parse_record(name_, last_line(result.out)).value("missing", "?"),
                            how_to_install(name_)));
  }
  check_end(name_, result);
  const Json record = parse_record(name_, last_line(result.out));
  most_threads_ = field<std::size_t>(name_, record, "threads");
  const Json modules = record.value("modules", Json::object());
  for (const auto& [module, version] : modules.items()) {
    versions_.emplace_back(module, version.is_string() ? version.get<std::string>() : version.dump());
  }
}

std::string Peer::version() const {
  std::string text;
  for (const std::string& wanted : {name_, std::string("torch")}) {
    for (const auto& [module, version] : versions_) {
      if (module == wanted) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", module, version);
    }
  }
  return text.empty() ? name_ : text;
}

double Peer::trial(const PeerRun& run) const {
  std::vector<std::string> arguments{python_.string(), (folder_.path() / script_of(name_)).string()};
  for (const std::string& argument : arguments_of(run)) arguments.push_back(argument);
  arguments.insert(arguments.end(), {"--trial", std::to_string(kTrialBatches)});
  const ProgramResult result = run_program(arguments, options_of(run));
  check_end(name_, result);
  return field<double>(name_, parse_record(name_, last_line(result.out)), "trial_samples_per_second");
}

Outcome Peer::train(const PeerRun& run, const std::function<void(const EpochRecord&)>& epoch) const {
  std::vector<std::string> arguments{python_.string(), (folder_.path() / script_of(name_)).string()};
  for (const std::string& argument : arguments_of(run)) arguments.push_back(argument);
  Outcome outcome;
  outcome.threads = run.threads;
  bool done = false;
  ProgramOptions options = options_of(run);
  // An error must not leave the program that is still running: it waits until that has ended.
  std::optional<Error> wrong;
  options.line = [&](std::string_view line) {
    try {
      const Json record = parse_record(name_, line);
      done = record.contains("done");
      if (done) outcome.first_step_seconds = field<double>(name_, record, "first_step_seconds");
      if (done || wrong.has_value()) return;
      outcome.epochs.push_back(epoch_of(name_, record));
      epoch(outcome.epochs.back());
    } catch (const Error& error) {
      if (!wrong.has_value()) wrong = error;
    }
  };
  const auto start = std::chrono::steady_clock::now();
  const ProgramResult result = run_program(arguments, options);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  check_end(name_, result);
  if (wrong.has_value()) throw *wrong;
  if (!done) throw Error(fmt::format("{}: the peer ended without saying that it was done", name_));
  outcome.peak_bytes = static_cast<double>(result.peak_bytes);
  return outcome;
}

}  // namespace volley::cli
