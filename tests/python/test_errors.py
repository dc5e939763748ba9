"""The classes of errors, their values, and Python's own classes that they are as well."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

import volley

X = np.ones((6, 2, 5), np.float32)


def error_of(action: Callable[[], object], kind: type[volley.Error]) -> volley.Error:
    with pytest.raises(volley.Error) as raised:
        action()
    assert raised.type is kind
    return raised.value


def test_an_argument_error_is_a_value_error_with_its_values() -> None:
    error = error_of(lambda: volley.LIF(tau=0.5), volley.ArgumentError)
    assert isinstance(error, ValueError) and isinstance(error, volley.ArgumentError)
    assert not isinstance(error, OSError)
    assert str(error) == "[lif] tau must be > 1, got 0.5"
    assert (error.operation, error.rule, error.found) == ("lif", "tau must be > 1", "0.5")


def test_a_shape_error_has_the_shape() -> None:
    error = error_of(lambda: volley.LIF().forward(X[0]), volley.ShapeError)
    assert isinstance(error, ValueError) and isinstance(error, volley.ShapeError)
    assert error.shape == (2, 5) and error.found == "(2, 5)" and error.operation == "lif"
    assert error.rule.startswith("x must have the shape (T, N, features...)")
    # More dimensions than a shape can have.
    error_of(lambda: volley.LIF().forward(np.zeros((1,) * 9, np.float32)), volley.ArgumentError)


def test_a_recipe_error_is_a_value_error() -> None:
    error = error_of(lambda: volley.load_recipe("lif_fc_mnis"), volley.RecipeError)
    assert isinstance(error, ValueError) and "did you mean" in str(error)


def test_a_file_error_is_an_os_error_with_the_path(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    error = error_of(lambda: volley.load(missing), volley.FileError)
    assert isinstance(error, OSError) and isinstance(error, volley.FileError)
    assert not isinstance(error, ValueError)
    assert error.path == str(missing)
    assert str(error) == f"{missing}: cannot read: No such file or directory"


def test_a_path_that_is_no_unicode_can_be_used_again(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.safetensors"
    with open(path, "wb") as file:
        file.write(b"no network")
    error = error_of(lambda: volley.load(Path(os.fsdecode(path))), volley.FileError)
    assert isinstance(error, volley.FileError)
    assert "\\xff.safetensors: " in str(error)
    with open(error.path, "rb") as file:
        assert file.read() == b"no network"


def test_a_name_that_does_not_fit_is_the_mappings_or_the_files_fault(tmp_path: Path) -> None:
    volley.Sequential(volley.Linear(2, 3)).save(tmp_path / "w.safetensors")
    net = volley.Sequential(volley.Linear(5, 3))
    error = error_of(lambda: net.load_state_dict({}), volley.ArgumentError)
    assert isinstance(error, volley.ArgumentError) and error.operation == "sequential"
    assert str(error).startswith("[sequential] state_dict: expected the parameter '0.weight' of shape (3, 5)")
    error = error_of(lambda: net.load_state_dict(tmp_path / "w.safetensors"), volley.FileError)
    assert isinstance(error, volley.FileError) and error.path == str(tmp_path / "w.safetensors")


def test_a_run_that_fails_is_a_runtime_error(
    toy_recipe: Path, toy_data: tuple[volley.Dataset, volley.Dataset]
) -> None:
    error = error_of(
        lambda: volley.train(toy_recipe, data=toy_data, settings=["optimizer.lr=1e38"]), volley.Error
    )
    assert isinstance(error, RuntimeError) and "finite" in str(error)
    assert not isinstance(error, (ValueError, OSError))


def test_errors_can_be_pickled_and_made() -> None:
    error = error_of(lambda: volley.LIF(tau=0.5), volley.ArgumentError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is volley.ArgumentError
    assert str(again) == str(error) and again.rule == "tau must be > 1"
    assert volley.FileError("x").path == "" and volley.ShapeError("x").shape == ()
