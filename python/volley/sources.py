"""What a trainer trains on: arrays, sequences, a user's own class, a generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import _volley

__all__ = ["as_source"]


def as_source(
    data: Any, *, kind: str | None = None, name: str | None = None, classes: Any = None
) -> _volley.Source:
    """`data` as a Source.

    A Source or a Dataset is itself one. Otherwise `data` is

    - a tuple (x, targets), or x alone: arrays as ArraySource has them; or x is a list of arrays (T,
      features...), sequences of unequal length;
    - a dict with "x" and, where there are any, "targets", "lengths", "mask", "weights";
    - an object with __len__ and __getitem__, which gives x or (x, targets) of a sample; it is asked for as
      it is needed, from a thread of the trainer's own, so that it may be larger than memory. A sample with
      steps is (T, features...), and `kind` must be "sequences" or "spikes";
    - an object with __len__ and read(ids), which gives a dict of arrays for a batch, and the attributes
      kind, shape, outputs and, where samples have steps, steps;
    - a generator, or another iterable, of x or (x, targets): it is read to its end into memory.

    Raises TypeError or ArgumentError for what is none of these.
    """
    options = {"kind": kind, "classes": classes, "name": name or "data"}
    if isinstance(data, _volley.Source) or type(data).__name__ == "Dataset":
        return _volley._source_of(data)
    if isinstance(data, Mapping):
        return _from_mapping(data, options)
    if isinstance(data, np.ndarray):
        return _from_arrays(data, None, options)
    if isinstance(data, tuple):
        if len(data) != 2:
            raise _argument_error("a tuple must be (x, targets)", f"{len(data)} parts")
        return _from_arrays(data[0], data[1], options)
    if hasattr(data, "read") and hasattr(data, "__len__"):
        return _from_reader(data, options)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _from_items(data, options)
    if isinstance(data, Iterable):
        return _from_samples(list(data), options)
    raise TypeError(
        "data must be a Source, a Dataset, arrays, an object with __len__ and __getitem__ or read, "
        f"or an iterable, got {type(data).__name__}"
    )


def _argument_error(rule: str, got: str) -> Exception:
    from .errors import ArgumentError

    return ArgumentError(f"[source] {rule}, got {got}")


def _from_mapping(data: Mapping[str, Any], options: dict[str, Any]) -> _volley.Source:
    unknown = set(data) - {"x", "targets", "lengths", "mask", "weights"}
    if unknown or "x" not in data:
        raise _argument_error(
            'a dict must have "x", and may have "targets", "lengths", "mask" and "weights"',
            f"{sorted(map(str, data))}",
        )
    return _volley.ArraySource(
        data["x"], data.get("targets"), data.get("lengths"), data.get("weights"), data.get("mask"), **options
    )


def _from_arrays(x: Any, targets: Any, options: dict[str, Any]) -> _volley.Source:
    if isinstance(x, (list, tuple)) and len(x) > 0 and all(np.ndim(part) >= 1 for part in x):
        lengths = [len(part) for part in x]
        if len(set(lengths)) > 1 or options["kind"] in ("sequences", "spikes"):
            joined = np.concatenate([np.asarray(part) for part in x])
            return _volley.ArraySource(
                _as_features(joined),
                _as_targets(targets, lengths),
                np.asarray(lengths),
                None,
                None,
                **options,
            )
        x = np.stack([np.asarray(part) for part in x])
    return _volley.ArraySource(np.asarray(x), _as_array(targets), None, None, None, **options)


def _as_array(targets: Any) -> Any:
    return None if targets is None else np.asarray(targets)


def _as_targets(targets: Any, lengths: list[int]) -> Any:
    """Targets of steps come as a list of arrays, one a sample."""
    if isinstance(targets, (list, tuple)) and len(targets) > 0 and np.ndim(targets[0]) >= 1:
        if all(len(np.atleast_1d(t)) == n for t, n in zip(targets, lengths)) and len(set(lengths)) > 1:
            return np.concatenate([np.asarray(t) for t in targets])
    return _as_array(targets)


def _as_features(rows: np.ndarray) -> np.ndarray:
    return rows[:, None] if rows.ndim == 1 else rows


def _from_samples(samples: list[Any], options: dict[str, Any]) -> _volley.Source:
    if not samples:
        raise _argument_error("an iterable must give at least one sample", "none")
    if isinstance(samples[0], tuple):
        return _from_arrays([x for x, _ in samples], [y for _, y in samples], options)
    return _from_arrays(samples, None, options)


def _outputs(targets: Any, classes: Any) -> int:
    if classes is not None:
        return len(classes)
    if targets is None or np.asarray(targets).dtype.kind != "f":
        return 0
    return int(np.asarray(targets).shape[-1]) if np.ndim(targets) else 1


def _from_reader(data: Any, options: dict[str, Any]) -> _volley.Source:
    classes = options["classes"] if options["classes"] is not None else getattr(data, "classes", None)
    missing = [name for name in ("kind", "shape") if not hasattr(data, name)]
    if missing:
        raise _argument_error(
            "an object with read must have the attributes kind and shape", f"no {missing[0]}"
        )
    return _volley._PythonSource(
        data.read,
        len(data),
        options["kind"] or data.kind,
        list(data.shape),
        getattr(data, "steps", 0),
        getattr(data, "outputs", len(classes) if classes else 0),
        classes,
        options["name"],
    )


class _Items:
    """Batches of an object that gives one sample at a time."""

    def __init__(self, data: Any, kind: str | None) -> None:
        self.data = data
        self.paired = isinstance(data[0], tuple)
        x, self.first_targets = self.item(0)
        self.kind = kind or ("bytes" if x.dtype == np.uint8 else "values")
        self.has_steps = self.kind in ("sequences", "spikes")
        self.shape = (x.shape[1:] or (1,)) if self.has_steps else (x.shape or (1,))
        self.longest = len(x) if self.has_steps else 0

    def item(self, number: int) -> tuple[np.ndarray, Any]:
        sample = self.data[number]
        x, targets = sample if self.paired else (sample, None)
        return np.asarray(x), targets

    def read(self, ids: list[int]) -> dict[str, Any]:
        items = [self.item(number) for number in ids]
        xs = [x for x, _ in items]
        batch: dict[str, Any] = {}
        if self.has_steps:
            lengths = [len(x) for x in xs]
            dtype = np.uint8 if self.kind == "spikes" else np.float32
            batch["x"] = np.zeros((len(xs), max(lengths), *self.shape), dtype)
            for n, x in enumerate(xs):
                batch["x"][n, : len(x)] = x.reshape(len(x), *self.shape)
            batch["lengths"] = np.asarray(lengths)
        else:
            batch["x"] = np.stack(xs).reshape(len(xs), *self.shape)
        if self.paired:
            batch["targets"] = np.stack([np.asarray(targets) for _, targets in items])
        return batch


def _from_items(data: Any, options: dict[str, Any]) -> _volley.Source:
    if isinstance(data, list):
        return _from_samples(data, options)
    items = _Items(data, options["kind"])
    # How long the longest is, is known when it is read: a batch may have up to this many steps.
    steps = max(items.longest, int(getattr(data, "steps", 0))) if items.has_steps else 0
    if items.has_steps and not hasattr(data, "steps"):
        steps = max(len(items.item(n)[0]) for n in range(len(data)))
    return _volley._PythonSource(
        items.read,
        len(data),
        items.kind,
        list(items.shape),
        steps,
        _outputs(items.first_targets, options["classes"]),
        options["classes"],
        options["name"],
    )
