#pragma once

#include <CLI/CLI.hpp>

// One file per subcommand. Each adds itself to the program, with what to do in its callback: which prints its
// results to stdout, and throws volley::Error for a failure, volley::RecipeError or CLI::ParseError for a
// wrong use.

void add_train_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_predict_command(CLI::App& app);
void add_stream_command(CLI::App& app);
void add_plot_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_data_command(CLI::App& app);
void add_events_command(CLI::App& app);
void add_encode_command(CLI::App& app);
void add_neuron_command(CLI::App& app);
void add_compare_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_info_command(CLI::App& app);

/// All of them.
void add_commands(CLI::App& app);
