"""Random cases of neurons, alone and recurrent, and of surrogates."""

from __future__ import annotations

from typing import Any

import numpy as np

import volley

from . import layers, peers
from .bounded import UNIT, Array, Bounded, constant, exactly, sigmoid, stack
from .case import Case, Check, Outcome, Passed, SpikeCheck, array, f32, passed_through, size, sizes, with_axis
from .neurons import NEURONS, Pass, leaky
from .surrogates import SURROGATES, derivative

Options = dict[str, Any]
Rng = np.random.Generator

CLASSES = {
    "if": "IF",
    "lif": "LIF",
    "plif": "PLIF",
    "qif": "QIF",
    "eif": "EIF",
    "izhikevich": "Izhikevich",
    "cuba_lif": "CUBALIF",
    "alif": "ALIF",
    "klif": "KLIF",
    "glif": "GLIF",
}
PARALLEL = {"psn": "PSN", "masked_psn": "MaskedPSN", "sliding_psn": "SlidingPSN"}


def one_of(rng: Rng, *choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def picked(rng: Rng, **sizes: list[int]) -> dict[str, int]:
    """One size of each list, by its axis."""
    return {axis: int(rng.choice(choices)) for axis, choices in sizes.items()}


def number(rng: Rng, low: float, high: float, *edges: float) -> float:
    """Uniform, or one of the edges in one case of four."""
    if edges and rng.random() < 0.25:
        return f32(one_of(rng, *edges))
    return f32(rng.uniform(low, high))


def draw_tau(rng: Rng) -> float:
    return number(
        rng, 1.1, 20, 2.0, 4.0, 100.0, 1e4, 1.001, float(np.nextafter(np.float32(1), np.float32(2)))
    )


def draw_surrogate(rng: Rng) -> Options:
    kind = one_of(rng, *SURROGATES)
    o: Options = {"kind": kind}
    edges = (1.0, 2.0, 5.0, 25.0, 100.0, 1e-3, 1e3, 1e-6, 1e6)
    for name in SURROGATES[kind][3]:
        if name in ("leak", "c"):
            o[name] = number(rng, -0.5, 1, 0.0)
        elif name == "alpha" and kind == "log_tailed_relu":
            o[name] = number(rng, -0.5, 1, 0.0)
        elif name == "alpha" and kind == "q_pseudo_spike":
            o[name] = number(rng, 1.1, 8, 2.0, 1.001, 50.0)
        else:
            o[name] = number(rng, 0.1, 6, *edges)
    return o


def triangle(x: Array) -> Array:
    """A derivative given as a function: PiecewiseQuadratic's at alpha = 1."""
    return np.maximum(np.float32(0), 1 - np.abs(x))


def surrogate_object(o: Options) -> Any:
    if o["kind"] == "custom":
        return triangle
    return getattr(volley, SURROGATES[o["kind"]][1])(**{k: v for k, v in o.items() if k != "kind"})


def draw_neuron(rng: Rng, kind: str, exact: bool = False) -> Options:
    o: Options = {"surrogate": draw_surrogate(rng), "detach_reset": bool(rng.random() < 0.4)}
    o["fires_at_threshold"] = bool(rng.random() < 0.8)
    if kind == "glif":
        gates = ("alpha", "beta", "gamma", "tau", "v_threshold", "linear_decay", "v_subreset", "conduct")
        for name in gates:
            o[name] = number(rng, 0.05, 0.95, 0.5, 1e-4, 0.9999)
        return o | {"per": one_of(rng, "layer", "channel", "neuron")}
    o["v_reset"] = one_of(rng, None, 0.0, f32(rng.uniform(-1, 0.5)), 0.5, f32(rng.uniform(-0.5, 2)))
    o["v_threshold"] = number(rng, 0.2, 2, 1.0, 1.0, 0.0, -0.5, 100.0, 1e-6)
    if kind in ("lif", "alif", "klif"):
        o |= {"tau": draw_tau(rng), "decay_input": bool(rng.random() < 0.6)}
    if kind == "plif":
        o |= {"init_tau": draw_tau(rng), "decay_input": bool(rng.random() < 0.6)}
        o |= {"learn_tau": bool(rng.random() < 0.8), "learn_threshold": bool(rng.random() < 0.5)}
        o |= {"per": one_of(rng, "layer", "channel", "neuron")}
    if kind in ("qif", "izhikevich"):
        o |= {"tau": draw_tau(rng), "v_c": number(rng, -0.5, 1.5, 0.8), "a0": number(rng, 0.05, 2, 1.0, 1e-3)}
        o |= {"v_rest": number(rng, -0.5, 0.5, 0.0)}
    if kind == "izhikevich":
        o |= {"w_rest": number(rng, -0.3, 0.3, 0.0), "tau_w": number(rng, 1, 10, 1.0, 2.0, 1e3)}
        o |= {"a": number(rng, -0.5, 1, 0.0), "b": number(rng, -0.5, 1, 0.0)}
    if kind == "eif":
        o |= {
            "tau": draw_tau(rng),
            "delta_T": number(rng, 0.1, 3, 1.0, 0.02),
            "theta_rh": number(rng, 0, 1.5, 0.8),
        }
        o |= {"v_rest": number(rng, -0.5, 0.5, 0.0)}
    if kind == "cuba_lif":
        o |= {"c_decay": number(rng, 0, 1, 0.0, 1.0, 0.5), "v_decay": number(rng, 0, 1, 0.0, 1.0, 0.75)}
    if kind == "alif":
        o |= {"tau_a": number(rng, 1, 200, 1.0, 100.0, 1e4), "beta": number(rng, -0.5, 2, 1.8, 0.0)}
    if kind == "klif":
        o |= {"scale_reset": bool(rng.random() < 0.5), "k": number(rng, 0.2, 2, 1.0, 1e-2, -0.5)}
    return make_exact(rng, kind, o) if exact else o


def make_exact(rng: Rng, kind: str, o: Options) -> Options:
    """Options of few binary digits: some steps in float32 are exact, and a potential may be the threshold."""
    o |= {"v_threshold": one_of(rng, 0.5, 1.0, 1.25), "v_reset": one_of(rng, None, 0.0, -0.25, 0.5)}
    exact = {"tau": 2.0, "init_tau": 2.0, "c_decay": 0.5, "v_decay": 0.5, "tau_a": 2.0, "beta": 1.5, "k": 1.0}
    exact |= {"scale_reset": False, "per": "layer"}
    return o | {name: value for name, value in exact.items() if name in o}


EXACT_KINDS = ("if", "lif", "cuba_lif", "alif", "klif")


def draw_sizes(rng: Rng, exact: bool = False) -> dict[str, int]:
    T = int(rng.integers(1, 7)) if exact else int(rng.choice([1, 2, 3, 4, 5, 8, 13, 16, 25, 40]))
    N = int(rng.choice([1, 1, 2, 3, 5]))
    if rng.random() < 0.6:
        F = int(rng.choice([1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 300]))
        return {"T": T, "N": N, "C": F}
    return {
        "T": T,
        "N": N,
        "C": int(rng.integers(1, 9)),
        "H": int(rng.integers(1, 7)),
        "W": int(rng.integers(1, 7)),
    }


INPUTS = ("normal",) * 12 + (
    "mixed",
    "constant",
    "sparse",
    "binary",
    "tiny",
    "subnormal",
    "huge",
    "enormous",
    "odd",
    "nan",
    "inf",
)
COTANGENTS = ("normal",) * 12 + ("constant", "sparse", "zero", "tiny", "huge", "spikes")


def draw(rng: Rng, kind: str) -> Case:
    exact = kind in EXACT_KINDS and rng.random() < 0.15
    case: Case = {"kind": kind, "seed": int(rng.integers(1 << 31)), "cut": {}, "exact": exact}
    case["options"] = draw_neuron(rng, kind, exact)
    case["sizes"] = draw_sizes(rng, exact)
    case["x"] = "dyadic" if exact else one_of(rng, *INPUTS)
    case["dy"] = one_of(rng, *COTANGENTS)
    gain = 1.0
    o = case["options"]
    if o.get("decay_input", kind in ("qif", "eif", "izhikevich")):
        gain = min(o.get("tau", o.get("init_tau", 2.0)), 30.0)
    threshold = abs(o["v_threshold"]) if abs(o["v_threshold"]) > 0.1 else 1.0
    case["mean"] = float(gain * threshold * rng.uniform(-0.1, 0.8))
    case["scale"] = float(gain * threshold * rng.uniform(0.1, 1.2))
    return case


def draw_recurrent(rng: Rng, _: str) -> Case:
    kind = one_of(rng, *CLASSES)
    case = draw(rng, kind)
    case |= {
        "kind": "recurrent",
        "neuron": kind,
        "exact": False,
        "feedback": one_of(rng, "linear", "element_wise"),
    }
    case["sizes"] = {
        "T": min(case["sizes"]["T"], 16),
        "N": case["sizes"]["N"],
        "C": int(rng.choice([1, 2, 3, 8, 17, 40])),
    }
    if case["x"] == "dyadic":
        case["x"] = "normal"
    return case


def axes(case: Case) -> str:
    return "TNCHW" if "H" in case["sizes"] else "TNC"


def volley_neuron(kind: str, options: Options, features: tuple[int, ...]) -> Any:
    o = dict(options) | {"surrogate": surrogate_object(options["surrogate"])}
    o.pop("k", None)
    per = o.pop("per", None)
    if per is not None:
        o["channels"] = {"layer": 0, "channel": features[0], "neuron": int(np.prod(features))}[per]
    return getattr(volley, CLASSES[kind])(**o)


def parameters_for(kind: str, case: Case, names: dict[str, Array]) -> dict[str, Array]:
    """Values around the layer's first ones, of its shapes."""
    o, result = case["options"], {}
    for name, first in names.items():
        axis = {"channel": "C", "neuron": axes(case)[2:]}.get(o.get("per", ""), "")
        around = array(case, f"parameter {name}", axis, "normal", 0.3).reshape(first.shape)
        with np.errstate(over="ignore"):
            result[name] = (first + (around if kind in ("plif", "glif") else 0)).astype(np.float32)
        if kind == "klif":
            result[name] = np.full_like(first, o["k"])
    return result


def features_of(case: Case) -> tuple[int, ...]:
    return sizes(case, axes(case)[2:])


def shaped(p: Array, features: tuple[int, ...]) -> Array:
    """A parameter in the shape that broadcasts over the features."""
    ones = (1,) * (len(features) - 1)
    shape = (1, *ones) if p.size == 1 else (-1, *ones) if p.size == features[0] else features
    return p.reshape(shape).astype(np.float64)


def given_to(layer: Any, kind: str, case: Case, prefix: str = "") -> dict[str, Array]:
    """Draws and sets the neuron's parameters and buffers; returns them by name without the prefix."""
    learned = {k.removeprefix(prefix): v for k, v in layer.parameters().items() if k.startswith(prefix)}
    kept = {k.removeprefix(prefix): v for k, v in layer.buffers().items() if k.startswith(prefix)}
    learned.pop("weight" if prefix else "", None)
    values = parameters_for(kind, case, learned | kept)
    others = {k: v for k, v in layer.parameters().items() if not k.startswith(prefix)}
    layer.set_parameters(others | {prefix + name: values[name] for name in learned})
    layer.set_buffers({prefix + name: values[name] for name in kept})
    return values


SIGMOID_CANCELS = "sigmoid, s2nn: the peer's derivative cancels"


def sigmoid_cancels(surrogate: Options, u: Bounded) -> bool:
    """Whether SpikingJelly's alpha s (1 - s) cancels: s near 1 loses exp(alpha |u|) roundings of float64."""
    return surrogate["kind"] in ("sigmoid", "s2nn") and bool(np.any(surrogate["alpha"] * np.abs(u.value) > 8))


def run(case: Case) -> Outcome:
    kind, o = case["kind"], case["options"]
    layer = volley_neuron(kind, o, features_of(case))
    values = given_to(layer, kind, case)
    x = array(case, "x", axes(case), case["x"], case["scale"], case["mean"])
    dy = array(case, "dy", axes(case), case["dy"])
    return neuron_outcome(case, kind, o, passed_through(layer, x, lambda _: dy), values)


def neuron_outcome(
    case: Case,
    kind: str,
    o: Options,
    passed: Passed,
    values: dict[str, Array],
    weight: Array | None = None,
) -> Outcome:
    x, s, dy = passed.x, passed.y, passed.dy
    prefix = "neuron." if weight is not None else ""
    got = {k.removeprefix(prefix): a for k, a in passed.gradients.items()}
    shaped_values = {name: shaped(a, features_of(case)) for name, a in values.items()}
    p = {name: Bounded(a) for name, a in shaped_values.items()}
    bounded_weight = None if weight is None else Bounded(weight)
    if case["exact"]:
        with exactly():
            u = Pass(NEURONS[kind](o), o["surrogate"], Bounded(x), s, p).u
    steps = Pass(NEURONS[kind](o), o["surrogate"], Bounded(x), s, p, bounded_weight)
    want, gradients = steps.backward(Bounded(dy))
    u = u if case["exact"] else steps.u
    checks = [SpikeCheck("s", s, u, o["fires_at_threshold"]), Check("dx", passed.dx, want)]
    outcome = Outcome(checks, passed=passed)
    for name, g in gradients.items():
        if name in got:
            inner = prefix if name != "weight" else ""
            outcome.checks.append(Check(f"d{inner}{name}", got[name].reshape(g.shape), g))
    for check in outcome.checks[1:] if kind in ("plif", "glif") else ():
        # SpikingJelly computes 1 - sigmoid(w), which loses exp(w) roundings; Volley sigmoid(-w)
        raw = [values["w"]] if kind == "plif" else list(values.values())
        check.peer *= 1 + float(np.exp(max(float(v.max()) for v in raw)))
    if sigmoid_cancels(o["surrogate"], steps.u):
        outcome.peer_skipped = SIGMOID_CANCELS
        return outcome
    if weight is not None and weight.ndim == 2 and not np.isfinite(x).all():
        outcome.peer_skipped = "recurrent, linear: the peer multiplies NaN and infinity by zeros"
        return outcome
    try:
        if weight is None:
            outcome.peer = peers.neuron_pass(kind, o, x, s, dy, shaped_values)
        else:
            theirs = peers.recurrent_pass(kind, o, x, s, dy, shaped_values, weight)
            outcome.peer = {
                k if k in ("dx", "dweight") else f"d{prefix}{k[1:]}": a for k, a in theirs.items()
            }
    except peers.Unmatched as why:
        outcome.peer_skipped = str(why).split(":")[0]
    return outcome


def run_recurrent(case: Case) -> Outcome:
    kind, o = case["neuron"], case["options"]
    neuron = volley_neuron(kind, o, features_of(case))
    layer = volley.Recurrent(size(case, "C"), feedback=case["feedback"], neuron=neuron)
    values = given_to(layer, kind, case, "neuron.")
    square = case["feedback"] == "linear"
    full = with_axis(case, D="C")
    weight = array(
        full,
        "weight",
        "CD" if square else "C",
        "normal",
        0.5 / np.sqrt(case["sizes"]["C"]) if square else 0.5,
    )
    layer.set_parameters(layer.parameters() | {"weight": weight})
    x = array(case, "x", "TNC", case["x"], case["scale"], case["mean"])
    dy = array(case, "dy", "TNC", case["dy"])
    return neuron_outcome(case, kind, o, passed_through(layer, x, lambda _: dy), values, weight)


def draw_parallel(rng: Rng, kind: str) -> Case:
    case: Case = {"kind": kind, "seed": int(rng.integers(1 << 31)), "cut": {}}
    case["sizes"] = draw_sizes(rng)
    o: Options = {"surrogate": draw_surrogate(rng)}
    if kind != "psn":
        o["k"] = int(rng.integers(1, case["sizes"]["T"] + 3))
    if kind == "masked_psn":
        o["lambda_init"] = number(rng, 0, 1, 0.0, 1.0)
    case |= {"options": o, "x": one_of(rng, *INPUTS), "dy": one_of(rng, *COTANGENTS)}
    case |= {"mean": float(rng.uniform(-0.5, 1)), "scale": float(rng.uniform(0.2, 2))}
    return case


def run_parallel(case: Case) -> Outcome:
    kind, o = case["kind"], case["options"]
    more = {"surrogate": surrogate_object(o["surrogate"])}
    more |= {"steps": size(case, "T")} if kind != "sliding_psn" else {}
    more |= {name: o[name] for name in ("k", "lambda_init") if name in o}
    layer = getattr(volley, PARALLEL[kind])(**more)
    full = with_axis(case, U="T")
    full["sizes"] |= {"K": o.get("k", 1), "1": 1}
    sliding = kind == "sliding_psn"
    values = {
        "weight": array(full, "weight", "K" if sliding else "TU", "normal", 1 / np.sqrt(size(case, "T"))),
        "bias": array(full, "bias", "1" if sliding else "T", "normal", 0.3, -0.3),
    }
    layer.set_parameters({name: v.reshape(layer.parameters()[name].shape) for name, v in values.items()})
    x = array(case, "x", axes(case), case["x"], case["scale"], case["mean"])
    dy = array(case, "dy", axes(case), case["dy"])
    passed = passed_through(layer, x, lambda _: dy)
    s = passed.y
    h, back = layers.parallel(Bounded(x), {name: Bounded(v) for name, v in values.items()}, kind, o)
    want, gradients = back(Bounded(dy) * derivative(o["surrogate"], h))  # (Y5)
    outcome = Outcome([SpikeCheck("s", s, h, True), Check("dx", passed.dx, want)], passed=passed)
    got = passed.gradients
    outcome.checks += [Check(f"d{name}", got[name].reshape(g.shape), g) for name, g in gradients.items()]
    if sigmoid_cancels(o["surrogate"], h):
        outcome.peer_skipped = SIGMOID_CANCELS
    else:
        outcome.peer = peers.parallel_pass(kind, o, x, s, dy, values)
    return outcome


def draw_surrogate_case(rng: Rng, kind: str) -> Case:
    """g itself, by an IF with T = 1 and v_threshold = 0: dx = dy g(x)."""
    case: Case = {"kind": kind, "seed": int(rng.integers(1 << 31)), "cut": {}, "exact": False}
    case["options"] = {"surrogate": draw_surrogate(rng), "detach_reset": False, "fires_at_threshold": True}
    case["options"] |= {"v_reset": 0.0, "v_threshold": 0.0}
    case["sizes"] = {"T": 1, "N": 1, "C": 300}
    case |= {
        "x": one_of(rng, "normal", "mixed", "mixed", "tiny", "subnormal", "huge", "enormous", "odd"),
        "dy": "constant",
    }
    case |= {"mean": 0.0, "scale": float(10.0 ** rng.uniform(-2, 2))}
    return case


def run_surrogate(case: Case) -> Outcome:
    return run({**case, "kind": "if"})


def draw_readout(rng: Rng, kind: str) -> Case:
    case: Case = {"kind": kind, "seed": int(rng.integers(1 << 31)), "cut": {}, "sizes": draw_sizes(rng)}
    o: Options = {"tau": draw_tau(rng)}
    if kind == "li":
        o["decay_input"] = bool(rng.random() < 0.5)
    else:
        o |= {"v_threshold": number(rng, 0, 2, 1.0), "v_reset": number(rng, -1, 1, 0.0)}
    case |= {"options": o, "x": one_of(rng, *INPUTS), "dy": one_of(rng, *COTANGENTS)}
    return case | {"mean": float(rng.uniform(-1, 2)), "scale": float(rng.uniform(0.2, 3))}


def soft_lif(x: Bounded, o: Options) -> tuple[Bounded, Any]:
    """(A2), (A6), (A7)"""
    k, keep = constant(1 / o["tau"]), constant(1 - 1 / o["tau"])
    rest = o["v_reset"]
    v = Bounded(np.full(x.shape[1:], rest))
    kept = []
    for t in range(x.shape[0]):
        h = leaky(v, x[t], k, keep, rest, True)
        p = sigmoid(h - o["v_threshold"])
        kept.append((h, p))
        v = (1.0 - p) * h + p * rest
        # p is a function of h, so the error of v is |dv/dh| times that of h, and 4 roundings
        slope = (1.0 - p) + (rest - h) * (p * (1.0 - p))
        v = Bounded(
            v.value,
            np.minimum(
                v.bound,
                np.abs(slope.value) * h.bound
                + 4 * UNIT * (np.abs(h.value) + abs(rest))
                + np.abs(h.value - rest) * (p.bound - np.minimum(p.bound, (p * (1.0 - p)).value * h.bound)),
            ),
        )

    def backward(dp: Bounded) -> Bounded:
        dx: list[Bounded] = []
        dv = Bounded(np.zeros(dp.shape[1:]))  # 0 x an infinite factor is NaN
        for t in reversed(range(dp.shape[0])):
            h, p = kept[t]
            g = p * (1.0 - p)
            dh = dp[t] * g + dv * ((1.0 - p) + (rest - h) * g)
            dx.append(k * dh)
            dv = keep * dh
        return stack(dx[::-1])

    return stack([p for _, p in kept]), backward


def run_readout(case: Case) -> Outcome:
    kind, o = case["kind"], case["options"]
    layer = (volley.LI if kind == "li" else volley.SoftLIF)(**o)
    x = array(case, "x", axes(case), case["x"], case["scale"], case["mean"])
    dy = array(case, "dy", axes(case), case["dy"])
    passed = passed_through(layer, x, lambda _: dy)
    if kind == "li":
        want, back = layers.li(Bounded(x), o["tau"], o["decay_input"])
        want_dx = back(Bounded(dy))[0]
    else:
        want, adjoint = soft_lif(Bounded(x), o)
        want_dx = adjoint(Bounded(dy))
    theirs = peers.readout_pass(kind, o, x, dy)
    return Outcome([Check("y", passed.y, want), Check("dx", passed.dx, want_dx)], theirs, passed=passed)
