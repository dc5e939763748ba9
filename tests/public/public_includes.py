"""Checks that the program and the Python module include no private header of the library.

public_includes.py ROOT. In cli/ and python/src/, `#include "..."` names a file of that same folder, or a header that
the build makes of files of the program ("embedded/..."); `#include <...>` names a public header, <volley/...>, or none
of the library. Prints each other include with its file and line, and fails.
"""

import re
import sys
from pathlib import Path

FOLDERS = ("cli", "python/src")
EMBEDDED = {"cli": {"embedded/page_files.hpp", "embedded/peer_scripts.hpp"}, "python/src": set()}
MADE = {"volley/version.hpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def is_allowed(root, folder, file, quote, name):
    if quote == '"':
        places = [(place / name).resolve() for place in (file.parent, root / folder)]
        return name in EMBEDDED[folder] or any(p.is_file() and p.is_relative_to(root / folder) for p in places)
    if name.startswith("volley/"):
        return name in MADE or (root / "include" / name).is_file()
    return not (root / "src" / name).is_file()


def main():
    root = Path(sys.argv[1]).resolve()
    files = includes = private = 0
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".cpp", ".hpp", ".h", ".inc"):
                continue
            files += 1
            for number, line in enumerate(file.read_text().split("\n"), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                includes += 1
                if not is_allowed(root, folder, file, *match.groups()):
                    private += 1
                    print(f"{file.relative_to(root)}:{number}: not a public header: {match[2]}")
    print(f"{files} files, {includes} includes, {private} of private headers")
    return 1 if private or not includes else 0


if __name__ == "__main__":
    sys.exit(main())
