"""Layers without neurons, by the equations of docs/math in bounded arithmetic.

Signals are (T, N, features...). Each function returns y, and a function from dy to dx and the gradients of
the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .bounded import (
    UNIT,
    Array,
    Bounded,
    bilinear,
    constant,
    finish,
    over_spikes,
    settled,
    stack,
    summed,
    terms,
)

Gradients = dict[str, Bounded]
Backward = Callable[[Bounded], tuple[Bounded, Gradients]]
Layer = tuple[Bounded, Backward]
Parameters = dict[str, Bounded]


def linear(x: Bounded, p: Parameters) -> Layer:
    weight = p["weight"]
    out, inputs = weight.shape
    y = bilinear(lambda a, w: a @ w.T, x, weight, inputs, p.get("bias"))  # (W1)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        rows = dy.shape[0] * dy.shape[1]
        flat_x, flat_dy = x.reshape(rows, inputs), dy.reshape(rows, out)
        dx = bilinear(lambda d, w: d @ w, dy, weight, out)  # (W5)
        gradients = {"weight": bilinear(over_spikes(lambda d, a: d.T @ a, x), flat_dy, flat_x, rows)}  # (W3)
        if "bias" in p:
            gradients["bias"] = summed(flat_dy, 0, terms(rows))  # (W4)
        return dx, gradients

    return y, backward


def _tensor(a: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(a))


def conv2d(x: Bounded, p: Parameters, o: dict[str, Any]) -> Layer:
    """o has stride, padding, dilation (pairs) and groups."""
    weight = p["weight"]
    T, N = x.shape[:2]
    more = {"stride": o["stride"], "padding": o["padding"], "dilation": o["dilation"], "groups": o["groups"]}
    taps = int(np.prod(weight.shape[1:]))
    flat = x.reshape(T * N, *x.shape[2:])

    def forward(a: Array, w: Array) -> Array:
        return F.conv2d(_tensor(a), _tensor(w), **more).numpy()

    bias = p["bias"].reshape(-1, 1, 1) if "bias" in p else None
    y = bilinear(forward, flat, weight, taps, bias)  # (C2)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        d = dy.reshape(*y.shape)
        size, shape = list(flat.shape), list(weight.shape)

        def to_input(g: Array, w: Array) -> Array:
            return torch.nn.grad.conv2d_input(size, _tensor(w), _tensor(g), **more).numpy()

        def to_weight(g: Array, a: Array) -> Array:
            return torch.nn.grad.conv2d_weight(_tensor(a), shape, _tensor(g), **more).numpy()

        out = weight.shape[0] // o["groups"]
        dx = bilinear(to_input, d, weight, out * weight.shape[2] * weight.shape[3])  # (C3)
        if takes_winograd(weight.shape, o):
            dx = Bounded(dx.value, np.maximum(dx.bound, winograd_bound(d, weight, flat.shape, o)))
        rows = d.shape[0] * d.shape[2] * d.shape[3]
        gradients = {"weight": bilinear(over_spikes(to_weight, x), d, flat, rows)}  # (C4)
        if "bias" in p:
            gradients["bias"] = summed(d, (0, 2, 3), terms(rows))  # (C5)
        return dx.reshape(*x.shape), gradients

    return y.reshape(T, N, *y.shape[1:]), backward


def takes_winograd(weight: tuple[int, ...], o: dict[str, Any]) -> bool:
    """docs/math/conv.md, Winograd's way to dx."""
    plain = o["stride"] == (1, 1) and o["dilation"] == (1, 1) and max(o["padding"]) <= 2
    return plain and weight[2:] == (3, 3) and min(weight[0] // o["groups"], weight[1]) >= 16


_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])  # sizes of (C7)
_B = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])  # of B^T in (C8)
_A = np.array([[1, 1, 1, 0], [0, 1, 1, 1]])  # of A^T in (C9)


def winograd_bound(dy: Bounded, weight: Bounded, shape: tuple[int, ...], o: dict[str, Any]) -> Array:
    """(C7) to (C9) with the sizes of all terms, times the roundings: 4 per transform and the sum's."""
    groups, out = o["groups"], weight.shape[0] // o["groups"]
    sizes = np.zeros(shape)
    errors = np.zeros(shape)
    H, W = shape[2:]
    for g in range(groups):
        w = np.abs(weight.value[g * out : (g + 1) * out])[:, :, ::-1, ::-1]
        u = np.einsum("ac,oicd,bd->oiab", _G, w, _G)
        for target, of in ((sizes, np.abs(dy.value)), (errors, dy.bound)):
            if not np.any(of):
                continue
            d = _tiles(of[:, g * out : (g + 1) * out], H, W, o["padding"])
            v = np.einsum("ac,nohwcd,bd->nohwab", _B, d, _B)
            m = np.einsum("nohwab,oiab->nihwab", v, u)
            tiles = np.einsum("ca,nihwab,db->nihcwd", _A, m, _A)
            full = tiles.reshape(*tiles.shape[:2], tiles.shape[2] * 2, tiles.shape[4] * 2)[:, :, :H, :W]
            target[:, g * weight.shape[1] : (g + 1) * weight.shape[1]] = full
    return UNIT * (terms(out) + 12) * sizes + errors


def _tiles(d: Array, H: int, W: int, padding: tuple[int, int]) -> Array:
    """The 4 x 4 values of dy that each 2 x 2 tile of dx sees: (n, o, tiles, tiles, 4, 4)."""
    high, wide = -(-H // 2), -(-W // 2)
    padded = np.zeros((*d.shape[:2], 2 * high + 2, 2 * wide + 2))
    top, left = 2 - padding[0], 2 - padding[1]
    rows, columns = min(d.shape[2], padded.shape[2] - top), min(d.shape[3], padded.shape[3] - left)
    padded[:, :, top : top + rows, left : left + columns] = d[:, :, :rows, :columns]
    view = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(2, 3))
    return view[:, :, ::2, ::2]


def windows(H: int, W: int, o: dict[str, Any]) -> tuple[Array, Array, tuple[int, int]]:
    """R_q of docs/math/pool.md: for each output the places h W + w it reads, -1 for padding, and m_q."""

    def along(size: int, axis: int) -> list[list[int]]:
        if "output_size" in o:
            Q = o["output_size"][axis]
            return [list(range(q * size // Q, -(-(q + 1) * size // Q))) for q in range(Q)]
        k, s, p = o["kernel_size"][axis], o["stride"][axis], o["padding"][axis]
        return [[q * s + i - p for i in range(k)] for q in range((size + 2 * p - k) // s + 1)]

    rows, columns = along(H, 0), along(W, 1)
    most = max(map(len, rows)) * max(map(len, columns))
    places = np.full((len(rows) * len(columns), most), -1)
    counts = np.zeros(len(rows) * len(columns))
    for i, hs in enumerate(rows):
        for j, ws in enumerate(columns):
            q = i * len(columns) + j
            inside = [h * W + w for h in hs for w in ws if 0 <= h < H and 0 <= w < W]
            places[q, : len(inside)] = inside
            counts[q] = len(hs) * len(ws)
    return places, counts, (len(rows), len(columns))


def _gathered(a: Array, places: Array, empty: float) -> Array:
    flat = a.reshape(*a.shape[:-2], -1)
    flat = np.concatenate([flat, np.full((*flat.shape[:-1], 1), empty)], -1)
    return flat[..., places]


def _scattered(parts: Array, places: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of _gathered."""
    size = shape[-1] * shape[-2]
    flat = parts.reshape(-1, *places.shape)
    to = np.zeros((flat.shape[0], size + 1))
    for q in range(places.shape[0]):
        np.add.at(to, (slice(None), places[q]), flat[:, q])
    return to[:, :-1].reshape(shape)


def max_pool(x: Bounded, o: dict[str, Any]) -> Layer:
    places, _, size = windows(*x.shape[-2:], o)
    seen = _gathered(x.value, places, -np.inf)
    errors = _gathered(x.bound, places, 0.0)
    nan = np.isnan(seen)
    ranked = np.where(nan, np.inf, seen)
    winner = ranked.argmax(-1)  # the first of the highest (M1)
    any_nan = nan.any(-1)
    last_nan = nan.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
    winner = np.where(any_nan, last_nan, winner)  # NaN is the highest; of several, the last
    top = np.take_along_axis(seen, winner[..., None], -1)
    value = top[..., 0]
    bound = errors.max(-1)
    y = Bounded(value, bound, x.spikes).reshape(*x.shape[:-2], *size)
    low = np.take_along_axis(seen - errors, winner[..., None], -1)
    rivals = (seen + errors >= low) & (places >= 0) & (errors.max(-1, keepdims=True) > 0)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        flat = dy.reshape(*dy.shape[:-2], -1)
        taken = np.zeros_like(seen)
        np.put_along_axis(taken, winner[..., None], 1.0, -1)
        value = _scattered(taken * flat.value[..., None], places, x.shape)  # (M2)
        sizes = _scattered(taken * np.abs(flat.value[..., None]), places, x.shape)
        contested = rivals & (rivals.sum(-1, keepdims=True) > 1)
        error = taken * flat.bound[..., None] + contested * np.abs(flat.value[..., None])
        bound = _scattered(error, places, x.shape)
        return finish(value, bound, terms(places.shape[1]) * sizes), {}

    return y, backward


def avg_pool(x: Bounded, o: dict[str, Any]) -> Layer:
    """Sliding or adaptive."""
    places, counts, size = windows(*x.shape[-2:], o)
    share = constant(1 / counts)
    seen = Bounded(_gathered(x.value, places, 0.0), _gathered(x.bound, places, 0.0))
    y = summed(seen, -1, terms(places.shape[1])) * share  # (M3)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        part = dy.reshape(*dy.shape[:-2], -1) * share
        inside = (places >= 0).astype(np.float64)

        def spread(a: Array) -> Array:
            return _scattered(a[..., None] * inside, places, x.shape)

        value = spread(part.value)
        return finish(
            value, spread(part.bound), terms(places.shape[1]) * spread(np.abs(part.value))
        ), {}  # (M4)

    return y.reshape(*x.shape[:-2], *size), backward


class Statistics:
    """Mean, variance and 1 / deviation of each channel, (B1) and (B2), in double."""

    def __init__(self, x: Bounded, eps: float, running: tuple[Array, Array] | None):
        self.axes = (0, 1, *range(3, x.value.ndim))
        self.shape = (1, 1, -1, *([1] * (x.value.ndim - 3)))
        self.m = x.value.size / x.shape[2]
        if running is not None:
            mean, variance = (np.asarray(a, np.float64).reshape(self.shape) for a in running)
            error_mean = error_variance = np.zeros_like(mean)
        else:
            mean = x.value.mean(self.axes, keepdims=True)
            away = x.value - mean
            variance = (away * away).mean(self.axes, keepdims=True)
            error_mean = x.bound.mean(self.axes, keepdims=True)
            squares = (x.value * x.value).mean(self.axes, keepdims=True)
            error_variance = 2 * (np.abs(away) * x.bound + x.bound**2).mean(self.axes, keepdims=True)
            error_variance = error_variance + self.m * 2.0**-53 * squares
            certain = np.isnan(variance) & (error_mean == 0)  # NaN in every order of the sums
            error_variance = np.where(certain, 0.0, error_variance)
        room = variance + eps - error_variance
        self.mean, self.variance = Bounded(mean, error_mean), Bounded(variance, error_variance)
        r = 1 / np.sqrt(variance + eps)
        r_error = np.where(room > 0, 0.5 * error_variance / np.maximum(room, 1e-300) ** 1.5, np.inf)
        self.r = Bounded(r, np.where(error_variance > 0, r_error, 0.0))

    def sum(self, a: Array) -> Array:
        return a.sum(self.axes, keepdims=True)


def batch_norm(
    x: Bounded, p: Parameters, eps: float, running: tuple[Array, Array] | None
) -> tuple[Bounded, Backward, Statistics]:
    """running: (mean, variance) in evaluation, None in training."""
    st = Statistics(x, eps, running)
    mu, r = st.mean, st.r
    w = p["weight"].value.reshape(st.shape) if "weight" in p else np.ones_like(r.value)
    b = p["bias"].value.reshape(st.shape) if "bias" in p else np.zeros_like(r.value)
    a = w * r.value
    o = b - mu.value * a
    normal = (x.value - mu.value) * r.value
    value = normal * w + b  # (B3)
    moved = np.abs(a) * (x.bound + mu.bound) + np.abs((x.value - mu.value) * w) * r.bound
    moved = moved + 2.0**-149 * np.abs(x.value)  # the factor may be subnormal
    sizes = 2 * np.abs(a * x.value) + 2 * np.abs(o) + np.abs(value)
    y = finish(value, settled(value, moved), sizes)
    normal_error = np.abs(r.value) * (x.bound + mu.bound) + np.abs(x.value - mu.value) * r.bound

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        d = dy.value
        db, dw = st.sum(d), st.sum(d * normal)  # (B4), (B5)
        db_error = st.sum(dy.bound)
        lost = (
            2.0**-52 * st.m * r.value * (st.sum(np.abs(x.value * d)) + np.abs(mu.value) * st.sum(np.abs(d)))
        )
        dw_error = st.sum(dy.bound * np.abs(normal) + np.abs(d) * normal_error) + lost
        slope, offset = np.zeros_like(a), np.zeros_like(a)
        inner, inner_error = d, dy.bound
        if running is None:
            slope = -a * r.value * dw / st.m
            offset = -a * db / st.m - slope * mu.value
            inner = d - db / st.m - normal * dw / st.m  # (B6)
            inner_error = dy.bound + (db_error + np.abs(normal) * dw_error + normal_error * np.abs(dw)) / st.m
        dx = a * inner
        error = np.abs(a) * inner_error + np.abs(w * inner) * r.bound
        error = error + 2.0**-149 * (np.abs(d) + np.abs(x.value))
        sizes = 2 * np.abs(a * d) + 2 * np.abs(slope * x.value) + 2 * np.abs(offset) + np.abs(dx)
        gradients = {}
        if "weight" in p:
            gradients["weight"] = finish(dw, settled(dw, dw_error), np.abs(dw)).reshape(-1)
            gradients["bias"] = finish(db, settled(db, db_error), np.abs(db)).reshape(-1)
        return finish(dx, settled(dx, error), sizes), gradients

    return y, backward, st


def running_after(
    st: Statistics, before: tuple[Array, Array], momentum: float | None, batches: int
) -> tuple[Bounded, Bounded]:
    """(B7); `batches` counts this one."""
    gamma = momentum if momentum is not None else 1 / batches
    n = st.m
    result = []
    unbiased = Bounded(st.variance.value * n / (n - 1), st.variance.bound * n / (n - 1))
    for old, new in zip(before, (st.mean, unbiased), strict=True):
        kept, added = (1 - gamma) * np.asarray(old, np.float64), gamma * new.value.reshape(-1)
        sizes = 2 * np.abs(kept) + 3 * np.abs(added) + np.abs(kept + added)
        result.append(finish(kept + added, gamma * new.bound.reshape(-1), sizes))
    return result[0], result[1]


def voting(x: Bounded, size: int) -> Layer:
    share = constant(1 / size)
    y = summed(x.reshape(*x.shape[:-1], -1, size), -1, terms(size)) * share  # (F3)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        part = dy * share  # (F4)
        return Bounded(np.repeat(part.value, size, -1), np.repeat(part.bound, size, -1)), {}

    return y, backward


def masked(x: Bounded, mask: Array) -> Layer:
    """(F1), (F2) with Volley's mask (N, features...)."""
    m = Bounded(mask)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        return dy * m, {}

    return x * m, backward


def rate_penalty(x: Bounded, o: dict[str, Any]) -> tuple[Bounded, Backward, Bounded]:
    """Returns the penalty, (G2), too."""
    T, N = x.shape[:2]
    F_ = int(np.prod(x.shape[2:]))
    rate = summed(x, (0, 1), terms(N * T)) * constant(1 / (N * T))  # (G1)
    away = rate - o["target"]
    if o["norm"] == "l1":
        dr = Bounded(np.sign(away.value), np.where(np.abs(away.value) <= away.bound, 2.0, 0.0))
        each = abs(away)
    else:
        dr = 2.0 * away
        each = away * away
    penalty = summed(each, None, terms(F_)) * constant(o["weight"] / F_)
    extra = dr * constant(o["weight"] / F_ / (N * T))  # (G3), (G4)

    def backward(dy: Bounded) -> tuple[Bounded, Gradients]:
        return dy + extra, {}

    return x, backward, penalty


def li(x: Bounded, tau: float, decay_input: bool) -> Layer:
    keep, gain = constant(1 - 1 / tau), constant(1 / tau if decay_input else 1.0)
    v: list[Bounded] = []
    for t in range(x.shape[0]):
        v.append(gain * x[t] if t == 0 else keep * v[-1] + gain * x[t])  # (V1)

    def backward(dv: Bounded) -> tuple[Bounded, Gradients]:
        dx: list[Bounded] = []
        carry: Bounded | None = None
        for t in reversed(range(dv.shape[0])):
            all_ = dv[t] if carry is None else dv[t] + carry  # (V2)
            dx.append(gain * all_)  # (V3)
            carry = keep * all_
        return stack(dx[::-1]), {}

    return stack(v), backward


def parallel(
    x: Bounded, p: Parameters, kind: str, o: dict[str, Any]
) -> tuple[Bounded, Callable[[Bounded], tuple[Bounded, Gradients]]]:
    """h of the PSN family and its adjoint from dh: (Y1), (Y3) to (Y7)."""
    T = x.shape[0]
    t, from_ = np.arange(T)[:, None], np.arange(T)[None, :]
    if kind == "sliding_psn":
        at = o["k"] - 1 - (t - from_)
        seen = (from_ <= t) & (t - from_ < o["k"])
        w = p["weight"]
        matrix = Bounded(np.where(seen, w.value[np.where(seen, at, 0)], 0.0))
    else:
        factor = np.ones((T, T))
        if kind == "masked_psn":
            near = (from_ <= t) & (t - from_ < o["k"])
            factor = np.where(near, 1.0, 1 - o["lambda_init"])
        matrix = p["weight"] * constant(factor)
    flat = x.reshape(T, -1)
    h = bilinear(lambda m, a: m @ a, matrix, flat, T, p["bias"].reshape(-1, 1))

    def backward(dh: Bounded) -> tuple[Bounded, Gradients]:
        d = dh.reshape(T, -1)
        columns = d.shape[1]
        dx = bilinear(lambda m, a: m.T @ a, matrix, d, T)  # (Y6)
        dm = bilinear(lambda a, b: a @ b.T, d, flat, columns)  # (Y7)
        db = summed(d, 1, terms(columns))
        if kind != "sliding_psn":
            return dx.reshape(*x.shape), {"weight": dm * constant(factor), "bias": db}
        fold = stack([summed(dm[(at == i) & seen], 0, terms(T)) for i in range(o["k"])])
        return dx.reshape(*x.shape), {"weight": fold, "bias": summed(db, 0, terms(T)).reshape(1)}

    return h.reshape(*x.shape), backward


def join(
    b: Bounded, s: Bounded, connect: str
) -> tuple[Bounded, Callable[[Bounded], tuple[Bounded, Bounded]]]:
    """(J1), (J2)"""
    if connect == "ADD":
        return b + s, lambda dy: (dy, dy)
    y = b * s if connect == "AND" else (1.0 - b) * s
    y.spikes = b.spikes and s.spikes
    if connect == "AND":
        return y, lambda dy: (s * dy, b * dy)
    return y, lambda dy: (-(s * dy), (1.0 - b) * dy)
