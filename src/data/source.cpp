#include <volley/source.hpp>

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

namespace volley {

Source::Source(SourceInfo info) : info_(std::move(info)) {}

void Source::read(std::span<const std::uint32_t> ids, Samples& samples) const {
  for (const std::uint32_t id : ids) {
    if (id >= size()) {
      throw ArgumentError(info_.name, fmt::format("samples must be below {}", size()), fmt::format("{}", id));
    }
  }
  do_read(ids, samples);
}

}  // namespace volley
