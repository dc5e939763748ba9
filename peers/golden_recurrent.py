"""What SpikingJelly's recurrent containers compute: a part of golden_spikingjelly.py."""

from __future__ import annotations

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron, surrogate

N, T, F = 3, 12, 5


def arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For each container x, dy, y (spikes) and dx, (N, T, F), and the weights and their gradients."""
    containers = {
        "linear": layer.LinearRecurrentContainer(neuron.LIFNode(surrogate_function=surrogate.ATan()), F, F),
        "element_wise": layer.ElementWiseRecurrentContainer(
            neuron.IFNode(v_reset=None, surrogate_function=surrogate.Sigmoid()), lambda x, y: x + y
        ),
    }
    result: dict[str, np.ndarray] = {}
    for name, module in containers.items():
        module.step_mode = "m"
        for parameter in module.parameters():  # in 64ths: no potential is near the threshold by chance
            drawn = np.round(rng.uniform(-1, 1.5, parameter.shape) * 64) / 64
            parameter.data = torch.from_numpy(drawn.astype(np.float32))
        high = 2.5 if name == "linear" else 0.8
        x = torch.from_numpy(rng.uniform(-0.5, high, (N, T, F)).astype(np.float32)).requires_grad_()
        dy = torch.from_numpy(rng.normal(0, 1, (N, T, F)).astype(np.float32))
        y = module(x.transpose(0, 1)).transpose(0, 1)
        y.backward(dy)
        tensors = {"x": x, "dy": dy, "y": y, "dx": x.grad}
        tensors |= dict(module.named_parameters())
        tensors |= {f"d{key}": p.grad for key, p in module.named_parameters()}
        result |= {f"{name}.{key}": np.array(t.detach().numpy()) for key, t in tensors.items()}
    return result
