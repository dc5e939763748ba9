#pragma once

#include <volley/signal.hpp>
#include <volley/threads.hpp>

namespace volley {

// A signal in a form that is read without a look at its layout. Where x has that form already, x is returned;
// otherwise a copy in `memory`, which keeps its memory from one call to the next. The result is valid as long
// as x and `memory` are, and until the next call with `memory`. Calls with memories of their own may run at
// once. to_tensor (signal.hpp) does both and returns a Tensor. An empty signal stays empty.

/// x row-major with every step stored; spikes stay spikes, in step order where they are copied.
Signal plain(const Signal& x, SignalMemory& memory, ThreadPool& threads = ThreadPool::shared());

/// x as real values, 0 and 1 where it is spikes, in the layout and with the stored steps that it has.
Signal real_values(const Signal& x, SignalMemory& memory, ThreadPool& threads = ThreadPool::shared());

}  // namespace volley
