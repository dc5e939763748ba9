#pragma once

#include <volley/layer.hpp>
#include <volley/signal.hpp>
#include <volley/signal_forms.hpp>

#include "ops/executor.hpp"
#include "ops/sample_source.hpp"

namespace volley {

// What is copied is copied by a device, in its memory.

/// x in `form`: x itself where it has that form, else a copy in `memory`. Spikes that change their layout are
/// in step order. With `by_sample` a source stays one, if its layout fits.
Signal in_form(const Signal& x, const Form& form, SignalMemory& memory, Executor& device,
               bool by_sample = false);

/// The gradient dy in the layout and the stored steps of x: the steps are added up where x stores one. Throws
/// ShapeError where dy stores one step and x all.
Signal in_form_of(const Signal& x, const Signal& dy, SignalMemory& memory, Executor& device);

/// Those of <volley/signal_forms.hpp>.
Signal plain(const Signal& x, SignalMemory& memory, Executor& device);
Signal real_values(const Signal& x, SignalMemory& memory, Executor& device);

/// Spikes in step order and in the layout of x; spikes and other signals that are so stay.
Signal in_step_order(const Signal& x, SignalMemory& memory, Executor& device);

}  // namespace volley
