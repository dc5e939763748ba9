"""What PyTorch and SpikingJelly compute for batch normalisation and voting: a part of golden_spikingjelly.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import layer

T, N, C = 3, 4, 5

# Name, layer, feature shape, passes of training before one of evaluation.
CASES: list[tuple[str, Any, tuple[int, ...], int]] = [
    ("2d", lambda: layer.BatchNorm2d(C, step_mode="m"), (C, 3, 2), 2),
    ("1d", lambda: layer.BatchNorm1d(C, step_mode="m"), (C,), 1),
    ("cumulative", lambda: layer.BatchNorm2d(C, momentum=None, step_mode="m"), (C, 2, 2), 3),
    ("td", lambda: layer.ThresholdDependentBatchNorm2d(0.7, 0.8, C), (C, 3, 2), 1),
    ("voting", lambda: layer.VotingLayer(4, step_mode="m"), (12,), 1),
]


def arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For each case and pass x, dy, y, dx and the parameters' gradients, and what the layer then holds. Signals are
    (N, T, features...)."""
    result: dict[str, np.ndarray] = {}
    for name, make, features, passes in CASES:
        module = make()
        for parameter in module.parameters() if name == "2d" else ():
            parameter.data = torch.from_numpy(rng.normal(1, 0.5, C).astype(np.float32))
        result |= {f"{name}.before.{key}": p.detach().numpy().copy() for key, p in module.named_parameters()}
        for i in range(passes + 1):
            module.train(i < passes)
            module.zero_grad()
            x = torch.from_numpy(rng.normal(0.5, 2, (N, T, *features)).astype(np.float32)).requires_grad_()
            x_seq = x.transpose(0, 1)
            y_seq = module(x_seq.unsqueeze(-1)).squeeze(-1) if name == "1d" else module(x_seq)
            y = y_seq.transpose(0, 1)
            dy = torch.from_numpy(rng.normal(0, 1, y.shape).astype(np.float32))
            y.backward(dy)
            tensors = {"x": x, "dy": dy, "y": y, "dx": x.grad}
            tensors |= {f"d{key}": p.grad for key, p in module.named_parameters()}
            tensors |= {f"after.{key}": b for key, b in module.named_buffers()}
            result |= {f"{name}.{i}.{key}": np.array(t.detach().numpy()) for key, t in tensors.items()}
    return result
