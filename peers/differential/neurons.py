"""The neurons of docs/math in bounded arithmetic, forward and backward, with Volley's spikes.

A neuron has states z; z[0] is the potential. `charge` and `reset` return the states after them and the
partial derivatives. `Pass` applies them over time. With given spikes both sides stay on one path. Each spike
is judged by the distance of its potential from the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import surrogates
from .bounded import (
    LARGEST,
    Array,
    Bounded,
    bilinear,
    constant,
    exp,
    finish,
    settled,
    sigmoid,
    stack,
    summed,
    terms,
    total_in_double,
    where,
)

Parameters = dict[str, Bounded]
Options = dict[str, Any]


@dataclass
class Charged:
    z: list[Bounded]
    by_z: list[list[Bounded | None]]  # [i][j] = dz'[i] / dz[j]
    by_x: list[Bounded | None]
    by_parameter: dict[str, list[Bounded | None]] = field(default_factory=dict)
    follows: Bounded | None = None  # dz'[1] / dz'[0] where z'[1] is a function of z'[0]; by_z is without it
    gate: tuple[Array, Array] | None = None  # where a gradient of z'[0] passes, and where that is in doubt


@dataclass
class WasReset:
    z: list[Bounded]
    by_z: list[list[Bounded | None]]  # with the spike held
    by_spike: list[Bounded | None]  # None where it is detached
    by_parameter: dict[str, list[Bounded | None]] = field(default_factory=dict)


def reciprocal(x: float) -> Bounded:
    return constant(1 / x)


def moved(value: Array, errors: list[tuple[Any, Bounded]], sizes: list[Array], beyond: Any = 0.0) -> Bounded:
    """A value whose error is the sum of factor times error, with roundings at the given sizes."""
    bound = np.zeros_like(value) + beyond
    for factor, of in errors:
        if np.any(of.bound):
            bound = bound + np.abs(factor) * of.bound
    return finish(
        value, settled(value, bound), sum(np.where(np.isfinite(s), s, 0.0) for s in map(np.abs, sizes))
    )


class Neuron:
    """The threshold and the reset of most neurons: (L3) to (L7)."""

    states = 1

    def __init__(self, options: Options):
        self.o = options
        self.v_reset: float | None = options.get("v_reset")
        self.rest = self.v_reset if self.v_reset is not None else 0.0
        self.detached = options.get("detach_reset", False)

    def start(self) -> list[float]:
        return [self.rest] + [0.0] * (self.states - 1)

    def threshold(self, p: Parameters) -> Bounded:
        return p["v_threshold"] if "v_threshold" in p else constant(self.o["v_threshold"])

    def above(
        self, z: list[Bounded], p: Parameters
    ) -> tuple[Bounded, list[Bounded | None], dict[str, Bounded]]:
        """u, its derivatives by z and by the parameters."""
        by = {"v_threshold": constant(-1.0)} if "v_threshold" in p else {}
        return z[0] - self.threshold(p), [constant(1.0)] + [None] * (self.states - 1), by

    def reset(self, z: list[Bounded], s: Array, p: Parameters) -> WasReset:
        v, kept, by_spike, by = self.reset_potential(z[0], s, self.threshold(p))
        n = self.states
        table: list[list[Bounded | None]] = [[None] * n for _ in range(n)]
        table[0][0] = kept
        for i in range(1, n):
            table[i][i] = constant(1.0)
        spikes = [None if self.detached else by_spike] + [None] * (n - 1)
        named = {"v_threshold": [by] + [None] * (n - 1)} if "v_threshold" in p and by is not None else {}
        return WasReset([v, *z[1:]], table, spikes, named)

    def reset_potential(
        self, h: Bounded, s: Array, threshold: Bounded
    ) -> tuple[Bounded, Bounded, Bounded, Bounded | None]:
        """v, dv/dh with s held, dv/ds, dv/dthreshold."""
        spikes = Bounded(s)
        if self.v_reset is None:
            return h - spikes * threshold, constant(1.0), -threshold, -spikes  # (L5)
        silent = Bounded(1 - s)
        return silent * h + spikes * constant(self.v_reset), silent, self.v_reset - h, None  # (L4)

    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        raise NotImplementedError


def leaky(v: Bounded, x: Bounded, k: Bounded, keep: Bounded, rest: float, decay_input: bool) -> Bounded:
    """(L1), (L2) with k = 1 / tau and keep = 1 - k. v is in both terms, so its error enters by keep alone."""
    leak = v.value - rest
    inner = x.value - leak if decay_input else -leak
    value = v.value + inner * k.value if decay_input else v.value - leak * k.value + x.value
    gain = k.value if decay_input else 1.0
    errors = [(keep.value, v), (gain, x), (inner, k)]
    return moved(value, errors, [leak * k.value, 2 * inner * k.value, value])


class IF(Neuron):
    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        one = constant(1.0)
        return Charged([z[0] + x], [[one]], [one])


class LIF(Neuron):
    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        k, keep = reciprocal(self.o["tau"]), constant(1 - 1 / self.o["tau"])
        decay = self.o["decay_input"]
        h = leaky(z[0], x, k, keep, self.rest, decay)
        return Charged([h], [[keep]], [k if decay else constant(1.0)])  # (L9), (L10)


class PLIF(Neuron):
    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        k, keep = sigmoid(p["w"]), sigmoid(-p["w"])  # (L11), and 1 - 1 / tau
        decay = self.o["decay_input"]
        h = leaky(z[0], x, k, keep, self.rest, decay)
        inner = (x - (z[0] - self.rest)) if decay else -(z[0] - self.rest)
        return Charged([h], [[keep]], [k if decay else constant(1.0)], {"w": [inner * (k * keep)]})  # (L12)


class QIF(Neuron):
    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        o, v = self.o, z[0]
        k, a = reciprocal(o["tau"]), o["a0"] / o["tau"]
        left, right = v.value - o["v_rest"], v.value - o["v_c"]
        value = v.value + (x.value + o["a0"] * left * right) / o["tau"]  # (Q1)
        slope = constant(1.0) + a * (2.0 * v - (o["v_rest"] + o["v_c"]))  # (Q2)
        sizes = [2 * x.value * k.value, 4 * a * left * right, 2 * value, v.value]
        second = a * v.bound * v.bound
        h = moved(value, [(slope.value, v), (k.value, x)], sizes, second)
        return Charged([h], [[slope]], [k])


class EIF(Neuron):
    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        o, v = self.o, z[0]
        k = reciprocal(o["tau"])
        rise = exp((v - o["theta_rh"]) * constant(1 / o["delta_T"]))
        grown = o["delta_T"] * rise
        value = v.value + (x.value + o["v_rest"] - v.value + o["delta_T"] * rise.value) / o["tau"]  # (Q3)
        slope = constant(1.0) + k * (rise - 1.0)  # (Q4)
        top = np.abs(1 - k.value) + k.value * (rise.value + rise.bound)  # of the slope within v's bound
        certain = np.isinf(rise.value) & (rise.bound == 0)  # infinite for every v within its bound
        top = np.where(certain, 0.0, top)
        # grown.bound has the error of v, which `top` has too, and the roundings of the exponential
        own = np.where(np.isfinite(grown.bound), grown.bound, np.inf) * k.value
        sizes = [
            3 * k.value * (np.abs(x.value) + np.abs(v.value) + abs(o["v_rest"])),
            3 * k.value * grown.value,
            value,
        ]
        h = moved(value, [(top, v), (k.value, x)], sizes, own)
        return Charged([h], [[slope]], [k])


class Izhikevich(Neuron):
    """As SpikingJelly 2.0.0: a detached reset detaches s v_reset too; b s is never detached."""

    states = 2

    def start(self) -> list[float]:
        return [self.rest, self.o["w_rest"]]

    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        o, (v, w) = self.o, z
        k, kw, a = reciprocal(o["tau"]), reciprocal(o["tau_w"]), o["a0"] / o["tau"]
        left, right = v.value - o["v_rest"], v.value - o["v_c"]
        value = v.value + (x.value + o["a0"] * left * right - w.value) / o["tau"]  # (I1)
        slope = constant(1.0) + a * (2.0 * v - (o["v_rest"] + o["v_c"]))
        sizes = [2 * x.value * k.value, 4 * a * left * right, 2 * w.value * k.value, 2 * value, v.value]
        h = moved(value, [(slope.value, v), (k.value, x), (k.value, w)], sizes, a * v.bound * v.bound)
        follow = constant(o["a"] / o["tau_w"])
        keep = constant(1 - 1 / o["tau_w"])
        recovery = w.value + (o["a"] * (h.value - o["v_rest"]) - w.value) / o["tau_w"]  # (I2)
        sizes = [
            3 * o["a"] * kw.value * (np.abs(h.value) + abs(o["v_rest"])),
            2 * w.value * kw.value,
            w.value,
            recovery,
        ]
        w2 = moved(recovery, [(follow.value, h), (keep.value, w)], sizes)
        return Charged([h, w2], [[slope, -k], [None, keep]], [k, None], follows=follow)  # (I5), (I6)

    def reset(self, z: list[Bounded], s: Array, p: Parameters) -> WasReset:
        result = super().reset(z, s, p)
        result.z[1] = z[1] + self.o["b"] * Bounded(s)  # (I3)
        result.by_spike[1] = constant(self.o["b"])
        return result


class CUBALIF(Neuron):
    states = 2

    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        c_decay, v_decay, one = constant(self.o["c_decay"]), constant(self.o["v_decay"]), constant(1.0)
        c = z[1] * c_decay + x  # (U1)
        h = z[0] * v_decay + c  # (U2)
        return Charged([h, c], [[v_decay, c_decay], [None, c_decay]], [one, one])


class ALIF(Neuron):
    states = 2

    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        k, keep = reciprocal(self.o["tau"]), constant(1 - 1 / self.o["tau"])
        decay = self.o["decay_input"]
        h = leaky(z[0], x, k, keep, self.rest, decay)
        by_z = [[keep, None], [None, constant(1.0)]]
        return Charged([h, z[1]], by_z, [k if decay else constant(1.0), None])

    def theta(self, z: list[Bounded]) -> Bounded:
        return self.o["v_threshold"] + self.o["beta"] * z[1]  # (D1)

    def above(
        self, z: list[Bounded], p: Parameters
    ) -> tuple[Bounded, list[Bounded | None], dict[str, Bounded]]:
        return z[0] - self.theta(z), [constant(1.0), constant(-self.o["beta"])], {}

    def reset(self, z: list[Bounded], s: Array, p: Parameters) -> WasReset:
        v, kept, by_spike, _ = self.reset_potential(z[0], s, self.theta(z))  # (D2)
        k, keep = reciprocal(self.o["tau_a"]), constant(1 - 1 / self.o["tau_a"])
        a = z[1].value + (s - z[1].value) / self.o["tau_a"]  # (D3)
        trace = moved(a, [(keep.value, z[1])], [2 * k.value * (s + np.abs(z[1].value)), a])
        by_a = -(self.o["beta"] * Bounded(s)) if self.v_reset is None else None
        return WasReset([v, trace], [[kept, by_a], [None, keep]], [None if self.detached else by_spike, k])


class KLIF(Neuron):
    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        k, keep = reciprocal(self.o["tau"]), constant(1 - 1 / self.o["tau"])
        decay = self.o["decay_input"]
        h = leaky(z[0], x, k, keep, self.rest, decay)  # (K1)
        scaled = p["k"] * h
        closed = scaled.value <= 0  # not where NaN
        doubt = (np.abs(scaled.value) <= scaled.bound) & (scaled.bound > 0)
        f = Bounded(np.where(closed, 0.0, scaled.value), np.where(closed & ~doubt, 0.0, scaled.bound))  # (K2)
        by_x = p["k"] * k if decay else p["k"]
        return Charged([f], [[p["k"] * keep]], [by_x], {"k": [h]}, gate=(~closed, doubt))  # (K6), (K7)

    def reset(self, z: list[Bounded], s: Array, p: Parameters) -> WasReset:
        if not self.o["scale_reset"]:
            return super().reset(z, s, p)
        q, f, spikes, silent = 1.0 / p["k"], z[0], Bounded(s), Bounded(1 - s)
        kept = silent * f if self.v_reset is not None else f - spikes * self.o["v_threshold"]
        v = kept * q + (spikes * self.v_reset if self.v_reset is not None else 0.0)  # (K3)
        by_z = silent * q if self.v_reset is not None else q
        by_spike = self.v_reset - f * q if self.v_reset is not None else -(q * self.o["v_threshold"])  # (K4)
        by_k = -(kept * (q * q))  # (K5)
        return WasReset([v], [[by_z]], [None if self.detached else by_spike], {"k": [by_k]})


class Gate:
    """The sigmoid of a raw parameter, (T1), 1 less it, and its derivative."""

    def __init__(self, raw: Bounded):
        self.value, self.rest = sigmoid(raw), sigmoid(-raw)
        self.slope = self.value * self.rest


class GLIF(Neuron):
    def gates(self, p: Parameters) -> tuple[Gate, ...]:
        names = ("alpha", "beta", "gamma", "tau", "v_threshold", "linear_decay", "v_subreset", "conduct")
        return tuple(Gate(p[name]) for name in names)

    def charge(self, z: list[Bounded], x: Bounded, p: Parameters) -> Charged:
        alpha, beta, _, _, _, lam, _, c = self.gates(p)
        gain = 1.0 - beta.value * c.rest  # (T3)
        h = z[0] + gain * x - alpha.rest * lam.value  # (T4)
        by = {
            "alpha": lam.value * alpha.slope,
            "beta": -(x * c.rest) * beta.slope,
            "linear_decay": -(alpha.rest * lam.slope),
            "conduct": x * beta.value * c.slope,
        }  # (T9)
        return Charged([h], [[constant(1.0)]], [gain], {name: [value] for name, value in by.items()})

    def above(
        self, z: list[Bounded], p: Parameters
    ) -> tuple[Bounded, list[Bounded | None], dict[str, Bounded]]:
        threshold = Gate(p["v_threshold"])
        return z[0] - threshold.value, [constant(1.0)], {"v_threshold": -threshold.slope}  # (T7)

    def reset(self, z: list[Bounded], s: Array, p: Parameters) -> WasReset:
        alpha, _, gamma, tau, _, _, rho, _ = self.gates(p)
        spikes, h = Bounded(s), z[0]
        leak = 1.0 - alpha.value * tau.rest  # (T2)
        open_ = where((s > 0, np.zeros_like(s, bool)), gamma.rest, 1.0)  # 1 - gamma s
        v = leak * h * open_ - gamma.rest * rho.value * spikes  # (T5)
        by_leak = h * open_
        by = {
            "alpha": -(by_leak * tau.rest) * alpha.slope,
            "tau": by_leak * alpha.value * tau.slope,
            "gamma": spikes * (rho.value - leak * h) * gamma.slope,
            "v_subreset": -(spikes * gamma.rest) * rho.slope,
        }  # (T8)
        by_spike = None if self.detached else -(gamma.value * leak * h + gamma.rest * rho.value)  # (T6)
        return WasReset([v], [[leak * open_]], [by_spike], {name: [value] for name, value in by.items()})


NEURONS: dict[str, type[Neuron]] = {
    "if": IF,
    "lif": LIF,
    "plif": PLIF,
    "qif": QIF,
    "eif": EIF,
    "izhikevich": Izhikevich,
    "cuba_lif": CUBALIF,
    "alif": ALIF,
    "klif": KLIF,
    "glif": GLIF,
}


def dot(pairs: list[tuple[Bounded | None, Bounded | None]], shape: tuple[int, ...]) -> Bounded:
    """The sum of the products without None."""
    result: Bounded | None = None
    for a, b in pairs:
        if a is not None and b is not None:
            result = a * b if result is None else result + a * b
    return result if result is not None else Bounded(np.zeros(shape))


class Pass:
    """A pass of neurons over x (T, ...) with Volley's spikes s (T, ...).

    With feedback, `weight` is (F, F) or (F), and the current is (Z1)."""

    def __init__(
        self, neuron: Neuron, surrogate: Options, x: Bounded, s: Array, p: Parameters, weight: Any = None
    ):
        self.neuron, self.s, self.weight = neuron, s.astype(np.float64), weight
        self.parameters = p
        self.shape = x.shape[1:]
        z = [constant(np.full(self.shape, start)) for start in neuron.start()]
        self.charged: list[Charged] = []
        self.resets: list[WasReset] = []
        self.g: list[Bounded] = []
        self.by_u: list[tuple[list[Bounded | None], dict[str, Bounded]]] = []
        u_all = []
        for t in range(x.shape[0]):
            current = x[t] if t == 0 or weight is None else x[t] + self.feedback(t)
            self.charged.append(neuron.charge(z, current, p))
            u, by_z, by_p = neuron.above(self.charged[-1].z, p)
            u_all.append(u)
            self.by_u.append((by_z, by_p))
            self.g.append(surrogates.derivative(surrogate, u))
            self.resets.append(neuron.reset(self.charged[-1].z, self.s[t], p))
            z = self.resets[-1].z
        self.u = stack(u_all)

    def feedback(self, t: int) -> Bounded:
        s = Bounded(self.s[t - 1])
        if len(self.weight.shape) == 1:
            return s * self.weight
        return bilinear(lambda a, w: a @ w.T, s, self.weight, self.shape[-1])

    def backward(self, ds: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        """dx and the gradients of the parameters, and of "weight"."""
        n = self.neuron.states
        dz: list[Bounded | None] = [Bounded(np.zeros(self.shape))] * n  # 0 x an infinite factor is NaN
        sums: dict[str, Bounded] = {}
        dx: list[Any] = [None] * ds.shape[0]
        dweight: Bounded | None = None
        for t in reversed(range(ds.shape[0])):
            come = ds[t]
            if self.weight is not None and t + 1 < ds.shape[0]:
                come = come + self.feedback_adjoint(dx[t + 1])  # (Z3)
            dz, dx[t] = self.step_adjoint(t, come, dz, sums)
            if self.weight is not None and t > 0:
                part = self.feedback_gradient(dx[t], t)  # (Z5)
                dweight = part if dweight is None else dweight + part
        gradients = {name: total_in_double(g, self.parameters[name].shape) for name, g in sums.items()}
        for name, p in self.parameters.items():
            gradients.setdefault(name, Bounded(np.zeros(p.shape)))
        if self.weight is not None:
            gradients["weight"] = dweight if dweight is not None else Bounded(np.zeros(self.weight.shape))
        return stack(dx), gradients

    def step_adjoint(
        self, t: int, ds: Bounded, dz: list[Bounded | None], sums: dict[str, Bounded]
    ) -> tuple[list[Bounded | None], Bounded]:
        """(L8): dz before the step from dz after it, and dx.

        The factors of a dz are added before the product: its error then enters once, by their sum."""
        charged, was_reset, g = self.charged[t], self.resets[t], self.g[t]
        by_z, by_p = self.by_u[t]
        n = self.neuron.states
        seen = [
            (d, b) for d, b in zip(dz, was_reset.by_spike, strict=True) if d is not None and b is not None
        ]
        # After an infinite gradient the result depends on the order: kernels do not add the factors first.
        lost = sum(np.isinf(d.value) for d in dz if d is not None) > 0
        middle: list[Bounded | None] = []
        for j in range(n):
            parts: list[Bounded] = [] if by_z[j] is None else [ds * g * by_z[j]]
            sizes = np.zeros(self.shape)  # of terms that kernels may round before they cancel
            beyond = np.zeros(self.shape, bool)  # where that may overflow
            for i in range(n):
                if dz[i] is None:
                    continue
                factor = was_reset.by_z[i][j]
                if was_reset.by_spike[i] is not None and by_z[j] is not None:
                    spiked = was_reset.by_spike[i] * g * by_z[j]
                    sizes = sizes + np.abs(dz[i].value * spiked.value)
                    both = np.abs(dz[i].value * was_reset.by_spike[i].value)
                    beyond = beyond | (np.isfinite(both) & (both > LARGEST / 64))
                    factor = spiked if factor is None else factor + spiked
                if factor is not None:
                    parts.append(dz[i] * factor)
            whole = sum(parts[1:], parts[0]) if parts else None
            if whole is not None:
                whole = finish(whole.value, np.where(beyond | lost, np.inf, whole.bound), sizes)
            middle.append(whole)
        if charged.gate is not None:
            middle[0] = where(charged.gate, middle[0], 0.0)
        if charged.follows is not None:
            middle[0] = middle[0] + charged.follows * middle[1]
        if by_p or was_reset.by_parameter or charged.by_parameter:
            du = g * sum((d * b for d, b in seen), ds)
            for name, partial in by_p.items():
                add_to(sums, name, du * partial)
            for table, d in ((was_reset.by_parameter, dz), (charged.by_parameter, middle)):
                for name, partials in table.items():
                    add_to(sums, name, dot(list(zip(partials, d, strict=True)), self.shape))
        before = [dot([(charged.by_z[i][j], middle[i]) for i in range(n)], self.shape) for j in range(n)]
        return before, dot(list(zip(charged.by_x, middle, strict=True)), self.shape)

    def feedback_adjoint(self, di: Bounded) -> Bounded:
        if len(self.weight.shape) == 1:
            return di * self.weight
        return bilinear(lambda d, w: d @ w, di, self.weight, self.shape[-1])

    def feedback_gradient(self, di: Bounded, t: int) -> Bounded:
        s = Bounded(self.s[t - 1])
        if len(self.weight.shape) == 1:
            return summed(di * s, 0, terms(self.shape[0]))
        return bilinear(lambda d, a: d.T @ a, di, s, self.shape[0])


def add_to(sums: dict[str, Bounded], name: str, part: Bounded) -> None:
    sums[name] = part if name not in sums else sums[name] + part
