#include "ops/executor.hpp"

#include <cstring>
#include <new>

namespace volley {

std::byte* Executor::allocate(std::size_t bytes) { return static_cast<std::byte*>(::operator new(bytes)); }
void Executor::free(std::byte* memory) noexcept { ::operator delete(memory); }
void Executor::copy_in(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void Executor::copy_out(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
#define VOLLEY_DEFER_OPERATION(Operation) \
  const SampleSource* Executor::defer(const ops::Operation&, const Signal&, ops::Slot&) { return nullptr; }
VOLLEY_FOR_EACH_DEFERRED_OPERATION(VOLLEY_DEFER_OPERATION)
#undef VOLLEY_DEFER_OPERATION

void Executor::run_ahead(const ops::PoissonEncode& op, ops::Slot&) { run(op); }

}  // namespace volley
