#!/usr/bin/env python3
"""Pages that are wrong in one place each: run_pages.py must say so. run_pages_test.py PROGRAM"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUNNER = Path(__file__).parent / "run_pages.py"
PROGRAM = sys.argv.pop()

GOOD = """# A page

The file `one.csv`:

```csv
1.5
1.5
```

```sh
volley neuron lif --current one.csv
```

```text
t,x,h,v,s
...
1,1.5,1.125,0,1
lif: 2 steps, 1 spikes, rate 0.5 per step, first at t = ...
```

<!-- exits: 2 -->
```sh
volley neuron lif --current constant:1 --tau 0.5
```

A part of `recipes/lif_fc_mnist.toml`:

```toml
[training]
...
seed = 0
```

<!-- not run: it never ends -->
```sh
volley train lif_fc_mnist --epochs 10000
```
"""


def run(page, *options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.md")
        path.write_text(page, encoding="utf-8")
        command = [sys.executable, str(RUNNER), "--program", PROGRAM, *options, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)


class RunPages(unittest.TestCase):
    def fails(self, before, after, message, *options):
        self.assertIn(before, GOOD)
        done = run(GOOD.replace(before, after), *options)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(message, done.stderr)

    def test_a_good_page_passes(self):
        done = run(GOOD)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_another_figure(self):
        self.fails("1.125", "1.126", "line 14: this is not what is printed")

    def test_a_line_too_many(self):
        self.fails("1,1.5,1.125,0,1\n", "1,1.5,1.125,0,1\n2,1.5,0.75,0.75,0\n", "this is not what is printed")

    def test_a_line_too_few(self):
        self.fails("...\n1,1.5,1.125,0,1\n", "", "this is not what is printed")

    def test_a_command_that_fails(self):
        self.fails("--current one.csv", "--current none.csv", "line 10: exit status 1, not 0")

    def test_a_command_that_should_fail_and_does_not(self):
        self.fails("--tau 0.5", "--tau 5", "exit status 0, not 2")

    def test_a_part_of_a_file_that_it_has_not(self):
        self.fails("seed = 0", "seed = 1", "recipes/lif_fc_mnist.toml does not have")

    def test_an_option_that_is_none(self):
        self.fails("--epochs 10000", "--epoks 10000", "volley train has no --epoks", "--options")

    def test_a_command_that_is_none(self):
        self.fails("volley train", "volley trian", "there is no volley trian", "--options")

    def test_what_needs_python_is_not_run_without(self):
        needs = "<!-- needs: python -->\n```sh\nfalse\n"
        done = run(GOOD.replace("```sh\n", needs, 1).replace("1.125", "1.126"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.fails("```sh\n", needs, "exit status 1, not 0", "--python", sys.executable)
        self.fails("```sh\n", needs.replace("python", "pearl"), "a block may need python")

    def test_a_block_without_an_end(self):
        self.fails("10000\n```\n", "10000\n", "the block has no end")

    def test_a_block_of_no_known_language(self):
        self.fails("```csv", "```cvs", "a block of language 'cvs'")

    def test_what_no_two_runs_agree_in_does_not_count(self):
        sys.path.insert(0, str(RUNNER.parent))
        from run_pages import same_output

        self.assertTrue(
            same_output("acc 0.9  39,803 images/s  1.70 s\n", "acc 0.9  403,803 images/s  0.1 s\n")
        )
        self.assertFalse(
            same_output("acc 0.9  39,803 images/s  1.70 s\n", "acc 0.8  39,803 images/s  1.70 s\n")
        )
        self.assertTrue(same_output("machine  A, 2 threads\nrun\n", "machine  B, 4 threads\nrun\n"))
        self.assertTrue(same_output("a\n...\n", "a\n"))
        self.assertFalse(same_output("a\n", "a\nb\n"))


if __name__ == "__main__":
    unittest.main()
