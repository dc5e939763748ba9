"""Writes tests/golden/differential.*: the cases of findings.json, and small ones of every kind.

    $VOLLEY_PEERS_VENV/bin/python peers/differential/golden.py [FOLDER]

findings.json is a list of {"fault": what is wrong, "version": of Volley, "case": as the tester prints it}.
The smallest case of a finding is added there. tests/parity/differential_parity_test.cpp reads the files
without torch. Values are the peer's where there is one, else those of the equations. No spike of a case is
in doubt.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import common  # noqa: E402

import volley  # noqa: E402
from differential.__main__ import KINDS, drawn, faults_of, run_case  # noqa: E402
from differential.case import Case, Check, Outcome, SpikeCheck, right_spikes  # noqa: E402

SEED = 1
DRAWS = 100  # of each kind
MOST_VALUES = 600  # of a case
SIGNALS = ("x", "dy", "y", "dx")  # (T, N, features...) here, (N, T, features...) in the files
STYLES = {"nan": "not finite", "odd": "not finite", "inf": "not finite", "huge": "large", "enormous": "large"}
Arrays = dict[str, np.ndarray]


def variant(case: Case) -> str:
    """A kind has one case per variant."""
    own = ("encoder", "optimizer", "neuron") if case["kind"] != "network" else ("loss",)
    named = [case[name] for name in own if name in case]
    if case["kind"] in ("schedule", "surrogate"):
        o = case["options"]
        named.append(o["kind"] if case["kind"] == "schedule" else o["surrogate"]["kind"])
    return named[0] if named else STYLES.get(case["x"], "finite")


def small(case: Case) -> Case:
    most = {"T": 4, "N": 2, "S": 1}
    free = [axis for axis in case["sizes"] if axis not in case.get("fixed", ())]
    return {**case, "cut": {axis: (0, min(case["sizes"][axis], most.get(axis, 5))) for axis in free}}


def float32(array: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(array, np.float64).astype(np.float32)


def values_and_bound(check: Check, theirs: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """As float32; the bound has the rounding of the value itself too."""
    want, bound = check.want.value, check.order * check.want.bound
    known = np.isfinite(want) & np.isfinite(bound)
    if theirs is not None:
        want = np.where(known, theirs, want)
    bound = np.where(known, bound + 2.0**-24 * np.abs(want) + 2.0**-149, bound)
    return float32(want), np.nextafter(float32(bound), np.float32(np.inf))


def names_of(outcome: Outcome) -> dict[str, str]:
    """The checks that are written, and their names in the file."""
    passed = outcome.passed
    if passed is None:
        return {check.name: check.name for check in outcome.checks}
    own = [*passed.layer.buffers(), *(f"d{name}" for name in passed.layer.parameters())]
    return {"y": "y", "s": "y", "dx": "dx"} | {name: name for name in own}


def arrays_of(outcome: Outcome) -> Arrays:
    passed, names, arrays = outcome.passed, names_of(outcome), dict(outcome.inputs)
    if passed is not None:
        arrays = {f"given.{name}": a for name, a in passed.given.items()}
        arrays |= {"x": passed.x, "dy": passed.dy}
    for check in outcome.checks:
        name = names.get(check.name.removeprefix("step 0: "))
        if name is None:
            continue
        if isinstance(check, SpikeCheck):
            arrays[name] = right_spikes(check)[0]
        else:
            arrays[name], arrays[name + ".bound"] = values_and_bound(check, outcome.peer.get(check.name))
    return {
        name: float32(a.swapaxes(0, 1) if name.removesuffix(".bound") in SIGNALS else a)
        for name, a in arrays.items()
    }


def toml_of(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_of(v)}" for key, v in value.items()) + " }"
    return json.dumps("none" if value is None else value)


def recipe_of(outcome: Outcome) -> str:
    if outcome.passed is None:
        tables = {**outcome.recipe, "[network]": {"kind": "flatten"}}  # a recipe must have one
        lines = {t: "".join(f"{k} = {toml_of(v)}\n" for k, v in o.items()) for t, o in tables.items()}
        return "".join(f"[{t}]\n{of}" for t, of in lines.items())
    layer = outcome.passed.layer
    net = layer if isinstance(layer, volley.Sequential) else volley.Sequential(layer)
    with tempfile.TemporaryDirectory() as folder:
        net.save(Path(folder) / "net")
        saved = (Path(folder) / "net").read_bytes()
    header = json.loads(saved[8 : 8 + struct.unpack("<Q", saved[:8])[0]])
    return header["__metadata__"]["network"].strip()


def table_of(case: Case, outcome: Outcome) -> dict[str, Any]:
    """The options of a case, beside its arrays."""
    table = {"recipe": recipe_of(outcome), "kind": case["kind"]}
    table["spikes"] = case["x"] == "spikes"
    if outcome.passed is not None:
        draw = outcome.passed.arguments
        return table | {"draw": {**draw, "training": draw.get("training", False)}}
    table |= {name: case[name] for name in ("clip_norm", "clip_value", "draw", "lr") if case.get(name)}
    return table


def is_certain(outcome: Outcome) -> bool:
    """Whether no spike is in doubt, and at most half of the values of each other array."""
    for check in outcome.checks:
        if isinstance(check, SpikeCheck):
            if not right_spikes(check)[1].all():
                return False
        elif np.isinf(check.want.bound).mean() > 0.5:
            return False
    return bool(outcome.checks)


def representatives() -> dict[str, Case]:
    """The first certain, small and right case of each variant, by its name."""
    found: dict[str, Case] = {}
    for kind in KINDS:
        for number in range(DRAWS):
            case = small(drawn(SEED, number, kind))
            of = f"{kind}, {variant(case)}"
            if of in found or '"custom"' in json.dumps(case) or faults_of(case) != ([], []):
                continue
            outcome = run_case(case)
            if is_certain(outcome) and sum(a.size for a in arrays_of(outcome).values()) <= MOST_VALUES:
                found[of] = case
    return found


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "tests" / "golden"
    findings = json.loads((HERE / "findings.json").read_text(encoding="utf-8"))
    cases = [(f["fault"], f["case"]) for f in findings] + list(representatives().items())
    arrays: Arrays = {}
    tables: list[dict[str, Any]] = []
    for index, (name, case) in enumerate(cases):
        outcome = run_case(case)
        assert is_certain(outcome), name
        own = arrays_of(outcome)
        arrays |= {f"{index}.{key}": a for key, a in own.items()}
        tables.append({"case": name, **table_of(case, outcome), "tensors": len(own)})
    without = set(KINDS) - {table["kind"] for table in tables}
    assert not without, f"no golden case of {without}"
    path = folder / "differential.safetensors"
    common.write_safetensors(path, arrays)
    manifest = {
        "made_by": "peers/differential/golden.py",
        "versions": {name: version(name) for name in ("torch", "spikingjelly")},
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
        "cases": tables,
    }
    (folder / "differential.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(findings)} findings and {len(cases) - len(findings)} other cases")


if __name__ == "__main__":
    main()
