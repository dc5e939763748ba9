#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <volley/error.hpp>
#include <volley/neuron.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "core/files.hpp"
#include "data/current_csv.hpp"
#include "figures/figure.hpp"
#include "reference/neurons.hpp"

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

/// What it says for LIF, which has a continuous form too.
struct Arguments : Common {
  double v_threshold = 1;
  std::string v_reset = "0";
  std::optional<double> tau;
  bool no_decay_input = false;
  std::optional<double> tau_m, resistance, dt, duration;

  bool continuous() const { return tau_m.has_value(); }
};

/// A current that holds from a time on, until the next one does.
struct Segment {
  double from;
  double value;
};

struct Row {
  double x, h, v;
  bool spike;
  double threshold;  // what h had to reach
};

/// A neuron, its input, and what turns steps into time: docs/math/neuron_time.md.
struct Simulation {
  std::string_view model;
  std::function<Row(double x)> step;
  double dt = 1;  // of a step: 1, or ms
  bool continuous = false;
  double resistance = 1;  // 1, or MOhm
  double shift = 0;       // added to every input, so that the neuron leaks to 0 whatever its v_reset
  std::vector<double> current;
};

/// One neuron's life, a step a call.
template <class Neuron>
std::function<Row(double)> life_of(const Neuron& neuron, std::optional<double> start = {}) {
  std::array<double, Neuron::kStates> z{};
  neuron.start(z.data());
  if (start.has_value()) z[0] = *start;
  return [neuron, z](double x) mutable {
    neuron.charge(z.data(), x);
    const double h = z[0];
    const double threshold = h - neuron.above(z.data());
    const double s = volley::reference::spike_of(neuron, z.data(), {}, volley::reference::Fire::hard);
    neuron.reset(z.data(), s, s);
    return Row{x, h, z[0], s != 0, threshold};
  };
}

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

double parse_amplitude(std::string_view text, const std::string& whole) {
  double value = 0;
  if (!volley::parse_number(text, value)) {
    usage(fmt::format(
        "[neuron] --current must be constant:A, step:A@FROM, step:A@FROM-TO or a CSV file, got '{}'", whole));
  }
  return value;
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

void check_form(const Arguments& a) {
  const int given = int{a.tau_m.has_value()} + int{a.resistance.has_value()} + int{a.dt.has_value()};
  if (given != 0 && given != 3) usage("[neuron] --tau-m, --resistance and --dt must be given together");
  if (given == 0) {
    if (a.duration.has_value())
      usage("[neuron] --duration needs --tau-m, --resistance and --dt; use --steps");
    return;
  }
  if (a.tau.has_value()) usage("[neuron] --tau (steps) must not be given with --tau-m (ms)");
  if (a.no_decay_input) usage("[neuron] --no-decay-input must not be given with --tau-m");
  if (a.duration.has_value() && a.steps.has_value())
    usage("[neuron] --duration and --steps must not be given together");
  checked([&] {
    volley::check_range("neuron", "tau_m", *a.tau_m, volley::above(0));
    volley::check_range("neuron", "resistance", *a.resistance, volley::above(0));
    volley::check_range("neuron", "dt", *a.dt, volley::above(0));
    if (a.duration.has_value()) volley::check_range("neuron", "duration", *a.duration, volley::above(0));
  });
  if (!(*a.dt < *a.tau_m)) usage(fmt::format("[neuron] dt must be < tau_m = {}, got {}", *a.tau_m, *a.dt));
}

volley::reference::LIFNeuron<double> neuron_parameters(const Arguments& a) {
  volley::reference::LIFNeuron<double> p;
  p.tau = a.continuous() ? *a.tau_m / *a.dt : a.tau.value_or(p.tau);
  p.v_threshold = a.v_threshold;
  p.decay_input = !a.no_decay_input;
  p.v_reset.reset();
  if (a.v_reset != "none") {
    double value = 0;
    if (!volley::parse_number(a.v_reset, value)) {
      usage(fmt::format("[neuron] --v-reset must be a finite number or none, got '{}'", a.v_reset));
    }
    p.v_reset = value;
  }
  volley::LIFOptions same;  // the rules of the layer hold for its single neuron too
  same.tau = static_cast<float>(p.tau);
  same.v_threshold = static_cast<float>(p.v_threshold);
  if (p.v_reset.has_value()) same.v_reset = static_cast<float>(*p.v_reset);
  checked([&] { volley::check_fields("lif", same); });
  return p;
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

Simulation plan(const Arguments& a) {
  check_form(a);
  const volley::reference::LIFNeuron<double> neuron = neuron_parameters(a);
  Simulation simulation{.model = "lif", .continuous = a.continuous()};
  if (a.continuous()) {
    simulation.dt = *a.dt;
    simulation.resistance = *a.resistance;
    simulation.shift = -neuron.rest();  // (N6)
    simulation.step = life_of(neuron, 0.0);
  } else {
    simulation.step = life_of(neuron);
  }
  const Current current = parse_current(a.current, simulation.dt);
  simulation.current =
      sample(current.segments, simulation.dt, count_steps(a, a.duration, current, simulation.dt));
  return simulation;
}

std::vector<Row> simulate(const Simulation& simulation) {
  std::vector<Row> rows;
  rows.reserve(simulation.current.size());
  for (const double x : simulation.current) {
    Row row = simulation.step(simulation.resistance * x + simulation.shift);
    row.x = x;
    if (!std::isfinite(row.h)) {
      throw ArgumentError("neuron", "the potential must stay finite",
                          fmt::format("{} at step {}", row.h, rows.size()));
    }
    rows.push_back(row);
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
  volley::Series x{.kind = Kind::steps}, h{.name = "potential", .marked = false},
      spikes{.name = "spikes", .kind = Kind::points, .color = 1},
      threshold{.name = "threshold", .kind = Kind::level};
  const auto add = [](volley::Series& series, double t, double value) {
    series.x.push_back(t);
    series.y.push_back(value);
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
  volley::Plot potential{.x = {.label = units ? "time (ms)" : "time (steps)"},
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

/// An option for each field that has a part in the simulation: --v-threshold for v_threshold.
struct AddOption {
  CLI::App& command;

  static std::string flag(std::string_view prefix, std::string_view name) {
    std::string text = fmt::format("--{}{}", prefix, name);
    std::ranges::replace(text, '_', '-');
    return text;
  }
  void operator()(std::string_view name, float& value, const volley::Range&) const {
    command.add_option(flag("", name), value)->capture_default_str();
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
    command.add_option_function<std::string>(flag("", name), read, "A number, or none for a soft reset")
        ->default_str(fmt::format("{}", *value));
  }
  void operator()(std::string_view name, bool& value, const volley::Range&) const {
    if (value) command.add_flag_callback(flag("no-", name), [&value] { value = false; });
  }
  template <class T>
  void operator()(std::string_view, T&, const volley::Range&) const {}
};

/// A neuron that counts in steps only.
template <class Options>
void add_neuron(CLI::App& neuron) {
  struct Both : Common {
    Options options;
  };
  const std::string_view doc = Options::kDoc;
  const std::size_t first = doc.find('\n');
  CLI::App* command = neuron.add_subcommand(
      Options::kKind, fmt::format("{} One of them as CSV of t,x,h,v,s", doc.substr(0, first)));
  command->footer(fmt::format("{}\n\nExample: volley neuron {} --current constant:1.5 --steps 20",
                              doc.substr(first + 2), Options::kKind));
  const auto a = std::make_shared<Both>();
  add_common(*command, *a);
  Options::fields(a->options, AddOption{*command});
  command->callback([a] {
    checked([&] { volley::check_fields(Options::kKind, a->options); });
    Simulation simulation{.model = Options::kKind,
                          .step = life_of(volley::reference::neuron_of<double>(a->options))};
    const Current current = parse_current(a->current, 1);
    simulation.current = sample(current.segments, 1, count_steps(*a, {}, current, 1));
    run(simulation, *a);
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it loses track of what std::function owns
  });
}

void add_lif(CLI::App& neuron) {
  CLI::App* lif = neuron.add_subcommand(
      "lif", "A leaky integrate-and-fire neuron under a given current: CSV of t,x,h,v,s");
  lif->footer(
      "x input current, h potential after charge, s spike (h >= v_threshold), v potential after reset.\n"
      "With --tau-m, --resistance and --dt: tau_m dV/dt = -V + R I in Euler steps of dt; t in ms, x in nA, h "
      "and v in mV.\n"
      "\n"
      "Examples:\n"
      "  volley neuron lif --current constant:1.5 --steps 20\n"
      "  volley neuron lif --current step:2@10-60 --tau 4 --v-reset none --out trace.csv\n"
      "  volley neuron lif --current constant:2 --tau-m 20 --resistance 10 --dt 0.1 --v-threshold 15 "
      "--duration 200");
  const auto a = std::make_shared<Arguments>();
  add_common(*lif, *a);
  lif->add_option("--tau", a->tau, "Membrane time constant in steps, > 1 (default: 2)");
  lif->add_option("--v-threshold", a->v_threshold, "Fires when h >= this")->capture_default_str();
  lif->add_option("--v-reset", a->v_reset, "Potential after a spike; none: h - v_threshold")
      ->capture_default_str();
  lif->add_flag("--no-decay-input", a->no_decay_input, "Do not divide the current by tau");
  lif->add_option("--tau-m", a->tau_m, "Membrane time constant in ms (continuous form)");
  lif->add_option("--resistance", a->resistance, "Membrane resistance in MOhm (continuous form)");
  lif->add_option("--dt", a->dt, "Euler step in ms, < tau-m (continuous form)");
  lif->add_option("--duration", a->duration,
                  "Time to simulate in ms, in place of --steps (continuous form; default: 100)");
  lif->callback([a] { run(plan(*a), *a); });
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
