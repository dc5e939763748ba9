"""Spiking neural networks trained by surrogate-gradient backpropagation through time.

Signals are arrays with time first, (T, N, features...): T steps, N samples. Spikes are uint8 (0 or 1) or
bool, real values float32; arrays that are not in C order are copied. A user's mistake raises ValueError or
TypeError with the operation, the rule and what arrived.

    >>> import numpy as np, volley
    >>> lif = volley.LIF(tau=2.0)
    >>> s, tape = lif.forward(np.full((4, 1, 1), 1.5, np.float32))
    >>> s[:, 0, 0]
    array([0, 1, 0, 1], dtype=uint8)
    >>> dx = lif.backward(tape, np.ones((4, 1, 1), np.float32))
"""

from . import datasets
from ._volley import (
    LIF,
    Adam,
    AdaptiveAvgPool2d,
    ATan,
    AvgPool2d,
    Conv2d,
    Dataset,
    DatasetInfo,
    EpochRecord,
    Flatten,
    History,
    Layer,
    LayerActivity,
    Linear,
    Loss,
    MaxPool2d,
    Optimizer,
    Poisson,
    RateCrossEntropy,
    RateMse,
    Recipe,
    Sequential,
    Sgd,
    Sigmoid,
    SoftLIF,
    Tape,
    __version__,
    builtin_recipes,
    load,
    load_recipe,
    resume,
    set_threads,
    simd_target,
    threads,
    train,
)

__all__ = [
    "Adam",
    "AdaptiveAvgPool2d",
    "ATan",
    "AvgPool2d",
    "Conv2d",
    "Dataset",
    "DatasetInfo",
    "EpochRecord",
    "Flatten",
    "History",
    "LIF",
    "Layer",
    "LayerActivity",
    "Linear",
    "Loss",
    "MaxPool2d",
    "Optimizer",
    "Poisson",
    "RateCrossEntropy",
    "RateMse",
    "Recipe",
    "Sequential",
    "Sgd",
    "Sigmoid",
    "SoftLIF",
    "Tape",
    "__version__",
    "builtin_recipes",
    "datasets",
    "load",
    "load_recipe",
    "resume",
    "set_threads",
    "simd_target",
    "threads",
    "train",
]
