#include <mutex>
#include <utility>

#include "ops/executor.hpp"

namespace volley::detail {
namespace {

/// Held while a mirror is made or copied, which is rare beside what operations take.
std::mutex& mirrors() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Mirror::Mirror(std::shared_ptr<Executor> of, std::byte* host_memory, std::size_t size)
    : executor(std::move(of)), host(host_memory), device(executor->allocate(size)), bytes(size) {}

Mirror::~Mirror() { executor->free(device); }

void Mirror::copy(Newest from, std::size_t used) {
  const std::scoped_lock lock(mirrors());
  if (newest != from) return;
  if (from == Newest::host) {
    executor->copy_in(device, host, used);
  } else {
    executor->copy_out(host, device, used);
  }
  executor->copied_bytes_ += used;
  newest = Newest::both;
}

void host_reads(Mirror& mirror, std::size_t bytes) {
  if (mirror.newest == Mirror::Newest::device) mirror.copy(Mirror::Newest::device, bytes);
}

void host_writes(Mirror& mirror, std::size_t bytes) {
  host_reads(mirror, bytes);
  mirror.newest = Mirror::Newest::host;
}

void drop(Mirror* mirror) noexcept { delete mirror; }

Mirror& BufferAccess::mirror(Mirror*& held, std::byte* host, std::size_t capacity, std::size_t used,
                             Executor& executor) {
  Mirror* known = __atomic_load_n(&held, __ATOMIC_ACQUIRE);
  if (known != nullptr && known->executor.get() == &executor) return *known;
  if (known != nullptr) host_reads(*known, used);  // what another device has written comes here first
  const std::scoped_lock lock(mirrors());
  known = held;
  if (known == nullptr || known->executor.get() != &executor) {
    delete known;
    __atomic_store_n(&held, nullptr, __ATOMIC_RELEASE);
    known = new Mirror(executor.shared_from_this(), host, capacity);
    __atomic_store_n(&held, known, __ATOMIC_RELEASE);
  }
  return *known;
}

}  // namespace volley::detail
