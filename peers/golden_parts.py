"""Writes tests/golden/parts.json: what torch, snnTorch and SpikingJelly compute for losses, optimizers, clipping, schedules
and encoders, for tests/parity/parts_parity_test.cpp to hold Volley to.

    python peers/golden_parts.py [FOLDER]
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any, Callable

import numpy as np
import snntorch.functional as SF
import torch
import torch.nn.functional as F
from spikingjelly.activation_based import encoding, neuron
from torch.optim import lr_scheduler

import common

SEED = 20240607
N, T, K = 3, 4, 5


def listed(tensor: torch.Tensor) -> list[float]:
    return tensor.detach().double().ravel().tolist()


def tet(y: torch.Tensor, labels: torch.Tensor, lamb: float, means: float, smoothing: float) -> torch.Tensor:
    """The loss of the TET paper's repository, y (T, N, K)."""
    entropies = sum(F.cross_entropy(y_t, labels, label_smoothing=smoothing) for y_t in y) / len(y)
    return (1 - lamb) * entropies + lamb * F.mse_loss(y, torch.full_like(y, means))


def losses(rng: np.random.Generator) -> dict[str, Any]:
    y = torch.from_numpy(rng.normal(0, 2, (N, T, K)).astype(np.float32))
    spikes = (y > 0.4).float()
    labels = torch.from_numpy(rng.integers(0, K, N))
    hot = F.one_hot(labels, K).float()
    target = hot * T * 0.9 + (1 - hot) * T * 0.1
    ce, mse = F.cross_entropy, F.mse_loss
    of_spikes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "rate_mse": lambda s: mse(s.mean(1), hot),
        "rate_cross_entropy": lambda s: ce(s.mean(1), labels, label_smoothing=0.1),
        "count_mse": lambda s: mse(s.sum(1), target) / T,
        "count_cross_entropy": lambda s: ce(s.sum(1), labels),
        "tet": lambda s: tet(s.swapaxes(0, 1), labels, 1e-3, 1.0, 0.0),
    }
    of_membranes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "membrane_mse": lambda v: mse(v[:, -1], hot),
        "membrane_mse mean": lambda v: mse(v.mean(1), hot),
        "membrane_cross_entropy": lambda v: ce(v[:, -1], labels, label_smoothing=0.2),
        "membrane_cross_entropy mean": lambda v: ce(v.mean(1), labels),
        "tet membrane": lambda v: tet(v.swapaxes(0, 1), labels, 0.05, 0.5, 0.1),
    }
    # Class weights: CrossEntropyLoss's own, and of the others the mean that it takes, sum w l / sum w.
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.25])
    w = weight[labels]

    def weighted(losses_of_samples: torch.Tensor) -> torch.Tensor:
        return (w * losses_of_samples).sum() / w.sum()

    def weighted_tet(s: torch.Tensor) -> torch.Tensor:
        each = [tet(s[n : n + 1].swapaxes(0, 1), labels[n : n + 1], 0.05, 0.5, 0.1) for n in range(N)]
        return weighted(torch.stack(each))

    of_spikes["rate_mse weighted"] = lambda s: weighted(mse(s.mean(1), hot, reduction="none").mean(1))
    of_spikes["rate_cross_entropy weighted"] = lambda s: ce(s.mean(1), labels, weight)
    of_spikes["count_mse weighted"] = lambda s: weighted(mse(s.sum(1), target, reduction="none").mean(1)) / T
    of_spikes["count_cross_entropy weighted"] = lambda s: ce(s.sum(1), labels, weight)
    of_spikes["tet weighted"] = weighted_tet
    of_membranes["membrane_mse weighted"] = lambda v: weighted(mse(v[:, -1], hot, reduction="none").mean(1))
    of_membranes["membrane_cross_entropy weighted"] = lambda v: ce(v[:, -1], labels, weight)
    cases = {}
    for given, group in ((spikes, of_spikes), (y, of_membranes)):
        for name, function in group.items():
            x = given.clone().requires_grad_()
            loss = function(x)
            loss.backward()
            cases[name] = {"loss": loss.item(), "dy": listed(x.grad)}
    return {
        "shape": [N, T, K],
        "y": listed(y),
        "s": listed(spikes),
        "labels": labels.tolist(),
        "class_weights": weight.tolist(),
        "cases": cases,
    }


def target_losses(rng: np.random.Generator) -> dict[str, Any]:
    """Regression, labels of steps, steps of first spikes (snnTorch's)."""
    y = torch.from_numpy(rng.normal(0, 2, (N, T, K)).astype(np.float32))
    spikes = (y > 1.5).float()
    values = torch.from_numpy(rng.normal(0, 1, (N, K)).astype(np.float32))
    step_values = torch.from_numpy(rng.normal(0, 1, (N, T, K)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, K, N))
    step_labels = torch.from_numpy(rng.integers(0, K, (N, T)))
    ce_temporal, mse_temporal = SF.ce_temporal_loss(), SF.mse_temporal_loss(on_target=1, off_target=T - 1)
    of_membranes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "mse": lambda v: F.mse_loss(v.mean(1), values),
        "mse each_step": lambda v: F.mse_loss(v, step_values),
        "l1 last": lambda v: F.l1_loss(v[:, -1], values),
        "huber sum": lambda v: F.huber_loss(v.sum(1), values, delta=0.7),
        "step_cross_entropy": lambda v: F.cross_entropy(
            v.reshape(N * T, K), step_labels.reshape(-1), label_smoothing=0.1
        ),
    }
    of_spikes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "first_spike_cross_entropy": lambda s: ce_temporal(s.swapaxes(0, 1), labels),
        "first_spike_mse": lambda s: mse_temporal(s.swapaxes(0, 1), labels),
    }
    cases = {}
    for given, group in ((spikes, of_spikes), (y, of_membranes)):
        for name, function in group.items():
            x = given.clone().requires_grad_()
            loss = function(x)
            loss.backward()
            cases[name] = {"loss": loss.item(), "dy": listed(x.grad)}
    return {
        "shape": [N, T, K],
        "y": listed(y),
        "s": listed(spikes),
        "values": listed(values),
        "step_values": listed(step_values),
        "labels": labels.tolist(),
        "step_labels": step_labels.reshape(-1).tolist(),
        "cases": cases,
    }


def optimizers(rng: np.random.Generator) -> dict[str, Any]:
    """Weights after each of six steps with given gradients, under a schedule, clipped."""
    weights = torch.from_numpy(rng.normal(0, 1, 6).astype(np.float32))
    gradients = torch.from_numpy(rng.normal(0, 2, (6, 6)).astype(np.float32))
    cases: dict[str, Any] = {}

    def run(name: str, make: Callable[[Any], Any], clip: Callable[[Any], Any] = lambda w: None) -> None:
        w = weights.clone().requires_grad_()
        optimizer = make([w])
        schedule = lr_scheduler.CosineAnnealingLR(optimizer, 4, 0.001)
        path = []
        for gradient in gradients:
            w.grad = gradient.clone()
            clip([w])
            optimizer.step()
            schedule.step()
            path.append(listed(w))
        cases[name] = {"path": path}

    run("adamw", lambda w: torch.optim.AdamW(w, lr=0.05, weight_decay=0.1))
    run("adam", lambda w: torch.optim.Adam(w, lr=0.05, weight_decay=0.1))
    run("sgd", lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1))
    run("clip_norm", lambda w: torch.optim.SGD(w, lr=0.05), lambda w: torch.nn.utils.clip_grad_norm_(w, 3.0))
    run("clip_value", lambda w: torch.optim.SGD(w, lr=0.05), lambda w: torch.nn.utils.clip_grad_value_(w, 0.7))

    def run_groups(name: str, make: Callable[[Any], Any], decay: float) -> None:
        """Three parameters of two: a weight, a bias without decay, a norm without decay at half the rate."""
        parts = [weights[i : i + 2].clone().requires_grad_() for i in (0, 2, 4)]
        factors = (1.0, 1.0, 0.5)
        groups = [
            {"params": [part], "lr": 0.05 * factor, "weight_decay": decay if i == 0 else 0.0}
            for i, (part, factor) in enumerate(zip(parts, factors))
        ]
        optimizer = make(groups)
        schedule = lr_scheduler.StepLR(optimizer, 2, 0.5)
        path = []
        for gradient in gradients:
            for i, part in enumerate(parts):
                part.grad = gradient[2 * i : 2 * i + 2].clone()
            optimizer.step()
            schedule.step()
            path.append(listed(torch.cat(parts)))
        cases[name] = {"path": path}

    run_groups("adamw groups", torch.optim.AdamW, 0.1)
    run_groups("adam groups", torch.optim.Adam, 0.1)
    run_groups("sgd groups", lambda g: torch.optim.SGD(g, lr=0.05, momentum=0.9), 0.1)
    return {"weights": listed(weights), "gradients": listed(gradients), "cases": cases}


def schedules() -> dict[str, list[float]]:
    """Learning rates at epochs 0 to 24."""

    def warm(make: Callable[[Any], Any], count: int, start: float) -> Callable[[Any], Any]:
        def both(optimizer: Any) -> Any:
            linear = lr_scheduler.LinearLR(optimizer, start, total_iters=count)
            return lr_scheduler.SequentialLR(optimizer, [linear, make(optimizer)], [count])

        return both

    makers: dict[str, Callable[[Any], Any]] = {
        "step": lambda o: lr_scheduler.StepLR(o, 4, 0.5),
        "multi_step": lambda o: lr_scheduler.MultiStepLR(o, [3, 8, 8, 15], 0.1),
        "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 10, 0.01),
        "warmup": lambda o: lr_scheduler.LinearLR(o, 1 / 3, total_iters=5),
        "warmup cosine": warm(lambda o: lr_scheduler.CosineAnnealingLR(o, 10, 0.01), 5, 0.1),
        "warmup step": warm(lambda o: lr_scheduler.StepLR(o, 4, 0.5), 3, 0.25),
    }
    rates = {}
    for name, make in makers.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.25)
        schedule = make(optimizer)
        rates[name] = []
        for _ in range(25):
            rates[name].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    return rates


def run_encoder(encoder: Any, x: torch.Tensor, steps: int) -> torch.Tensor:
    return torch.stack([encoder(x) for _ in range(steps)])  # (T, ...)


def encoders() -> dict[str, Any]:
    k = torch.arange(256)
    latency = {}
    for steps in (2, 3, 8, 10, 25, 50, 64, 80):
        for function in ("linear", "log"):
            spikes = run_encoder(encoding.LatencyEncoder(steps, function), k / 255, steps)
            assert (spikes.sum(0) == 1).all()
            latency[f"{function} {steps}"] = spikes.argmax(0).tolist()
    phase = run_encoder(encoding.WeightedPhaseEncoder(8), k / 256, 19)
    bits = [sum(int(s) << t for t, s in enumerate(train)) for train in phase.T.tolist()]
    count, low, high, std, steps = 5, -0.2, 1.1, 0.25, 20
    mean = torch.tensor([low + (high - low) / (count - 1) * i for i in range(count)])
    activity = torch.exp(-(1.0 / 2.0) * (k[:, None] / 255 - mean).pow(2) / torch.tensor(std).pow(2))
    node = neuron.IFNode(v_threshold=0.999, v_reset=None, step_mode="m")
    fired = node(activity[None].repeat(steps, 1, 1))  # as SpikingJelly's PopSpikeEncoderDeterministic
    trains = [
        [sum(int(s) << t for t, s in enumerate(train)) for train in pixel]
        for pixel in fired.permute(1, 2, 0).tolist()
    ]
    return {
        "latency": latency,
        "weighted_phase": bits,
        "population": {"low": low, "high": high, "std": std, "steps": steps, "trains": trains},
    }


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "golden"
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    modules = {"snntorch": sys.modules["snntorch"], "torch": torch, "spikingjelly": sys.modules["spikingjelly"], "numpy": np}
    versions = {name: common.version_of(name, module) for name, module in modules.items()}
    golden = {
        "made_by": "peers/golden_parts.py",
        "versions": {"python": platform.python_version(), **versions},
        "losses": losses(rng),
        "optimizers": optimizers(rng),
        "schedules": schedules(),
        "encoders": encoders(),
        "target_losses": target_losses(rng),
    }
    (folder / "parts.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
