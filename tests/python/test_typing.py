"""The stubs that ship with the module are complete, and say what the module does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import volley

PACKAGE = Path(volley.__file__).parent
HERE = Path(__file__).parent


def mypy(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, *map(str, paths)],
        cwd=HERE, capture_output=True, text=True,
    )  # fmt: skip


def test_a_users_script_is_well_typed() -> None:
    result = mypy(HERE / "typed_script.py", *sorted((HERE.parents[1] / "examples").glob("*.py")))
    assert result.returncode == 0, result.stdout


def test_these_tests_are_well_typed() -> None:
    result = mypy(*sorted(HERE.glob("*.py")))
    assert result.returncode == 0, result.stdout


def test_a_users_mistakes_are_found(tmp_path: Path) -> None:
    script = tmp_path / "wrong.py"
    script.write_text(
        "import volley\nvolley.LIF(tau='2')\nvolley.Linear(3)\nvolley.Tape.nothing\n"
        "loss: str = volley.train('x')[0].train_loss\n"
    )
    result = mypy(script)
    for line in (2, 3, 4, 5):
        assert f"wrong.py:{line}: error" in result.stdout, result.stdout


# Written in Python, with their types beside them.
PURE = ("datasets", "errors", "figures", "Progress", "Trainer", "as_source", "__version__")


def test_the_package_ships_its_stubs() -> None:
    assert (PACKAGE / "py.typed").exists()
    stub = (PACKAGE / "_volley.pyi").read_text()
    for name in volley.__all__:
        if name not in (*PURE, *volley.errors.__all__):
            kinds = (f"class {name}", f"def {name}(", f"{name}: TypeAlias")
            assert any(kind in stub for kind in kinds), name
    assert volley.__version__.count(".") == 2


def test_everything_public_has_a_docstring() -> None:
    for name in volley.__all__:
        thing = getattr(volley, name)
        if name != "__version__":
            assert thing.__doc__, name
        if isinstance(thing, type):
            for member in vars(thing):
                if not member.startswith("_") and callable(getattr(thing, member)):
                    assert getattr(thing, member).__doc__, f"{name}.{member}"
