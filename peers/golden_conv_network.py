"""Writes tests/golden/conv_network.*: a pass of small convolutional networks in SpikingJelly, conv_fashion_mnist's
and plif_fashion_mnist's layers with few channels, for tests/parity to hold Volley to.

    python peers/golden_conv_network.py [FOLDER]
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import common
import run_spikingjelly
from golden_spikingjelly import write

SEED = 20240613
N, SIZE, CHANNELS, HIDDEN = 6, 8, 5, 24


def neuron(kind: str) -> common.Recipe:
    firing = {"v_threshold": 1.0, "v_reset": 0.0, "surrogate": {"kind": "atan", "alpha": 2.0}}
    if kind == "if":
        return {"kind": kind, "detach_reset": False, **firing}
    own = {"init_tau": 2.0, "decay_input": True, "learn_tau": True, "learn_threshold": False, "channels": 0}
    return {"kind": kind, "detach_reset": True, **own, **firing}


def layers(kind: str, outputs: int) -> list[common.Recipe]:
    network: list[common.Recipe] = []
    for channels in (1, CHANNELS):
        window = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": False}
        network += [
            {"kind": "conv2d", "in_channels": channels, "out_channels": CHANNELS, "kernel_size": 3, **window},
            {"kind": "batch_norm", "channels": CHANNELS, "eps": 1e-5, "momentum": 0.1, "affine": True},
            neuron(kind),
            {"kind": "max_pool2d", "kernel_size": 2, "stride": 2, "padding": 0},
        ]
    features = CHANNELS * (SIZE // 4) ** 2
    network += [{"kind": "flatten"}, {"kind": "linear", "in": features, "out": HIDDEN, "bias": False}, neuron(kind)]
    return [*network, {"kind": "linear", "in": HIDDEN, "out": outputs, "bias": False}, neuron(kind)]


NETWORKS = {  # steps, what the weights are multiplied by, layers
    "if": (4, 3.0, layers("if", 10)),
    "plif": (8, 6.0, [*layers("plif", 20), {"kind": "voting", "voting_size": 2}]),
}


def one_pass(steps: int, gain: float, network: list[common.Recipe]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    model = common.build({"network": network}, run_spikingjelly.LAYERS)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(gain)  # for spikes in every layer
    pixels = np.random.default_rng(SEED).integers(0, 256, (N, 1, SIZE, SIZE), np.uint8)
    labels = np.arange(N, dtype=np.uint8) % 10
    x = (torch.from_numpy(pixels).to(torch.float32) / 255).expand(steps, N, 1, SIZE, SIZE)
    out = model(x)
    loss = common.loss_of({"kind": "rate_mse", "scale": 1.0}, out, torch.from_numpy(labels).long())
    loss.backward()
    arrays = {"pixels": pixels, "labels": labels, "y": out.detach().transpose(0, 1).numpy()}
    for name, parameter in model.named_parameters():
        arrays |= {f"weights.{name}": parameter.detach().numpy().reshape(parameter.shape or (1,))}
        arrays |= {f"gradients.{name}": parameter.grad.numpy().reshape(parameter.shape or (1,))}
    return arrays, {"steps": steps, "network": network, "loss": loss.item(), "rate": out.mean().item()}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "golden"
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    arrays: dict[str, np.ndarray] = {}
    passes = {}
    for name, (steps, gain, network) in NETWORKS.items():
        own, passes[name] = one_pass(steps, gain, network)
        arrays |= {f"{name}.{key}": array for key, array in own.items()}
    versions = {name: common.version_of(name, sys.modules[name]) for name in run_spikingjelly.PEER.modules}
    manifest = {
        "made_by": "peers/golden_conv_network.py",
        "versions": {"python": platform.python_version(), **versions},
        "seed": SEED,
        "sha256": {"conv_network.safetensors": write(folder / "conv_network.safetensors", arrays)},
        "networks": passes,
    }
    (folder / "conv_network.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: {len(passes)} networks", {name: made["rate"] for name, made in passes.items()})


if __name__ == "__main__":
    main()
