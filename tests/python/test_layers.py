"""Convolutions along one dimension and transposed, group and layer normalisation, Upsample, Unflatten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import volley


def normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.normal(1, 2, shape).astype(np.float32)


def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(rng: np.random.Generator) -> None:
    conv = volley.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2, bias=False)
    back = volley.ConvTranspose2d(
        6, 4, (3, 2), stride=2, padding=1, output_padding=(0, 1), groups=2, bias=False
    )
    back.set_parameters(conv.parameters())
    x = normal(rng, 3, 2, 4, 5, 5)
    out, tape = conv.forward(x)
    y = out.astype(np.float32)
    dx = back.forward(y)[0].astype(np.float32)
    np.testing.assert_allclose(dx, conv.backward(tape, y), rtol=1e-4, atol=1e-4)


def test_convolutions_along_one_dimension(rng: np.random.Generator) -> None:
    conv = volley.Conv1d(3, 5, 4, stride=2, padding=1, dilation=2)
    weight, bias = conv.parameters()["weight"], conv.parameters()["bias"]
    assert weight.shape == (5, 3, 4)
    x = (rng.random((2, 3, 3, 12)) < 0.4).astype(np.uint8)
    y, _ = conv.forward(x)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (0, 0), (1, 1)))
    expected = np.stack(
        [np.einsum("tnik,oik->tno", padded[..., q : q + 7 : 2], weight) for q in (0, 2, 4, 6)], -1
    )
    np.testing.assert_allclose(y, expected + bias[:, None], atol=1e-5)
    up = volley.ConvTranspose1d(5, 2, 3, 3, 1, 2)
    assert up.forward(y)[0].shape == (2, 3, 2, 12)
    assert (up.stride, up.padding, up.output_padding, up.dilation) == (3, 1, 2, 1)


def test_group_norm_normalises_groups_of_a_step(rng: np.random.Generator) -> None:
    norm = volley.GroupNorm(2, 6, eps=1e-3)
    x = normal(rng, 4, 5, 6, 3, 2)
    y, tape = norm.forward(x)
    groups = x.reshape(4, 5, 2, -1).astype(np.float64)
    expected = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(y, expected.reshape(x.shape), atol=1e-5)
    norm.backward(tape, y)
    np.testing.assert_allclose(norm.gradients()["bias"], y.sum((0, 1, 3, 4)), atol=1e-3)


def test_layer_norm_normalises_the_last_dimensions(rng: np.random.Generator) -> None:
    for shape, sizes in (((4, 5, 7), 7), ((4, 5, 2, 7), [7]), ((4, 5, 2, 7), (2, 7))):
        x = normal(rng, *shape)
        norm = volley.LayerNorm(sizes, bias=False)
        assert list(norm.parameters()) == ["weight"]
        axes = tuple(range(-np.size(sizes), 0))
        expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(norm.forward(x)[0], expected, atol=1e-4)


def test_upsample_keeps_spikes(rng: np.random.Generator) -> None:
    x = (rng.random((2, 3, 4, 3, 5)) < 0.4).astype(np.uint8)
    y, _ = volley.Upsample(scale_factor=2).forward(x)
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y, x.repeat(2, -1).repeat(2, -2))
    z, _ = volley.Upsample(size=(6, 10), mode="bilinear").forward(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z[..., 1, 1], (x[..., :2, :2] * [[9, 3], [3, 1]]).sum((-1, -2)) / 16)


def test_a_network_of_them_is_saved_and_loaded(rng: np.random.Generator, tmp_path: Path) -> None:
    net = volley.Sequential(
        volley.Flatten(),
        volley.Unflatten(1, (2, 12)),
        volley.Conv1d(2, 6, 3, padding=1),
        volley.BatchNorm(6),
        volley.LIF(),
        volley.Unflatten(2, [3, 4]),
        volley.ConvTranspose2d(6, 4, 2, stride=2),
        volley.GroupNorm(2, 4),
        volley.LIF(),
        volley.Upsample(scale_factor=(1, 2), mode="bilinear"),
        volley.LayerNorm((6, 16)),
        volley.Flatten(),
        volley.Linear(4 * 6 * 16, 3),
    )
    names = [name for name, _ in net.parameters().items()]
    assert "6.weight" in names and "10.bias" in names
    x = normal(rng, 3, 2, 4, 6)
    net.save(tmp_path / "net.safetensors")
    back = volley.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(back.forward(x)[0], net.forward(x)[0])
    state: dict[str, Any] = {name: value + 1 for name, value in net.parameters().items()}
    back.load_state_dict(state, strict=False)
    np.testing.assert_array_equal(back.parameters()["7.weight"], net.parameters()["7.weight"] + 1)


def test_what_they_are_made_from_is_shown_and_checked() -> None:
    assert (
        repr(volley.Upsample(size=3))
        == "Upsample(size=3, scale_factor=None, mode='nearest', align_corners=False)"
    )
    assert repr(volley.LayerNorm(3)) == (
        "LayerNorm(normalized_shape=[3], eps=1e-05, elementwise_affine=True, bias=True)"
    )
    assert "output_padding=(1, 0)" in repr(volley.ConvTranspose2d(1, 1, 3, stride=2, output_padding=(1, 0)))
    assert volley.Unflatten(2, [3, 4]).unflattened_size == [3, 4]
    assert volley.GroupNorm(2, 6).num_groups == 2
    with pytest.raises(volley.ArgumentError, match="mode must be one of 'nearest', 'bilinear'"):
        volley.Upsample(size=3, mode="cubic")
    with pytest.raises(volley.ArgumentError, match="exactly one of size and scale_factor must be given"):
        volley.Upsample()
    with pytest.raises(volley.ArgumentError, match="num_channels must be a multiple of num_groups"):
        volley.GroupNorm(4, 6)
    with pytest.raises(TypeError):
        volley.Conv1d(3, 5, (2, 2))  # type: ignore[arg-type]
