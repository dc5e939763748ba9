"""Writes tests/golden: what SpikingJelly computes, for tests/parity to hold Volley to.

    python peers/golden_spikingjelly.py [FOLDER]

Files, all little: lif.safetensors (LIF in many cases), neurons.safetensors (the other neurons, and the
surrogates), network.safetensors (whole networks, one pass), trajectory.safetensors (50 steps of Adam),
norm.safetensors (golden_norm.py), recurrent.safetensors (golden_recurrent.py), and manifest.json (versions, seeds,
cases, SHA-256 of each file).
"""

from __future__ import annotations

import copy
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
import golden_recurrent
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


def run_lif(case: dict[str, Any], x: np.ndarray, ds: np.ndarray) -> dict[str, np.ndarray]:
    kind, alpha = case["surrogate"]
    return run_node(run_spikingjelly.lif({**case, "surrogate": {"kind": kind, "alpha": alpha}}), x, ds)


def run_node(node: Any, x: np.ndarray, ds: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes, potentials after the charge, and gradients, step by step. The node keeps the potential after the reset
    alone; a twin that starts each step with the node's state, and whose threshold is out of reach, keeps the other."""
    node.step_mode = "s"
    twin = copy.deepcopy(node)
    twin.v_threshold = 1e30
    x_seq = time_first(x).requires_grad_()
    s, h = [], []
    for x_t in x_seq:
        for name, state in node.named_memories():
            setattr(twin, name, state.detach().clone() if isinstance(state, torch.Tensor) else state)
        with torch.no_grad():
            twin(x_t)
        h.append(twin.v)
        s.append(node(x_t))
    torch.stack(s).backward(time_first(ds))
    arrays = {"s": batch_first(torch.stack(s)), "h": batch_first(torch.stack(h)), "dx": batch_first(x_seq.grad)}
    return arrays | {f"d{name}": p.grad.numpy().reshape(1) for name, p in node.named_parameters()}


def neurons(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    arrays = base_inputs(rng)
    cases = covering_cases()
    for i, case in enumerate(cases):
        case["gain"] = float(2 ** round(np.log2(case["tau"]))) if case["decay_input"] else 1.0
        x, ds = arrays[f"x.{case['steps']}"], arrays[f"ds.{case['steps']}"]
        for name, array in run_lif(case, x * np.float32(case["gain"]), ds).items():
            arrays[f"{i}.{name}"] = array
    return arrays, cases


# Volley's names of options and SpikingJelly's node, with their values away from the defaults.
NODES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "if": ("IFNode", [{}]),
    "plif": ("ParametricLIFNode", [{}, {"init_tau": 3.0, "decay_input": False}]),
    "qif": ("QIFNode", [{}, {"tau": 3.0, "v_c": 0.5, "a0": 0.75}]),
    "eif": ("EIFNode", [{}, {"tau": 4.0, "delta_T": 0.5, "theta_rh": 0.75}]),
    "izhikevich": ("IzhikevichNode", [{}, {"tau": 3.0, "w_rest": 0.25, "tau_w": 4.0, "a": 0.5, "b": 0.25}]),
    "klif": ("KLIFNode", [{}, {"tau": 3.0, "decay_input": False, "scale_reset": True}]),
}
NODE_STEPS = 12


def other_neurons() -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Each under every kind of reset, detached or not; ATan."""
    from spikingjelly.activation_based import neuron, surrogate

    rng = np.random.default_rng(SEED + 1)
    arrays = {
        "x": rng.integers(-32, 160, (N, NODE_STEPS, F)).astype(np.float32) / 64,
        "ds": rng.integers(-64, 65, (N, NODE_STEPS, F)).astype(np.float32) / 64,
    }
    cases: list[dict[str, Any]] = []
    for kind, (node, levels) in NODES.items():
        for options, v_reset, detach in itertools.product(levels, (0.0, -0.25, None), (False, True)):
            made = getattr(neuron, node)(
                v_reset=v_reset, detach_reset=detach, step_mode="m", surrogate_function=surrogate.ATan(), **options
            )
            for name, array in run_node(made, arrays["x"], arrays["ds"]).items():
                arrays[f"{len(cases)}.{name}"] = array
            shown = "none" if v_reset is None else v_reset
            cases.append({"kind": kind, "v_reset": shown, "detach_reset": detach, **options})
    return arrays, cases


SURROGATES: dict[str, tuple[str, list[dict[str, float]]]] = {
    "atan": ("ATan", [{}, {"alpha": 0.5}]),
    "sigmoid": ("Sigmoid", [{}, {"alpha": 1.5}]),
    "piecewise_quadratic": ("PiecewiseQuadratic", [{}, {"alpha": 2.5}]),
    "piecewise_exp": ("PiecewiseExp", [{}, {"alpha": 3.0}]),
    "soft_sign": ("SoftSign", [{}, {"alpha": 0.75}]),
    "erf": ("Erf", [{}, {"alpha": 0.5}]),
    "piecewise_leaky_relu": ("PiecewiseLeakyReLU", [{}, {"w": 0.5, "c": 0.125}]),
    "leaky_k_relu": ("LeakyKReLU", [{}, {"leak": 0.25, "k": 0.75}]),
    "log_tailed_relu": ("LogTailedReLU", [{}, {"alpha": 0.125}]),
    "s2nn": ("S2NN", [{}, {"alpha": 2.0, "beta": 0.5}]),
    "q_pseudo_spike": ("QPseudoSpike", [{}, {"alpha": 1.5}]),
    "nonzero_sign_log_abs": ("NonzeroSignLogAbs", [{}, {"alpha": 2.0}]),
}

def surrogates() -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """The derivatives that backward uses."""
    from spikingjelly.activation_based import surrogate

    grid = (np.arange(-80, 81) / 32 + 1 / 128).astype(np.float32)
    arrays, cases = {"surrogate.x": grid}, []
    for kind, (name, levels) in SURROGATES.items():
        for options in levels:
            x = torch.from_numpy(grid).requires_grad_()
            getattr(surrogate, name)(**options)(x).sum().backward()
            arrays[f"surrogate.{len(cases)}"] = x.grad.numpy()
            cases.append({"kind": kind, **options})
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
    model = common.build(recipe, run_spikingjelly.LAYERS)
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
    plain: common.Recipe = {**TRAJECTORY, "validation": 0.0, "augment": {}}
    training = common.Training(run_spikingjelly.PEER, plain, weights, SEED, same=True)
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


def write_neurons(folder: Path, rng: np.random.Generator, manifest: dict[str, Any]) -> None:
    arrays, manifest["lif"] = neurons(rng)
    hashes = {"lif.safetensors": write(folder / "lif.safetensors", arrays)}
    arrays, manifest["neurons"] = other_neurons()
    derivatives, manifest["surrogates"] = surrogates()
    hashes["neurons.safetensors"] = write(folder / "neurons.safetensors", arrays | derivatives)
    manifest["sha256"] |= hashes


def write_networks(folder: Path, rng: np.random.Generator, manifest: dict[str, Any]) -> None:
    networks, manifest["network"] = {}, {}
    for name, recipe in NETWORKS.items():
        arrays, manifest["network"][name] = one_pass(recipe, rng)
        networks |= {f"{name}.{key}": array for key, array in arrays.items()}
    hashes = {"network.safetensors": write(folder / "network.safetensors", networks)}
    arrays, manifest["trajectory"] = trajectory(rng)
    hashes["trajectory.safetensors"] = write(folder / "trajectory.safetensors", arrays)
    manifest["sha256"] |= hashes


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    versions = {name: common.version_of(name, sys.modules[name]) for name in run_spikingjelly.PEER.modules}
    versions = {"python": platform.python_version(), **versions}
    manifest: dict[str, Any] = {
        "made_by": "peers/golden_spikingjelly.py", "versions": versions, "seed": SEED, "sha256": {},
    }
    write_neurons(folder, rng, manifest)
    write_networks(folder, rng, manifest)
    manifest["sha256"]["norm.safetensors"] = write(folder / "norm.safetensors", golden_norm.arrays(rng))
    manifest["sha256"]["recurrent.safetensors"] = write(folder / "recurrent.safetensors", golden_recurrent.arrays(rng))
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: {', '.join(manifest['sha256'])}, manifest.json by SpikingJelly {versions['spikingjelly']}")


if __name__ == "__main__":
    main()
