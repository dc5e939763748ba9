"""Trains a Volley recipe in snnTorch, where its Leaky neuron can be made the same as the recipe's LIF.

Matched: beta = 1 - 1 / tau; an input divided by tau (decay_input); v_reset 0 as reset_mechanism "zero", none
as "subtract", with reset_delay=False, so that the reset is of the same step and its gradient goes through the
spike. Not to be matched, and refused: v_reset other than 0 or none; detach_reset. Different, and let pass:
snnTorch fires where h > v_threshold, Volley where h >= v_threshold; and with soft reset, where a potential is
still above the threshold after the reset (h above twice the threshold), snnTorch subtracts the threshold once
more before it compares.
"""

from __future__ import annotations

from typing import Any

import common


def surrogate_of(table: common.Recipe) -> Any:
    from snntorch import surrogate

    if table["kind"] == "atan":
        return surrogate.atan(alpha=float(table["alpha"]))
    if table["kind"] == "sigmoid":
        return surrogate.sigmoid(slope=float(table["alpha"]))
    raise common.Unmatched(f"surrogate {table['kind']}")


def leaky(table: common.Recipe) -> Any:
    import snntorch
    import torch

    if table["v_reset"] not in ("none", 0):
        raise common.Unmatched(f"v_reset {table['v_reset']}: only 0 and none")
    if table["detach_reset"]:
        raise common.Unmatched("detach_reset = true")
    gain = 1 / table["tau"] if table["decay_input"] else 1.0

    class LeakyOverTime(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = snntorch.Leaky(
                beta=1 - 1 / table["tau"],
                threshold=float(table["v_threshold"]),
                spike_grad=surrogate_of(table["surrogate"]),
                reset_mechanism="subtract" if table["v_reset"] == "none" else "zero",
                reset_delay=False,
            )

        def forward(self, x: Any) -> Any:
            potential = self.neuron.init_leaky()
            out = []
            for current in x * gain:
                spikes, potential = self.neuron(current, potential)
                out.append(spikes)
            return torch.stack(out)

    return LeakyOverTime()


def reset(model: Any) -> None:
    """Nothing to forget: every forward begins with a new potential."""


def encode(pictures: Any, steps: int) -> Any:
    from snntorch import spikegen

    return spikegen.rate(pictures, num_steps=steps)


PEER = common.Peer("snntorch", ("numpy", "torch", "snntorch"), {"lif": leaky}, reset, encode)

if __name__ == "__main__":
    common.main(PEER)
