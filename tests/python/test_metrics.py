"""Metrics beside the loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

import volley

LABELS = np.array([0, 0, 0, 0, 1, 1])
PREDICTIONS = np.array([0, 0, 0, 3, 1, 0])


def test_classes() -> None:
    assert volley.macro_accuracy(PREDICTIONS, LABELS, 4) == pytest.approx((0.75 + 0.5) / 2)
    assert volley.macro_f1(PREDICTIONS, LABELS, 4) == pytest.approx((6 / 8 + 2 / 3) / 3)
    scores = np.array([[0.1, 0.9, 0.5], [0.4, 0.4, 0.4]], np.float32)
    assert volley.top_k_accuracy(scores, np.array([2, 1]), 2) == 1.0
    assert volley.top_k_accuracy(scores, np.array([2, 1]), 1) == 0.0
    with pytest.raises(volley.ArgumentError, match="predictions must be < 3, got 3"):
        volley.macro_f1(PREDICTIONS, LABELS, 3)


def test_regression() -> None:
    targets, values = np.array([[1.0, 2], [3, 6]]), np.array([[2.0, 2], [1, 6]])
    assert volley.mean_absolute_error(values, targets) == 0.75
    assert volley.root_mean_squared_error(values, targets) == pytest.approx(math.sqrt(5 / 4))
    assert volley.r_squared(values, targets) == pytest.approx(1 - 5 / 14)
    with pytest.raises(volley.ShapeError, match="values must have the shape of the targets"):
        volley.r_squared(values, targets[0])
