"""Random cases of losses, of optimizers with schedules and clipping, and of schedules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import volley

from . import peers, training
from .bounded import Bounded, terms
from .case import Case, Check, Outcome, array, f32, size, sizes
from .layer_cases import REAL_INPUTS, SPIKES, base, drawn_x
from .neuron_cases import number, one_of, picked

Options = dict[str, Any]
Rng = np.random.Generator


def draw_loss(rng: Rng, kind: str) -> Case:
    big = rng.random() < 0.1
    shape = picked(rng, T=[1, 2, 5, 16, 40], N=[1, 2, 3, 7, 64], K=[1, 2, 3, 10, 47, 200])
    if big:
        shape = {"T": int(rng.choice([1, 3])), "N": int(rng.choice([4096, 20000, 60000])), "K": 10}
    reals = tuple("nan" if name == "odd" else name for name in REAL_INPUTS)
    inputs = reals if kind.startswith("membrane") else SPIKES
    case = base(rng, kind, shape, reals + SPIKES if kind == "tet" else inputs)
    if kind.startswith("membrane") or kind == "tet":
        case["scale"] = float(rng.choice([1, 1, 3, 30]))
    o: Options = {}
    if kind.endswith("mse"):
        o["scale"] = number(rng, 0.1, 3, 1.0)
    if kind.endswith("cross_entropy") or kind == "tet":
        o["label_smoothing"] = number(rng, 0, 0.5, 0.0, 0.0, 1.0)
    if kind.startswith("membrane"):
        o["readout"] = one_of(rng, "last", "mean")
    if kind == "count_mse":
        o |= {"correct_rate": number(rng, 0, 1, 1.0), "incorrect_rate": number(rng, 0, 1, 0.0)}
    if kind == "tet":
        o |= {"lamb": number(rng, 0, 1, 0.0, 1e-3, 1.0), "means": number(rng, 0, 2, 1.0)}
    return case | {"options": o}


def run_loss(case: Case) -> Outcome:
    kind, o = case["kind"], case["options"]
    loss = getattr(volley, training.LOSSES[kind][0])(**o)
    y = drawn_x(case, "TNK")
    labels = (array(case, "labels", "N", "normal", 1000.0).astype(np.float64) // 1 % y.shape[2]).astype(
        np.int64
    )
    value, scores = loss.forward(y, labels)
    dy = loss.backward(y, labels, scores)
    want, want_scores, want_dy = training.loss(kind, o, Bounded(y), labels)
    outcome = Outcome(
        [
            Check("loss", np.asarray(value), want, order=1),
            Check("scores", scores, want_scores),
            Check("dy", dy, want_dy),
        ]
    )
    outcome.peer = peers.loss_pass(kind, o, y, labels)
    outcome.recipe, outcome.inputs = {"loss": {"kind": kind, **o}}, {"y": y, "labels": labels}
    return outcome


def draw_optimizer(rng: Rng, kind: str) -> Case:
    name = one_of(rng, "sgd", "adam", "adamw")
    o: Options = {"weight_decay": number(rng, 0, 0.2, 0.0, 0.0, 0.01)}
    if name == "sgd":
        o["momentum"] = number(rng, 0, 0.99, 0.0, 0.9)
        o["nesterov"] = bool(o["momentum"] > 0 and rng.random() < 0.5)
    else:
        o |= {
            "beta1": number(rng, 0, 0.99, 0.9, 0.0),
            "beta2": number(rng, 0.5, 0.9999, 0.999, 0.0),
            "eps": number(rng, 1e-9, 1e-3, 1e-8, 0.0),
        }
    case = base(rng, kind, picked(rng, T=[1, 2, 5, 12], C=[1, 3, 8, 17, 100, 300], D=[1, 5]), ("normal",))
    case |= {"options": o, "optimizer": name, "lr": number(rng, 1e-4, 0.5, 0.1, 1e-3, 0.0)}
    case["dy"] = one_of(
        rng, "normal", "normal", "normal", "constant", "sparse", "mixed", "tiny", "huge", "zero", "odd"
    )
    case["clip_norm"] = number(rng, 0.1, 5, 1e-3, 1e6) if rng.random() < 0.3 else None
    case["clip_value"] = number(rng, 0.1, 2) if rng.random() < 0.3 else None
    case["schedule"] = draw_schedule_options(rng)
    return case


def run_optimizer(case: Case) -> Outcome:
    """Two weights with drawn gradients over several steps: clipping, the rate of a schedule, an update."""
    o, name = case["options"], case["optimizer"]
    steps, wide, more = sizes(case, "TCD")
    nets = volley.Sequential(volley.Linear(1, wide, bias=False), volley.Linear(wide, more, bias=False))
    w = [array(case, "w0", "C", "normal"), array(case, "w1", "DC", "normal")]
    nets.set_parameters({"0.weight": w[0].reshape(wide, 1), "1.weight": w[1]})
    made = {"sgd": volley.Sgd, "adam": volley.Adam, "adamw": volley.AdamW}[name](lr=case["lr"], **o)
    schedule = volley_schedule(case["schedule"])
    ours = [training.Optimizer(name, o, v.astype(np.float64)) for v in w]
    theirs = [peers.tensor(v, True) for v in w]
    optimizer = peers.optimizer_of(name, o, theirs, case["lr"])
    outcome = Outcome(recipe={"optimizer": {"kind": name, **o}})
    outcome.inputs = {"w0": w[0], "w1": w[1]}
    for step in range(steps):
        nets.zero_gradients()
        lr = f32(schedule.lr(case["lr"], epochs=step))
        made.lr = lr
        for group in optimizer.param_groups:
            group["lr"] = lr
        given_gradients(case, step, nets)
        g = [nets.gradients()[f"{i}.weight"].reshape(w[i].shape) for i in (0, 1)]
        outcome.inputs |= {f"g{i} of {step + 1}": g[i].copy() for i in (0, 1)} | {
            f"lr of {step + 1}": np.array([lr])
        }
        bounded = [Bounded(v.astype(np.float64)) for v in g]
        for v, t in zip(g, theirs, strict=True):
            t.grad = peers.tensor(v)
        if case["clip_norm"] is not None:
            norm = volley.clip_gradient_norm(nets, case["clip_norm"])
            bounded, want_norm = training.clipped_by_norm(bounded, case["clip_norm"])
            # In double on both sides: the roundings of a sum of squares, and of the root.
            lost = 2.0**-53 * (terms(sum(v.size for v in g)) + 2) * want_norm.value
            want_norm = Bounded(want_norm.value, np.where(np.isfinite(lost), lost, 0.0))
            outcome.checks.append(Check(f"norm of {step + 1}", np.asarray(norm), want_norm))
        if case["clip_value"] is not None:
            volley.clip_gradient_value(nets, case["clip_value"])
            bounded = [training.clipped_by_value(v, case["clip_value"]) for v in bounded]
        peers.clip(theirs, case)
        made.step(nets)
        optimizer.step()
        for one, v in zip(ours, bounded, strict=True):
            one.step(v, lr)
        for i in (0, 1):
            outcome.checks.append(
                Check(
                    f"w{i} after {step + 1}", nets.parameters()[f"{i}.weight"].reshape(w[i].shape), ours[i].w
                )
            )
            outcome.peer[f"w{i} after {step + 1}"] = theirs[i].detach().numpy().copy()
    return outcome


def given_gradients(case: Case, step: int, nets: Any) -> None:
    """Gives both weights gradients, by the backward of a random dy."""
    T_at = {
        **case,
        "seed": case["seed"] + 7919 * step,
        "cut": {k: v for k, v in case["cut"].items() if k != "T"},
    }
    x = np.ones((1, 1, 1), np.float32)
    y, tape = nets[0].forward(x)
    nets[0].backward(tape, array(T_at, "g0", "C", case["dy"]).reshape(y.shape))
    y, tape = nets[1].forward(y)
    nets[1].backward(tape, array(T_at, "g1", "D", case["dy"]).reshape(y.shape))


SCHEDULES = {
    "constant": "ConstantSchedule",
    "step": "StepSchedule",
    "multi_step": "MultiStepSchedule",
    "exponential": "ExponentialSchedule",
    "cosine": "CosineSchedule",
}


def draw_schedule_options(rng: Rng) -> Options:
    kind = one_of(rng, *SCHEDULES)
    o: Options = {
        "kind": kind,
        "warmup": int(rng.choice([0, 0, 1, 3, 5])),
        "warmup_start": float(rng.uniform(0.05, 1)),
    }
    if kind in ("step", "multi_step", "exponential"):
        o["gamma"] = float(rng.uniform(0.1, 1))
    if kind == "step":
        o["step_size"] = int(rng.integers(1, 6))
    if kind == "multi_step":
        o["milestones"] = sorted({int(v) for v in rng.integers(1, 30, 4)})
    if kind == "cosine":
        o |= {"T_max": int(rng.integers(1, 30)), "eta_min": float(rng.uniform(0, 0.05))}
    return o


def volley_schedule(o: Options) -> Any:
    return getattr(volley, SCHEDULES[o["kind"]])(**{k: v for k, v in o.items() if k != "kind"})


def draw_schedule(rng: Rng, kind: str) -> Case:
    case = base(rng, kind, {"T": int(rng.integers(1, 60))}, ("normal",))
    return case | {"options": draw_schedule_options(rng), "lr": float(rng.uniform(1e-4, 1))}


def run_schedule(case: Case) -> Outcome:
    o, made = case["options"], volley_schedule(case["options"])
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=case["lr"])
    schedule = peers.schedule_of(o["kind"], o, optimizer)
    got, want = [], []
    for epoch in range(size(case, "T")):
        got.append(made.lr(case["lr"], epochs=epoch))
        want.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    want_array = np.array(want)
    # torch multiplies the rate of one epoch into the next: some 8 roundings of double per epoch, 60 epochs.
    check = Check("lr", np.array(got), Bounded(want_array, 8 * 60 * 2.0**-53 * abs(case["lr"])), order=1)
    return Outcome([check], {"lr": want_array}, recipe={"schedule": o})
