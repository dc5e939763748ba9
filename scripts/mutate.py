#!/usr/bin/env python3
"""Breaks the derivatives, one sign, comparison or index at a time, and reports what no test notices.

    scripts/mutate.py [--seconds 600] [--seed 0] [--only PART_OF_A_PATH] [--jobs 2]

The files are src/spec/*.hpp and the neurons' kernels. A copy of the tree is built once, in build-mutate, with
every change in it behind a switch; VOLLEY_MUTANT=17 turns number 17 on. The tests of what computes (TESTS) run once
without a change, each alone, to see which come by which switch. Then, for one change after the other, in an order
drawn from the seed, until the time is over, those that come by it run, the quick ones first. A change is noticed when
a test fails, crashes or does not end. Exit status: 0, or 1 if there are survivors.

Some changes change nothing that can be seen (a - 0 for a + 0). Known ones are listed, with the reason, in EQUAL.
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-mutate"
TREE = BUILD / "tree"
KERNELS = ["neuron-inl.h", "surrogate-inl.h", "lif.cpp", "qif.cpp", "izhikevich.cpp", "cuba_lif.cpp", "alif.cpp",
           "klif.cpp", "glif.cpp", "psn.cpp"]
TESTS = ["spec", "kernels", "layers", "encoders", "parity", "support", "training/loss_optimizer_test.cpp",
         "training/schedule_test.cpp", "training/trainer_test.cpp"]

# (file, what is changed, line without spaces around it): why no test can notice that.
ONE_BY_ONE = "the slices are then taken one by one, and give the same"
EQUAL = {
    ("src/kernels/neuron-inl.h", "+ turned",
     "before[k] = hn::Load(d, a.z + ((tile - kCount) * kStates + k) * kLanes);"):
        "of a second state before a step, no kernel's derivative needs the value; the reference is tested with one",
    ("src/kernels/psn.cpp", "+ turned", "for (; i + 16 <= size; i += 16) {"): "each part is then added to one by one",
} | {
    ("src/kernels/neuron-inl.h", "+ turned", line): ONE_BY_ONE for line in (
        "for (; j + kSlices <= slices; j += kSlices) {",
        "for (; j + kSlices <= slices; j += kSlices) forward_slices<kSlices, true>(s, x, neuron, shape, j);",
        "for (; j + kSlices <= slices; j += kSlices) forward_slices<kSlices, false>(s, x, neuron, shape, j);",
    )
}

SWITCH = """#pragma once

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <type_traits>

namespace volley::mutation {

// Which switches were come by: written at the end to the file that VOLLEY_MUTANTS_REACHED names.
struct Reached {
  std::array<std::atomic<bool>, 4096> numbers{};
  ~Reached() {
    const char* const path = std::getenv("VOLLEY_MUTANTS_REACHED");
    std::FILE* const file = path ? std::fopen(path, "w") : nullptr;
    if (!file) return;
    for (std::size_t n = 0; n < numbers.size(); ++n)
      if (numbers[n]) std::fprintf(file, "%zu ", n);
    std::fclose(file);
  }
};
inline Reached reached;

inline bool active(int number) {
  static const int wanted = std::getenv("VOLLEY_MUTANT") ? std::atoi(std::getenv("VOLLEY_MUTANT")) : -1;
  std::atomic<bool>& here = reached.numbers[static_cast<std::size_t>(number)];
  if (!here.load(std::memory_order_relaxed)) here.store(true, std::memory_order_relaxed);
  return number == wanted;
}
struct Sign {
  bool negative;
};
inline Sign sign(int number) { return {active(number)}; }
template <class T>
  requires std::is_arithmetic_v<T>
T operator*(Sign s, T x) {
  return s.negative ? static_cast<T>(T(0) - x) : x;
}

}  // namespace volley::mutation
"""

# Vectors: inside the namespace of each instruction set.
VECTOR_SWITCH = """
HWY_INLINE VF operator*(::volley::mutation::Sign s, VF x) { return s.negative ? hn::Neg(x) : x; }
#define VOLLEY_SWAP(n, f, g) \\
  [](auto... v) { return ::volley::mutation::active(n) ? hn::g(v...) : hn::f(v...); }
#define VOLLEY_SWAP_CHOICE(n) \\
  [](auto c, auto a, auto b) { return ::volley::mutation::active(n) ? hn::IfThenElse(c, b, a) : hn::IfThenElse(c, a, b); }
"""

CALLS = {"Add": "Sub", "Sub": "Add", "MulAdd": "NegMulAdd", "NegMulAdd": "MulAdd", "MulSub": "MulAdd", "Ge": "Lt",
         "Lt": "Ge", "Le": "Gt", "Gt": "Le", "Max": "Min", "Min": "Max"}
SIGN = re.compile(r"(?<=[\w\)\]] )([+-])(=?) (?=[\w\(\*&:-])")
COMPARISON = re.compile(r"(?<=[\w\)\]] )(<=|>=|<|>|==|!=) (?=[\w\(\*-])")
CALL = re.compile(r"\bhn::(" + "|".join(CALLS) + r")\(")
CHOICE = re.compile(r"\bhn::IfThenElse\(")


# What ends the right-hand side of an operator: whatever binds less.
AFTER_ASSIGNED = re.compile(r"[;,]")
AFTER_COMPARED = re.compile(r"[;,]| (?:&&|\|\||\?|:) ")
AFTER_TERM = re.compile(r"[;,]| (?:&&|\|\||\?|:|[+-]|[<>]=?|[!=]=|<<|>>|&|\|) ")


def end_of_operand(line, start, enders):
    """Where what stands right of an operator ends: before one of `enders`, or the end of the bracket it is in. None
    where that is on another line."""
    depth = 0
    for i in range(start, len(line)):
        c = line[i]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                return i
            depth -= 1
        elif depth == 0 and enders.match(line, i):
            return i
    return None


def is_code(line):
    text = line.strip()
    return text and not text.startswith(("//", "#", "static_assert", "template", "using", "static constexpr",
                                         "inline constexpr", "constexpr", "requires"))


def places(line):
    """Changes of a line of code: (edits, what is shown), an edit (position, end, text for a number n)."""
    code = line.split("//")[0]
    found = []
    for m in SIGN.finditer(code):
        # a + b turned is a + -(b), with all of b where it ends on this line.
        end = end_of_operand(code, m.end(), AFTER_ASSIGNED if m[2] else AFTER_TERM)
        edits = [(m.end(), m.end(), "::volley::mutation::sign({n}) * " + "(" * (end is not None))]
        edits += [(end, end, ")")] * (end is not None)
        found.append((edits, f"{m[1]}{m[2]} turned"))
    for m in COMPARISON.finditer(code):
        end = end_of_operand(code, m.end(), AFTER_COMPARED)
        # A loop that is not entered is seen by any test: `for` is left alone.
        if end is not None and not re.search(r"\bfor \(|operator|if constexpr", code):
            found.append(([(end, end, " != ::volley::mutation::active({n})")], f"{m[1]} turned"))
    for m in CALL.finditer(code):
        found.append(([(m.start(), m.end() - 1, f"(VOLLEY_SWAP({{n}}, {m[1]}, {CALLS[m[1]]}))")],
                      f"{m[1]} made {CALLS[m[1]]}"))
    for m in CHOICE.finditer(code):
        found.append(([(m.start(), m.end() - 1, "(VOLLEY_SWAP_CHOICE({n}))")], "IfThenElse turned"))
    return found


def sources():
    files = sorted((ROOT / "src" / "spec").glob("*.hpp"))
    files += [ROOT / "src" / "kernels" / name for name in KERNELS]
    return [f.relative_to(ROOT) for f in files]


class Mutant:
    def __init__(self, number, path, line, text, what):
        self.number, self.path, self.line, self.text, self.what = number, path, line, text, what

    def __str__(self):
        return f"{self.number}: {self.path}:{self.line + 1}: {self.what}: {self.text}"


def instrument(path, unwilling, number):
    """Writes the copy of a file with its switches; the lines in `unwilling` stay as they are."""
    mutants, lines = [], (ROOT / path).read_text().split("\n")
    in_export = False
    for i, line in enumerate(lines):
        in_export = in_export or line.startswith("#if HWY_ONCE")
        if not is_code(line):
            continue
        edits = []
        for changes, what in places(line):
            if in_export and any("VOLLEY_SWAP" in text for _, _, text in changes):
                continue
            number += 1  # also for a line that stays as it is: every other line then keeps its number
            if (str(path), i) in unwilling:
                continue
            edits += [(begin, end, text.format(n=number)) for begin, end, text in changes]
            mutants.append(Mutant(number, path, i, line.strip(), what))
        for begin, end, text in sorted(edits, reverse=True):
            line = line[:begin] + text + line[end:]
        lines[i] = line
    text = "\n".join(lines)
    if path.suffix != ".h":
        # Before every other include, so that line numbers in errors are one too high, no more.
        text = '#include "core/mutation.hpp"\n' + text
        if text.split("\n")[1].startswith("#pragma once"):
            text = "#pragma once\n" + text.replace("#pragma once\n", "", 1)
    write(TREE / path, text)
    return mutants, number


def write(path, text):
    """Leaves the file alone, and with it all that is built from it, when it has that text."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def copy_tree():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, text=True,
                            capture_output=True).stdout.split("\n")
    for name in listed:
        if not name or not (ROOT / name).is_file():
            continue
        if name.startswith("tests/") and name.endswith(".cpp"):
            if not any(name.startswith("tests/" + t) for t in TESTS) or name.startswith("tests/support/program"):
                continue
            if '"support/program.hpp"' in (ROOT / name).read_text():  # there is no program
                continue
        if name.startswith(("docs/", "python/", "bench/")):
            continue
        target = TREE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or (ROOT / name).stat().st_mtime > target.stat().st_mtime:
            shutil.copyfile(ROOT / name, target)
    write(TREE / "src/core/mutation.hpp", SWITCH)
    simd = (ROOT / "src/kernels/simd-inl.h").read_text()
    end = simd.rindex("}  // namespace HWY_NAMESPACE")
    simd = simd[:end] + VECTOR_SWITCH + simd[end:]
    write(TREE / "src/kernels/simd-inl.h",
          simd.replace('HWY_BEFORE_NAMESPACE();', '#include "core/mutation.hpp"\nHWY_BEFORE_NAMESPACE();', 1))
    tests = (ROOT / "tests/CMakeLists.txt").read_text()
    write(TREE / "tests/CMakeLists.txt", tests.split("# It replaces malloc")[0].replace(" volley_commands", ""))


def build(files, jobs):
    """All mutants that compile. Lines that do not are taken back, and it is tried again."""
    copy_tree()
    unwilling = set()
    subprocess.run(["cmake", "-S", TREE, "-B", BUILD / "out", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                    "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -w", "-DVOLLEY_BUILD_PROGRAM=OFF", "-DCMAKE_CXX_COMPILER_LAUNCHER="
                    + ("ccache" if shutil.which("ccache") else "")], check=True, stdout=subprocess.DEVNULL)
    while True:
        mutants, number = [], -1
        for path in files:
            found, number = instrument(path, unwilling, number)
            mutants += found
        result = subprocess.run(["cmake", "--build", BUILD / "out", "--target", "volley_tests", "-j", str(jobs),
                                 "--", "-k", "0"], text=True, capture_output=True)
        if result.returncode == 0:
            return mutants
        wrong = set()
        for m in re.finditer(r"(src/(?:spec|kernels)/[\w.-]+):(\d+):\d+: +(?:error|required|  required)",
                             result.stdout):
            offset = 1 if m[1].endswith("-inl.h") else 2
            wrong.add((m[1], int(m[2]) - offset))
        wrong -= unwilling
        if not wrong:
            sys.exit(result.stdout[-4000:] + "\nmutate: the copy does not compile")
        for path, line in sorted(wrong):
            print(f"mutate: {path}:{line + 1}: does not compile with its switches and stays as it is", flush=True)
        unwilling |= wrong


def run(tests, seconds, **environment):
    """Whether these tests pass, and in that time."""
    command = [BUILD / "out/tests/volley_tests", "--gtest_brief=1", "--gtest_fail_fast",
               "--gtest_filter=" + ":".join(tests)]
    try:
        return subprocess.run(command, env=dict(os.environ, **environment), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, cwd=BUILD, timeout=seconds).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def all_tests():
    listed = subprocess.run([BUILD / "out/tests/volley_tests", "--gtest_list_tests"], check=True, text=True,
                            capture_output=True, cwd=BUILD).stdout
    suite, tests = "", []
    for line in listed.split("\n"):
        name = line.split("#")[0].strip()
        if line.startswith("  "):
            tests.append(suite + name)
        elif name.endswith("."):
            suite = name
    return tests


def reach(test):
    """How long a test takes, and the numbers of the switches it comes by."""
    with tempfile.NamedTemporaryFile("r", dir=BUILD) as file:
        begin = time.monotonic()
        if not run([test], 600, VOLLEY_MUTANTS_REACHED=file.name):
            sys.exit(f"mutate: {test} fails without any change")
        return time.monotonic() - begin, {int(number) for number in file.read().split()}


def is_noticed(number, reaches):
    """Whether a test fails, crashes or does not end."""
    quick, slow, seconds = [], [], 0
    for test, (duration, numbers) in sorted(reaches.items(), key=lambda item: item[1][0]):
        if number in numbers:
            seconds += duration
            (quick if seconds < 3 else slow).append(test)
    # Without a change they take `seconds` at most, beside one another's load: ten times that is no end.
    return any(not run(tests, 20 + 10 * seconds, VOLLEY_MUTANT=str(number)) for tests in (quick, slow) if tests)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="for the tests; building comes on top")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="PART_OF_A_PATH")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()

    mutants = [m for m in build(sources(), options.jobs) if options.only in str(m.path)]
    tests = all_tests()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        reaches = dict(zip(tests, pool.map(reach, tests)))
    print(f"mutate: {len(mutants)} changes, {len(tests)} tests", flush=True)
    random.Random(options.seed).shuffle(mutants)
    end, tried, survivors = time.monotonic() + options.seconds, 0, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = pool.map(lambda m: (m, is_noticed(m.number, reaches) if time.monotonic() < end else None), mutants)
        for mutant, noticed in outcomes:
            tried += noticed is not None
            if noticed is not False:
                continue
            reason = EQUAL.get((str(mutant.path), mutant.what, mutant.text))
            print(("equal" if reason else "SURVIVES") + f"  {mutant}" + (f"  ({reason})" if reason else ""), flush=True)
            if not reason:
                survivors.append(mutant)
    print(f"mutate: {tried} of {len(mutants)} changes in {len({m.path for m in mutants})} files tried, "
          f"seed {options.seed}: {len(survivors)} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
