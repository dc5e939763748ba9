#pragma once

#include <volley/buffer.hpp>
#include <volley/signal.hpp>
#include <volley/threads.hpp>

namespace volley {

/// The real values of samples [begin, end) of x: where they lie, or, if a source makes them, in `made`.
const float* sample_values(const Signal& x, std::size_t begin, std::size_t end, Buffer<float>& made);

/// A signal that is taken to memory, if a source makes it: `values`, of which sample n is there after
/// read(n).
struct Taken {
  Signal values;
  const SampleSource* source = nullptr;
  Tensor* memory = nullptr;

  void read(std::size_t n) const;
};
Taken take(const Signal& x, Tensor& memory);

/// x in memory and in `layout`: x itself where it lies so, else a copy in `memory`. Spikes that are turned
/// are in step order.
Signal in_layout(const Signal& x, Layout layout, SignalMemory& memory, ThreadPool& threads);

/// x as real values, 0 and 1 where it is spikes, in the layout that it has.
Signal real_values(const Signal& x, SignalMemory& memory, ThreadPool& threads);

/// x in the plain form, row-major with every step stored, for those who can read no other: losses, Python,
/// and layers that have not learned more.
Signal plain(const Signal& x, SignalMemory& memory, ThreadPool& threads);
/// Its backward: the gradient of x, in x's form, from dy, the gradient of plain(x).
Signal plain_backward(const Signal& x, const Signal& dy, SignalMemory& memory, ThreadPool& threads);

}  // namespace volley
