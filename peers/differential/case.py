"""A case: its options, its sizes and their cuts, its random arrays, and the verdict on its outcome."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .bounded import ROUNDINGS, SMALLEST, Array, Bounded

Case = dict[str, Any]  # of what JSON can hold

DOUBLE = 2.0**-29  # a rounding of float64, in roundings of float32
# Of the largest value, by which a peer in float64 may differ. The derivative of its sigmoid, s (1 - s), loses
# exp(8) roundings of 2^-53, 3e-13, where alpha |u| is 8 (see sigmoid_cancels).
PEER_SCALE = 1e-12


def f32(x: float) -> float:
    return float(np.float32(x))


def size(case: Case, axis: str) -> int:
    first, last = case["cut"].get(axis, (0, case["sizes"][axis]))
    return last - first


def sizes(case: Case, axes: str) -> tuple[int, ...]:
    return tuple(size(case, axis) for axis in axes)


def with_axis(case: Case, **axes: str) -> Case:
    """The case with more axes, each of the size and the cut of another: D="C"."""
    more = {new: case["sizes"][old] for new, old in axes.items()}
    cuts = {new: case["cut"][old] for new, old in axes.items() if old in case["cut"]}
    return {**case, "sizes": case["sizes"] | more, "cut": case["cut"] | cuts}


def generator(case: Case, name: str) -> np.random.Generator:
    return np.random.default_rng([case["seed"], zlib.crc32(name.encode())])


def array(case: Case, name: str, axes: str, style: Any, scale: float = 1.0, mean: float = 0.0) -> Array:
    """A float32 array, drawn at the case's full sizes and then cut: a smaller cut changes no number.
    The style may be the values themselves."""
    full = tuple(case["sizes"][axis] for axis in axes)
    if isinstance(style, list):
        values = np.asarray(style, np.float64).reshape(full)
    else:
        values = STYLES[style](generator(case, name), full, scale, mean)
    cut = tuple(slice(*case["cut"].get(axis, (0, case["sizes"][axis]))) for axis in axes)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values[cut].astype(np.float32))


def _normal(rng: np.random.Generator, shape: tuple[int, ...], scale: float, mean: float) -> Array:
    return mean + scale * rng.normal(size=shape)


def _sprinkled(*odd: float) -> Any:
    def draw(rng: np.random.Generator, shape: tuple[int, ...], scale: float, mean: float) -> Array:
        values = _normal(rng, shape, scale, mean)
        return np.where(
            rng.random(shape) < 0.5 / max(1, shape[0] if shape else 1), rng.choice(odd, shape), values
        )

    return draw


STYLES = {
    "normal": _normal,
    "constant": lambda rng, shape, scale, mean: np.full(shape, mean + scale * rng.normal()),
    "sparse": lambda rng, shape, scale, mean: _normal(rng, shape, scale, mean) * (rng.random(shape) < 0.1),
    "spikes": lambda rng, shape, scale, mean: (rng.random(shape) < rng.choice([0.02, 0.2, 0.5, 0.9])) * 1.0,
    "dyadic": lambda rng, shape, scale, mean: rng.integers(-16, 65, shape) / 16,
    "binary": lambda rng, shape, scale, mean: rng.integers(-8, 9, shape) / 8,
    "mixed": lambda rng, shape, scale, mean: (
        scale * rng.normal(size=shape) * 10.0 ** rng.uniform(-6, 4, shape)
    ),
    "tiny": lambda rng, shape, scale, mean: scale * 1e-30 * rng.normal(size=shape),
    "subnormal": lambda rng, shape, scale, mean: scale * 1e-41 * rng.normal(size=shape),
    "huge": lambda rng, shape, scale, mean: scale * 1e5 * rng.normal(size=shape),
    "enormous": lambda rng, shape, scale, mean: scale * 1e30 * rng.normal(size=shape),
    "odd": _sprinkled(np.nan, np.inf, -np.inf),
    "nan": _sprinkled(np.nan),
    "inf": _sprinkled(np.inf),
    "ties": lambda rng, shape, scale, mean: rng.integers(0, 3, shape) * 1.0,
    "zero": lambda rng, shape, scale, mean: np.zeros(shape),
}


@dataclass
class Passed:
    """What a layer of Volley returned for x and dy; `given` are its parameters and buffers before."""

    layer: Any
    given: dict[str, Array]
    arguments: dict[str, Any]
    x: Array
    y: Array
    dy: Array
    dx: Array
    gradients: dict[str, Array]
    facts: list[str]
    tape: Any


def passed_through(layer: Any, x: Array, dy_of: Callable[[Array], Array], **arguments: Any) -> Passed:
    """Forward and backward. Two more backwards must give the same bits."""
    given = layer.parameters() | layer.buffers()
    y, tape = layer.forward(x, **arguments)
    dy = dy_of(y)
    dx = layer.backward(tape, dy)
    gradients = layer.gradients()
    facts = []
    if not np.array_equal(dx, layer.backward(tape, dy), equal_nan=True):
        facts.append("dx of a second backward has other bits")
    layer.zero_gradients()
    layer.backward(tape, dy, needs_input_gradient=False)
    for name, again in layer.gradients().items():
        if not np.array_equal(gradients[name], again, equal_nan=True):
            facts.append(f"d{name} has other bits without needs_input_gradient")
    return Passed(layer, given, arguments, x, y, dy, dx, gradients, facts, tape)


@dataclass
class Check:
    """One array of Volley and its right values."""

    name: str
    got: Array
    want: Bounded
    order: float = ROUNDINGS["order"]
    peer: float = ROUNDINGS["order"] * DOUBLE  # of the bound, by which a peer in float64 may differ


@dataclass
class SpikeCheck:
    name: str
    got: Array
    u: Bounded  # how far the potential is above the threshold
    at_threshold: bool


@dataclass
class Outcome:
    checks: list[Check | SpikeCheck] = field(default_factory=list)
    peer: dict[str, Array] = field(default_factory=dict)  # by the names of checks
    peer_skipped: str = ""  # the reason that `peer` is empty
    facts: list[str] = field(default_factory=list)  # rules that are broken
    passed: Passed | None = None
    # For golden.py, of a case that is no pass of a layer: tables of a recipe, and the inputs.
    recipe: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.passed is not None:
            self.facts = self.facts + self.passed.facts


@dataclass
class Verdict:
    """Of one check."""

    compared: int = 0
    left_out: int = 0  # values that float32 does not decide
    near: int = 0  # spikes within the margin
    near_flips: int = 0  # of these, those that differ
    ratio: float = 0.0  # the largest error, of its bound
    scaled: float = 0.0  # the largest error, of the largest value
    resolution: float = 0.0  # the median bound, of the largest value
    fault: str = ""


def judge(check: Check | SpikeCheck) -> Verdict:
    if np.shape(check.got) != (check.u if isinstance(check, SpikeCheck) else check.want).shape:
        return Verdict(fault=f"{check.name}: shape {np.shape(check.got)}")
    return judge_spikes(check) if isinstance(check, SpikeCheck) else judge_values(check)


def first_of(mask: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def right_spikes(c: SpikeCheck) -> tuple[Array, Array]:
    """The spikes of the equations, and where no rounding changes them."""
    u, margin = c.u.value, ROUNDINGS["order"] * c.u.bound
    right = u >= 0 if c.at_threshold else u > 0
    return right, np.isfinite(margin) & (np.isnan(u) | (np.abs(u) > margin) | (margin == 0))


def judge_spikes(c: SpikeCheck) -> Verdict:
    u, margin = c.u.value, ROUNDINGS["order"] * c.u.bound
    s = np.asarray(c.got, bool)
    right, decided = right_spikes(c)
    wrong = decided & (s != right)
    lost = ~np.isfinite(margin)
    near = ~decided & ~lost
    v = Verdict(int(decided.sum()), int(lost.sum()), int(near.sum()), int((near & (s != right)).sum()))
    if wrong.any():
        i = first_of(wrong)
        v.ratio = np.inf
        v.fault = (
            f"{c.name}: spike at {list(i)} is {int(s[i])}, with u = {u[i]:.9g} and margin {margin[i]:.3g}"
        )
    return v


def judge_values(c: Check) -> Verdict:
    got, want = np.asarray(c.got, np.float64), c.want.value
    bound = c.order * c.want.bound
    lost = ~np.isfinite(bound)
    finite = np.isfinite(want) & ~lost
    same = np.where(np.isnan(want), np.isnan(got), got == want)
    odd = ~lost & ~finite & ~same
    error = np.where(finite, np.abs(got - np.where(finite, want, 0.0)), 0.0)
    error = np.where(np.isnan(error), np.inf, error)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(error == 0, 0.0, error / np.where(lost, 1.0, bound))
    scale = np.max(np.abs(want[finite]), initial=0.0)
    v = Verdict(int((~lost).sum()), int(lost.sum()))
    if finite.any():
        v.ratio = float(ratio.max())
        if scale > 0:
            v.scaled = float(np.max(error[finite & (bound < 1e-3 * scale)], initial=0.0) / scale)
            v.resolution = float(np.median(bound[finite]) / scale)
    bad = odd | (ratio > 1)
    if bad.any():
        worst = np.where(odd, np.inf, ratio)
        i = tuple(int(k) for k in np.unravel_index(np.argmax(np.where(bad, worst, -1)), bad.shape))
        v.ratio = float(max(v.ratio, worst[i]))
        v.fault = (
            f"{c.name}: at {list(i)} is {got[i]:.9g}, should be {want[i]:.9g}, {bad.sum()} of {bad.size}"
            f" wrong; the error is {worst[i]:.3g} of its bound {bound[i]:.3g}"
        )
    return v


def judge_peer(check: Check, theirs: Array, finite: bool) -> Verdict:
    """The peer beside the equations, within the rounding of float64.

    Values that float32 does not decide are left out. Where some input or result is not finite, so are the
    NaNs of the peer: it multiplies by 0 where Volley adds nothing."""
    want, bound = check.want.value, check.want.bound
    if theirs.shape != want.shape:
        return Verdict(fault=f"{check.name}: the peer's shape is {theirs.shape}, not {want.shape}")
    seen = np.isfinite(want) & np.isfinite(bound) & (finite | np.isfinite(theirs))
    v = Verdict(int(seen.sum()), int((~seen).sum()))
    scale = np.max(np.abs(want[seen]), initial=0.0)
    apart = np.abs(theirs - want)
    allowed = check.peer * bound + PEER_SCALE * scale + SMALLEST  # below SMALLEST float32 may have 0
    bad = seen & ~(apart <= allowed)
    if bad.any():
        i = first_of(bad)
        v.fault = f"{check.name}: at {list(i)} the peer has {theirs[i]:.9g}, the equations {want[i]:.9g}"
    return v
