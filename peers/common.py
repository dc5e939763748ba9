"""What every peer runner shares: files, the random numbers of Volley, training, and the protocol.

A runner is one file, run_NAME.py, that gives a `Peer` to `main`. `volley compare` talks to it so:

    run_NAME.py --describe      prints {"modules": {...}, "threads": most}; exit code 3 and {"missing": ...}
                                where a module is not installed
    run_NAME.py --recipe R.toml --weights W.safetensors --data FOLDER ...
                                prints one JSON line an epoch, and {"done": true, ...} at the end
    ... --trial 20              trains on 20 batches only, and prints {"trial_samples_per_second": ...}
    ... --compile               passes the network through torch.compile
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import math
import os
import platform
import resource
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from torch_parts import Recipe, Unmatched, clip, loss_of, make_optimizer, make_schedule, scores_of

try:
    import numpy as np
except ImportError:
    print(json.dumps({"missing": "numpy"}))
    sys.exit(3)

MISSING = 3  # exit code: a module is not installed
UNMATCHED = 4  # exit code: the recipe has something that this framework cannot do in the same way


# --- files -----------------------------------------------------------------------------------------------


def read_toml(path: Path) -> Recipe:
    for name in ("tomllib", "tomli"):  # the first is Python's own, from 3.11 on
        try:
            return importlib.import_module(name).loads(path.read_text(encoding="utf-8"))
        except ImportError:
            continue
    import toml

    return toml.loads(path.read_text(encoding="utf-8"))


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        arrays[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return arrays


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header: dict[str, Any] = {}
    offset = 0
    for name, array in arrays.items():
        end = offset + 4 * array.size
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def read_idx(folder: Path, name: str) -> np.ndarray:
    for spelling in (name, name.replace("-idx", ".idx")):
        for suffix, opener in (("", open), (".gz", gzip.open)):
            path = folder / (spelling + suffix)
            if path.is_file():
                with opener(path, "rb") as file:
                    data = file.read()
                rank = data[3]
                shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
                return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
    raise FileNotFoundError(f"{folder}: no {name}, raw or .gz")


@dataclass
class Split:
    pixels: np.ndarray  # (samples, 1, H, W), bytes
    labels: np.ndarray  # (samples)

    @staticmethod
    def load(folder: Path, prefix: str, samples: int) -> Split:
        pixels = read_idx(folder, f"{prefix}-images-idx3-ubyte")
        labels = read_idx(folder, f"{prefix}-labels-idx1-ubyte")
        count = samples or len(labels)
        return Split(pixels[:count, None], labels[:count])


# --- Volley's random numbers: src/core/philox.hpp, docs/math/poisson.md ----------------------------------

ENCODE_TRAIN, ENCODE_TEST, SHUFFLE = 0, 1, 2
POISSON_LEVELS = 8
PHILOX_ROUNDS = 7
Key = tuple[int, int]


def philox_key(seed: int, purpose: int, epoch: int) -> Key:
    return seed, epoch | purpose << 24


def philox(c0: np.ndarray, c1: np.ndarray, c2: np.ndarray, c3: np.ndarray, key: Key) -> np.ndarray:
    """Philox4x32 of arrays of counters: (..., 4) words."""
    c = [np.asarray(word, np.uint64) for word in np.broadcast_arrays(c0, c1, c2, c3)]
    k0, k1 = key
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(PHILOX_ROUNDS):
        p0 = np.uint64(0xD2511F53) * c[0]
        p1 = np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & low, (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1).astype(np.uint32)


def random_words(key: Key) -> Iterator[int]:
    block = 0
    while True:
        counter = np.arange(block, block + 16384)
        yield from philox(counter, 0, 0, 0, key).ravel().tolist()
        block += 16384


def shuffled(samples: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which Volley's epoch visits the samples (`shuffle` in src/training/trainer.cpp)."""
    words = random_words(philox_key(seed, SHUFFLE, epoch))
    order = list(range(samples))
    for bound in range(samples, 1, -1):
        product = next(words) * bound
        if product & 0xFFFFFFFF < bound:
            threshold = (1 << 32) % bound
            while product & 0xFFFFFFFF < threshold:
                product = next(words) * bound
        chosen = product >> 32
        order[bound - 1], order[chosen] = order[chosen], order[bound - 1]
    return np.array(order, np.int64)


def poisson_spikes(pixels: np.ndarray, samples: np.ndarray, steps: int, key: Key) -> np.ndarray:
    """The very spikes of Volley's encoder for pixels (N, F), whose places in the set are `samples`: (N, T, F)."""
    spikes = np.zeros((*pixels.shape, -(-steps // 16) * 16), bool)
    spikes[pixels == 255] = True
    row, feature = np.nonzero((pixels > 0) & (pixels < 255))
    k = pixels[row, feature]
    blocks = np.arange(-(-steps // 16))

    def drawn(block: np.ndarray, which: np.ndarray, level: int) -> np.ndarray:
        words = philox(block, feature[which], samples[row[which]], np.uint64(level), key)
        return words.astype("<u4", copy=False).view(np.uint8)  # 16 bytes, one a step

    every = np.arange(len(k))
    bytes_ = drawn(blocks[None, :], every[:, None], 0).reshape(len(k), -1)
    spikes[row, feature] = bytes_ < k[:, None]
    tied, step = np.nonzero(bytes_ == k[:, None])
    for level in range(1, POISSON_LEVELS):
        if len(tied) == 0:
            break
        bytes_ = drawn(step // 16, tied, level)[np.arange(len(tied)), step % 16]
        fires = bytes_ < k[tied]
        spikes[row[tied[fires]], feature[tied[fires]], step[fires]] = True
        again = bytes_ == k[tied]
        tied, step = tied[again], step[again]
    return spikes[..., :steps].transpose(0, 2, 1)


# --- training --------------------------------------------------------------------------------------------


Makers = dict[str, Callable[[Recipe], Any]]


@dataclass
class Peer:
    """A framework. `layers` makes torch modules from a recipe's tables, by their kind, beside those that torch
    alone can make: (T, N, features...) -> (T, N, features...)."""

    name: str
    modules: tuple[str, ...]
    layers: Makers
    reset: Callable[[Any], None]  # forgets the neurons' state, between batches
    encode: Callable[[Any, int], Any]  # pictures (N, C, H, W) in 0 to 1, T -> spikes (T, N, C, H, W)


def load_weights(model: Any, weights: dict[str, np.ndarray]) -> None:
    """By name: "1.weight" is that of the second layer, as in Volley. Neither side may have one more."""
    import torch

    parameters = dict(model.named_parameters())
    if set(parameters) != set(weights):
        raise Unmatched(f"parameters {sorted(parameters)} here, {sorted(weights)} in the file")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.numel() != weights[name].size:
                raise Unmatched(f"{name} of {list(weights[name].shape)}, not {list(parameter.shape)}")
            parameter.copy_(torch.tensor(weights[name]).reshape(parameter.shape))


def make_linear(table: Recipe) -> Any:
    import torch

    return torch.nn.Linear(table["in"], table["out"], bias=table["bias"])


def build(recipe: Recipe, layers: Makers) -> Any:
    """The network as a torch module: (T, N, C, H, W) -> (T, N, K)."""
    import torch

    makers = {
        "flatten": lambda table: torch.nn.Flatten(2),
        "linear": make_linear,
        "soft_lif": make_soft_lif,
        **layers,
    }
    layers = []
    for table in recipe["network"]:
        if table["kind"] not in makers:
            raise Unmatched(f"layer {table['kind']}")
        for option, default in {"refractory": 0, "v_init": "none", "tau_charge": "none"}.items():
            if table.get(option, default) != default:
                raise Unmatched(f"{table['kind']} with {option} = {table[option]}")
        layers.append(makers[table["kind"]](table))
    return torch.nn.Sequential(*layers)


def make_soft_lif(table: Recipe) -> Any:
    """The soft neuron of Volley's recipe article_mnist in plain torch: no framework has it."""
    import torch

    class SoftLIF(torch.nn.Module):
        v_last: Any = None  # after the last step

        def forward(self, x: Any) -> Any:
            tau, v_threshold, v_reset = (table[key] for key in ("tau", "v_threshold", "v_reset"))
            v = torch.full_like(x[0], v_reset)
            out = []
            for x_t in x:
                h = v + (x_t - (v - v_reset)) / tau
                p = torch.sigmoid(h - v_threshold)
                v = (1 - p) * h + p * v_reset
                out.append(p)
            self.v_last = v
            return torch.stack(out)

    return SoftLIF()


class Training:
    """A recipe in a peer framework."""

    def __init__(
        self, peer: Peer, recipe: Recipe, weights: dict[str, np.ndarray], seed: int, same: bool, compiled: bool
    ):
        import torch

        encoder = recipe["encoder"]
        if encoder["kind"] not in ("poisson", "direct"):
            raise Unmatched(f"encoder {encoder['kind']}")
        if encoder["kind"] == "direct" and len(encoder["mean"]) + len(encoder["std"]) > 0:
            raise Unmatched("mean or std of the encoder")
        if recipe["validation"] or any(recipe["augment"].values()):
            raise Unmatched("validation or augmentation")
        torch.manual_seed(seed)
        self.torch = torch
        self.peer = peer
        self.recipe = recipe
        self.seed = seed
        self.same_spikes = same
        self.steps = recipe["training"]["steps"]
        self.batch = recipe["training"]["batch"]
        self.model = build(recipe, peer.layers)
        load_weights(self.model, weights)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.first_step_seconds: float | None = None  # beyond a median one: compilation, and what is made once
        self.optimizer = make_optimizer(recipe["optimizer"], self.model.parameters())
        schedule = recipe.get("schedule", {"kind": "constant", "unit": "epoch", "warmup": 0})
        self.schedule = make_schedule(schedule, self.optimizer)
        self.schedule_unit = schedule["unit"]
        self.encode_seconds = 0.0  # spent on imitating Volley's encoder, which no training would do

    def spikes(self, data: Split, which: np.ndarray, epoch: int, purpose: int) -> Any:
        """(T, N, C, H, W)"""
        if self.recipe["encoder"]["kind"] == "direct":
            pictures = self.torch.from_numpy(data.pixels[which]).to(self.torch.float32) / 255
            return pictures.expand(self.steps, *pictures.shape)
        if not self.same_spikes:
            pictures = self.torch.from_numpy(data.pixels[which]).to(self.torch.float32) / 255
            return self.peer.encode(pictures, self.steps)
        start = time.perf_counter()
        key = philox_key(self.seed, purpose, epoch)
        pixels = data.pixels[which]
        spikes = poisson_spikes(pixels.reshape(len(which), -1), which, self.steps, key)
        ours = np.ascontiguousarray(spikes.transpose(1, 0, 2), np.float32)
        self.encode_seconds += time.perf_counter() - start
        return self.torch.from_numpy(ours).reshape(self.steps, *pixels.shape)

    def article_gradient(self, data: Split, which: np.ndarray, rates: Any, labels: Any) -> None:
        """dW of the hand-made rule: ((r - y) sigmoid'(v[T]))^T image, summed over the batch."""
        torch = self.torch
        linear, neuron = self.model[1], self.model[2]
        p = torch.sigmoid(neuron.v_last)
        target = torch.nn.functional.one_hot(labels, rates.shape[1])
        delta = (rates - target) * p * (1 - p)
        pictures = torch.from_numpy(data.pixels[which]).to(torch.float32) / 255
        linear.weight.grad = delta.T @ pictures.flatten(1)

    def step(self, data: Split, which: np.ndarray, epoch: int) -> tuple[float, int]:
        """One update by the samples `which`; the loss, and how many were right, before it."""
        torch = self.torch
        labels = torch.from_numpy(data.labels[which]).long()
        x = self.spikes(data, which, epoch, ENCODE_TRAIN)
        article = self.recipe["rule"] == "article"
        with torch.set_grad_enabled(not article):
            out = self.forward(x)
            scores = scores_of(self.recipe["loss"], out)
            loss = loss_of(self.recipe["loss"], out, labels)
        self.optimizer.zero_grad()
        if article:
            self.article_gradient(data, which, scores, labels)
        else:
            loss.backward()
        clip(self.recipe["training"], self.model.parameters())
        self.optimizer.step()
        self.end_of("step")
        self.peer.reset(self.model)
        return loss.item(), int((scores.argmax(1) == labels).sum())

    def end_of(self, unit: str) -> None:
        if self.schedule is not None and self.schedule_unit == unit:
            self.schedule.step()

    def batches(self, order: np.ndarray, drop_last: bool) -> Iterator[np.ndarray]:
        end = len(order) // self.batch * self.batch if drop_last else len(order)
        for first in range(0, end, self.batch):
            yield order[first : min(first + self.batch, end)]

    def order(self, samples: int, epoch: int) -> np.ndarray:
        if self.same_spikes:
            return shuffled(samples, self.seed, epoch)
        return self.torch.randperm(samples).numpy()

    def train_epoch(self, data: Split, epoch: int, most_batches: int | None = None) -> dict[str, float]:
        order = self.order(len(data.labels), epoch)  # Volley's imitated: not what is timed
        self.encode_seconds = 0.0
        start = time.perf_counter()
        self.model.train()
        loss_sum, right, seen = 0.0, 0, 0
        step_seconds = []
        for count, which in enumerate(self.batches(order, self.recipe["training"]["drop_last"])):
            if count == most_batches:
                break
            step_start = time.perf_counter()
            loss, hits = self.step(data, which, epoch)
            step_seconds.append(time.perf_counter() - step_start)
            loss_sum += loss * len(which)
            right += hits
            seen += len(which)
        self.end_of("epoch")
        if self.first_step_seconds is None:
            self.first_step_seconds = max(0.0, step_seconds[0] - statistics.median(step_seconds))
        seconds = time.perf_counter() - start - self.encode_seconds
        return {
            "train_loss": loss_sum / seen,
            "train_acc": right / seen,
            "train_samples_per_second": seen / seconds,
        }

    def evaluate(self, data: Split, epoch: int) -> dict[str, float]:
        torch = self.torch
        self.encode_seconds = 0.0
        start = time.perf_counter()
        self.model.eval()
        loss_sum, right = 0.0, 0
        with torch.no_grad():
            for which in self.batches(np.arange(len(data.labels)), drop_last=False):
                labels = torch.from_numpy(data.labels[which]).long()
                out = self.forward(self.spikes(data, which, epoch, ENCODE_TEST))
                self.peer.reset(self.model)
                loss_sum += loss_of(self.recipe["loss"], out, labels).item() * len(which)
                right += int((scores_of(self.recipe["loss"], out).argmax(1) == labels).sum())
        seconds = time.perf_counter() - start - self.encode_seconds
        count = len(data.labels)
        return {
            "test_loss": loss_sum / count,
            "test_acc": right / count,
            "test_samples_per_second": count / seconds,
        }


# --- the protocol ----------------------------------------------------------------------------------------


def say(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)


def describe(peer: Peer) -> None:
    modules = {"python": platform.python_version()}
    for name in peer.modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            say({"missing": name, "error": str(error)})
            sys.exit(MISSING)
        modules[name] = version_of(name, module)
    say({"modules": modules, "threads": len(os.sched_getaffinity(0))})


def version_of(name: str, module: Any) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # the module itself may know
        return str(getattr(module, "__version__", "unknown"))


def arguments(peer: Peer) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Trains a Volley recipe in {peer.name}.")
    parser.add_argument("--describe", action="store_true", help="print versions, and what is missing")
    parser.add_argument("--recipe", type=Path, help="complete, as volley writes it")
    parser.add_argument("--weights", type=Path, help="the initial weights, safetensors")
    parser.add_argument("--data", type=Path, help="the folder with the four IDX files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--same-spikes", action="store_true", help="Volley's spikes, in Volley's order")
    parser.add_argument("--compile", action="store_true", help="pass the network through torch.compile")
    parser.add_argument("--trial", type=int, metavar="BATCHES", help="only time so many batches")
    chosen = parser.parse_args()
    if not chosen.describe and None in (chosen.recipe, chosen.weights, chosen.data):
        parser.error("--recipe, --weights and --data are needed")
    return chosen


def train(peer: Peer, chosen: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(chosen.threads)
    recipe = read_toml(chosen.recipe)
    weights = read_safetensors(chosen.weights)
    seed = recipe["training"]["seed"]
    training = Training(peer, recipe, weights, seed, chosen.same_spikes, chosen.compile)
    data = Split.load(chosen.data, "train", recipe["train_samples"])
    if chosen.trial is not None:
        training.train_epoch(data, 1, max(1, chosen.trial // 4))  # warms up
        speed = training.train_epoch(data, 1, chosen.trial)["train_samples_per_second"]
        say({"trial_samples_per_second": speed, "threads": chosen.threads})
        return
    test = Split.load(chosen.data, "t10k", recipe["test_samples"])
    for epoch in range(1, recipe["epochs"] + 1):
        record = {"epoch": epoch, **training.train_epoch(data, epoch), **training.evaluate(test, epoch)}
        if not all(math.isfinite(value) for value in record.values()):
            sys.exit(f"epoch {epoch}: the training has diverged: {record}")
        say(record)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    first = training.first_step_seconds
    say({"done": True, "peak_bytes": peak, "threads": torch.get_num_threads(), "first_step_seconds": first})


def main(peer: Peer) -> None:
    chosen = arguments(peer)
    if chosen.describe:
        describe(peer)
        return
    try:
        train(peer, chosen)
    except Unmatched as error:
        print(f"{peer.name} cannot follow this recipe: {error}", file=sys.stderr)
        sys.exit(UNMATCHED)
