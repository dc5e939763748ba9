#pragma once

// Spiking neural networks trained by surrogate-gradient backpropagation through time: networks, data,
// trainings and recipes. What a program has beside these is in headers of its own: run_folder.hpp,
// run_recorder.hpp, seeds_folder.hpp, checkpoint.hpp, image.hpp, kernels.hpp, known_sets.hpp, files.hpp,
// text.hpp, ...

#include <volley/array.hpp>
#include <volley/augment.hpp>
#include <volley/batch_norm.hpp>
#include <volley/conv.hpp>
#include <volley/dataset.hpp>
#include <volley/device.hpp>
#include <volley/dropout.hpp>
#include <volley/encoder.hpp>
#include <volley/error.hpp>
#include <volley/event_file.hpp>
#include <volley/group_norm.hpp>
#include <volley/heads.hpp>
#include <volley/initialization.hpp>
#include <volley/layer.hpp>
#include <volley/layers.hpp>
#include <volley/loss.hpp>
#include <volley/membrane.hpp>
#include <volley/metrics.hpp>
#include <volley/monitor.hpp>
#include <volley/neuron.hpp>
#include <volley/optimizer.hpp>
#include <volley/parallel_neuron.hpp>
#include <volley/pool.hpp>
#include <volley/rate_penalty.hpp>
#include <volley/recipe.hpp>
#include <volley/recorder.hpp>
#include <volley/recurrent.hpp>
#include <volley/regression_loss.hpp>
#include <volley/residual.hpp>
#include <volley/rule.hpp>
#include <volley/schedule.hpp>
#include <volley/signal.hpp>
#include <volley/source.hpp>
#include <volley/state.hpp>
#include <volley/step_loss.hpp>
#include <volley/surrogate.hpp>
#include <volley/targets.hpp>
#include <volley/trainer.hpp>
#include <volley/upsample.hpp>
#include <volley/version.hpp>
#include <volley/voting.hpp>
#include <volley/weights.hpp>
