"""Writes tests/golden/pictures.*: what PyTorch computes for layers without neurons, for tests/parity.

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


def conv(
    in_channels: int, out_channels: int, kernel_size: Any, kind: str = "conv2d", **more: Any
) -> dict[str, Any]:
    sizes = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size}
    return {"kind": kind, **sizes, **more}


def back(*sizes: Any, kind: str = "conv_transpose2d", **more: Any) -> dict[str, Any]:
    return conv(*sizes, kind=kind, **more)


# A layer, and the features of its input; in the last column whether the input is spikes.
CASES: list[tuple[dict[str, Any], tuple[int, ...], bool]] = [
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
    (conv(3, 5, 4, "conv1d", stride=2, padding=1, dilation=2), (3, 12), False),
    (conv(4, 6, 3, "conv1d", groups=2, bias=False), (4, 7), True),
    (back(3, 5, 3, stride=2, padding=1, output_padding=1), (3, 4, 5), False),
    (back(4, 6, [2, 3], stride=[2, 1], groups=2), (4, 3, 5), True),
    (back(6, 4, 3, padding=[1, 0], output_padding=[1, 0], dilation=[2, 1], bias=False), (6, 4, 3), False),
    (back(3, 3, 2, stride=2, groups=3), (3, 3, 4), True),
    (back(4, 6, 3, kind="conv_transpose1d", stride=3, padding=1, output_padding=2), (4, 5), False),
    (back(4, 6, 3, kind="conv_transpose1d", groups=2), (4, 5), True),
    ({"kind": "group_norm", "num_groups": 2, "num_channels": 6}, (6, 3, 4), False),
    ({"kind": "group_norm", "num_groups": 6, "num_channels": 6, "eps": 0.01}, (6, 5), True),
    ({"kind": "group_norm", "num_groups": 3, "num_channels": 12, "affine": False}, (12,), False),
    ({"kind": "layer_norm", "normalized_shape": [7]}, (3, 7), False),
    ({"kind": "layer_norm", "normalized_shape": [3, 4, 5], "bias": False, "eps": 0.01}, (3, 4, 5), True),
    ({"kind": "layer_norm", "normalized_shape": [4, 5], "elementwise_affine": False}, (3, 4, 5), False),
    ({"kind": "upsample", "scale_factor": 2}, (3, 4, 5), True),
    ({"kind": "upsample", "size": [7, 3]}, (3, 4, 5), False),
    ({"kind": "upsample", "scale_factor": [3, 2], "mode": "bilinear"}, (3, 4, 5), False),
    ({"kind": "upsample", "size": [7, 3], "mode": "bilinear"}, (3, 4, 5), True),
    ({"kind": "upsample", "size": [7, 3], "mode": "bilinear", "align_corners": True}, (3, 4, 5), False),
    ({"kind": "unflatten", "dim": 2, "unflattened_size": [2, 3]}, (3, 6), True),
]
MODULES = {
    "conv2d": torch.nn.Conv2d,
    "max_pool2d": torch.nn.MaxPool2d,
    "avg_pool2d": torch.nn.AvgPool2d,
    "adaptive_avg_pool2d": torch.nn.AdaptiveAvgPool2d,
    "conv1d": torch.nn.Conv1d,
    "conv_transpose1d": torch.nn.ConvTranspose1d,
    "conv_transpose2d": torch.nn.ConvTranspose2d,
    "group_norm": torch.nn.GroupNorm,
    "layer_norm": torch.nn.LayerNorm,
    "upsample": torch.nn.Upsample,
    "unflatten": torch.nn.Unflatten,
}


def run(layer: dict[str, Any], shape: tuple[int, ...], spikes: bool) -> dict[str, np.ndarray]:
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in layer.items() if k != "kind"}
    module = MODULES[layer["kind"]](**options)
    size = (BATCH, *shape)
    x = torch.randint(0, 2, size).float() if spikes else torch.rand(size) * 2 - 1
    x.requires_grad_()
    if "norm" in layer["kind"]:  # from 1 and 0 they would hide what they are multiplied by
        for parameter in module.parameters():
            parameter.data = torch.rand(parameter.shape) + 0.5
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
