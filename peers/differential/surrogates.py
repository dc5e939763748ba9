"""The derivatives of docs/math/surrogates.md in bounded arithmetic, and the classes that have them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .bounded import Bounded, below, constant, exp, log, where

Options = dict[str, float]


def _product(*factors: float) -> Bounded:
    """A product of options and constants: computed in double, rounded once."""
    return constant(math.prod(factors))


def atan(u: Bounded, alpha: float) -> Bounded:  # (S2)
    q = _product(math.pi / 2, alpha) * u
    return _product(alpha, 0.5) / (1.0 + q * q)


def sigmoid(u: Bounded, alpha: float) -> Bounded:  # (S4), even in u
    e = exp(-abs(alpha * u))
    return alpha * e / ((1.0 + e) * (1.0 + e))


def piecewise_quadratic(u: Bounded, alpha: float) -> Bounded:  # (S6)
    g = alpha - (constant(alpha) * alpha) * abs(u)
    return where(below(g, 0.0), 0.0, g)


def piecewise_exp(u: Bounded, alpha: float) -> Bounded:  # (S8)
    return _product(alpha, 0.5) * exp(-alpha * abs(u))


def soft_sign(u: Bounded, alpha: float) -> Bounded:  # (S10)
    q = 1.0 + alpha * abs(u)
    return _product(alpha, 0.5) / (q * q)


def super_spike(u: Bounded, alpha: float) -> Bounded:  # (S12)
    q = 1.0 + abs(u)
    return constant(alpha) / (q * q)


def erf(u: Bounded, alpha: float) -> Bounded:  # (S14)
    q = alpha * u
    return _product(alpha, 1 / math.sqrt(math.pi)) * exp(-(q * q))


def rect(u: Bounded, alpha: float) -> Bounded:  # (S16)
    return where(below(abs(u) - _product(0.5, 1 / alpha), 0.0), constant(alpha), 0.0)


def piecewise_leaky_relu(u: Bounded, w: float, c: float) -> Bounded:  # (S18)
    return where(below(abs(u) - w, 0.0), _product(0.5, 1 / w), constant(c))


def leaky_k_relu(u: Bounded, leak: float, k: float) -> Bounded:  # (S20)
    return where((u.value >= 0, abs(u.value) <= u.bound), constant(k), constant(leak))


def log_tailed_relu(u: Bounded, alpha: float) -> Bounded:  # (S22)
    beyond = where(below(u, 1.0), 1.0, 1.0 / where(below(u, 0.5), 1.0, u))
    at_most_0 = u.value <= 0, abs(u.value) <= u.bound
    return where(at_most_0, constant(alpha), beyond)


def s2nn(u: Bounded, alpha: float, beta: float) -> Bounded:  # (S24)
    above = constant(beta) / (1.0 + where(below(u, 0.0), 0.0, u))
    return where(below(u, 0.0), sigmoid(u, alpha), above)


def q_pseudo_spike(u: Bounded, alpha: float) -> Bounded:  # (S26)
    base = 1.0 + _product(2, 1 / (alpha - 1)) * abs(u)
    return exp(-alpha * log(base))


def nonzero_sign_log_abs(u: Bounded, alpha: float) -> Bounded:  # (S28)
    return constant(alpha) / (1.0 + alpha * abs(u))


def straight_through(u: Bounded) -> Bounded:  # (S30)
    return Bounded(np.ones_like(u.value))


Derivative = Callable[..., Bounded]

# By kind: (S..), the class in Volley, the class in SpikingJelly, and the options' names.
SURROGATES: dict[str, tuple[Derivative, str, str, tuple[str, ...]]] = {
    "atan": (atan, "ATan", "ATan", ("alpha",)),
    "sigmoid": (sigmoid, "Sigmoid", "Sigmoid", ("alpha",)),
    "piecewise_quadratic": (piecewise_quadratic, "PiecewiseQuadratic", "PiecewiseQuadratic", ("alpha",)),
    "piecewise_exp": (piecewise_exp, "PiecewiseExp", "PiecewiseExp", ("alpha",)),
    "soft_sign": (soft_sign, "SoftSign", "SoftSign", ("alpha",)),
    "super_spike": (super_spike, "SuperSpike", "SuperSpike", ("alpha",)),
    "erf": (erf, "Erf", "Erf", ("alpha",)),
    "rect": (rect, "Rect", "Rect", ("alpha",)),
    "piecewise_leaky_relu": (piecewise_leaky_relu, "PiecewiseLeakyReLU", "PiecewiseLeakyReLU", ("w", "c")),
    "leaky_k_relu": (leaky_k_relu, "LeakyKReLU", "LeakyKReLU", ("leak", "k")),
    "log_tailed_relu": (log_tailed_relu, "LogTailedReLU", "LogTailedReLU", ("alpha",)),
    "s2nn": (s2nn, "S2NN", "S2NN", ("alpha", "beta")),
    "q_pseudo_spike": (q_pseudo_spike, "QPseudoSpike", "QPseudoSpike", ("alpha",)),
    "nonzero_sign_log_abs": (nonzero_sign_log_abs, "NonzeroSignLogAbs", "NonzeroSignLogAbs", ("alpha",)),
    "custom": (lambda u: piecewise_quadratic(u, 1.0), "", "PiecewiseQuadratic", ()),
    "straight_through": (straight_through, "StraightThrough", "DeterministicPass", ()),
}


def derivative(surrogate: dict, u: Bounded) -> Bounded:
    """g(u); `surrogate` is {"kind": ..., its options}."""
    function = SURROGATES[surrogate["kind"]][0]
    g = function(u, **{k: v for k, v in surrogate.items() if k != "kind"})
    nan = np.isnan(u.value)  # every surrogate has NaN there
    bound = np.where(nan | np.isinf(u.bound), u.bound, g.bound)
    return Bounded(np.where(nan, np.nan, g.value), bound)
