"""Checks that each folder of src/ includes only the floors below it.

floors.py ROOT. A folder that has no row here fails, so that a new one gets its place. Prints each other include with
its file and line.
"""

import re
import sys
from pathlib import Path

BELOW = {
    "core": "",
    "ops": "core",
    "kernels": "core ops",
    "cpu": "core ops kernels",
    "devices": "core ops cpu",
    "signal": "core ops cpu kernels",
    "layers": "core ops signal",
    "encoders": "core ops signal",
    "losses": "core ops signal",
    "optimizers": "core ops",
    "training": "core ops cpu signal layers encoders optimizers",
    "storage": "core embedded",
    "data": "core signal storage",
    "events": "core data signal",
    "spec": "core",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([a-z_]+)/')


def main():
    source = Path(sys.argv[1]).resolve() / "src"
    files = wrong = 0
    for file in sorted(source.rglob("*")):
        if file.suffix not in (".cpp", ".hpp", ".h"):
            continue
        files += 1
        floor = file.relative_to(source).parts[0]
        allowed = {floor, *BELOW[floor].split()} if floor in BELOW else set()
        for number, line in enumerate(file.read_text().split("\n"), 1):
            match = INCLUDE.match(line)
            if match and match[1] not in allowed:
                wrong += 1
                print(f"src/{file.relative_to(source)}:{number}: {floor} does not stand on {match[1]}")
    print(f"{files} files, {wrong} includes of floors that are not below")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
