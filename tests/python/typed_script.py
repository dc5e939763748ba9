"""A user's script: checked by mypy, and run."""

import numpy as np
import numpy.typing as npt

import volley


def main() -> float:
    x: npt.NDArray[np.float32] = np.ones((10, 2, 784), np.float32)
    lif = volley.LIF(
        tau=2.0,
        v_threshold=1.0,
        v_reset=0.0,
        decay_input=True,
        detach_reset=False,
        surrogate=volley.ATan(alpha=2.0),
    )
    s, tape = lif.forward(x)
    bits: npt.NDArray[np.uint8] = s
    dx: npt.NDArray[np.float32] = lif.backward(tape, np.ones_like(x))
    images = np.full((2, 28, 28), 200, np.uint8)
    spikes = volley.Poisson(seed=0).encode(images, steps=100, epoch=0, first_sample=0)
    net = volley.Sequential(volley.Flatten(), volley.Linear(784, 10, bias=False), volley.LIF(tau=2.0))
    y, net_tape = net.forward(spikes)
    loss, scores = volley.RateMse().forward(y, [3, 4])
    dy = volley.RateMse().backward(y, [3, 4], scores)
    net.backward(net_tape, dy)
    volley.Adam(lr=1e-3).step(net)
    packed: volley.Spikes = volley.Poisson(seed=0).encode(images, steps=100, packed=True)
    counts: npt.NDArray[np.uint32] = packed.counts()
    currents: npt.NDArray[np.float32] | volley.Spikes = net(packed, tape=net_tape)
    again, _ = lif.forward(x, tape=tape)
    called: npt.NDArray[np.uint8] = lif(x)
    assert counts.shape == (2, 28, 28) and len(currents) == 100 and (again == called).all()
    views: dict[str, volley.Parameter] = net.parameter_views()
    weight: npt.NDArray[np.float32] = views["1.weight"].value
    assert weight.shape == views["1.weight"].shape
    trainer = volley.Trainer(
        net, (images, [3, 4]), volley.RateMse(), volley.Adam(), volley.Poisson(), steps=4, batch=2, threads=1
    )
    records: list[volley.EpochRecord] = trainer.fit(1).epochs
    evaluation: volley.Evaluation = trainer.evaluate(volley.ArraySource(images, np.array([3, 4])))
    assert records[0].epoch == 1 and evaluation.scores.shape == (2, 10)
    gradients: dict[str, npt.NDArray[np.float32]] = net.gradients()
    try:
        volley.LIF(tau=0.5)
    except volley.ArgumentError as error:
        values: tuple[str, str, str] = (error.operation, error.rule, error.found)
        assert values == ("lif", "tau must be > 1", "0.5")
    kinds = [layer.kind for layer in net]
    assert kinds == ["flatten", "linear", "lif"] and bits.shape == dx.shape
    return loss + float(gradients["1.weight"].sum())


if __name__ == "__main__":
    print(main())
