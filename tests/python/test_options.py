"""Class weights, groups of parameters and early stopping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import volley

Data = tuple[volley.Dataset, volley.Dataset]


def losses(class_weights: list[float] | None) -> list[volley.Loss]:
    return [
        volley.RateMse(class_weights=class_weights),
        volley.CountMse(correct_rate=0.75, class_weights=class_weights),
        volley.MembraneMse(class_weights=class_weights),
        volley.RateCrossEntropy(class_weights=class_weights),
        volley.CountCrossEntropy(class_weights=class_weights),
        volley.MembraneCrossEntropy(class_weights=class_weights),
        volley.Tet(lamb=0.1, class_weights=class_weights),
    ]


def test_every_loss_takes_class_weights(rng: np.random.Generator) -> None:
    y = rng.normal(0, 1, (4, 7, 3)).astype(np.float32)
    labels = np.array([2, 0, 1, 1, 0, 2, 2])
    weights = np.array([0.5, 3.0, 1.0])
    w = weights[labels]
    for plain, weighted in zip(losses(None), losses(weights.tolist())):
        each = np.array([plain.forward(y[:, n : n + 1], labels[n : n + 1])[0] for n in range(7)])
        value, scores = weighted.forward(y, labels)
        assert value == pytest.approx((w * each).sum() / w.sum(), rel=1e-5), weighted
        gradients = [
            plain.backward(
                y[:, n : n + 1], labels[n : n + 1], plain.forward(y[:, n : n + 1], labels[n : n + 1])[1]
            )
            for n in range(7)
        ]
        expected = np.concatenate(gradients, axis=1) * (w / w.sum())[None, :, None]
        np.testing.assert_allclose(weighted.backward(y, labels, scores), expected, rtol=1e-4, atol=1e-7)
        assert weighted.class_weights == weights.tolist() and plain.class_weights == []
        assert "class_weights=[0.5, 3.0, 1.0]" in repr(weighted) and "class_weights=None" in repr(plain)


def test_balanced_class_weights() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2], np.uint8)
    np.testing.assert_allclose(volley.balanced_class_weights(labels, 3), 6 / (3 * np.array([3, 1, 2])))
    with pytest.raises(volley.ArgumentError, match="none of class 3"):
        volley.balanced_class_weights(labels, classes=4)


def test_class_weights_are_checked() -> None:
    y = np.zeros((2, 1, 3), np.float32)
    with pytest.raises(volley.ArgumentError, match=r"class_weights must be one for each of 3 outputs, got 2"):
        volley.RateMse(class_weights=[1, 2]).forward(y, [0])
    with pytest.raises(volley.ArgumentError, match=r"\[tet\] class_weights must be > 0, got 0"):
        volley.Tet(class_weights=[1, 0])


def step_of(optimizer: volley.Optimizer) -> dict[str, float]:
    """What a step makes of weights of 1 with gradients of 0."""
    net = volley.Sequential(volley.Linear(3, 2), volley.BatchNorm(2), volley.PLIF())
    net.set_parameters({name: np.ones_like(value) for name, value in net.parameters().items()})
    net.zero_gradients()
    optimizer.step(net)
    return {name: float(value.ravel()[0]) for name, value in net.parameters().items()}


def test_groups_choose_by_kind_and_by_name() -> None:
    spared = step_of(volley.Sgd(lr=1, weight_decay=0.5, decay_only_weights=True))
    assert spared == {"0.weight": 0.5, "0.bias": 1, "1.weight": 1, "1.bias": 1, "2.w": 1}
    groups = [
        volley.ParameterGroup("neuron", weight_decay=0),
        volley.ParameterGroup("*.bias", lr_factor=0.5),
        volley.ParameterGroup("1.*", 0.25),
    ]
    for optimizer in (volley.Sgd(lr=1, weight_decay=0.5, groups=groups),):
        assert step_of(optimizer) == {
            "0.weight": 0.5,
            "0.bias": 0.75,
            "1.weight": 0.75,
            "1.bias": 0.75,
            "2.w": 1,
        }
    decayed = step_of(volley.AdamW(lr=0.5, weight_decay=0.5, groups=groups))
    assert decayed["0.weight"] == 0.75 and decayed["0.bias"] == 0.875 and decayed["2.w"] == 1
    assert step_of(volley.Adam(lr=0.5, weight_decay=0.5, decay_only_weights=True))["1.weight"] == 1
    assert repr(groups[1]) == "ParameterGroup(match='*.bias', weight_decay=None, lr_factor=0.5)"
    with pytest.raises(
        volley.ArgumentError, match=r"groups.0: match 'nrom' must be for a parameter .* '0.weight'"
    ):
        step_of(volley.Adam(groups=[volley.ParameterGroup("nrom")]))
    with pytest.raises(volley.ArgumentError, match=r"groups.0.lr_factor must be >= 0, got -1"):
        volley.Sgd(groups=[volley.ParameterGroup("bias", lr_factor=-1)])


def test_early_stopping_ends_a_training_and_a_resume_counts_on(
    toy_recipe: Path, toy_data: Data, tmp_path: Path
) -> None:
    still = ["optimizer.lr=0", "encoder=direct"]
    history = volley.train(
        toy_recipe, epochs=9, settings=still, data=toy_data, early_stopping=2, out=tmp_path / "run"
    )
    assert len(history) == 3 and history.stopped_early
    again = volley.resume(tmp_path / "run", data=toy_data)
    assert len(again) == 3 and again.stopped_early
    more = volley.resume(tmp_path / "run", data=toy_data, early_stopping=4)
    assert len(more) == 5 and more.stopped_early
    assert not volley.train(toy_recipe, epochs=2, settings=still, data=toy_data).stopped_early


def test_a_recipe_has_them_too(toy_recipe: Path, toy_data: Data, tmp_path: Path) -> None:
    settings = ["loss.class_weights=balanced", "optimizer.decay_only_weights=true"]
    volley.train(toy_recipe, epochs=1, settings=settings, data=toy_data, out=tmp_path / "run")
    weights = volley.balanced_class_weights(toy_data[0].labels, len(toy_data[0].classes))
    text = (tmp_path / "run" / "recipe.toml").read_text()
    assert "class_weights = [" in text and "decay_only_weights = true" in text
    line = next(line for line in text.splitlines() if line.startswith("class_weights"))
    np.testing.assert_allclose([float(w) for w in line.split("[")[1].strip("]").split(",")], weights)
