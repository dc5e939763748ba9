"""Batch normalisation, dropout and voting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import volley


def normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.normal(1, 2, shape).astype(np.float32)


def test_batch_norm_normalises_the_batch_and_then_by_what_it_has_seen(rng: np.random.Generator) -> None:
    norm = volley.BatchNorm(3)
    x = normal(rng, 4, 5, 3, 2, 2)
    y, tape = norm.forward(x, training=True)
    np.testing.assert_allclose(y.mean((0, 1, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 3, 4)), 1, atol=1e-4)
    np.testing.assert_array_equal(norm.buffers()["running_mean"], 0)
    norm.backward(tape, np.ones_like(y))
    after = norm.buffers()
    np.testing.assert_allclose(after["running_mean"], 0.1 * x.mean((0, 1, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(after["running_var"], 0.9 + 0.1 * x.var((0, 1, 3, 4), ddof=1), rtol=1e-5)
    assert after["num_batches_tracked"] == 1
    mean, var = after["running_mean"], after["running_var"]
    expected = (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(norm.forward(x)[0], expected, atol=1e-5)


def test_a_state_dict_of_pytorch_fits(rng: np.random.Generator) -> None:
    net = volley.Sequential(volley.Linear(4, 3), volley.BatchNorm(3))
    state: dict[str, NDArray[np.floating]] = {
        "0.weight": normal(rng, 3, 4),
        "0.bias": normal(rng, 3),
        "1.weight": normal(rng, 3),
        "1.bias": normal(rng, 3),
        "1.running_mean": normal(rng, 3),
        "1.running_var": np.abs(normal(rng, 3)),
    }
    net.load_state_dict({**state, "1.num_batches_tracked": np.int64(17)})  # type: ignore[dict-item]
    np.testing.assert_array_equal(net[1].buffers()["running_mean"], state["1.running_mean"])
    assert net.buffers()["1.num_batches_tracked"] == 17


def test_a_saved_network_evaluates_the_same(rng: np.random.Generator, tmp_path: Path) -> None:
    net = volley.Sequential(
        volley.BatchNorm(6, momentum=None),
        volley.ThresholdDependentBatchNorm(6, alpha=0.5),
        volley.Dropout(0.25),
        volley.Voting(3),
    )
    x = normal(rng, 4, 5, 6)
    y, tape = net.forward(x, training=True)
    net.backward(tape, np.ones_like(y))
    net.save(tmp_path / "net.safetensors")
    back = volley.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(back.forward(x)[0], net.forward(x)[0])
    assert repr(back) == repr(net)


def test_dropout_has_one_mask_for_all_steps(rng: np.random.Generator) -> None:
    dropout = volley.Dropout(0.5)
    x = np.ones((6, 3, 50), np.uint8)
    assert dropout.forward(x)[0].dtype == np.uint8
    y, tape = dropout.forward(x, training=True, seed=1, epoch=2, samples=[5, 6, 7])
    assert set(np.unique(y)) == {0, 2}
    np.testing.assert_array_equal(y, y[:1].repeat(6, 0))
    other, _ = dropout.forward(x, training=True, seed=1, epoch=2, samples=[7, 5, 8])
    np.testing.assert_array_equal(y[:, 2], other[:, 0])
    dy = normal(rng, 6, 3, 50)
    np.testing.assert_array_equal(dropout.backward(tape, dy), dy * y)


def test_voting_is_a_mean(rng: np.random.Generator) -> None:
    x = normal(rng, 4, 5, 30)
    np.testing.assert_allclose(volley.Voting().forward(x)[0], x.reshape(4, 5, 3, 10).mean(-1), atol=1e-6)


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match=r"\[dropout\] p must be >= 0 and < 1, got 1"):
        volley.Dropout(1.0)
    with pytest.raises(ValueError, match=r"\[batch_norm\] momentum must be >= 0 and <= 1, got 2"):
        volley.BatchNorm(3, momentum=2.0)
