"""The data sets that Volley knows by name, "mnist", "fashion_mnist", "cifar10" and others.

load gives the arrays of a set that is there, or of a folder of pictures; fetch gets a set; list says which
are there.
"""

from ._volley import fetch_dataset as fetch
from ._volley import list_datasets as list
from ._volley import load_dataset as load

__all__ = ["fetch", "list", "load"]
