"""Verdicts go by intervals and by no skill, not by levels asked for elsewhere."""

import numpy as np

from scalper_ml.reports.targets import verdicts
from scalper_ml.validation.metrics import classification_metrics


def judged(y: np.ndarray, P: np.ndarray, ret: np.ndarray) -> dict[str, dict[str, str]]:
    rates = np.bincount(y, minlength=3) / y.size
    return {row["metric"]: row for row in verdicts(classification_metrics(y, P, rates, ret=ret))}


def test_a_constant_answer_can_be_accurate_and_has_no_skill() -> None:
    """Seven of ten labels NEUTRAL: always NEUTRAL is right in 70 %, above the 55 % asked, and told to have no skill."""
    y = np.tile([1, 1, 1, 0, 1, 1, 2, 1, 1, 0], 200)
    found = judged(y, np.tile([0.2, 0.7, 0.1], (2_000, 1)), np.where(y == 2, 1.0, -1.0))
    assert found["accuracy"]["verdict"] == "not told from no skill; above what is asked"
    assert found["balanced accuracy"]["verdict"] == "not told from no skill; below what is asked"
    assert found["directional accuracy"]["verdict"] == "undefined: no side is taken"
    assert found["directional accuracy"]["value"] == "-"


def test_what_is_asked_is_held_against_the_interval() -> None:
    """Right in 57 % of 300 rows where 55 % are asked: the interval holds 55 %, so nothing is claimed."""
    y = np.tile([0, 2], 150)
    P = np.tile([0.6, 0.1, 0.3], (300, 1))
    P[np.flatnonzero(y == 2)[:21]] = [0.3, 0.1, 0.6]
    found = judged(y, P, np.where(y == 2, 1.0, -1.0))
    assert found["accuracy"]["value"] == "0.5700"
    assert found["accuracy"]["verdict"].endswith("; not told from what is asked")


def test_a_weak_signal_is_told_from_no_skill_below_what_is_asked() -> None:
    """A model right in 45 % of three even classes has skill, although it is below the 55 % asked."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 6_000)
    guess = np.where(rng.random(6_000) < 0.175, y, rng.integers(0, 3, 6_000))
    P = np.full((6_000, 3), 0.29)
    P[np.arange(6_000), guess] = 0.42
    found = judged(y, P, rng.normal(size=6_000))
    assert found["accuracy"]["verdict"] == "better than no skill; below what is asked"
    assert found["log loss"]["verdict"] == "better, by the number alone"
    low, high = map(float, found["accuracy"]["interval"].split(" to "))
    assert low < float(found["accuracy"]["value"]) < high
