"""Holds the table of docs/guide/spikingjelly.md, and its translation, to the installed SpikingJelly and Volley.

    python peers/spikingjelly_table.py [--list]

Each section names a module of spikingjelly.activation_based, and its rows name that module's public classes, or
functions for a module without classes, in the first cell. A name that is missing, twice or not there is an error, and so
is a name of Volley in the second cell that the Python module does not have. --list prints what the package has.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGE = "spikingjelly.activation_based"
MODULES = ("layer", "neuron", "surrogate", "encoding", "functional.loss", "rnn", "learning")
PAGES = ("spikingjelly.md", "spikingjelly.zh-CN.md")
VERSION = "2.0.0"


def public_names(module_name: str) -> list[str]:
    """Classes that the module, or one below it, defines; of a module that defines functions alone, these."""
    import torch

    whole = f"{PACKAGE}.{module_name}"
    module = importlib.import_module(whole)
    own = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and (value.__module__ + ".").startswith(whole + ".")
    }
    # An autograd.Function is the inside of a surrogate, whose class has the other spelling.
    classes = [
        name
        for name, value in own.items()
        if inspect.isclass(value)
        and not (module_name == "surrogate" and issubclass(value, torch.autograd.Function))
    ]
    return sorted(classes or own)


def rows_of(page: Path) -> dict[str, list[tuple[list[str], list[str]]]]:
    """By module, for each row the names in its first cell and in its second."""
    sections: dict[str, list[tuple[list[str], list[str]]]] = {}
    module = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            found = re.search(r"`([\w.]+)`$", line)
            module = found.group(1) if found else ""
        elif module and line.startswith("| `"):
            first, second = (re.findall(r"`(\w+)`", cell) for cell in line.split("|")[1:3])
            sections.setdefault(module, []).append((first, second))
    return sections


def problems_of(page: Path, listed: dict[str, list[str]], volley_names: set[str]) -> list[str]:
    sections = rows_of(page)
    problems = [f"no section: {name}" for name in sorted(set(listed) - set(sections))]
    problems += [f"a section of no module: {name}" for name in sorted(set(sections) - set(listed))]
    for module, rows in sections.items():
        named = [name for first, _ in rows for name in first]
        there = listed.get(module, [])
        problems += [f"{module}: not in the table: {name}" for name in there if name not in named]
        problems += [f"{module}: not in SpikingJelly: {name}" for name in named if name not in there]
        problems += [f"{module}: twice: {name}" for name in sorted({n for n in named if named.count(n) > 1})]
        ours = {name for _, second in rows for name in second}
        problems += [f"{module}: not in Volley: {name}" for name in sorted(ours - volley_names)]
    return [f"{page.name}: {problem}" for problem in problems]


def main() -> int:
    listed = {module: public_names(module) for module in MODULES}
    if "--list" in sys.argv[1:]:
        for module, names in listed.items():
            print(f"{module}: {' '.join(names)}")
        return 0
    import volley

    problems = []
    if version("spikingjelly") != VERSION:
        problems.append(f"the table is that of SpikingJelly {VERSION}, installed is {version('spikingjelly')}")
    folder = Path(__file__).parent.parent / "docs" / "guide"
    for page in PAGES:
        problems += problems_of(folder / page, listed, set(dir(volley)))
    for problem in problems:
        print(problem)
    count = sum(map(len, listed.values()))
    print(f"{count} names of SpikingJelly {VERSION}, {len(problems)} problems in {' and '.join(PAGES)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
