"""The score of labels without a deadband: two classes, and resting is no answer."""

import dataclasses

import numpy as np
import pytest

from scalper_ml.gate.estimates import Sample, estimate
from scalper_ml.gate.score import quality_score

ROWS = 4_000


def sample(hit: float, *, traded: float = 0.5, flat: float = 0.0, seed: int = 1) -> Sample:
    """Sides that are right with some probability on a share of the rows; one row in so many did not move."""
    rng = np.random.default_rng(seed)
    y = rng.choice([0, 2], ROWS)
    decided = np.where(rng.random(ROWS) < hit, y, 2 - y)
    y_pred = np.where(rng.random(ROWS) < traded, decided, 1)
    rows = np.flatnonzero(y_pred != 1)
    side = np.where(y_pred[rows] == 2, 1, -1)
    r = np.where(y_pred[rows] == y[rows], 1.0, -1.0)
    y = np.where(rng.random(ROWS) < flat, 1, y)
    r = np.where(y[rows] == 1, -0.1, r)
    return Sample(y.astype(np.int8), y_pred.astype(np.int8), rows, side, r, r * 1e-3, 1, np.full(ROWS, 0.5), (0, 2))


@pytest.mark.parametrize("traded", [0.3, 1.0])
def test_balanced_accuracy_is_of_the_sides_taken(traded: float) -> None:
    """However many rows are passed over, balanced accuracy is the mean recall of the sides taken, beside one half."""
    one = sample(0.6, traded=traded)
    found = estimate(one, seed=3, draws=300)
    taken = one.y_pred != 1
    by_hand = np.mean([(one.y_pred[taken & (one.y == side)] == side).mean() for side in (0, 2)])
    assert one.chance == 0.5
    assert found.balanced_accuracy.value == pytest.approx(by_hand)
    assert found.balanced_accuracy.p_value(one.chance) < 1e-4


def test_no_skill_is_chance_and_does_not_pass() -> None:
    """Sides at random do not pass the gate of balanced accuracy, nor do they if no label is flat or many are."""
    for flat in (0.0, 0.2):
        score = quality_score(sample(0.5, flat=flat), seed=3, draws=300)
        assert "balanced_accuracy_not_significant" in score.reasons
        skilled = quality_score(sample(0.6, flat=flat), seed=3, draws=300)
        assert "balanced_accuracy_not_significant" not in skilled.reasons


def test_always_long_does_not_pass() -> None:
    """A side that is always taken knows nothing of direction, whatever the market did."""
    one = sample(0.5, traded=1.0)
    long = dataclasses.replace(one, y=np.where(np.arange(ROWS) % 4 == 0, 0, 2).astype(np.int8),
                               y_pred=np.full(ROWS, 2, dtype=np.int8), side=np.ones(ROWS, dtype=int))  # fmt: skip
    assert estimate(long, seed=3, draws=300).balanced_accuracy.value == pytest.approx(0.5, abs=0.26)
    assert "balanced_accuracy_not_significant" in quality_score(long, seed=3, draws=300).reasons


def test_the_number_of_classes_is_part_of_what_was_scored() -> None:
    """Equal decisions under two classes and under three are two inputs."""
    one = sample(0.6)
    three = dataclasses.replace(one, classes=(0, 1, 2))
    assert one.content_hash != three.content_hash
    assert estimate(three, seed=3, draws=300).balanced_accuracy.value is None  # no row is labelled NEUTRAL
