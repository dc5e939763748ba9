#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <volley/neuron.hpp>

#include "core/files.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"

// `volley neuron lif` against traces worked out by hand from docs/math/lif.md and docs/math/neuron_time.md.

namespace volley::test {
namespace {

ProgramResult lif(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"neuron", "lif"});
  return run_volley(arguments);
}

std::string trace_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = lif(arguments);
  EXPECT_TRUE(result.ok()) << result.err;
  return result.out;
}

using Row = std::vector<double>;  // t, x, h, v, s

std::vector<Row> rows_of(const std::string& csv) {
  std::istringstream lines(csv);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "t,x,h,v,s");
  std::vector<Row> rows;
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    Row row;
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stod(cell));
    EXPECT_EQ(row.size(), 5u) << line;
    rows.push_back(row);
  }
  return rows;
}

TEST(NeuronCommand, HardResetWithDecayInput) {  // (L1), (L4)
  EXPECT_EQ(trace_of({"--current", "constant:1.5", "--steps", "4"}),
            "t,x,h,v,s\n0,1.5,0.75,0.75,0\n1,1.5,1.125,0,1\n2,1.5,0.75,0.75,0\n3,1.5,1.125,0,1\n");
}

// (L15), (L16): after the spike at 1 the potential is held for two steps.
TEST(NeuronCommand, RefractoryPeriodInitialPotentialAndTauCharge) {
  EXPECT_EQ(trace_of({"--current", "constant:1.5", "--steps", "5", "--refractory", "2"}),
            "t,x,h,v,s\n0,1.5,0.75,0.75,0\n1,1.5,1.125,0,1\n2,1.5,0,0,0\n3,1.5,0,0,0\n4,1.5,0.75,0.75,0\n");
  EXPECT_EQ(trace_of({"--current", "constant:0", "--steps", "2", "--v-init", "0.5"}),
            "t,x,h,v,s\n0,0,0.25,0.25,0\n1,0,0.125,0.125,0\n");
  // (L14)
  EXPECT_EQ(trace_of({"--current", "constant:1", "--steps", "2", "--tau-charge", "4"}),
            "t,x,h,v,s\n0,1,0.25,0.25,0\n1,1,0.375,0.375,0\n");
  // In ms, from 10 mV: half of it leaks in the first step of tau / 2.
  EXPECT_EQ(trace_of({"--current", "constant:0", "--tau-m", "2", "--dt", "1", "--resistance", "1", "--v-init",
                      "10", "--v-threshold", "20", "--steps", "1"}),
            "t,x,h,v,s\n0,0,5,5,0\n");
}

TEST(NeuronCommand, HardResetLeaksToTheResetPotential) {
  EXPECT_EQ(trace_of({"--current", "constant:2", "--steps", "3", "--v-reset", "-1"}),
            "t,x,h,v,s\n0,2,0,0,0\n1,2,0.5,0.5,0\n2,2,0.75,0.75,0\n");
}

TEST(NeuronCommand, SoftResetKeepsWhatIsAboveTheThreshold) {  // (L5)
  EXPECT_EQ(trace_of({"--current", "constant:3", "--steps", "3", "--v-reset", "none"}),
            "t,x,h,v,s\n0,3,1.5,0.5,1\n1,3,1.75,0.75,1\n2,3,1.875,0.875,1\n");
}

TEST(NeuronCommand, WithoutDecayInputTheCurrentIsNotDivided) {  // (L2)
  EXPECT_EQ(trace_of({"--current", "constant:0.75", "--steps", "3", "--tau", "4", "--no-decay-input"}),
            "t,x,h,v,s\n0,0.75,0.75,0.75,0\n1,0.75,1.3125,0,1\n2,0.75,0.75,0.75,0\n");
}

TEST(NeuronCommand, TheThresholdItselfFires) {  // (L3)
  EXPECT_EQ(trace_of({"--current", "constant:2", "--steps", "2"}), "t,x,h,v,s\n0,2,1,0,1\n1,2,1,0,1\n");
  EXPECT_EQ(trace_of({"--current", "constant:2", "--steps", "1", "--v-threshold", "1.0625"}),
            "t,x,h,v,s\n0,2,1,1,0\n");
}

TEST(NeuronCommand, AStepOfCurrentBeginsAndEnds) {
  const std::vector<Row> open = rows_of(trace_of({"--current", "step:0.5@2", "--steps", "5"}));
  const std::vector<Row> closed = rows_of(trace_of({"--current", "step:0.5@2-4", "--steps", "5"}));
  const Row expected_open{0, 0, 0.5, 0.5, 0.5}, expected_closed{0, 0, 0.5, 0.5, 0};
  ASSERT_EQ(open.size(), 5u);
  ASSERT_EQ(closed.size(), 5u);
  for (std::size_t t = 0; t < 5; ++t) {
    EXPECT_EQ(open[t][1], expected_open[t]);
    EXPECT_EQ(closed[t][1], expected_closed[t]);
  }
  EXPECT_EQ(rows_of(trace_of({"--current", "step:1@0"})).size(), 100u);
}

TEST(NeuronCommand, ACurrentFromAFile) {
  const TempFolder folder;
  write_file_whole(folder / "column.csv", "x\n1\n0\n2\n");
  EXPECT_EQ(trace_of({"--current", (folder / "column.csv").string()}),
            "t,x,h,v,s\n0,1,0.5,0.5,0\n1,0,0.25,0.25,0\n2,2,1.125,0,1\n");
  EXPECT_EQ(trace_of({"--current", (folder / "column.csv").string(), "--steps", "1"}),
            "t,x,h,v,s\n0,1,0.5,0.5,0\n");
  write_file_whole(folder / "times.csv", "t,x\n1,1\n3,0\n");  // each value holds until the next
  EXPECT_EQ(trace_of({"--current", (folder / "times.csv").string(), "--steps", "5"}),
            "t,x,h,v,s\n0,0,0,0,0\n1,1,0.5,0.5,0\n2,1,0.75,0.75,0\n3,0,0.375,0.375,0\n4,0,0.1875,0.1875,0\n");
}

TEST(NeuronCommand, TheContinuousFormIsEulersMethod) {  // in float32, rounded where the layer rounds
  const float inv_tau = 1 / (20.0f / 0.1f), threshold = 15, reset = -5, current = 2 * 10 + 5;  // (N4), (N6)
  const std::vector<Row> rows =
      rows_of(trace_of({"--current", "constant:2", "--tau-m", "20", "--resistance", "10", "--dt", "0.1",
                        "--v-threshold", "15", "--v-reset", "-5", "--duration", "100"}));
  ASSERT_EQ(rows.size(), 1000u);
  float potential = 0;  // at rest, and leaking to rest, whatever the reset
  double exact = 0;     // (N2), whose rounding errors are those of double
  int spikes = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    potential = std::fma(current - (potential - reset), inv_tau, potential);
    exact += 0.1 / 20 * (-exact + 10 * 2);
    EXPECT_NEAR(rows[k][0], static_cast<double>(k) * 0.1, 1e-9);
    EXPECT_EQ(rows[k][1], 2);
    EXPECT_EQ(static_cast<float>(rows[k][2]), potential) << "at step " << k;
    EXPECT_NEAR(rows[k][2], exact, 1e-4);
    const bool fires = potential >= threshold;
    EXPECT_EQ(rows[k][4], fires ? 1 : 0) << "at step " << k;
    if (fires) exact = potential = reset;
    spikes += fires;
    EXPECT_EQ(static_cast<float>(rows[k][3]), potential);
  }
  EXPECT_GT(spikes, 1);
}

TEST(NeuronCommand, TheTwoFormsAreOneUnderTheMapping) {  // (N5)
  const std::vector<Row> discrete = rows_of(
      trace_of({"--current", "step:20@16-320", "--tau", "160", "--steps", "400", "--v-threshold", "12"}));
  const std::vector<Row> continuous =
      rows_of(trace_of({"--current", "step:2@2-40", "--tau-m", "20", "--dt", "0.125", "--resistance", "10",
                        "--steps", "400", "--v-threshold", "12"}));
  ASSERT_EQ(discrete.size(), continuous.size());
  for (std::size_t k = 0; k < discrete.size(); ++k) {
    for (const std::size_t column : {2, 3, 4})
      EXPECT_EQ(discrete[k][column], continuous[k][column]) << "step " << k;
  }
}

TEST(NeuronCommand, TimesOfTheContinuousFormAreMilliseconds) {
  const std::vector<Row> rows = rows_of(trace_of({"--current", "step:1@0.3-0.6", "--tau-m", "10", "--dt",
                                                  "0.1", "--resistance", "1", "--duration", "0.8"}));
  ASSERT_EQ(rows.size(), 8u);
  for (std::size_t k = 0; k < 8; ++k) EXPECT_EQ(rows[k][1], k >= 3 && k < 6 ? 1 : 0) << "step " << k;
}

TEST(NeuronCommand, TheSummaryCountsSpikes) {
  EXPECT_EQ(lif({"--current", "constant:1.5", "--steps", "8"}).err,
            "lif: 8 steps, 4 spikes, rate 0.5 per step, first at t = 1\n");
  EXPECT_EQ(lif({"--current", "constant:0", "--steps", "8"}).err,
            "lif: 8 steps, 0 spikes, rate 0 per step\n");
  EXPECT_EQ(
      lif({"--current", "constant:4", "--tau-m", "2", "--dt", "1", "--resistance", "1", "--duration", "10"})
          .err,
      "lif: 10 steps of 1 ms, 10 spikes, rate 1000 Hz, first at t = 0 ms\n");
}

TEST(NeuronCommand, OutWritesTheSameTraceToAFile) {
  const TempFolder folder;
  const std::vector<std::string> arguments{"--current", "constant:1.5", "--steps", "8"};
  std::vector<std::string> to_file = arguments;
  to_file.insert(to_file.end(), {"--out", (folder / "trace.csv").string()});
  EXPECT_EQ(trace_of(to_file), "");
  EXPECT_EQ(read_file(folder / "trace.csv", 1 << 20), trace_of(arguments));
}

void expect_refused(const std::vector<std::string>& arguments, int code, const std::string& text) {
  const ProgramResult result = lif(arguments);
  EXPECT_EQ(result.end, ProgramResult::End::exited);
  EXPECT_EQ(result.code, code) << text;
  EXPECT_NE(result.err.find(text), std::string::npos) << "expected: " << text << "\ngot: " << result.err;
  EXPECT_EQ(result.out, "");
}

TEST(NeuronCommand, WrongCallsAreUsageErrors) {
  const std::string form =
      "[neuron] --current must be constant:A, step:A@FROM, step:A@FROM-TO or a CSV file, got ";
  expect_refused({}, 2, "--current");
  expect_refused({"--current", "constant:1", "--steps", "0"}, 2, "--steps");
  expect_refused({"--current", "constant:"}, 2, form + "'constant:'");
  expect_refused({"--current", "constant:nan"}, 2, form + "'constant:nan'");
  expect_refused({"--current", "step:1"}, 2, form + "'step:1'");
  expect_refused({"--current", "step:1@2-x"}, 2, form + "'step:1@2-x'");
  expect_refused({"--current", "step:1@-3"}, 2,
                 "[neuron] a step of current must begin at 0 or later, got -3");
  expect_refused({"--current", "step:1@5-5"}, 2,
                 "[neuron] a step of current must end after it began, got 5-5");
  expect_refused({"--current", "constant:1", "--tau", "1"}, 2, "[lif] tau must be > 1, got 1");
  expect_refused({"--current", "constant:1", "--tau", "nan"}, 2, "[lif] tau must be > 1, got nan");
  expect_refused({"--current", "constant:1", "--v-threshold", "inf"}, 2,
                 "[lif] v_threshold must be a finite number");
  expect_refused({"--current", "constant:1", "--tau-charge", "3", "--no-decay-input"}, 2,
                 "[lif] tau_charge must be none where decay_input is false, got 3");
  expect_refused({"--current", "constant:1", "--tau-charge", "0"}, 2, "[lif] tau_charge must be > 0, got 0");
  expect_refused(
      {"--current", "constant:1", "--tau-charge", "3", "--tau-m", "2", "--resistance", "1", "--dt", "1"}, 2,
      "[neuron] --tau-charge must not be given with --tau-m");
  expect_refused({"--current", "constant:1", "--refractory", "20000000"}, 2,
                 "[lif] refractory must be >= 0 and <= 16777216, got 20000000");
  expect_refused({"--current", "constant:1", "--v-reset", "soft"}, 2,
                 "[neuron] --v-reset must be a finite number or none, got 'soft'");
}

TEST(NeuronCommand, TheContinuousFormIsAllOrNothing) {
  const auto refused = [](std::vector<std::string> more, const std::string& text) {
    more.insert(more.begin(), {"--current", "constant:1"});
    expect_refused(more, 2, text);
  };
  refused({"--tau-m", "20"}, "[neuron] --tau-m, --resistance and --dt must be given together");
  refused({"--tau-m", "20", "--dt", "1"}, "[neuron] --tau-m, --resistance and --dt must be given together");
  refused({"--duration", "20"}, "[neuron] --duration needs --tau-m, --resistance and --dt; use --steps");
  const std::vector<std::string> whole{"--tau-m", "20", "--dt", "1", "--resistance", "10"};
  const auto also = [&](std::vector<std::string> more, const std::string& text) {
    more.insert(more.begin(), whole.begin(), whole.end());
    refused(more, text);
  };
  also({"--tau", "3"}, "[neuron] --tau (steps) must not be given with --tau-m (ms)");
  also({"--no-decay-input"}, "[neuron] --no-decay-input must not be given with --tau-m");
  also({"--duration", "20", "--steps", "20"}, "[neuron] --duration and --steps must not be given together");
  also({"--duration", "0"}, "[neuron] duration must be > 0, got 0");
  also({"--duration", "1e9"}, "[neuron] duration / dt must be >= 1 and <= 1000000, got 1000000000");
  refused({"--tau-m", "0", "--dt", "1", "--resistance", "10"}, "[neuron] tau_m must be > 0, got 0");
  refused({"--tau-m", "1", "--dt", "-1", "--resistance", "10"}, "[neuron] dt must be > 0, got -1");
  refused({"--tau-m", "1", "--dt", "0.1", "--resistance", "0"}, "[neuron] resistance must be > 0, got 0");
  refused({"--tau-m", "1", "--dt", "1", "--resistance", "1"}, "[neuron] dt must be < tau_m = 1, got 1");
}

TEST(NeuronCommand, WhatFailsWhileRunningIsExitOne) {
  const TempFolder folder;
  const std::string file = (folder / "wave.csv").string();
  expect_refused({"--current", file}, 1, file + ": cannot read: ");
  write_file_whole(file, "1\n2\nthree\n");
  expect_refused({"--current", file}, 1, file + ":3: expected a finite number, got 'three'");
  write_file_whole(file, "1\n2\n");
  expect_refused({"--current", file, "--steps", "3"}, 1, file + " must give a current for 3 steps, got 2");
  write_file_whole(file, "0,1\n1e12,2\n");
  expect_refused({"--current", file}, 1, file + " must end within 1000000 steps, got 1000000000000");
  expect_refused({"--current", "constant:1", "--out", (folder / "no" / "trace.csv").string()}, 1,
                 "cannot write: ");
  expect_refused({"--current", "constant:1e308", "--tau-m", "10", "--dt", "1", "--resistance", "1e10"}, 1,
                 "[neuron] the potential must stay finite, got inf at step 0");
}

TEST(NeuronCommand, AFullDiskOrAClosedPipeIsAnError) {
  const std::string call = VOLLEY_BINARY_DIR "/volley neuron lif --current constant:1 --steps 100000";
  const ProgramResult full = run_program({"sh", "-c", call + " > /dev/full"});
  EXPECT_EQ(full.code, 1);
  EXPECT_NE(full.err.find("cannot write to the standard output: No space left on device"), std::string::npos)
      << full.err;
  const ProgramResult closed = run_program({"sh", "-c", "(" + call + "; echo code $? >&2) | true"});
  EXPECT_NE(closed.err.find("cannot write to the standard output: Broken pipe"), std::string::npos)
      << closed.err;
  EXPECT_NE(closed.err.find("code 1"), std::string::npos) << closed.err;
}

// The other neurons, by hand; c and w are not shown but felt.
TEST(NeuronCommand, KnowsTheOtherNeurons) {
  const auto trace = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "neuron");
    const ProgramResult result = run_volley(arguments);
    EXPECT_TRUE(result.ok()) << result.err;
    return result.out;
  };
  EXPECT_EQ(trace({"if", "--current", "constant:0.5", "--steps", "3"}),
            "t,x,h,v,s\n0,0.5,0.5,0.5,0\n1,0.5,1,0,1\n2,0.5,0.5,0.5,0\n");
  EXPECT_EQ(trace({"if", "--current", "constant:0.5", "--steps", "3", "--no-fires-at-threshold", "--v-reset",
                   "none"}),
            "t,x,h,v,s\n0,0.5,0.5,0.5,0\n1,0.5,1,1,0\n2,0.5,1.5,0.5,1\n");
  EXPECT_EQ(trace({"cuba_lif", "--current", "step:1@0-1", "--steps", "3"}),
            "t,x,h,v,s\n0,1,1,0,1\n1,0,0.5,0,1\n2,0,0.25,0.25,0\n");
  EXPECT_EQ(trace({"izhikevich", "--current", "constant:2", "--steps", "2", "--v-c", "0.5", "--v-rest", "0",
                   "--b", "1"}),
            "t,x,h,v,s\n0,2,1,0,1\n1,2,0.5,0.5,0\n");
  for (const std::string name : {"if", "plif", "qif", "eif", "izhikevich", "cuba_lif", "alif"}) {
    EXPECT_EQ(rows_of(trace({name, "--current", "constant:1.5"})).size(), 100u) << name;
  }
}

std::vector<Row> rows_of_kind(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "neuron");
  const ProgramResult result = run_volley(arguments);
  EXPECT_TRUE(result.ok()) << result.err;
  return rows_of(result.out);
}

/// What a layer of one neuron fires under the currents.
template <class Options>
std::vector<int> spikes_of_layer(const Options& options, const std::vector<float>& currents) {
  Tensor x({1, currents.size(), 1});
  std::ranges::copy(currents, x.data());
  Tape tape;
  const Neuron<Options> layer(options);
  const Signal s = layer.forward(x, tape);
  std::vector<int> spikes;
  for (std::size_t t = 0; t < currents.size(); ++t) spikes.push_back(s.spikes().fired(0, t, 0));
  return spikes;
}

std::vector<int> spikes_in(const std::vector<Row>& rows) {
  std::vector<int> spikes;
  for (const Row& row : rows) spikes.push_back(static_cast<int>(row[4]));
  return spikes;
}

TEST(NeuronCommand, FiresWhenTheLayerDoes) {  // in float32: double has 49, 9, 99, 19 for IF
  const std::vector<std::pair<std::string, std::size_t>> currents{
      {"0.02", 50}, {"0.1", 9}, {"0.01", 100}, {"0.05", 19}};
  for (const auto& [current, first] : currents) {
    const std::vector<int> spikes =
        spikes_in(rows_of_kind({"if", "--current", "constant:" + current, "--steps", "300"}));
    EXPECT_EQ(spikes, spikes_of_layer(IFOptions{}, std::vector<float>(300, std::stof(current)))) << current;
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::find(spikes, 1) - spikes.begin()), first) << current;
  }
}

TEST(NeuronCommand, EveryNeuronFiresWhenItsLayerDoes) {
  const TempFolder folder;
  const std::string file = (folder / "currents.csv").string();
  std::string csv;
  std::vector<float> currents;
  std::minstd_rand random(5);
  for (int i = 0; i < 2000; ++i) {  // many of them small, so that rounding has time to show
    currents.push_back(static_cast<float>(random() % 1000) * 0.0007f);
    csv += fmt::format("{}\n", currents.back());
  }
  write_file_whole(file, csv);
  for_each_type(Neurons{}, [&]<class Options>() {
    SCOPED_TRACE(Options::kKind);
    EXPECT_EQ(spikes_in(rows_of_kind({Options::kKind, "--current", file})),
              spikes_of_layer(Options{}, currents));
    Options strict;
    strict.fires_at_threshold = false;
    strict.v_threshold = 0.35f;
    EXPECT_EQ(spikes_in(rows_of_kind(
                  {Options::kKind, "--current", file, "--no-fires-at-threshold", "--v-threshold", "0.35"})),
              spikes_of_layer(strict, currents));
  });
}

TEST(NeuronCommand, HasEveryOptionThatChangesATrace) {
  EXPECT_EQ(trace_of({"--current", "constant:2", "--steps", "2", "--no-fires-at-threshold"}),
            "t,x,h,v,s\n0,2,1,1,0\n1,2,1.5,0,1\n");
  EXPECT_EQ(
      rows_of_kind({"klif", "--current", "constant:3", "--steps", "2", "--scale-reset", "--v-reset", "none"}),
      (std::vector<Row>{{0, 3, 1.5, 0.5, 1}, {1, 3, 1.75, 0.75, 1}}));
  // Each has an option for each of its fields, but for those of backward.
  for_each_type(Neurons{}, [&]<class Options>() {
    const std::string help = run_volley({"neuron", Options::kKind, "--help"}).out;
    Options options;
    const auto look = [&]<class T>(std::string_view name, const T& value, const Range&) {
      if (name == "detach_reset" || name == "channels" || name.starts_with("learn_")) return;
      std::string flag(name);
      std::ranges::replace(flag, '_', '-');
      if constexpr (std::is_same_v<T, bool>) {
        flag = (value ? "--no-" : "--") + flag;
      } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, std::optional<float>> ||
                           std::is_same_v<T, std::size_t>) {
        flag = "--" + flag;
      } else {
        return;  // surrogates
      }
      EXPECT_NE(help.find("  " + flag + " "), std::string::npos) << Options::kKind << " " << flag;
    };
    Options::fields(options, look);
  });
}

TEST(NeuronCommand, AMisspeltCurrentIsNamed) {
  const std::string form =
      "[neuron] --current must be constant:A, step:A@FROM, step:A@FROM-TO or a CSV file, got ";
  expect_refused({"--current", "constnat:1.5"}, 2, form + "'constnat:1.5'; did you mean 'constant'?");
  expect_refused({"--current", "stpe:1@2"}, 2, form + "'stpe:1@2'; did you mean 'step'?");
  expect_refused({"--current", "sine:1"}, 2, form + "'sine:1'; expected one of 'constant', 'step'");
  const TempFolder folder;
  const std::string file = (folder / "run:1.csv").string();
  write_file_whole(file, "2\n");
  EXPECT_EQ(trace_of({"--current", file}), "t,x,h,v,s\n0,2,1,0,1\n");
  expect_refused({"--current", (folder / "waves.csv").string()}, 1, "waves.csv: cannot read: ");
}

TEST(NeuronCommand, RefusesWhatTheOtherNeuronsCannotBe) {
  const ProgramResult tau = run_volley({"neuron", "qif", "--current", "constant:1", "--tau", "1"});
  EXPECT_EQ(tau.code, 2);
  EXPECT_NE(tau.err.find("[qif] tau must be > 1, got 1"), std::string::npos) << tau.err;
  const ProgramResult reset = run_volley({"neuron", "if", "--current", "constant:1", "--v-reset", "soft"});
  EXPECT_EQ(reset.code, 2);
  EXPECT_NE(reset.err.find("--v-reset must be a finite number or none, got 'soft'"), std::string::npos)
      << reset.err;
}

}  // namespace
}  // namespace volley::test
