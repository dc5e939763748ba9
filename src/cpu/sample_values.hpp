#pragma once

#include <cstddef>

#include "core/workspace.hpp"
#include "ops/sample_source.hpp"
#include "ops/views.hpp"

namespace volley::cpu {

/// The values of samples [begin, end), of `size` each: where they lie, or, if a source computes them, in the
/// thread's workspace.
class SampleValues {
 public:
  SampleValues(const ops::Values& values, std::size_t size, std::size_t begin, std::size_t end)
      : in_memory_(values.source == nullptr ? values.memory + begin * size : nullptr),
        made_(in_memory_ == nullptr ? (end - begin) * size : 0) {
    if (in_memory_ != nullptr) return;
    for (std::size_t n = begin; n < end; ++n) values.source->read(made_.data() + (n - begin) * size, n);
  }
  const float* data() { return in_memory_ != nullptr ? in_memory_ : made_.data(); }

 private:
  const float* in_memory_;
  Scratch<float> made_;
};

}  // namespace volley::cpu
