#include "kernels/poisson.hpp"
#include "cpu/cpu_executor.hpp"

namespace volley::cpu {
namespace {

/// The encoding of a batch, sample by sample.
struct Encoding final : ops::Workspace {
  ops::PoissonEncode op;

  void operator()(std::size_t begin, std::size_t end) const {
    const std::size_t words = (op.T + 63) / 64;
    for (std::size_t n = begin; n < end; ++n) {
      std::uint64_t* const trains = op.trains + n * op.F * words;
      std::uint32_t* const active = op.active + n * op.F;
      std::size_t count = 0;
      if (op.pictures.pixels != nullptr) {
        // Pictures are visited in any order: the next one is asked for before it is needed.
        if (n + 2 < op.N) kernels::prefetch({op.pictures.of(n + 2), op.F});
        count =
            kernels::poisson_encode(trains, active, op.pictures.of(n), op.F, op.T, op.addresses[n], op.key);
      } else {
        count = kernels::poisson_encode(trains, active, op.probabilities + n * op.F, op.F, op.T,
                                        op.addresses[n], op.key);
      }
      op.active_count[n] = static_cast<std::uint32_t>(count);
    }
  }
};

}  // namespace

void run(ThreadPool& threads, const ops::PoissonEncode& op) {
  Encoding encoding;
  encoding.op = op;
  parallel_for(threads, op.N, 1, encoding);
}

void run_ahead(ThreadPool& threads, const ops::PoissonEncode& op, ops::Slot& slot) {
  Encoding& encoding = ops::workspace<Encoding>(slot);
  encoding.op = op;
  parallel_for_ahead(threads, op.N, 1, encoding);
}

}  // namespace volley::cpu
