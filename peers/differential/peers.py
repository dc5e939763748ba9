"""The values of SpikingJelly and torch in float64, with Volley's spikes.

The spikes replace the output of SpikingJelly's surrogate function. Charges, resets and derivatives are
its own.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from spikingjelly.activation_based import layer as sj_layer
from spikingjelly.activation_based import neuron, surrogate

from .surrogates import SURROGATES

Array = np.ndarray
Options = dict[str, Any]
Result = dict[str, Array]

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
warnings.filterwarnings("ignore")


class Unmatched(Exception):
    """SpikingJelly has no such neuron, or refuses these options."""


def tensor(a: Any, grad: bool = False) -> torch.Tensor:
    return torch.tensor(np.asarray(a), dtype=torch.float64).requires_grad_(grad)


def surrogate_of(o: Options) -> Any:
    if o["kind"] == "straight_through":
        return lambda x: x
    return getattr(surrogate, SURROGATES[o["kind"]][2])(**{k: v for k, v in o.items() if k != "kind"})


class Forced:
    """A surrogate function with given spikes: step by step, or all at once."""

    def __init__(self, o: Options, s: Array, at_once: bool = False):
        self.function, self.s, self.t, self.at_once = surrogate_of(o), tensor(s), 0, at_once

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        y = self.function(u)
        s = self.s.reshape(u.shape) if self.at_once else self.s[self.t].reshape(u.shape)
        self.t += 1
        return s + (y - y.detach())


NODES = {
    "if": "IFNode",
    "lif": "LIFNode",
    "plif": "ParametricLIFNode",
    "qif": "QIFNode",
    "eif": "EIFNode",
    "izhikevich": "IzhikevichNode",
    "cuba_lif": "CUBALIFNode",
    "klif": "KLIFNode",
}
OWN = (
    "tau",
    "decay_input",
    "v_c",
    "a0",
    "v_rest",
    "delta_T",
    "theta_rh",
    "w_rest",
    "tau_w",
    "a",
    "b",
    "c_decay",
)
OWN += ("v_decay", "scale_reset", "init_tau")


def node_of(
    kind: str, o: Options, forced: Forced, parameters: dict[str, Array], step_mode: str
) -> tuple[Any, Result]:
    """The node, and its parameters by Volley's names."""
    if kind not in NODES:  # GatedLIFNode has no single step, so none in a recurrent container
        raise Unmatched(f"{kind} has no node for this")
    options = {name: o[name] for name in OWN if name in o}
    options |= {"v_threshold": o["v_threshold"], "v_reset": o["v_reset"], "detach_reset": o["detach_reset"]}
    options = {k: float(v) if isinstance(v, float) else v for k, v in options.items()}
    made = getattr(neuron, NODES[kind])
    known = inspect.signature(made.__init__).parameters
    # CUBALIFNode takes no detach_reset, but its attribute has an effect
    later = {name: options.pop(name) for name in ("detach_reset",) if name not in known}
    try:
        node = made(surrogate_function=forced, **options)
    except AssertionError as error:
        raise Unmatched(f"{kind} refuses these options: {error}") from error
    node.step_mode = step_mode
    for name, value in later.items():
        setattr(node, name, value)
    learned = {}
    for name, value in parameters.items():
        given = torch.nn.Parameter(tensor(value))
        if name == "v_threshold":
            object.__setattr__(node, "v_threshold", given)  # SpikingJelly's is a float
        else:
            setattr(node, name, given)
        learned[name] = given
    return node, learned


def neuron_pass(kind: str, o: Options, x: Array, s: Array, ds: Array, parameters: dict[str, Array]) -> Result:
    if kind == "glif":
        return glif_pass(o, x, s, ds, parameters)
    node, learned = node_of(kind, o, Forced(o["surrogate"], s), parameters, "m")
    node.train()
    x_seq = tensor(x, True)
    node(x_seq).backward(tensor(ds))
    return {"dx": x_seq.grad.numpy()} | gradients(learned)


def gradients(learned: dict[str, torch.Tensor]) -> Result:
    return {
        f"d{name}": (p.grad if p.grad is not None else torch.zeros_like(p)).numpy()
        for name, p in learned.items()
    }


def glif_pass(o: Options, x: Array, s: Array, ds: Array, parameters: dict[str, Array]) -> Result:
    if o["detach_reset"]:
        raise Unmatched("glif has no detach_reset")
    T, N = x.shape[:2]
    channels = parameters["alpha"].size
    wide = int(np.prod(x.shape[2:]))
    maps = (T, N, channels, wide // channels, 1) if channels > 1 else (T, N, 1, wide, 1)
    node = neuron.GatedLIFNode(
        T=T, inplane=channels, surrogate_function=Forced(o["surrogate"], s), step_mode="m"
    )
    learned = {}
    for name, value in parameters.items():
        raw = tensor(value.reshape(-1))
        given = torch.nn.Parameter(raw.expand(T, -1).clone() if name == "conduct" else raw)
        setattr(node, name, given)
        learned[name] = given
    x_seq = tensor(x.reshape(maps), True)
    node(x_seq).backward(tensor(ds.reshape(maps)))
    result = {"dx": x_seq.grad.numpy().reshape(x.shape)}
    for name, p in learned.items():
        g = p.grad.sum(0) if name == "conduct" else p.grad
        result[f"d{name}"] = g.numpy().reshape(parameters[name].shape)
    return result


def recurrent_pass(
    kind: str, o: Options, x: Array, s: Array, ds: Array, parameters: dict[str, Array], weight: Array
) -> Result:
    """LinearRecurrentContainer with the identity for x; ElementWiseRecurrentContainer with w y + x."""
    node, learned = node_of(kind, o, Forced(o["surrogate"], s), parameters, "s")
    x_seq = tensor(x, True)
    features = x.shape[-1]
    if weight.ndim == 2:
        net = sj_layer.LinearRecurrentContainer(node, features, features, bias=False, step_mode="m")
        w = torch.nn.Parameter(torch.cat([torch.eye(features), tensor(weight)], 1))
        net.rc.weight = w
    else:
        w = torch.nn.Parameter(tensor(weight))
        net = sj_layer.ElementWiseRecurrentContainer(node, lambda y, x: w * y + x, step_mode="m")
    net.train()
    net(x_seq).backward(tensor(ds))
    dw = w.grad.numpy() if w.grad is not None else np.zeros(w.shape)
    dw = dw[:, features:] if weight.ndim == 2 else dw
    return {"dx": x_seq.grad.numpy(), "dweight": dw} | gradients(learned)


def parallel_pass(
    kind: str, o: Options, x: Array, s: Array, ds: Array, parameters: dict[str, Array]
) -> Result:
    forced = Forced(o["surrogate"], s, at_once=True)
    if kind == "psn":
        node = neuron.PSN(x.shape[0], surrogate_function=forced)
    elif kind == "masked_psn":
        node = neuron.MaskedPSN(o["k"], x.shape[0], o["lambda_init"], forced, step_mode="m")
    else:
        node = neuron.SlidingPSN(o["k"], True, forced, step_mode="m")
    node.double()
    with torch.no_grad():
        node.weight.copy_(tensor(parameters["weight"]))
        node.bias.copy_(tensor(parameters["bias"]).reshape(node.bias.shape))
    x_seq = tensor(x, True)
    node(x_seq).backward(tensor(ds))
    return {
        "dx": x_seq.grad.numpy(),
        "dweight": node.weight.grad.numpy(),
        "dbias": node.bias.grad.numpy().reshape(parameters["bias"].shape),
    }


def steps(function: Any, x: torch.Tensor) -> torch.Tensor:
    """A function of samples (N, ...) on (T, N, ...)."""
    y = function(x.flatten(0, 1))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def layer_pass(kind: str, o: Options, x: Array, dy: Array, p: dict[str, Array]) -> Result:
    """Layers without neurons. p has the parameters, running_mean and running_var."""
    x_seq = tensor(x, True)
    q = {name: tensor(a, not name.startswith("running")) for name, a in p.items()}
    y = steps(lambda a: apply_layer(kind, o, a, q), x_seq) if kind != "voting" else None
    if kind == "voting":
        y = sj_layer.VotingLayer(o["voting_size"], step_mode="s")(x_seq.flatten(0, 1)).reshape(
            *x.shape[:2], -1
        )
    y.backward(tensor(dy))
    result = {"y": y.detach().numpy(), "dx": x_seq.grad.numpy()}
    for name, a in q.items():
        if a.requires_grad:
            result[f"d{name}"] = (a.grad if a.grad is not None else torch.zeros_like(a)).numpy()
        else:
            result[name] = a.detach().numpy()
    return result


def apply_layer(kind: str, o: Options, x: torch.Tensor, q: dict[str, torch.Tensor]) -> torch.Tensor:
    if kind == "linear":
        return F.linear(x, q["weight"], q.get("bias"))
    if kind == "conv2d":
        return F.conv2d(x, q["weight"], q.get("bias"), o["stride"], o["padding"], o["dilation"], o["groups"])
    if kind == "max_pool2d":
        return F.max_pool2d(x, o["kernel_size"], o["stride"], o["padding"])
    if kind == "avg_pool2d":
        return F.avg_pool2d(x, o["kernel_size"], o["stride"], o["padding"])
    if kind == "adaptive_avg_pool2d":
        return F.adaptive_avg_pool2d(x, o["output_size"])
    if kind in ("batch_norm", "td_batch_norm"):
        momentum = o["momentum"] if o["momentum"] is not None else 1 / (o["batches"] + 1)
        mean, var = q["running_mean"], q["running_var"]
        return F.batch_norm(x, mean, var, q.get("weight"), q.get("bias"), o["training"], momentum, o["eps"])
    raise Unmatched(kind)


def readout_pass(kind: str, o: Options, x: Array, dy: Array) -> Result:
    """LI, by the charge of SpikingJelly's NonSpikingLIFNode from 0; or the soft LIF, in torch."""
    x_seq = tensor(x, True)
    v, out = torch.full(x.shape[1:], o.get("v_reset", 0.0)), []
    for x_t in x_seq:
        if kind == "li":
            v = v + (x_t - v) / o["tau"] if o["decay_input"] else v - v / o["tau"] + x_t
            out.append(v)
            continue
        h = v + (x_t - (v - o["v_reset"])) / o["tau"]
        out.append(torch.sigmoid(h - o["v_threshold"]))
        v = (1 - out[-1]) * h + out[-1] * o["v_reset"]
    y = torch.stack(out)
    y.backward(tensor(dy))
    return {"y": y.detach().numpy(), "dx": x_seq.grad.numpy()}


def loss_pass(kind: str, o: Options, y: Array, labels: Array) -> Result:
    out = tensor(y, True)
    target = torch.tensor(np.asarray(labels), dtype=torch.int64)
    value = loss_value(kind, o, out, target)
    value.backward()
    return {"loss": value.detach().numpy(), "dy": out.grad.numpy()}


def loss_value(kind: str, o: Options, out: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    smoothing = o.get("label_smoothing", 0.0)
    if kind == "tet":
        entropies = sum(F.cross_entropy(y, labels, label_smoothing=smoothing) for y in out) / len(out)
        return (1 - o["lamb"]) * entropies + o["lamb"] * F.mse_loss(out, torch.full_like(out, o["means"]))
    scores = out.sum(0) if kind.startswith("count") else out.mean(0)
    if kind.startswith("membrane") and o["readout"] == "last":
        scores = out[-1]
    if kind.endswith("cross_entropy"):
        return F.cross_entropy(scores, labels, label_smoothing=smoothing)
    hot = F.one_hot(labels, scores.shape[1]).to(scores)
    if kind == "count_mse":
        hot = len(out) * (hot * o["correct_rate"] + (1 - hot) * o["incorrect_rate"])
    return o["scale"] * F.mse_loss(scores, hot)


def optimizer_of(kind: str, o: Options, weights: list[torch.Tensor], lr: float) -> Any:
    if kind == "sgd":
        return torch.optim.SGD(
            weights, lr, momentum=o["momentum"], weight_decay=o["weight_decay"], nesterov=o["nesterov"]
        )
    made = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    return made(weights, lr, (o["beta1"], o["beta2"]), o["eps"], o["weight_decay"])


def clip(weights: list[torch.Tensor], o: Options) -> None:
    if o["clip_norm"] is not None:
        torch.nn.utils.clip_grad_norm_(weights, o["clip_norm"])
    if o["clip_value"] is not None:
        torch.nn.utils.clip_grad_value_(weights, o["clip_value"])


def schedule_of(kind: str, o: Options, optimizer: Any) -> Any:
    from torch.optim import lr_scheduler as torch_schedules

    makers = {
        "constant": lambda: torch_schedules.ConstantLR(optimizer, factor=1.0),
        "step": lambda: torch_schedules.StepLR(optimizer, o["step_size"], o["gamma"]),
        "multi_step": lambda: torch_schedules.MultiStepLR(optimizer, o["milestones"], o["gamma"]),
        "exponential": lambda: torch_schedules.ExponentialLR(optimizer, o["gamma"]),
        "cosine": lambda: torch_schedules.CosineAnnealingLR(optimizer, o["T_max"], o["eta_min"]),
    }
    if o["warmup"] == 0:
        return makers[kind]()
    linear = torch_schedules.LinearLR(optimizer, o["warmup_start"], total_iters=o["warmup"])
    return torch_schedules.SequentialLR(optimizer, [linear, makers[kind]()], [o["warmup"]])
