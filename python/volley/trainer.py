"""Training of a network that was built in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import _volley
from .sources import as_source

__all__ = ["History", "Trainer"]


class History(list[_volley.EpochRecord]):
    """The records of the epochs of a fit, in order.

    stopped: whether a callback ended the fit before all epochs were done. stopped_early: whether
    early_stopping did.
    """

    def __init__(self, epochs: Iterable[Any], stopped: bool = False, stopped_early: bool = False) -> None:
        super().__init__(epochs)
        self.stopped = stopped
        self.stopped_early = stopped_early

    @property
    def epochs(self) -> list[_volley.EpochRecord]:
        return list(self)


class Trainer:
    """Trains a network on a source of samples.

    net: a Sequential or another layer; it is trained in place. source: what as_source takes. loss,
    optimizer, encoder: objects of this module, shared with the trainer; encoder, unless given, is Direct(),
    which samples with steps of their own need. The encoder draws from `seed`, whatever its own is.

    test: evaluated after each epoch; without it test figures are NaN. validation: evaluated too, and tells
    which epoch is best. steps: T, where samples have no steps of their own. batch: samples. seed: of
    shuffling and encoding. threads: 0, one for each processor; results are the same bits for any number.
    device: "cpu", "cuda", "cuda:N" or "auto" (see devices()); the same bits too. A device that is not there
    is a DeviceError.
    drop_last: whether an incomplete last batch is left out. clip_norm, clip_value: of the gradients; at
    most one. on_non_finite: "stop" or "skip". monitors: whether evaluations count what the layers do.
    early_stopping: a fit ends after so many epochs without a better score; 0: never. crop_padding, flip:
    how pictures are changed each time they are seen.

    Raises ArgumentError for what does not fit, before anything is trained.
    """

    def __init__(
        self,
        net: Any,
        source: Any,
        loss: Any,
        optimizer: Any,
        encoder: Any = None,
        *,
        test: Any = None,
        validation: Any = None,
        steps: int = 100,
        batch: int = 64,
        seed: int = 0,
        threads: int = 0,
        device: str = "cpu",
        drop_last: bool = True,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_non_finite: str = "stop",
        monitors: bool = True,
        early_stopping: int = 0,
        crop_padding: int = 0,
        flip: bool = False,
    ) -> None:
        self.net = net
        self.loss = loss
        self.optimizer = optimizer
        self.encoder = encoder
        self.source = as_source(source, name="train")
        self.test = None if test is None else as_source(test, name="test")
        self.validation = None if validation is None else as_source(validation, name="validation")
        self.history = History([])
        self._stop = False
        self._trainer = _volley._Trainer(
            net,
            loss,
            optimizer,
            encoder,
            steps,
            batch,
            seed,
            threads,
            device,
            drop_last,
            clip_norm,
            clip_value,
            on_non_finite,
            monitors,
            early_stopping,
            crop_padding,
            flip,
        )

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1."""
        return self._trainer.epoch

    def fit(self, epochs: int = 1, callbacks: Any = ()) -> History:
        """Trains for `epochs` more epochs, and returns their records; `history` has those of all fits.

        A callback is called with the record of each epoch; or it is an object with any of the methods
        begin(epochs, iterations), iteration(record), epoch(record) and end(). One that returns False, and
        stop(), end the fit after the step under way; another fit then goes on from there. An exception of a
        callback, or of a Ctrl-C, ends it too, and reaches the caller.
        """
        given = [callbacks] if callable(callbacks) or hasattr(callbacks, "epoch") else list(callbacks)
        self._stop = False
        try:
            records, stopped, stopped_early = self._trainer.fit(
                self.source,
                self.test,
                self.validation,
                epochs,
                self._all(given, "begin"),
                self._all(given, "iteration"),
                self._all(given, "epoch"),
                lambda: self._stop,
            )
        finally:
            for callback in given:
                getattr(callback, "end", lambda: None)()
        self.history.extend(records)
        return History(records, stopped, stopped_early)

    def _all(self, callbacks: list[Any], name: str) -> Callable[..., None] | None:
        """One call for the callbacks that listen to `name`; None where there are none."""
        listeners = [getattr(c, name) for c in callbacks if hasattr(c, name)]
        if name == "epoch":
            listeners += [c for c in callbacks if not hasattr(c, name) and callable(c)]
        if not listeners:
            return None

        def call(*arguments: Any) -> None:
            for listener in listeners:
                if listener(*arguments) is False:
                    self._stop = True

        return call

    def stop(self) -> None:
        """For a callback: ends the fit after the step under way."""
        self._stop = True

    def evaluate(self, source: Any = None) -> _volley.Evaluation:
        """Loss, accuracy and scores of the network as it is now, on what as_source takes; unless given, on
        `test`, or else on the training samples. A callback of `begin`, `iteration` or `epoch` may call
        it."""
        if source is None:
            data = self.test if self.test is not None else self.source
        else:
            data = as_source(source, name="data")
        return self._trainer.evaluate(data, 0)
