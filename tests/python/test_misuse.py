"""What a user can get wrong is refused with a text, never a crash."""

# mypy: ignore-errors
from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

import volley

X = np.zeros((6, 2, 5), np.float32)
IMAGES = np.zeros((3, 4, 4), np.uint8)
NET = volley.Sequential(volley.Linear(5, 3), volley.LIF())


def tape_of(layer: volley.Layer, x: Any = X) -> volley.Tape:
    return layer.forward(x)[1]


LIF = volley.LIF()
REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: volley.LIF(tau=0.5), volley.ArgumentError, "[lif] tau must be > 1, got 0.5"),
    (lambda: volley.LIF(tau=float("nan")), volley.ArgumentError, "[lif] tau must be > 1, got nan"),
    (lambda: volley.LIF(surrogate="atan"), TypeError, "incompatible"),
    (lambda: volley.ATan(0), volley.ArgumentError, "[atan] alpha must be > 0, got 0"),
    (lambda: volley.Adam(lr=-1), volley.ArgumentError, "[adam] lr must be >= 0, got -1"),
    (lambda: volley.Sgd(nesterov=True), volley.ArgumentError, "[sgd] momentum must be > 0 with nesterov"),
    (lambda: volley.RateMse(scale=0), volley.ArgumentError, "[rate_mse] scale must be > 0, got 0"),
    (lambda: volley.Linear(0, 2), volley.ArgumentError, "[linear] in must be >= 1, got 0"),
    (
        lambda: volley.Linear(2, 2, init="zeros"),
        volley.ArgumentError,
        "[linear] init must be one of 'uniform', 'normal'",
    ),
    (lambda: volley.Linear(2**29, 2**29), MemoryError, ""),
    (lambda: volley.Linear(2**31, 2**31), volley.ArgumentError, "more elements than memory can hold"),
    (lambda: volley.Tape(), TypeError, "no constructor"),
    (lambda: volley.Sequential(3), TypeError, "layers must be of volley.Layer"),
    (
        lambda: volley.Sequential(NET, NET),
        volley.ArgumentError,
        "a layer with parameters must be in a network once",
    ),
    (lambda: NET[2], IndexError, "[sequential] index must be < 2, got 2"),
    (lambda: LIF.forward(X.tolist()), TypeError, "[lif] x must be a NumPy array of float32"),
    (lambda: LIF.forward(None), TypeError, "NoneType"),
    (lambda: LIF.forward(X.astype(float)), TypeError, "got float64"),
    (lambda: LIF.forward(X.astype(">f4")), TypeError, "got >f4"),
    (lambda: LIF.forward(X.astype(object)), TypeError, "got object"),
    (
        lambda: LIF.forward(X[0]),
        volley.ShapeError,
        "(T, N, features...), of 3 to 8 dimensions, none of them 0, got (2, 5)",
    ),
    (lambda: LIF.forward(X[:0]), volley.ShapeError, "none of them 0, got (0, 2, 5)"),
    (lambda: LIF.forward(np.zeros((1,) * 9, np.float32)), volley.ArgumentError, "3 to 8 dimensions"),
    (lambda: LIF.forward(X.astype(np.uint8)), volley.ArgumentError, "[lif] input must be real-valued"),
    (
        lambda: NET.forward(X[:, :, :4]),
        volley.ShapeError,
        "layer 0: [linear] input features must be (5), got (4)",
    ),
    (
        lambda: NET.forward(np.full((2, 2, 5), 7, np.uint8)),
        volley.ArgumentError,
        "spikes must be 0 or 1, got 7",
    ),
    (lambda: LIF.backward(None, X), TypeError, "incompatible"),
    (
        lambda: LIF.backward(tape_of(volley.LIF()), X),
        volley.ArgumentError,
        "[lif] tape must be one that this object's",
    ),
    (lambda: NET.backward(tape_of(LIF), X), volley.ArgumentError, "got one of a different lif"),
    (
        lambda: LIF.backward(tape_of(LIF), X[:5]),
        volley.ShapeError,
        "forward returned, (6, 2, 5), got (5, 2, 5)",
    ),
    (lambda: LIF.backward(tape_of(LIF), X[..., None]), volley.ShapeError, "got (6, 2, 5, 1)"),
    (lambda: LIF.backward(tape_of(LIF), X.swapaxes(0, 1)), volley.ShapeError, "got (2, 6, 5)"),
    (
        lambda: LIF.backward(tape_of(LIF), X > 0),
        TypeError,
        "[lif] dy must be a NumPy array of float32, got bool",
    ),
    (
        lambda: NET.set_parameters({}),
        volley.ArgumentError,
        "the parameter '0.weight' of shape (3, 5), found none",
    ),
    (lambda: NET.set_parameters(3), TypeError, "a mapping of names to arrays, got a int"),
    (lambda: NET.set_parameters({1: X}), TypeError, "names (str)"),
    (lambda: NET.set_parameters({"a": X > 0}), TypeError, "'a' must be an array of floats, got bool"),
    (
        lambda: NET.load_state_dict({"0.weight": X[0]}),
        volley.ArgumentError,
        "'0.weight': expected shape (3, 5), found (2, 5)",
    ),
    (lambda: NET.load_state_dict("w.pt"), volley.FileError, "expected a .safetensors or .npz file"),
    (lambda: NET.load_state_dict("missing.safetensors"), volley.FileError, "missing.safetensors"),
    (lambda: NET.initialize(seed=-1), volley.ArgumentError, "seed must be >= 0 and <= 4294967295, got -1"),
    (lambda: volley.load("missing.safetensors"), volley.FileError, "missing.safetensors"),
    (lambda: volley.Poisson(seed=2**32), volley.ArgumentError, "[poisson] seed must be"),
    (
        lambda: volley.Poisson().encode(X),
        TypeError,
        "images must be a NumPy array of uint8 pixels, got float32",
    ),
    (lambda: volley.Poisson().encode(IMAGES[0, 0]), volley.ShapeError, "(N, features...)"),
    (lambda: volley.Poisson().encode(IMAGES, steps=0), volley.ArgumentError, "[poisson] steps must be >= 1"),
    (lambda: volley.Poisson().encode(IMAGES, epoch=2**24), volley.ArgumentError, "[poisson] epoch must be"),
    (
        lambda: volley.Poisson().encode(IMAGES, first_sample=-1),
        volley.ArgumentError,
        "[poisson] first_sample must be",
    ),
    (
        lambda: volley.Poisson().encode(IMAGES, first_sample=2**32 - 2),
        volley.ArgumentError,
        "first_sample must be >= 0 and <=",
    ),
    (
        lambda: volley.Poisson().encode(IMAGES, purpose="eval"),
        volley.ArgumentError,
        "purpose must be one of 'train', 'test', 'validation', got 'eval'",
    ),
    (
        lambda: volley.RateMse().forward(X, [0]),
        volley.ArgumentError,
        "one label for each of 2 samples, got 1",
    ),
    (
        lambda: volley.RateMse().forward(X, [0, 5]),
        volley.ArgumentError,
        "labels must be < 5, the number of outputs, got 5",
    ),
    (
        lambda: volley.RateMse().forward(X, [0, -1]),
        volley.ArgumentError,
        "[rate_mse] labels must be >= 0 and <= 4294967295, got -1",
    ),
    (lambda: volley.RateMse().forward(X, [0, 1.5]), TypeError, "an array of integers, got float64"),
    (
        lambda: volley.RateMse().forward(X, [[0], [1]]),
        volley.ArgumentError,
        "must have the shape (N,), got (2, 1)",
    ),
    (
        lambda: volley.RateMse().backward(X, [0, 1], X[0, :, :3]),
        volley.ShapeError,
        "of shape (2, 5), got (2, 3)",
    ),
    (lambda: volley.RateMse().backward(X, [0, 9], X[0]), volley.ArgumentError, "labels must be < 5"),
    (
        lambda: volley.RateMse().backward(X, [0, 1], X[0] + 1),
        volley.ArgumentError,
        "[rate_mse] scores must be those that forward returned for y and labels",
    ),
    (
        lambda: volley.Dataset(IMAGES, [0, 1, 2**32 - 1]),
        volley.ArgumentError,
        "labels must be < 1048576 unless classes are given, got 4294967295",
    ),
    (lambda: volley.Dataset(IMAGES, [0, 1]), volley.ArgumentError, "one label for each of 3 samples, got 2"),
    (lambda: volley.Dataset(IMAGES, [0, 1, 2], ["a", "b"]), volley.ArgumentError, "labels must be < 2"),
    (lambda: volley.load_recipe("lif_fc_mnis"), volley.RecipeError, "did you mean 'lif_fc_mnist'?"),
    (
        lambda: volley.load_recipe("lif_fc_mnist").with_settings(["network.2.tau=1"]),
        volley.RecipeError,
        "expected a number > 1",
    ),
    (
        lambda: volley.load_recipe("lif_fc_mnist").build_network((3, 3)),
        volley.ShapeError,
        "input features must be (784)",
    ),
    (
        lambda: volley.train("lif_fc_mnist", epochs=0),
        volley.RecipeError,
        "epochs=0: expected an integer >= 1",
    ),
    (lambda: volley.train("lif_fc_mnist", threads=-1), volley.RecipeError, "training.threads=-1"),
    (lambda: volley.train("lif_fc_mnist", data_dir="/nowhere"), volley.FileError, "mnist"),
    (lambda: volley.datasets.load("mnits"), volley.ArgumentError, "must be one of mnist, fashion_mnist"),
    (lambda: volley.set_threads(-1), volley.ArgumentError, "[threads] count must be >= 0"),
]


@pytest.mark.parametrize("action, kind, text", REFUSED, ids=range(len(REFUSED)))
def test_refused(action: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as refusal:
        action()
    assert refusal.type is kind
    assert text in str(refusal.value)


def test_an_optimizer_keeps_to_its_network() -> None:
    adam = volley.Adam()
    first, second = volley.Linear(2, 2), volley.Linear(3, 3)
    adam.step(first)
    with pytest.raises(ValueError, match=r"\[adam\] step must be given the same network every time"):
        adam.step(second)


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    NET.save(tmp_path / "net.safetensors")
    whole = (tmp_path / "net.safetensors").read_bytes()
    rng = np.random.default_rng(0)
    for size in rng.integers(0, len(whole), 60):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        with pytest.raises(volley.FileError, match="cut.safetensors"):
            volley.load(tmp_path / "cut.safetensors")
    (tmp_path / "not.npz").write_bytes(b"no archive")
    with pytest.raises((ValueError, OSError)):
        NET.load_state_dict(tmp_path / "not.npz")


def test_random_calls_never_crash() -> None:
    """Layers, tapes and arrays thrown together at random: each call works or raises."""
    rng = np.random.default_rng(7)
    layers: list[Any] = [
        volley.LIF(), volley.SoftLIF(), volley.Flatten(), volley.Linear(5, 3), volley.Linear(6, 6),
        volley.Sequential(volley.Flatten(), volley.Linear(6, 4), volley.LIF()), NET,
    ]  # fmt: skip
    tapes: list[Any] = [None]
    worked = refused = 0
    for _ in range(3000):
        shape = tuple(rng.integers(0 if rng.random() < 0.05 else 1, 7, rng.integers(1, 5)))
        array = rng.normal(size=shape).astype(rng.choice(["float32", "float32", "uint8", "bool", "float64"]))
        if rng.random() < 0.2:
            array = array.T
        layer = layers[rng.integers(len(layers))]
        try:
            if rng.random() < 0.5:
                y, tape = layer.forward(array)
                tapes = (tapes + [(layer, tape, y.shape)])[-30:]
            else:
                owner, tape, y_shape = tapes[rng.integers(len(tapes))] or (layer, None, shape)
                if rng.random() < 0.5:
                    layer, array = owner, np.ones(y_shape, np.float32)
                layer.backward(tape, array)
            worked += 1
        except (ValueError, TypeError):
            refused += 1
    assert worked > 300 and refused > 300
