"""Figures of a training and of what networks do, drawn by matplotlib, which must be installed.

Every function draws into `ax`, an Axes of matplotlib, or into a new one, and returns it:
ax.figure.savefig("loss.png"). Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _volley

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["accuracy_curve", "gradients", "loss_curve", "membranes", "raster"]

#: Blue, vermilion, green, purple, orange, sky blue, black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def _axes(ax: Axes | None, size: tuple[float, float] = (5.5, 3.4)) -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("volley.figures needs matplotlib: pip install matplotlib") from None
    if ax is not None:
        return ax
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _finish(ax: Axes, x: str, y: str) -> Axes:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _curves(ax: Axes, history: Iterable[Any], kind: str) -> None:
    records = list(history)
    if not records:
        raise _volley_error("history must have at least one epoch, got none")
    epochs = [record.epoch for record in records]
    for colour, name in zip(COLOURS, ("train", "validation", "test")):
        values = [getattr(record, f"{name}_{kind}", None) for record in records]
        if any(value is not None for value in values):
            ax.plot(epochs, values, marker="o", markersize=3, color=colour, label=name)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)


def _volley_error(rule: str) -> Exception:
    from .errors import ArgumentError

    error = ArgumentError(f"[figures] {rule}")
    error.operation, (error.rule, _, error.found) = "figures", rule.partition(", got ")
    return error


def loss_curve(history: Iterable[Any], *, ax: Axes | None = None) -> Axes:
    """The losses of every epoch: training, validation where there is one, and test.

    history: a History, or any sequence of EpochRecord.
    """
    ax = _axes(ax)
    _curves(ax, history, "loss")
    return _finish(ax, "epoch", "loss")


def accuracy_curve(history: Iterable[Any], *, ax: Axes | None = None) -> Axes:
    """The accuracies of every epoch, 0 to 1: training, validation where there is one, and test.

    history: a History, or any sequence of EpochRecord.
    """
    ax = _axes(ax)
    _curves(ax, history, "acc")
    return _finish(ax, "epoch", "accuracy")


def raster(spikes: Any, *, sample: int = 0, ax: Axes | None = None) -> Axes:
    """The spikes of one sample: a mark for each, steps from left to right, neurons from bottom to top.

    spikes: Spikes, or an array (T, N, features...). Feature dimensions are numbered row-major.
    """
    array = np.asarray(spikes)
    if array.ndim < 3:
        raise _volley_error(f"spikes must have the shape (T, N, features...), got {array.shape}")
    _check_index("sample", sample, array.shape[1])
    ax = _axes(ax)
    trains = array[:, sample].reshape(array.shape[0], -1)
    steps, neurons = np.nonzero(trains)
    box, points = ax.get_window_extent(), 72 / ax.figure.dpi
    height = min(6.0, max(1.0, 0.8 * box.height * points / trains.shape[1]))  # of a mark
    width = min(1.2, max(0.3, 0.4 * box.width * points / trains.shape[0]))
    ax.scatter(steps, neurons, s=height**2, marker="|", linewidths=width, color=COLOURS[0])
    ax.set_xlim(-0.5, trains.shape[0] - 0.5)
    ax.set_ylim(-0.5, trains.shape[1] - 0.5)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return _finish(ax, "step", "neuron")


def membranes(
    membranes: Any,
    *,
    layer: str | None = None,
    sample: int = 0,
    neurons: Iterable[int] = (0, 1, 2),
    ax: Axes | None = None,
) -> Axes:
    """The potentials of some neurons of one layer and one sample: h after charge, and the threshold, dashed.

    membranes: a Tape, or what its membranes() returned. layer: its name there; the last one unless given.
    Neurons that the layer does not have are left out.
    """
    layers = membranes.membranes() if isinstance(membranes, _volley.Tape) else membranes
    if not layers:
        raise _volley_error("membranes must have a layer of neurons, got none")
    name = list(layers)[-1] if layer is None else layer
    if name not in layers:
        raise _volley_error(
            f"layer must be one of {', '.join(repr(known) for known in layers)}, got {name!r}"
        )
    arrays = layers[name]
    _check_index("sample", sample, arrays["h"].shape[1])
    ax = _axes(ax)
    h = arrays["h"][:, sample].reshape(arrays["h"].shape[0], -1)
    shown = [neuron for neuron in neurons if 0 <= neuron < h.shape[1]]
    for colour, neuron in zip(COLOURS * (1 + len(shown) // len(COLOURS)), shown):
        ax.plot(h[:, neuron], color=colour, linewidth=1.2, label=f"neuron {neuron}")
        if "threshold" in arrays:
            threshold = arrays["threshold"][:, sample].reshape(h.shape)[:, neuron]
            ax.plot(threshold, color=colour, linewidth=0.8, linestyle="--")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False, fontsize="small", ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    return _finish(ax, "step", f"potential h of layer {name!r}" if name else "potential h")


def gradients(net: _volley.Layer, *, bins: int = 60, ax: Axes | None = None) -> Axes:
    """A histogram of the gradients of every parameter: their magnitudes by powers of ten.

    The legend says which part of the numbers of a parameter is 0 and not drawn.
    """
    ax = _axes(ax)
    sizes = {name: np.abs(view.gradient).ravel() for name, view in net.parameter_views().items()}
    if not sizes:
        raise _volley_error("net must have parameters, got none")
    powers = {name: np.log10(values[values > 0]) for name, values in sizes.items()}
    found = [values for values in powers.values() if values.size > 0]
    low = min((values.min() for values in found), default=-1.0)
    high = max((values.max() for values in found), default=0.0)
    edges = np.linspace(low - 0.05, high + 0.05, bins + 1)
    for place, (name, values) in enumerate(powers.items()):
        zero = 1 - values.size / max(1, sizes[name].size)
        colour = COLOURS[place % len(COLOURS)]
        weights = np.full(values.size, 1 / max(1, sizes[name].size))
        label = name + (f" ({zero:.0%} are 0)" if zero > 0 else "")
        ax.hist(values, edges, weights=weights, histtype="step", color=colour, linewidth=1.3, label=label)
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize="small")
    return _finish(ax, "log10 of |gradient|", "part of the numbers")


def _check_index(name: str, index: int, size: int) -> None:
    if not 0 <= index < size:
        raise _volley_error(f"{name} must be >= 0 and < {size}, got {index}")
