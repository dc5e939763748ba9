"""copy, deepcopy and pickle: the same object again, which shares nothing with the first."""

# mypy: ignore-errors
from __future__ import annotations

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

import volley


def triangle(x):
    return np.maximum(0, 1 - np.abs(x))


class Marked(volley.LIF):
    """A class that Python derives: its attributes go along."""

    def __init__(self, mark) -> None:
        super().__init__(tau=3.0)
        self.mark = mark


LAYERS = [
    volley.Flatten(),
    volley.Unflatten(1, (2, 3)),
    volley.Identity(),
    volley.Slice(1, (2, 2)),
    volley.Linear(6, 4, bias=False, init="normal"),
    volley.Conv1d(2, 3, 3, padding=1),
    volley.Conv2d(2, 4, (3, 5), stride=(1, 2), groups=2),
    volley.ConvTranspose1d(2, 3, 3),
    volley.ConvTranspose2d(2, 3, (2, 3), output_padding=(0, 1), stride=2),
    volley.MaxPool2d(2),
    volley.AvgPool2d((2, 3), stride=1),
    volley.AdaptiveAvgPool2d((1, 2)),
    volley.Upsample(scale_factor=2, mode="bilinear"),
    volley.BatchNorm(3, momentum=None),
    volley.ThresholdDependentBatchNorm(3, alpha=0.7),
    volley.GroupNorm(2, 4),
    volley.LayerNorm((2, 3), bias=False),
    volley.Dropout(0.25),
    volley.Voting(3),
    volley.Recurrent(3, neuron=volley.PLIF(init_tau=3.0)),
    volley.Recurrent(3, feedback="element_wise"),
    volley.IF(v_reset=None),
    volley.LIF(tau=2.7, surrogate=volley.Sigmoid(3.1), refractory=2),
    volley.LIF(surrogate=triangle),
    volley.PLIF(channels=3, learn_tau=False),
    volley.QIF(),
    volley.EIF(),
    volley.Izhikevich(),
    volley.CUBALIF(),
    volley.ALIF(),
    volley.KLIF(),
    volley.GLIF(),
    volley.PSN(steps=4),
    volley.MaskedPSN(steps=4, k=2),
    volley.SlidingPSN(k=3),
    volley.LI(),
    volley.SoftLIF(),
    volley.RatePenalty("l1", 0.1, 0.02),
]


def by_pickle(protocol):
    return pytest.param(lambda thing: pickle.loads(pickle.dumps(thing, protocol)), id=f"pickle {protocol}")


WAYS = [
    pytest.param(copy.copy, id="copy"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    *(by_pickle(protocol) for protocol in (2, 3, 4, 5)),
]


def network(seed: int = 7) -> volley.Sequential:
    branch = volley.Sequential(volley.Linear(6, 6), volley.BatchNorm(6), volley.LIF())
    net = volley.Sequential(
        volley.Flatten(),
        volley.Linear(8, 6),
        volley.PLIF(),
        volley.Residual(branch),
        volley.Recurrent(6),
        volley.Linear(6, 3),
        volley.LI(),
    )
    net.initialize(seed)
    return net


def trained(net, adam, rng):
    x = rng.normal(1, 1, (6, 4, 2, 4)).astype(np.float32)
    y, tape = net.forward(x, training=True)
    net.backward(tape, np.ones(y.shape, np.float32))
    adam.step(net)
    return x


def scrambled(layer, rng):
    layer.set_parameters({name: rng.normal(size=p.shape) for name, p in layer.parameters().items()})
    layer.set_buffers({name: rng.random(size=b.shape) + 1 for name, b in layer.buffers().items()})
    return layer


def assert_same(a, b) -> None:
    assert type(a) is type(b) and a is not b
    assert repr(a) == repr(b)
    for ours, theirs in ((a.parameters(), b.parameters()), (a.buffers(), b.buffers())):
        assert list(ours) == list(theirs)
        for name in ours:
            assert ours[name].tobytes() == theirs[name].tobytes(), name


def test_every_layer_is_here() -> None:
    known = {type(layer) for layer in LAYERS} | {volley.Sequential, volley.Residual}
    assert known == set(volley.Layer.__subclasses__())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers(layer, way, rng) -> None:
    layer = scrambled(way(layer), rng)  # a copy, so that those of other tests stay as they are
    again = way(layer)
    assert_same(layer, again)
    before = {name: p.copy() for name, p in layer.parameters().items()}
    again.set_parameters({name: p + 1 for name, p in before.items()})
    for name, p in layer.parameters().items():
        np.testing.assert_array_equal(p, before[name])


@pytest.mark.parametrize("way", WAYS)
def test_networks_compute_and_learn_the_same(way, rng) -> None:
    net, adam = network(), volley.Adam(lr=0.01)
    x = trained(net, adam, rng)
    again = way(net)
    assert_same(net, again)
    np.testing.assert_array_equal(net(x), again(x))
    assert all(again[i] is not net[i] for i in range(len(net)))
    other = way(adam)
    assert other.steps_taken == 1 and repr(other) == repr(adam)
    for _ in range(2):
        for n, a in ((net, adam), (again, other)):
            n.zero_gradients()
            y, tape = n.forward(x, training=True)
            n.backward(tape, np.ones(y.shape, np.float32))
            a.step(n)
    assert_same(net, again)


def test_a_nested_network_alone_keeps_its_weights() -> None:
    """Containers draw the weights of layers that nothing has looked at: a copy is not one of these."""
    inner = volley.Sequential(volley.Linear(3, 3), volley.LIF())
    net = volley.Sequential(volley.Linear(3, 3), inner)
    assert_same(copy.deepcopy(inner), inner)
    assert_same(pickle.loads(pickle.dumps(inner)), inner)
    assert_same(copy.deepcopy(net), net)


@pytest.mark.parametrize("way", WAYS[1:])
def test_what_is_shared_stays_shared(way) -> None:
    lif = volley.LIF()
    net = volley.Sequential(volley.Linear(3, 3), lif, volley.Linear(3, 3), lif)
    again, first = way([net, net[0]])
    assert again[1] is again[3] and again[0] is first and again[0] is not net[0]


def test_gradients_are_copied_and_not_pickled(rng) -> None:
    net = network()
    trained(net, volley.Adam(), rng)
    np.testing.assert_array_equal(copy.deepcopy(net).gradients()["1.weight"], net.gradients()["1.weight"])
    assert not pickle.loads(pickle.dumps(net)).gradients()["1.weight"].any()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "thing",
    [
        volley.ATan(3.0),
        volley.PiecewiseLeakyReLU(),
        volley.StraightThrough(),
        volley.Poisson(seed=3),
        volley.Direct(mean=[0.1], std=[0.3]),
        volley.Rows(),
        volley.Latency("log", True),
        volley.WeightedPhase(5),
        volley.Population(neurons=3, mode="random", seed=2),
        volley.Delta(0.2, off_spikes=True),
        volley.RateMse(2.0),
        volley.CountMse(correct_rate=0.9),
        volley.RateCrossEntropy(0.1, class_weights=[1.0, 2.0]),
        volley.CountCrossEntropy(),
        volley.MembraneMse(readout="mean"),
        volley.MembraneCrossEntropy(),
        volley.Tet(lamb=0.2),
        volley.Sgd(0.3, momentum=0.5),
        volley.Adam(groups=[volley.ParameterGroup("bias", lr_factor=0.5)]),
        volley.AdamW(decay_only_weights=True),
        volley.ParameterGroup("2.*", weight_decay=0.1),
        volley.ConstantSchedule(warmup=3),
        volley.StepSchedule(4),
        volley.MultiStepSchedule([2, 5]),
        volley.ExponentialSchedule(0.9),
        volley.CosineSchedule(9, unit="step"),
    ],
    ids=repr,
)
def test_options_like_objects(thing, way) -> None:
    again = way(thing)
    assert type(again) is type(thing) and repr(again) == repr(thing)
    assert getattr(again, "class_weights", None) == getattr(thing, "class_weights", None)


@pytest.mark.parametrize("way", WAYS)
def test_encoders_draw_the_same(way, rng) -> None:
    images = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    periodic = volley.Periodic(volley.Poisson(seed=5), 4)
    np.testing.assert_array_equal(way(periodic).encode(images, 9), periodic.encode(images, 9))


@pytest.mark.parametrize("way", WAYS)
def test_spikes_and_recipes(way, rng) -> None:
    array = (rng.random((5, 2, 7)) < 0.4).astype(np.uint8)
    np.testing.assert_array_equal(way(volley.Spikes(array)).numpy(), array)
    recipe = volley.load_recipe("lif_fc_mnist").with_settings(["epochs=3"])
    assert way(recipe).to_toml() == recipe.to_toml()


@pytest.mark.parametrize("way", WAYS)
def test_the_learning_rate_and_an_optimizer_that_was_copied_twice(way, rng) -> None:
    net, sgd = network(), volley.Sgd(0.1, momentum=0.9)
    trained(net, sgd, rng)
    sgd.lr = 0.025
    again = way(way(sgd))
    assert again.lr == sgd.lr and again.base_lr == sgd.base_lr and again.steps_taken == 1
    other = copy.deepcopy(net)
    sgd.step(net)
    again.step(other)
    assert_same(net, other)
    with pytest.raises(volley.ArgumentError, match="the same network every time"):
        again.step(net)
    with pytest.raises(volley.ArgumentError):
        way(sgd).step(volley.Linear(2, 2))


@pytest.mark.parametrize("way", WAYS)
def test_classes_of_python_go_along_with_their_attributes(way) -> None:
    net = volley.Sequential(volley.Linear(2, 2), Marked(["a"]))
    again = way(net)
    assert type(again[1]) is Marked and again[1].mark == ["a"] and again[1].tau == 3.0
    if way is copy.deepcopy:
        assert again[1].mark is not net[1].mark


def test_a_function_that_pickle_cannot_find_is_refused() -> None:
    net = volley.Sequential(volley.Linear(2, 2), volley.LIF(surrogate=lambda x: np.ones_like(x)))
    with pytest.raises(
        volley.ArgumentError, match=r"\[lif\] surrogate must be a function that pickle finds by its name"
    ):
        pickle.dumps(net)
    x = np.ones((2, 1, 2), np.float32)
    np.testing.assert_array_equal(copy.deepcopy(net)(x), net(x))  # a copy shares the function


def test_a_layer_of_pythons_own_says_what_it_must_define() -> None:
    class Own(volley.Layer):
        pass

    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(
            volley.ArgumentError, match=r"\[layer\] a class that Python derives from Layer must"
        ):
            way(Own.__new__(Own))


def test_what_has_no_pickle_says_what_has() -> None:
    with pytest.raises(volley.ArgumentError, match=r"\[state\] a State is pickled by its values"):
        pickle.dumps(volley.State())
    with pytest.raises(TypeError, match="Tape"):
        pickle.dumps(volley.LIF().forward(np.ones((1, 1, 1), np.float32))[1])


@pytest.mark.filterwarnings("ignore:nanobind")
def test_a_state_that_is_none_is_refused() -> None:
    lif = volley.LIF()
    with pytest.raises(TypeError, match=r"__setstate__\(\)"):
        lif.__setstate__(lif.__getstate__())
    for state, text in (
        ({}, "the state of a pickle must have 'options'"),
        ({"options": {"tau": "2"}, "tensors": {}}, "tau of a pickle must be of the type"),
        ({"options": {"tau": 0.5}, "tensors": {}}, "tau must be > 1, got 0.5"),
        ({"options": {}, "tensors": {"w": np.zeros(1)}}, "'w'"),
    ):
        with pytest.raises(volley.ArgumentError if "'w'" != text else volley.Error, match=text):
            volley.LIF.__new__(volley.LIF).__setstate__(state)
    with pytest.raises(TypeError):
        volley.LIF.__new__(volley.LIF).forward(np.ones((1, 1, 1), np.float32))


def run_in_a_process(job):
    net, spikes = job
    return net, net(spikes).numpy()


def test_other_processes_are_sent_networks_and_spikes(rng) -> None:
    net = volley.Sequential(volley.Linear(8, 3), volley.LIF(surrogate=triangle))
    spikes = volley.Spikes((rng.random((9, 2, 8)) < 0.5).astype(np.uint8))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        back, y = pool.map(run_in_a_process, [(net, spikes)])[0]
    assert_same(net, back)
    np.testing.assert_array_equal(y, net(spikes).numpy())
