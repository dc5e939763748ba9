"""Networks: gradients, parameters, threads, saving and loading, optimizers."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

import volley
from conftest import Currents


def network(hidden: int = 7, seed: int = 3) -> volley.Sequential:
    net = volley.Sequential(
        volley.Flatten(),
        volley.Linear(12, hidden, init="normal"),
        volley.LIF(tau=3.0, v_reset=None, surrogate=volley.Sigmoid(2.0)),
        volley.Linear(hidden, 4, bias=False, init="normal"),
        volley.LIF(),
    )
    net.initialize(seed)
    return net


def spikes_of(rng: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    return (rng.random(shape) < 0.4).astype(np.uint8)


def assert_same(a: dict[str, NDArray[np.float32]], b: dict[str, NDArray[np.float32]]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_linear_is_a_matrix_product(rng: np.random.Generator) -> None:
    linear = volley.Linear(5, 3)
    w, b = linear.parameters()["weight"], linear.parameters()["bias"]
    for x in (spikes_of(rng, 6, 2, 5), rng.normal(size=(6, 2, 5)).astype(np.float32)):
        y, tape = linear.forward(x)
        np.testing.assert_allclose(y, x @ w.T + b, atol=1e-6)
        dy = rng.normal(size=y.shape).astype(np.float32)
        linear.zero_gradients()
        np.testing.assert_allclose(linear.backward(tape, dy), dy @ w, atol=1e-6)
        np.testing.assert_allclose(linear.gradients()["weight"], np.einsum("tno,tni->oi", dy, x), atol=1e-5)
        np.testing.assert_allclose(linear.gradients()["bias"], dy.sum((0, 1)), atol=1e-5)


def test_conv_and_pools_take_spikes_and_values(rng: np.random.Generator) -> None:
    net = volley.Sequential(
        volley.Conv2d(2, 5, (3, 3), padding=1, bias=False),
        volley.LIF(v_threshold=0.2),
        volley.MaxPool2d(2),
        volley.Conv2d(5, 4, 1, groups=1),
        volley.AvgPool2d(2, stride=1),
        volley.AdaptiveAvgPool2d((1, 2)),
        volley.Flatten(),
    )
    assert net.output_shape((2, 6, 8)) == (8,)
    assert repr(net[0]) == (
        "Conv2d(in_channels=2, out_channels=5, kernel_size=3, stride=1, padding=1, dilation=1, groups=1, "
        "bias=False)"
    )
    assert repr(net[2]) == "MaxPool2d(kernel_size=2, stride=None, padding=0)"
    for x in (spikes_of(rng, 4, 3, 2, 6, 8), rng.normal(size=(4, 3, 2, 6, 8)).astype(np.float32)):
        y, tape = net.forward(x)
        assert y.shape == (4, 3, 8) and y.dtype == np.float32
        dx = net.backward(tape, np.ones_like(y))
        assert dx.shape == x.shape and np.abs(dx).sum() > 0
    conv = net[0]
    many = spikes_of(rng, 4, 3, 2, 6, 8)
    few = many * (rng.random(many.shape) < 0.2)
    assert few.any()
    for x in (many, few):  # groups of four spikes, and one by one: another order of the same sum
        np.testing.assert_allclose(conv.forward(x)[0], conv.forward(x.astype(np.float32))[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"layer 0: \[conv2d\] .* must be \(2, H, W\), got \(3, 6, 8\)"):
        net.forward(np.zeros((1, 1, 3, 6, 8), np.float32))
    with pytest.raises(ValueError, match=r"\[max_pool2d\] padding must be at most half"):
        volley.MaxPool2d(2, padding=2)


def test_a_network_is_its_layers(rng: np.random.Generator) -> None:
    net = network()
    x = spikes_of(rng, 10, 3, 3, 4)
    y, tape = net.forward(x)
    signal: NDArray[np.float32 | np.uint8] = x
    tapes = []
    for layer in net:
        signal, layer_tape = layer.forward(signal)
        tapes.append(layer_tape)
    np.testing.assert_array_equal(signal, y)
    gradient = rng.normal(size=y.shape).astype(np.float32)
    net.zero_gradients()
    dx = net.backward(tape, gradient)
    whole = net.gradients()
    net.zero_gradients()
    for layer, layer_tape in zip(reversed(list(net)), reversed(tapes)):
        gradient = layer.backward(layer_tape, gradient)
    np.testing.assert_array_equal(gradient, dx)
    assert dx.shape == x.shape
    assert_same(whole, net.gradients())
    assert all(np.abs(g).max() > 0 for g in whole.values())


def test_bool_and_bytes_are_the_same_spikes(rng: np.random.Generator) -> None:
    x = spikes_of(rng, 10, 3, 12)
    np.testing.assert_array_equal(network().forward(x)[0], network().forward(x.astype(bool))[0])


def test_gradients_accumulate_until_cleared(rng: np.random.Generator) -> None:
    net = network()
    x = spikes_of(rng, 5, 2, 12)
    y, tape = net.forward(x)
    dy = np.ones(y.shape, np.float32)
    assert net.backward(tape, dy, needs_input_gradient=False) is None
    once = net.gradients()
    net.backward(tape, dy)
    for name, twice in net.gradients().items():
        np.testing.assert_allclose(twice, 2 * once[name], rtol=1e-6)
    net.zero_gradients()
    assert all((g == 0).all() for g in net.gradients().values())


def test_results_are_the_same_bits_for_any_number_of_threads(rng: np.random.Generator) -> None:
    x = spikes_of(rng, 30, 17, 12)
    dy = rng.normal(size=(30, 17, 4)).astype(np.float32)
    results = []
    try:
        for count in (1, 2, 5):
            volley.set_threads(count)
            assert volley.threads() == count
            net = network()
            y, tape = net.forward(x)
            dx = net.backward(tape, dy)
            volley.Adam(0.1).step(net)
            results.append((y, dx, net.gradients(), net.parameters()))
    finally:
        volley.set_threads(0)
    for y, dx, gradients, parameters in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])
        assert_same(gradients, results[0][2])
        assert_same(parameters, results[0][3])


def test_python_threads_may_share_a_network(rng: np.random.Generator) -> None:
    net = network()
    x = spikes_of(rng, 30, 8, 12)
    y, tape = net.forward(x)
    dy = np.ones(y.shape, np.float32)
    net.backward(tape, dy)
    once = net.gradients()
    net.zero_gradients()
    wrong: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                other, own = net.forward(x)
                np.testing.assert_array_equal(other, y)
                net.backward(own, dy)
        except Exception as error:
            wrong.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    for name, sum_of_40 in net.gradients().items():
        np.testing.assert_allclose(sum_of_40, 40 * once[name], rtol=1e-4, atol=1e-5)


def test_parameters_are_copies_and_are_set_by_name() -> None:
    net = network()
    before = net.parameters()
    net.parameters()["1.weight"][:] = 0
    assert_same(before, net.parameters())
    net.set_parameters({name: 2 * value.astype(np.float64) for name, value in before.items()})
    assert_same({name: 2 * value for name, value in before.items()}, net.parameters())


def test_layers_are_shared_not_copied() -> None:
    linear = volley.Linear(3, 2, bias=False)
    net = volley.Sequential(volley.Flatten(), linear)
    assert net[1] is linear and net[-1] is linear and len(net) == 2
    linear.set_parameters({"weight": np.ones((2, 3), np.float32)})
    assert (net.parameters()["1.weight"] == 1).all()


def test_a_network_comes_back_from_its_file(tmp_path: Path, rng: np.random.Generator) -> None:
    net = network()
    net.save(tmp_path / "net.safetensors")
    back = volley.load(tmp_path / "net.safetensors")
    assert repr(back) == repr(net)
    assert_same(back.parameters(), net.parameters())
    x = spikes_of(rng, 10, 3, 12)
    np.testing.assert_array_equal(back.forward(x)[0], net.forward(x)[0])


@pytest.mark.parametrize("prefix", ["", "layer.", "module.net."])
@pytest.mark.parametrize("kind", ["dict", "npz", "safetensors"])
def test_a_state_dict_of_torch_is_taken_by_name(tmp_path: Path, prefix: str, kind: str) -> None:
    """nn.Sequential(Flatten, Linear, node, Linear, node): torch saves Linear weights as (out, in)."""
    rng = np.random.default_rng(1)
    weights = {"1.weight": (7, 12), "1.bias": (7,), "3.weight": (4, 7)}
    state = {prefix + name: rng.normal(size=shape).astype(np.float32) for name, shape in weights.items()}
    net = network()
    if kind == "dict":
        net.load_state_dict(state)
    elif kind == "npz":
        np.savez(tmp_path / "state.npz", **state)  # type: ignore[arg-type]
        net.load_state_dict(tmp_path / "state.npz")
    else:
        save_file(state, tmp_path / "state.safetensors")
        net.load_state_dict(str(tmp_path / "state.safetensors"))
    assert_same({prefix + name: value for name, value in net.parameters().items()}, state)


def other_names(state: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    """The state of `network()` with its two linear layers called otherwise."""
    places = dict(zip(("1", "3"), names, strict=True))
    return {places[name[0]] + name[1:]: value for name, value in state.items()}


def test_names_are_mapped() -> None:
    net, other = network(), network()
    net.initialize(5)
    state = other_names(net.state_dict(), "conv.0", "fc.7")
    with pytest.raises(volley.ArgumentError, match=r"state_dict: 'net' must be an array; .* source\['net'\]"):
        other.load_state_dict({"net": state, "epoch": 3})  # type: ignore[dict-item]
    with pytest.raises(volley.ArgumentError, match="expected names such as '1.weight', found 'conv.0.bias'"):
        other.load_state_dict(state)
    assert other.load_state_dict(state, names={"conv.0": "1", "fc.7": "3"}) == ([], [])
    assert_same(other.state_dict(), net.state_dict())


@pytest.mark.parametrize("kind", ["dict", "npz", "safetensors"])
def test_modules_are_taken_by_order(tmp_path: Path, kind: str) -> None:
    net, other = network(), network()
    net.initialize(5)
    state = other_names(net.state_dict(), "layer2", "layer10")
    state |= {"lif1.beta": np.array(0.9, np.float32), "lif1.mem": np.zeros(3, np.float32)}
    source: Any = state
    if kind == "npz":
        np.savez(tmp_path / "state.npz", **state)  # type: ignore[arg-type]
        source = tmp_path / "state.npz"
    if kind == "safetensors":
        save_file({name: np.asarray(value) for name, value in state.items()}, tmp_path / "state.safetensors")
        source = tmp_path / "state.safetensors"
    passed_over = other.load_state_dict(source, by_order=True, strict=False)
    assert passed_over == ([], ["lif1.beta", "lif1.mem"])
    assert_same(other.state_dict(), net.state_dict())
    with pytest.raises(volley.Error, match="'lif1.beta' that the network does not have"):
        other.load_state_dict(source, by_order=True)


def test_weights_alone_come_back(tmp_path: Path) -> None:
    net, other = network(), network()
    net.initialize(5)
    net.save_state_dict(tmp_path / "weights.safetensors")
    other.load_state_dict(tmp_path / "weights.safetensors")
    assert_same(other.state_dict(), net.state_dict())
    copy = net.state_dict()
    copy["1.weight"][:] = 0
    assert np.any(net.state_dict()["1.weight"] != 0)


def test_scalars_of_spikingjelly_and_other_floats_are_taken(tmp_path: Path) -> None:
    net = volley.Sequential(volley.PLIF(init_tau=3.0), volley.KLIF(), volley.PSN(steps=4))
    psn = np.arange(16).reshape(4, 4) / 7
    state: dict[str, Any] = {
        "0.w": np.float16(0.5),
        "1.k": np.float64(1.5),
        "2.weight": psn,
        "2.bias": np.full((4, 1), -2.0),
    }
    net.load_state_dict(state)
    assert net.state_dict()["0.w"] == np.float32(0.5)
    assert_same({"2.weight": net.state_dict()["2.weight"]}, {"2.weight": psn.astype(np.float32)})
    save_file({name: np.asarray(value) for name, value in state.items()}, tmp_path / "w.safetensors")
    net.initialize(0)
    net.load_state_dict(tmp_path / "w.safetensors")
    assert net.state_dict()["1.k"] == np.float32(1.5)


def test_bfloat16_of_torch_is_taken() -> None:
    torch = pytest.importorskip("torch")
    net = volley.Sequential(volley.KLIF())
    net.load_state_dict({"0.k": torch.tensor(1.5, dtype=torch.bfloat16)})
    assert net.state_dict()["0.k"] == np.float32(1.5)


def test_optimizers_are_their_formulas(rng: np.random.Generator) -> None:
    for make in (lambda: volley.Sgd(0.1, momentum=0.9, weight_decay=0.01), lambda: volley.Adam(0.05)):
        linear, optimizer = volley.Linear(4, 3, bias=False), make()
        w = linear.parameters()["weight"].astype(np.float64)
        m, v = np.zeros_like(w), np.zeros_like(w)
        for k in range(1, 5):
            x, dy = rng.normal(size=(2, 1, 4)).astype(np.float32), np.ones((2, 1, 3), np.float32)
            linear.zero_gradients()
            linear.backward(linear.forward(x)[1], dy)
            g = linear.gradients()["weight"].astype(np.float64)
            optimizer.step(linear)
            if isinstance(optimizer, volley.Sgd):
                g += 0.01 * w
                m = 0.9 * m + g
                w -= 0.1 * m
            else:
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                w -= 0.05 * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
            np.testing.assert_allclose(linear.parameters()["weight"], w, atol=2e-5)
        assert optimizer.steps_taken == 4


@pytest.mark.parametrize("loss", [volley.RateMse(scale=0.5), volley.RateCrossEntropy()], ids=repr)
def test_losses_by_finite_differences(loss: volley.Loss, rng: np.random.Generator) -> None:
    y = rng.random((5, 3, 4)).astype(np.float32)
    labels = np.array([0, 3, 1])
    value, scores = loss.forward(y, labels)
    np.testing.assert_allclose(scores, y.mean(0), atol=1e-6)
    onehot = np.eye(4)[labels]
    if isinstance(loss, volley.RateMse):
        assert value == pytest.approx(0.5 * ((y.mean(0) - onehot) ** 2).mean(), rel=1e-5)
    else:
        assert value == pytest.approx(
            -np.log((np.exp(y.mean(0)) * onehot).sum(1) / np.exp(y.mean(0)).sum(1)).mean()
        )
    dy = loss.backward(y, labels, scores)
    for i in [(0, 0, 0), (4, 1, 3), (2, 2, 2)]:
        up, down = y.copy(), y.copy()
        up[i] += 0.1
        down[i] -= 0.1
        slope = (loss.forward(up, labels)[0] - loss.forward(down, labels)[0]) / 0.2
        assert dy[i] == pytest.approx(slope, rel=0.02)


def test_a_tape_outlives_its_network(rng: np.random.Generator) -> None:
    x = spikes_of(rng, 5, 2, 12)
    net = network()
    layer = net[1]
    y, tape = net.forward(x)
    _, layer_tape = layer.forward(x)
    expected = layer.backward(layer_tape, np.ones((5, 2, 7), np.float32))
    del net, y
    gc.collect()
    with pytest.raises(ValueError, match="tape must be one that this object's forward returned"):
        network().backward(tape, np.ones((5, 2, 4), np.float32))
    np.testing.assert_array_equal(layer.backward(layer_tape, np.ones((5, 2, 7), np.float32)), expected)


def test_currents_go_through_a_lone_sample(currents: Currents) -> None:
    lif = volley.LIF()
    x = currents(8, 5, 130)
    whole, _ = lif.forward(x)
    for n in range(5):
        np.testing.assert_array_equal(lif.forward(x[:, n : n + 1])[0][:, 0], whole[:, n])


def test_a_pass_can_be_one_of_a_training(rng: np.random.Generator) -> None:
    net = network()
    x = spikes_of(rng, 10, 3, 12)
    y, _ = net.forward(x, training=True, seed=3, epoch=2, samples=[5, 0, 7])
    np.testing.assert_array_equal(y, net.forward(x)[0])  # nothing in it that would know
    assert net.buffers() == {}
    net.set_buffers({})
    with pytest.raises(
        ValueError, match=r"\[sequential\] samples must be one number for each of 3 samples, got 2"
    ):
        net.forward(x, training=True, samples=[5, 0])
    with pytest.raises(ValueError, match=r"\[sequential\] epoch must be >= 0 and <= 16777215, got -1"):
        net.forward(x, training=True, epoch=-1)
