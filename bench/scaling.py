#!/usr/bin/env python3
"""How time grows with T, with the features and with the samples, and memory with T: bench/scaling.py [VOLLEY].

Asks `volley bench` (default: build/volley) for the tutorial network and for 784-800-10 and prints tables. A quotient
of about 2 from one row to the next is linear growth.
"""

import json
import subprocess
import sys

VOLLEY = sys.argv[1] if len(sys.argv) > 1 else "build/volley"


def bench(recipe, *options):
    command = [VOLLEY, "bench", recipe, "--json", "--threads", "1", "--seconds", "2", "--epochs", "3", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(title, recipe, values, options, seconds):
    print(f"\n{title}\n{'':>8}{'time':>14}{'quotient':>10}{'MiB':>8}")
    before = None
    for value in values:
        result = bench(recipe, *options(value))
        now = seconds(result)
        quotient = f"{now / before:.2f}" if before else ""
        print(f"{value:>8}{now:>14.4g}{quotient:>10}{result['peak_bytes'] / 2**20:>8.0f}")
        before = now


def per_sample(result):
    return 1e6 / result["train_samples_per_second"]["median"]


def per_batch(result):
    return per_sample(result) * result["batch"]


def main():
    steps = [25, 50, 100, 200, 400]
    table("784-10, T: us a sample", "lif_fc_mnist", steps, lambda t: ["-T", str(t)], per_sample)
    table("784-800-10, T: us a sample", "mlp_mnist", steps, lambda t: ["-T", str(t)], per_sample)
    hidden = [100, 200, 400, 800, 1600]
    table(
        "784-F-10 at T = 25, F: us a sample",
        "mlp_mnist",
        hidden,
        lambda f: ["--set", f"network.1.out={f}", "--set", f"network.3.in={f}"],
        per_sample,
    )
    table("784-10, N samples a batch: us a batch", "lif_fc_mnist", [16, 32, 64, 128, 256], lambda n: ["-b", str(n)], per_batch)


if __name__ == "__main__":
    main()
