#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <volley/kernels.hpp>
#include <volley/recipe.hpp>
#include <volley/text.hpp>
#include <volley/version.hpp>

#include "commands.hpp"
#include "interrupt.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kInterrupted = 130;

/// Where stdin, stdout or stderr is closed, the next file opened would take its place: a checkpoint would
/// receive what is printed. Reading-only stand-ins make a write fail as it should.
void hold_standard_files() {
  for (int file = 0; file <= 2; ++file) {
    if (::fcntl(file, F_GETFD) == -1 && errno == EBADF) static_cast<void>(::open("/dev/null", O_RDONLY));
  }
}

/// "data fetch", as far as the command line was understood; empty for none.
std::string command_name(const CLI::App& app) {
  std::string name;
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  return name;
}

int complain(const CLI::App& app, const std::string& text, int code) {
  fmt::print(stderr, "volley{}: {}\n", command_name(app), text);
  return code;
}

/// For the first word that the command could not use, an option if there is one.
std::string unknown_argument(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  const std::vector<std::string> words = command->remaining();
  std::string word = words.empty() ? "" : words.back();
  for (const std::string& candidate : words) {
    if (candidate.starts_with("-")) word = candidate;
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  const std::string meant = volley::nearest(word, options);
  return fmt::format("unknown argument '{}'{}", word,
                     meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant));
}

std::string unknown_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return fmt::format("unknown command '{}'{}", word, volley::suggestion(word, names));
}

bool is_command(const CLI::App& app, const std::string& word) {
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == word) return true;
  }
  return false;
}

/// 0, or the exit code where the kernels cannot run: as VOLLEY_TARGET says, or at all.
int choose_target(const CLI::App& app) {
  try {
    volley::kernels::use_environment_target();
    return 0;
  } catch (const volley::ArgumentError& error) {
    return complain(app, error.what(), kUsage);
  } catch (const volley::Error& error) {
    return complain(app, error.what(), kFailed);
  }
}

int run(CLI::App& app, int argc, char** argv) {
  if (const int code = choose_target(app); code != 0) return code;
  if (argc == 1) {
    fmt::print("{}", app.help());
    return 0;
  }
  if (argv[1][0] != '-' && !is_command(app, argv[1]))
    return complain(app, unknown_command(app, argv[1]), kUsage);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& error) {  // how a command ends with a code of its own
    return error.get_exit_code();
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ExtrasError&) {
    return complain(app, unknown_argument(app), kUsage);
  } catch (const CLI::ParseError& error) {
    return complain(app, error.what(), kUsage);
  } catch (const volley::RecipeError& error) {
    return complain(app, error.what(), kUsage);
  } catch (const std::bad_alloc&) {
    return complain(app, "out of memory; a smaller batch (-b) or fewer steps (-T) need less", kFailed);
  } catch (const std::exception& error) {  // volley::Error, and what the system refused
    return complain(app, error.what(), volley::cli::Interrupts::asked() ? kInterrupted : kFailed);
  }
}

/// What was printed must have arrived. A reader who has gone (`| head`) knows it; anything else is said.
int check_stdout(const CLI::App& app, int code) {
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  const bool failed = std::fflush(stdout) != 0;
  if (!failed && !failed_before) return code;
  // A write that failed before has lost its reason; one more tells it.
  if (!failed && std::fputc('\n', stdout) != EOF) std::fflush(stdout);
  const int error = errno;
  if (error != EPIPE) {
    complain(app, fmt::format("cannot write to stdout: {}", std::generic_category().message(error)), kFailed);
  }
  return code == 0 ? kFailed : code;
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_files();
  // A reader who has gone and a limit on the size of files are failed writes, and said as such.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  CLI::App app("Volley trains spiking neural networks by surrogate-gradient backpropagation through time.",
               "volley");
  app.set_version_flag("--version", VOLLEY_VERSION);
  app.require_subcommand(0, 1);
  app.footer(
      "Example: volley data fetch mnist && volley train lif_fc_mnist --epochs 5\n\n"
      "Environment: VOLLEY_TARGET=avx2 (or avx512) has kernels use that instruction set, not the best that "
      "the "
      "processor has; results are the same bits");
  add_commands(app);
  return check_stdout(app, run(app, argc, argv));
}
