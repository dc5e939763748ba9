#!/usr/bin/env python3
"""What Doxygen reads in the place of a header: filter.py HEADER

A plain comment behind a member documents it, as `///<` would; and so does the text kDoc of a neuron's
options, which the Python module shows.
"""

import re
import sys

text = open(sys.argv[1], encoding="utf-8").read()
text = re.sub(r"^([^/\n]*[;,{]) +// ", r"\1  ///< ", text, flags=re.MULTILINE)


def comment(match):
    paragraphs = match["doc"].strip().split("\n\n")
    # Columns are equations: Markdown sets what is indented as it stands.
    shown = [re.sub("^", "    ", one, flags=re.MULTILINE) if "  " in one else one for one in paragraphs]
    lines = "\n\n".join(shown).splitlines()
    return "\n".join(f"/// {line}".rstrip() for line in lines) + "\n" + match["head"]


head = r"^(?P<head>struct \w+ \{\n(?:  static [^\n]*;\n)*)"
options = head + r'  static constexpr const char\* kDoc =\s+R"\((?P<doc>.*?)\)";\n'
print(re.sub(options, comment, text, flags=re.MULTILINE | re.DOTALL), end="")
