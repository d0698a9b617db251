"""Tiers of the published score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError
from scalper_ml.gate.tiers import TIERS, status_of, tier_of


@pytest.mark.parametrize(
    ("score", "name", "confidence", "action", "status", "size"),
    [
        (100.0, "HIGH", 0.45, "ACTIVE", "ACTIVE", 1.0),
        (75.0, "HIGH", 0.45, "ACTIVE", "ACTIVE", 1.0),
        (74.99, "MEDIUM", 0.55, "WARMUP", "WARMUP", 1.0),
        (60.0, "MEDIUM", 0.55, "WARMUP", "WARMUP", 1.0),
        (59.99, "LOW", 0.65, "LOW", "ACTIVE", 0.5),
        (50.0, "LOW", 0.65, "LOW", "ACTIVE", 0.5),
        (49.9, "REJECTED", 0.99, "NO_TRADE", "NO_TRADE", 0.0),
        (0.0, "REJECTED", 0.99, "NO_TRADE", "NO_TRADE", 0.0),
    ],
)
def test_each_edge_belongs_to_the_better_tier(score, name, confidence, action, status, size):
    """75 is HIGH, 60 MEDIUM, 50 LOW; each tier has its confidence, action, status and size."""
    tier = tier_of(score)
    assert (tier.name, tier.min_confidence, tier.action, tier.size_factor) == (name, confidence, action, size)
    assert status_of(tier.action) == status


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_better_score_never_asks_for_more_confidence(a, b):
    """Tiers are ordered: a higher score has a floor that is no higher and a rank that is no worse."""
    low, high = tier_of(min(a, b)), tier_of(max(a, b))
    assert high.min_confidence <= low.min_confidence
    assert TIERS.index(high) <= TIERS.index(low)


@pytest.mark.parametrize("score", [-0.1, 100.1, float("nan")])
def test_what_is_no_score_is_refused(score):
    """Below 0, above 100 and NaN are contract errors."""
    with pytest.raises(ContractError, match="published score"):
        tier_of(score)
