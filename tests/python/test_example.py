"""examples/tutorial.py, on a slice of the data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "examples" / "tutorial.py"


def test_the_tutorial_runs(mnist_folder: str | None) -> None:
    folder = [] if mnist_folder is None else ["--data-dir", mnist_folder]
    command = [sys.executable, str(TUTORIAL), "--samples", "6400", "--epochs", "2", *folder]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    accuracies = re.findall(r"test accuracy by (hand|recipe): (0\.\d+)", result.stdout)
    assert [how for how, _ in accuracies] == ["hand", "recipe"]
    assert all(float(accuracy) > 0.75 for _, accuracy in accuracies), result.stdout
    assert len(re.findall(r"^epoch \d", result.stdout, re.MULTILINE)) == 2


def test_the_sample_runs_as_written() -> None:
    script = Path(__file__).parent / "typed_script.py"
    subprocess.run([sys.executable, str(script)], check=True, timeout=60, capture_output=True)


def test_the_guides_first_block_runs_as_written() -> None:
    guide = (TUTORIAL.parents[1] / "docs" / "guide" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    subprocess.run([sys.executable, "-c", blocks[0]], check=True, timeout=60)
