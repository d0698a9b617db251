"""Logarithm, sine and cosine of the kernels against the C library's."""

import numpy as np
import pytest

from scalper_ml.features import elementary
from scalper_ml.kernel import kernel


@kernel
def ln(x, into):
    elementary.ln(x, into)


@kernel
def turn(x, sine, cosine):
    elementary.turn(x, sine, cosine)


@pytest.mark.parametrize("spread", [1e-9, 1e-3, 1.0, 30.0])
def test_logarithm_is_within_one_ulp(spread):
    """Near 1 and from 1e-100 to 1e100 the result is the C library's or its neighbour."""
    x = np.r_[np.exp(np.random.default_rng(1).normal(0, spread, 50_000)), 1.0, 2.0, 0.5]
    got = np.empty_like(x)
    ln(x, got)
    assert (np.abs(got - np.log(x)) <= np.spacing(np.abs(np.log(x)))).all()
    assert got[-3] == 0.0


def test_logarithm_of_what_is_no_number_is_none():
    """NaN and infinity give NaN, so that a missing input stays missing."""
    got = np.empty(2)
    ln(np.array([np.nan, np.inf]), got)
    assert np.isnan(got).all()


def test_turns_are_sines_and_cosines():
    """Over a whole turn the error stays below 1e-15; quarters are exact."""
    x = np.r_[np.linspace(0, 1, 40_001)[:-1], 0.25, 0.5, 0.75]
    sine, cosine = np.empty_like(x), np.empty_like(x)
    turn(x, sine, cosine)
    assert np.abs(sine - np.sin(2 * np.pi * x)).max() < 1e-15
    assert np.abs(cosine - np.cos(2 * np.pi * x)).max() < 1e-15
    assert sine[-3:].tolist() == [1, 0, -1]
    assert cosine[-3:].tolist() == [0, -1, 0]
