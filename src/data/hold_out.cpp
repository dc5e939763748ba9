#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include <volley/dataset.hpp>
#include <volley/error.hpp>

#include "core/philox.hpp"

namespace volley {
namespace {

/// Exchanges pictures so that each class of two or more has one in both parts, and the only one of a class is
/// kept, as far as there is room. The first of a class in `order` is exchanged, for the first of the class
/// that has the most in the other part.
void give_each_class_one(std::vector<bool>& held, const std::vector<std::uint32_t>& labels,
                         const std::vector<std::uint32_t>& order) {
  std::map<std::uint32_t, std::array<std::size_t, 2>> classes;  // pictures that are kept, and held
  for (std::size_t n = 0; n < labels.size(); ++n) ++classes[labels[n]][held[n]];
  const auto move = [&](std::uint32_t label, bool to) {
    const auto chosen =
        std::ranges::find_if(order, [&](std::uint32_t n) { return labels[n] == label && held[n] != to; });
    held[*chosen] = to;
    --classes[label][!to];
    ++classes[label][to];
  };
  const auto exchange = [&](std::uint32_t label, bool to) {
    const auto fewer = [&](const auto& a, const auto& b) { return a.second[to] < b.second[to]; };
    const auto most = std::ranges::max_element(classes, fewer);
    if (most->second[to] < 2) return;
    move(label, to);
    move(most->first, !to);
  };
  for (const auto& [label, counts] : classes) {
    if (counts[0] == 0 && counts[1] == 1) exchange(label, false);
  }
  for (const auto& [label, counts] : classes) {
    if (counts[0] + counts[1] < 2) continue;
    for (const bool part : {false, true}) {
      if (counts[part] == 0) exchange(label, part);
    }
  }
}

}  // namespace

void hold_out(Split& split, std::size_t samples, std::uint32_t seed) {
  Dataset& train = split.train;
  if (train.size() > 0) train.check();
  if (samples == 0 || samples >= train.size()) {
    throw ArgumentError("data",
                        fmt::format("{}: 1 to {} of its {} pictures can be held out", train.name,
                                    std::max<std::size_t>(train.size(), 1) - 1, train.size()),
                        std::to_string(samples));
  }
  std::vector<std::uint32_t> order(train.size());
  shuffle(order, PhiloxSequence(philox_key(seed, Purpose::hold_out, 0)));
  std::vector<bool> held(train.size());
  for (std::size_t i = 0; i < samples; ++i) held[order[i]] = true;
  give_each_class_one(held, train.labels, order);

  Dataset& out = split.validation;
  out = {train.name + ", held out", train.shape, {}, {}, train.classes};
  out.pixels.reserve(samples * train.shape.size());
  std::size_t kept = 0;
  for (std::size_t n = 0; n < train.size(); ++n) {
    const std::span<const std::uint8_t> picture = train.picture(n);
    if (held[n]) {
      out.pixels.insert(out.pixels.end(), picture.begin(), picture.end());
      out.labels.push_back(train.labels[n]);
    } else {  // moves forward within the set, never over what is still to be read
      std::ranges::copy(picture,
                        train.pixels.begin() + static_cast<std::ptrdiff_t>(kept * train.shape.size()));
      train.labels[kept++] = train.labels[n];
    }
  }
  train.labels.resize(kept);
  train.pixels.resize(kept * train.shape.size());
}

}  // namespace volley
