#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <volley/kernels.hpp>
#include <volley/process.hpp>

#include "support/error_text.hpp"
#include "support/program.hpp"

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;

/// What a shell makes of `script`, in which $V is the program.
ProgramResult shell(const std::string& script) {
  return run_program({"bash", "-c", script}, {.environment = {{"V", VOLLEY_BINARY_DIR "/volley"}}});
}

TEST(Program, AloneItPrintsItsHelp) {
  const ProgramResult alone = run_volley({});
  EXPECT_TRUE(alone.ok());
  EXPECT_EQ(alone.out, run_volley({"--help"}).out);
}

/// `volley COMMAND --help` has an example of this command, and so have all below it. How many there are.
std::size_t commands_with_an_example(std::vector<std::string> command) {
  std::string name = "volley";
  for (const std::string& word : command) name += " " + word;
  command.emplace_back("--help");
  const ProgramResult help = run_volley(command);
  command.pop_back();
  EXPECT_TRUE(help.ok()) << name;
  const std::size_t examples = help.out.rfind("\nExample");
  EXPECT_NE(examples, std::string::npos) << name;
  if (examples == std::string::npos) return 0;
  EXPECT_NE(help.out.find(name, examples), std::string::npos) << name;
  for (const char* type : {" TEXT", "UINT"})  // words of the parser, and no types of ours
    EXPECT_EQ(help.out.find(type), std::string::npos) << name << type;
  std::size_t count = 1;
  const std::size_t below = help.out.find("\nSubcommands:\n");
  if (below == std::string::npos) return count;
  const std::string names = help.out.substr(below, examples - below);
  const std::regex row("\n  ([a-z_]+)  ");
  for (std::sregex_iterator i(names.begin(), names.end(), row), end; i != end; ++i) {
    std::vector<std::string> child = command;
    child.push_back((*i)[1].str());
    count += commands_with_an_example(child);
  }
  return count;
}

TEST(Program, EveryCommandHelpsWithAnExampleOfItsOwn) { EXPECT_GT(commands_with_an_example({}), 20u); }

TEST(Program, HelpNamesTypes) {
  const std::string train = run_volley({"train", "--help"}).out;
  for (const char* option : {"-T,--steps INT", "-b,--batch INT", "--epochs INT", "--lr FLOAT", "--tau FLOAT",
                             "--seed INT", "--threads INT", "--data-dir PATH", "--out PATH", "--resume PATH",
                             "--set KEY=VALUE", "RECIPE NAME|PATH"}) {
    expect_has(train, option);
  }
  expect_has(run_volley({"neuron", "lif", "--help"}).out, "--v-reset FLOAT|none");
}

TEST(Program, InfoNamesWhatRuns) {
  const auto info = nlohmann::json::parse(run_volley({"info", "--json"}).out);
  EXPECT_EQ(info["version"].get<std::string>() + "\n", run_volley({"--version"}).out);
  EXPECT_GE(info["processors"], 1);
  const std::string active = info["simd_active"];
  bool supported = false;
  for (const auto& target : info["simd_supported"]) supported = supported || target == active;
  EXPECT_TRUE(supported) << active;
  EXPECT_NE(run_volley({"info"}).out.find("active " + active), std::string::npos);
}

TEST(Program, EverySupportedInstructionSetCanBeForced) {
  const auto info = nlohmann::json::parse(run_volley({"info", "--json"}).out);
  for (const std::string target : info["simd_supported"]) {
    const ProgramResult forced = run_volley({"info", "--json"}, {.environment = {{"VOLLEY_TARGET", target}}});
    EXPECT_EQ(nlohmann::json::parse(forced.out)["simd_active"], target);
  }
  EXPECT_TRUE(run_volley({"info"}, {.environment = {{"VOLLEY_TARGET", ""}}}).ok()) << "as if not set";
  const std::string supported = fmt::format("{}", fmt::join(kernels::supported_targets(), ", "));
  for (const char* name : {"mmx", "sse4", "AVX2"}) {
    const ProgramResult wrong = run_volley({"info"}, {.environment = {{"VOLLEY_TARGET", name}}});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(wrong.err, fmt::format("volley: [instruction set] VOLLEY_TARGET must be one of {}, got '{}'\n",
                                     supported, name));
  }
}

// Emulated: needs the program qemu-x86_64 (Debian's package qemu-user).
TEST(Program, SaysWhatTheProcessorLacks) {
  if (std::string_view(VOLLEY_SANITIZE) != "") GTEST_SKIP() << "sanitizers do not run under QEMU";
  const auto emulated = [](const std::string& cpu, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"qemu-x86_64", "-cpu", cpu, VOLLEY_BINARY_DIR "/volley"});
    return run_program(arguments, {.environment = {{"VOLLEY_TARGET", std::nullopt}}});
  };
  if (emulated("max", {"--version"}).end == ProgramResult::End::not_started) GTEST_SKIP() << "no qemu-x86_64";
  for (const char* cpu : {"Nehalem", "Haswell,-avx2", "Haswell,-fma"}) {
    const ProgramResult result = emulated(cpu, {"info"});
    EXPECT_EQ(result.end, ProgramResult::End::exited) << cpu;
    EXPECT_EQ(result.code, 1) << cpu;
    // QEMU itself warns of parts of a processor that it cannot emulate.
    expect_has(
        result.err,
        "volley: this processor has no AVX2 with FMA; Volley needs both on x86-64 (Intel since Haswell, "
        "AMD since Excavator)\n");
  }
  const ProgramResult haswell = emulated("Haswell", {"info", "--json"});
  ASSERT_TRUE(haswell.ok()) << haswell.err;
  EXPECT_EQ(nlohmann::json::parse(haswell.out)["simd_active"], "avx2");
}

TEST(Program, AnUnknownCommandIsAWrongUse) {
  const ProgramResult result = run_volley({"frobnicate"});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(
      result.err,
      "volley: unknown command 'frobnicate'; expected one of 'train', 'eval', 'predict', 'stream', 'plot', "
      "'report', 'data', 'events', 'encode', 'neuron', "
      "'compare', 'bench', 'info'\n");
}

TEST(Program, OutputThatDoesNotArriveIsAFailure) {
  const ProgramResult full = shell("\"$V\" info > /dev/full");
  EXPECT_EQ(full.code, 1);
  EXPECT_EQ(full.err, "volley info: cannot write to stdout: No space left on device\n");
  const ProgramResult closed = shell("\"$V\" info >&-");
  EXPECT_EQ(closed.code, 1);
  EXPECT_EQ(closed.err, "volley info: cannot write to stdout: Bad file descriptor\n");
  // More than a buffer, so that the first write fails long before the end.
  const ProgramResult long_text = shell(
      "\"$V\" neuron lif --current "
      "constant:1 --steps 20000 > /dev/full");
  EXPECT_EQ(long_text.code, 1);
  EXPECT_NE(long_text.err.find("No space left on device"), std::string::npos) << long_text.err;
}

TEST(Program, AReaderWhoGoesIsNotTroubled) {
  const ProgramResult result = shell("(sleep 0.2; \"$V\" info) | true; echo ${PIPESTATUS[0]}");
  EXPECT_EQ(result.out, "1\n");
  EXPECT_EQ(result.err, "");
}

}  // namespace
}  // namespace volley
