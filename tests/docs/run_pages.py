#!/usr/bin/env python3
"""Runs what the pages of docs/guide show, as a reader would who follows them from top to bottom.

    tests/docs/run_pages.py --program build/volley docs/guide/01-neuron.md ...

Each page has a scratch folder that looks like the clone, with the program on PATH. In the order of the page:

    ```sh                   is run by bash, ```python in one session for the page (with --python)
    ```text                 what the block before it printed; see `same_output`
    "... `net.toml`:"       before a block: it is saved under that name (cpp, cmake, toml, python, csv);
                            where the clone has such a file, the block must be a part of it
    <!-- not run: why -->   before a block that takes what a test has not
    <!-- exits: 2 -->       before a block that fails, with this status
    <!-- needs: python -->  before a block that takes what a ```python block has made: run with --python alone

With --update, output that differs is written into the page, and into its translation, which has the same
blocks: look at what git says has changed.

In every document, the options of each `volley` command are looked up in its --help; --options does only that.

Exit status: 0 every page holds, 1 one does not, 77 something is not here that a page needs, such as the data.
"""

import argparse
import difflib
import functools
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 77
TIME_LIMIT = 300  # seconds, a block

LANGUAGES = {"sh", "text", "python", "cpp", "cmake", "toml", "math", "csv"}
NAMED = re.compile(r"`([\w./-]+)`[^`]*[:：]$")
NOTE = re.compile(r"<!-- (not run|exits|needs): (.*) -->")


class Broken(Exception):
    """The page does not hold."""


@dataclass
class Block:
    language: str
    text: str
    line: int  # of the fence, from 1
    before: str  # the line of text before the fence


def blocks_of(text):
    blocks = []
    before, fence, language, body, begin = "", None, "", [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None:
            opened = re.match(r"(```+)(\w*)$", line)
            if opened:
                fence, language, body, begin = opened[1], opened[2], [], number
            elif line.strip():
                before = line.strip()
        elif line == fence:
            blocks.append(Block(language, "".join(f"{one}\n" for one in body), begin, before))
            fence, before = None, ""
        else:
            body.append(line)
    if fence is not None:
        raise Broken(f"line {begin}: the block has no end")
    return blocks


# What no two runs or machines agree in.
MASKS = [
    (re.compile(r"\d[\d,.]* (images|pictures|samples)/s"), r"# \1/s"),
    (re.compile(r"\d[\d,.]* (s|ms|us|MiB)\b"), r"# \1"),
    (re.compile(r"^(machine|cpu|simd|compiler) .*", re.MULTILINE), r"\1"),
    (re.compile(r"-\d{8}-\d{6}"), "-DATE-TIME"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
]


def masked(text):
    for pattern, by in MASKS:
        text = pattern.sub(by, text)
    return text.rstrip("\n") + "\n"


def same_output(shown, printed):
    """Whether a page shows what was printed. A line `...` stands for any lines, `...` in a line for any text;
    speeds, times, dates, the machine and the width of blanks do not count."""
    pattern = ""
    for line in masked(shown).splitlines():
        pattern += (
            r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + r"\n"
        )
    return re.fullmatch(pattern, masked(printed)) is not None


def difference(shown, printed):
    lines = difflib.unified_diff(
        masked(shown).splitlines(), masked(printed).splitlines(), "the page", "the program", lineterm=""
    )
    return "\n".join(lines)


TIMES = re.compile(r"\d[\d,.]* ((images|pictures|samples)/s|(s|ms|us|MiB)\b)")


def with_times_of(shown, printed):
    times = iter([found[0] for found in TIMES.finditer(shown)])
    return TIMES.sub(lambda found: next(times, found[0]), printed)


def with_numbers_of(shown, printed):
    """The lines that a page shows, each as the next printed line that is the same but for its numbers, with
    the times that the page has. Where one is missing, all that was printed; None if the page leaves lines
    out."""

    def form(line):
        return " ".join(re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?", "#", line).split())

    lines, left = [], iter(printed.splitlines())
    for line in shown.splitlines():
        if line.strip() != "...":
            printed_line = next((one for one in left if form(one) == form(line)), None)
            if printed_line is None:
                whole = "..." not in shown
                return "".join(f"{one.rstrip()}\n" for one in printed.splitlines()) if whole else None
            if masked(line) != masked(printed_line):
                line = with_times_of(line, printed_line)
        lines.append(line.rstrip())
    return "".join(f"{line}\n" for line in lines)


# Runs blocks that come in as lines, repr(text); a zero byte ends what each prints.
SESSION = """
import sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    exec(compile(eval(line), "page", "exec"), names)
    print(end="\\0", flush=True)
"""


@functools.cache
def help_of(program, names):
    done = subprocess.run([str(program), *names, "--help"], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Broken(f"there is no volley {' '.join(names)}")
    return done.stdout


def check_options(text, program):
    """Every volley command that a document shows is there, and has the options that it is given."""
    shown = [block.text for block in blocks_of(text) if block.language == "sh"]
    commands = re.findall(
        r"^ *(?:build/)?(volley [a-z].*)", "\n".join(shown).replace("\\\n", " "), re.MULTILINE
    )
    commands += re.findall(
        r"`(volley [a-z][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    )
    for command in commands:
        words = [word.strip(",") for word in re.split(r"[\s=]+", re.split(r" [#>|&]", command)[0])]
        names = tuple(
            word for word in words[1 : 3 if words[1] in {"data", "neuron", "events"} else 2] if word.islower()
        )
        for option in (word for word in words if re.match(r"--?[a-zA-Z]", word)):
            if not re.search(rf"(^|[\s,]){re.escape(option)}\b", help_of(program, names), re.MULTILINE):
                raise Broken(f"'{command}': volley {' '.join(names)} has no {option}")
        help_of(program, names)


class Page:
    def __init__(self, text, program, python, folder, update):
        self.text, self.python, self.folder, self.update = text, python, folder, update
        self.changes = {}  # what blocks should show
        self.session = None
        self.printed = None  # by the block before; None: it was not run
        for entry in ROOT.iterdir():
            if not entry.name.startswith((".", "build", "runs")):
                (folder / entry.name).symlink_to(entry)
        (folder / "build").symlink_to(program.parent)
        (folder / "home/.cache").mkdir(parents=True)
        data = os.environ.get("VOLLEY_TEST_DATA") or Path(
            os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "volley"
        )
        (folder / "home/.cache/volley").symlink_to(Path(data).resolve())
        path_variable = [str(program.parent), os.environ["PATH"]]
        if python is not None:
            path_variable.insert(0, str(python.parent))
        self.environment = {
            **os.environ,
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "home/.cache"),
            "PATH": os.pathsep.join(path_variable),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self):
        for block in blocks_of(self.text):
            try:
                self.run_block(block)
            except Broken as broken:
                raise Broken(f"line {block.line}: {broken}") from None

    def run_block(self, block):
        note = NOTE.fullmatch(block.before)
        name = NAMED.search(block.before)
        if block.language not in LANGUAGES:
            raise Broken(f"a block of language '{block.language}'; known are {', '.join(sorted(LANGUAGES))}")
        if block.language == "text":
            self.compare(block)
        elif note is not None and note[1] == "not run":
            self.printed = None  # the options were checked before
        elif note is not None and note[1] == "needs" and note[2] != "python":
            raise Broken(f"'{note[2]}' is not known: a block may need python")
        elif note is not None and note[1] == "needs" and self.python is None:
            self.printed = None
        elif name is not None and block.language in {"cpp", "cmake", "toml", "python", "csv"}:
            self.place(block, name[1])
            self.printed = None
        elif block.language == "sh":
            status = int(note[2]) if note is not None and note[1] == "exits" else 0
            self.printed = self.run_shell(block, status)
        elif block.language == "python":
            self.printed = None if self.python is None else self.run_python(block)
        elif block.language != "math":
            raise Broken(f"a block of {block.language} without the name of a file before it")

    def place(self, block, name):
        """Saves the block; of a file that the clone has, it must be a part, `...` being what is left out."""
        if (ROOT / name).exists():
            text, at = (ROOT / name).read_text(encoding="utf-8"), 0
            for part in re.split(r"^ *\.\.\.\n", block.text, flags=re.MULTILINE):
                at = text.find(part, at)
                if at < 0:
                    raise Broken(f"{name} does not have, or not in this order:\n{part}")
        else:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(block.text, encoding="utf-8")

    def run_shell(self, block, status):
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIME_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise Broken(f"not done after {TIME_LIMIT} s:\n{block.text}") from None
        if done.returncode != status:
            raise Broken(f"exit status {done.returncode}, not {status}:\n{block.text}{done.stdout}")
        return done.stdout

    def run_python(self, block):
        if self.session is None:
            self.session = subprocess.Popen(
                [str(self.python), "-c", SESSION],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        self.session.stdin.write(f"{block.text!r}\n".encode())
        self.session.stdin.flush()
        printed = b""
        while not printed.endswith(b"\0"):
            byte = self.session.stdout.read(1)
            if not byte:
                raise Broken(f"Python ended:\n{block.text}{printed.decode()}")
            printed += byte
        return printed[:-1].decode()

    def compare(self, block):
        if self.printed is None:
            return
        if not same_output(block.text, self.printed):
            should = with_numbers_of(block.text, self.printed) if self.update else None
            if should is not None:
                self.changes[block.text] = should
                return
            raise Broken("this is not what is printed:\n" + difference(block.text, self.printed))
        self.printed = None

    def close(self):
        if self.session is not None:
            self.session.stdin.close()
            self.session.wait(timeout=60)


def run_page(text, program, python, update=False):
    """What blocks should show that are out of date; where there is no `update`, that is Broken."""
    with tempfile.TemporaryDirectory(prefix="volley-page-") as folder:
        page = Page(text, program, python, Path(folder), update)
        try:
            page.run()
        finally:
            page.close()
    return page.changes


def write_changes(path, changes):
    for page in (path, path.with_suffix(".zh-CN.md")):
        if page.exists():
            text = page.read_text(encoding="utf-8")
            for old, new in changes.items():
                text = text.replace(f"```text\n{old}```", f"```text\n{new}```")
            page.write_text(text, encoding="utf-8")


def missing_here(program):
    """What a page needs and has not here; empty where it can hold."""
    if os.environ.get("VOLLEY_REQUIRE_DATA"):
        return ""
    folder = os.environ.get("VOLLEY_TEST_DATA")
    listing = [str(program), "data", "list", *(["--data-dir", folder] if folder else [])]
    if not re.search(
        r"^mnist .* in ", subprocess.run(listing, capture_output=True, text=True).stdout, re.MULTILINE
    ):
        return "MNIST: volley data fetch mnist"
    info = subprocess.run([str(program), "info"], capture_output=True, text=True).stdout
    return "" if re.search(r"gnuplot .*: \d", info) else "gnuplot: scripts/setup"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help="the volley to put on PATH")
    parser.add_argument(
        "--python", type=Path, help="one that has the module volley; without, python blocks are not run"
    )
    parser.add_argument(
        "--options", action="store_true", help="run nothing, look up the options of every command"
    )
    parser.add_argument(
        "--update", action="store_true", help="write output with other numbers into the pages"
    )
    parser.add_argument("pages", type=Path, nargs="+")
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    python = None if arguments.python is None else arguments.python.absolute()
    passed, failed, skipped = 0, 0, 0
    for path in arguments.pages:
        try:
            text = path.read_text(encoding="utf-8")
            check_options(text, program)
            if not arguments.options:
                write_changes(path, run_page(text, program, python, arguments.update))
            passed += 1
        except Broken as broken:
            missing = "" if arguments.options else missing_here(program)
            if missing:
                print(f"{path.name}: passed over, it needs {missing}")
                skipped += 1
            else:
                print(f"{path}: {broken}", file=sys.stderr)
                failed += 1
    print(f"pages: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else SKIPPED if skipped and not passed else 0


if __name__ == "__main__":
    sys.exit(main())
