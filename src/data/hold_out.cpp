#include <fmt/format.h>

#include <algorithm>

#include <volley/dataset.hpp>
#include <volley/error.hpp>

#include "core/philox.hpp"

namespace volley {

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
