"""How long a step of one sample takes: `volley stream` beside SpikingJelly's single-step mode, in one run.

    python peers/step_latency.py RUN --volley build/volley [--steps 5000] [--threads 1]

RUN is a run folder of a network of linear layers and neurons with a Poisson encoder. Both get the same
frames, bytes drawn with the density of MNIST, one after the other, and their own spikes; both count from the
whole frame to the outputs.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path

import common
import numpy as np
import run_spikingjelly


def frames_like_mnist(steps: int, pixels: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    shown = rng.random((steps, pixels)) < 0.19
    return np.where(shown, rng.integers(1, 256, (steps, pixels)), 0).astype(np.uint8)


def peer_times(run: Path, frames: np.ndarray, threads: int) -> np.ndarray:
    import torch
    from spikingjelly.activation_based import encoding, functional

    torch.set_num_threads(threads)
    recipe = common.read_toml(run / "recipe.toml")
    model = common.build(recipe, run_spikingjelly.LAYERS)
    arrays = common.read_safetensors(run / "checkpoint_best.safetensors")
    common.load_weights(model, {k: v for k, v in arrays.items() if not k.startswith("optimizer.")})
    functional.set_step_mode(model, "s")
    model.eval()
    encoder = encoding.PoissonEncoder()
    times = []
    with torch.no_grad():
        for frame in frames:
            begin = time.perf_counter()
            x = torch.from_numpy(frame).view(1, 1, 28, 28).float() / 255
            model(encoder(x)).numpy()
            times.append(time.perf_counter() - begin)
    return np.array(times) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--volley", default="build/volley")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    frames = frames_like_mnist(chosen.steps, 784)
    command = [chosen.volley, "stream", str(chosen.run), "--format", "u8", "--every", str(chosen.steps)]
    done = subprocess.run(
        [*command, "--threads", str(chosen.threads)], input=frames.tobytes(), capture_output=True, check=True
    )
    print("volley      ", done.stderr.decode().strip())
    times = np.sort(peer_times(chosen.run, frames, chosen.threads)[100:])
    at = {share: times[int(share * (len(times) - 1) + 0.5)] for share in (0.5, 0.9, 0.99)}
    print(
        f"spikingjelly {len(times)} steps; microseconds a step: median {at[0.5]:.1f}, 90 % {at[0.9]:.1f}, "
        f"99 % {at[0.99]:.1f}, longest {times[-1]:.1f}"
    )


if __name__ == "__main__":
    main()
