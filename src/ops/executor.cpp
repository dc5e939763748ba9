#include "ops/executor.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
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

const std::uint32_t* Executor::find(std::span<const std::uint32_t> values) {
  if (is_host()) return nullptr;
  const std::scoped_lock lock(keeping_);
  for (const KeptNumbers* kept : kept_) {
    const std::uint32_t* const first = kept->values_.data();
    const std::uint32_t* const end = first + kept->values_.size();
    const bool within =
        !std::less<>()(values.data(), first) && !std::less<>()(end, values.data() + values.size());
    if (within && !values.empty()) return read(kept->there_) + (values.data() - first);
  }
  return nullptr;
}

KeptNumbers::KeptNumbers(std::span<const std::uint32_t> values, Executor& device)
    : values_(values), device_(device) {
  if (device.is_host()) return;
  there_.resize(values.size());
  std::ranges::copy(values, there_.data());
  const std::scoped_lock lock(device.keeping_);
  device.kept_.push_back(this);
}

KeptNumbers::~KeptNumbers() {
  const std::scoped_lock lock(device_.keeping_);
  std::erase(device_.kept_, this);
}

void Executor::run_ahead(const ops::PoissonEncode& op, ops::Slot&) { run(op); }

}  // namespace volley
