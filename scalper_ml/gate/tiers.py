"""Tiers: what a published score allows."""

from dataclasses import dataclass
from typing import Final, Literal

from scalper_ml.errors import ContractError

__all__ = ["REJECTED", "TIERS", "Action", "Status", "Tier", "TierName", "status_of", "tier_of"]

TierName = Literal["HIGH", "MEDIUM", "LOW", "REJECTED"]
Action = Literal["ACTIVE", "WARMUP", "LOW", "NO_TRADE"]
Status = Literal["ACTIVE", "WARMUP", "NO_TRADE"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: the least published score it takes, the least confidence it trades, and how.

    `size_factor` scales the order; of WARMUP it is the size of *paper* orders.
    """

    name: TierName
    min_score: float
    min_confidence: float
    action: Action
    size_factor: float


TIERS: Final = (
    Tier("HIGH", 75.0, 0.45, "ACTIVE", 1.0),
    Tier("MEDIUM", 60.0, 0.55, "WARMUP", 1.0),
    Tier("LOW", 50.0, 0.65, "LOW", 0.5),
    Tier("REJECTED", 0.0, 0.99, "NO_TRADE", 0.0),
)
"""From best to worst; a score on an edge belongs to the better tier."""

REJECTED: Final = TIERS[-1]


def tier_of(score_0_100: float) -> Tier:
    """The tier of a published score in [0, 100].

    Raises
    ------
    ContractError
        The score is outside [0, 100] or NaN.

    Examples
    --------
    >>> [tier_of(score).name for score in (75.0, 74.9, 50.0, 49.9)]
    ['HIGH', 'MEDIUM', 'LOW', 'REJECTED']
    """
    if not 0.0 <= score_0_100 <= 100.0:
        raise ContractError(f"tier: published score is {score_0_100}; expected a number in [0, 100]")
    return next(tier for tier in TIERS if score_0_100 >= tier.min_score)


def status_of(action: Action) -> Status:
    """Status of a coin by its action: LOW trades (at half size), so it counts as ACTIVE.

    Examples
    --------
    >>> [status_of(action) for action in ("ACTIVE", "LOW", "WARMUP", "NO_TRADE")]
    ['ACTIVE', 'ACTIVE', 'WARMUP', 'NO_TRADE']
    """
    return "ACTIVE" if action == "LOW" else action
