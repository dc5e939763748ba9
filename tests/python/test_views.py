"""Parameters in the layer's own memory: written from outside, seen by the layer, and alive with it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import volley


def network() -> volley.Sequential:
    branch = volley.Sequential(volley.Linear(4, 4), volley.PLIF())
    return volley.Sequential(volley.Linear(6, 4), volley.Residual(branch), volley.Recurrent(4))


def test_the_arrays_are_the_layers_memory() -> None:
    net = network()
    views = net.parameter_views()
    assert list(views) == list(net.parameters())
    for name, view in views.items():
        assert view.name == name and view.shape == net.parameters()[name].shape
        assert view.value.dtype == view.gradient.dtype == np.float32
        np.testing.assert_array_equal(view.value, net.parameters()[name])
        view.value[...] = 3
        view.gradient[...] = 4
        assert (net.parameters()[name] == 3).all() and (net.gradients()[name] == 4).all()
        assert np.shares_memory(view.value, net.parameter_views()[name].value)
        assert not np.shares_memory(view.value, view.gradient)
    assert [views[name].kind for name in ("0.weight", "0.bias", "1.branch.1.w")] == [
        "weight",
        "bias",
        "neuron",
    ]
    assert repr(views["0.weight"]) == "<Parameter '0.weight' (4, 6)>"


def test_passes_see_what_was_written_and_write_what_is_seen() -> None:
    net = network()
    views = net.parameter_views()
    x = np.ones((5, 2, 6), np.float32)
    for view in views.values():
        view.value *= 2
    other = network()
    other.set_parameters({name: 2 * value for name, value in other.parameters().items()})
    y, tape = net.forward(x)
    np.testing.assert_array_equal(y, other.forward(x)[0])
    gradient = views["0.weight"].gradient
    net.backward(tape, np.ones(y.shape, np.float32))
    np.testing.assert_array_equal(gradient, net.gradients()["0.weight"])
    assert gradient.any()
    net.zero_gradients()
    assert not gradient.any()


def test_nothing_moves_the_memory(rng: np.random.Generator) -> None:
    net = network()
    arrays = {name: view.value for name, view in net.parameter_views().items()}
    x = rng.normal(1, 1, (5, 2, 6)).astype(np.float32)

    def same() -> None:
        for name, array in arrays.items():
            assert np.shares_memory(array, net.parameter_views()[name].value)
            np.testing.assert_array_equal(array, net.parameters()[name])

    net.initialize(4)
    same()
    net.set_parameters({name: value + 1 for name, value in net.parameters().items()})
    same()
    net.load_state_dict(net.state_dict())
    same()
    y, tape = net.forward(x, training=True)
    net.backward(tape, np.ones(y.shape, np.float32))
    for optimizer in (volley.Adam(), volley.AdamW(), volley.Sgd(momentum=0.5)):
        optimizer.step(net)
        same()


def test_to_assign_copies_into_the_memory() -> None:
    linear = volley.Linear(3, 2)
    weight = linear.parameter_views()["weight"]
    array = weight.value
    weight.value = np.full((2, 3), 7.0)
    weight.gradient = np.ones((2, 3), np.float32)
    assert (array == 7).all() and (linear.gradients()["weight"] == 1).all()
    weight.value -= 0.5 * weight.gradient
    assert (array == 6.5).all() and np.shares_memory(array, weight.value)
    with pytest.raises(volley.ShapeError) as error:
        weight.value = np.zeros((3, 2))
    assert str(error.value) == "[parameter] value of 'weight' must be (2, 3), got (3, 2)"
    with pytest.raises(TypeError, match=r"\[parameter\] gradient must be an array of floats, got int64"):
        weight.gradient = np.zeros((2, 3), np.int64)  # type: ignore[assignment, unused-ignore]


def test_a_view_keeps_the_layer_alive() -> None:
    class Net(volley.Sequential):
        pass

    net = Net(volley.Linear(300, 200), volley.Sequential(volley.Linear(200, 10)))
    gone = weakref.ref(net) if hasattr(net, "__weakref__") else None
    outer, inner = net.parameter_views()["0.weight"], net.parameter_views()["1.0.weight"].value
    expected, expected_inner = net.parameters()["0.weight"], net.parameters()["1.0.weight"]
    del net
    gc.collect()
    filler = [np.full((200, 300), 9, np.float32) for _ in range(50)]
    np.testing.assert_array_equal(outer.value, expected)
    np.testing.assert_array_equal(inner, expected_inner)
    array = outer.value
    del outer, gone
    gc.collect()
    filler += [np.full((200, 300), 8, np.float32) for _ in range(50)]
    np.testing.assert_array_equal(array, expected)
    array[...] = 1


def test_a_layer_goes_with_its_last_view() -> None:
    linear = volley.Linear(4, 4)
    surrogate_of: list[Any] = []

    class Token:
        def __call__(self, x: Any) -> Any:
            return x

    token = Token()
    surrogate_of.append(weakref.ref(token))
    plif = volley.PLIF(surrogate=token)
    view = plif.parameter_views()["w"]
    array = view.value
    del token, plif, view
    gc.collect()
    assert surrogate_of[0]() is not None  # the array keeps the layer, and that the surrogate
    del array
    gc.collect()
    assert surrogate_of[0]() is None
    del linear


def test_dlpack_aliases_too() -> None:
    linear = volley.Linear(3, 2)
    weight = linear.parameter_views()["weight"]
    assert weight.__dlpack_device__() == (1, 0)
    for source in (weight, weight.value):
        array = np.from_dlpack(source)
        assert np.shares_memory(array, weight.value)
    assert np.shares_memory(np.asarray(weight), weight.value)
    assert np.asarray(weight, dtype=np.float64).dtype == np.float64
    torch = pytest.importorskip("torch")
    for source in (weight, weight.gradient):
        tensor = torch.from_dlpack(source)
        tensor.fill_(5)
    assert (linear.parameters()["weight"] == 5).all() and (linear.gradients()["weight"] == 5).all()
    tensor = torch.from_dlpack(volley.Linear(300, 300).parameter_views()["weight"])
    gc.collect()
    assert torch.isfinite(tensor).all()
