"""Random networks over several training steps. Each step begins at Volley's weights, with its spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import volley

from . import layers, training
from .bounded import Array, Bounded
from .case import Case, Check, Outcome, Passed, SpikeCheck, array, f32, generator, size
from .layer_cases import dropout_mask
from .neuron_cases import CLASSES, draw_neuron, draw_readout, one_of, shaped, volley_neuron
from .neurons import NEURONS, Pass

Options = dict[str, Any]
Rng = np.random.Generator
Table = dict[str, Any]

FIRING = ("if", "lif", "lif", "lif", "plif", "qif", "cuba_lif", "alif", "klif", "glif", "izhikevich")


def neuron_table(rng: Rng) -> Table:
    kind = one_of(rng, *FIRING)
    o = draw_neuron(rng, kind)
    if "v_threshold" in o and kind != "glif":
        o["v_threshold"] = f32(rng.uniform(0.3, 1.2))
    if "tau" in o and kind != "glif":
        o["tau"] = f32(rng.uniform(1.5, 6))
    if "init_tau" in o:
        o["init_tau"] = f32(rng.uniform(1.5, 6))
    if kind == "klif":
        o["k"] = 1.0
    if kind != "glif":
        o["v_reset"] = one_of(rng, None, 0.0, f32(rng.uniform(-0.3, 0.2)))
    o["surrogate"] = {
        "kind": one_of(rng, "atan", "sigmoid", "soft_sign", "erf", "piecewise_exp"),
        "alpha": f32(rng.uniform(1, 4)),
    }
    if "per" in o:
        o["per"] = one_of(rng, "layer", "channel")
    return {"kind": kind, "options": o}


def recurrent_table(rng: Rng) -> Table:
    return {
        "kind": "recurrent",
        "feedback": one_of(rng, "linear", "element_wise"),
        "neuron": neuron_table(rng),
    }


def picture_tables(rng: Rng, least: int) -> list[Table]:
    """Convolutions and what follows them; `least` is the shorter side of the picture."""
    tables: list[Table] = []
    for _ in range(int(rng.integers(1, 3))):
        stride = int(rng.choice([1, 1, 2])) if least > 2 else 1
        least = (least - 1) // stride + 1
        more = {"kernel": int(rng.choice([1, 3])), "stride": stride, "bias": bool(rng.random() < 0.5)}
        tables.append({"kind": "conv2d", "out": int(rng.choice([2, 4, 8, 16, 17])), **more})
        if rng.random() < 0.5:
            tables.append({"kind": "batch_norm"})
        tables.append(neuron_table(rng))
        if rng.random() < 0.4 and least > 1:
            tables.append({"kind": one_of(rng, "max_pool2d", "avg_pool2d")})
            least //= 2
    return tables


def draw(rng: Rng, kind: str) -> Case:
    picture = rng.random() < 0.5
    tables: list[Table] = []
    if picture:
        features = [int(rng.integers(1, 4)), int(rng.integers(4, 9)), int(rng.integers(4, 9))]
        tables += picture_tables(rng, min(features[1:]))
        tables.append({"kind": "flatten"})
    else:
        features = [int(rng.choice([3, 10, 64, 65, 100]))]
    for _ in range(int(rng.integers(1, 3))):
        wide = int(rng.choice([2, 5, 16, 33, 64]))
        if rng.random() < 0.3:
            tables.append({"kind": "dropout", "p": f32(rng.uniform(0.1, 0.6))})
        tables.append({"kind": "linear", "out": wide, "bias": bool(rng.random() < 0.6)})
        if rng.random() < 0.25:
            tables.append(
                {
                    "kind": "residual",
                    "connect": one_of(rng, "ADD", "AND", "IAND"),
                    "neuron": neuron_table(rng),
                }
            )
        else:
            if rng.random() < 0.3:
                tables.append({"kind": "batch_norm"})
            tables.append(recurrent_table(rng) if rng.random() < 0.2 else neuron_table(rng))
    loss = one_of(rng, "rate_mse", "rate_cross_entropy", "count_mse", "count_cross_entropy", "tet")
    if rng.random() < 0.3:
        tables += [
            {"kind": "linear", "out": 6, "bias": True},
            {"kind": "li", "options": draw_readout(rng, "li")["options"]},
        ]
        loss = one_of(rng, "membrane_mse", "membrane_cross_entropy", "tet")
    elif rng.random() < 0.3:
        tables += [
            {"kind": "linear", "out": 12, "bias": False},
            neuron_table(rng),
            {"kind": "voting", "size": 3},
        ]
    case: Case = {
        "kind": kind,
        "seed": int(rng.integers(1 << 31)),
        "cut": {},
        "tables": tables,
        "features": features,
        "loss": loss,
    }
    case["sizes"] = {
        "T": int(rng.choice([1, 2, 4, 8, 12])),
        "N": int(rng.choice([2, 3, 5])),
        "S": int(rng.integers(1, 5)),
    }
    case["x"] = one_of(rng, "spikes", "spikes", "normal")
    case["optimizer"] = one_of(rng, "sgd", "adam", "adamw")
    return case


class Net:
    """The layers of a case in Volley, and their tables."""

    def __init__(self, case: Case):
        self.made: list[Any] = []
        self.tables: list[Table] = []
        self.parts: dict[int, list[Any]] = {}  # the branch of a residual block, by its place
        features = tuple(case["features"])
        for table in case["tables"]:
            layer = self.make(table, features)
            self.made.append(layer)
            self.tables.append(table)
            features = tuple(layer.output_shape(list(features)))
        self.net = volley.Sequential(*self.made)
        self.features = features

    def make(self, table: Table, features: tuple[int, ...]) -> Any:
        kind = table["kind"]
        if kind in CLASSES:
            return volley_neuron(kind, table["options"], features)
        if kind == "conv2d":
            k, s = table["kernel"], table["stride"]
            return volley.Conv2d(features[0], table["out"], k, stride=s, padding=k // 2, bias=table["bias"])
        if kind == "linear":
            return volley.Linear(features[0], table["out"], bias=table["bias"])
        if kind == "recurrent":
            inner = volley_neuron(table["neuron"]["kind"], table["neuron"]["options"], features)
            return volley.Recurrent(features[0], feedback=table["feedback"], neuron=inner)
        if kind == "residual":
            wide = features[0]
            neuron = volley_neuron(table["neuron"]["kind"], table["neuron"]["options"], features)
            branch = [volley.Linear(wide, wide, bias=True), neuron]
            self.parts[len(self.made)] = branch
            return volley.Residual(volley.Sequential(*branch), connect=table["connect"])
        simple: dict[str, Callable[[], Any]] = {
            "batch_norm": lambda: volley.BatchNorm(features[0]),
            "max_pool2d": lambda: volley.MaxPool2d(2),
            "avg_pool2d": lambda: volley.AvgPool2d(2),
            "flatten": volley.Flatten,
            "dropout": lambda: volley.Dropout(table["p"]),
            "voting": lambda: volley.Voting(table["size"]),
            "li": lambda: volley.LI(**table["options"]),
        }
        return simple[kind]()


def initialize(net: Net, case: Case) -> None:
    """Weights at which neurons fire: the mean is positive."""
    values = {}
    for name, p in net.net.parameters().items():
        rng = generator(case, f"initial {name}")
        if name.endswith("weight") and p.ndim > 1:
            values[name] = (
                rng.normal(size=p.shape) * 2.0 / np.sqrt(np.prod(p.shape[1:])) + 0.3 / np.prod(p.shape[1:])
            ).astype(np.float32)
        elif name.endswith("bias"):
            values[name] = (rng.normal(size=p.shape) * 0.3 + 0.2).astype(np.float32)
        else:
            values[name] = p + (rng.normal(size=p.shape) * 0.1).astype(np.float32)
    net.net.set_parameters(values)


class Walk:
    """The equations' pass through a network. The spikes of a layer are Volley's, from the layers up to it."""

    def __init__(self, net: Net, x: Array, arguments: Options):
        self.net, self.x, self.arguments = net, x, arguments
        self.parameters = {k: v.astype(np.float64) for k, v in net.net.parameters().items()}
        self.buffers = net.net.buffers()
        self.spikes: list[SpikeCheck] = []
        self.reals: list[Check] = []
        self.statistics: dict[str, layers.Statistics] = {}
        self.facts: list[str] = []

    def seen(self, *made: Any) -> Array:
        return volley.Sequential(*made).forward(self.x, **self.arguments)[0]

    def run(self) -> tuple[Bounded, Callable[[Bounded], dict[str, Bounded]]]:
        y = Bounded(self.x)
        backs: list[tuple[str, layers.Backward]] = []
        for i, table in enumerate(self.net.tables):
            y, back = self.layer(i, table, y)
            backs.append((f"{i}.", back))

        def backward(dy: Bounded) -> dict[str, Bounded]:
            gradients: dict[str, Bounded] = {}
            for prefix, back in reversed(backs):
                dy, own = back(dy)
                gradients |= {prefix + name: g for name, g in own.items()}
            return gradients

        return y, backward

    def of(self, prefix: str) -> dict[str, Bounded]:
        return {
            k.removeprefix(prefix): Bounded(v) for k, v in self.parameters.items() if k.startswith(prefix)
        }

    def layer(self, i: int, table: Table, y: Bounded) -> layers.Layer:
        kind, p, before = table["kind"], self.of(f"{i}."), self.net.made[:i]
        if kind in CLASSES:
            return self.neuron(f"{i}.", table, y, self.seen(*before, self.net.made[i]))
        if kind == "linear":
            return layers.linear(y, p)
        if kind == "recurrent":
            s = self.seen(*before, self.net.made[i])
            return self.neuron(f"{i}.neuron.", table["neuron"], y, s, p["weight"])
        if kind == "conv2d":
            k, s = table["kernel"], table["stride"]
            o = {"stride": (s, s), "padding": (k // 2, k // 2), "dilation": (1, 1), "groups": 1}
            return layers.conv2d(y, p, o)
        if kind == "residual":
            return self.residual(i, table, y)
        if kind == "batch_norm":
            out, back, st = layers.batch_norm(y, p, f32(1e-5), None)
            self.statistics[f"{i}."] = st
            return out, back
        if kind == "dropout":
            return self.dropout(i, table, y)
        if kind in ("max_pool2d", "avg_pool2d"):
            o = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0)}
            return (layers.max_pool if kind == "max_pool2d" else layers.avg_pool)(y, o)
        if kind == "voting":
            return layers.voting(y, table["size"])
        if kind == "li":
            return layers.li(y, table["options"]["tau"], table["options"]["decay_input"])
        shape = y.shape
        return y.reshape(*shape[:2], -1), lambda dy: (dy.reshape(*shape), {})

    def neuron(
        self, prefix: str, table: Table, x: Bounded, s: Array, weight: Bounded | None = None
    ) -> layers.Layer:
        kind, o = table["kind"], table["options"]
        kept = {k.removeprefix(prefix): v for k, v in self.buffers.items() if k.startswith(prefix)}
        values = {name: p.value for name, p in self.of(prefix).items()} | kept
        p = {name: Bounded(shaped(v, x.shape[2:])) for name, v in values.items()}
        steps = Pass(NEURONS[kind](o), o["surrogate"], x, s, p, weight)
        self.spikes.append(SpikeCheck(f"{prefix} spikes", s, steps.u, o["fires_at_threshold"]))
        learned = self.of(prefix)

        def backward(ds: Bounded) -> tuple[Bounded, layers.Gradients]:
            dx, gradients = steps.backward(ds)
            own = {name: g.reshape(*learned[name].shape) for name, g in gradients.items() if name in learned}
            if weight is None:
                return dx, own
            return dx, {f"neuron.{name}": g for name, g in own.items()} | {"weight": gradients["weight"]}

        return Bounded(s), backward

    def residual(self, i: int, table: Table, x: Bounded) -> layers.Layer:
        linear, neuron = self.net.parts[i]
        prefix = f"{i}.branch."
        inner, inner_back = layers.linear(x, self.of(prefix + "0."))
        s = self.seen(*self.net.made[:i], linear, neuron)
        b, neuron_back = self.neuron(prefix + "1.", table["neuron"], inner, s)
        y, back = layers.join(b, x, table["connect"])

        def backward(dy: Bounded) -> tuple[Bounded, layers.Gradients]:
            db, ds = back(dy)
            di, own = neuron_back(db)
            dx, more = inner_back(di)
            gradients = {f"branch.1.{k}": v for k, v in own.items()} | {
                f"branch.0.{k}": v for k, v in more.items()
            }
            return dx + ds, gradients

        return y, backward

    def dropout(self, i: int, table: Table, x: Bounded) -> layers.Layer:
        features = int(np.prod(x.shape[2:]))
        a = self.arguments
        mask = dropout_mask(table["p"], a["seed"], a["epoch"], np.arange(x.shape[1]), features, i + 1)
        mask = mask.reshape(x.shape[1:])
        got = self.seen(*self.net.made[: i + 1])
        shown = x.value != 0
        if x.bound.max(initial=0) == 0 and not np.array_equal(
            (got != 0)[shown], np.broadcast_to(mask != 0, x.shape)[shown]
        ):
            self.facts.append(f"{i}. the mask is not that of its address")
        return layers.masked(x, mask)


LOSS_OPTIONS: dict[str, Options] = {
    "rate_mse": {"scale": 1.0},
    "rate_cross_entropy": {"label_smoothing": f32(0.1)},
    "count_mse": {"scale": f32(0.2), "correct_rate": f32(0.9), "incorrect_rate": f32(0.1)},
    "count_cross_entropy": {"label_smoothing": 0.0},
    "membrane_mse": {"scale": 1.0, "readout": "last"},
    "membrane_cross_entropy": {"label_smoothing": 0.0, "readout": "mean"},
    "tet": {"lamb": f32(0.05), "means": 1.0, "label_smoothing": 0.0},
}
OPTIMIZERS: dict[str, tuple[str, float, Options]] = {
    "sgd": ("Sgd", f32(0.05), {"momentum": f32(0.9), "weight_decay": f32(0.01), "nesterov": True}),
    "adam": (
        "Adam",
        f32(0.01),
        {"beta1": f32(0.9), "beta2": f32(0.999), "eps": f32(1e-8), "weight_decay": f32(0.01)},
    ),
    "adamw": (
        "AdamW",
        f32(0.01),
        {"beta1": f32(0.9), "beta2": f32(0.999), "eps": f32(1e-8), "weight_decay": f32(0.1)},
    ),
}


def run(case: Case) -> Outcome:
    net = Net(case)
    initialize(net, case)
    name, lr, o = OPTIMIZERS[case["optimizer"]]
    optimizer = getattr(volley, name)(lr=lr, **o)
    first = {k: v.astype(np.float64) for k, v in net.net.parameters().items()}
    ours = {k: training.Optimizer(case["optimizer"], o, v) for k, v in first.items()}
    loss = getattr(volley, training.LOSSES[case["loss"]][0])(**LOSS_OPTIONS[case["loss"]])
    outcome = Outcome(peer_skipped="network: its layers have peers one by one")
    batches = 0
    for step in range(size(case, "S")):
        batches += 1
        one_step(case, step, net, loss, outcome, batches)
        g = net.net.gradients()
        optimizer.step(net.net)
        after = net.net.parameters()
        for k, mine in ours.items():
            mine.step(Bounded(g[k].astype(np.float64)), lr)
            outcome.checks.append(Check(f"step {step}: {k} after it", after[k], mine.w))
    return outcome


def one_step(case: Case, step: int, net: Net, loss: Any, outcome: Outcome, batches: int) -> None:
    T, N = size(case, "T"), size(case, "N")
    full = {
        **case,
        "seed": case["seed"] + step,
        "sizes": {"T": case["sizes"]["T"], "N": case["sizes"]["N"], "F": int(np.prod(case["features"]))},
    }
    x = array(full, "x", "TNF", case["x"], 1.0, 0.3).reshape(T, N, *case["features"])
    x = x.astype(np.uint8) if case["x"] == "spikes" else x
    arguments = {"training": True, "seed": case["seed"], "epoch": step}
    walk = Walk(net, x, arguments)
    given = net.net.parameters() | net.net.buffers()
    want_y, backward = walk.run()
    y, tape = net.net.forward(x, **arguments)
    labels = generator(full, "labels").integers(0, y.shape[2], case["sizes"]["N"])[
        slice(*case["cut"].get("N", (0, N)))
    ]
    value, scores = loss.forward(y, labels)
    dy = loss.backward(y, labels, scores)
    net.net.zero_gradients()
    net.net.backward(tape, dy, needs_input_gradient=False)
    want, _, want_dy = training.loss(case["loss"], LOSS_OPTIONS[case["loss"]], want_y, labels)
    gradients = backward(want_dy)
    if step == 0:
        outcome.passed = Passed(net.net, given, arguments, x, y, dy, None, {}, [], tape)
    at = f"step {step}: "
    outcome.facts += [at + fact for fact in walk.facts]
    for spikes in walk.spikes:
        spikes.name = at + spikes.name
    outcome.checks += walk.spikes
    outcome.checks += [
        Check(at + "y", y, want_y),
        Check(at + "loss", np.asarray(value), want),
        Check(at + "dy", dy, want_dy),
    ]
    got = net.net.gradients()
    outcome.checks += [Check(f"{at}d{k}", got[k], gradients[k].reshape(*got[k].shape)) for k in got]
    after = net.net.buffers()
    for prefix, st in walk.statistics.items():
        before = (walk.buffers[prefix + "running_mean"], walk.buffers[prefix + "running_var"])
        if st.m > 1:
            right = layers.running_after(st, before, f32(0.1), batches)
            outcome.checks += [
                Check(at + prefix + k, after[prefix + k], a)
                for k, a in zip(("running_mean", "running_var"), right, strict=True)
            ]
