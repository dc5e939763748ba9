"""LIF against the equations of docs/math/lif.md, written once more in NumPy, in double."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import volley
from conftest import Currents

Array = NDArray[np.float64]


def derivative(surrogate: object, x: Array) -> Array:
    assert isinstance(surrogate, (volley.ATan, volley.Sigmoid))
    alpha = surrogate.alpha
    if isinstance(surrogate, volley.ATan):
        return np.asarray(alpha / 2 / (1 + (np.pi * alpha * x / 2) ** 2))
    s = 1 / (1 + np.exp(-alpha * x))
    return np.asarray(alpha * s * (1 - s))


@dataclass
class NumpyLIF:
    """Forward and backward of one LIF layer; `reset_term=False` is a mistake that a test must notice."""

    of: volley.LIF
    reset_term: bool = True

    def forward(self, x: NDArray[np.float32]) -> Array:
        o = self.of
        rest = o.v_reset if o.v_reset is not None else 0.0
        v = np.full(x.shape[1:], rest)
        self.h, self.s = np.zeros(x.shape), np.zeros(x.shape)
        for t, xt in enumerate(x.astype(np.float64)):
            h = v + (xt - (v - rest)) / o.tau if o.decay_input else v - (v - rest) / o.tau + xt
            s = (h >= o.v_threshold).astype(np.float64)
            v = h - s * o.v_threshold if o.v_reset is None else (1 - s) * h + s * o.v_reset
            self.h[t], self.s[t] = h, s
        return self.s

    def backward(self, ds: NDArray[np.float32]) -> Array:
        o = self.of
        dx, dv = np.zeros(ds.shape), np.zeros(ds.shape[1:])
        for t in reversed(range(len(ds))):
            h, s = self.h[t], self.s[t]
            g = derivative(o.surrogate, h - o.v_threshold)
            through_spike = g if not o.detach_reset and self.reset_term else np.zeros_like(g)
            if o.v_reset is None:
                dv_dh = 1 - o.v_threshold * through_spike
            else:
                dv_dh = (1 - s) + (o.v_reset - h) * through_spike
            dh = ds[t] * g + dv * dv_dh
            dx[t] = dh / o.tau if o.decay_input else dh
            dv = dh * (1 - 1 / o.tau)
        return dx


NEURONS = [
    volley.LIF(
        tau=tau, v_threshold=0.9, v_reset=v_reset, decay_input=decay, detach_reset=detach, surrogate=surrogate
    )
    for tau in (1.5, 2.0, 6.0)
    for v_reset in (0.0, -0.2, None)
    for decay in (True, False)
    for detach in (True, False)
    for surrogate in (volley.ATan(), volley.Sigmoid(alpha=3.0))
]


def error(a: NDArray[np.float32], b: Array) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("lif", NEURONS, ids=repr)
def test_lif_is_its_equations(lif: volley.LIF, currents: Currents, rng: np.random.Generator) -> None:
    x = currents(37, 3, 19)
    expected = NumpyLIF(lif)
    s, tape = lif.forward(x)
    assert s.dtype == np.uint8 and s.shape == x.shape
    expected.forward(x)
    assert np.abs(expected.h - lif.v_threshold).min() > 1e-6, "a spike on the edge: take another seed"
    np.testing.assert_array_equal(s, expected.s)
    assert 0 < s.mean() < 1
    ds = rng.normal(size=x.shape).astype(np.float32)
    dx = lif.backward(tape, ds)
    assert dx.dtype == np.float32 and dx.shape == x.shape
    assert error(dx, expected.backward(ds)) < 2e-5


def test_a_missing_reset_term_would_be_noticed(currents: Currents) -> None:
    lif = volley.LIF()
    x = currents(20, 2, 5)
    wrong = NumpyLIF(lif, reset_term=False)
    wrong.forward(x)
    _, tape = lif.forward(x)
    ds = np.ones(x.shape, np.float32)
    assert error(lif.backward(tape, ds), wrong.backward(ds)) > 1e-2


def test_soft_lif_by_finite_differences(currents: Currents, rng: np.random.Generator) -> None:
    soft = volley.SoftLIF(tau=3.0, v_threshold=0.5, v_reset=-0.1)
    x = currents(6, 2, 3)
    p, tape = soft.forward(x)
    assert p.dtype == np.float32 and 0 < p.min() and p.max() < 1
    dp = rng.normal(size=x.shape).astype(np.float32)
    dx = soft.backward(tape, dp)
    step = np.float32(1e-2)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        slope = float(((soft.forward(up)[0] - soft.forward(down)[0]) * dp).sum()) / (2 * float(step))
        assert abs(slope - dx[i]) < 2e-3


def test_arrays_of_any_memory_order_are_the_same_signal(currents: Currents) -> None:
    x = currents(9, 4, 5)
    lif = volley.LIF()
    expected, _ = lif.forward(x)
    doubled = np.zeros((9, 8, 10), np.float32)
    doubled[:, ::2, ::-2] = x
    for same in (np.asfortranarray(x), doubled[:, ::2, ::-2], np.ascontiguousarray(x.T).T):
        assert not same.flags.c_contiguous
        np.testing.assert_array_equal(lif.forward(same)[0], expected)
    x.flags.writeable = False
    np.testing.assert_array_equal(lif.forward(x)[0], expected)


def test_backward_does_not_need_what_the_caller_gave_forward(currents: Currents) -> None:
    lif = volley.LIF()
    x = currents(9, 4, 5)
    kept = x.copy()
    _, tape = lif.forward(x)
    x[:] = 0
    del x
    ds = np.ones((9, 4, 5), np.float32)
    np.testing.assert_array_equal(lif.backward(tape, ds), lif.backward(lif.forward(kept)[1], ds))


def test_glif_learns_eight_numbers_a_channel() -> None:
    layer = volley.GLIF(alpha=0.7, channels=3)
    names = ["alpha", "beta", "gamma", "tau", "v_threshold", "linear_decay", "v_subreset", "conduct"]
    assert list(layer.parameters()) == names
    np.testing.assert_allclose(layer.parameters()["alpha"], np.full(3, np.log(0.7 / 0.3)), rtol=1e-5)
    x = np.full((5, 2, 3), 0.7, np.float32)
    s, tape = layer.forward(x)
    assert 0 < s.mean() < 1
    layer.backward(tape, np.ones_like(x))
    assert all(np.abs(g).min() > 0 for g in layer.gradients().values())


def test_a_refractory_period_and_an_initial_potential() -> None:
    x = np.ones((7, 1, 1), np.float32)
    spikes, _ = volley.IF(refractory=2).forward(x)
    assert spikes.ravel().tolist() == [1, 0, 0, 1, 0, 0, 1]
    spikes, _ = volley.IF(v_init=-1.0).forward(x)
    assert spikes.ravel().tolist() == [0, 1, 1, 1, 1, 1, 1]
    neuron = volley.LIF(tau_charge=4.0, v_init=0.5, refractory=3)
    assert (neuron.tau_charge, neuron.v_init, neuron.refractory) == (4.0, 0.5, 3)
    assert volley.LIF().tau_charge is None
    with pytest.raises(
        volley.ArgumentError, match="tau_charge must be none where decay_input is false, got 4"
    ):
        volley.LIF(tau_charge=4.0, decay_input=False)
    with pytest.raises(volley.ArgumentError, match="refractory must be >= 0 and <= 16777216"):
        volley.IF(refractory=1 << 25)


def deep() -> volley.Sequential:
    return volley.Sequential(volley.Linear(40, 60), volley.LIF(), volley.Linear(60, 50), volley.LIF())


def test_weights_are_drawn_for_the_neurons_after_them() -> None:
    net, again = deep(), deep()
    volley.initialize_fluctuations(net, 3, rate=0.1, input_rate=1.0, xi=2.0)
    volley.initialize_fluctuations(again, 3, rate=0.1, input_rate=1.0, xi=2.0)
    weights = net.parameters()
    assert all(np.array_equal(weights[name], value) for name, value in again.parameters().items())
    # tau 2: a sum of 1 and squares of 1/3 (docs/math/initialization.md)
    assert weights["0.weight"].std() == pytest.approx(1 / (2 * np.sqrt(40)), rel=0.06)
    assert weights["2.weight"].std() == pytest.approx(1 / (2 * np.sqrt(60 * 0.04)), rel=0.06)
    assert not weights["0.bias"].any()
    with pytest.raises(
        volley.ArgumentError, match="neurons after layer 0 must be lif, plif, alif or cuba_lif, got if"
    ):
        volley.initialize_fluctuations(volley.Sequential(volley.Linear(4, 4), volley.IF()))


def test_weights_are_scaled_to_a_rate(rng: np.random.Generator) -> None:
    net = deep()
    net.initialize(1)
    x = (rng.random((15, 20, 40)) < 0.2).astype(np.uint8)
    volley.initialize_rates(net, x, rate=0.2)
    signal: Any = x
    for layer in net:
        signal, _ = layer.forward(signal)
        if isinstance(layer, volley.LIF):
            assert float(signal.mean()) == pytest.approx(0.2, rel=0.05)
