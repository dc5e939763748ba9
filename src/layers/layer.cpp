#include <volley/layer.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

namespace volley {

void check_real_input(std::string_view kind, const Signal& x) {
  if (x.is_spikes()) {
    throw Error(fmt::format(
        "[{}] input must be real-valued currents, got spikes of shape {}; put a linear layer before it", kind,
        x.shape().text()));
  }
}

void zero_gradients(const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& p : parameters) p.parameter->gradient.zero();
}

}  // namespace volley
