"""Encoding, training by recipe, and the same training written by hand in Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import volley

Data = tuple[volley.Dataset, volley.Dataset]


def test_rates_are_the_pixels(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (4, 5, 6), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    spikes = volley.Poisson(seed=1).encode(images, steps=4000)
    assert spikes.shape == (4000, 4, 5, 6) and spikes.dtype == np.uint8 and spikes.max() == 1
    deviation = np.sqrt(0.25 / 4000)
    assert np.abs(spikes.mean(0) - images / 255).max() < 5 * deviation
    assert spikes[:, 0, 0, 0].sum() == 0 and spikes[:, 0, 0, 1].sum() == 4000


def test_a_draw_is_addressed_by_seed_purpose_epoch_and_sample(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (6, 30), dtype=np.uint8)
    poisson = volley.Poisson(seed=3)
    whole = poisson.encode(images, steps=20, epoch=2)
    np.testing.assert_array_equal(poisson.encode(images[4:], steps=20, epoch=2, first_sample=4), whole[:, 4:])
    np.testing.assert_array_equal(poisson.encode(images, steps=9, epoch=2), whole[:9])
    for other in (
        volley.Poisson(seed=4).encode(images, steps=20, epoch=2),
        poisson.encode(images, steps=20, epoch=3),
        poisson.encode(images, steps=20, epoch=2, purpose="test"),
        poisson.encode(images, steps=20, epoch=2, first_sample=1),
    ):
        assert (other != whole).any()


def test_a_training_learns_and_reports(toy_recipe: Path, toy_data: Data) -> None:
    seen: list[volley.EpochRecord] = []
    history = volley.train(toy_recipe, epochs=8, data=toy_data, on_epoch=seen.append)
    assert [record.epoch for record in history] == list(range(1, 9)) == [record.epoch for record in seen]
    assert history[-1].test_acc == 1.0 and history[-1].train_loss < history[0].train_loss
    assert history.folder is None and len(history) == 8

    test = toy_data[1]
    spikes = volley.Poisson(seed=5).encode(test.pixels, steps=20, epoch=8, purpose="test")
    loss, scores = volley.RateMse().forward(history.net.forward(spikes)[0], test.labels)
    assert (scores.argmax(1) == test.labels).all()
    assert loss == pytest.approx(history[-1].test_loss, rel=1e-6), "the very spikes that the evaluation saw"


def test_any_number_of_threads_trains_the_same_bits(toy_recipe: Path, toy_data: Data) -> None:
    nets = [volley.train(toy_recipe, data=toy_data, threads=threads).net for threads in (1, 2, 3)]
    for net in nets[1:]:
        for name, value in nets[0].parameters().items():
            np.testing.assert_array_equal(net.parameters()[name], value)


def test_the_same_training_by_hand(toy_recipe: Path, toy_data: Data) -> None:
    """With one batch an epoch, only the order of sums tells volley.train from a loop in Python."""
    train = toy_data[0]
    settings = [f"training.batch={len(train)}"]
    history = volley.train(toy_recipe, settings=settings, data=toy_data)
    recipe = volley.load_recipe(toy_recipe)
    net, loss, adam = recipe.build_network((8, 8)), volley.RateMse(), volley.Adam(0.02)
    for record in history:
        spikes = volley.Poisson(seed=5).encode(train.pixels, steps=20, epoch=record.epoch)
        y, tape = net.forward(spikes)
        value, scores = loss.forward(y, train.labels)
        assert value == pytest.approx(record.train_loss, rel=1e-5)
        net.zero_gradients()
        net.backward(tape, loss.backward(y, train.labels, scores), needs_input_gradient=False)
        adam.step(net)
    for name, weights in history.net.parameters().items():
        np.testing.assert_allclose(net.parameters()[name], weights, atol=1e-5)


def test_a_run_folder_is_written_and_its_checkpoint_loads(
    toy_recipe: Path, toy_data: Data, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    history = volley.train(toy_recipe, data=toy_data, out=out)
    assert history.folder == out
    assert len((out / "metrics.csv").read_text().splitlines()) == 1 + len(history)
    net = volley.load(out / "checkpoint_latest.safetensors")
    for name, value in history.net.parameters().items():
        np.testing.assert_array_equal(net.parameters()[name], value)
    with pytest.raises(OSError, match="expected a new or empty run folder"):
        volley.train(toy_recipe, data=toy_data, out=out)


def test_an_interrupted_training_goes_on_to_the_same_end(
    toy_recipe: Path, toy_data: Data, tmp_path: Path
) -> None:
    whole = volley.train(toy_recipe, data=toy_data, out=tmp_path / "whole")

    def on_epoch(record: volley.EpochRecord) -> None:
        raise LookupError("enough")

    run = tmp_path / "run"
    with pytest.raises(LookupError):
        volley.train(toy_recipe, data=toy_data, out=run, on_epoch=on_epoch)
    history = volley.resume(run, data=toy_data, threads=1)
    assert [record.epoch for record in history] == [1, 2, 3] and history.folder == run
    assert [record.train_loss for record in history] == [record.train_loss for record in whole]
    for name, value in whole.net.parameters().items():
        np.testing.assert_array_equal(history.net.parameters()[name], value)
    assert (run / "iterations.csv").read_bytes() == (tmp_path / "whole" / "iterations.csv").read_bytes()

    assert len(volley.resume(run, epochs=5, data=toy_data)) == 5
    with pytest.raises(ValueError, match="epochs: expected at least 5, which are done, got 4"):
        volley.resume(run, epochs=4, data=toy_data)
    with pytest.raises(OSError, match="optimizer.lr was 0.02, is 0.5"):
        volley.resume(run, settings=["optimizer.lr=0.5"], data=toy_data)
    with pytest.raises(OSError, match="SHA-256 of the data"):
        volley.resume(run, epochs=6, data=(toy_data[1], toy_data[1]))
    assert len(volley.resume(run, epochs=6, settings=["optimizer.lr=0.5"], data=toy_data, force=True)) == 6
    with pytest.raises(ValueError, match="checkpoint_every: expected a number of epochs"):
        volley.resume(run, checkpoint_every="often")
    with pytest.raises(OSError, match="expected a run folder with a recipe.toml"):
        volley.resume(tmp_path / "nowhere")


def test_a_run_of_0_1_is_loaded_and_never_resumed(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "run-0.1"
    run = tmp_path / "run"
    shutil.copytree(golden / "run", run)
    test = volley.datasets.load(str(golden / "pictures"))[1]
    net = volley.load(run / "checkpoint_latest.safetensors")
    scores = net.forward(volley.Direct().encode(test.pixels, steps=8))[0].mean(axis=0)
    assert (scores.argmax(axis=1) == test.labels).mean() == 0.75  # as its metrics.csv has it
    for force in (False, True):
        with pytest.raises(volley.FileError, match=r"latest.*: expected numerics 2, found 1 \(Volley 0.1"):
            volley.resume(run, data=(test, test), force=force)


def test_an_exception_in_on_epoch_ends_the_training(toy_recipe: Path, toy_data: Data) -> None:
    def on_epoch(record: volley.EpochRecord) -> None:
        if record.epoch == 2:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        volley.train(toy_recipe, data=toy_data, on_epoch=on_epoch)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal, also where a shell started pytest in the background, with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_the_training_and_its_checkpoint_is_written(
    toy_recipe: Path, toy_data: Data, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))

    def on_epoch(record: volley.EpochRecord) -> None:
        if record.epoch == 1:
            timer.start()

    with pytest.raises(KeyboardInterrupt):
        volley.train(
            toy_recipe, epochs=10**6, data=toy_data, out=run, checkpoint_every="1000m", on_epoch=on_epoch
        )
    timer.join()
    done = len((run / "metrics.csv").read_text().splitlines()) - 1
    steps = len((run / "iterations.csv").read_text().splitlines()) - 1
    assert done <= steps / 4 <= done + 1
    assert len(volley.resume(run, epochs=done + 1, data=toy_data)) == done + 1


def test_a_child_process_can_compute() -> None:
    code = (
        "import os, numpy as np, volley\n"
        "volley.set_threads(2)\n"
        "lif = volley.LIF(); x = np.ones((9, 40, 5), np.float32)\n"
        "lif.forward(x)\n"
        "pid = os.fork()\n"
        "if pid == 0: lif.forward(x); volley.set_threads(1); raise SystemExit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_dataset_is_looked_at_in_place(toy_data: Data) -> None:
    train = toy_data[0]
    assert train.pixels.shape == (64, 8, 8) and not train.pixels.flags.writeable
    assert len(train.first(10)) == 10 and train.classes == ["across", "down"]
    pixels = train.first(3).pixels  # keeps the set it belongs to
    np.testing.assert_array_equal(pixels, train.pixels[:3])


def test_a_short_training_on_mnist(mnist_folder: str | None) -> None:
    settings = ["train_samples=6400", "test_samples=1000"]
    history = volley.train("lif_fc_mnist", epochs=2, data_dir=mnist_folder, settings=settings)
    assert history[-1].test_acc > 0.8
    train, test = volley.datasets.load("mnist", mnist_folder)
    assert train.pixels.shape == (60000, 1, 28, 28) and len(test) == 10000


def test_names_of_recipes_and_sets() -> None:
    assert {"lif_fc_mnist", "article_mnist"} <= set(volley.builtin_recipes())
    assert "mnist" in [info.name for info in volley.datasets.list()]
    recipe = volley.load_recipe("lif_fc_mnist").with_settings(["optimizer.lr=0.5"])
    assert "lr = 0.5" in recipe.to_toml()


def test_validation_and_activity_are_reported(toy_recipe: Path, toy_data: Data, tmp_path: Path) -> None:
    out = tmp_path / "run"
    history = volley.train(toy_recipe, data=toy_data, settings=["validation=0.25"], out=out)
    last = history[-1]
    assert last.validation_acc is not None and 0 <= last.validation_acc <= 1
    assert last.test_acc_at_best_validation in [record.test_acc for record in history]
    assert [layer.kind for layer in last.activity][-1] == "lif" and last.activity[0].layer == "input"
    assert "validation_acc" in (out / "metrics.csv").read_text() and (out / "monitors.csv").exists()
    assert volley.train(toy_recipe, data=toy_data)[-1].validation_acc is None


def test_activity_of_a_pass_is_counted() -> None:
    net = volley.Sequential(volley.Linear(3, 2, bias=False), volley.LIF())
    x = np.zeros((4, 5, 3), np.uint8)
    x[:, 0, 1] = 1
    _, tape = net.forward(x)
    spikes, linear, lif = tape.activity()
    assert (spikes.rate, spikes.dead) == (4 / 60, 2)
    assert (linear.synops, linear.macs, linear.dense_macs) == (4 * 2 / 5, 0, 6)
    assert linear.energy == pytest.approx(1.6 * 0.9)
    assert lif.neurons == 2 and lif.kind == "lif"
