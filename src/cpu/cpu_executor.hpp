#pragma once

#include <volley/threads.hpp>

#include "ops/executor.hpp"

namespace volley::cpu {

// Each operation on the CPU, its work shared out among threads. Nothing but these knows the kernels.
#define VOLLEY_DECLARE_OPERATION(Operation) void run(ThreadPool& threads, const ops::Operation& op);
VOLLEY_FOR_EACH_OPERATION(VOLLEY_DECLARE_OPERATION)
#undef VOLLEY_DECLARE_OPERATION

#define VOLLEY_DECLARE_DEFERRED(Operation)                                                     \
  const SampleSource* defer(ThreadPool& threads, const ops::Operation& op, const Signal& from, \
                            ops::Slot& slot);
VOLLEY_FOR_EACH_DEFERRED_OPERATION(VOLLEY_DECLARE_DEFERRED)
#undef VOLLEY_DECLARE_DEFERRED
void run_ahead(ThreadPool& threads, const ops::PoissonEncode& op, ops::Slot& slot);

/// The CPU: operations are done when run returns, on the host's memory.
class CpuExecutor final : public Executor {
 public:
  explicit CpuExecutor(ThreadPool& threads) : threads_(threads) {}

  bool is_host() const override { return true; }
#define VOLLEY_DEFER_OPERATION(Operation)                                                             \
  const SampleSource* defer(const ops::Operation& op, const Signal& from, ops::Slot& slot) override { \
    return cpu::defer(threads_, op, from, slot);                                                      \
  }
  VOLLEY_FOR_EACH_DEFERRED_OPERATION(VOLLEY_DEFER_OPERATION)
#undef VOLLEY_DEFER_OPERATION

  void run_ahead(const ops::PoissonEncode& op, ops::Slot& slot) override {
    cpu::run_ahead(threads_, op, slot);
  }

#define VOLLEY_RUN_OPERATION(Operation) \
  void run(const ops::Operation& op) override { cpu::run(threads_, op); }
  VOLLEY_FOR_EACH_OPERATION(VOLLEY_RUN_OPERATION)
#undef VOLLEY_RUN_OPERATION

 private:
  ThreadPool& threads_;
};

}  // namespace volley::cpu
