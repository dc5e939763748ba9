"""Recurrent neurons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import volley


def test_spikes_come_back_a_step_later(rng: np.random.Generator) -> None:
    layer = volley.Recurrent(4, neuron=volley.IF(v_reset=None))
    x = rng.uniform(-0.5, 1.5, (8, 3, 4)).astype(np.float32)
    s, tape = layer.forward(x)
    assert 0 < s.mean() < 1
    weight = layer.parameters()["weight"]
    currents = x.copy()
    currents[1:] += s[:-1] @ weight.T
    np.testing.assert_array_equal(volley.IF(v_reset=None).forward(currents)[0], s)
    assert layer.backward(tape, np.ones_like(x)).shape == x.shape


def test_it_comes_back_from_its_file(rng: np.random.Generator, tmp_path: Path) -> None:
    net = volley.Sequential(
        volley.Recurrent(4, feedback="element_wise", neuron=volley.LIF(tau=3.0)),
        volley.Linear(4, 4),
        volley.Recurrent(4),
    )
    net.initialize(2)
    net.save(tmp_path / "net.safetensors")
    back = volley.load(tmp_path / "net.safetensors")
    assert repr(back) == repr(net)
    x = rng.uniform(-0.5, 2, (8, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(back.forward(x)[0], net.forward(x)[0])


def test_what_its_neurons_learn_are_its_parameters() -> None:
    layer = volley.Recurrent(4, neuron=volley.PLIF(init_tau=3.0, learn_threshold=True))
    assert list(layer.parameters()) == ["weight", "neuron.w", "neuron.v_threshold"]
    x = np.full((5, 2, 4), 1.5, np.float32)
    _, tape = layer.forward(x)
    layer.backward(tape, np.ones_like(x))
    assert all(np.abs(g).sum() > 0 for g in layer.gradients().values())


def test_mistakes_are_told() -> None:
    with pytest.raises(
        ValueError, match=r"\[recurrent\] feedback must be one of 'linear', 'element_wise', got 'x'"
    ):
        volley.Recurrent(4, feedback="x")
    with pytest.raises(TypeError, match=r"\[recurrent\] neuron must be one of .*, got li"):
        volley.Recurrent(4, neuron=volley.LI())
