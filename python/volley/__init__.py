"""Spiking neural networks trained by surrogate-gradient backpropagation through time.

Signals are arrays with time first, (T, N, features...): T steps, N samples. Spikes are uint8 (0 or 1) or
bool, real values float32; arrays that are not in C order are copied. A user's mistake raises ArgumentError (a
ValueError) with the operation, the rule and what arrived, or TypeError; see `errors`.

    >>> import numpy as np, volley
    >>> lif = volley.LIF(tau=2.0)
    >>> s, tape = lif.forward(np.full((4, 1, 1), 1.5, np.float32))
    >>> s[:, 0, 0]
    array([0, 1, 0, 1], dtype=uint8)
    >>> dx = lif.backward(tape, np.ones((4, 1, 1), np.float32))
"""

from . import _volley
from . import datasets as datasets
from . import errors as errors
from . import figures as figures
from ._volley import *  # noqa: F403
from ._volley import __version__ as __version__
from .errors import ArgumentError as ArgumentError
from .errors import DeviceError as DeviceError
from .errors import Error as Error
from .errors import FileError as FileError
from .errors import RecipeError as RecipeError
from .errors import ShapeError as ShapeError
from .progress import Progress as Progress
from .sources import as_source as as_source
from .trainer import Trainer as Trainer

_volley._use_environment_target()

# All that the module has, so that a new neuron is a name here without another line; what is about data sets
# is in `datasets`.
__all__ = [
    "Progress",
    "Trainer",
    "__version__",
    "as_source",
    "datasets",
    "errors",
    "figures",
    *errors.__all__,
]
__all__ += [name for name in dir(_volley) if not name.startswith("_") and "_dataset" not in name]
