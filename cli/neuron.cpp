#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <volley/current_csv.hpp>
#include <volley/error.hpp>
#include <volley/files.hpp>
#include <volley/neuron.hpp>
#include <volley/text.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "figures/figure.hpp"

namespace {

using volley::ArgumentError;
using volley::Error;

constexpr std::size_t kMaxSteps = 1'000'000;
constexpr double kDefaultTime = 100;  // steps, or ms

/// What the command line says for every neuron.
struct Common {
  std::string current;
  std::optional<std::size_t> steps;
  std::string out;
  std::string plot, theme;
};

/// What it says for a neuron of one kind.
template <class Options>
struct Arguments : Common {
  Options options;
};

/// The continuous form of LIF.
struct Continuous {
  std::optional<double> tau_m, resistance, dt, duration;
};

/// A current that holds from a time on, until the next one does.
struct Segment {
  double from;
  double value;
};

struct Row {
  float x, h, v;
  bool spike;
  float threshold;  // what h had to reach
};

/// A layer of one neuron, its input, and what turns steps into time: docs/math/neuron_time.md.
struct Simulation {
  std::string_view model;
  std::shared_ptr<const volley::NeuronLayer> neuron;
  double dt = 1;  // of a step: 1, or ms
  bool continuous = false;
  double resistance = 1;  // 1, or MOhm
  double shift = 0;       // added to every input, so that the neuron leaks to 0 whatever its v_reset
  std::vector<double> current;
};

[[noreturn]] void usage(const std::string& text) { throw CLI::ValidationError(text); }

/// Runs a check of the library on a value from the command line; what it refuses is a usage error.
template <class Check>
void checked(Check&& check) {
  try {
    check();
  } catch (const Error& error) {
    usage(error.what());
  }
}

[[noreturn]] void wrong_current(const std::string& whole, const std::string& hint = "") {
  usage(fmt::format(
      "[neuron] --current must be constant:A, step:A@FROM, step:A@FROM-TO or a CSV file, got '{}'{}", whole,
      hint));
}

double parse_amplitude(std::string_view text, const std::string& whole) {
  double value = 0;
  if (!volley::parse_number(text, value)) wrong_current(whole);
  return value;
}

/// Refuses a word before a colon that is no keyword, unless there is a file of that name.
void check_keyword(const std::string& text) {
  const std::size_t colon = text.find(':');
  std::error_code ignored;
  if (colon == std::string::npos || std::filesystem::exists(text, ignored)) return;
  const std::vector<std::string> keywords{"constant", "step"};
  wrong_current(text, volley::suggestion(text.substr(0, colon), keywords));
}

/// "A@FROM" or "A@FROM-TO"
std::vector<Segment> parse_step(std::string_view text, const std::string& whole) {
  const std::size_t at = std::min(text.find('@'), text.size());
  const double value = parse_amplitude(text.substr(0, at), whole);
  const std::string_view times = text.substr(std::min(at + 1, text.size()));
  double from = 0;
  const char* end = std::from_chars(times.data(), times.data() + times.size(), from).ptr;
  const std::string_view rest = times.substr(static_cast<std::size_t>(end - times.data()));
  if (rest.empty() || rest.front() != '-') {
    from = parse_amplitude(times, whole);
    if (from < 0) usage(fmt::format("[neuron] a step of current must begin at 0 or later, got {}", from));
    return {{from, value}};
  }
  const double to = parse_amplitude(rest.substr(1), whole);
  if (!(from >= 0 && to > from))
    usage(fmt::format("[neuron] a step of current must end after it began, got {}", times));
  return {{from, value}, {to, 0.0}};
}

/// The input, and the time after which it says nothing more where that is known.
struct Current {
  std::vector<Segment> segments;
  std::optional<std::size_t> steps;  // a file's own length
  bool by_step = false;              // one value per step, so that there is none beyond `steps`
};

Current parse_current(const std::string& text, double dt) {
  constexpr std::string_view kConstant = "constant:", kStep = "step:";
  const std::string_view view = text;
  if (view.starts_with(kConstant))
    return {{{0, parse_amplitude(view.substr(kConstant.size()), text)}}, {}, false};
  if (view.starts_with(kStep)) return {parse_step(view.substr(kStep.size()), text), {}, false};
  check_keyword(text);
  const volley::CurrentCsv csv = volley::read_current_csv(text);
  Current current;
  current.by_step = csv.t.empty();
  for (std::size_t i = 0; i < csv.x.size(); ++i) {
    current.segments.push_back({current.by_step ? static_cast<double>(i) * dt : csv.t[i], csv.x[i]});
  }
  const double last = std::round(current.segments.back().from / dt);
  if (last >= kMaxSteps) {
    throw ArgumentError("neuron", fmt::format("{} must end within {} steps", text, kMaxSteps),
                        fmt::format("{}", last));
  }
  current.steps = static_cast<std::size_t>(last) + 1;
  return current;
}

/// One value per step; 0 before the first segment. A time counts as reached when it is, but for rounding.
std::vector<double> sample(const std::vector<Segment>& segments, double dt, std::size_t steps) {
  std::vector<double> current(steps, 0.0);
  for (const Segment& segment : segments) {
    const double first = std::ceil(segment.from / dt - 1e-9);
    if (first >= static_cast<double>(steps)) break;
    std::fill(current.begin() + static_cast<std::ptrdiff_t>(first), current.end(), segment.value);
  }
  return current;
}

/// Whether the form is continuous. `given` says which options of the discrete form were given too.
template <class Given>
bool check_form(const Continuous& c, const Given& given) {
  const int count = int{c.tau_m.has_value()} + int{c.resistance.has_value()} + int{c.dt.has_value()};
  if (count != 0 && count != 3) usage("[neuron] --tau-m, --resistance and --dt must be given together");
  if (count == 0) {
    if (c.duration.has_value())
      usage("[neuron] --duration needs --tau-m, --resistance and --dt; use --steps");
    return false;
  }
  if (given("--tau")) usage("[neuron] --tau (steps) must not be given with --tau-m (ms)");
  for (const char* discrete : {"--no-decay-input", "--tau-charge"}) {
    if (given(discrete)) usage(fmt::format("[neuron] {} must not be given with --tau-m", discrete));
  }
  if (c.duration.has_value() && given("--steps"))
    usage("[neuron] --duration and --steps must not be given together");
  checked([&] {
    volley::check_range("neuron", "tau_m", *c.tau_m, volley::above(0));
    volley::check_range("neuron", "resistance", *c.resistance, volley::above(0));
    volley::check_range("neuron", "dt", *c.dt, volley::above(0));
    if (c.duration.has_value()) volley::check_range("neuron", "duration", *c.duration, volley::above(0));
  });
  if (!(*c.dt < *c.tau_m)) usage(fmt::format("[neuron] dt must be < tau_m = {}, got {}", *c.tau_m, *c.dt));
  return true;
}

std::size_t count_steps(const Common& a, std::optional<double> duration, const Current& current, double dt) {
  std::optional<std::size_t> steps = a.steps;
  if (duration.has_value()) {
    const double count = std::round(*duration / dt);
    checked([&] { volley::check_range("neuron", "duration / dt", count, volley::between(1, kMaxSteps)); });
    steps = static_cast<std::size_t>(count);
  }
  if (current.by_step && steps > current.steps) {
    throw ArgumentError("neuron", fmt::format("{} must give a current for {} steps", a.current, *steps),
                        std::to_string(*current.steps));
  }
  if (steps.has_value()) return *steps;
  if (current.steps.has_value()) return *current.steps;
  const double count = std::clamp(std::round(kDefaultTime / dt), 1.0, static_cast<double>(kMaxSteps));
  return static_cast<std::size_t>(count);
}

std::vector<Row> simulate(const Simulation& simulation) {
  const std::size_t T = simulation.current.size();
  volley::Tensor x({1, T, 1});
  std::ranges::transform(simulation.current, x.data(), [&](double current) {
    return static_cast<float>(simulation.resistance * current + simulation.shift);
  });
  volley::ThreadPool caller(1);
  volley::Tape tape(caller);
  std::vector<std::uint8_t> spikes(T);
  simulation.neuron->forward(x, tape).spikes().to_bytes(spikes);
  const volley::Membrane membrane = simulation.neuron->membrane(tape).value();
  std::vector<Row> rows;
  rows.reserve(T);
  for (std::size_t t = 0; t < T; ++t) {
    const float h = membrane.h.data()[t];
    if (!std::isfinite(h)) {
      throw ArgumentError("neuron", "the potential must stay finite", fmt::format("{} at step {}", h, t));
    }
    rows.push_back({.x = static_cast<float>(simulation.current[t]),
                    .h = h,
                    .v = membrane.v.data()[t],
                    .spike = spikes[t] != 0,
                    .threshold = membrane.threshold.data()[t]});
  }
  return rows;
}

std::string time_text(double dt, std::size_t step) {
  return fmt::format("{:.10g}", static_cast<double>(step) * dt);
}

std::string to_csv(const std::vector<Row>& rows, double dt) {
  std::string csv = "t,x,h,v,s\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    csv += fmt::format("{},{},{},{},{}\n", time_text(dt, i), row.x, row.h, row.v, int{row.spike});
  }
  return csv;
}

std::string summary(const std::vector<Row>& rows, const Simulation& simulation) {
  const double dt = simulation.dt;
  const std::string_view model = simulation.model;
  const auto fired = [](const Row& row) { return row.spike; };
  const auto spikes = std::count_if(rows.begin(), rows.end(), fired);
  const double rate = static_cast<double>(spikes) / static_cast<double>(rows.size());
  std::string text = simulation.continuous ? fmt::format("{}: {} steps of {} ms, {} spikes, rate {:.6g} Hz",
                                                         model, rows.size(), dt, spikes, rate / dt * 1000)
                                           : fmt::format("{}: {} steps, {} spikes, rate {:.6g} per step",
                                                         model, rows.size(), spikes, rate);
  if (spikes == 0) return text;
  const auto first = std::find_if(rows.begin(), rows.end(), fired) - rows.begin();
  return text + fmt::format(", first at t = {}{}", time_text(dt, static_cast<std::size_t>(first)),
                            simulation.continuous ? " ms" : "");
}

void write_standard_output(const std::string& text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error(fmt::format("[neuron] cannot write to the standard output: {}", std::strerror(errno)));
  }
}

/// The current above, and below it the potential with its threshold and the spikes.
volley::Figure figure_of(const std::vector<Row>& rows, const Simulation& simulation) {
  using Kind = volley::Series::Kind;
  const bool units = simulation.continuous;
  volley::Series x{.kind = Kind::steps}, h{.name = "potential", .kind = Kind::steps, .marked = false},
      spikes{.name = "spikes", .kind = Kind::points, .color = 1},
      threshold{.name = "threshold", .kind = Kind::level};
  const auto add = [](volley::Series& series, double t, float value) {
    series.x.push_back(t);
    series.y.push_back(static_cast<double>(value));
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double t = static_cast<double>(i) * simulation.dt;
    add(x, t, rows[i].x);
    add(h, t, rows[i].h);
    add(threshold, t, rows[i].threshold);
    if (!rows[i].spike) continue;
    add(h, t, rows[i].v);
    add(spikes, t, rows[i].h);
  }
  volley::Plot current{.y = {.label = units ? "current x (nA)" : "current x"}, .series = {std::move(x)}};
  volley::Plot potential{.x = {.label = units ? "time (ms)" : volley::kTimeLabel},
                         .y = {.label = units ? "potential (mV)" : "potential"},
                         .series = {std::move(h), std::move(spikes), std::move(threshold)}};
  return {.title = summary(rows, simulation),
          .height = 680,
          .plots = {std::move(current), std::move(potential)},
          .rows = {1, 2}};
}

void run(const Simulation& simulation, const Common& a) {
  if (!a.plot.empty()) volley::cli::check_picture_name(a.plot);
  const std::vector<Row> rows = simulate(simulation);
  const std::string csv = to_csv(rows, simulation.dt);
  if (a.out.empty()) {
    write_standard_output(csv);
  } else {
    volley::write_file_whole(a.out, csv);
  }
  if (!a.plot.empty()) {
    volley::write_figure(figure_of(rows, simulation), a.plot, volley::cli::theme_named(a.theme));
  }
  fmt::print(stderr, "{}\n", summary(rows, simulation));
}

void add_common(CLI::App& command, Common& a) {
  command
      .add_option(
          "--current", a.current,
          "constant:A, step:A@FROM, step:A@FROM-TO, or a CSV file: one value per step, or columns t,x")
      ->required();
  command.add_option("--steps", a.steps, "Steps to simulate (default: 100, or as many as the CSV file has)")
      ->check(CLI::Range(std::size_t{1}, kMaxSteps));
  command.add_option("--out", a.out, "Write the CSV to this file and not to the standard output");
  command.add_option("--plot", a.plot, "Draw it into this PNG or SVG file");
  volley::cli::add_theme_option(command, a.theme);
}

/// What --help says of the fields that neurons share, before their ranges.
std::string_view help_of(std::string_view name) {
  if (name == "tau") return "Membrane time constant in steps, ";
  if (name == "v_threshold") return "Fires when h >= this; ";
  if (name == "v_reset") return "Potential after a spike; none: h - v_threshold";
  if (name == "v_init") return "Potential before the first step; none: v_reset, or 0";
  if (name == "refractory") return "Steps after a spike in which it neither charges nor fires, ";
  if (name == "tau_charge")
    return "Time constant of the charge in steps, > 0; none: tau, or 1 without decay_input";
  if (name == "decay_input") return "Do not divide the current by tau";
  if (name == "fires_at_threshold") return "Fire when h > v_threshold, and not at it";
  if (name == "scale_reset") return "Reset h / k, and not h";
  return "";
}

/// An option for each field that has a part in the simulation: --v-threshold for v_threshold.
struct AddOption {
  CLI::App& command;

  static std::string flag(std::string_view prefix, std::string_view name) {
    std::string text = fmt::format("--{}{}", prefix, name);
    std::ranges::replace(text, '_', '-');
    return text;
  }
  void operator()(std::string_view name, float& value, const volley::Range& range) const {
    command.add_option(flag("", name), value, fmt::format("{}{}", help_of(name), range.text()))
        ->capture_default_str();
  }
  void operator()(std::string_view name, std::optional<float>& value, const volley::Range&) const {
    const auto read = [&value, name](const std::string& text) {
      double number = 0;
      if (text != "none" && !volley::parse_number(text, number)) {
        usage(fmt::format("[neuron] {} must be a finite number or none, got '{}'", flag("", name), text));
      }
      value.reset();
      if (text != "none") value = static_cast<float>(number);
    };
    command.add_option_function<std::string>(flag("", name), read, std::string(help_of(name)))
        ->type_name("FLOAT|none")
        ->default_str(value.has_value() ? fmt::format("{}", *value) : "none");
  }
  void operator()(std::string_view name, std::size_t& value, const volley::Range& range) const {
    if (name == "channels") return;  // of a layer
    command.add_option(flag("", name), value, fmt::format("{}{}", help_of(name), range.text()))
        ->capture_default_str();
  }
  void operator()(std::string_view name, bool& value, const volley::Range&) const {
    if (name == "detach_reset" || name.starts_with("learn_")) return;  // of backward
    const bool given = !value;
    command.add_flag_callback(
        flag(given ? "" : "no-", name), [&value, given] { value = given; }, std::string(help_of(name)));
  }
  template <class T>
  void operator()(std::string_view, T&, const volley::Range&) const {}
};

constexpr const char* kColumns =
    "x input current, h potential after charge, s spike (h >= v_threshold), v potential after reset.\n"
    "Step t = 0 is the first. Numbers are float32, and those of a layer with the same options, to the bit.";

/// The command of a neuron, with the options that it has in steps.
template <class Options>
CLI::App* add_discrete(CLI::App& neuron, Arguments<Options>& a) {
  const std::string_view doc = Options::kDoc;
  const std::size_t first = doc.find('\n');
  CLI::App* command = neuron.add_subcommand(
      Options::kKind, fmt::format("{} One of them as CSV of t,x,h,v,s", doc.substr(0, first)));
  command->footer(fmt::format("{}\n\n{}\n\nExample: volley neuron {} --current constant:1.5 --steps 20",
                              doc.substr(first + 2), kColumns, Options::kKind));
  add_common(*command, a);
  Options::fields(a.options, AddOption{*command});
  return command;
}

template <class Options>
void run_discrete(const Arguments<Options>& a) {
  checked([&] { static_cast<void>(volley::Neuron<Options>(a.options)); });
  Simulation simulation{.model = Options::kKind,
                        .neuron = std::make_shared<volley::Neuron<Options>>(a.options)};
  const Current current = parse_current(a.current, 1);
  simulation.current = sample(current.segments, 1, count_steps(a, {}, current, 1));
  run(simulation, a);
}

/// A neuron that counts in steps only.
template <class Options>
void add_neuron(CLI::App& neuron) {
  const auto a = std::make_shared<Arguments<Options>>();
  add_discrete(neuron, *a)->callback([a] { run_discrete(*a); });
}

/// (N4) to (N6): LIF with tau = tau_m / dt, its potential counted from rest.
void run_continuous(Arguments<volley::LIFOptions> a, const Continuous& c) {
  a.options.tau = static_cast<float>(*c.tau_m / *c.dt);
  if (!a.options.v_init.has_value()) a.options.v_init = 0.0f;
  checked([&] { static_cast<void>(volley::LIF(a.options)); });
  const float rest = a.options.v_reset.value_or(0);
  Simulation simulation{.model = volley::LIFOptions::kKind,
                        .neuron = std::make_shared<volley::LIF>(a.options),
                        .dt = *c.dt,
                        .continuous = true,
                        .resistance = *c.resistance,
                        .shift = -static_cast<double>(rest)};
  const Current current = parse_current(a.current, simulation.dt);
  simulation.current =
      sample(current.segments, simulation.dt, count_steps(a, c.duration, current, simulation.dt));
  run(simulation, a);
}

void add_lif(CLI::App& neuron) {
  struct Both : Arguments<volley::LIFOptions> {
    Continuous continuous;
  };
  const auto a = std::make_shared<Both>();
  CLI::App* lif = add_discrete(neuron, *a);
  lif->footer(fmt::format(
      "{}\n"
      "With --tau-m, --resistance and --dt: tau_m dV/dt = -V + R I in Euler steps of dt; t in ms, x in nA, h "
      "and v in mV.\n"
      "\n"
      "Examples:\n"
      "  volley neuron lif --current constant:1.5 --steps 20\n"
      "  volley neuron lif --current step:2@10-60 --tau 4 --v-reset none --out trace.csv\n"
      "  volley neuron lif --current constant:2 --tau-m 20 --resistance 10 --dt 0.1 --v-threshold 15 "
      "--duration 200",
      kColumns));
  Continuous& c = a->continuous;
  lif->add_option("--tau-m", c.tau_m, "Membrane time constant in ms (continuous form)");
  lif->add_option("--resistance", c.resistance, "Membrane resistance in MOhm (continuous form)");
  lif->add_option("--dt", c.dt, "Euler step in ms, < tau-m (continuous form)");
  lif->add_option("--duration", c.duration,
                  "Time to simulate in ms, in place of --steps (continuous form; default: 100)");
  lif->callback([a, lif] {
    const auto given = [&](const char* name) { return lif->count(name) > 0; };
    check_form(a->continuous, given) ? run_continuous(*a, a->continuous) : run_discrete(*a);
  });
}

}  // namespace

void add_neuron_command(CLI::App& app) {
  CLI::App* neuron = app.add_subcommand("neuron", "Simulate one neuron under a given current");
  neuron->require_subcommand(1);
  neuron->footer("Example: volley neuron lif --current constant:1.5 --steps 20");
  volley::for_each_type(volley::Neurons{}, [&]<class Options>() {
    if constexpr (std::is_same_v<Options, volley::LIFOptions>) {
      add_lif(*neuron);
    } else {
      add_neuron<Options>(*neuron);
    }
  });
}
