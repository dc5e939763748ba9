#pragma once

#include "reference/alif.hpp"
#include "reference/cuba_lif.hpp"
#include "reference/izhikevich.hpp"
#include "reference/klif.hpp"
#include "reference/lif.hpp"
#include "reference/qif.hpp"

namespace volley::reference {

// The neuron that options describe.
template <class Real>
IFNeuron<Real> neuron_of(const IFOptions& o) {
  return IFNeuron<Real>(o);
}
template <class Real>
LIFNeuron<Real> neuron_of(const LIFOptions& o) {
  return LIFNeuron<Real>(o);
}
template <class Real>
PLIFNeuron<Real> neuron_of(const PLIFOptions& o) {
  return PLIFNeuron<Real>(o);
}
template <class Real>
QIFNeuron<Real> neuron_of(const QIFOptions& o) {
  return QIFNeuron<Real>(o);
}
template <class Real>
EIFNeuron<Real> neuron_of(const EIFOptions& o) {
  return EIFNeuron<Real>(o);
}
template <class Real>
IzhikevichNeuron<Real> neuron_of(const IzhikevichOptions& o) {
  return IzhikevichNeuron<Real>(o);
}
template <class Real>
CUBALIFNeuron<Real> neuron_of(const CUBALIFOptions& o) {
  return CUBALIFNeuron<Real>(o);
}
template <class Real>
ALIFNeuron<Real> neuron_of(const ALIFOptions& o) {
  return ALIFNeuron<Real>(o);
}
template <class Real>
KLIFNeuron<Real> neuron_of(const KLIFOptions& o) {
  return KLIFNeuron<Real>(o);
}

}  // namespace volley::reference
