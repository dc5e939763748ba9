#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include "program.hpp"

namespace volley::test {
namespace {

// Every public function, by header. A function that is not here cannot be counted; one that no program calls
// fails the run.
constexpr std::string_view kFunctions[] = {
    // array.hpp
    "Array::Array", "Array::bytes", "Array::empty", "Array::floats", "Array::of", "Array::row_size",
    "Array::rows", "Array::shape", "Array::type", "Array::whole", "ArraySource::ArraySource", "is_integer",
    "name_of", "read_arrays", "size_of",
    // augment.hpp
    "Augment::Augment", "Augment::active", "Augment::apply", "Augment::check", "Augment::options",
    // batch_norm.hpp
    "BatchNorm::BatchNorm", "BatchNorm::bias", "BatchNorm::channels", "BatchNorm::options",
    "BatchNorm::running_mean", "BatchNorm::running_var", "BatchNorm::weight",
    "ThresholdDependentBatchNorm::ThresholdDependentBatchNorm", "ThresholdDependentBatchNorm::options",
    // buffer.hpp
    "Buffer::Buffer", "Buffer::data", "Buffer::operator=", "Buffer::operator[]", "Buffer::resize",
    "Buffer::size", "Buffer::span", "Buffer::zero",
    // checkpoint.hpp
    "Checkpoint::Checkpoint", "Checkpoint::check_resumable", "Checkpoint::check_sizes", "Checkpoint::epoch",
    "Checkpoint::load_into", "Checkpoint::numerics", "Checkpoint::path", "Checkpoint::position",
    "Checkpoint::run", "Checkpoint::volley_version", "numerics_version", "save_checkpoint",
    // choices.hpp
    "choices", "kinds", "set_kind",
    // conv.hpp
    "Convolution::bias", "Convolution::weight", "ConvolutionOf::ConvolutionOf", "ConvolutionOf::options",
    // current_csv.hpp
    "read_current_csv",
    // dataset.hpp
    "Dataset::check", "Dataset::first", "Dataset::picture", "Dataset::size", "datasets::default_folder",
    "datasets::fashion_mnist", "datasets::fetch", "datasets::is_picture_folder", "datasets::list",
    "datasets::load", "datasets::load_part", "datasets::mnist", "datasets::names", "hold_out",
    // draw.hpp
    "Draw::address",
    // dropout.hpp
    "Dropout::Dropout", "Dropout::options",
    // encoder.hpp
    "Delta::Delta", "Delta::options", "Direct::Direct", "Direct::options", "Encoder::encode",
    "Encoder::encode_ahead", "Encoder::kind", "Encoder::output_shape", "Latency::Latency", "Latency::options",
    "Periodic::Periodic", "Periodic::options", "Poisson::Poisson", "Poisson::options",
    "Population::Population", "Population::options", "Rows::Rows", "Rows::options",
    "WeightedPhase::WeightedPhase", "WeightedPhase::options", "make_encoder",
    // error.hpp
    "ArgumentError::ArgumentError", "ArgumentError::found", "ArgumentError::operation", "ArgumentError::rule",
    "FileError::FileError", "FileError::path", "DeviceError::DeviceError", "DeviceError::device",
    "ShapeError::ShapeError", "ShapeError::at", "ShapeError::shape",
    // event_file.hpp
    "EventFile::EventFile", "EventFile::info", "EventFile::operator=", "EventFile::read",
    "EventFileWriter::EventFileWriter", "EventFileWriter::finish", "EventFileWriter::write",
    "event_format_of_name", "read_events", "write_events",
    // event_frames.hpp
    "averaged_time_surfaces", "bina_rep", "event_frames", "event_slices", "event_spikes", "time_surfaces",
    "voxel_grid",
    // event_transforms.hpp
    "event_transforms::center_crop", "event_transforms::crop", "event_transforms::crop_time",
    "event_transforms::decimate", "event_transforms::denoise", "event_transforms::downsample",
    "event_transforms::drop_by_area", "event_transforms::drop_by_time", "event_transforms::drop_event",
    "event_transforms::event_drop", "event_transforms::flip_lr", "event_transforms::flip_polarity",
    "event_transforms::flip_ud", "event_transforms::merge_polarities", "event_transforms::random_crop",
    "event_transforms::random_flip_lr", "event_transforms::random_flip_polarity",
    "event_transforms::random_flip_ud", "event_transforms::random_time_reversal",
    "event_transforms::refractory_period", "event_transforms::spatial_jitter",
    "event_transforms::sub_sequence", "event_transforms::time_alignment", "event_transforms::time_jitter",
    "event_transforms::time_reversal", "event_transforms::time_skew", "event_transforms::uniform_noise",
    // fields.hpp
    "Range::contains", "Range::text", "above", "any", "at_least", "between", "check_fields", "check_range",
    "from_below", "inside",
    // files.hpp
    "ScratchFolder::ScratchFolder", "ScratchFolder::path", "read_file", "write_file_whole",
    // graph.hpp
    "Graph::Graph", "Graph::add", "Graph::at", "Graph::edges", "Graph::name_of", "Graph::node",
    "Graph::operator=", "Graph::operator[]", "Graph::size",
    // group_norm.hpp
    "GroupNorm::GroupNorm", "GroupNorm::options", "LayerNorm::LayerNorm", "LayerNorm::options",
    "SampleNorm::bias", "SampleNorm::weight",
    // image.hpp
    "read_image", "resized",
    // initialization.hpp
    "initialize_fluctuations", "initialize_rates",
    // kernels.hpp
    "kernels::active_target", "kernels::compiled_targets", "kernels::force_target", "kernels::measure_limits",
    "kernels::supported_targets", "kernels::use_environment_target",
    // known_sets.hpp
    "datasets::file_names", "datasets::find", "datasets::info",
    // layer.hpp
    "Layer::backward", "Layer::buffers", "Layer::children", "Layer::clone", "Layer::forward",
    "Layer::initialize", "Layer::is_recurrent", "Layer::kind", "Layer::macs", "Layer::membrane",
    "Layer::named_tensors", "Layer::output_shape", "Layer::parameters", "Layer::state_names", "Layer::walk",
    "Parameter::Parameter", "kind_of", "values_of", "zero_gradients",
    // layers.hpp
    "Flatten::Flatten", "Flatten::options", "Linear::Linear", "Linear::bias", "Linear::in", "Linear::options",
    "Linear::out", "Linear::weight", "Identity::Identity", "Identity::options", "Slice::Slice",
    "Slice::options", "Unflatten::Unflatten", "Unflatten::options",
    // loss.hpp
    "CountCrossEntropy::CountCrossEntropy", "CountCrossEntropy::options", "CountMse::CountMse",
    "CountMse::options", "ClassWeights::ClassWeights", "Loss::backward", "Loss::check_outputs",
    "Loss::class_weights", "Loss::forward", "Loss::kind", "Loss::reads_spikes", "Loss::scores_are_rates",
    "Loss::total_weight", "Loss::hits", "Loss::scores_shape", "share_of", "balanced_class_weights",
    "MembraneCrossEntropy::MembraneCrossEntropy", "MembraneCrossEntropy::options", "MembraneMse::MembraneMse",
    "MembraneMse::options", "RateCrossEntropy::RateCrossEntropy", "RateCrossEntropy::options",
    "RateMse::RateMse", "RateMse::options", "Tet::Tet", "Tet::options", "predict",
    // membrane.hpp
    "membranes",
    // metrics.hpp
    "macro_accuracy", "macro_f1", "mean_absolute_error", "r_squared", "root_mean_squared_error",
    "top_k_accuracy",
    // monitor.hpp
    "LayerActivity::dense_energy", "LayerActivity::energy", "Monitor::activity", "Monitor::clear",
    "Monitor::look", "total_of",
    // neuron.hpp
    "LI::LI", "LI::options", "Neuron::Neuron", "Neuron::options", "NeuronLayer::NeuronLayer",
    "NeuronLayer::any_options", "NeuronLayer::numbers", "SoftLIF::SoftLIF", "SoftLIF::last_potential",
    "SoftLIF::options", "carried_by", "parameters_of",
    // neuron_options.hpp
    "IzhikevichOptions::second_start",
    // optimizer.hpp
    "AdamBy::AdamBy", "AdamBy::options", "Optimizer::Optimizer", "Optimizer::base_lr", "Optimizer::kind",
    "Optimizer::lr", "Optimizer::prepare", "Optimizer::set_lr", "Optimizer::set_steps_taken",
    "Optimizer::state", "Optimizer::step", "Optimizer::steps_taken", "Sgd::Sgd", "Sgd::options",
    "clip_gradient_norm", "clip_gradient_value", "gradient_norm",
    // parallel_neuron.hpp
    "ParallelNeuron::ParallelNeuron", "ParallelNeuron::bias", "ParallelNeuron::options",
    "ParallelNeuron::weight",
    // pool.hpp
    "AdaptiveAvgPool2d::AdaptiveAvgPool2d", "AdaptiveAvgPool2d::options", "AvgPool2d::AvgPool2d",
    "AvgPool2d::options", "MaxPool2d::MaxPool2d", "MaxPool2d::options",
    // process.hpp
    "ProgramResult::ok", "ProgramResult::reason", "run_program",
    // rate_penalty.hpp
    "RatePenalty::RatePenalty", "RatePenalty::options", "RatePenalty::penalty",
    // recipe.hpp
    "Recipe::balanced_by", "Recipe::build_network", "Recipe::build_parts", "Recipe::take", "builtin_recipes",
    "load_recipe", "make_layer", "make_network", "parse_recipe", "recipe_of", "recipes_of", "to_toml",
    "with_settings",
    // recipe_difference.hpp
    "differences_of",
    // recorder.hpp
    "EpochRecord::predicts", "EpochRecord::score", "Recorder::begin", "Recorder::epoch",
    "Recorder::iteration", "Recorder::stop", "Recorder::test_batch", "epochs_since_best",
    // recurrent.hpp
    "Recurrent::Recurrent", "Recurrent::features", "Recurrent::neuron", "Recurrent::options",
    "Recurrent::weight",
    // residual.hpp
    "Residual::Residual", "Residual::branch", "Residual::operator=", "Residual::options",
    "Residual::shortcut",
    // rule.hpp
    "LearningRule::check", "LearningRule::gradients", "LearningRule::kind",
    // run_folder.hpp
    "compiler", "cpu_model", "environment_of", "read_run", "run_folder::Lock::Lock",
    "run_folder::Lock::folder", "run_folder::check_unchanged", "run_folder::create",
    "run_folder::load_recipe", "run_folder::open", "run_folder::recipe_in", "sha256_of",
    // run_recorder.hpp
    "CheckpointEvery::parse", "RunRecorder::RunRecorder", "RunRecorder::end", "RunRecorder::epochs",
    "RunRecorder::folder",
    // schedule.hpp
    "check_schedule", "scheduled_lr",
    // seeds_folder.hpp
    "seeds_folder::create", "seeds_folder::is_one", "seeds_folder::read_runs", "seeds_folder::recipe",
    "seeds_folder::run_of", "seeds_folder::seeds", "seeds_folder::seeds_from",
    // signal.hpp
    "Signal::Signal", "Signal::constant", "Signal::empty", "Signal::features", "Signal::is_spikes",
    "Signal::layout", "Signal::reshaped", "Signal::samples", "Signal::shape", "Signal::spikes",
    "Signal::steps", "Signal::stored_shape", "Signal::stored_steps", "Signal::values", "Signal::with_values",
    "stored_shape", "to_tensor",
    // signal_forms.hpp
    "plain", "real_values",
    // source.hpp
    "PictureSource::PictureSource", "Source::info", "Source::pictures", "Source::read", "Source::size",
    "Subset::Subset", "has_steps", "is_array_path", "labels_of", "load_sources", "sources_of",
    // spikes.hpp
    "Spikes::Spikes", "Spikes::count", "Spikes::count_by_feature", "Spikes::features", "Spikes::fired",
    "Spikes::from_bytes", "Spikes::layout", "Spikes::operator=", "Spikes::samples", "Spikes::shape",
    "Spikes::steps", "Spikes::to_bytes",
    // state.hpp
    "State::at", "State::at_rest", "State::child", "State::find", "State::named_gradients",
    "State::named_tensors", "State::reset", "State::set",
    // surrogate.hpp
    "CustomSurrogate::of", "check_surrogate",
    // tape.hpp
    "PassContext::address", "Tape::Tape", "Tape::child", "Tape::children", "Tape::context", "Tape::dx_memory",
    "Tape::needs_input_gradient", "Tape::place", "Tape::saved", "Tape::set_context", "Tape::device",
    "Tape::set_needs_input_gradient", "Tape::state", "Tape::threads", "Tape::trace",
    // targets.hpp
    "Device::Device", "Device::name", "Device::threads", "Device::finish", "Device::copied_bytes",
    "check_device_name", "devices", "Targets::counts", "Targets::steps_of",
    // tensor.hpp
    "Shape::Shape", "Shape::after", "Shape::from", "Shape::operator[]", "Shape::rank", "Shape::size",
    "Shape::sizes", "Shape::text", "Tensor::Tensor", "Tensor::data", "Tensor::operator=", "Tensor::resize",
    "Tensor::shape", "Tensor::size", "Tensor::values", "Tensor::zero", "is_finite",
    // text.hpp
    "nearest", "parse_number", "quoted_list", "readable_line", "suggestion", "utf8_size",
    // threads.hpp
    "ThreadPool::ThreadPool", "ThreadPool::drop_ahead", "ThreadPool::finish_ahead", "ThreadPool::run",
    "ThreadPool::run_ahead", "ThreadPool::shared", "ThreadPool::size", "parallel_for", "parallel_for_ahead",
    // trainer.hpp
    "Trainer::Trainer", "Trainer::evaluate", "Trainer::fit", "Trainer::net", "Trainer::optimizer",
    "Trainer::device", "Trainer::options", "Trainer::position", "Trainer::set_position", "Trainer::threads",
    // type_list.hpp
    "for_each_type",
    // upsample.hpp
    "Upsample::Upsample", "Upsample::options",
    // voting.hpp
    "Voting::Voting", "Voting::options",
    // weights.hpp
    "load_network", "load_state_dict", "names_by_order", "read_network", "read_state_dict", "save_network",
    "save_state_dict", "set_tensors",
    // window.hpp
    "Size2::Size2", "Size2::area", "Size2::text", "Window::check_outputs", "Window::extent",
    "Window::outputs", "check_picture",
    // heads.hpp, regression_loss.hpp, step_loss.hpp
    "FirstSpikeCrossEntropy::FirstSpikeCrossEntropy", "FirstSpikeCrossEntropy::options",
    "FirstSpikeMse::FirstSpikeMse", "FirstSpikeMse::options", "Heads::Heads", "Heads::heads", "Huber::Huber",
    "Huber::options", "L1::L1", "L1::options", "Mse::Mse", "Mse::options",
    "StepCrossEntropy::StepCrossEntropy", "StepCrossEntropy::options",
    // kinds: encoder
    "encoder poisson", "encoder direct", "encoder rows", "encoder delta", "encoder latency",
    "encoder weighted_phase", "encoder population", "encoder periodic",
    // kinds: loss
    "loss rate_mse", "loss count_mse", "loss membrane_mse", "loss rate_cross_entropy",
    "loss count_cross_entropy", "loss membrane_cross_entropy", "loss tet", "loss mse", "loss l1",
    "loss huber", "loss step_cross_entropy", "loss first_spike_cross_entropy", "loss first_spike_mse",
    "loss heads",
    // kinds: neuron
    "neuron IF", "neuron LIF", "neuron PLIF", "neuron QIF", "neuron EIF", "neuron Izhikevich",
    "neuron CUBALIF", "neuron ALIF", "neuron KLIF", "neuron GLIF", "neuron PSN", "neuron MaskedPSN",
    "neuron SlidingPSN",
    // kinds: optimizer
    "optimizer Sgd", "optimizer Adam", "optimizer AdamW",
    // kinds: schedule
    "schedule constant", "schedule step", "schedule multi_step", "schedule exponential", "schedule cosine",
    // kinds: surrogate
    "surrogate atan", "surrogate sigmoid", "surrogate piecewise_quadratic", "surrogate piecewise_exp",
    "surrogate soft_sign", "surrogate super_spike", "surrogate erf", "surrogate rect",
    "surrogate piecewise_leaky_relu", "surrogate leaky_k_relu", "surrogate log_tailed_relu", "surrogate s2nn",
    "surrogate q_pseudo_spike", "surrogate nonzero_sign_log_abs", "surrogate straight_through",
    "surrogate custom"};

}  // namespace

std::size_t function_count() { return std::size(kFunctions); }
std::string_view function_name(std::size_t index) { return kFunctions[index]; }

std::size_t function_index(std::string_view function) {
  static const std::map<std::string_view, std::size_t> indices = [] {
    std::map<std::string_view, std::size_t> made;
    for (std::size_t i = 0; i < std::size(kFunctions); ++i) made[kFunctions[i]] = i;
    return made;
  }();
  const auto found = indices.find(function);
  if (found == indices.end())
    throw std::logic_error("not in the table of functions: " + std::string(function));
  return found->second;
}

}  // namespace volley::test
