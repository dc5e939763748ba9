"""How far a training is: a bar in a notebook, a line on a terminal, nothing in a file or a pipe."""

from __future__ import annotations

import html
import sys
import time
from typing import Any, TextIO

__all__ = ["Progress"]

_BAR = 24  # characters
_PAUSE = 0.1  # seconds between two updates within an epoch


def _notebook_display() -> Any:
    """IPython's display function where a notebook runs this code, else None; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    return display


class _Html:
    def __init__(self, text: str, done: float | None) -> None:
        self.text, self.done = text, done

    def _repr_html_(self) -> str:
        value = "" if self.done is None else f' value="{self.done:.4f}"'
        style = "font-family: monospace; font-size: 90%"
        return f'<progress max="1"{value}></progress> <span style="{style}">{html.escape(self.text)}</span>'

    def __repr__(self) -> str:
        return self.text


class Progress:
    """Shows how far a training is: `volley.train(recipe, epochs=5, on_epoch=volley.Progress(5))`.

    A notebook has one bar that is updated; a terminal has one line on stderr; where stderr is a file or a
    pipe, nothing is shown. `epochs`: how many there will be, if that is known. `file`: a stream in place of
    stderr.

    An object is called with each EpochRecord. A loop of your own calls begin(epochs, iterations),
    iteration(record) after each batch, epoch(record) after each epoch, and end(). The attributes `loss`,
    `train_loss`, `train_acc`, `validation_acc` and `test_acc` of a record are shown where it has them.
    """

    def __init__(self, epochs: int | None = None, file: TextIO | None = None) -> None:
        self._epochs = epochs
        self._iterations = 0  # of an epoch; 0: not known
        self._file = file
        self._display = None if file is not None else _notebook_display()
        self._handle: Any = None
        self._epoch = 0  # done
        self._iteration = 0  # done of the epoch under way
        self._shown_at = 0.0
        self._width = 0  # of the line on the terminal that has no end yet

    def begin(self, epochs: int, iterations: int) -> None:
        """A training begins: `epochs` of them, of `iterations` batches each."""
        self._epochs, self._iterations = epochs, iterations
        self._epoch = self._iteration = 0
        self._show("", None)

    def iteration(self, record: object = None) -> None:
        """A batch is done."""
        self._iteration += 1
        if time.monotonic() - self._shown_at >= _PAUSE:
            self._show(_numbers(record), None)

    def epoch(self, record: object = None) -> None:
        """An epoch is done."""
        self._epoch = getattr(record, "epoch", self._epoch + 1)
        self._iteration = 0
        self._show(_numbers(record), self._epoch)
        if self._epochs is None or self._epoch >= self._epochs:
            self.end()

    def end(self) -> None:
        """The training is over; may be called more than once."""
        if self._width > 0:
            self._stream().write("\n")
            self._stream().flush()
            self._width = 0

    __call__ = epoch

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def _stream(self) -> TextIO:
        return sys.stderr if self._file is None else self._file

    def _done(self) -> float | None:
        """The part of the training that is done, 0 to 1."""
        if not self._epochs:
            return None
        within = self._iteration / self._iterations if self._iterations else 0.0
        return min(1.0, (self._epoch + min(within, 1.0)) / self._epochs)

    def _show(self, numbers: str, epoch: int | None) -> None:
        """`epoch`: the one that has ended; None: the one after `self._epoch` is under way."""
        self._shown_at = time.monotonic()
        number = self._epoch + 1 if epoch is None else epoch
        text = f"epoch {number}" + (f"/{self._epochs}" if self._epochs else "")
        if self._iterations and epoch is None:
            text += f", batch {self._iteration}/{self._iterations}"
        text += numbers
        if self._display is not None:
            picture = _Html(text, self._done())
            if self._handle is None:
                self._handle = self._display(picture, display_id=True)
            else:
                self._handle.update(picture)
            return
        stream = self._stream()
        if stream is None or not stream.isatty():
            return
        done = self._done()
        if done is not None:
            filled = round(done * _BAR)
            text = "[" + "#" * filled + "-" * (_BAR - filled) + "] " + text
        stream.write("\r" + text.ljust(self._width))
        stream.flush()
        self._width = len(text)


def _numbers(record: object) -> str:
    text = ""
    for name, title in (("loss", "loss"), ("train_loss", "loss")):
        value = getattr(record, name, None)
        if value is not None:
            text += f", {title} {value:.4g}"
    for name, title in (("train_acc", "train"), ("validation_acc", "validation"), ("test_acc", "test")):
        value = getattr(record, name, None)
        if value is not None:
            text += f", {title} {value:.2%}"
    return text
