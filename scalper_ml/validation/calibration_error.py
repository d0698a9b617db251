"""Reliability of probabilities: equal-mass bins, expected calibration error and its noise floor."""

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError

__all__ = ["ECE_BINS", "ece", "noise_floor", "reliability"]

Floats = npt.NDArray[np.float64]

ECE_BINS = 15


def _order(p: Floats, bins: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Rows sorted by p, the first position of each equal-mass bin, and the bin sizes."""
    if p.ndim != 1 or p.size == 0:
        raise ContractError(
            f"calibration: found probabilities of shape {p.shape}; expected at least one, in one dimension"
        )
    edges = np.unique(np.arange(bins) * p.size // bins)
    return np.argsort(p, kind="stable"), edges, np.diff(np.append(edges, p.size)).astype(np.float64)


def reliability(p: npt.ArrayLike, hit: npt.ArrayLike, bins: int = ECE_BINS) -> dict[str, list[float]]:
    """Mean probability, observed frequency and rows of each equal-mass bin, in ascending order of probability.

    Examples
    --------
    >>> reliability([0.1, 0.9, 0.2, 0.8], [0, 1, 0, 0], bins=2)
    {'p': [0.15000000000000002, 0.8500000000000001], 'frequency': [0.0, 0.5], 'rows': [2.0, 2.0]}
    """
    p, hit = np.asarray(p, dtype=np.float64), np.asarray(hit, dtype=np.float64)
    order, edges, sizes = _order(p, bins)
    means = np.add.reduceat(p[order], edges) / sizes
    observed = np.add.reduceat(hit[order], edges) / sizes
    return {"p": means.tolist(), "frequency": observed.tolist(), "rows": sizes.tolist()}


def ece(p: npt.ArrayLike, hit: npt.ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean distance of frequency and probability over equal-mass bins, 0..1.

    Parameters
    ----------
    p : (n,)
        Probability given to an event.
    hit : (n,)
        Whether it happened, 0 or 1.

    Examples
    --------
    >>> round(ece([0.25] * 8, [1, 0, 0, 0, 1, 0, 0, 0], bins=2), 6)
    0.0
    """
    p, hit = np.asarray(p, dtype=np.float64), np.asarray(hit, dtype=np.float64)
    order, edges, _ = _order(p, bins)
    return float(np.abs(np.add.reduceat((hit - p)[order], edges)).sum() / p.size)


def noise_floor(
    p: npt.ArrayLike, *, horizon: int = 1, seed: int, simulations: int = 100, bins: int = ECE_BINS
) -> float:
    """Mean calibration error that perfectly calibrated probabilities `p` (n,) would show by chance.

    Parameters
    ----------
    horizon : int
        Length of the labels in rows. Outcomes of rows that close share their luck: one uniform number
        decides `horizon` consecutive rows, so the effective sample is n / horizon.
    seed : int
        Same seed, same floor.

    Examples
    --------
    >>> p = np.linspace(0.4, 0.6, 3_000)
    >>> noise_floor(p, seed=1) < noise_floor(p, seed=1, horizon=15)
    True
    """
    p = np.asarray(p, dtype=np.float64)
    order, edges, _ = _order(p, bins)
    rng = np.random.default_rng(seed)
    luck = np.arange(p.size) // horizon
    lucks, ordered, shared = int(luck[-1]) + 1, p[order], luck[order]
    total = 0.0
    for _ in range(simulations):
        hit = rng.random(lucks)[shared] < ordered
        total += float(np.abs(np.add.reduceat(hit - ordered, edges)).sum()) / p.size
    return total / simulations
