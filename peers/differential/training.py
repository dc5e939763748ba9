"""Losses and optimizers, by the equations of docs/math in bounded arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bounded import (
    Array,
    Bounded,
    constant,
    exp,
    finish,
    in_double,
    log1p,
    sqrt,
    summed,
    terms,
    tree_terms,
    where,
)

Options = dict[str, Any]


def over_samples(each: Bounded) -> Bounded:
    """The mean over the samples of each (N): a binary tree, then one factor."""
    n = each.shape[0]
    return summed(each, 0, tree_terms(n)) * constant(1 / n)


def readout(y: Bounded, o: Options) -> tuple[Bounded, Array]:
    """The scores (N, K), and the share of each step in them, (R1), (R6), (R7)."""
    T = y.shape[0]
    which = o["over"]
    if which == "last":
        share = np.zeros(T)
        share[-1] = 1
        return y[T - 1], share
    z = summed(y, 0, terms(T))
    return (z * constant(1 / T), np.full(T, 1 / T)) if which == "mean" else (z, np.ones(T))


def onehot(labels: Array, K: int) -> Array:
    return (np.arange(K)[None, :] == np.asarray(labels)[:, None]).astype(np.float64)


def mse(z: Bounded, labels: Array, scale: float, on: float, off: float) -> tuple[Bounded, Bounded]:
    N, K = z.shape
    hot = onehot(labels, K)
    away = z - constant(hot * on + (1 - hot) * off)
    each = summed(away * away, 1, terms(K))
    return over_samples(each) * constant(scale / K), away * constant(2 * scale / (N * K))  # (R2), (R3)


def cross_entropy(z: Bounded, labels: Array, smoothing: float) -> tuple[Bounded, Bounded]:
    """The loss of each sample (N) and its gradient by z (N, K), without the 1 / N: (R4), (R5)."""
    K = z.shape[-1]
    hot = onehot(labels, K)
    at = np.argmax(z.value, -1)  # any of the highest
    others = onehot(at, K) == 0
    top = Bounded(*(np.take_along_axis(a, at[..., None], -1) for a in (z.value, z.bound)))
    below = top - z
    e = exp(-below)
    tail = summed(Bounded(e.value * others, e.bound * others), -1, terms(K))
    of_label = Bounded((below.value * hot).sum(-1), (below.bound * hot).sum(-1))
    loss = log1p(tail) + (1.0 - constant(smoothing)) * of_label
    loss = loss + constant(smoothing / K) * summed(below, -1, terms(K))
    target = (1.0 - constant(smoothing)) * Bounded(hot) + constant(smoothing / K)
    return loss, e / (1.0 + tail).reshape(*tail.shape, 1) - target


LOSSES: dict[str, tuple[str, str]] = {  # by kind: its class in Volley, what it scores by
    "rate_mse": ("RateMse", "mse"),
    "rate_cross_entropy": ("RateCrossEntropy", "ce"),
    "count_mse": ("CountMse", "mse"),
    "count_cross_entropy": ("CountCrossEntropy", "ce"),
    "membrane_mse": ("MembraneMse", "mse"),
    "membrane_cross_entropy": ("MembraneCrossEntropy", "ce"),
    "tet": ("Tet", "tet"),
}


def loss(kind: str, o: Options, y: Bounded, labels: Array) -> tuple[Bounded, Bounded, Bounded]:
    """The loss, the scores (N, K), and dy (T, N, K)."""
    T, N, K = y.shape
    if kind == "tet":
        return tet(o, y, labels)
    over = {"rate": "mean", "count": "sum"}.get(kind.split("_")[0], o.get("readout", "last"))
    z, share = readout(y, {"over": over})
    if LOSSES[kind][1] == "mse":
        on, off = (o["correct_rate"] * T, o["incorrect_rate"] * T) if kind == "count_mse" else (1.0, 0.0)
        value, dz = mse(z, labels, o["scale"], on, off)
    else:
        each, dz = cross_entropy(z, labels, o["label_smoothing"])
        value, dz = over_samples(each), dz * constant(1 / N)
    dy = dz.reshape(1, N, K) * constant(share.reshape(T, 1, 1))
    unread = share.reshape(T, 1, 1) == 0  # its dy is 0, also where dz is NaN
    return value, z, where((unread, np.zeros((T, 1, 1), bool)), 0.0, dy)


def tet(o: Options, y: Bounded, labels: Array) -> tuple[Bounded, Bounded, Bounded]:
    """(R8), (R9)"""
    T, N, K = y.shape
    each, dz = cross_entropy(y.reshape(T * N, K), np.tile(labels, T), o["label_smoothing"])
    away = y - o["means"]
    entropies = summed(each.reshape(T, N), 0, terms(T)) * constant(1 / T)
    squares = summed(summed(away * away, 2, terms(K)), 0, terms(T)) * constant(1 / (T * K))
    lamb = constant(o["lamb"])
    of_sample = (1.0 - lamb) * entropies + lamb * squares
    dy = dz.reshape(T, N, K) * constant((1 - o["lamb"]) / (N * T)) + away * constant(
        2 * o["lamb"] / (N * T * K)
    )
    return over_samples(of_sample), summed(y, 0, terms(T)) * constant(1 / T), dy


class Optimizer:
    """(O1) to (O7) of one weight array, with its state."""

    def __init__(self, kind: str, o: Options, w: Array):
        self.kind, self.o, self.w = kind, o, Bounded(w)
        self.m = self.v = Bounded(np.zeros_like(w))
        self.k = 0

    def step(self, gradient: Bounded, lr: float) -> None:
        self.k += 1
        o = self.o
        g = gradient
        if o["weight_decay"] != 0 and self.kind != "adamw":
            g = g + o["weight_decay"] * self.w  # (O1)
        if self.kind == "sgd":
            return self.sgd(g, lr)
        b1, b2 = o["beta1"], o["beta2"]
        self.m = b1 * self.m + (1.0 - constant(b1)) * g  # (O4)
        self.v = b2 * self.v + ((1.0 - constant(b2)) * g) * g
        size = constant(lr / (1 - b1**self.k))
        root = constant(1 / np.sqrt(1 - b2**self.k))
        change = (size * self.m) / (sqrt(self.v) * root + o["eps"])  # (O6)
        keep = constant(1 - lr * o["weight_decay"]) if self.kind == "adamw" else constant(1.0)  # (O7)
        self.w = keep * self.w - change

    def sgd(self, g: Bounded, lr: float) -> None:
        mu = self.o["momentum"]
        if mu != 0:
            self.m = g if self.k == 1 else mu * self.m + g  # (O2)
            g = g + mu * self.m if self.o["nesterov"] else self.m
        self.w = self.w - lr * g  # (O3)


def clipped_by_norm(gradients: list[Bounded], most: float) -> tuple[list[Bounded], Bounded]:
    """(O8), the norm in double."""
    with in_double():
        squares = [g * g for g in gradients]
        norm = sqrt(Bounded(sum(s.value.sum() for s in squares), sum(s.bound.sum() for s in squares)))
        factor = constant(most) / (norm + 1e-6)
    value = np.where(np.isnan(factor.value), np.nan, np.minimum(factor.value, 1.0))
    once = finish(value, factor.bound, np.where(value == 1, 0.0, np.abs(value)))
    return [g * once for g in gradients], norm


def clipped_by_value(g: Bounded, most: float) -> Bounded:
    """(O9)"""
    value = np.where(np.isnan(g.value), np.nan, np.clip(g.value, -most, most))
    return Bounded(value, g.bound)
