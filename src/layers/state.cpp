#include <volley/state.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include <volley/error.hpp>

namespace volley {
namespace {

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + '.' + name;
}

}  // namespace

StateTensor& State::at(std::string_view name, const Shape& shape, float start) {
  const auto found = std::ranges::find(tensors_, name, &StateTensor::name);
  if (found == tensors_.end()) {
    StateTensor& made = tensors_.emplace_back(StateTensor{std::string(name), Tensor(shape), {}});
    std::ranges::fill(made.value.values(), start);
    return made;
  }
  if (found->value.shape() != shape) {
    throw ShapeError(
        "state",
        fmt::format("{} must have the shape {} for this x; reset it, or pass another", name, shape.text()),
        found->value.shape());
  }
  return *found;
}

const StateTensor* State::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors_, name, &StateTensor::name);
  return found == tensors_.end() ? nullptr : &*found;
}

State& State::child(std::size_t index) {
  while (children_.size() <= index) children_.emplace_back();
  return children_[index];
}

bool State::at_rest() const {
  return tensors_.empty() && std::ranges::all_of(children_, [](const State& s) { return s.at_rest(); });
}

void State::reset() {
  tensors_.clear();
  children_.clear();
}

template <class Body>
void State::walk(Layer& layer, const std::string& path, const Body& body) {
  body(layer, path, *this);
  const std::vector<NamedLayer> layers = layer.children();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    child(i).walk(*layers[i].layer, joined(path, layers[i].name), body);
  }
}

std::vector<NamedTensor> State::named_tensors(Layer& net) {
  std::vector<NamedTensor> all;
  walk(net, "", [&](Layer&, const std::string& path, State& state) {
    for (StateTensor& t : state.tensors_) all.push_back({joined(path, t.name), &t.value});
  });
  return all;
}

std::vector<NamedTensor> State::named_gradients(Layer& net) {
  std::vector<NamedTensor> all;
  walk(net, "", [&](Layer&, const std::string& path, State& state) {
    for (StateTensor& t : state.tensors_) all.push_back({joined(path, t.name), &t.gradient});
  });
  return all;
}

void State::set(Layer& net, const std::map<std::string, Tensor>& tensors) {
  State made;
  std::vector<std::string> known;
  made.walk(net, "", [&](Layer& layer, const std::string& path, State& state) {
    for (const std::string& name : layer.state_names()) {
      known.push_back(joined(path, name));
      const auto found = tensors.find(known.back());
      if (found != tensors.end()) state.tensors_.push_back({name, found->second, {}});
    }
  });
  for (const auto& [name, tensor] : tensors) {
    if (std::ranges::find(known, name) != known.end()) continue;
    throw ArgumentError("state", fmt::format("names must be of {}", fmt::join(known, ", ")), name);
  }
  *this = std::move(made);
}

}  // namespace volley
