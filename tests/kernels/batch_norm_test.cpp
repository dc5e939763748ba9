#include "kernels/batch_norm.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "spec/batch_norm.hpp"
#include "support/every_target.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

// 300 rows are more than one block of the kernel's.
const std::size_t kRowCounts[] = {0, 1, 2, 63, 64, 65, 300};

TEST(BatchNormKernel, SumsAreTheReferencesToTheBit) {
  test::on_every_target([] {
    for (const std::size_t C : test::kEdgeSizes) {
      for (const std::size_t rows : kRowCounts) {
        const std::vector<float> x = test::Random(1).values<float>(rows * C, -3, 5);
        const std::vector<float> y = test::Random(2).values<float>(rows * C);
        std::vector<double> sum(C), dot(C), sum_expected(C), dot_expected(C);
        kernels::channel_sums(sum.data(), dot.data(), x.data(), y.data(), rows, C);
        spec::channel_sums(sum_expected.data(), dot_expected.data(), x.data(), y.data(), rows, C);
        ASSERT_EQ(sum, sum_expected) << rows << " rows of " << C;
        ASSERT_EQ(dot, dot_expected) << rows << " rows of " << C;
      }
    }
  });
}

TEST(BatchNormKernel, FollowsTheReference) {
  test::on_every_target([] {
    for (const std::size_t C : test::kEdgeSizes) {
      for (const std::size_t rows : kRowCounts) {
        test::Random random(static_cast<std::uint32_t>(C));
        const std::vector<float> x = random.values<float>(rows * C), dy = random.values<float>(rows * C);
        const std::vector<float> scale = random.values<float>(C), slope = random.values<float>(C),
                                 offset = random.values<float>(C);
        std::vector<spec::BatchNormForward<float>> forward(C);
        std::vector<spec::BatchNormBackward<float>> backward(C);
        for (std::size_t c = 0; c < C; ++c) {
          forward[c] = {scale[c], offset[c]};
          backward[c] = {scale[c], slope[c], offset[c]};
        }
        // One more behind the last must stay as it is.
        std::vector<float> y(rows * C + 1, 9), dx = y, y_expected = y, dx_expected = y;
        kernels::batch_norm_forward(y.data(), x.data(), scale.data(), offset.data(), rows, C);
        kernels::batch_norm_backward(dx.data(), dy.data(), x.data(), scale.data(), slope.data(),
                                     offset.data(), rows, C);
        spec::batch_norm_forward(y_expected.data(), x.data(), forward.data(), rows, C);
        spec::batch_norm_backward(dx_expected.data(), dy.data(), x.data(), backward.data(), rows, C);
        ASSERT_LT(test::relative_error(y, y_expected), 1e-6) << rows << " rows of " << C;
        ASSERT_LT(test::relative_error(dx, dx_expected), 1e-6) << rows << " rows of " << C;
        ASSERT_EQ(y.back(), 9);
        ASSERT_EQ(dx.back(), 9);
      }
    }
  });
}

}  // namespace
}  // namespace volley
