"""What Volley raises: the same family as in C++, each class with the values that its text is made of.

A TypeError says that an argument has another type or dtype; all else is an Error.
"""

from __future__ import annotations

__all__ = ["ArgumentError", "DeviceError", "Error", "FileError", "RecipeError", "ShapeError"]


class Error(RuntimeError):
    """A run that failed, such as a loss that is not finite; and the base of the other errors."""


class ArgumentError(Error, ValueError):
    """A value that an operation cannot take: "[lif] tau must be > 1, got 0.5"."""

    #: "lif"
    operation: str = ""
    #: "tau must be > 1"
    rule: str = ""
    #: "0.5"; empty where there is no value to show
    found: str = ""


class ShapeError(ArgumentError):
    """A shape that an operation cannot take: "[linear] input features must be (784), got (10)"."""

    #: The shape that came. (10,)
    shape: tuple[int, ...] = ()


class RecipeError(Error, ValueError):
    """A recipe, or a change to one, that cannot be obeyed: "my.toml:12: key 'epochs': ..."."""


class FileError(Error, OSError):
    """A file that is missing, damaged or cannot be written: "PATH: PROBLEM"."""

    #: As `os.fsdecode` gives it: open(path) finds the file.
    path: str = ""


class DeviceError(Error):
    """A device that is not there, or cannot go on: "device cuda:0: ..."."""

    #: "cuda:0"
    device: str = ""
