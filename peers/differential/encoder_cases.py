"""Random cases of encoders: those without random numbers, and Poisson, whose numbers Philox addresses."""

from __future__ import annotations

from typing import Any

import numpy as np
from common import ENCODE_TEST, ENCODE_TRAIN, philox_key, poisson_spikes

import volley

from .bounded import ROUNDINGS, Array, Bounded, constant, exp, stack
from .case import Case, Check, Outcome, f32
from .layer_cases import base
from .neuron_cases import one_of

Options = dict[str, Any]
Rng = np.random.Generator


def draw_encoder(rng: Rng, kind: str) -> Case:
    which = one_of(
        rng, "direct", "rows", "latency", "weighted_phase", "population", "delta", "periodic", "poisson"
    )
    case = base(
        rng,
        kind,
        {
            "N": int(rng.integers(1, 4)),
            "C": int(rng.integers(1, 4)),
            "H": int(rng.integers(1, 12)),
            "W": int(rng.integers(1, 20)),
        },
        ("normal",),
    )
    o: Options = {}
    if which in ("direct", "rows") and rng.random() < 0.7:
        count = int(rng.choice([1, case["sizes"]["C"]]))
        o = {
            "mean": [f32(v) for v in rng.uniform(0, 1, count)],
            "std": [f32(v) for v in rng.uniform(0.1, 2, count)],
        }
    if which == "latency":
        o = {"function": one_of(rng, "linear", "log"), "clip": bool(rng.random() < 0.5)}
    if which == "weighted_phase":
        o = {"phases": int(rng.integers(1, 12))}
    if which == "population":
        o = {
            "neurons": int(rng.integers(2, 9)),
            "low": f32(rng.uniform(-0.5, 0.3)),
            "high": f32(rng.uniform(0.6, 1.5)),
            "std": f32(rng.uniform(0.05, 0.5)),
        }
    if which == "delta":
        o = {
            "threshold": f32(rng.uniform(0.01, 0.5)),
            "padding": bool(rng.random() < 0.5),
            "off_spikes": bool(rng.random() < 0.5),
        }
    case |= {"options": o, "encoder": which, "steps": int(rng.integers(1, 41)), "fixed": ["C", "H", "W"]}
    return case | {
        "draw": {
            "seed": int(rng.integers(1 << 31)),
            "epoch": int(rng.integers(1, 99)),
            "purpose": one_of(rng, "train", "test"),
        }
    }


def pixels_of(case: Case) -> Array:
    rng = np.random.default_rng(case["seed"])
    full = rng.integers(0, 256, tuple(case["sizes"][a] for a in "NCHW")).astype(np.uint8)
    full[rng.random(full.shape) < 0.2] = one_of(rng, 0, 255)
    return full[slice(*case["cut"].get("N", (0, None)))]


def run_encoder(case: Case) -> Outcome:
    which, o, T = case["encoder"], case["options"], case["steps"]
    k = pixels_of(case)
    if which in ("rows", "delta"):
        T = k.shape[2]
    draw = case["draw"]
    if which == "periodic":
        period = 1 + T // 2
        made = volley.Periodic(volley.Latency(), period)
        want = latency(k.astype(np.float64), period, {"function": "linear", "clip": False})[
            np.arange(T) % period
        ]
        o = {"period": period, "of": {"kind": "latency"}}
    elif which == "poisson":
        made = volley.Poisson(draw["seed"])
        purpose = ENCODE_TRAIN if draw["purpose"] == "train" else ENCODE_TEST
        key = philox_key(draw["seed"], purpose, draw["epoch"])
        spikes = poisson_spikes(k.reshape(len(k), -1), 3 + np.arange(len(k)), T, key)
        want = Bounded(spikes.swapaxes(0, 1).reshape(T, *k.shape))
    else:
        made = getattr(volley, {"weighted_phase": "WeightedPhase"}.get(which, which.capitalize()))(**o)
        want = ENCODERS[which](k.astype(np.float64), T, o)
    got = made.encode(k, T, epoch=draw["epoch"], first_sample=3, purpose=draw["purpose"])
    outcome = Outcome([Check("x", got.astype(np.float64), want)], recipe={"encoder": {"kind": which, **o}})
    outcome.inputs = {"pixels": k}
    outcome.peer_skipped = "encoders: golden_parts.py compares them with SpikingJelly's"
    return outcome


def currents(k: Array, T: int, o: Options) -> Bounded:  # (E1)
    mean, std = (
        np.array(o.get(name) or [d], np.float64).reshape(1, -1, 1, 1) for name, d in (("mean", 0), ("std", 1))
    )
    x = (Bounded(k) * constant(1 / 255) - constant(mean)) / constant(std)
    return Bounded(np.repeat(x.value[None], T, 0), np.repeat(x.bound[None], T, 0))


def rows(k: Array, T: int, o: Options) -> Bounded:
    x = currents(k, 1, o)[0]
    return x.transpose(2, 0, 1, 3)


def spikes_at(t: Array, T: int) -> Array:
    return (np.arange(T).reshape(-1, *([1] * t.ndim)) == t[None]).astype(np.float64)


def latency(k: Array, T: int, o: Options) -> Bounded:  # (E2), (E3)
    if o["function"] == "linear":
        t = np.floor((2 * (T - 1) * (255 - k) + 255) / 510)  # round, in whole numbers; there are no ties
    else:
        x = k / 255
        t = np.rint(-np.log(x + (1 - x) * np.exp(-(T - 1.0))))  # Volley computes it in double too
    spikes = spikes_at(t, T)
    return Bounded(spikes * (k > 0) if o["clip"] else spikes)


def weighted_phase(k: Array, T: int, o: Options) -> Bounded:  # (E4)
    phase = np.arange(T).reshape(-1, 1, 1, 1, 1) % o["phases"]
    bits = np.floor(k[None] * 2.0 ** (phase - 7.0)) % 2
    return Bounded(np.where(phase < 8, bits, 0.0))


def population(k: Array, T: int, o: Options) -> Bounded:  # (E5), (E6)
    M = o["neurons"]
    step = (constant(o["high"]) - o["low"]) / float(M - 1)
    centre = o["low"] + step * np.arange(M).reshape(1, 1, -1, 1, 1)
    away = Bounded(k[:, :, None]) * constant(1 / 255) - centre
    a = exp(-0.5 * (away * away) / (constant(o["std"]) * o["std"])).reshape(k.shape[0], -1, *k.shape[2:])
    v, out, doubt = Bounded(np.zeros(a.shape)), [], np.zeros(a.shape, bool)
    for _ in range(T):
        v = v + a
        u = v - f32(0.999)
        doubt = doubt | (np.abs(u.value) <= ROUNDINGS["order"] * u.bound)  # and every step after it
        s = (u.value >= 0) * 1.0
        v = v - f32(0.999) * Bounded(s)
        out.append(Bounded(s, np.where(doubt, np.inf, 0.0)))
    return stack(out)


def delta(k: Array, T: int, o: Options) -> Bounded:  # (E7)
    before = np.concatenate([k[:, :, :1] if o["padding"] else np.zeros_like(k[:, :, :1]), k[:, :, :-1]], 2)
    least = np.arange(1, 257)[
        np.argmax((np.arange(1, 257) / np.float32(255)).astype(np.float32) >= np.float32(o["threshold"]))
    ]
    rise, fall = ((d >= least) * 1.0 for d in (k - before, before - k))
    s = np.concatenate([rise, fall], 1) if o["off_spikes"] else rise
    return Bounded(s.transpose(2, 0, 1, 3))


ENCODERS = {
    "direct": currents,
    "rows": rows,
    "latency": latency,
    "weighted_phase": weighted_phase,
    "population": population,
    "delta": delta,
}
