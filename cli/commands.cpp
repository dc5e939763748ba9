#include "commands.hpp"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace {

/// What an option takes that reads it as text, so that --help says more than TEXT.
const std::map<std::string, std::string>& types_of_text() {
  static const std::map<std::string, std::string> kTypes{
      {"steps", "INT"},          {"batch", "INT"},
      {"epochs", "INT"},         {"seed", "INT"},
      {"early-stopping", "INT"}, {"threads", "INT"},
      {"device", "NAME"},        {"lr", "FLOAT"},
      {"tau", "FLOAT"},          {"data-dir", "PATH"},
      {"out", "PATH"},           {"resume", "PATH"},
      {"plot", "PATH"},          {"python", "PATH"},
      {"RUN", "PATH"},           {"FILE", "PATH"},
      {"OUT", "PATH"},           {"size", "WxH"},
      {"IMAGE", "PATH"},         {"RECIPE", "NAME|PATH"},
      {"data", "NAME|PATH"},     {"set", "KEY=VALUE"},
      {"state", "PATH"},         {"save-state", "PATH"},
      {"current", "SHAPE|PATH"}, {"checkpoint-every", "INT[e|m]"},
  };
  return kTypes;
}

/// Types for --help: INT, FLOAT, PATH, NAME, and never TEXT or UINT. A range has no type of its own: "in [1 -
/// 9]".
void name_types(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    const std::string whole = option->get_type_name();
    const std::size_t range = whole.find(" in [");
    if (range != std::string::npos) option->get_validator(0)->description(whole.substr(range + 1));
    const std::string type = option->get_type_name();
    if (type.rfind("UINT", 0) == 0) option->type_name("INT");
    if (type.rfind("TEXT", 0) != 0) continue;
    const std::string name = option->get_lnames().empty() ? option->get_name() : option->get_lnames().front();
    const auto known = types_of_text().find(name);
    option->type_name(known == types_of_text().end() ? "NAME" : known->second);
  }
  for (CLI::App* child : command.get_subcommands([](CLI::App*) { return true; })) name_types(*child);
}

}  // namespace

void add_commands(CLI::App& app) {
  add_train_command(app);
  add_eval_command(app);
  add_predict_command(app);
  add_stream_command(app);
  add_plot_command(app);
  add_report_command(app);
  add_data_command(app);
  add_events_command(app);
  add_encode_command(app);
  add_neuron_command(app);
  add_compare_command(app);
  add_bench_command(app);
  add_info_command(app);
  name_types(app);
}
