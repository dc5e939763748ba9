#include <volley/residual.hpp>

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

constexpr std::size_t kBranch = 0, kShortcut = 1;  // the children's tapes

/// What one side gives, and its forms on the way to the other's.
struct Side {
  Signal given;
  Signal joined;  // in the form that both sides have
  SignalMemory joined_memory;
  SignalMemory real_memory;
  Tensor gradient;
};

struct Saved {
  Side branch;
  Side shortcut;
  Tensor y;
  Spikes spikes;
  SignalMemory shortcut_memory;
  Tensor dx;
};

ops::Connection lower(Connect connect) {
  switch (connect) {
    case Connect::ADD: return ops::Connection::add;
    case Connect::AND: return ops::Connection::both;
    case Connect::IAND: break;
  }
  return ops::Connection::inhibit;
}

/// Brings both sides to one form: that which they have, else the plain one; spikes in step order.
void join_forms(Saved& saved, Executor& device) {
  const Signal& b = saved.branch.given;
  const Signal& s = saved.shortcut.given;
  const bool same = b.layout() == s.layout() && b.constant() == s.constant();
  for (Side* side : {&saved.branch, &saved.shortcut}) {
    side->joined = same ? side->given : plain(side->given, side->joined_memory, device);
    side->joined = in_step_order(side->joined, side->joined_memory, device);
  }
}

/// y = a and b, connected.
Signal connected(Tensor& y, const Signal& b, const Signal& s, ops::Connection how, Executor& device) {
  y.resize(b.stored_shape());
  device.run(ops::Connect{.how = how,
                          .b = values_of(b, device),
                          .s = values_of(s, device),
                          .y = device.write(y),
                          .size = y.size()});
  return b.with_values(y);
}

}  // namespace

Residual::Residual(Sequential branch, const ResidualOptions& options)
    : Residual(std::make_shared<Sequential>(std::move(branch)), nullptr, options) {}

Residual::Residual(Sequential branch, Sequential shortcut, const ResidualOptions& options)
    : Residual(std::make_shared<Sequential>(std::move(branch)),
               std::make_shared<Sequential>(std::move(shortcut)), options) {}

Residual::Residual(std::shared_ptr<Sequential> branch, std::shared_ptr<Sequential> shortcut,
                   const ResidualOptions& options)
    : options_(options), branch_(std::move(branch)), shortcut_(std::move(shortcut)) {
  if (branch_ == nullptr) throw ArgumentError("residual", "branch must not be null");
  if (branch_ == shortcut_) throw ArgumentError("residual", "branch and shortcut must be two layers");
  draw_untouched();
}

Residual::Residual(const Residual& other) : Layer(other), options_(other.options_) {
  if (other.branch_ != nullptr) branch_ = std::make_shared<Sequential>(*other.branch_);
  if (other.shortcut_ != nullptr) shortcut_ = std::make_shared<Sequential>(*other.shortcut_);
}

Residual& Residual::operator=(const Residual& other) {
  if (this != &other) *this = Residual(other);
  return *this;
}

Shape Residual::output_shape(const Shape& features) const {
  if (branch_ == nullptr) throw ArgumentError("residual", "branch must not be moved from");
  const auto shape_of = [&](const char* side, const Layer& layer) {
    try {
      return layer.output_shape(features);
    } catch (const ShapeError& error) {
      throw error.at(fmt::format("[residual] {}", side));
    }
  };
  const Shape branch = shape_of("branch", *branch_);
  const Shape shortcut = shortcut_ != nullptr ? shape_of("shortcut", *shortcut_) : features;
  if (branch != shortcut) {
    throw ShapeError(kind(), fmt::format("shortcut must give {}, the features of the branch", branch.text()),
                     shortcut);
  }
  return branch;
}

Form Residual::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = {}, .constant = true};
}

Signal Residual::do_forward(const Signal& x, Tape& tape) const {
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  Side& b = saved.branch;
  Side& s = saved.shortcut;
  for (const std::size_t side : {kBranch, kShortcut}) {
    tape.child(side).set_needs_input_gradient(tape.needs_input_gradient());
  }
  b.given = branch_->forward(x, tape.child(kBranch));
  s.given = shortcut_ != nullptr ? shortcut_->forward(x, tape.child(kShortcut)) : x;
  join_forms(saved, device);
  const ops::Connection how = lower(options_.connect);
  if (how != ops::Connection::add && b.joined.is_spikes() && s.joined.is_spikes()) {
    SpikeWords::shape_steps(saved.spikes, b.joined.shape(), b.joined.layout());
    device.run(ops::ConnectSpikes{.how = how,
                                  .b = SpikeWords::view(b.joined.spikes(), device).words,
                                  .s = SpikeWords::view(s.joined.spikes(), device).words,
                                  .y = SpikeWords::write(saved.spikes, device),
                                  .words = x.samples() * x.steps() * SpikeWords::row_words(saved.spikes)});
    return saved.spikes;
  }
  return connected(saved.y, real_values(b.joined, b.real_memory, device),
                   real_values(s.joined, s.real_memory, device), how, device);
}

Signal Residual::do_backward(Tape& tape, const Signal& dy) {
  if (branch_ == nullptr) throw ArgumentError(kind(), "branch must not be moved from");
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  Side& b = saved.branch;
  Side& s = saved.shortcut;
  for (const std::size_t side : {kBranch, kShortcut}) {
    tape.child(side).set_needs_input_gradient(tape.needs_input_gradient());
  }
  Signal db = dy;
  Signal ds = dy;
  if (options_.connect != Connect::ADD) {
    const Signal b_real = real_values(b.joined, b.real_memory, device);
    const Signal s_real = real_values(s.joined, s.real_memory, device);
    for (Side* side : {&b, &s}) side->gradient.resize(dy.stored_shape());
    device.run(ops::ConnectBackward{.how = lower(options_.connect),
                                    .dy = values_of(dy, device),
                                    .b = values_of(b_real, device),
                                    .s = values_of(s_real, device),
                                    .db = device.write(b.gradient),
                                    .ds = device.write(s.gradient),
                                    .size = b.gradient.size()});
    db = dy.with_values(b.gradient);
    ds = dy.with_values(s.gradient);
  }
  const Signal dx_branch = branch_->backward(tape.child(kBranch), db);
  const Signal dx_shortcut = shortcut_ != nullptr ? shortcut_->backward(tape.child(kShortcut), ds)
                                                  : in_form_of(s.given, ds, saved.shortcut_memory, device);
  if (!tape.needs_input_gradient()) return {};
  return connected(saved.dx, dx_branch, dx_shortcut, ops::Connection::add, device);
}

std::vector<NamedLayer> Residual::do_children() {
  std::vector<NamedLayer> all{{"branch", branch_.get()}};
  if (shortcut_ != nullptr) all.push_back({"shortcut", shortcut_.get()});
  return all;
}

std::unique_ptr<Layer> Residual::do_clone() const { return std::make_unique<Residual>(*this); }

}  // namespace volley
