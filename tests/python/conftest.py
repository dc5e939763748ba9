"""What the tests share: random signals, a small data set, and where real data are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import volley

Currents = Callable[..., NDArray[np.float32]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


@pytest.fixture
def currents(rng: np.random.Generator) -> Currents:
    """currents(T, N, F...): around the threshold, so that neurons fire now and then."""
    return lambda *shape: rng.normal(0.8, 1.0, size=shape).astype(np.float32)


def bars(samples: int, seed: int) -> volley.Dataset:
    """Pictures 8 x 8 of two classes, a bar across or a bar down, easily told apart."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 40, (samples, 8, 8), dtype=np.uint8)
    labels = rng.integers(0, 2, samples)
    for picture, label in zip(pixels, labels):
        (picture if label == 0 else picture.T)[3:5] = 230
    return volley.Dataset(pixels, labels, ["across", "down"], "bars")


@pytest.fixture
def toy_data() -> tuple[volley.Dataset, volley.Dataset]:
    return bars(64, 1), bars(32, 2)


@pytest.fixture
def toy_recipe(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(
        """
epochs = 3
[training]
steps = 20
batch = 16
seed = 5
[encoder]
kind = "poisson"
[loss]
kind = "rate_mse"
[optimizer]
kind = "adam"
lr = 0.02
[[network]]
kind = "flatten"
[[network]]
kind = "linear"
in = 64
out = 2
bias = true
[[network]]
kind = "lif"
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def mnist_folder() -> str | None:
    """The folder with MNIST, None for the usual one; skips where there is none, unless data are required."""
    folder = os.environ.get("VOLLEY_TEST_DATA") or None
    try:
        volley.datasets.load("mnist", folder)
    except volley.FileError as error:
        if os.environ.get("VOLLEY_REQUIRE_DATA"):
            raise
        pytest.skip(str(error))
    return folder
