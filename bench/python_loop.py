#!/usr/bin/env python3
"""A training loop written in Python against volley.train(): bench/python_loop.py [RUNS].

Both train the network of the recipe lif_fc_mnist (784-10, T = 100, batches of 64, Poisson) on random pictures
that are as dark as digits, and take turns. Shows the median samples per second of each, and its time in
multiples of that of volley.train(). The loop runs with packed spikes, and with arrays of bytes.
"""

import statistics
import sys
import time

import numpy as np

import volley

STEPS, BATCH, SAMPLES = 100, 64, 64 * 200


def pictures():
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 256, (SAMPLES, 1, 28, 28), dtype=np.uint8)
    pixels[rng.random(pixels.shape) < 0.81] = 0
    return volley.Dataset(pixels, rng.integers(0, 10, SAMPLES))


def by_recipe(data):
    history = volley.train("lif_fc_mnist", epochs=1, data=(data, data.first(BATCH)))
    return history[0].train_samples_per_second


def by_loop(data, packed):
    net = volley.Sequential(volley.Flatten(), volley.Linear(784, 10, bias=False), volley.LIF(tau=2.0))
    net.initialize(seed=0)
    poisson, loss, adam = volley.Poisson(seed=0), volley.RateMse(), volley.Adam(lr=1e-3)
    pixels, labels = data.pixels, data.labels
    options = {"packed": True} if packed else {}
    tape = None
    begin = time.perf_counter()
    for first in range(0, SAMPLES, BATCH):
        x = poisson.encode(pixels[first : first + BATCH], steps=STEPS, epoch=1, first_sample=first, **options)
        y, tape = net.forward(x, tape=tape) if packed else net.forward(x)
        _, scores = loss.forward(y, labels[first : first + BATCH])
        net.zero_gradients()
        net.backward(
            tape, loss.backward(y, labels[first : first + BATCH], scores), needs_input_gradient=False
        )
        adam.step(net)
    return SAMPLES / (time.perf_counter() - begin)


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    data = pictures()
    ways = {
        "volley.train()": lambda: by_recipe(data),
        "loop, packed": lambda: by_loop(data, True),
        "loop, bytes": lambda: by_loop(data, False),
    }
    rates = {name: [] for name in ways}
    for _ in range(runs + 1):  # the first run warms up
        for name, way in ways.items():
            rates[name].append(way())
    reference = statistics.median(rates["volley.train()"][1:])
    print(f"median of {runs} runs, {volley.threads()} threads, {volley.simd_target()}")
    for name, all_rates in rates.items():
        median = statistics.median(all_rates[1:])
        print(f"{name:<16}{median:>10,.0f} samples/s{reference / median:>8.2f}")


if __name__ == "__main__":
    main()
