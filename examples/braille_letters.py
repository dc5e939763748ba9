"""Writes letters.npz, what examples/braille_letters.toml trains on: 27 Braille letters, felt 50 times each.

    python examples/braille_letters.py tutorial5_braille_spiking_data.pkl.gz [letters.npz]

The data are those of Mueller-Cleve et al., "Braille letter reading: A benchmark for spatio-temporal pattern
recognition on neuromorphic hardware", Frontiers in Neuroscience 16, 2022 (CC BY 4.0); the file is in the
folder notebooks/data of the repository fzenke/spytorch on GitHub. It is a pickle: load it from there alone.
As in that tutorial, four taxels of the twelve are kept, a value v is 1 - v / 255, and there are two steps
for each of the sensor's; the standardisation is that of the training letters. Every fifth repetition of a
letter is for the test: 270 letters."""

import gzip
import pickle
import sys

import numpy as np
import numpy.typing as npt

TAXELS = [1, 2, 6, 10]
UPSAMPLED = 2


def upsampled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(T, taxels) -> (2 T, taxels), linearly."""
    T = len(values)
    t = np.minimum(np.arange(T * UPSAMPLED) / UPSAMPLED, T - 1)
    return np.stack([np.interp(t, np.arange(T), values[:, k]) for k in range(values.shape[1])], axis=1)


def main() -> None:
    source, target = sys.argv[1], (sys.argv[2:] or ["letters.npz"])[0]
    with gzip.open(source) as file:
        trials = pickle.load(file)
    letters = sorted({trial["letter"] for trial in trials}, key=lambda letter: (letter != "Space", letter))
    seen = dict.fromkeys(letters, 0)
    x: list[npt.NDArray[np.float64]] = []
    y: list[int] = []
    test: list[bool] = []
    for trial in trials:
        x.append(upsampled(1 - trial["taxel_data"][:, TAXELS] / 255))
        y.append(letters.index(trial["letter"]))
        test.append(seen[trial["letter"]] % 5 == 4)
        seen[trial["letter"]] += 1
    training = np.concatenate([values for values, of_test in zip(x, test) if not of_test])
    mean, std = training.mean(axis=0), training.std(axis=0)
    np.savez(
        target,
        x=np.concatenate([(values - mean) / std for values in x]).astype(np.float32),
        lengths=np.array([len(values) for values in x], np.uint16),
        y=np.array(y, np.uint8),
        test=np.array(test),
    )
    print(f"{target}: {len(x)} letters, {sum(test)} of them for the test")


if __name__ == "__main__":
    main()
