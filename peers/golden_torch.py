"""Writes tests/golden/pictures.*: what PyTorch computes for convolutions and pools, for tests/parity.

    python peers/golden_torch.py [FOLDER]

pictures.safetensors has input, output, cotangent and gradients of each case, pictures.json the cases: layers as
recipes write them, the versions, and the SHA-256 of the other file.
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
from golden_spikingjelly import write

SEED = 20240608
BATCH = 2


def conv(in_channels: int, out_channels: int, kernel_size: Any, **more: Any) -> dict[str, Any]:
    sizes = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size}
    return {"kind": "conv2d", **sizes, **more}


# A layer, and the height and width of its input; in the last column whether the input is spikes.
CASES: list[tuple[dict[str, Any], tuple[int, int, int], bool]] = [
    (conv(1, 5, 3, padding=1), (1, 6, 5), False),
    (conv(4, 6, [2, 3], stride=[2, 1], bias=False), (4, 5, 6), True),
    (conv(4, 6, 3, stride=2, padding=[2, 1], dilation=[1, 2], groups=2), (4, 7, 8), False),
    (conv(3, 3, 3, padding=1, groups=3), (3, 4, 4), True),
    ({"kind": "max_pool2d", "kernel_size": 2}, (3, 4, 6), True),
    ({"kind": "max_pool2d", "kernel_size": 3, "stride": 2, "padding": 1}, (3, 6, 5), True),
    ({"kind": "max_pool2d", "kernel_size": [2, 3], "stride": 1}, (3, 5, 5), False),
    ({"kind": "avg_pool2d", "kernel_size": 3, "stride": 2, "padding": 1}, (3, 6, 5), False),
    ({"kind": "avg_pool2d", "kernel_size": [1, 2]}, (3, 3, 5), True),
    ({"kind": "adaptive_avg_pool2d", "output_size": [3, 2]}, (3, 5, 7), True),
    ({"kind": "adaptive_avg_pool2d", "output_size": 1}, (3, 5, 7), False),
]
MODULES = {
    "conv2d": torch.nn.Conv2d,
    "max_pool2d": torch.nn.MaxPool2d,
    "avg_pool2d": torch.nn.AvgPool2d,
    "adaptive_avg_pool2d": torch.nn.AdaptiveAvgPool2d,
}


def run(layer: dict[str, Any], shape: tuple[int, int, int], spikes: bool) -> dict[str, np.ndarray]:
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in layer.items() if k != "kind"}
    module = MODULES[layer["kind"]](**options)
    size = (BATCH, *shape)
    x = torch.randint(0, 2, size).float() if spikes else torch.rand(size) * 2 - 1
    x.requires_grad_()
    y = module(x)
    dy = torch.rand(y.shape) * 2 - 1
    y.backward(dy)
    arrays = {"x": x, "y": y, "dy": dy, "dx": x.grad}
    for name, parameter in module.named_parameters():
        arrays |= {name: parameter, f"d{name}": parameter.grad}
    return {name: tensor.detach().numpy() for name, tensor in arrays.items()}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "golden"
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    arrays: dict[str, np.ndarray] = {}
    for i, (layer, shape, spikes) in enumerate(CASES):
        arrays |= {f"{i}.{name}": array for name, array in run(layer, shape, spikes).items()}
    manifest = {
        "made_by": "peers/golden_torch.py",
        "versions": {"python": platform.python_version(), "torch": common.version_of("torch", torch)},
        "seed": SEED,
        "sha256": {"pictures.safetensors": write(folder / "pictures.safetensors", arrays)},
        "cases": [{"layer": layer, "spikes": spikes} for layer, _, spikes in CASES],
    }
    (folder / "pictures.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: {len(CASES)} layers")


if __name__ == "__main__":
    main()
