#include "commands.hpp"

void add_commands(CLI::App& app) {
  add_train_command(app);
  add_eval_command(app);
  add_predict_command(app);
  add_plot_command(app);
  add_report_command(app);
  add_data_command(app);
  add_encode_command(app);
  add_neuron_command(app);
  add_compare_command(app);
  add_bench_command(app);
  add_info_command(app);
}
