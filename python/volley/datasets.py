"""The data sets that Volley knows by name, "mnist" and "fashion_mnist".

load gives the arrays of a set that is there, fetch gets one, list says which are there.
"""

from ._volley import fetch_dataset as fetch
from ._volley import list_datasets as list
from ._volley import load_dataset as load

__all__ = ["fetch", "list", "load"]
