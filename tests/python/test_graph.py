"""Layers that read each other by name."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import volley


def feedback() -> volley.Sequential:
    """Two layers of neurons, the second of which comes back to the first a step later."""
    net = volley.Graph()
    net.add(volley.Linear(6, 5), name="in")
    net.add(volley.Linear(4, 5), name="back", inputs=["second@1"])
    net.add(volley.LIF(v_threshold=0.3), name="first", inputs=["in", "back"])
    net.add(volley.Linear(5, 4))
    net.add(volley.LIF(v_threshold=0.3), name="second")
    net.initialize(1)
    return net


def test_a_join_is_that_of_arrays(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 2, 6)).astype(np.float32)
    a, b = x[..., :3], x[..., 3:]
    joins = {
        "ADD": a + b,
        "AND": a * b,
        "IAND": (1 - a) * b,
        "MEAN": (a + b) / 2,
        "PRODUCT": a * b,
        "CONCATENATE": np.concatenate([a, b], axis=2),
    }
    for join, expected in joins.items():
        net = volley.Graph()
        net.add(volley.Slice(0, [3]), name="a", inputs=["input"])
        net.add(volley.Slice(3, [3]), name="b", inputs=["input"])
        net.add(volley.Identity(), inputs=["a", "b"], join=join)
        np.testing.assert_array_equal(net(x), expected)


def test_an_earlier_step_is_zero_before_the_first(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 2, 3)).astype(np.float32)
    net = volley.Graph()
    net.add(volley.Identity(), inputs=["input@2"])
    y = net(x)
    np.testing.assert_array_equal(y[:2], 0)
    np.testing.assert_array_equal(y[2:], x[:-2])


def test_a_loop_goes_on_with_a_state(rng: np.random.Generator) -> None:
    net = feedback()
    x = rng.normal(size=(6, 2, 6)).astype(np.float32) * 2
    whole, tape = net.forward(x)
    assert whole.any()
    state = volley.State()
    parts = [net.forward(part, state=state)[0] for part in (x[:1], x[1:4], x[4:])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert net.backward(tape, np.ones((6, 2, 4), np.float32)).shape == x.shape


def test_it_comes_back_from_a_file_a_pickle_and_a_copy(rng: np.random.Generator, tmp_path: Path) -> None:
    net = feedback()
    x = rng.normal(size=(6, 2, 6)).astype(np.float32) * 2
    net.save(tmp_path / "net.safetensors")
    loaded = volley.load(tmp_path / "net.safetensors")
    for again in (loaded, pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.names() == ["in", "back", "first", "3", "second"]
        assert repr(again) == repr(net)
        np.testing.assert_array_equal(again(x), net(x))
    assert "in: Linear(" in repr(net)
    assert "of 'in', 'back' by ADD" in repr(net)


def test_mistakes_are_told() -> None:
    net = volley.Graph(volley.Flatten())
    with pytest.raises(ValueError, match=r"\[sequential\] join must be one of 'ADD', .*got 'SUM'"):
        net.add(volley.Flatten(), join="SUM")
    with pytest.raises(ValueError, match=r"must read a layer that comes before it.*'a'; 'a@1'"):
        net.add(volley.Flatten(), name="a", inputs=["a"])
    assert len(net) == 1
