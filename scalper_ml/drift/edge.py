"""Tests of the mean of outcomes that follow one another: has the edge gone, is there still one?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from scipy.special import stdtr

from scalper_ml.errors import ContractError

__all__ = ["ALPHA", "BLOCKS", "LEAST", "EdgeDrop", "block_t", "edge_drop", "relative_drop"]

ALPHA: Final = 0.01
LEAST: Final = 200
"""Fewest outcomes that a drop of the edge is told from."""
BLOCKS: Final = 20


def block_t(values: Sequence[float], null: float, blocks: int = BLOCKS) -> float:
    """One-sided p-value of ``H0: mean >= null`` by Student's t over the means of consecutive blocks.

    Parameters
    ----------
    values : sequence of float
        Outcomes in time order, at least `blocks`; finite.
    null : float
    blocks : int
        Blocks of sizes that differ by at most one, >= 2.

    Returns
    -------
    float
        In [0, 1]; small where the mean lies below `null`. Where all blocks have one mean: 0 below `null`, else 1.

    Raises
    ------
    ContractError
        Fewer values than blocks.

    Notes
    -----
    Sums are exact (`math.fsum`), so that the order in which a window was filled leaves no trace in the bits.

    Examples
    --------
    >>> round(block_t([0.1, -0.3, 0.2, -0.4, -0.1, 0.0], 0.1, blocks=3), 4)
    0.0041
    """
    n = len(values)
    if n < blocks or blocks < 2:
        raise ContractError(f"block t-test: found {n} outcomes for {blocks} blocks; expected one each at least, of 2")
    edges = [k * n // blocks for k in range(blocks + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    mean = math.fsum(means) / blocks
    variance = math.fsum((one - mean) ** 2 for one in means) / (blocks - 1)
    if not math.isfinite(mean):
        raise ContractError("block t-test: an outcome is not finite; expected finite numbers")
    if variance <= 0.0:
        return 0.0 if mean < null else 1.0
    return float(stdtr(blocks - 1, (mean - null) / math.sqrt(variance / blocks)))


@dataclass(frozen=True, slots=True)
class EdgeDrop:
    """A look at the edge: `recent` over `n` outcomes against `bound`, with the p-value of ``recent >= bound``."""

    n: int
    recent: float
    reference: float
    bound: float
    p: float

    @property
    def dropped(self) -> bool:
        """Whether the edge has lost more than it may, with p below 1 %."""
        return self.n >= LEAST and self.p < ALPHA


def edge_drop(outcomes: Sequence[float], reference: float, drift_threshold: float) -> EdgeDrop | None:
    """Test ``H0: edge >= (1 - drift_threshold) * reference`` on the newest outcomes (PRODUCT X1).

    Parameters
    ----------
    outcomes : sequence of float
        R of completed trades that do not overlap, in time order.
    reference : float
        Edge on score, its lower bound, > 0.
    drift_threshold : float
        Share of the edge that may be lost, in (0, 1).

    Returns
    -------
    EdgeDrop or None
        None below `LEAST` outcomes.

    Examples
    --------
    >>> found = edge_drop([0.3, -0.4] * 150, reference=0.2, drift_threshold=0.1)
    >>> found.n, round(found.recent, 3), round(found.bound, 3), found.dropped
    (300, -0.05, 0.18, True)
    """
    if not (reference > 0 and 0 < drift_threshold < 1):
        raise ContractError(
            f"edge: found reference {reference} and drift_threshold {drift_threshold}; expected an edge above 0 and a "
            "share between 0 and 1"
        )
    if len(outcomes) < LEAST:
        return None
    bound = (1.0 - drift_threshold) * reference
    recent = math.fsum(outcomes) / len(outcomes)
    return EdgeDrop(len(outcomes), recent, reference, bound, block_t(outcomes, bound))


def relative_drop(level: float, reference: float) -> float:
    """Relative loss of a level, as the source's rule had it: shown, and acted on by nothing.

    Examples
    --------
    >>> round(relative_drop(0.50, 0.55), 4)
    0.0909
    """
    if not reference > 0:
        raise ContractError(f"relative drop: found reference {reference}; expected a level above 0")
    return 1.0 - level / reference
