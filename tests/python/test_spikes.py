"""Spikes as bits: the same values as arrays of bytes, in and out of encoders, layers and losses."""

# mypy: ignore-errors
from __future__ import annotations

import threading

import numpy as np
import pytest

import volley

SHAPES = [(1, 1, 1), (3, 2, 63), (5, 2, 64), (4, 3, 65), (70, 2, 130), (4, 2, 3, 5, 7)]


def bits(rng, *shape):
    return (rng.random(shape) < 0.3).astype(np.uint8)


def network():
    net = volley.Sequential(volley.Flatten(), volley.Linear(16, 5), volley.LIF())
    net.initialize(3)
    return net


@pytest.mark.parametrize("shape", SHAPES)
def test_spikes_hold_what_the_array_held(rng, shape) -> None:
    array = bits(rng, *shape)
    spikes = volley.Spikes(array)
    assert spikes.shape == shape and spikes.ndim == len(shape) and spikes.size == array.size
    assert len(spikes) == shape[0] and spikes.dtype == np.uint8
    for back in (spikes.numpy(), np.asarray(spikes), np.array(spikes)):
        assert back.dtype == np.uint8 and back.flags.writeable
        np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(np.asarray(spikes, dtype=np.float32), array.astype(np.float32))
    assert spikes.count() == array.sum()
    assert spikes.mean() == pytest.approx(array.mean())
    np.testing.assert_array_equal(spikes.counts(), array.sum(axis=0))
    assert spikes.counts().dtype == np.uint32
    assert repr(spikes).startswith(f"<Spikes {shape}, mean ")
    np.testing.assert_array_equal(volley.Spikes(array.astype(bool)).numpy(), array)
    np.testing.assert_array_equal(volley.Spikes(spikes).numpy(), array)
    np.testing.assert_array_equal(volley.Spikes(np.asfortranarray(array)).numpy(), array)


@pytest.mark.parametrize(
    "array, kind, text",
    [
        (np.zeros((2, 2, 2), np.float32), TypeError, "[spikes] array must be a NumPy array of uint8 or bool"),
        (
            np.full((2, 2, 2), 3, np.uint8),
            volley.ArgumentError,
            "[spikes] array: spikes must be 0 or 1, got 3",
        ),
        (
            np.zeros((2, 2), np.uint8),
            volley.ShapeError,
            "[spikes] array must have the shape (T, N, features...)",
        ),
        ([[[0]]], TypeError, "got a list"),
    ],
)
def test_spikes_refuse_what_is_none(array, kind, text) -> None:
    with pytest.raises(kind) as error:
        volley.Spikes(array)
    assert text in str(error.value)


def test_spikes_cannot_be_changed_and_are_always_copied_out(rng) -> None:
    spikes = volley.Spikes(bits(rng, 3, 2, 4))
    before = spikes.numpy()
    spikes.numpy()[...] = 1
    np.testing.assert_array_equal(spikes.numpy(), before)
    with pytest.raises(ValueError, match=r"\[spikes\] an array of spikes is always a copy"):
        spikes.__array__(copy=False)
    lif = volley.LIF()
    _, tape = lif.forward(np.zeros((3, 2, 4), np.float32))
    with pytest.raises(TypeError, match="got volley.Spikes"):
        lif.backward(tape, spikes)


ENCODERS = [
    volley.Poisson(seed=4),
    volley.Latency(),
    volley.WeightedPhase(),
    volley.Population(neurons=4, mode="random", seed=2),
    volley.Periodic(volley.Poisson(seed=1), period=7),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: type(e).__name__)
def test_packed_encodings_are_the_same_spikes(rng, encoder) -> None:
    images = rng.integers(0, 256, (3, 2, 4, 4), dtype=np.uint8)
    array = encoder.encode(images, steps=20, epoch=2, first_sample=9)
    assert isinstance(array, np.ndarray)
    packed = encoder.encode(images, steps=20, epoch=2, first_sample=9, packed=True)
    assert isinstance(packed, volley.Spikes) and packed.shape == array.shape
    np.testing.assert_array_equal(packed.numpy(), array)
    np.testing.assert_array_equal(packed.counts(), array.sum(axis=0))
    assert packed.count() == array.sum()
    assert isinstance(encoder.encode(images, steps=20, packed=False), np.ndarray)


def test_currents_stay_an_array(rng) -> None:
    images = rng.integers(0, 256, (3, 2, 4, 4), dtype=np.uint8)
    assert volley.Direct().encode(images, steps=3, packed=True).dtype == np.float32
    chances = rng.random((3, 5))
    np.testing.assert_array_equal(
        volley.Poisson().encode_probabilities(chances, steps=9, packed=True).numpy(),
        volley.Poisson().encode_probabilities(chances, steps=9),
    )


def test_spikes_that_live_keep_their_memory(rng) -> None:
    """Encoders use memory again; not that of Spikes which something still holds."""
    poisson = volley.Poisson(seed=0)
    images = rng.integers(0, 256, (2, 4, 4), dtype=np.uint8)
    made = [poisson.encode(images, steps=30, epoch=epoch, packed=True) for epoch in range(6)]
    expected = [poisson.encode(images, steps=30, epoch=epoch) for epoch in range(6)]
    del poisson
    for packed, array in zip(made, expected):
        np.testing.assert_array_equal(packed.numpy(), array)


def test_layers_give_spikes_for_spikes_and_arrays_for_arrays(rng) -> None:
    x = bits(rng, 12, 3, 4, 4)
    net = network()
    y, tape = net.forward(x)
    packed, packed_tape = net.forward(volley.Spikes(x))
    assert isinstance(y, np.ndarray) and isinstance(packed, volley.Spikes)
    np.testing.assert_array_equal(packed.numpy(), y)
    dy = rng.normal(size=y.shape).astype(np.float32)
    np.testing.assert_array_equal(net.backward(packed_tape, dy), net.backward(tape, dy))
    linear = volley.Linear(4, 2)
    z, _ = linear.forward(volley.Spikes(x[:, :, 0]))
    assert isinstance(z, np.ndarray) and z.dtype == np.float32
    with pytest.raises(volley.ArgumentError, match=r"\[lif\] input must be real-valued"):
        volley.LIF()(volley.Spikes(x))
    with pytest.raises(volley.ShapeError, match="layer 1: "):
        net(volley.Spikes(x[:, :, :1]))


def test_layers_of_pictures_take_spikes(rng) -> None:
    net = volley.Sequential(
        volley.Conv2d(2, 3, 3, padding=1),
        volley.LIF(),
        volley.MaxPool2d(2),
        volley.Flatten(),
        volley.Linear(12, 2),
    )
    x = bits(rng, 6, 2, 2, 4, 4)
    np.testing.assert_array_equal(net(volley.Spikes(x)), net(x))
    pooled = net[2](net[1](net[0](x)))
    chain = net[0](volley.Spikes(x))
    spikes = volley.Spikes(net[1](chain))
    np.testing.assert_array_equal(net[2](spikes).numpy(), pooled)


def test_losses_take_spikes(rng) -> None:
    y = bits(rng, 10, 4, 3)
    labels = np.array([0, 1, 2, 0])
    for loss in (volley.RateMse(), volley.CountCrossEntropy(), volley.Tet()):
        value, scores = loss.forward(y, labels)
        packed_value, packed_scores = loss.forward(volley.Spikes(y), labels)
        assert value == packed_value
        np.testing.assert_array_equal(scores, packed_scores)
        np.testing.assert_array_equal(
            loss.backward(volley.Spikes(y), labels, scores), loss.backward(y, labels, scores)
        )


def test_a_call_is_an_evaluation(rng) -> None:
    net = volley.Sequential(volley.Linear(5, 5), volley.Dropout(0.5), volley.LIF())
    x = rng.normal(1, 1, (8, 2, 5)).astype(np.float32)
    np.testing.assert_array_equal(net(x), net.forward(x)[0])
    assert isinstance(net(x), np.ndarray)
    state, other = volley.State(), volley.State()
    np.testing.assert_array_equal(net(x, state=state), net.forward(x, state=other)[0])
    np.testing.assert_array_equal(net(x, state=state), net.forward(x, state=other)[0])
    with pytest.raises(TypeError):
        net(x, True)


def test_a_tape_is_used_again(rng) -> None:
    net = network()
    first = bits(rng, 12, 3, 4, 4)
    _, tape = net.forward(first)
    for samples, steps in ((3, 12), (5, 12), (1, 4), (5, 20)):  # memory grows and shrinks
        x = bits(rng, steps, samples, 4, 4)
        y, same = net.forward(x, tape=tape)
        assert same is tape
        fresh_y, fresh = net.forward(x)
        np.testing.assert_array_equal(y, fresh_y)
        dy = rng.normal(size=y.shape).astype(np.float32)
        net.zero_gradients()
        dx = net.backward(tape, dy)
        gradients = net.gradients()
        net.zero_gradients()
        np.testing.assert_array_equal(dx, net.backward(fresh, dy))
        np.testing.assert_array_equal(gradients["1.weight"], net.gradients()["1.weight"])
    np.testing.assert_array_equal(net(first, tape=tape), net(first))


def test_an_output_outlives_the_next_pass_on_its_tape(rng) -> None:
    net = network()
    x, other = volley.Spikes(bits(rng, 12, 3, 4, 4)), volley.Spikes(bits(rng, 12, 3, 4, 4))
    y, tape = net.forward(x)
    before = y.numpy()
    net.forward(other, tape=tape)
    np.testing.assert_array_equal(y.numpy(), before)


def test_a_tape_of_another_object_is_refused(rng) -> None:
    net, x = network(), bits(rng, 4, 2, 4, 4)
    tape = network().forward(x)[1]
    with pytest.raises(
        volley.ArgumentError, match=r"\[sequential\] tape must be one that this object's forward"
    ):
        net.forward(x, tape=tape)
    with pytest.raises(TypeError, match=r"\[sequential\] tape must be a volley.Tape, got <class 'int'>"):
        net.forward(x, tape=3)


def test_a_pass_that_fails_on_a_used_tape_is_no_pass(rng) -> None:
    net, x = network(), bits(rng, 4, 2, 4, 4)
    y, tape = net.forward(x)
    with pytest.raises(volley.ShapeError):
        net.forward(bits(rng, 4, 2, 5, 5), tape=tape)
    net.backward(tape, np.ones(y.shape, np.float32))  # refused before anything began: the old pass is there
    state = volley.State()
    net.forward(bits(rng, 4, 7, 4, 4), state=state)
    with pytest.raises(volley.ArgumentError):
        net.forward(x, state=state, tape=tape)  # a state of 7 samples: fails within the pass
    tape.activity()
    np.testing.assert_array_equal(net.forward(x, tape=tape)[0], y)


def test_tapes_follow_the_threads(rng) -> None:
    net, x = network(), bits(rng, 40, 8, 4, 4)
    poisson, images = volley.Poisson(), rng.integers(0, 256, (8, 4, 4), dtype=np.uint8)
    y, tape = net.forward(x)
    spikes = poisson.encode(images, steps=40, packed=True).numpy()
    before = volley.threads()
    try:
        for count in (1, 3, 2):
            volley.set_threads(count)
            np.testing.assert_array_equal(net.forward(x, tape=tape)[0], y)
            np.testing.assert_array_equal(poisson.encode(images, steps=40, packed=True).numpy(), spikes)
    finally:
        volley.set_threads(before)


def test_python_threads_share_spikes_an_encoder_and_a_tape(rng) -> None:
    net, poisson = network(), volley.Poisson(seed=1)
    images = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8)
    expected = [net(poisson.encode(images, steps=25, epoch=epoch)) for epoch in range(8)]
    shared = net.forward(poisson.encode(images, steps=25, packed=True))[1]
    failures = []

    def work(epoch: int) -> None:
        try:
            for _ in range(20):
                x = poisson.encode(images, steps=25, epoch=epoch, packed=True)
                np.testing.assert_array_equal(net(x).numpy(), expected[epoch])
                net.forward(x, tape=shared)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(epoch,)) for epoch in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_a_loop_on_packed_spikes_trains_as_one_on_bytes(toy_data) -> None:
    train, _ = toy_data
    values = []
    for packed in (False, True):
        net = volley.Sequential(volley.Flatten(), volley.Linear(64, 2), volley.LIF())
        net.initialize(1)
        poisson, loss, adam = volley.Poisson(seed=0), volley.RateMse(), volley.Adam(lr=0.02)
        tape = None
        for epoch in range(1, 4):
            for first in range(0, 64, 16):
                labels = train.labels[first : first + 16]
                x = poisson.encode(
                    train.pixels[first : first + 16], 20, epoch=epoch, first_sample=first, packed=packed
                )
                y, tape = net.forward(x, training=True, tape=tape)
                _, scores = loss.forward(y, labels)
                net.zero_gradients()
                net.backward(tape, loss.backward(y, labels, scores), needs_input_gradient=False)
                adam.step(net)
        values.append(net.parameters()["1.weight"])
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int64, np.int32, np.uint64, np.int16])
def test_labels_of_every_width(dtype) -> None:
    y = volley.Spikes(np.eye(3, dtype=np.uint8)[None])
    labels = np.array([0, 9, 1, 9, 2, 9], dtype)[::2]
    assert volley.RateMse().forward(y, labels)[0] == pytest.approx(0)
    if np.iinfo(dtype).min < 0:
        with pytest.raises(volley.ArgumentError, match=r"labels must be >= 0 and <= 4294967295, got -1"):
            volley.RateMse().forward(y, np.array([0, -1, 2], dtype))
