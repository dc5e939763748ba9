"""Checks that the table of functions of the random programs names every public function of the headers.

public_functions.py INCLUDE_FOLDER FUNCTIONS_CPP. The headers are read by braces and semicolons, not by a compiler:
enough for their style. Functions that override one of a base are the base's; `detail`, friends and what options
structs state for the library are left out. Rows of the table without "::" or a function's name are kinds of parts.
"""

import re
import sys
from pathlib import Path

NO_FUNCTIONS = {"if", "for", "while", "switch", "return", "static_assert", "requires", "sizeof", "decltype", "catch"}
# What options structs list for the library, and what a program can only use by using something else.
LEFT_OUT = re.compile(r"(^|::)(fields|bool|void|\w+Options::parameters)$")


def without_comments(text):
    text = re.sub(r'R"\(.*?\)"', '""', text, flags=re.S)
    text = re.sub(r'"(\\.|[^"\n])*"', '""', text)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"^\s*#.*$", "", text, flags=re.M)


class Reader:
    def __init__(self):
        self.scopes = []  # (kind, name, [access])
        self.found = set()

    def declare(self, text):
        names = [name for kind, name, _ in self.scopes if kind == "class"]
        closed = any(kind in ("body", "hidden") for kind, _, _ in self.scopes)
        if closed or any(access[0] != "public" for kind, _, access in self.scopes if kind == "class"):
            return
        if text.strip().startswith(")") or re.search(r"\b(override|final|delete|friend|using)\b", text):
            return
        text = re.sub(r"^\s*template\s*<.*?>\s*(requires\s*\(.*?\)\s*)?(?=[A-Za-z~])", "", text, flags=re.S)
        match = re.search(r"(operator\s*(?:\[\]|==|=)|~?\b[A-Za-z_]\w*)\s*\(", text)
        if not match or match.group(1).startswith("~") or "=" in text[: match.start()].replace("operator=", ""):
            return
        name = match.group(1).replace(" ", "")
        spaces = [name for kind, name, _ in self.scopes if kind == "namespace" and name != "volley"]
        whole = "::".join(spaces + names + [name])
        if name not in NO_FUNCTIONS and not LEFT_OUT.search(whole):
            self.found.add(whole)

    def open(self, text):
        kind = re.search(r"\b(class|struct)\s+(\w+)(?:<[^{]*>)?\s*(?:final)?\s*(?::[^{;]*)?$", text, re.S)
        if re.search(r"\bnamespace\b", text):
            name = text.split()[-1]
            self.scopes.append(("hidden" if name == "detail" else "namespace", name, ["public"]))
        elif kind and "(" not in text[kind.start() :]:
            access = "private" if kind.group(1) == "class" else "public"
            self.scopes.append(("class", kind.group(2), [access]))
        else:
            self.declare(text)
            self.scopes.append(("body", "", ["public"]))

    def read(self, text):
        part = ""
        for i, c in enumerate(text):
            if c == "{":
                self.open(part.strip())
                part = ""
            elif c == "}":
                if self.scopes:
                    self.scopes.pop()
                part = ""
            elif c == ";":
                self.declare(part)
                part = ""
            elif c == ":" and text[i + 1] != ":" and re.search(r"\b(public|private|protected)\s*$", part):
                for kind, _, access in reversed(self.scopes):
                    if kind == "class":
                        access[0] = part.split()[-1]
                        break
                part = ""
            else:
                part += c


def main():
    headers, table = Path(sys.argv[1]), Path(sys.argv[2])
    reader = Reader()
    for header in sorted(headers.glob("*.hpp")):
        reader.read(without_comments(header.read_text()))
    named = set(re.findall(r'"([^"]+)"', table.read_text()))
    missing = sorted(reader.found - named)
    stale = sorted(name for name in named if "::" in name and name not in reader.found)
    for name in missing:
        print(f"not in the table: {name}")
    for name in stale:
        print(f"in the table, but not in the headers: {name}")
    if not reader.found:
        print(f"no functions in {headers}")
    print(f"{len(reader.found)} public functions, {len(missing)} not in the table, {len(stale)} of the table not in the headers")
    return 1 if missing or stale or not reader.found else 0


if __name__ == "__main__":
    sys.exit(main())
