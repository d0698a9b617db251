"""Conformal sets: they hold the outcome as often as promised, and go on doing so while the market changes."""

import math

import numpy as np
import pytest

from scalper_ml.errors import ContractError
from scalper_ml.models.conformal import AdaptiveLevel, ConformalSets, LiveSets, fit_conformal, followed_coverage


def outcomes(n: int, seed: int, *, sharp: float = 1.0, said: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities as a model says them and outcomes of a market in which `sharp`, not `said`, is true."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    true, claimed = (np.exp(k * z) / np.exp(k * z).sum(axis=1, keepdims=True) for k in (sharp, said))
    return claimed, np.minimum((rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1), 2)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_sets_hold_the_outcome_as_often_as_promised(alpha: float) -> None:
    """On rows of the same market the outcome is in the set in 1 - alpha of them, within 3 standard errors."""
    P, y = outcomes(4_000, 1)
    sets = fit_conformal(P, y)
    P, y = outcomes(20_000, 2)
    hit = sets.of(P, alpha)[np.arange(y.size), y].mean()
    assert hit == pytest.approx(1 - alpha, abs=3 * math.sqrt(alpha * (1 - alpha) * (1 / 4_000 + 1 / 20_000)) + 1 / 200)


def test_quantiles_by_hand() -> None:
    """Four scores .1 .2 .3 .4: the set that may miss one in five needs the largest, that of one in two the third."""
    P = np.array([[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    sets = fit_conformal(P, [0, 0, 0, 0])
    assert sets.threshold(0.2) == pytest.approx(0.4)
    assert sets.threshold(0.5) == pytest.approx(0.3)
    assert sets.threshold(0.1) == math.inf  # five rows would be needed
    assert sets.of(P, 0.1).all()
    assert ConformalSets.from_dict(sets.to_dict()) == sets


def test_a_level_that_adapts_keeps_its_promise_when_the_market_changes() -> None:
    """Over 5,000 steps, half of them in a market with half the skill, misses stay within 3 points of alpha.

    A fixed level does not: without the adaptation misses in the second half are far more than promised.
    """
    P, y = outcomes(4_000, 1, sharp=2.0, said=2.0)
    sets = fit_conformal(P, y)
    first, second = outcomes(2_500, 3, sharp=2.0, said=2.0), outcomes(2_500, 4, sharp=0.5, said=2.0)
    P, y = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    level, hits, waiting = AdaptiveLevel(0.2, gamma=0.02), [], []
    for row, code in zip(P, y, strict=True):
        hits.append(bool(sets.of(row[None], level.level)[0, code]))
        waiting.append(hits[-1])
        if len(waiting) > 3:  # an outcome is known three bars later
            level.told(hit=waiting.pop(0))
    assert np.mean(hits) == pytest.approx(0.8, abs=0.03)
    assert np.mean(hits[3_000:]) == pytest.approx(0.8, abs=0.03)
    fixed = sets.of(P[3_000:], 0.2)[np.arange(2_000), y[3_000:]].mean()
    assert fixed < 0.7


def test_long_run_misses_obey_the_bound_whatever_happens() -> None:
    """Against an adversary that misses whenever it can, misses differ from alpha by at most the proven bound."""
    level, misses, steps = AdaptiveLevel(0.2, gamma=0.05), 0, 2_000
    for _ in range(steps):
        missed = level.level > 0
        misses += missed
        level.told(hit=not missed)
    assert abs(misses / steps - 0.2) <= (0.8 + 0.05) / (0.05 * steps) + 1e-9


def test_state_goes_on() -> None:
    """A level restored from its state continues as if it had not stopped; impossible levels are refused."""
    level = AdaptiveLevel(0.1)
    level.told(hit=False)
    again = AdaptiveLevel(**level.state())
    assert again.told(hit=True) == level.told(hit=True)
    with pytest.raises(ContractError, match="0 < alpha < 1"):
        AdaptiveLevel(1.0)
    with pytest.raises(ContractError, match="no rows"):
        fit_conformal(np.empty((0, 3)), [])


def test_sets_that_follow_hold_what_they_promise_when_the_market_changes() -> None:
    """Where outcomes turn against the probabilities, fixed sets miss and followed ones come back to their share."""
    rng = np.random.default_rng(5)
    P = rng.dirichlet([2.0, 2.0, 2.0], 6_000)
    drawn = (rng.random(6_000)[:, None] > P.cumsum(axis=1)).sum(axis=1)
    y = np.where(np.arange(6_000) < 3_000, drawn, P.argmin(axis=1))  # later the least likely happens, always
    sets = fit_conformal(P[:1_500], y[:1_500])
    fixed = float(sets.of(P[3_000:])[np.arange(3_000), y[3_000:]].mean())
    followed = followed_coverage(sets, P[3_000:], y[3_000:], horizon=5)
    assert fixed < 0.6
    assert abs(followed["coverage"] - 0.8) <= (0.8 + 0.005 * (1 + 5)) / (0.005 * 3_000)  # the bound, told 5 late
    assert followed["mean_size"] > 2.0


def test_coverage_that_follows_is_that_of_live_sets() -> None:
    """Told of each outcome when it is known, sets made bar by bar cover as often as the report says."""
    rng = np.random.default_rng(6)
    P, y = rng.dirichlet([2.0, 2.0, 2.0], 400), rng.integers(0, 3, 400)
    sets, hits, size = fit_conformal(P, y), 0, 0
    live = LiveSets(sets)
    for row in range(400):
        if row >= 3:
            live.known(int(y[row - 3]))
        members = live.of(P[row])
        hits, size = hits + members[y[row]], size + members.sum()
    expected = {"coverage": hits / 400, "mean_size": size / 400, "level": live.level.level}
    assert followed_coverage(sets, P, y, horizon=3) == expected


def test_an_outcome_without_a_set_is_refused() -> None:
    """Telling an outcome that no set waits for is an error, not a miss."""
    live = LiveSets(fit_conformal(np.full((50, 3), 1 / 3), np.zeros(50)))
    live.of(np.full(3, 1 / 3))
    live.known(1)
    with pytest.raises(ContractError, match="no set waits"):
        live.known(1)
