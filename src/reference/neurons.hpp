#pragma once

// Every neuron of the list Neurons: neuron_of<Real>(options) is the one that options describe.
#include "reference/alif.hpp"
#include "reference/cuba_lif.hpp"
#include "reference/glif.hpp"
#include "reference/izhikevich.hpp"
#include "reference/klif.hpp"
#include "reference/lif.hpp"
#include "reference/qif.hpp"
#include "reference/refractory.hpp"

namespace volley::reference {

/// Calls body(neuron) with the neuron that options describe, in its compile-time form.
template <class Real, class Options, class Body>
void with_neuron_of(const Options& o, const Body& body) {
  if (o.refractory > 0) {
    body(Refractory(neuron_of<Real>(o), o.refractory));
  } else {
    body(neuron_of<Real>(o));
  }
}

}  // namespace volley::reference
