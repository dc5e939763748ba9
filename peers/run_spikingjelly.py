"""Trains a Volley recipe in SpikingJelly: same data, batch, T, optimizer, loss and initial weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import common


def surrogate_of(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import surrogate

    kinds = {
        "atan": surrogate.ATan,
        "sigmoid": surrogate.Sigmoid,
        "piecewise_quadratic": surrogate.PiecewiseQuadratic,
        "piecewise_exp": surrogate.PiecewiseExp,
        "soft_sign": surrogate.SoftSign,
        "erf": surrogate.Erf,
    }
    if table["kind"] not in kinds:
        raise common.Unmatched(f"surrogate {table['kind']}")
    return kinds[table["kind"]](alpha=float(table["alpha"]))


def firing(table: common.Recipe) -> dict[str, Any]:
    """What all its neurons share."""
    if not table.get("fires_at_threshold", True):
        raise common.Unmatched(f"{table['kind']} with fires_at_threshold = false")
    v_reset = table["v_reset"]
    return {
        "v_threshold": float(table["v_threshold"]),
        "v_reset": None if v_reset == "none" else float(v_reset),
        "surrogate_function": surrogate_of(table["surrogate"]),
        "detach_reset": table["detach_reset"],
        "step_mode": "m",  # the whole pass at once: the faster way
    }


def integrate_and_fire(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import neuron

    return neuron.IFNode(**firing(table))


def lif(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import neuron

    return neuron.LIFNode(tau=float(table["tau"]), decay_input=table["decay_input"], **firing(table))


def plif(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import neuron

    if table["learn_threshold"] or table["channels"] > 0 or not table["learn_tau"]:
        raise common.Unmatched("plif with learn_threshold, channels, or without learn_tau")
    options = {"init_tau": float(table["init_tau"]), "decay_input": table["decay_input"]}
    return neuron.ParametricLIFNode(**options, **firing(table))


def convolution(name: str) -> Callable[[common.Recipe], Any]:
    """Of that class; the fields of the recipe are its arguments."""

    def make(table: common.Recipe) -> Any:
        from spikingjelly.activation_based import layer

        options = {key: size_of(value) for key, value in table.items() if key != "kind"}
        return getattr(layer, name)(**options, step_mode="m")

    return make


def group_norm(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    return layer.GroupNorm(
        table["num_groups"], table["num_channels"], table["eps"], table["affine"], step_mode="m"
    )


def layer_norm(table: common.Recipe) -> Any:
    import torch

    affine, bias = table["elementwise_affine"], table["bias"]
    return torch.nn.LayerNorm(table["normalized_shape"], table["eps"], affine, bias)


def upsample(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    size, factor = (None if table[name] == "none" else size_of(table[name]) for name in ("size", "scale_factor"))
    corners = table["align_corners"] if table["mode"] == "bilinear" else None
    return layer.Upsample(size, factor, table["mode"], corners, step_mode="m")


def unflatten(table: common.Recipe) -> Any:
    import torch

    return torch.nn.Unflatten(table["dim"] + 1, table["unflattened_size"])  # after T and N


def batch_norm(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    momentum = None if table["momentum"] == "none" else table["momentum"]
    return layer.BatchNorm2d(table["channels"], table["eps"], momentum, table["affine"], step_mode="m")


def max_pool2d(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    return layer.MaxPool2d(*window_of(table), step_mode="m")


def avg_pool2d(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    return layer.AvgPool2d(*window_of(table), step_mode="m")


def dropout(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    return layer.Dropout(table["p"], step_mode="m")


def voting(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import layer

    return layer.VotingLayer(table["voting_size"], step_mode="m")


def size_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def window_of(table: common.Recipe) -> tuple[Any, Any, Any]:
    """Kernel, stride and padding of a pool."""
    stride = None if table["stride"] == "none" else size_of(table["stride"])
    return size_of(table["kernel_size"]), stride, size_of(table["padding"])


def reset(model: Any) -> None:
    from spikingjelly.activation_based import functional

    functional.reset_net(model)


def encode(pictures: Any, steps: int) -> Any:
    from spikingjelly.activation_based import encoding

    return encoding.PoissonEncoder()(pictures.unsqueeze(0).expand(steps, *pictures.shape))


LAYERS: common.Makers = {
    "if": integrate_and_fire,
    "lif": lif,
    "plif": plif,
    "conv1d": convolution("Conv1d"),
    "conv2d": convolution("Conv2d"),
    "conv_transpose1d": convolution("ConvTranspose1d"),
    "conv_transpose2d": convolution("ConvTranspose2d"),
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "upsample": upsample,
    "unflatten": unflatten,
    "batch_norm": batch_norm,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "dropout": dropout,
    "voting": voting,
}
PEER = common.Peer("spikingjelly", ("numpy", "torch", "spikingjelly"), LAYERS, reset, encode)

if __name__ == "__main__":
    common.main(PEER)
