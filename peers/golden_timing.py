"""Writes tests/golden/timing.*: neurons with a refractory period, an initial potential or a time constant of the
charge, by PyTorch's autograd in float64, for tests/parity to hold Volley to.

    python peers/golden_timing.py [FOLDER]

The equations are those of the neurons' own papers and of docs/math, written out once more. What a refractory period
holds is selected with torch.where by a mask without a gradient.
"""

from __future__ import annotations

import itertools
import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden_spikingjelly import write

SEED = 20261128
N, STEPS, F = 1, 20, 3
Options = dict[str, Any]
State = tuple[torch.Tensor, ...]  # the potential first


class ATan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u)

    @staticmethod
    def backward(ctx: Any, ds: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return ds / (1 + (math.pi * u) ** 2)


class Rect(ATan):
    """Of height and width 1: what CUBALIF has unless another is chosen."""

    @staticmethod
    def backward(ctx: Any, ds: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return ds * (u.abs() < 0.5)


def rest(o: Options) -> float:
    return o["v_reset"] or 0.0


def leaky(v: torch.Tensor, x: torch.Tensor, o: Options, inv_tau: Any) -> torch.Tensor:
    leak = (v - rest(o)) * inv_tau
    if "tau_charge" in o:
        return v + x / o["tau_charge"] - leak
    return v + x * inv_tau - leak if o.get("decay_input", True) else v + x - leak


def charged(kind: str, z: State, x: torch.Tensor, o: Options, p: dict[str, torch.Tensor]) -> State:
    v = z[0]
    if kind == "if":
        return (v + x,)
    if kind == "lif":
        return (leaky(v, x, o, 1 / o["tau"]),)
    if kind == "plif":
        return (leaky(v, x, o, torch.sigmoid(p["w"])),)
    if kind == "klif":
        return (torch.relu(p["k"] * leaky(v, x, o, 1 / o["tau"])),)
    if kind == "alif":
        return (leaky(v, x, o, 1 / o["tau"]), z[1])
    if kind == "cuba_lif":
        c = o["c_decay"] * z[1] + x
        return (o["v_decay"] * v + c, c)
    if kind == "qif":
        return (v + (x + o["a0"] * (v - o["v_rest"]) * (v - o["v_c"])) / o["tau"],)
    assert kind == "izhikevich"
    h = v + (x + o["a0"] * (v - o["v_rest"]) * (v - o["v_c"]) - z[1]) / o["tau"]
    return (h, z[1] + (o["a"] * (h - o["v_rest"]) - z[1]) / o["tau_w"])


def reset(kind: str, z: State, s: torch.Tensor, theta: torch.Tensor | float, o: Options) -> State:
    r = s.detach() if o["detach_reset"] else s
    v = z[0] - r * theta if o["v_reset"] is None else (1 - r) * z[0] + r * o["v_reset"]
    if kind == "alif":
        return (v, z[1] + (s - z[1]) / o["tau_a"])
    if kind == "izhikevich":
        return (v, z[1] + o["b"] * s)
    return (v, *z[1:])


def held(kind: str, z: State, x: torch.Tensor, o: Options) -> State:
    if kind == "cuba_lif":
        return (z[0], o["c_decay"] * z[1] + x)
    if kind == "alif":
        return (z[0], z[1] - z[1] / o["tau_a"])
    if kind == "izhikevich":
        return (z[0], z[1] + (o["a"] * (z[0] - o["v_rest"]) - z[1]) / o["tau_w"])
    return z


def run(kind: str, o: Options, x: np.ndarray, ds: np.ndarray) -> dict[str, np.ndarray]:
    p = {}
    if kind == "plif":
        p = {"w": torch.tensor(-math.log(o["init_tau"] - 1)), "v_threshold": torch.tensor(o["v_threshold"])}
    if kind == "klif":
        p = {"k": torch.tensor(1.0)}
    p = {name: value.double().requires_grad_() for name, value in p.items()}
    current = torch.from_numpy(x).double().requires_grad_()
    v = torch.full((N, F), o.get("v_init", rest(o)), dtype=torch.float64)
    z: State = (v, torch.zeros_like(v)) if kind in ("alif", "cuba_lif", "izhikevich") else (v,)
    count = torch.zeros((N, F), dtype=torch.int64)
    spikes, potentials = [], []
    step = Rect if kind == "cuba_lif" else ATan
    for t in range(STEPS):
        free = count == 0
        h = [torch.where(free, a, b) for a, b in
             zip(charged(kind, z, current[:, t], o, p), held(kind, z, current[:, t], o), strict=True)]
        theta = p.get("v_threshold", o["v_threshold"])
        if kind == "alif":
            theta = theta + o["beta"] * h[1]
        s = torch.where(free, step.apply(h[0] - theta), torch.zeros_like(h[0]))
        z = tuple(torch.where(free, a, b) for a, b in zip(reset(kind, tuple(h), s, theta, o), h, strict=True))
        count = torch.where(s > 0, o["refractory"], torch.clamp(count - 1, min=0))
        spikes.append(s)
        potentials.append(h[0])
    s = torch.stack(spikes, 1)
    s.backward(torch.from_numpy(ds).double())
    arrays = {"s": s, "h": torch.stack(potentials, 1), "dx": current.grad}
    arrays |= {"d" + name: value.grad.reshape(1) for name, value in p.items()}
    return {name: array.detach().numpy() for name, array in arrays.items()}


KINDS: dict[str, list[Options]] = {
    "if": [{"v_threshold": 0.75}],
    "lif": [
        {"tau": 2.0, "v_threshold": 0.5},
        {"tau": 3.0, "v_threshold": 1.0, "decay_input": False},
        {"tau": 3.0, "v_threshold": 0.75, "tau_charge": 1.5},
    ],
    "plif": [
        {"init_tau": 2.5, "v_threshold": 0.5, "learn_threshold": True},
        {"init_tau": 1.75, "v_threshold": 0.75, "learn_threshold": True, "tau_charge": 1.25},
    ],
    "qif": [{"tau": 2.0, "a0": 1.0, "v_rest": 0.0, "v_c": 0.75, "v_threshold": 0.75}],
    "izhikevich": [{"tau": 2.0, "a0": 1.0, "v_rest": -0.125, "v_c": 0.75, "tau_w": 4.0, "a": 0.5, "b": 0.25,
                    "v_threshold": 0.5}],
    "cuba_lif": [{"c_decay": 0.5, "v_decay": 0.75, "v_threshold": 0.75}],
    "alif": [{"tau": 2.0, "tau_a": 4.0, "beta": 0.5, "v_threshold": 0.5, "tau_charge": 1.5}],
    "klif": [{"tau": 2.0, "v_threshold": 0.5}, {"tau": 3.0, "v_threshold": 0.75, "tau_charge": 1.5}],
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "golden"
    rng = np.random.default_rng(SEED)
    arrays = {
        "x": rng.integers(-32, 160, (N, STEPS, F)).astype(np.float32) / 64,
        "ds": rng.integers(-64, 65, (N, STEPS, F)).astype(np.float32) / 64,
    }
    cases = []
    for kind, levels in KINDS.items():
        for own, v_reset, detach, (refractory, v_init) in itertools.product(
            levels, (0.0, -0.25, None), (False, True), ((0, 0.25), (1, None), (3, -0.5))
        ):
            if v_reset is None and kind in ("qif", "izhikevich"):
                continue  # their potentials grow without end
            o = own | {"v_reset": v_reset, "detach_reset": detach, "refractory": refractory}
            if v_init is not None:
                o["v_init"] = v_init
            for name, array in run(kind, o, arrays["x"], arrays["ds"]).items():
                arrays[f"{len(cases)}.{name}"] = array
            cases.append({"kind": kind, **o, "v_reset": "none" if v_reset is None else v_reset})
    manifest = {
        "made_by": "peers/golden_timing.py",
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__},
        "seed": SEED,
        "sha256": {"timing.safetensors": write(folder / "timing.safetensors", arrays)},
        "neurons": cases,
    }
    (folder / "timing.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: {len(cases)} cases by torch {torch.__version__}")


if __name__ == "__main__":
    main()
