"""A network step by step: State."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from numpy.typing import NDArray

import volley


def network() -> volley.Sequential:
    net = volley.Sequential(
        volley.Linear(5, 12), volley.ALIF(v_threshold=0.4), volley.Linear(12, 3), volley.LIF(v_threshold=0.1)
    )
    net.initialize(3)
    return net


def inputs(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.uniform(-1, 4, (12, 2, 5)).astype(np.float32)


def test_chunks_have_the_bits_of_a_whole_pass(rng: np.random.Generator) -> None:
    net, x = network(), inputs(rng)
    whole, _ = net.forward(x)
    assert whole.any()
    for chunk in (1, 5):
        state = volley.State()
        assert state.at_rest
        parts = [net.forward(x[t : t + chunk], state=state)[0] for t in range(0, 12, chunk)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        assert not state.at_rest
        assert {name: array.shape for name, array in state.values(net).items()} == {
            "1.v": (2, 12),
            "1.a": (2, 12),
            "3.v": (2, 3),
        }
        state.reset()
        assert state.at_rest
        assert state.values(net) == {}


def test_gradients_go_back_through_chunks(rng: np.random.Generator) -> None:
    net, x = network(), inputs(rng)
    dy = rng.normal(size=(12, 2, 3)).astype(np.float32)
    _, tape = net.forward(x)
    whole = net.backward(tape, dy)
    expected = net.gradients()
    net.zero_gradients()
    state = volley.State()
    tapes = [net.forward(x[t : t + 4], state=state)[1] for t in range(0, 12, 4)]
    parts = [net.backward(tapes[i], dy[4 * i : 4 * i + 4], state=state) for i in (2, 1, 0)]
    np.testing.assert_array_equal(np.concatenate(parts[::-1]), whole)
    for name, gradient in net.gradients().items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5)
    assert state.gradients(net)["1.v"].shape == (2, 12)


def test_a_state_is_copied_and_set(rng: np.random.Generator) -> None:
    net, x = network(), inputs(rng)
    state = volley.State()
    net.forward(x[:6], state=state)
    kept, deep = copy.copy(state), copy.deepcopy(state)
    other = volley.State()
    other.set_values(net, state.values(net))
    expected, _ = net.forward(x[6:], state=state)
    for one in (kept, deep, other):
        np.testing.assert_array_equal(net.forward(x[6:], state=one)[0], expected)
    with pytest.raises(volley.ArgumentError, match=r"names must be of 1\.v, 1\.a, 3\.v, got 2\.v"):
        other.set_values(net, {"2.v": np.zeros((2, 3), np.float32)})
    with pytest.raises(volley.ShapeError, match="must have the shape"):
        net.forward(x[:1, :1], state=other)


def test_a_parallel_neuron_has_none() -> None:
    with pytest.raises(volley.ArgumentError, match="a parallel neuron must have all T steps at once"):
        volley.PSN(4).forward(np.zeros((4, 1, 2), np.float32), state=volley.State())


def test_membranes_of_every_layer(rng: np.random.Generator) -> None:
    net, x = network(), inputs(rng)
    state = volley.State()
    y, tape = net.forward(x, state=state)
    membranes = tape.membranes()
    assert list(membranes) == ["1", "3"]
    last = membranes["3"]
    assert last["h"].shape == (12, 2, 3)
    np.testing.assert_array_equal(last["h"] >= last["threshold"], y.astype(bool))
    np.testing.assert_array_equal(last["v"][-1], state.values(net)["3.v"])
    np.testing.assert_array_equal(last["v"], np.where(y, np.float32(0), last["h"]))
    y, tape = volley.LI().forward(x)
    assert list(tape.membranes()) == [""]
    np.testing.assert_array_equal(tape.membranes()[""]["v"], y)
