"""Placebos: markets in which nothing can be known, made of given returns."""

import numpy as np
import pytest

from scalper_ml.errors import InsufficientDataError
from scalper_ml.gate.placebo import placebo_sample, placebo_scores, resampled


def returns(n=6_000, seed=1, drift=3e-4) -> np.ndarray:
    """Fat tails, clusters, and a drift that a placebo must not keep."""
    rng = np.random.default_rng(seed)
    vol = 1e-3 * np.exp(np.cumsum(rng.normal(0, 0.03, n)) * 0.3)
    return drift + vol * rng.standard_t(5, n)


def test_placebos_of_a_drifting_coin_are_rejected():
    """12 random models on resampled returns of a coin that trends: all REJECTED, none for want of trades."""
    scores = placebo_scores(returns(), 3, seed=5, replicates=12)
    assert all(score.score_0_100 < 50 for score in scores)
    assert not any("too_few_trades" in score.reasons for score in scores)


def test_resampling_keeps_blocks_and_takes_the_drift():
    """Every drawn block is a stretch of the demeaned returns; their mean is zero over many draws."""
    own = returns(2_000)
    drawn = resampled(own, 960, seed=2, block=240)
    centred = own - own.mean()
    starts = [np.flatnonzero(np.isclose(centred, drawn[k], rtol=1e-12))[0] for k in range(0, 960, 240)]
    for place, start in enumerate(starts):
        assert np.array_equal(drawn[240 * place : 240 * (place + 1)], centred[start : start + 240])
    many = resampled(own, 200_000, seed=3)
    assert abs(many.mean()) < 4 * own.std() / np.sqrt(200_000 / 240) / np.sqrt(240) * 3


def test_a_placebo_is_its_seed():
    """The same seed gives the same sample, another one another; trades do not overlap."""
    own = returns(2_000)
    assert placebo_sample(own, 3, 1).content_hash == placebo_sample(own, 3, 1).content_hash
    assert placebo_sample(own, 3, 1).content_hash != placebo_sample(own, 3, 2).content_hash
    assert (np.diff(placebo_sample(own, 3, 1).trade_rows) == 4).all()


def test_too_few_bars_are_said():
    """Fewer than a thousand rows are no placebo."""
    with pytest.raises(InsufficientDataError, match="500 returns"):
        placebo_sample(returns(500), 3, 1)


@pytest.mark.verify
def test_verify_at_most_one_placebo_in_a_hundred_is_accepted():
    """300 placebos: at most 3 accepted."""
    own = returns(12_000)
    assert sum(score.accepted for score in placebo_scores(own, 3, seed=50, replicates=300)) <= 3
