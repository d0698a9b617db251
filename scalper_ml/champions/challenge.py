"""Whether a challenger takes the champion's place (METHOD 5.6)."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scalper_ml.validation.bootstrap import (
    MIN_BLOCKS,
    block_sums,
    blocks,
    bootstrap,
    draw_weights,
    standard_error,
)

__all__ = ["Comparison", "Shadow", "Verdict", "compare_trades", "e_value", "replaces"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BETTER: Final = 0.95
HOURS_US: Final = 3_600_000_000
SHADOW_US: Final = 48 * HOURS_US
SHADOW_TRADES: Final = 50
AGAINST: Final = 0.2
PARITY: Final = 1e-9
_DRAWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two bundles on the rows that neither was made from.

    Parameters
    ----------
    rows, blocks : int
    champion_trades, challenger_trades : int
    champion_r, challenger_r : float
        Mean R of a trade, 0 without trades.
    delta : float
        Challenger less champion.
    se : float
        Of delta, over paired draws of time blocks; NaN where there are too few rows.
    better : float
        Share of draws in which the challenger earns more.
    """

    rows: int
    blocks: int
    champion_trades: int
    challenger_trades: int
    champion_r: float
    challenger_r: float
    delta: float
    se: float
    better: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not a number is None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a challenger did beside the champion since it was made.

    Parameters
    ----------
    for_us : int
        Stream time it has run.
    rows, trades : int
    e_value : float
        Evidence of its trades for the edge of its score against none.
    parity : float
        Largest difference between its probabilities bar by bar and in a batch.
    """

    for_us: int
    rows: int
    trades: int
    e_value: float
    parity: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger is promoted; else ``shadow`` where time may still bring it, or ``refused``; and why."""

    status: str
    reason: str

    @property
    def promoted(self) -> bool:
        """Whether it takes the place."""
        return self.status == "promoted"


def compare_trades(
    ts_us: I64, champion: tuple[I64, F64], challenger: tuple[I64, F64], *, horizon: int, seed: int
) -> Comparison:
    """Paired block bootstrap of the difference of expectancies.

    Parameters
    ----------
    ts_us : (n,)
        Closes of the common rows, rising.
    champion, challenger : (stamps of signals (k,), R (k,))
        Completed trades of each on these rows.
    horizon : int
        Bars of a label: sets the number of blocks.
    seed : int

    Notes
    -----
    Both are drawn by the same blocks of time. A draw without trades of one counts as an expectancy of 0 of that one.

    Examples
    --------
    >>> ts = np.arange(2000)
    >>> one = compare_trades(ts, (ts[::4], np.full(500, -0.2)), (ts[::4], np.full(500, 0.2)), horizon=1, seed=0)
    >>> one.rows, one.blocks, round(one.delta, 3), one.better
    (2000, 125, 0.4, 1.0)
    """
    n = blocks(max(ts_us.size, 1), horizon)
    sums = []
    for stamps, r in (champion, challenger):
        row = np.searchsorted(ts_us, stamps)
        ids = row * n // max(ts_us.size, 1)
        sums.append(
            np.column_stack([block_sums(one, ids, n) for one in (r, np.ones(r.size))]) if r.size else np.zeros((n, 2))
        )
    both = np.concatenate(sums, axis=1)
    means = [float(r.mean()) if r.size else 0.0 for _, r in (champion, challenger)]
    if ts_us.size < MIN_BLOCKS:
        delta, se, better = means[1] - means[0], math.nan, math.nan
    else:
        delta, draws = bootstrap(both, _difference, draw_weights(n, _DRAWS, seed))
        se, better = standard_error(draws), float(np.mean(draws > 0))
    return Comparison(
        rows=int(ts_us.size),
        blocks=n,
        champion_trades=int(champion[1].size),
        challenger_trades=int(challenger[1].size),
        champion_r=means[0],
        challenger_r=means[1],
        delta=delta,
        se=se,
        better=better,
    )


def _difference(totals: F64) -> F64:
    """Expectancy of the second less that of the first; 0 for one without trades."""
    first, second = (totals[..., k] / np.maximum(totals[..., k + 1], 1.0) for k in (0, 2))
    return np.asarray(second - first)


def e_value(r: Sequence[float] | F64, edge: float, sd: float) -> float:
    """Likelihood ratio of a mean of `edge` against 0 over trades: below 1 they speak against the edge.

    Examples
    --------
    >>> round(e_value([0.5, -0.2, 0.4], edge=0.2, sd=1.0), 3), e_value([], edge=0.2, sd=1.0)
    (1.083, 1.0)
    """
    if not sd > 0:
        return 1.0
    exponent = math.fsum(edge / (sd * sd) * (float(one) - edge / 2.0) for one in r)
    return math.exp(min(exponent, 700.0))


def replaces(
    *, accepted: bool, gate_reason: str, compared: Comparison, shadow: Shadow, champion_out: bool, withdrawn: bool
) -> Verdict:
    """The rule.

    Parameters
    ----------
    accepted : bool
        The challenger passes every gate by itself; `gate_reason` says why not.
    compared : Comparison
    shadow : Shadow
    champion_out : bool
        The champion is suspended or past its age: then it is enough not to be worse by more than half an error.
    withdrawn : bool
        The challenger was champion and was rolled back: only a person puts it back.

    Examples
    --------
    >>> compared = Comparison(2000, 125, 300, 300, 0.02, 0.06, 0.04, 0.01, 0.99)
    >>> early = Shadow(HOURS_US, 60, 10, 1.1, 0.0)
    >>> replaces(accepted=True, gate_reason="", compared=compared, shadow=early, champion_out=False, withdrawn=False)
    Verdict(status='shadow', reason='shadow run of 1.0 h; 48 h asked for')
    """
    if withdrawn:
        return Verdict("refused", "was rolled back; promote it by hand")
    if not accepted:
        return Verdict("refused", f"does not pass the gate: {gate_reason}")
    if not math.isfinite(compared.better):
        return Verdict("shadow", f"{compared.rows} rows that neither was made from; {MIN_BLOCKS} asked for")
    if shadow.for_us < SHADOW_US:
        return Verdict("shadow", f"shadow run of {shadow.for_us / HOURS_US:.1f} h; 48 h asked for")
    if not shadow.parity <= PARITY:
        return Verdict("refused", f"bar by bar it says something else than in a batch, by {shadow.parity:.2g}")
    if shadow.trades < SHADOW_TRADES and shadow.e_value < AGAINST:
        return Verdict("refused", f"e-value {shadow.e_value:.3f} over {shadow.trades} shadow trades speaks against it")
    said = f"{compared.delta:+.4f} R a trade, better in {compared.better:.1%} of draws"
    if compared.better >= BETTER:
        return Verdict("promoted", said)
    if champion_out and compared.delta >= -0.5 * compared.se:
        return Verdict("promoted", f"the champion is out, and it is not worse: {said}")
    return Verdict("refused", f"{said}; {BETTER:.0%} asked for")
