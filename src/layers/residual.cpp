#include <volley/residual.hpp>

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

namespace volley {

Residual::Residual(Sequential branch, const ResidualOptions& options)
    : Residual(std::make_shared<Sequential>(std::move(branch)), nullptr, options) {}

Residual::Residual(Sequential branch, Sequential shortcut, const ResidualOptions& options)
    : Residual(std::make_shared<Sequential>(std::move(branch)),
               std::make_shared<Sequential>(std::move(shortcut)), options) {}

Residual::Residual(std::shared_ptr<Sequential> branch, std::shared_ptr<Sequential> shortcut,
                   const ResidualOptions& options)
    : options_(options) {
  if (branch == nullptr) throw ArgumentError("residual", "branch must not be null");
  if (branch == shortcut) throw ArgumentError("residual", "branch and shortcut must be two layers");
  build(std::move(branch), std::move(shortcut));
  draw_untouched();
}

void Residual::build(std::shared_ptr<Sequential> branch, std::shared_ptr<Sequential> shortcut) {
  branch_ = std::move(branch);
  shortcut_ = std::move(shortcut);
  graph_.add(branch_, {.name = "branch", .inputs = {"input"}});
  if (shortcut_ != nullptr) graph_.add(shortcut_, {.name = "shortcut", .inputs = {"input"}});
  graph_.add(std::make_shared<Identity>(), {.name = "joined",
                                            .inputs = {"branch", shortcut_ != nullptr ? "shortcut" : "input"},
                                            .join = options_.connect});
}

Residual::Residual(const Residual& other) : Layer(other), options_(other.options_) {
  if (other.branch_ == nullptr) return;
  build(std::make_shared<Sequential>(*other.branch_),
        other.shortcut_ != nullptr ? std::make_shared<Sequential>(*other.shortcut_) : nullptr);
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
  // graph_.output_shape would ask the two sides again, and blocks within blocks twice as often each.
  const bool concatenates = options_.connect == Connect::CONCATENATE && branch.rank() > 0;
  const bool fits = concatenates ? branch.rank() == shortcut.rank() && branch.from(1) == shortcut.from(1)
                                 : branch == shortcut;
  if (!fits) {
    throw ShapeError(kind(), fmt::format("shortcut must give {}, the features of the branch", branch.text()),
                     shortcut);
  }
  return concatenates ? branch.from(1).after({branch[0] + shortcut[0]}) : branch;
}

Form Residual::reads(const Shape& features) const { return graph_.reads(features); }

Signal Residual::do_forward(const Signal& x, Tape& tape) const { return graph_.do_forward(x, tape); }

Signal Residual::do_backward(Tape& tape, const Signal& dy) {
  if (branch_ == nullptr) throw ArgumentError(kind(), "branch must not be moved from");
  return graph_.do_backward(tape, dy);
}

std::vector<NamedLayer> Residual::do_children() {
  std::vector<NamedLayer> all{{"branch", branch_.get()}};
  if (shortcut_ != nullptr) all.push_back({"shortcut", shortcut_.get()});
  return all;
}

std::unique_ptr<Layer> Residual::do_clone() const { return std::make_unique<Residual>(*this); }

}  // namespace volley
