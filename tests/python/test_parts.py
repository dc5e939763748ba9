"""Encoders, losses, schedules, clipping and the rate penalty: what NumPy makes of the same formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

import volley


def test_latency_fires_once_and_earlier_where_it_is_brighter(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    for function in ("linear", "log"):
        spikes = volley.Latency(function).encode(images, steps=10)
        assert spikes.shape == (10, 3, 4, 5) and (spikes.sum(0) == 1).all()
        order = np.argsort(images.ravel(), kind="stable")
        assert (np.diff(spikes.argmax(0).ravel()[order]) <= 0).all()
    assert volley.Latency(clip=True).encode(np.zeros((1, 4), np.uint8), steps=3).sum() == 0
    np.testing.assert_array_equal(
        volley.Latency().encode(images, steps=10).argmax(0), np.rint(9 * (1 - images / 255)).astype(int)
    )


def test_weighted_phase_gives_the_digits(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 30), dtype=np.uint8)
    spikes = volley.WeightedPhase().encode(images, steps=16)
    weights = 2.0 ** -(1 + np.arange(16) % 8)
    np.testing.assert_array_equal(np.tensordot(weights, spikes, 1) / 2, images / 256)


def test_currents(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    direct = volley.Direct(mean=[0.5], std=[0.25]).encode(images, steps=6)
    assert direct.shape == (6, 2, 3, 4, 5) and direct.dtype == np.float32
    np.testing.assert_allclose(direct[4], (images / 255 - 0.5) / 0.25, rtol=1e-5, atol=1e-6)
    rows = volley.Rows().encode(images, steps=4)
    np.testing.assert_allclose(rows, images.transpose(2, 0, 1, 3) / 255, rtol=1e-6)


def test_delta_is_snntorchs(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 1, 7, 5), dtype=np.uint8)
    rows = images.transpose(2, 0, 1, 3).astype(int)
    change = np.diff(rows, axis=0, prepend=0)
    spikes = volley.Delta(0.25, off_spikes=True).encode(images, steps=7)
    np.testing.assert_array_equal(spikes[:, :, 0], change[:, :, 0] / 255 >= 0.25)
    np.testing.assert_array_equal(spikes[:, :, 1], -change[:, :, 0] / 255 >= 0.25)


def test_population_and_periodic(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    assert volley.Population(neurons=5).encode(images, steps=4).shape == (4, 2, 15, 4, 4)
    population = volley.Population(neurons=5, mode="random", seed=3)
    assert (population.encode(images, steps=4) != population.encode(images, steps=4, epoch=1)).any()
    periodic = volley.Periodic(volley.Poisson(seed=3), period=3).encode(images, steps=7, epoch=2)
    once = volley.Poisson(seed=3).encode(images, steps=3, epoch=2)
    np.testing.assert_array_equal(periodic, once[[0, 1, 2, 0, 1, 2, 0]])


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def test_losses(rng: np.random.Generator) -> None:
    steps, count, classes = 4, 3, 5
    y = rng.normal(0, 1, (steps, count, classes)).astype(np.float32)
    labels = np.array([4, 0, 2])
    hot = np.eye(classes)[labels]

    def entropy(z: np.ndarray, smoothing: float = 0.0) -> float:
        target = (1 - smoothing) * hot + smoothing / classes
        return float(-(target * np.log(softmax(z))).sum(-1).mean())

    expected = {
        volley.CountMse(scale=0.5, correct_rate=0.75): 0.5 * ((y.sum(0) - hot * 3) ** 2).mean(),
        volley.CountCrossEntropy(label_smoothing=0.1): entropy(y.sum(0), 0.1),
        volley.RateCrossEntropy(label_smoothing=0.2): entropy(y.mean(0), 0.2),
        volley.MembraneMse(): ((y[-1] - hot) ** 2).mean(),
        volley.MembraneMse(readout="mean"): ((y.mean(0) - hot) ** 2).mean(),
        volley.MembraneCrossEntropy(): entropy(y[-1]),
        volley.Tet(lamb=0.1, means=0.5): 0.9 * entropy(y) + 0.1 * ((y - 0.5) ** 2).mean(),
    }
    for loss, value in expected.items():
        got, scores = loss.forward(y, labels)
        assert got == pytest.approx(value, rel=1e-5), loss
        assert loss.backward(y, labels, scores).shape == y.shape


def test_three_hundred_classes() -> None:
    y = np.zeros((2, 3, 300), np.float32)
    y[:, :, 270] = 1
    for dtype in (np.int64, np.uint16, np.uint32):
        labels = np.array([270, 14, 299], dtype)
        value, scores = volley.MembraneMse().forward(y, labels)
        assert value == pytest.approx(4 / 900)
        assert (scores.argmax(1) == 270).all()
        data = volley.Dataset(np.zeros((3, 2), np.uint8), labels)
        assert len(data.classes) == 300
        assert data.labels.dtype == np.uint32
        np.testing.assert_array_equal(data.labels, labels)


def test_each_set_has_spikes_of_its_own() -> None:
    images = np.full((2, 30), 128, np.uint8)
    spikes = {
        p: volley.Poisson(seed=3).encode(images, 20, purpose=p) for p in ("train", "test", "validation")
    }
    assert (spikes["validation"] != spikes["test"]).any()
    assert (spikes["validation"] != spikes["train"]).any()


def test_schedules_and_the_learning_rate() -> None:
    cosine = volley.CosineSchedule(T_max=10, eta_min=0.1, warmup=2, warmup_start=0.5)
    assert cosine.lr(1.0, 1) == 0.75
    assert cosine.lr(1.0, 7) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert volley.MultiStepSchedule([2, 4], gamma=0.5, unit="step").lr(8.0, 9, steps=3) == 4.0
    adam = volley.AdamW(lr=0.5)
    adam.lr = 0.25
    assert (adam.lr, adam.base_lr) == (0.25, 0.5)
    with pytest.raises(ValueError, match="adamw. lr must be >= 0"):
        adam.lr = -1
    with pytest.raises(ValueError, match="unit must be one of 'epoch', 'step', got 'day'"):
        volley.ConstantSchedule(unit="day")


def test_clipping_and_the_penalty(rng: np.random.Generator) -> None:
    penalty = volley.RatePenalty(target=0.25, weight=2.0)
    net = volley.Sequential(volley.Linear(4, 3), volley.LIF(), penalty)
    x = rng.normal(1, 1, (5, 2, 4)).astype(np.float32)
    spikes, tape = net.forward(x)
    net.backward(tape, np.ones_like(spikes, np.float32))
    norm = np.sqrt(sum((g.astype(float) ** 2).sum() for g in net.gradients().values()))
    assert volley.clip_gradient_norm(net, 0.5) == pytest.approx(norm, rel=1e-5)
    clipped = np.sqrt(sum((g.astype(float) ** 2).sum() for g in net.gradients().values()))
    assert clipped == pytest.approx(min(0.5, norm), rel=1e-4)
    volley.clip_gradient_value(net, 1e-3)
    assert max(np.abs(g).max() for g in net.gradients().values()) <= np.float32(1e-3)

    _, tape = penalty.forward(spikes)
    rates = spikes.mean((0, 1))
    assert penalty.penalty(tape) == pytest.approx(2 * ((rates - 0.25) ** 2).mean(), rel=1e-5)
    dx = penalty.backward(tape, np.zeros(spikes.shape, np.float32))
    np.testing.assert_allclose(dx[0, 0], 2 * 2 * (rates - 0.25) / (3 * 10), rtol=1e-5)
