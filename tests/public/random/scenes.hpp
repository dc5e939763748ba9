#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api.hpp"
#include "networks.hpp"
#include "signals.hpp"

namespace volley::test {

/// The worker's pools, made at their first use.
ThreadPool& pool_of(std::size_t threads);

/// What a pass gives, all of it read out.
struct PassResult {
  std::vector<float> y, dx;
  std::vector<std::vector<float>> tensors;  // gradients of the parameters, then buffers
};

/// A pass from a fresh tape, the network put back to the draws of `seed` first. `dy` empty: forward alone.
struct PassCall {
  PassContext context{};
  std::uint32_t seed = 0;
  std::vector<float> dy;
  std::size_t threads = 1;
  bool valid = true;      // whether an Error is a finding
  bool plain_dy = false;  // whether dy comes row-major with every step, in whatever form y is
};
bool run_pass(Program& p, PassResult& result, Layer& net, const Signal& x, const PassCall& call);

/// Two chunks of x with a State give `whole`; a network with `parallel` neurons refuses the state.
void check_chunks(Program& p, Layer& net, const Input& x, const PassCall& call, const PassResult& whole,
                  bool parallel);

/// Metrics of scores (N, K) and of values.
void check_metrics(Program& p, std::size_t N, std::size_t K);
/// A device by its name, and what runs on it.
void check_devices(Program& p);

/// Arrays, their files, and sources of samples.
void check_arrays(Program& p);

/// Run folders, those of several seeds, checkpoints.
void check_runs(Program& p);

/// Frames of events, and what changes events.
void check_events(Program& p);

/// Files, other programs, text, forms of signals, pictures, and what is known of the processor.
void check_tools(Program& p);

/// Losses of targets that are not a label a sample, with weights and lengths.
void check_target_losses(Program& p);

/// A loss, and the same by another way: of the outputs (T, K) of one sample, in double.
struct DrawnLoss {
  std::unique_ptr<Loss> loss;
  std::string text;
  bool membranes = false;
  std::function<double(const std::vector<double>& y, std::size_t label, std::size_t T, std::size_t K)> value;
};
DrawnLoss draw_loss(Program& p, double invalid);
/// Runs the loss on y and checks value, scores and gradient.
void check_loss(Program& p, const DrawnLoss& loss, const Signal& y, const std::vector<float>& plain);

/// Every parameter that is drawn has draws of its own: no two begin with the same numbers, up to a factor.
void check_draws(Program& p, Layer& net);

std::vector<std::uint32_t> draw_labels(Program& p, std::size_t samples, std::size_t classes);
std::unique_ptr<Optimizer> draw_optimizer(Program& p, double invalid, std::string& text);
/// A toy set of pictures.
Dataset draw_dataset(Program& p, const std::string& name, const Shape& picture, std::size_t samples,
                     std::size_t classes);
std::unique_ptr<Encoder> draw_encoder(Program& p, const Shape& picture, std::size_t& steps, std::string& text,
                                      double invalid);

// The kinds of programs; each is one of many that run_program chooses from.
void pass_scene(Program& p);       // a network: threads, batches, forms, draws, losses
void values_scene(Program& p);     // one layer against an independent evaluation
void loss_scene(Program& p);       // a loss on outputs in every form
void layer_scene(Program& p);      // one layer: features and gradients that do not fit
void draws_scene(Program& p);      // the draws of nested containers
void contents_scene(Program& p);   // containers: null, indices, copies, moves
void disorder_scene(Program& p);   // calls in any order on any tape
void encoder_scene(Program& p);    // data, encoders, augmentation
void optimizer_scene(Program& p);  // optimizers, schedules, clipping
void trainer_scene(Program& p);    // trainings
void storage_scene(Program& p);    // files
void recipe_scene(Program& p);     // recipes, and sets by name
void core_scene(Program& p);       // shapes, tensors, spikes, signals, buffers
void threads_scene(Program& p);    // pools, several threads
void classes_scene(Program& p);    // what each class tells of itself
void invalid_scene(Program& p);    // options and sizes that are not valid

}  // namespace volley::test
