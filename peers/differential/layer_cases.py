"""Random cases of layers without neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
from common import philox, philox_key

import volley

from . import layers, peers
from .bounded import Array, Bounded
from .case import Case, Check, Outcome, Passed, array, f32, passed_through, size, sizes, with_axis
from .neuron_cases import COTANGENTS, number, one_of, picked

Options = dict[str, Any]
Rng = np.random.Generator

REAL_INPUTS = ("normal",) * 8 + ("mixed", "sparse", "constant", "tiny", "huge", "odd", "ties")
SPIKES = ("spikes",) * 8


def base(rng: Rng, kind: str, sizes_: dict[str, int], inputs: tuple[str, ...]) -> Case:
    case: Case = {"kind": kind, "seed": int(rng.integers(1 << 31)), "cut": {}, "sizes": sizes_, "options": {}}
    case |= {"x": one_of(rng, *inputs), "dy": one_of(rng, *COTANGENTS)}
    return case | {"mean": float(rng.uniform(-1, 1)), "scale": float(rng.uniform(0.3, 3))}


def drawn_x(case: Case, axes: str) -> Array:
    x = array(case, "x", axes, case["x"], case["scale"], case["mean"])
    return x.astype(np.uint8) if case["x"] == "spikes" else x


def drawn_dy(case: Case, like: Array) -> Array:
    """A cotangent of the shape of what came out."""
    flat = {**case, "sizes": {"S": int(np.prod(like.shape))}, "cut": {}}
    return array(flat, "dy", "S", case["dy"]).reshape(like.shape)


def outcome_of(
    kind: str,
    o: Options,
    passed: Passed,
    want: layers.Layer,
    p: Options,
) -> Outcome:
    """Checks of y, dx and the gradients, and the peer's values of them."""
    want_dx, gradients = want[1](Bounded(passed.dy))
    outcome = Outcome([Check("y", passed.y, want[0]), Check("dx", passed.dx, want_dx)], passed=passed)
    for name, g in gradients.items():
        outcome.checks.append(Check(f"d{name}", passed.gradients[name].reshape(g.shape), g))
    for check in outcome.checks if kind.endswith("batch_norm") else ():
        check.peer = 1.0  # statistics are in double in Volley too: their error is in the bound
    outcome.peer = peers.layer_pass(kind, o, passed.x, passed.dy, p)
    return outcome


# --- linear, convolution, pools ---------------------------------------------------------------------------


def draw_linear(rng: Rng, kind: str) -> Case:
    steps = picked(rng, T=[1, 2, 3, 4, 5, 9, 20, 40], N=[1, 2, 3, 7, 16])
    wide = [1, 2, 3, 4, 5, 8, 16, 31, 63, 64, 65, 100, 128, 300]
    case = base(
        rng, kind, steps | {"I": int(rng.choice(wide)), "O": int(rng.choice(wide))}, REAL_INPUTS + SPIKES
    )
    case["options"] = {"bias": bool(rng.random() < 0.7)}
    case["weights"] = one_of(rng, "normal", "normal", "normal", "mixed", "tiny", "zero", "constant")
    return case


def run_linear(case: Case) -> Outcome:
    inputs, out = size(case, "I"), size(case, "O")
    layer = volley.Linear(inputs, out, bias=case["options"]["bias"])
    p = {"weight": array(case, "weight", "OI", case["weights"], 1 / np.sqrt(inputs))}
    if case["options"]["bias"]:
        p["bias"] = array(case, "bias", "O", "normal", 0.5)
    layer.set_parameters(p)
    x = drawn_x(case, "TNI")
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y))
    want = layers.linear(Bounded(x), {name: Bounded(a) for name, a in p.items()})
    return outcome_of("linear", {}, passed, want, p)


def draw_conv(rng: Rng, kind: str) -> Case:
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    wide = rng.choice([[1, 2, 3, 4, 8], [16, 17, 24, 32]][int(rng.random() < 0.3)], 2)  # channels per group
    k = [
        int(v)
        for v in (rng.choice([1, 2, 3, 5], 2) if rng.random() < 0.4 else [rng.choice([1, 3, 3, 5])] * 2)
    ]
    plain = rng.random() < 0.5
    o: Options = {"groups": groups, "bias": bool(rng.random() < 0.6), "kernel_size": k}
    o["stride"] = [1, 1] if plain else [int(v) for v in rng.integers(1, 4, 2)]
    o["dilation"] = [1, 1] if plain else [int(v) for v in rng.integers(1, 3, 2)]
    o["padding"] = [int(v) for v in rng.integers(0, 3, 2)]
    least = [o["dilation"][i] * (k[i] - 1) + 1 - 2 * o["padding"][i] for i in (0, 1)]
    H, W = (max(1, least[i]) + int(rng.integers(0, 8)) for i in (0, 1))
    steps = picked(rng, T=[1, 2, 3, 4, 5, 9], N=[1, 2, 4])
    channels = {"I": int(wide[0]), "O": int(wide[1]), "G": groups, "H": H, "W": W, "A": k[0], "B": k[1]}
    case = base(rng, kind, steps | channels, REAL_INPUTS + SPIKES)
    case |= {
        "options": o,
        "weights": one_of(rng, "normal", "normal", "normal", "mixed", "tiny"),
        "fixed": ["H", "W", "A", "B"],
    }
    return case


def conv_weights(case: Case) -> dict[str, Array]:
    groups, out, *window = sizes(case, "GOIAB")
    scale = 1 / np.sqrt(np.prod(window))
    p = {"weight": array(case, "weight", "GOIAB", case["weights"], scale).reshape(groups * out, *window)}
    if case["options"]["bias"]:
        p["bias"] = array(case, "bias", "GO", "normal", 0.5).reshape(groups * out)
    return p


def run_conv(case: Case) -> Outcome:
    o = {**case["options"], "groups": size(case, "G")}
    o |= {name: tuple(o[name]) for name in ("stride", "padding", "dilation", "kernel_size")}
    p = conv_weights(case)
    groups, out, inputs = sizes(case, "GOI")
    more = {name: o[name] for name in ("stride", "padding", "dilation", "groups", "bias")}
    layer = volley.Conv2d(groups * inputs, groups * out, o["kernel_size"], **more)
    layer.set_parameters(p)
    x = drawn_x(case, "TNGIHW")
    x = x.reshape(*x.shape[:2], groups * inputs, *x.shape[4:])
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y))
    want = layers.conv2d(Bounded(x), {name: Bounded(a) for name, a in p.items()}, o)
    return outcome_of("conv2d", o, passed, want, p)


def draw_pool(rng: Rng, kind: str) -> Case:
    H, W = (int(v) for v in rng.integers(1, 12, 2))
    if kind == "adaptive_avg_pool2d":
        o: Options = {"output_size": [int(v) for v in rng.integers(1, 8, 2)]}
    else:
        k = [int(v) for v in rng.integers(1, 5, 2)]
        o = {"kernel_size": k, "padding": [int(rng.integers(0, v // 2 + 1)) for v in k]}
        o["stride"] = k if rng.random() < 0.5 else [int(v) for v in rng.integers(1, 4, 2)]
        H, W = max(H, k[0]), max(W, k[1])
    steps = picked(rng, T=[1, 2, 3, 5], N=[1, 2, 3])
    case = base(
        rng,
        kind,
        steps | {"C": int(rng.choice([1, 2, 3, 8, 17, 64, 65])), "H": H, "W": W},
        REAL_INPUTS + SPIKES,
    )
    return case | {"options": o, "fixed": ["H", "W"]}


def run_pool(case: Case) -> Outcome:
    kind = case["kind"]
    o = {name: tuple(v) for name, v in case["options"].items()}
    if kind == "adaptive_avg_pool2d":
        layer = volley.AdaptiveAvgPool2d(o["output_size"])
    else:
        made = volley.MaxPool2d if kind == "max_pool2d" else volley.AvgPool2d
        layer = made(o["kernel_size"], stride=o["stride"], padding=o["padding"])
    x = drawn_x(case, "TNCHW")
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y))
    want = (layers.max_pool if kind == "max_pool2d" else layers.avg_pool)(Bounded(x), o)
    return outcome_of(kind, o, passed, want, {})


# --- normalisation, dropout, voting, residual, penalty ----------------------------------------------------


def draw_norm(rng: Rng, kind: str) -> Case:
    shape = picked(rng, T=[1, 2, 4, 9], N=[1, 2, 3, 8], C=[1, 3, 8, 17, 40])
    if rng.random() < 0.6:
        shape |= {"H": int(rng.integers(1, 7)), "W": int(rng.integers(1, 7))}
    case = base(
        rng, kind, shape, ("normal",) * 8 + ("mixed", "constant", "huge", "tiny", "sparse", "odd", "ties")
    )
    o: Options = {
        "eps": number(rng, 1e-6, 1e-3, 1e-5, 1e-8, 1.0),
        "momentum": one_of(rng, 0.1, None, f32(rng.random())),
    }
    o["momentum"] = None if o["momentum"] is None else f32(o["momentum"])
    o |= {
        "training": bool(rng.random() < 0.65),
        "affine": bool(rng.random() < 0.8) or kind == "td_batch_norm",
    }
    if kind == "td_batch_norm":
        o |= {"alpha": number(rng, 0.2, 2, 1.0), "v_threshold": number(rng, 0.2, 2, 1.0)}
    o["batches"] = int(rng.choice([0, 0, 1, 5]))
    if np.prod([shape[a] for a in shape if a != "C"]) < 2:
        shape["N"] = 2
    case["mean"] *= float(rng.choice([1, 1, 100, 1e4]))
    return case | {"options": o}


def norm_layer(case: Case) -> Any:
    o, channels = case["options"], size(case, "C")
    if case["kind"] == "td_batch_norm":
        more = {name: o[name] for name in ("alpha", "v_threshold", "eps", "momentum")}
        return volley.ThresholdDependentBatchNorm(channels, **more)
    return volley.BatchNorm(channels, eps=o["eps"], momentum=o["momentum"], affine=o["affine"])


def run_norm(case: Case) -> Outcome:
    o, axes = case["options"], "TNC" + ("HW" if "H" in case["sizes"] else "")
    layer = norm_layer(case)
    p = {}
    if o["affine"]:
        p = {
            "weight": array(case, "weight", "C", "normal", 0.5, 1.0),
            "bias": array(case, "bias", "C", "normal", 0.5),
        }
        layer.set_parameters(p)
    mean = array(case, "mean", "C", "normal", 0.5, case["mean"])
    variance = np.abs(array(case, "variance", "C", "normal", case["scale"], 1.0)) + np.float32(0.01)
    layer.set_buffers(
        {
            "running_mean": mean,
            "running_var": variance,
            "num_batches_tracked": np.float32(o["batches"]).reshape(
                layer.buffers()["num_batches_tracked"].shape
            ),
        }
    )
    x = drawn_x(case, axes)
    if o["training"] and x.size == x.shape[2]:
        return Outcome(peer_skipped="one value per channel: refused")  # of shrunk cases alone
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y), training=o["training"])
    running = None if o["training"] else (mean, variance)
    want, back, st = layers.batch_norm(
        Bounded(x), {name: Bounded(a) for name, a in p.items()}, o["eps"], running
    )
    q = p | {"running_mean": mean, "running_var": variance}
    outcome = outcome_of(case["kind"], o, passed, (want, back), q)
    if o["training"]:
        after = layers.running_after(st, (mean, variance), o["momentum"], o["batches"] + 1)
        got = layer.buffers()
        outcome.checks += [
            Check(name, got[name], a) for name, a in zip(("running_mean", "running_var"), after, strict=True)
        ]
    return outcome


def draw_dropout(rng: Rng, kind: str) -> Case:
    case = base(rng, kind, picked(rng, T=[1, 3, 8], N=[1, 2, 5], C=[1, 5, 64, 300]), REAL_INPUTS + SPIKES)
    return case | {
        "options": {"p": number(rng, 0, 0.95, 0.0, 0.5)},
        "draw": {"seed": int(rng.integers(1 << 31)), "epoch": int(rng.integers(0, 1000))},
    }


def dropout_mask(p: float, seed: int, epoch: int, samples: Array, features: int, place: int = 0) -> Array:
    """(N, F): docs/math/dropout.md, by words of Philox."""
    f = np.arange(features)
    words = philox(
        f[None, :] // 4,
        np.asarray(samples)[:, None],
        place & 0xFFFFFFFF,
        place >> 32,
        philox_key(seed, 4, epoch),
    )
    word = np.take_along_axis(words, np.broadcast_to((f % 4)[None, :, None], (*words.shape[:2], 1)), -1)[
        ..., 0
    ]
    return np.where(word < round(p * 2**32), 0.0, np.float32(1 / (1 - p)))


def run_dropout(case: Case) -> Outcome:
    p, draw = case["options"]["p"], case["draw"]
    layer = volley.Dropout(p)
    x = drawn_x(case, "TNC")
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y), training=True, **draw)
    ones, _ = layer.forward(np.ones(x.shape, np.float32), training=True, **draw)
    outcome = Outcome(passed=passed)
    if not (ones == ones[:1]).all():
        outcome.facts.append("the mask differs between steps")
    mask = dropout_mask(p, draw["seed"], draw["epoch"], np.arange(x.shape[1]), x.shape[2])
    if not np.array_equal(ones[0], mask.astype(np.float32)):
        outcome.facts.append("the mask is not that of its address")
    want, back = layers.masked(Bounded(x), ones[0])
    evaluated, _ = layer.forward(x)
    outcome.checks = [
        Check("y", passed.y, want),
        Check("dx", passed.dx, back(Bounded(passed.dy))[0]),
        Check("y in evaluation", evaluated, Bounded(x)),
    ]
    outcome.peer_skipped = "dropout: the peer draws another mask"
    return outcome


def draw_voting(rng: Rng, kind: str) -> Case:
    case = base(
        rng,
        kind,
        picked(rng, T=[1, 3, 8], N=[1, 2, 5], C=[1, 2, 10], V=[1, 2, 3, 10, 25]),
        REAL_INPUTS + SPIKES,
    )
    return case


def run_voting(case: Case) -> Outcome:
    voters = size(case, "V")
    layer = volley.Voting(voters)
    x = drawn_x(case, "TNCV")
    x = x.reshape(*x.shape[:2], -1)
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y))
    return outcome_of("voting", {"voting_size": voters}, passed, layers.voting(Bounded(x), voters), {})


def draw_residual(rng: Rng, kind: str) -> Case:
    case = base(rng, kind, picked(rng, T=[1, 3, 8], N=[1, 2, 5], I=[1, 3, 17, 64]), REAL_INPUTS + SPIKES)
    case |= {
        "options": {"connect": one_of(rng, "ADD", "AND", "IAND"), "shortcut": bool(rng.random() < 0.4)},
        "weights": "normal",
    }
    return case


def run_residual(case: Case) -> Outcome:
    o, wide = case["options"], size(case, "I")
    full = with_axis(case, O="I")
    sides = []
    for name in ("branch", "shortcut"):
        made = volley.Linear(wide, wide, bias=False)
        made.set_parameters({"weight": array(full, name, "OI", "normal", 1 / np.sqrt(wide))})
        sides.append(made)
    shortcut = volley.Sequential(sides[1]) if o["shortcut"] else None
    block = volley.Residual(volley.Sequential(sides[0]), shortcut, connect=o["connect"])
    x = drawn_x(case, "TNI")
    passed = passed_through(block, x, lambda y: drawn_dy(case, y))
    b, branch_back = layers.linear(Bounded(x), {"weight": Bounded(sides[0].parameters()["weight"])})
    s, short_back = Bounded(x), None
    if o["shortcut"]:
        s, short_back = layers.linear(Bounded(x), {"weight": Bounded(sides[1].parameters()["weight"])})
    want, back = layers.join(b, s, o["connect"])
    db, ds = back(Bounded(passed.dy))
    dx_branch, gradients = branch_back(db)
    dx_short, more = short_back(ds) if short_back is not None else (ds, {})
    dx = Check("dx", passed.dx, dx_branch + dx_short)
    outcome = Outcome([Check("y", passed.y, want), dx], passed=passed)
    got = passed.gradients
    outcome.checks.append(Check("dbranch.0.weight", got["branch.0.weight"], gradients["weight"]))
    if more:
        outcome.checks.append(Check("dshortcut.0.weight", got["shortcut.0.weight"], more["weight"]))
    outcome.peer = residual_peer(o, x, passed.dy, [m.parameters()["weight"] for m in sides])
    return outcome


def residual_peer(o: Options, x: Array, dy: Array, weights: list[Array]) -> dict[str, Array]:
    a = peers.tensor(x, True)
    w = [peers.tensor(v, True) for v in weights]
    b = a @ w[0].T
    s = a @ w[1].T if o["shortcut"] else a
    y = {"ADD": b + s, "AND": b * s, "IAND": (1 - b) * s}[o["connect"]]
    y.backward(peers.tensor(dy))
    result = {"y": y.detach().numpy(), "dx": a.grad.numpy(), "dbranch.0.weight": w[0].grad.numpy()}
    return result | ({"dshortcut.0.weight": w[1].grad.numpy()} if o["shortcut"] else {})


def draw_penalty(rng: Rng, kind: str) -> Case:
    case = base(rng, kind, picked(rng, T=[1, 3, 8, 40], N=[1, 2, 5, 16], C=[1, 5, 64, 100]), ("spikes",))
    return case | {
        "options": {
            "norm": one_of(rng, "l1", "l2"),
            "target": number(rng, 0, 1, 0.0, 0.5),
            "weight": number(rng, 0, 1, 0.01),
        }
    }


def run_penalty(case: Case) -> Outcome:
    o = case["options"]
    layer = volley.RatePenalty(**o)
    x = drawn_x(case, "TNC")
    passed = passed_through(layer, x, lambda y: drawn_dy(case, y))
    want, back, penalty = layers.rate_penalty(Bounded(x), o)
    dx = Check("dx", passed.dx, back(Bounded(passed.dy))[0])
    outcome = Outcome([Check("y", passed.y, want), dx], passed=passed)
    outcome.checks.append(Check("penalty", np.asarray(layer.penalty(passed.tape)), penalty))
    a = peers.tensor(x, True)
    away = a.mean((0, 1)) - o["target"]
    value = o["weight"] * (away.abs() if o["norm"] == "l1" else away**2).mean()
    ((a * peers.tensor(passed.dy)).sum() + value).backward()
    outcome.peer = {"dx": a.grad.numpy(), "penalty": value.detach().numpy()}
    return outcome
