"""VOLLEY_TARGET: the instruction set that kernels use, chosen when the module is first imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import volley


def imported(target: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "VOLLEY_TARGET": target},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_is_honoured_and_changes_no_bit() -> None:
    code = (
        "import hashlib, numpy as np, volley\n"
        "x = np.random.default_rng(0).normal(1, 1, (50, 3, 37)).astype(np.float32)\n"
        "lif = volley.LIF(surrogate=volley.Sigmoid()); s, tape = lif.forward(x)\n"
        "print(volley.simd_target(), hashlib.sha256(lif.backward(tape, x)).hexdigest())\n"
    )
    best = volley.simd_target()
    targets = [best] + (["avx2"] if best == "avx512" else [])
    printed = [imported(target, code).stdout.split() for target in targets]
    assert [target for target, _ in printed] == targets
    assert len({bits for _, bits in printed}) == 1
    assert imported("", "import volley; print(volley.simd_target())").stdout.split() == [best]


@pytest.mark.parametrize("target", ["sse4", "mmx", "AVX2"])
def test_another_name_is_an_error_of_the_import(target: str) -> None:
    done = imported(target, "import volley")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    begin = "volley.errors.ArgumentError: [instruction set] VOLLEY_TARGET must be one of "
    assert last.startswith(begin) and last.endswith(f", got '{target}'"), last
    assert volley.simd_target() in last
    caught = imported(target, "try:\n    import volley\nexcept ValueError as error: print(error.rule)")
    assert caught.stdout.startswith("VOLLEY_TARGET must be one of ")
