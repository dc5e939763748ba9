#!/usr/bin/env python3
"""What busy neighbours cost: bench/neighbours.py [VOLLEY].

Trains the tutorial network by `volley bench` (default: build/volley) alone and beside one endless loop for each
processor, in turn, and compares the loss with the share of the processors' time that the loops took: half of it.
"""

import json
import os
import statistics
import subprocess
import sys

VOLLEY = sys.argv[1] if len(sys.argv) > 1 else "build/volley"
ROUNDS = 3


def samples_per_second():
    command = [VOLLEY, "bench", "lif_fc_mnist", "--json", "--seconds", "3"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result["train_samples_per_second"]["median"], result["test_samples_per_second"]["median"]


def beside(neighbours):
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        return samples_per_second()
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main():
    processors = len(os.sched_getaffinity(0))
    alone, crowded = [], []
    for _ in range(ROUNDS):  # in turn, so that a slow minute hits both
        alone.append(beside(0))
        crowded.append(beside(processors))
    for i, what in enumerate(["training", "test"]):
        a = statistics.median(run[i] for run in alone)
        c = statistics.median(run[i] for run in crowded)
        print(f"{what:<9} alone {a:>10,.0f}/s   beside {processors} loops {c:>10,.0f}/s   lost {100 * (1 - c / a):.0f} % (of the processors: 50 %)")


if __name__ == "__main__":
    main()
