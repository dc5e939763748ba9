"""Trains a Volley recipe in SpikingJelly: same data, batch, T, optimizer, loss and initial weights."""

from __future__ import annotations

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


def lif(table: common.Recipe) -> Any:
    from spikingjelly.activation_based import neuron

    if not table.get("fires_at_threshold", True):
        raise common.Unmatched("lif with fires_at_threshold = false")
    v_reset = table["v_reset"]
    return neuron.LIFNode(
        tau=float(table["tau"]),
        decay_input=table["decay_input"],
        v_threshold=float(table["v_threshold"]),
        v_reset=None if v_reset == "none" else float(v_reset),
        surrogate_function=surrogate_of(table["surrogate"]),
        detach_reset=table["detach_reset"],
        step_mode="m",  # the whole pass at once: the faster way
    )


def reset(model: Any) -> None:
    from spikingjelly.activation_based import functional

    functional.reset_net(model)


def encode(pictures: Any, steps: int) -> Any:
    from spikingjelly.activation_based import encoding

    return encoding.PoissonEncoder()(pictures.unsqueeze(0).expand(steps, *pictures.shape))


PEER = common.Peer("spikingjelly", ("numpy", "torch", "spikingjelly"), lif, reset, encode)

if __name__ == "__main__":
    common.main(PEER)
