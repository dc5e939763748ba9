"""Every neuron and every surrogate from Python, and surrogates of one's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

import volley
from conftest import Currents

Floats = npt.NDArray[np.float32]

SPIKING = (
    volley.IF,
    volley.LIF,
    volley.PLIF,
    volley.QIF,
    volley.EIF,
    volley.Izhikevich,
    volley.CUBALIF,
    volley.ALIF,
)
SURROGATES = (
    volley.ATan,
    volley.Sigmoid,
    volley.PiecewiseQuadratic,
    volley.PiecewiseExp,
    volley.SoftSign,
    volley.SuperSpike,
    volley.Erf,
    volley.Rect,
    volley.PiecewiseLeakyReLU,
    volley.LeakyKReLU,
    volley.LogTailedReLU,
    volley.S2NN,
    volley.QPseudoSpike,
    volley.NonzeroSignLogAbs,
    volley.StraightThrough,
)


def atan(x: Floats) -> Floats:
    return np.asarray(1 / (1 + (np.pi * x) ** 2), np.float32)


@pytest.mark.parametrize("neuron", SPIKING)
def test_every_neuron_with_a_surrogate_of_ones_own(neuron: type[volley.LIF], currents: Currents) -> None:
    x = currents(9, 40, 5)
    ds = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    ours, own = neuron(surrogate=volley.ATan()), neuron(surrogate=atan)
    s, tape = ours.forward(x)
    same, own_tape = own.forward(x)
    np.testing.assert_array_equal(s, same)
    np.testing.assert_allclose(own.backward(own_tape, ds), ours.backward(tape, ds), rtol=1e-4, atol=1e-5)
    assert own.surrogate is atan and repr(own).startswith(neuron.__name__ + "(")


def test_what_ones_own_surrogate_raises_comes_out(currents: Currents) -> None:
    x = currents(9, 40, 5)

    def failing(x: Floats) -> Floats:
        raise ZeroDivisionError("mine")

    lif = volley.LIF(surrogate=failing)
    _, tape = lif.forward(x)
    with pytest.raises(ZeroDivisionError, match="mine"):
        lif.backward(tape, x)
    short = volley.LIF(surrogate=lambda x: x[1:])
    with pytest.raises(ValueError, match="must have the shape of x"):
        short.backward(short.forward(x)[1], x)
    whole = volley.LIF(surrogate=lambda x: np.ones(x.shape, np.int64))
    with pytest.raises(TypeError, match="floats"):
        whole.backward(whole.forward(x)[1], x)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_every_surrogate_says_what_it_is(surrogate: type[volley.ATan], currents: Currents) -> None:
    made = surrogate()
    lif = volley.LIF(surrogate=made)
    assert repr(lif.surrogate) == repr(made)
    x = currents(5, 3, 4)
    assert np.isfinite(lif.backward(lif.forward(x)[1], x)).all()


def test_plif_learns_tau_and_threshold(currents: Currents) -> None:
    plif = volley.PLIF(init_tau=3.0, learn_threshold=True, channels=5)
    assert set(plif.parameters()) == {"w", "v_threshold"}
    np.testing.assert_allclose(plif.parameters()["w"], np.full(5, -np.log(2.0)), rtol=1e-6)
    x = currents(9, 4, 5)
    plif.backward(plif.forward(x)[1], np.ones_like(x))
    assert plif.gradients()["w"].shape == (5,) and plif.gradients()["w"].any()
    with pytest.raises(ValueError, match=r"\[plif\] input must have 5 channels or neurons"):
        plif.forward(currents(9, 4, 6))


def test_plif_with_a_fixed_tau_for_each_neuron(currents: Currents) -> None:
    tau = np.array([2.0, 4.0, 8.0], np.float32)
    plif = volley.PLIF(learn_tau=False, channels=3)
    assert not plif.parameters() and set(plif.buffers()) == {"w", "v_threshold"}
    plif.set_buffers({"w": -np.log(tau - 1), "v_threshold": np.full(3, 0.7, np.float32)})
    x = currents(6, 4, 3)
    s = plif.forward(x)[0]
    for i in range(3):
        lif = volley.LIF(tau=float(tau[i]), v_threshold=0.7)
        np.testing.assert_array_equal(s[..., i], lif.forward(x[..., i : i + 1])[0][..., 0])


def test_fires_at_the_threshold_or_above_it() -> None:
    x = np.ones((1, 1, 1), np.float32)
    assert volley.IF().forward(x)[0].item() == 1
    assert volley.IF(fires_at_threshold=False).forward(x)[0].item() == 0


def test_li_integrates() -> None:
    x = np.array([2, 0, 1], np.float32).reshape(3, 1, 1)
    np.testing.assert_array_equal(volley.LI().forward(x)[0][:, 0, 0], np.array([1, 0.5, 0.75], np.float32))


def test_parallel_neurons() -> None:
    x = np.array([1, 2, 0, 0, 4, 1], np.float32).reshape(6, 1, 1)
    s, tape = volley.SlidingPSN(k=2).forward(x)
    np.testing.assert_array_equal(s[:, 0, 0], [1, 1, 1, 0, 1, 1])
    for psn in (volley.PSN(steps=6), volley.MaskedPSN(k=2, steps=6, lambda_init=1.0)):
        psn.backward(psn.forward(x)[1], np.ones_like(x))
        assert psn.gradients()["bias"].shape == (6,)
    with pytest.raises(ValueError, match=r"\[psn\] input must have 4 steps, got 6"):
        volley.PSN(steps=4).forward(x)


def test_arguments_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError, match="no argument 'tua'"):
        volley.LIF(tua=3.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="twice"):
        volley.LIF(2.0, tau=3.0)  # type: ignore[misc]
    with pytest.raises(TypeError, match="takes 10 arguments, got 11"):
        volley.LIF(2.0, True, 1.0, 0.0, False, volley.ATan(), True, None, None, 0, 8)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="tau must be float, got str"):
        volley.LIF(tau="2")  # type: ignore[arg-type]


def test_a_script_with_a_surrogate_of_its_own_ends_quietly() -> None:
    script = "import volley\ndef g(u):\n    return u\nlif = volley.LIF(surrogate=g)\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
