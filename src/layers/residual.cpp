#include <volley/residual.hpp>

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

#include "kernels/bits.hpp"
#include "layers/signal_forms.hpp"
#include "layers/spike_words.hpp"
#include "reference/residual.hpp"

namespace volley {
namespace {

constexpr std::size_t kBranch = 0, kShortcut = 1;  // the children's tapes
constexpr std::size_t kGrain = 4096;               // elements of one piece of work

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

/// Brings both sides to one form: that which they have, else the plain one; spikes in step order.
void join_forms(Saved& saved, ThreadPool& threads) {
  const Signal& b = saved.branch.given;
  const Signal& s = saved.shortcut.given;
  const bool same = b.layout() == s.layout() && b.constant() == s.constant();
  for (Side* side : {&saved.branch, &saved.shortcut}) {
    side->joined = same ? side->given : plain(side->given, side->joined_memory, threads);
    if (!side->joined.is_spikes() || !SpikeWords::in_trains(side->joined.spikes())) continue;
    SpikeWords::to_steps(side->joined_memory.spikes, side->joined.spikes(), threads);
    side->joined = side->joined_memory.spikes;
  }
}

void add(Tensor& sum, const Signal& a, const Signal& b, ThreadPool& threads) {
  sum.resize(a.stored_shape());
  parallel_for(threads, sum.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    reference::connect_forward(sum.data() + begin, a.values() + begin, b.values() + begin, Connect::ADD,
                               end - begin);
  });
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
  Saved& saved = tape.saved<Saved>();
  ThreadPool& threads = tape.threads();
  Side& b = saved.branch;
  Side& s = saved.shortcut;
  for (const std::size_t side : {kBranch, kShortcut}) {
    tape.child(side).set_needs_input_gradient(tape.needs_input_gradient());
  }
  b.given = branch_->forward(x, tape.child(kBranch));
  s.given = shortcut_ != nullptr ? shortcut_->forward(x, tape.child(kShortcut)) : x;
  join_forms(saved, threads);
  if (options_.connect != Connect::ADD && b.joined.is_spikes() && s.joined.is_spikes()) {
    std::uint64_t* words = SpikeWords::make_steps(saved.spikes, b.joined.shape(), b.joined.layout());
    const std::size_t per_sample = x.steps() * SpikeWords::row_words(saved.spikes);
    parallel_for(threads, x.samples(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n) {
        const auto join = options_.connect == Connect::AND ? kernels::and_words : kernels::inhibit_words;
        join(words + n * per_sample, SpikeWords::steps(b.joined.spikes(), n),
             SpikeWords::steps(s.joined.spikes(), n), per_sample);
      }
    });
    return saved.spikes;
  }
  const Signal b_real = real_values(b.joined, b.real_memory, threads);
  const Signal s_real = real_values(s.joined, s.real_memory, threads);
  saved.y.resize(b_real.stored_shape());
  parallel_for(threads, saved.y.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    reference::connect_forward(saved.y.data() + begin, b_real.values() + begin, s_real.values() + begin,
                               options_.connect, end - begin);
  });
  return b_real.with_values(saved.y);
}

Signal Residual::do_backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  ThreadPool& threads = tape.threads();
  Side& b = saved.branch;
  Side& s = saved.shortcut;
  for (const std::size_t side : {kBranch, kShortcut}) {
    tape.child(side).set_needs_input_gradient(tape.needs_input_gradient());
  }
  Signal db = dy;
  Signal ds = dy;
  if (options_.connect != Connect::ADD) {
    const Signal b_real = real_values(b.joined, b.real_memory, threads);
    const Signal s_real = real_values(s.joined, s.real_memory, threads);
    for (Side* side : {&b, &s}) side->gradient.resize(dy.stored_shape());
    parallel_for(threads, b.gradient.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      reference::connect_backward(b.gradient.data() + begin, s.gradient.data() + begin, dy.values() + begin,
                                  b_real.values() + begin, s_real.values() + begin, options_.connect,
                                  end - begin);
    });
    db = dy.with_values(b.gradient);
    ds = dy.with_values(s.gradient);
  }
  const Signal dx_branch = branch_->backward(tape.child(kBranch), db);
  const Signal dx_shortcut = shortcut_ != nullptr ? shortcut_->backward(tape.child(kShortcut), ds)
                                                  : in_form_of(s.given, ds, saved.shortcut_memory, threads);
  if (!tape.needs_input_gradient()) return {};
  add(saved.dx, dx_branch, dx_shortcut, threads);
  return dx_branch.with_values(saved.dx);
}

std::vector<NamedLayer> Residual::do_children() {
  std::vector<NamedLayer> all{{"branch", branch_.get()}};
  if (shortcut_ != nullptr) all.push_back({"shortcut", shortcut_.get()});
  return all;
}

}  // namespace volley
