"""Progress: a line on a terminal, a bar in a notebook, nothing in a pipe."""

from __future__ import annotations

import io
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import volley


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(**values: Any) -> Any:
    return types.SimpleNamespace(**values)


def run(progress: volley.Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volley.progress._PAUSE", 0.0)
    progress.begin(2, 3)
    for epoch in (1, 2):
        for _ in range(3):
            progress.iteration(record(loss=0.25))
        progress.epoch(record(epoch=epoch, train_loss=0.5, test_acc=0.875, validation_acc=None))
    progress.end()
    progress.end()


def test_a_terminal_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    run(volley.Progress(file=stream), monkeypatch)
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    lines = text.rstrip("\n").split("\r")
    assert lines[1].startswith("[------------------------] epoch 1/2, batch 0/3")
    assert "[####--------------------] epoch 1/2, batch 1/3, loss 0.25" in lines[2]
    assert lines[-1].rstrip() == "[########################] epoch 2/2, loss 0.5, test 87.50%"


def test_a_pipe_has_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    run(volley.Progress(file=stream), monkeypatch)
    run(volley.Progress(), monkeypatch)
    assert stream.getvalue() == "" and capsys.readouterr() == ("", "")


def test_updates_within_an_epoch_are_seldom() -> None:
    stream = Terminal()
    with volley.Progress(file=stream) as progress:
        progress.begin(1, 1000)
        for _ in range(1000):
            progress.iteration(record(loss=1.0))
    assert stream.getvalue().count("\r") < 100 and stream.getvalue().endswith("\n")


def test_without_a_number_of_epochs_each_has_a_line() -> None:
    stream = Terminal()
    progress = volley.Progress(file=stream)
    progress(record(epoch=1, train_loss=0.5))
    progress(record(epoch=2, train_loss=0.25))
    assert stream.getvalue() == "\repoch 1, loss 0.5\n\repoch 2, loss 0.25\n"


class Handle:
    def __init__(self) -> None:
        self.shown: list[Any] = []

    def update(self, picture: Any) -> None:
        self.shown.append(picture)


def notebook(monkeypatch: pytest.MonkeyPatch, kernel: bool) -> Handle:
    handle = Handle()

    def display(picture: Any, display_id: bool) -> Handle:
        handle.shown.append(picture)
        return handle

    shell = types.SimpleNamespace(kernel=object()) if kernel else types.SimpleNamespace()
    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    module: Any = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return handle


def test_a_notebook_has_one_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    handle = notebook(monkeypatch, kernel=True)
    run(volley.Progress(), monkeypatch)
    assert len(handle.shown) == 9
    assert '<progress max="1" value="1.0000">' in handle.shown[-1]._repr_html_()
    assert "epoch 2/2, loss 0.5, test 87.50%" in handle.shown[-1]._repr_html_()
    assert repr(handle.shown[-1]) == "epoch 2/2, loss 0.5, test 87.50%"
    assert capsys.readouterr() == ("", "")


def test_ipython_on_a_terminal_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = notebook(monkeypatch, kernel=False)
    run(volley.Progress(), monkeypatch)
    assert handle.shown == []


def test_a_training_calls_it(toy_recipe: Path, toy_data: tuple[volley.Dataset, volley.Dataset]) -> None:
    stream = Terminal()
    volley.train(toy_recipe, epochs=2, data=toy_data, on_epoch=volley.Progress(2, file=stream))
    assert "epoch 2/2, loss " in stream.getvalue() and stream.getvalue().endswith("%\n")


def test_ipython_is_not_imported() -> None:
    code = "import sys, volley; volley.Progress(1); assert not {'IPython', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
