#pragma once

// Every neuron of the list Neurons: neuron_of<Real>(options) is the one that options describe.
#include "spec/alif.hpp"
#include "spec/cuba_lif.hpp"
#include "spec/glif.hpp"
#include "spec/izhikevich.hpp"
#include "spec/klif.hpp"
#include "spec/lif.hpp"
#include "spec/qif.hpp"
#include "spec/refractory.hpp"

namespace volley::spec {

/// Calls body(neuron) with the neuron that options describe, in its compile-time form.
template <class Real, class Options, class Body>
void with_neuron_of(const Options& o, const Body& body) {
  if (o.refractory > 0) {
    body(Refractory(neuron_of<Real>(o), o.refractory));
  } else {
    body(neuron_of<Real>(o));
  }
}

}  // namespace volley::spec
