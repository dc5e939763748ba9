#pragma once

#include <gtest/gtest.h>

#include <string>

#include <volley/kernels.hpp>

namespace volley::test {

/// Runs `body` once with each instruction set this processor has, then goes back to the best.
template <class Body>
void on_every_target(const Body& body) {
  for (const std::string& target : kernels::supported_targets()) {
    SCOPED_TRACE(target);
    kernels::force_target(target);
    ASSERT_EQ(kernels::active_target(), target);
    body();
  }
  kernels::force_target(kernels::supported_targets().front());
}

/// Sizes at and beside the edges of vectors and words.
inline const std::size_t kEdgeSizes[] = {1,  3,  4,  5,  7,  8,  9,   10,  15, 16,
                                         17, 31, 33, 63, 64, 65, 100, 128, 129};

}  // namespace volley::test
