"""Residual blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import volley


def side(features: int) -> volley.Sequential:
    return volley.Sequential(volley.Linear(6, features), volley.BatchNorm(features), volley.LIF(tau=1.5))


@pytest.mark.parametrize("connect", ["ADD", "AND", "IAND"])
def test_a_block_is_its_two_sides(rng: np.random.Generator, connect: str) -> None:
    block = volley.Residual(side(5), side(5), connect=connect)
    block.initialize(3)
    x = (rng.random((4, 3, 6)) < 0.5).astype(np.uint8)
    y, tape = block.forward(x, training=True)
    assert block.shortcut is not None
    b, branch_tape = block.branch.forward(x, training=True)
    s, shortcut_tape = block.shortcut.forward(x, training=True)
    b, s = b.astype(np.float32), s.astype(np.float32)
    expected = {"ADD": b + s, "AND": b * s, "IAND": (1 - b) * s}[connect]
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == (np.float32 if connect == "ADD" else np.uint8)
    dy = rng.normal(size=y.shape).astype(np.float32)
    dx = block.backward(tape, dy)
    db = {"ADD": dy, "AND": dy * s, "IAND": -dy * s}[connect]
    ds = {"ADD": dy, "AND": dy * b, "IAND": dy * (1 - b)}[connect]
    by_sides = block.branch.backward(branch_tape, db) + block.shortcut.backward(shortcut_tape, ds)
    np.testing.assert_allclose(dx, by_sides, atol=1e-6)


def test_a_network_with_blocks_comes_back_from_its_file(rng: np.random.Generator, tmp_path: Path) -> None:
    block = volley.Residual(side(6), connect="IAND")
    net = volley.Sequential(block, volley.Residual(side(5), side(5)))
    net.initialize(1)
    assert "0.branch.0.weight" in net.parameters()
    assert "1.shortcut.1.running_mean" in net.buffers()
    net.save(tmp_path / "net.safetensors")
    back = volley.load(tmp_path / "net.safetensors")
    assert repr(back) == repr(net)
    x = (rng.random((4, 3, 6)) < 0.5).astype(np.uint8)
    np.testing.assert_array_equal(back.forward(x)[0], net.forward(x)[0])


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match=r"connect must be one of 'ADD', 'AND', .*'PRODUCT', got 'OR'"):
        volley.Residual(side(6), connect="OR")
    with pytest.raises(ValueError, match=r"shortcut must give \(5\), the features of the branch, got \(6\)"):
        volley.Residual(side(5)).output_shape([6])
