"""The tester: draws cases, judges them, shrinks those that fail, prints a table. See scripts/test-peers."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
import volley  # noqa: E402
from differential import encoder_cases as ec  # noqa: E402
from differential import layer_cases as lc  # noqa: E402
from differential import network_cases as nc  # noqa: E402
from differential import neuron_cases as ne  # noqa: E402
from differential import training_cases as tc  # noqa: E402
from differential.bounded import overflowed  # noqa: E402
from differential.case import Case, Check, Outcome, SpikeCheck, Verdict, judge, judge_peer  # noqa: E402

Draw = Callable[[np.random.Generator, str], Case]
Run = Callable[[Case], Outcome]

# By kind: its share of the cases, the function that draws it, the function that runs it.
KINDS: dict[str, tuple[float, Draw, Run]] = {kind: (4, ne.draw, ne.run) for kind in ne.CLASSES}
KINDS |= {kind: (2, ne.draw_parallel, ne.run_parallel) for kind in ne.PARALLEL}
KINDS |= {
    "surrogate": (5, ne.draw_surrogate_case, ne.run_surrogate),
    "recurrent": (8, ne.draw_recurrent, ne.run_recurrent),
    "li": (2, ne.draw_readout, ne.run_readout),
    "soft_lif": (1, ne.draw_readout, ne.run_readout),
    "linear": (4, lc.draw_linear, lc.run_linear),
    "conv2d": (5, lc.draw_conv, lc.run_conv),
    "max_pool2d": (2, lc.draw_pool, lc.run_pool),
    "avg_pool2d": (2, lc.draw_pool, lc.run_pool),
    "adaptive_avg_pool2d": (1, lc.draw_pool, lc.run_pool),
    "batch_norm": (4, lc.draw_norm, lc.run_norm),
    "td_batch_norm": (1, lc.draw_norm, lc.run_norm),
    "dropout": (2, lc.draw_dropout, lc.run_dropout),
    "voting": (1, lc.draw_voting, lc.run_voting),
    "residual": (2, lc.draw_residual, lc.run_residual),
    "rate_penalty": (1, lc.draw_penalty, lc.run_penalty),
    "optimizer": (4, tc.draw_optimizer, tc.run_optimizer),
    "schedule": (2, tc.draw_schedule, tc.run_schedule),
    "encoder": (4, ec.draw_encoder, ec.run_encoder),
    "network": (7, nc.draw, nc.run),
}
KINDS |= {kind: (1.2, tc.draw_loss, tc.run_loss) for kind in tc.training.LOSSES}

SHRUNK = 3  # findings of a group that are shrunk and printed; the others are counted
ODD = ("odd", "nan", "inf", "enormous")  # currents that are not finite, or overflow


@dataclass
class Finding:
    seed: int
    number: int
    case: Case
    faults: list[str]
    peer: bool = False  # the peer differs from the equations, not Volley

    def group(self) -> str:
        """Findings of one group are likely the same fault."""
        of = self.case.get("neuron", self.case.get("encoder", self.case.get("optimizer", "")))
        style = self.case.get("x", "") if self.case.get("x") in ODD else "finite"
        fault = re.sub(r"^step \d+: ", "", self.faults[0])
        what = re.sub(r"[\d.]+", "", fault.split(":")[0]).split()
        words = fault[:80] if error_of(self.faults) else " ".join(what[:2])
        return " ".join(filter(None, ("peer:" * self.peer, self.case["kind"], of, style, words)))


@dataclass
class Tally:
    cases: int = 0
    failed: int = 0
    with_peer: int = 0
    compared: int = 0
    left_out: int = 0
    peer_compared: int = 0
    peer_left_out: int = 0
    spikes: int = 0
    near: int = 0
    near_flips: int = 0
    ratio: float = 0.0  # of cases that passed
    scaled: float = 0.0
    resolutions: list[float] = field(default_factory=list)

    def add(self, check: Check | SpikeCheck, v: Verdict) -> None:
        if isinstance(check, Check):
            self.compared += v.compared
            self.left_out += v.left_out
            if not v.fault:
                self.ratio = max(self.ratio, v.ratio)
                self.scaled = max(self.scaled, v.scaled)
            if v.resolution > 0:
                self.resolutions.append(v.resolution)
        else:
            self.spikes += v.compared
            self.near += v.near
            self.near_flips += v.near_flips
            self.left_out += v.left_out

    def add_peer(self, v: Verdict) -> None:
        self.peer_compared += v.compared
        self.peer_left_out += v.left_out


def run_case(case: Case) -> Outcome:
    volley.set_threads(1 + case["seed"] % 2)
    with np.errstate(all="ignore"):
        return KINDS[case["kind"]][2](case)


def faults_of(
    case: Case, tally: Tally | None = None, skipped: Counter[str] | None = None
) -> tuple[list[str], list[str]]:
    """The faults of Volley, and those of the peer."""
    try:
        overflowed()
        outcome = run_case(case)
        if not outcome.peer and not outcome.peer_skipped:
            raise AssertionError("the case has no peer and no reason for that")
        if overflowed() and outcome.peer:
            outcome.peer, outcome.peer_skipped = {}, "beyond the range of float32"
    except Exception as error:  # noqa: BLE001  # an error of Volley or of the tester is a finding too
        return [f"{type(error).__name__}: {error}"], []
    faults, of_peer = list(outcome.facts), []
    values = [check.want.value for check in outcome.checks if isinstance(check, Check)]
    values += [outcome.passed.x] if outcome.passed is not None else []
    finite = all(np.isfinite(a).all() for a in values)
    with np.errstate(all="ignore"):
        for check in outcome.checks:
            verdict = judge(check)
            if verdict.fault:
                faults.append(verdict.fault)
            if tally is not None:
                tally.add(check, verdict)
            if isinstance(check, Check) and check.name in outcome.peer:
                verdict = judge_peer(check, np.asarray(outcome.peer[check.name]), finite)
                if verdict.fault:
                    of_peer.append(verdict.fault)
                if tally is not None:
                    tally.add_peer(verdict)
    if tally is not None:
        tally.with_peer += bool(outcome.peer)
        if outcome.peer_skipped and skipped is not None:
            skipped[outcome.peer_skipped] += 1
    return faults, of_peer


def smaller(case: Case) -> list[Case]:
    """The case with one axis halved: its first half, and but for time its second too."""
    result = []
    for axis, full in case["sizes"].items():
        first, last = case["cut"].get(axis, (0, full))
        if last - first < 2 or axis in case.get("fixed", ()):
            continue
        half = (last - first) // 2
        cuts = [(first, first + half)] if axis in "TS" else [(first, first + half), (first + half, last)]
        if axis == "T":
            cuts.append((first, last - 1))
        result += [{**case, "cut": {**case["cut"], axis: cut}} for cut in cuts]
    return result


def error_of(faults: list[str]) -> str:
    """The exception that ended a case, or nothing. A shrunk case must end with the same one."""
    word = faults[0].split(":")[0]
    return word if word.endswith("Error") else ""


def shrunk(case: Case, peer: bool) -> tuple[Case, list[str]]:
    """Halves T, the batch and the features while the case fails."""
    faults = faults_of(case)[peer]
    going_on = True
    while going_on:
        going_on = False
        for candidate in smaller(case):
            found = faults_of(candidate)[peer]
            if found and error_of(found) == error_of(faults):
                case, faults, going_on = candidate, found, True
                break
    return case, faults


def drawn_kinds(cases: int, only: list[str]) -> list[str]:
    """The kind of each case. Every kind has its share, and at least one case."""
    weights = {kind: w for kind, (w, _, _) in KINDS.items() if not only or kind in only}
    whole = sum(weights.values())
    kinds: list[str] = []
    for kind, w in weights.items():
        kinds += [kind] * max(1, math.ceil(cases * w / whole))
    order = np.random.default_rng(0).permutation(len(kinds))
    return [kinds[i] for i in order]


def drawn(seed: int, number: int, kind: str) -> Case:
    return KINDS[kind][1](np.random.default_rng([seed, number]), kind)


COLUMNS = {
    "cases": "drawn",
    "wrong": "cases with a fault of Volley",
    "values": "compared within their bounds",
    "open": "values, and spikes of potentials, that float32 does not decide: left out",
    "spikes": "compared",
    "near": "spikes within the margin of the threshold",
    "flips": "of these, those that differ",
    "peer": "cases with a peer",
    "its": "values of the peer compared with the equations",
    "left": "values of the peer left out: not finite, or not decided by float32",
    "ratio": "the largest error, of its bound",
    "error": "the largest error, of the largest value of its array",
    "bound": "the median bound, of the largest value of its array",
}


def report(tallies: dict[str, Tally], skipped: Counter[str], seconds: float) -> None:
    """A row per kind. COLUMNS says what its numbers are."""
    rows = [["kind", *COLUMNS]]
    for kind, t in sorted(tallies.items()):
        counts = [t.cases, t.failed, t.compared, t.left_out, t.spikes, t.near, t.near_flips]
        counts += [t.with_peer, t.peer_compared, t.peer_left_out]
        bound = float(np.median(t.resolutions)) if t.resolutions else 0.0
        rows.append([kind, *map(str, counts), f"{t.ratio:.2g}", f"{t.scaled:.1e}", f"{bound:.1e}"])
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(row[0].ljust(wide[0]), *(v.rjust(w) for v, w in zip(row[1:], wide[1:], strict=True)))
    for name, text in COLUMNS.items():
        print(f"  {name}: {text}")
    print("cases without a peer, by reason:")
    for why, count in skipped.most_common():
        print(f"  {count:5} {why}")
    print(f"{sum(t.cases for t in tallies.values())} cases in {seconds:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="test-peers", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument(
        "--kind", action="append", default=[], choices=sorted(KINDS), help="this kind alone; more than once"
    )
    parser.add_argument("--case", help="one case, as printed with a finding")
    options = parser.parse_args()
    if options.case is not None:
        faults, of_peer = faults_of(json.loads(options.case))
        print(*faults, *of_peer, sep="\n")
        return 1 if faults or of_peer else 0
    versions = f"torch {torch.__version__}, SpikingJelly {version('spikingjelly')}"
    print(f"seed {options.seed}: Volley {volley.__version__}, {versions}", flush=True)
    tallies: dict[str, Tally] = defaultdict(Tally)
    skipped: Counter[str] = Counter()
    groups: dict[str, list[Finding]] = defaultdict(list)
    start = time.monotonic()
    for number, kind in enumerate(drawn_kinds(options.cases, options.kind)):
        case = drawn(options.seed, number, kind)
        tallies[kind].cases += 1
        faults, of_peer = faults_of(case, tallies[kind], skipped)
        tallies[kind].failed += bool(faults)
        for found, peer in ((faults, False), (of_peer, True)):
            if found:
                finding = Finding(options.seed, number, case, found, peer)
                group = groups[finding.group()]
                if len(group) < SHRUNK:
                    finding.case, finding.faults = shrunk(case, peer)
                group.append(finding)
        if sys.stderr.isatty() and number % 50 == 0:
            print(f"\r{number} cases, {sum(map(len, groups.values()))} findings", end="", file=sys.stderr)
    report(tallies, skipped, time.monotonic() - start)
    for name, findings in sorted(groups.items()):
        print(f"\n{len(findings)} x {name}")
        for f in findings[:SHRUNK]:
            print(f"  seed {f.seed}, case {f.number}: " + "; ".join(f.faults[:3]))
            print(f"    --case '{json.dumps(f.case)}'")
    count = sum(map(len, groups.values()))
    print(f"{count} findings in {len(groups)} groups")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
