"""Times how long the public headers take to compile, each by itself.

headers.py [--compiler c++] [--runs 5] [HEADER...]. Without headers, those that a program of one layer needs, and all of
them, volley.hpp. A header's time is the median over the runs of a file that includes it and nothing else, compiled to
nothing (-fsyntax-only), minus that of an empty file. The last row is what no header can be without, of the standard
library.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"layer.hpp": 0.5, "tensor.hpp": 0.5, "signal.hpp": 0.5, "error.hpp": 0.5, "volley.hpp": 1.0}


def seconds(compiler, text):
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as file:
        file.write(text)
        file.flush()
        command = [compiler, "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'include'}", f"-I{ROOT / 'build/generated'}",
                   file.name]
        begin = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("headers", nargs="*", default=list(LIMITS))
    options = parser.parse_args()
    texts = {"": "\n", **{header: f"#include <volley/{header}>\n" for header in options.headers}}
    texts["<string>, <memory>"] = "#include <memory>\n#include <string>\n"
    times = {header: [] for header in texts}
    for _ in range(options.runs):  # in turn, so that what else the machine does meets all of them
        for header, text in texts.items():
            times[header].append(seconds(options.compiler, text))
    empty = statistics.median(times.pop(""))
    print(f"{'header':24} {'seconds':>8} {'below':>6}")
    for header, of_header in times.items():
        limit = LIMITS.get(header)
        print(f"{header:24} {statistics.median(of_header) - empty:8.2f} {limit if limit else '':>6}")


if __name__ == "__main__":
    main()
