"""Reads RUN/tensorboard with TensorBoard's own package, and holds it to the tables of the run.

check_events.py RUN
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def column(path: Path, name: str) -> list[float]:
    with path.open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def curve(events: EventAccumulator, tag: str) -> tuple[list[int], list[float]]:
    points = events.Scalars(tag)
    return [p.step for p in points], [p.value for p in points]


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"tensorboard: {what}")


def main(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    events.Reload()
    for name in ("loss", "batch_acc", "grad_norm"):
        steps, values = curve(events, f"iteration/{name}")
        check(steps == list(range(1, len(steps) + 1)), f"iteration/{name} is not one curve: {steps}")
        expected = column(run / "iterations.csv", name)
        check(np.array_equal(np.float32(expected), np.float32(values)), f"iteration/{name} is not the table's")
    for name in ("train_loss", "train_acc", "test_loss", "test_acc"):
        steps, values = curve(events, f"epoch/{name}")
        check(steps == sorted(set(steps)), f"epoch/{name} is not one curve: {steps}")
        expected = column(run / "metrics.csv", name)
        check(np.array_equal(np.float32(expected), np.float32(values)), f"epoch/{name} is not the table's")
    epochs = len(column(run / "metrics.csv", "epoch"))
    tags = events.Tags()
    for tag in ("firing_rate/input_spikes", "firing_rate/2_lif", "dead_share/2_lif", "iteration/lr"):
        check(tag in tags["scalars"], f"no {tag} among {tags['scalars']}")
    for tag in ("weights/1.weight", "gradients/1.weight"):
        histograms = events.Histograms(tag)
        check(len(histograms) == epochs, f"{tag} has {len(histograms)} histograms in {epochs} epochs")
        for h in (point.histogram_value for point in histograms):
            check(sum(h.bucket) == 7840 and h.max > h.min, f"{tag} is not of all weights")
    check(len(tags["images"]) == 8, f"8 pictures were shown, there are {tags['images']}")
    for tag in tags["images"]:
        (shown,) = events.Images(tag)
        size = Image.open(io.BytesIO(shown.encoded_image_string)).size
        check(size == (shown.width, shown.height), f"{tag} is {size}, not {shown.width} x {shown.height}")
    print(f"tensorboard: {len(tags['scalars'])} curves, {epochs} epochs: as in the tables of {run.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
