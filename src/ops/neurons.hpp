#pragma once

#include <cstddef>
#include <variant>

#include <volley/neuron_options.hpp>

namespace volley::ops {

// The numbers of neurons as devices compute with them: the options, lowered once for every device, so that
// all have the same constants. kStates is what goes from step to step without a refractory period: docs/math.

/// What happens at the threshold: (L3) and (L6) of docs/math/lif.md.
struct Firing {
  float v_threshold;
  float fire_from;  // fires when h >= this
  float kappa;      // after a spike v = kappa h + c
  float c;
  float v_rest;   // the potential that a leak pulls to
  float v_start;  // potential at the start of a pass
  bool detached;
  bool strict;             // whether it fires above the threshold only
  std::size_t refractory;  // steps after a spike in which it is held

  bool hard() const { return kappa == 0; }
};

/// What h takes of the current: x / tau, (L1); x, (L2); x / tau_charge, (L14).
struct Leak {
  enum class Taken { decayed, whole, by_tau_charge };
  Taken taken;
  float inv_tau;  // 0: nothing leaks
  float dh_dx;
  float dh_dv;
};

struct LIF {  // and IF
  static constexpr std::size_t kStates = 1;
  Firing firing;
  Leak leak;
};

struct PLIF {  // the leak's numbers are those of 1 / tau = 1
  static constexpr std::size_t kStates = 1;
  Firing firing;
  Leak leak;
};

struct KLIF {
  static constexpr std::size_t kStates = 1;
  Firing firing;
  Leak leak;
  bool scale_reset;
};

struct ALIF {
  static constexpr std::size_t kStates = 2;
  Firing firing;
  Leak leak;
  float inv_tau_a, da_da, beta;
};

struct GLIF {  // of which only v_start, detached and strict are looked at
  static constexpr std::size_t kStates = 1;
  Firing firing;
};

struct QIF {
  static constexpr std::size_t kStates = 1;
  Firing firing;
  float inv_tau, a0, v_rest, v_c;
};

struct EIF {
  static constexpr std::size_t kStates = 1;
  Firing firing;
  float inv_tau, v_rest, delta_T, inv_delta_T, theta_rh;
};

struct Izhikevich {
  static constexpr std::size_t kStates = 2;
  Firing firing;
  float inv_tau, a0, v_rest, v_c, w_rest, inv_tau_w, dw_dw, a, b;
};

struct CUBALIF {
  static constexpr std::size_t kStates = 2;
  Firing firing;
  float c_decay, v_decay;
};

/// A constant that is computed in double; one beyond the largest float counts as that, so that 0 times it is
/// 0.
float number(double value);

/// The numbers of some options.
LIF lower(const IFOptions& o);
LIF lower(const LIFOptions& o);
PLIF lower(const PLIFOptions& o);
KLIF lower(const KLIFOptions& o);
ALIF lower(const ALIFOptions& o);
GLIF lower(const GLIFOptions& o);
QIF lower(const QIFOptions& o);
EIF lower(const EIFOptions& o);
Izhikevich lower(const IzhikevichOptions& o);
CUBALIF lower(const CUBALIFOptions& o);

using Neuron = std::variant<LIF, PLIF, KLIF, ALIF, GLIF, QIF, EIF, Izhikevich, CUBALIF>;
Neuron lower(const AnyNeuron& options);

}  // namespace volley::ops
