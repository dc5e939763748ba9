"""Figures are drawn where matplotlib is, and say what is missing where it is not."""

# mypy: ignore-errors
from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import volley

HISTORY = [
    SimpleNamespace(
        epoch=e,
        train_loss=1 / e,
        test_loss=1.2 / e,
        train_acc=1 - 1 / (e + 1),
        test_acc=0.9,
        validation_acc=0.8,
    )
    for e in range(1, 6)
]


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_matplotlib_is_asked_for_by_name(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as error:
        volley.figures.loss_curve(HISTORY)
    assert str(error.value) == "volley.figures needs matplotlib: pip install matplotlib"


def test_curves(pyplot) -> None:
    ax = volley.figures.loss_curve(HISTORY)
    assert [line.get_label() for line in ax.lines] == ["train", "test"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [record.train_loss for record in HISTORY])
    assert ax.lines[0].get_color() == "#0072B2" and ax.get_xlabel() == "epoch"
    ax = volley.figures.accuracy_curve(HISTORY)
    assert [line.get_label() for line in ax.lines] == ["train", "validation", "test"]
    own = pyplot.subplots()[1]
    assert volley.figures.loss_curve(HISTORY, ax=own) is own
    with pytest.raises(
        volley.ArgumentError, match=r"\[figures\] history must have at least one epoch, got none"
    ):
        volley.figures.loss_curve([])


def test_a_history_of_a_training(pyplot, toy_recipe, toy_data) -> None:
    history = volley.train(toy_recipe, epochs=2, data=toy_data)
    ax = volley.figures.loss_curve(history)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [record.test_loss for record in history])


@pytest.mark.parametrize("packed", [False, True])
def test_a_raster(pyplot, rng, packed) -> None:
    spikes = (rng.random((20, 3, 2, 4)) < 0.3).astype(np.uint8)
    ax = volley.figures.raster(volley.Spikes(spikes) if packed else spikes, sample=2)
    marks = ax.collections[0].get_offsets()
    expected = np.argwhere(spikes[:, 2].reshape(20, 8))
    np.testing.assert_array_equal(marks, expected)
    with pytest.raises(volley.ArgumentError, match="sample must be >= 0 and < 3, got 3"):
        volley.figures.raster(spikes, sample=3)
    with pytest.raises(volley.ArgumentError, match=r"got \(20, 3\)"):
        volley.figures.raster(spikes[:, :, 0, 0])


def test_membranes(pyplot, rng) -> None:
    net = volley.Sequential(volley.Linear(4, 5), volley.LIF(), volley.Linear(5, 2), volley.LI())
    _, tape = net.forward(rng.normal(1, 1, (12, 2, 4)).astype(np.float32))
    ax = volley.figures.membranes(tape, layer="1", sample=1, neurons=[4, 0, 9])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), tape.membranes()["1"]["h"][:, 1, 4])
    assert len(ax.lines) == 4 and ax.lines[1].get_linestyle() == "--"
    ax = volley.figures.membranes(tape.membranes())
    assert "'3'" in ax.get_ylabel() and len(ax.lines) == 2
    with pytest.raises(volley.ArgumentError, match="layer must be one of '1', '3', got '2'"):
        volley.figures.membranes(tape, layer="2")
    with pytest.raises(volley.ArgumentError, match="membranes must have a layer of neurons, got none"):
        volley.figures.membranes({})


def test_gradients(pyplot, rng) -> None:
    net = volley.Sequential(volley.Linear(6, 5), volley.LIF())
    y, tape = net.forward(rng.normal(1, 1, (12, 2, 6)).astype(np.float32))
    net.backward(tape, rng.normal(size=y.shape).astype(np.float32))
    net.parameter_views()["0.bias"].gradient[0] = 0
    ax = volley.figures.gradients(net)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(labels) == ["0.bias (20% are 0)", "0.weight"]
    net.zero_gradients()
    volley.figures.gradients(net)
    with pytest.raises(volley.ArgumentError, match="net must have parameters, got none"):
        volley.figures.gradients(volley.LIF())
