"""The parts of a training that torch has itself: optimizers, schedules, clipping, losses."""

from __future__ import annotations

from typing import Any

Recipe = dict[str, Any]


class Unmatched(Exception):
    """The recipe asks for what the peer cannot do, or does in another way."""


def make_optimizer(table: Recipe, parameters: Any) -> Any:
    import torch

    if table.get("groups") or table.get("decay_only_weights"):
        raise Unmatched("groups of parameters")
    if table["kind"] == "adam":
        betas = (table["beta1"], table["beta2"])
        return torch.optim.Adam(parameters, table["lr"], betas, table["eps"], table["weight_decay"])
    if table["kind"] == "adamw":
        betas = (table["beta1"], table["beta2"])
        return torch.optim.AdamW(parameters, table["lr"], betas, table["eps"], table["weight_decay"])
    if table["kind"] == "sgd":
        return torch.optim.SGD(
            parameters,
            table["lr"],
            momentum=table["momentum"],
            weight_decay=table["weight_decay"],
            nesterov=table["nesterov"],
        )
    raise Unmatched(f"optimizer {table['kind']}")


def make_schedule(table: Recipe, optimizer: Any) -> Any:
    """The scheduler of a recipe's [schedule]; None where the learning rate stays."""
    from torch.optim import lr_scheduler

    makers = {
        "step": lambda: lr_scheduler.StepLR(optimizer, table["step_size"], table["gamma"]),
        "multi_step": lambda: lr_scheduler.MultiStepLR(optimizer, table["milestones"], table["gamma"]),
        "exponential": lambda: lr_scheduler.ExponentialLR(optimizer, table["gamma"]),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, table["T_max"], table["eta_min"]),
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0),
    }
    if table["kind"] not in makers:
        raise Unmatched(f"schedule {table['kind']}")
    if table["warmup"] == 0:
        return None if table["kind"] == "constant" else makers[table["kind"]]()
    if table["warmup_start"] == 0:
        raise Unmatched("a warm-up from 0")
    linear = lr_scheduler.LinearLR(optimizer, table["warmup_start"], total_iters=table["warmup"])
    return lr_scheduler.SequentialLR(optimizer, [linear, makers[table["kind"]]()], [table["warmup"]])


def clip(table: Recipe, parameters: Any) -> None:
    import torch

    if table.get("clip_norm", "none") != "none":
        torch.nn.utils.clip_grad_norm_(parameters, table["clip_norm"])
    if table.get("clip_value", "none") != "none":
        torch.nn.utils.clip_grad_value_(parameters, table["clip_value"])


def scores_of(table: Recipe, out: Any) -> Any:
    """What a prediction is made from, (N, K), of the output (T, N, K)."""
    if table["kind"].startswith("count_"):
        return out.sum(0)
    if table["kind"].startswith("membrane_") and table["readout"] == "last":
        return out[-1]
    return out.mean(0)


def loss_of(table: Recipe, out: Any, labels: Any) -> Any:
    """The loss of the output (T, N, K)."""
    import torch
    import torch.nn.functional as F

    kind = table["kind"]
    if table.get("class_weights", "none") != "none":
        raise Unmatched("class weights")
    smoothing = table.get("label_smoothing", 0.0)
    if kind == "tet":
        entropies = sum(F.cross_entropy(y, labels, label_smoothing=smoothing) for y in out) / len(out)
        regulariser = F.mse_loss(out, torch.full_like(out, table["means"]))
        return (1 - table["lamb"]) * entropies + table["lamb"] * regulariser
    scores = scores_of(table, out)
    if kind in ("rate_cross_entropy", "count_cross_entropy", "membrane_cross_entropy"):
        return F.cross_entropy(scores, labels, label_smoothing=smoothing)
    target = F.one_hot(labels, scores.shape[1]).to(scores)
    if kind in ("rate_mse", "membrane_mse"):
        return table["scale"] * F.mse_loss(scores, target)
    if kind == "count_mse":
        rates = target * table["correct_rate"] + (1 - target) * table["incorrect_rate"]
        return table["scale"] * F.mse_loss(scores, rates * len(out))
    raise Unmatched(f"loss {kind}")
