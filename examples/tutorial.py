"""The tutorial, in Python: from one neuron to a network that reads digits.

    python examples/tutorial.py                                   # the whole of it, some minutes
    python examples/tutorial.py --samples 6400 --epochs 1         # a taste

MNIST must be there; `volley.datasets.fetch("mnist")` gets it.
"""

import argparse

import numpy as np
import numpy.typing as npt

import volley

STEPS = 100  # T


def one_neuron() -> None:
    """1. A LIF neuron under a constant current: it charges, fires, and starts again from v_reset."""
    lif = volley.LIF(tau=5.0, v_threshold=1.0, v_reset=0.0)
    x = np.full((20, 1, 1), 1.6, np.float32)  # T = 20 steps, N = 1 sample, F = 1 neuron
    s, tape = lif.forward(x)

    v = 0.0
    print("step   current   potential   spike")
    for t in range(20):
        h = v + (float(x[t, 0, 0]) - v) / lif.tau  # what happens inside: charge,
        fired = h >= lif.v_threshold  # fire,
        v = 0.0 if fired else h  # reset
        assert fired == bool(s[t, 0, 0])
        print(f"{t:4}   {x[t, 0, 0]:7.2f}   {h:9.4f}   {'|' if fired else ''}")

    # The step has no derivative; backward takes that of a smooth one, the surrogate. So there is a gradient:
    # how much more would the neuron fire, were the current at step t a little higher?
    dx = lif.backward(tape, np.ones_like(x))
    print("d(spikes) / d(current):", np.array2string(dx[:, 0, 0], precision=2, max_line_width=100))


def coding(image: npt.NDArray[np.uint8]) -> None:
    """2. A picture as spikes: at each step, a pixel k fires with probability k / 255."""
    spikes = volley.Poisson(seed=0).encode(image[np.newaxis], steps=STEPS)  # (T, 1, 1, 28, 28), 0 or 1
    rates = spikes.mean(axis=0)[0, 0]
    difference = np.abs(rates - image[0] / 255).max()
    print(f"{spikes.sum()} spikes in {STEPS} steps; rates differ from pixels by at most {difference:.3f}")
    for row in rates[::2]:
        print("   ", "".join(" .:-=+*#%@"[min(int(rate * 10), 9)] for rate in row))


def by_hand(train: volley.Dataset, test: volley.Dataset, batch: int) -> volley.Sequential:
    """3. Backpropagation through time, written out: one pass over the training set."""
    net = volley.Sequential(volley.Flatten(), volley.Linear(784, 10, bias=False), volley.LIF(tau=2.0))
    net.initialize(seed=0)
    poisson, loss, adam = volley.Poisson(seed=0), volley.RateMse(), volley.Adam(lr=1e-3)
    batches = len(train) // batch
    for b in range(batches):
        images = train.pixels[b * batch : (b + 1) * batch]
        labels = train.labels[b * batch : (b + 1) * batch]
        x = poisson.encode(images, steps=STEPS, epoch=1, first_sample=b * batch)

        y, tape = net.forward(x)  # all T steps at once: (T, N, 10) spikes
        value, scores = loss.forward(y, labels)  # scores are firing rates, (N, 10)
        net.zero_gradients()
        net.backward(tape, loss.backward(y, labels, scores), needs_input_gradient=False)
        adam.step(net)

        if b % max(1, batches // 5) == 0:
            right = (scores.argmax(axis=1) == labels).mean()
            norm = np.sqrt(sum((g**2).sum() for g in net.gradients().values()))
            print(f"batch {b:4}: loss {value:.4f}, {right:.0%} of the batch right, gradient {norm:.4f}")
    print(f"test accuracy by hand: {accuracy(net, test):.4f}")
    return net


def accuracy(net: volley.Sequential, data: volley.Dataset, batch: int = 500) -> float:
    """The share of pictures whose neuron fired most."""
    right = 0
    for first in range(0, len(data), batch):
        images, labels = data.pixels[first : first + batch], data.labels[first : first + batch]
        x = volley.Poisson(seed=0).encode(images, steps=STEPS, first_sample=first, purpose="test")
        y, _ = net.forward(x)
        right += int((y.sum(axis=0).argmax(axis=1) == labels).sum())
    return right / len(data)


def by_recipe(train: volley.Dataset, test: volley.Dataset, epochs: int) -> volley.Sequential:
    """4. The same as a recipe: the training loop runs in C++, some hundred thousand pictures a second."""
    history = volley.train(
        "lif_fc_mnist",
        epochs=epochs,
        data=(train, test),
        on_epoch=lambda e: print(
            f"epoch {e.epoch}: train {e.train_acc:.4f}, test {e.test_acc:.4f}, {e.seconds:.1f} s"
        ),
    )
    print(f"test accuracy by recipe: {history[-1].test_acc:.4f}")
    return history.net


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", help="folder of the data sets")
    parser.add_argument("--samples", type=int, default=60000, help="how many training pictures")
    parser.add_argument("--epochs", type=int, default=5, help="of the training by recipe")
    arguments = parser.parse_args()

    train, test = volley.datasets.load("mnist", arguments.data_dir)
    train, test = train.first(arguments.samples), test.first(max(1000, arguments.samples // 6))

    print("1. One neuron\n")
    one_neuron()
    print(f"\n2. A {train.classes[train.labels[0]]} as spikes\n")
    coding(train.pixels[0])
    print("\n3. Training by hand\n")
    by_hand(train, test, batch=64)
    print("\n4. Training by recipe\n")
    net = by_recipe(train, test, arguments.epochs)

    # 5. What was learned: the weights of each digit's neuron are a picture of where its ink is.
    weights = net.parameters()["1.weight"].reshape(10, 28, 28)
    print("\n5. The weights of the neuron for 0\n")
    for row in weights[0, ::2]:
        print("   ", "".join("-" if w < -0.05 else "+" if w > 0.05 else " " for w in row))


if __name__ == "__main__":
    main()
