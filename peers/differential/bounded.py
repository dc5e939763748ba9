"""float64 numbers, each with a bound of the error that float32 may have made on the way to it.

A `Bounded` is an array of values and an array of bounds: the running error analysis of Higham, "Accuracy
and Stability of Numerical Algorithms", 2002, section 3.3. Values are those of the equations in float64. A
value beyond the range of float32 is infinite. A bound of infinity marks a value that float32 does not decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Array = np.ndarray

UNIT = 2.0**-24  # float32 rounds a result to within UNIT of its size
SMALLEST = 2.0**-126  # results below may be rounded to 0
LARGEST = float(np.finfo(np.float32).max)

# The table of bounds. A row is the number of roundings of an operation, each of UNIT times the result.
ROUNDINGS: dict[str, float] = {
    "add": 1,
    "multiply": 1,
    "divide": 2,  # kernels multiply by a reciprocal: its rounding, and that of the product
    "sqrt": 1,
    # docs/math/exp_log.md: below 1.0, 0.8 and 1.4 ulp; an ulp is at most 2 UNIT of the result
    "exp": 2,
    "log": 2,
    "log1p": 3,
    "constant": 1,  # of options: computed in double, rounded once
    # A factor of every bound, 2 x 2: kernels may order the operations of an equation otherwise. A term is the
    # difference of two partial sums, so it is at most 2x the larger. A term with a constant that a kernel
    # derives has 2 roundings, of the constant and of the product.
    "order": 4,
}


def terms(n: float) -> float:
    """The roundings of a sum of n products in any order. The worst case is n. From n = 64 on it is
    8 sqrt(n), which independent roundings exceed with probability 2 exp(-32) (Higham and Mary, 2019)."""
    return min(n, 8 * math.sqrt(n))


def tree_terms(n: float) -> float:
    """The roundings of a sum over n samples by a binary tree (docs/decisions/order.md)."""
    return math.ceil(math.log2(max(n, 1))) + 1


class _Mode:
    unit = UNIT  # of the roundings that are counted
    ranged = True  # whether beyond LARGEST is infinite
    overflowed = False  # whether anything was, since this was last cleared


@contextmanager
def arithmetic(unit: float, ranged: bool) -> Iterator[None]:
    before = _Mode.unit, _Mode.ranged
    _Mode.unit, _Mode.ranged = unit, ranged
    try:
        yield
    finally:
        _Mode.unit, _Mode.ranged = before


def in_double() -> Any:
    """Operations inside are in double in Volley too: their roundings are below every bound."""
    return arithmetic(0.0, False)


def exactly() -> Any:
    """Operations inside are exact in float32, as their operands have few binary digits."""
    return arithmetic(0.0, True)


def settled(value: Array, bound: Array) -> Array:
    """The bound of finite values. Of others: 0 where the operands are certain, else infinity."""
    if np.all(np.isfinite(value)):
        return bound
    certain = np.isfinite(bound) | np.isnan(bound)  # NaN: infinity times an error of 0
    return np.where(np.isfinite(value), bound, np.where(certain, 0.0, np.inf))


def finish(value: Array, bound: Array, rounded: Array | float) -> Bounded:
    """A result whose operands' errors add up to `bound`, rounded at sizes that add up to `rounded`.

    From LARGEST / 64 on float32 may overflow, as a kernel may scale or sum before: the bound is infinite.
    From 64 LARGEST on it overflows in any order: the value is infinite, the bound 0."""
    unit = _Mode.unit
    size = np.abs(value)
    small = np.all(size < LARGEST / 64)  # not where NaN
    if unit > 0:
        lost = unit * rounded + 2.0**-149 * (np.asarray(rounded) > 0)
        bound = bound + (lost if small else np.where(np.isfinite(value), lost, 0.0))  # NaN loses nothing
    if not small:
        if _Mode.ranged:  # infinity may meet what overflowed on the way there
            bound = np.where(
                ~np.isfinite(value) & np.isfinite(rounded) & (rounded > LARGEST / 64), np.inf, bound
            )
            near = (size + bound > LARGEST / 64) & np.isfinite(value)
            beyond = near & (size - bound > LARGEST * 64)
            _Mode.overflowed |= bool(beyond.any())
            value = np.where(beyond, np.copysign(np.inf, value), value)
            bound = np.where(near, np.where(beyond, 0.0, np.inf), bound)
        bound = np.where(np.isnan(bound), np.inf, bound)
    if np.any(rounded > LARGEST / 64) and _Mode.ranged:  # an operand of a sum may overflow
        bound = np.where((rounded > LARGEST / 64) & np.isfinite(value), np.inf, bound)
    return Bounded(value, bound)


def overflowed() -> bool:
    """Whether a value overflowed float32 since the last call: a peer in float64 goes on there."""
    result, _Mode.overflowed = _Mode.overflowed, False
    return result


class Bounded:
    __slots__ = ("value", "bound", "spikes")
    __array_priority__ = 1000

    def __init__(self, value: Any, bound: Any = 0.0, spikes: bool = False):
        self.spikes = spikes or getattr(value, "dtype", None) == np.uint8  # Volley reads uint8 as spikes
        self.value = np.asarray(value, np.float64)
        self.bound = np.broadcast_to(np.asarray(bound, np.float64), self.value.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __getitem__(self, index: Any) -> Bounded:
        return Bounded(self.value[index], self.bound[index])

    def reshape(self, *shape: Any) -> Bounded:
        return Bounded(self.value.reshape(*shape), self.bound.reshape(*shape), self.spikes)

    def transpose(self, *axes: int) -> Bounded:
        return Bounded(self.value.transpose(*axes), self.bound.transpose(*axes))

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.bound)

    def __abs__(self) -> Bounded:
        return Bounded(np.abs(self.value), self.bound)

    def __add__(self, other: Any) -> Bounded:
        a, b = self, constant(other)
        value = a.value + b.value
        bound = settled(value, a.bound + b.bound)
        changed = (a.value != 0) & (b.value != 0)  # to add 0 rounds nothing
        return finish(value, bound, np.where(changed, np.abs(value), 0.0))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Bounded:
        return self + (-constant(other))

    def __rsub__(self, other: Any) -> Bounded:
        return constant(other) - self

    def __mul__(self, other: Any) -> Bounded:
        a, b = self, constant(other)
        value = a.value * b.value
        bound = np.abs(a.value) * b.bound + np.abs(b.value) * a.bound + a.bound * b.bound
        if not np.all(np.isfinite(value)):
            bound = np.where(np.isfinite(value), bound, _bound_of_product_beyond(a, b))
        changed = ~(_is_unit(a) | _is_unit(b))  # to multiply by 0, 1, -1 rounds nothing
        return finish(value, bound, np.where(changed, np.abs(value), 0.0))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Bounded:
        a, b = self, constant(other)
        value = a.value / b.value
        room = np.abs(b.value) - b.bound  # how far the divisor is from 0
        bound = np.where(
            room > 0, (a.bound + np.abs(value) * b.bound) / np.where(room > 0, room, 1.0), np.inf
        )
        odd = ~np.isfinite(a.value) | ~np.isfinite(b.value)
        if np.any(odd):
            known = np.isfinite(a.bound) & np.isfinite(b.bound)
            bound = np.where(odd, np.where(known, 0.0, np.inf), bound)
        return finish(value, bound, ROUNDINGS["divide"] * np.abs(value))

    def __rtruediv__(self, other: Any) -> Bounded:
        return constant(other) / self


def _is_unit(a: Bounded) -> Array:
    return (a.bound == 0) & ((a.value == 0) | (np.abs(a.value) == 1))


def _bound_of_product_beyond(a: Bounded, b: Bounded) -> Array:
    """0 where a product that is not finite is the same for every operand within its bound, else infinity."""
    nan = (np.isnan(a.value) & (a.bound == 0)) | (np.isnan(b.value) & (b.bound == 0))

    def sure(inf: Bounded, other: Bounded) -> Array:
        signed = (np.abs(other.value) > other.bound) | ((other.value == 0) & (other.bound == 0))
        return np.isinf(inf.value) & (inf.bound == 0) & signed

    return np.where(nan | sure(a, b) | sure(b, a), 0.0, np.inf)


def constant(x: Any) -> Bounded:
    """A number of the equations: rounded once where it is no float32."""
    if isinstance(x, Bounded):
        return x
    value = np.asarray(x, np.float64)
    with np.errstate(over="ignore"):
        lost = np.where(value.astype(np.float32) == value, 0.0, np.abs(value))
    return Bounded(value, _Mode.unit * ROUNDINGS["constant"] * np.where(np.isnan(value), 0.0, lost))


def exp(a: Bounded) -> Bounded:
    value = np.exp(a.value)
    bound = value * np.expm1(a.bound)
    sure = (a.value - a.bound > 709) | (a.value + a.bound < -709)
    bound = np.where(sure | (~np.isfinite(a.value) & (a.bound == 0)), 0.0, bound)
    result = finish(value, bound, ROUNDINGS["exp"] * np.abs(value))
    flushed = SMALLEST if _Mode.unit > 0 else 0.0
    return Bounded(result.value, result.bound + np.where(np.isfinite(a.value) & (value < 1), flushed, 0.0))


def log(a: Bounded) -> Bounded:
    value = np.log(a.value)
    room = a.value - a.bound
    bound = np.where(room > 0, a.bound / np.where(room > 0, room, 1.0), np.inf)
    bound = np.where(~np.isfinite(a.value) & (a.bound == 0), 0.0, bound)
    return finish(value, bound, ROUNDINGS["log"] * np.abs(value))


def log1p(a: Bounded) -> Bounded:
    """Of a >= 0: as exact as a is."""
    return finish(np.log1p(a.value), a.bound, ROUNDINGS["log1p"] * np.log1p(a.value))


def sqrt(a: Bounded) -> Bounded:
    value = np.sqrt(a.value)
    low = np.sqrt(np.maximum(a.value - a.bound, 0.0))
    bound = np.where(a.bound > 0, a.bound / np.maximum(value + low, 1e-300), 0.0)
    return finish(value, bound, np.abs(value))


def sigmoid(a: Bounded) -> Bounded:
    """Below -64 it is exp(a) to 2^-92 of it; there 1 / (1 + exp(-a)) would overflow before it underflows."""
    near = 1.0 / (1.0 + exp(-Bounded(np.maximum(a.value, -64.0), a.bound)))
    far = exp(Bounded(np.minimum(a.value, -64.0), a.bound))
    deep = a.value < -64
    return Bounded(np.where(deep, far.value, near.value), np.where(deep, far.bound, near.bound))


def below(a: Bounded, limit: float) -> tuple[Array, Array]:
    """Where a < limit, and where float32 may see it the other way."""
    return a.value < limit, np.abs(a.value - limit) <= a.bound


def where(choice: tuple[Array, Array], a: Any, b: Any) -> Bounded:
    """a where the choice holds, else b; both where it is in doubt."""
    holds, doubt = choice
    a, b = constant(a), constant(b)
    value = np.where(holds, a.value, b.value)
    bound = np.where(holds, a.bound, b.bound)
    if np.any(doubt):
        wide = np.maximum(a.bound, b.bound) + np.abs(a.value - b.value)
        bound = np.where(doubt, np.where(np.isnan(wide), np.inf, wide), bound)
    return Bounded(value, bound)


def stack(parts: list[Bounded]) -> Bounded:
    return Bounded(np.stack([p.value for p in parts]), np.stack([p.bound for p in parts]))


def summed(a: Bounded, axis: Any, n: float) -> Bounded:
    """The sum along axes, with n roundings of the size of the sum of sizes."""
    value = a.value.sum(axis)
    return finish(value, settled(value, a.bound.sum(axis)), n * np.abs(a.value).sum(axis))


def total_in_double(a: Bounded, shape: tuple[int, ...]) -> Bounded:
    """The sum along the axes that a has and `shape` lacks or has as 1, in double, rounded once."""
    extra = a.value.ndim - len(shape)
    axes = tuple(range(extra))
    axes += tuple(i + extra for i, size in enumerate(shape) if size == 1 and a.shape[i + extra] != 1)
    value = a.value.sum(axes).reshape(shape)
    return finish(value, settled(value, a.bound.sum(axes).reshape(shape)), np.abs(value))


def over_spikes(f: Callable[[Array, Array], Array], s: Bounded) -> Callable[[Array, Array], Array]:
    """f of a and s, which Volley sums over spikes alone: no spike adds 0, also to infinity and NaN."""
    if not s.spikes:
        return f

    def of_fired(a: Array, b: Array) -> Array:
        finite = np.isfinite(a)
        if finite.all():
            return f(a, b)
        nan, up, down = (f(where * 1.0, b) > 0 for where in (np.isnan(a), a == np.inf, a == -np.inf))
        value = np.where(up, np.inf, np.where(down, -np.inf, f(np.where(finite, a, 0.0), b)))
        return np.where(nan | (up & down), np.nan, value)

    return of_fired


def bilinear(
    f: Callable[[Array, Array], Array], a: Bounded, b: Bounded, n: float, start: Bounded | None = None
) -> Bounded:
    """start + f(a, b). The elements of f are sums of n products of an element of a and one of b."""
    value = f(a.value, b.value)
    sizes = f(np.abs(a.value), np.abs(b.value))
    bound = np.zeros_like(value)
    if start is not None:  # a term of the sum: every partial sum may have it
        value, sizes, bound, n = value + start.value, sizes + np.abs(start.value), bound + start.bound, n + 1
    for left, right in ((np.abs(a.value), b.bound), (a.bound, np.abs(b.value)), (a.bound, b.bound)):
        if np.any(left) and np.any(right):
            bound = bound + f(np.ascontiguousarray(left), np.ascontiguousarray(right))
    bound = bound + terms(n) * np.where(sizes > 0, 2.0**-149, 0.0)  # of products that are subnormal
    return finish(value, settled(value, bound), terms(n) * sizes)
