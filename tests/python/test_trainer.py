"""volley.Trainer on arrays, sequences, a user's own class and generators; sources; losses of targets."""

# mypy: ignore-errors

import copy
import pickle
import threading

import numpy as np
import pytest

import volley


def waves(samples, seed):
    """Sequences of unequal length: the class says in which half of its life a sample is strong."""
    rng = np.random.default_rng(seed)
    x, y = [], []
    for n in range(samples):
        length = int(rng.integers(4, 10))
        values = rng.random((length, 5), np.float32)
        first = np.arange(length) < length // 2
        values[first == (n % 2 == 0)] += 1.5
        x.append(values)
        y.append(n % 2)
    return x, np.array(y)


def wave_net(seed=0):
    net = volley.Sequential(volley.Linear(5, 24), volley.Recurrent(24), volley.Linear(24, 2), volley.LI())
    net.initialize(seed)
    return net


def weights_of(net):
    return {name: value.copy() for name, value in net.parameters().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def wave_trainer(net, source, **options):
    loss = volley.MembraneCrossEntropy(readout="mean")
    return volley.Trainer(net, source, loss, volley.Adam(lr=5e-3), batch=20, **options)


class Waves:
    """One sample at a time, as a torch Dataset gives it."""

    steps = 9

    def __init__(self, samples, seed):
        self.x, self.y = waves(samples, seed)
        self.threads = set()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, n):
        self.threads.add(threading.get_ident())
        return self.x[n], self.y[n]


class WaveBatches:
    kind, shape, steps, outputs = "sequences", (5,), 9, 2

    def __init__(self, samples, seed):
        self.x, self.y = waves(samples, seed)

    def __len__(self):
        return len(self.x)

    def read(self, ids):
        longest = max(len(self.x[n]) for n in ids)
        x = np.full((len(ids), longest, 5), 77, np.float32)  # what lies beyond a length does not matter
        for i, n in enumerate(ids):
            x[i, : len(self.x[n])] = self.x[n]
        return {"x": x, "targets": self.y[ids], "lengths": np.array([len(self.x[n]) for n in ids])}


def test_sequences_of_every_form_train_to_the_same_bits():
    x, y = waves(120, 1)
    concatenated = {"x": np.concatenate(x), "targets": y, "lengths": np.array([len(s) for s in x])}
    forms = [
        (x, y),
        concatenated,
        volley.as_source(Waves(120, 1), kind="sequences"),
        WaveBatches(120, 1),
        ((s, t) for s, t in zip(x, y)),
    ]
    results = []
    for threads, form in zip((1, 2, 1, 2, 1), forms):
        net = wave_net()
        history = wave_trainer(net, form, threads=threads).fit(3)
        results.append((weights_of(net), [e.train_loss for e in history]))
    for weights, losses in results[1:]:
        assert same(weights, results[0][0])
        assert losses == results[0][1]


def test_a_training_learns_and_evaluates():
    net = wave_net()
    seen = []
    trainer = wave_trainer(net, waves(240, 1), test=waves(60, 2))
    history = trainer.fit(12, callbacks=seen.append)
    assert [e.train_loss for e in seen] == [e.train_loss for e in history] and len(trainer.history) == 12
    assert history[-1].test_acc > 0.85
    evaluation = trainer.evaluate()
    assert evaluation.accuracy == pytest.approx(history[-1].test_acc)
    assert evaluation.scores.shape == (60, 2)
    assert np.array_equal(evaluation.predictions, evaluation.scores.argmax(1))
    assert trainer.evaluate(waves(30, 3)).accuracy > 0.8
    assert trainer.epoch == 13


def test_two_fits_are_one():
    a, b = wave_net(), wave_net()
    wave_trainer(a, waves(60, 1)).fit(4)
    trainer = wave_trainer(b, waves(60, 1))
    trainer.fit(1)
    trainer.fit(3)
    assert same(weights_of(a), weights_of(b))


def test_callbacks_hear_everything_and_may_stop():
    calls = []

    class Listener:
        def begin(self, epochs, iterations):
            calls.append(("begin", epochs, iterations))

        def iteration(self, record):
            calls.append(("iteration", record.iteration))
            return record.iteration < 5  # False stops

        def epoch(self, record):
            calls.append(("epoch", record.epoch))

        def end(self):
            calls.append(("end",))

    trainer = wave_trainer(wave_net(), waves(60, 1))
    history = trainer.fit(4, callbacks=[Listener()])
    assert calls == [("begin", 4, 3), *[("iteration", n) for n in (1, 2, 3)], ("epoch", 1)] + [
        ("iteration", 4),
        ("iteration", 5),
        ("end",),
    ]
    assert history.stopped and not history.stopped_early and len(history) == 1
    rest = trainer.fit(1)  # the epoch under way
    assert rest[0].epoch == 2


def test_an_exception_of_a_callback_or_a_source_reaches_the_caller():
    def fail(record):
        raise KeyError("mine")

    trainer = wave_trainer(wave_net(), waves(60, 1))
    with pytest.raises(KeyError, match="mine"):
        trainer.fit(2, callbacks=fail)
    assert len(trainer.fit(1)) == 1

    class Broken(WaveBatches):
        def read(self, ids):
            raise OSError("the disk has gone")

    with pytest.raises(OSError, match="the disk has gone"):
        wave_trainer(wave_net(), Broken(60, 1)).fit(1)


def test_a_callback_may_evaluate():
    net, other = wave_net(), wave_net()
    trainer = wave_trainer(net, waves(60, 1), test=waves(20, 2))
    losses = []
    trainer.fit(2, callbacks=lambda record: losses.append(trainer.evaluate().loss))
    wave_trainer(other, waves(60, 1)).fit(2)
    assert same(weights_of(net), weights_of(other))
    assert losses == [e.test_loss for e in trainer.history]


def test_a_regression_of_values():
    x = (np.arange(64, dtype=np.float32) % 16 / 16)[:, None]
    net = volley.Sequential(volley.Linear(1, 32), volley.LIF(), volley.Linear(32, 1), volley.LI())
    trainer = volley.Trainer(
        net, (x, 2 * x), volley.Mse(), volley.Adam(lr=2e-2), test=(x, 2 * x), steps=10, batch=16
    )
    history = trainer.fit(40)
    assert history[-1].test_loss < 0.02 and np.isnan(history[-1].test_acc)
    evaluation = trainer.evaluate()
    assert evaluation.accuracy is None and evaluation.predictions.size == 0
    assert np.abs(evaluation.scores - 2 * x).mean() < 0.15


def test_pictures_and_rates_of_a_network_built_in_python():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 90)
    pixels = rng.integers(0, 90, (90, 1, 4, 6), np.uint8)
    for n, label in enumerate(labels):
        pixels[n].reshape(-1)[8 * label : 8 * label + 8] += 120
    net = volley.Sequential(volley.Flatten(), volley.Linear(24, 3), volley.LIF())
    data = volley.Dataset(pixels, labels)
    trainer = volley.Trainer(
        net, data, volley.RateMse(), volley.Adam(lr=0.05), volley.Poisson(), steps=20, batch=15
    )
    loss = [e.train_loss for e in trainer.fit(8)]
    assert loss[-1] < loss[0]
    # The same pictures as arrays.
    other = volley.Sequential(volley.Flatten(), volley.Linear(24, 3), volley.LIF())
    volley.Trainer(
        other, (pixels, labels), volley.RateMse(), volley.Adam(lr=0.05), volley.Poisson(), steps=20, batch=15
    ).fit(8)
    assert same(weights_of(net), weights_of(other))


def test_the_optimizer_is_shared():
    adam = volley.Adam(lr=1e-3)
    trainer = volley.Trainer(wave_net(), waves(60, 1), volley.MembraneCrossEntropy(), adam, batch=20)
    before = weights_of(trainer.net)
    adam.lr = 0.0
    trainer.fit(1)
    assert same(before, weights_of(trainer.net))
    adam.lr = 1e-3
    trainer.fit(1)
    assert not same(before, weights_of(trainer.net))


def test_what_does_not_fit_is_said():
    with pytest.raises(TypeError, match="optimizer must be an optimizer"):
        volley.Trainer(wave_net(), waves(20, 1), volley.MembraneCrossEntropy(), "adam")
    with pytest.raises(TypeError, match="encoder must be an encoder"):
        wave_trainer(wave_net(), waves(20, 1), encoder="poisson")
    with pytest.raises(TypeError, match="data must be a Source"):
        wave_trainer(wave_net(), 7)
    with pytest.raises(volley.ArgumentError, match=r'a dict must have "x"'):
        volley.as_source({"y": [1]})
    with pytest.raises(volley.ArgumentError, match="steps must be >= 1, got 0"):
        wave_trainer(wave_net(), waves(20, 1), steps=0)
    with pytest.raises(volley.ArgumentError, match="samples without steps"):
        wave_trainer(wave_net(), waves(20, 1), encoder=volley.Poisson()).fit(1)
    with pytest.raises(volley.ArgumentError, match="early_stopping needs a test"):
        wave_trainer(wave_net(), waves(20, 1), early_stopping=2).fit(1)
    with pytest.raises(volley.ArgumentError, match="at least one sample"):
        volley.as_source(iter([]))


def test_sources_say_what_they_are():
    x, y = waves(7, 1)
    source = volley.as_source((x, y), name="waves")
    assert (source.name, source.kind, source.shape, len(source)) == ("waves", "sequences", (5,), 7)
    assert source.steps == max(map(len, x)) and source.outputs == 2
    batch = source.read([3, 0])
    assert batch["targets"].tolist() == [1, 0]
    for row, n in enumerate((3, 0)):
        assert np.array_equal(batch["x"][row, : len(x[n])], x[n])
        assert not batch["x"][row, len(x[n]) :].any()
    assert "7 samples of sequences (5)" in repr(source)
    with pytest.raises(volley.ArgumentError, match="samples must be < 7, got 7"):
        source.read([7])


def test_arrays_are_looked_at_in_place_and_kept():
    x = np.zeros((4, 3), np.float32)
    source = volley.ArraySource(x, np.arange(4))
    x[2, 1] = 5
    assert source.read([2])["x"][0, 1] == 5
    del x
    assert source.read([2])["x"].shape == (1, 3)


def test_files_of_arrays(tmp_path):
    x, y = waves(20, 1)
    lengths = np.array([len(s) for s in x])
    np.savez(tmp_path / "waves.npz", x=np.concatenate(x), y=y, lengths=lengths)
    train, test = volley.load_sources(str(tmp_path / "waves.npz"))
    assert (len(train), len(test)) == (16, 4) and train.kind == "sequences"
    arrays = volley.read_arrays(tmp_path / "waves.npz")
    assert arrays["lengths"].tolist() == lengths.tolist() and not arrays["x"].flags.writeable
    np.savez(
        tmp_path / "two.npz",
        x_train=np.ones((6, 2)),
        y_train=np.arange(6),
        x_test=np.ones((2, 2)),
        y_test=[0, 1],
    )
    train, test = volley.load_sources(str(tmp_path / "two.npz"))
    assert (len(train), len(test), train.kind) == (6, 2, "values")
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "x.npy", np.ones((10, 2), np.float32))
    np.save(folder / "y.npy", np.arange(10) % 2)
    np.save(folder / "test.npy", np.arange(10) < 3)
    (folder / "classes.txt").write_text("even\nodd\n")
    train, test = volley.load_sources(str(folder))
    assert (len(train), len(test), train.classes) == (7, 3, ["even", "odd"])
    (tmp_path / "table.csv").write_text("a,label,b\n" + "".join(f"{n}.5,{n % 2},{-n}\n" for n in range(10)))
    train, test = volley.load_sources(str(tmp_path / "table.csv"))
    assert (len(train), len(test), train.shape, train.outputs) == (8, 2, (2,), 2)
    with pytest.raises(volley.FileError, match="expected an array 'x'"):
        np.savez(tmp_path / "none.npz", z=np.ones(3))
        volley.load_sources(str(tmp_path / "none.npz"))


def test_losses_of_targets():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(4, 3, 2)).astype(np.float32)  # (T, N, K)
    targets = rng.normal(size=(3, 2)).astype(np.float32)
    loss, scores = volley.Mse().forward(y, targets)
    assert loss == pytest.approx(((y.mean(0) - targets) ** 2).mean(), rel=1e-5)
    assert np.allclose(scores, y.mean(0), atol=1e-6)
    dy = volley.Mse().backward(y, targets, scores)
    assert np.allclose(dy, np.broadcast_to((y.mean(0) - targets) / 12, y.shape), atol=1e-6)
    of_steps = rng.normal(size=y.shape).astype(np.float32)
    loss, scores = volley.L1(readout="each_step").forward(y, of_steps)
    assert loss == pytest.approx(np.abs(y - of_steps).mean(), rel=1e-5) and scores.shape == y.shape
    assert np.allclose(
        volley.L1(readout="each_step").backward(y, of_steps, scores), np.sign(y - of_steps) / 24
    )
    labels = rng.integers(0, 2, (4, 3))
    loss, scores = volley.StepCrossEntropy().forward(y, labels)
    log_p = y - np.log(np.exp(y).sum(-1, keepdims=True))
    assert loss == pytest.approx(-np.take_along_axis(log_p, labels[..., None], 2).mean(), rel=1e-5)
    lengths = np.array([4, 1, 2])
    loss, _ = volley.Mse(readout="last").forward(y, targets, lengths=lengths, weights=[1, 0, 1])
    last = np.stack([y[length - 1, n] for n, length in enumerate(lengths)])
    assert loss == pytest.approx((((last - targets) ** 2).mean(1)[[0, 2]]).mean(), rel=1e-5)
    heads = volley.Heads([(volley.Mse(), 1), (volley.L1(), 1, 2.0)])
    loss, _ = heads.forward(y, (targets[:, :1], targets[:, 1:]))
    error = y.mean(0) - targets
    assert loss == pytest.approx((error[:, 0] ** 2).mean() + 2 * np.abs(error[:, 1]).mean(), rel=1e-5)
    spikes = np.zeros((4, 1, 2), np.uint8)
    spikes[2, 0, 0] = 1
    loss, scores = volley.FirstSpikeMse().forward(spikes, [0])
    assert loss == 2.0 and scores.tolist() == [[-2.0, -3.0]]
    assert repr(volley.Huber(delta=0.5)) == "Huber(scale=1.0, readout='mean', delta=0.5)"


def test_a_mask_leaves_steps_out():
    rng = np.random.default_rng(5)
    y = rng.normal(size=(5, 2, 3)).astype(np.float32)  # (T, N, K)
    mask = np.array([[0, 1, 1, 0, 1], [1, 0, 0, 1, 1]]).T  # (T, N)
    labels = rng.integers(0, 3, (5, 2))
    loss, scores = volley.StepCrossEntropy().forward(y, labels, mask=mask)
    counted = [np.flatnonzero(mask[:, n]) for n in range(2)]
    short = np.stack([y[steps, n] for n, steps in enumerate(counted)], 1)
    short_labels = np.stack([labels[steps, n] for n, steps in enumerate(counted)], 1)
    assert loss == volley.StepCrossEntropy().forward(short, short_labels)[0]
    dy = volley.StepCrossEntropy().backward(y, labels, scores, mask=mask)
    assert (dy[mask == 0] == 0).all() and (dy[mask == 1] != 0).all()
    for wrong in (mask.T, mask * 2, np.zeros_like(mask)):
        with pytest.raises(volley.ArgumentError, match="mask"):
            volley.StepCrossEntropy().forward(y, labels, mask=wrong)

    x = rng.random((2, 5, 3), dtype=np.float32)  # (N, T, features)
    targets = np.where(mask.T == 1, labels.T, -1)
    source = volley.as_source({"x": x, "targets": targets, "mask": mask.T}, kind="sequences")
    assert (source.read([1, 0])["mask"] == mask.T[::-1]).all()

    class Reader:
        kind, shape, steps, outputs = "sequences", (3,), 5, 3

        def __len__(self):
            return 2

        def read(self, ids):
            return {"x": x[ids], "targets": labels.T[ids], "mask": mask.T[ids]}

    nets = []
    for of in (source, Reader()):
        net = volley.Sequential(volley.Linear(3, 8), volley.LIF(), volley.Linear(8, 3), volley.LI())
        net.initialize(0)
        volley.Trainer(net, of, volley.StepCrossEntropy(), volley.Adam(), batch=2).fit(2)
        nets.append(net.parameters())
    assert all((nets[0][name] == nets[1][name]).all() for name in nets[0])


def test_pictures_are_copied_and_pickled(toy_data):
    data = toy_data[0]
    for other in (copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        assert other is not data and (other.name, other.classes) == (data.name, data.classes)
        assert (other.pixels == data.pixels).all() and (other.labels == data.labels).all()
    state = data.__getstate__()
    with pytest.raises(volley.ArgumentError, match="label"):
        volley.Dataset.__new__(volley.Dataset).__setstate__({**state, "pixels": state["pixels"][1:]})


def test_devices():
    assert "usable processors" in volley.devices()["cpu"]

    def train(**options):
        net = volley.Sequential(volley.Linear(3, 2), volley.LIF())
        x = np.random.default_rng(1).random((8, 3), dtype=np.float32)
        data = (x, np.arange(8) % 2)
        trainer = volley.Trainer(
            net, data, volley.RateMse(), volley.Adam(), volley.Poisson(), steps=4, batch=4, **options
        )
        trainer.fit(1)
        return net.parameters()["0.weight"]

    assert (train(device="cpu") == train(device="auto")).all()
    with pytest.raises(volley.DeviceError, match="device cuda:0: this build of Volley runs on CPUs") as info:
        train(device="cuda:0")
    assert info.value.device == "cuda:0" and isinstance(info.value, RuntimeError)
    with pytest.raises(
        volley.ArgumentError, match="name must be 'cpu', 'cuda', 'cuda:N' or 'auto', got 'gpu'"
    ):
        train(device="gpu")
