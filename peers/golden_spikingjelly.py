"""Writes tests/golden: what SpikingJelly computes, for tests/parity to hold Volley to.

    python peers/golden_spikingjelly.py [FOLDER]

Files, all little: lif.safetensors (neurons), network.safetensors (whole networks, one pass),
trajectory.safetensors (50 steps of Adam), norm.safetensors (golden_norm.py), and manifest.json (versions, seeds, cases, SHA-256 of each file).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import common
import golden_norm
import run_spikingjelly

SEED = 20240607
N, F = 2, 4  # of the neuron cases

LEVELS: dict[str, list[Any]] = {
    "surrogate": [["atan", 2.0], ["sigmoid", 4.0], ["atan", 5.0], ["sigmoid", 1.5]],
    "v_reset": [0.0, -0.3, "none"],
    "detach_reset": [False, True],
    "decay_input": [True, False],
    "tau": [2.0, 3.5, 10.0],
    "v_threshold": [1.0, 0.6],
    "steps": [1, 2, 7, 64, 100, 129],
}


def covering_cases() -> list[dict[str, Any]]:
    """Few cases in which every two values of two options come together at least once (greedily found), and
    every kind of reset with every detach_reset, decay_input and surrogate."""
    names = list(LEVELS)
    groups = [*itertools.combinations(names, 2), ("v_reset", "detach_reset", "decay_input", "surrogate")]

    def covered(case: tuple[Any, ...]) -> set[tuple[Any, ...]]:
        value = dict(zip(names, case, strict=True))
        return {(group, tuple(str(value[name]) for name in group)) for group in groups}

    everything = list(itertools.product(*LEVELS.values()))
    np.random.default_rng(SEED).shuffle(everything)  # so that ties do not all fall to T = 1
    open_ = set().union(*(covered(case) for case in everything))
    chosen = []
    while open_:
        best = max(everything, key=lambda case: len(covered(case) & open_))
        open_ -= covered(best)
        chosen.append(dict(zip(names, best, strict=True)))
    return chosen


def base_inputs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For each T: a current in 64ths, so that a gain of a power of 2 is exact, and a cotangent in 64ths."""
    arrays = {}
    for steps in LEVELS["steps"]:
        arrays[f"x.{steps}"] = rng.integers(-32, 97, (N, steps, F)).astype(np.float32) / 64
        arrays[f"ds.{steps}"] = rng.integers(-64, 65, (N, steps, F)).astype(np.float32) / 64
    return arrays


def time_first(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.swapaxes(0, 1)))


def batch_first(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().swapaxes(0, 1)


def run_neuron(case: dict[str, Any], x: np.ndarray, ds: np.ndarray) -> dict[str, np.ndarray]:
    kind, alpha = case["surrogate"]
    node = run_spikingjelly.lif({**case, "surrogate": {"kind": kind, "alpha": alpha}})
    node.train()
    h = []
    fire = node.neuronal_fire

    def watched_fire() -> torch.Tensor:  # the potential after charge, which the node does not keep
        h.append(node.v.detach().clone())
        return fire()

    node.neuronal_fire = watched_fire
    x_seq = time_first(x).requires_grad_()
    s = node(x_seq)
    s.backward(time_first(ds))
    return {"s": batch_first(s), "h": batch_first(torch.stack(h)), "dx": batch_first(x_seq.grad)}


def neurons(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    arrays = base_inputs(rng)
    cases = covering_cases()
    for i, case in enumerate(cases):
        case["gain"] = float(2 ** round(np.log2(case["tau"]))) if case["decay_input"] else 1.0
        x, ds = arrays[f"x.{case['steps']}"], arrays[f"ds.{case['steps']}"]
        for name, array in run_neuron(case, x * np.float32(case["gain"]), ds).items():
            arrays[f"{i}.{name}"] = array
    return arrays, cases


def recipe_of(layers: list[common.Recipe], loss: str, steps: int, batch: int, **more: Any) -> common.Recipe:
    return {
        "rule": "bptt",
        "network": [{"kind": "flatten"}, *layers],
        "encoder": {"kind": "poisson"},
        "loss": {"kind": loss, "scale": 1.0},
        "optimizer": {"kind": "adam", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        "training": {"steps": steps, "batch": batch, "drop_last": True},
        **more,
    }


def linear(inputs: int, outputs: int, bias: bool) -> common.Recipe:
    return {"kind": "linear", "in": inputs, "out": outputs, "bias": bias}


def lif(surrogate: str = "atan", alpha: float = 2.0, **more: Any) -> common.Recipe:
    defaults = {"tau": 2.0, "v_threshold": 1.0, "v_reset": 0.0, "decay_input": True, "detach_reset": False}
    return {"kind": "lif", "surrogate": {"kind": surrogate, "alpha": alpha}, **defaults, **more}


NETWORKS = {
    "tutorial": recipe_of([linear(784, 10, False), lif()], "rate_mse", 100, 8),
    "deep": recipe_of(
        [linear(64, 40, True), lif("sigmoid", 4.0, v_reset="none"), linear(40, 10, True), lif(tau=3.5)],
        "rate_cross_entropy",
        20,
        8,
    ),
}
TRAJECTORY = recipe_of([linear(64, 10, False), lif()], "rate_mse", 20, 16)
TRAJECTORY_STEPS = 50


def pictures(rng: np.random.Generator, count: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Bytes with a pattern for each of ten classes and noise; half of the pixels are black."""
    patterns = rng.integers(0, 2, (10, features)) * rng.integers(60, 256, (10, features))
    labels = rng.integers(0, 10, count)
    noise = rng.integers(-40, 41, (count, features)) * (patterns[labels] > 0)
    return np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8), labels.astype(np.uint8)


def weights_for(recipe: common.Recipe, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights in 4096ths, large enough for spikes in every layer."""
    weights = {}
    for i, table in enumerate(recipe["network"]):
        if table["kind"] != "linear":
            continue
        bound = 3 / np.sqrt(table["in"])
        shapes = {"weight": (table["out"], table["in"])} | ({"bias": (table["out"],)} if table["bias"] else {})
        for name, shape in shapes.items():
            drawn = rng.uniform(-bound * (0.5 if table["in"] <= 64 else 0.95), bound, shape)
            weights[f"{i}.{name}"] = (np.round(drawn * 4096) / 4096).astype(np.float32)
    return weights


def digest(spikes: np.ndarray) -> str:
    """Of the spikes (N, T, F), one byte each."""
    return hashlib.sha256(np.ascontiguousarray(spikes, np.uint8).tobytes()).hexdigest()


def one_pass(recipe: common.Recipe, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Loss, rates and the gradients of all parameters for given weights and the spikes of Volley's encoder."""
    count, features = recipe["training"]["batch"], recipe["network"][1]["in"]
    pixels, labels = pictures(rng, count, features)
    weights = weights_for(recipe, rng)
    model = common.build(recipe, run_spikingjelly.lif)
    common.load_weights(model, weights)
    key = common.philox_key(SEED, common.ENCODE_TRAIN, 1)
    spikes = common.poisson_spikes(pixels, np.arange(count), recipe["training"]["steps"], key)
    out = model(time_first(spikes.astype(np.float32)))
    rates = out.mean(0)
    loss = common.loss_of(recipe["loss"], out, torch.from_numpy(labels).long())
    loss.backward()
    arrays = {"pixels": pixels, "labels": labels, "rates": rates.detach().numpy()}
    for name, parameter in model.named_parameters():
        arrays[f"weights.{name}"] = weights[name]
        arrays[f"gradients.{name}"] = parameter.grad.numpy()
    return arrays, {"recipe": recipe, "loss": loss.item(), "spikes_sha256": digest(spikes)}


def trajectory(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """50 steps of Adam, on the samples and the spikes that Volley's trainer takes."""
    count = 128
    pixels, labels = pictures(rng, count, 64)
    weights = weights_for(TRAJECTORY, rng)
    training = common.Training(run_spikingjelly.PEER, TRAJECTORY, weights, SEED, same=True)
    data = common.Split(pixels, labels)
    losses: list[float] = []
    spikes = hashlib.sha256()
    epoch = 0
    while len(losses) < TRAJECTORY_STEPS:
        epoch += 1
        for which in training.batches(training.order(count, epoch), drop_last=True):
            if len(losses) == TRAJECTORY_STEPS:
                break
            key = common.philox_key(SEED, common.ENCODE_TRAIN, epoch)
            bits = common.poisson_spikes(pixels[which], which, training.steps, key)
            spikes.update(np.ascontiguousarray(bits, np.uint8).tobytes())
            losses.append(training.step(data, which, epoch)[0])
    final = {f"final.{name}": p.detach().numpy() for name, p in training.model.named_parameters()}
    initial = {f"weights.{name}": array for name, array in weights.items()}
    arrays = {"pixels": pixels, "labels": labels, **initial, **final, "losses": np.array(losses)}
    return arrays, {"recipe": TRAJECTORY, "steps": TRAJECTORY_STEPS, "spikes_sha256": spikes.hexdigest()}


def write(path: Path, arrays: dict[str, np.ndarray]) -> str:
    common.write_safetensors(path, {name: np.asarray(array, np.float32) for name, array in arrays.items()})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    hashes = {}
    arrays, cases = neurons(rng)
    hashes["lif.safetensors"] = write(folder / "lif.safetensors", arrays)
    networks, passes = {}, {}
    for name, recipe in NETWORKS.items():
        arrays, passes[name] = one_pass(recipe, rng)
        networks |= {f"{name}.{key}": array for key, array in arrays.items()}
    hashes["network.safetensors"] = write(folder / "network.safetensors", networks)
    arrays, run = trajectory(rng)
    hashes["trajectory.safetensors"] = write(folder / "trajectory.safetensors", arrays)
    hashes["norm.safetensors"] = write(folder / "norm.safetensors", golden_norm.arrays(rng))
    versions = {name: common.version_of(name, sys.modules[name]) for name in run_spikingjelly.PEER.modules}
    manifest = {
        "made_by": "peers/golden_spikingjelly.py",
        "versions": {"python": platform.python_version(), **versions},
        "seed": SEED,
        "sha256": hashes,
        "lif": cases,
        "network": passes,
        "trajectory": run,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: {len(cases)} neuron cases, {len(passes)} networks, {TRAJECTORY_STEPS} steps of Adam")


if __name__ == "__main__":
    main()
