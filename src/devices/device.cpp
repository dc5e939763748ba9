#include <volley/device.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include <volley/error.hpp>
#include <volley/threads.hpp>

#include "core/processor.hpp"
#include "cpu/cpu_executor.hpp"

namespace volley {
namespace {

/// What a name asks for.
struct Wanted {
  enum class Kind { cpu, cuda, any } kind;
  std::size_t index = 0;  // of a GPU
};

std::optional<Wanted> parse(std::string_view name) {
  if (name == "cpu") return Wanted{Wanted::Kind::cpu};
  if (name == "auto") return Wanted{Wanted::Kind::any};
  if (name == "cuda") return Wanted{Wanted::Kind::cuda};
  constexpr std::string_view kCuda = "cuda:";
  if (!name.starts_with(kCuda)) return {};
  const std::string_view number = name.substr(kCuda.size());
  Wanted wanted{Wanted::Kind::cuda};
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), wanted.index);
  const bool whole = error == std::errc{} && end == number.data() + number.size();
  return whole && number.size() <= 3 ? std::optional(wanted) : std::nullopt;
}

Wanted parse_or_throw(std::string_view name) {
  const std::optional<Wanted> wanted = parse(name);
  if (wanted.has_value()) return *wanted;
  throw ArgumentError("device", "name must be 'cpu', 'cuda', 'cuda:N' or 'auto'", fmt::format("'{}'", name));
}

std::shared_ptr<Executor> make_cpu(ThreadPool& threads) {
  if (DeviceAccess::make_cpu != nullptr) return DeviceAccess::make_cpu(threads);
  return std::make_shared<cpu::CpuExecutor>(threads);
}

}  // namespace

Device::Device(std::string_view name, std::size_t threads) : name_("cpu") {
  if (parse_or_throw(name).kind == Wanted::Kind::cuda)
    throw DeviceError(name, "this build of Volley runs on CPUs alone; volley info lists its devices");
  own_threads_ = std::make_unique<ThreadPool>(threads);
  threads_ = own_threads_.get();
  executor_ = make_cpu(*threads_);
}

Device::Device(ThreadPool& threads) : name_("cpu"), threads_(&threads), executor_(make_cpu(threads)) {}

Device::~Device() {
  try {
    executor_->finish();
  } catch (...) {  // of operations whose results nothing has asked for
  }
}

void Device::finish() const { executor_->finish(); }

std::uint64_t Device::copied_bytes() const { return executor_->copied_bytes(); }

std::vector<DeviceInfo> devices() {
  return {{"cpu", fmt::format("{}, {} usable processors", processor_name(), ThreadPool::shared().size())}};
}

void check_device_name(std::string_view name) { static_cast<void>(parse_or_throw(name)); }

}  // namespace volley
