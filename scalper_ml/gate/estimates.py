"""Metrics of one scored role with their joint time-block bootstrap.

Everything is summed per time block once; the sums of drawn blocks give every metric of a draw, so
all metrics share their draws. Rows belong to a block by their position in the role, trades by the
position of their signal row.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scalper_ml.errors import ContractError
from scalper_ml.schema import CLASSES, LONG, NEUTRAL, SHORT
from scalper_ml.validation.calibration_error import ece, noise_floor
from scalper_ml.validation.metrics import balanced_accuracy
from scalper_ml.validation.statistics import block_ids, block_sums, blocks, bootstrap, draw_weights, lcb, p_value, ucb

__all__ = ["Estimate", "Estimates", "Sample", "calibration_excess", "estimate", "side_recall"]

K: Final = len(CLASSES)

_CONFUSION: Final = slice(0, K * K)
_TRADES, _R, _WINS, _WIN_R, _LOSS_R, _PROFIT, _LOSS = range(K * K, K * K + 7)

_Metric = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Sample:
    """Decisions and trades of one role: all that a score depends on.

    Parameters
    ----------
    y, y_pred : ndarray of int8, shape (T,)
        Labels and decisions (0 SHORT, 1 NEUTRAL, 2 LONG) of every row, in time order.
    trade_rows : ndarray of int, shape (n,)
        Position of each trade's signal row, 0 <= row < T.
    side : ndarray, shape (n,)
        +1 LONG, -1 SHORT.
    r, net : ndarray, shape (n,)
        Result of each trade after all costs: in risk units, and as a fraction of notional.
    horizon : int
        Bars held, >= 1.
    p_long : ndarray of float64, shape (T,)
        Calibrated ``P(LONG) / (P(LONG) + P(SHORT))`` of every row: what confidence is made of.
    classes : tuple of int
        Codes of the classes that the labels are about: without NEUTRAL, (0, 2), where they have no deadband.

    Raises
    ------
    ContractError
        No rows, sizes that differ, a code outside its range, a result that is not finite, or no probability.
    """

    y: np.ndarray
    y_pred: np.ndarray
    trade_rows: np.ndarray
    side: np.ndarray
    r: np.ndarray
    net: np.ndarray
    horizon: int
    p_long: np.ndarray
    classes: tuple[int, ...] = (SHORT, NEUTRAL, LONG)

    def __post_init__(self) -> None:
        y, rows = self.y, self.trade_rows
        if y.size == 0 or y.shape != self.y_pred.shape or y.shape != self.p_long.shape:
            raise ContractError(
                f"score: labels {y.shape}, decisions {self.y_pred.shape}, probabilities {self.p_long.shape}; expected "
                "equal shapes, not empty"
            )
        if not ((self.p_long >= 0) & (self.p_long <= 1)).all():
            raise ContractError("score: a probability is outside [0, 1]")
        for name, codes in (("labels", y), ("decisions", self.y_pred)):
            if not np.isin(codes, range(K)).all():
                raise ContractError(f"score: {name} hold {np.unique(codes).tolist()}; expected 0, 1, 2 for {CLASSES}")
        sizes = {rows.size, self.side.size, self.r.size, self.net.size}
        if len(sizes) > 1 or (rows.size and not (rows.min() >= 0 and rows.max() < y.size)):
            raise ContractError(f"score: trade columns of sizes {sorted(sizes)}; expected one, rows in [0, {y.size})")
        if not (np.isfinite(self.r).all() and np.isfinite(self.net).all() and np.isin(self.side, (-1, 1)).all()):
            raise ContractError("score: a trade has a result that is not finite or a side other than +1, -1")

    @property
    def chance(self) -> float:
        """Balanced accuracy of decisions that know nothing."""
        return 1.0 / len(self.classes)

    @property
    def content_hash(self) -> str:
        """First 16 hex digits of the sha256 over all fields."""
        two = "" if len(self.classes) == K else " two classes"
        digest = hashlib.sha256(f"{self.y.size} {self.r.size} {self.horizon}{two}".encode())
        columns = ((self.y, "i1"), (self.y_pred, "i1"), (self.trade_rows, "<i8"), (self.side, "i1"))
        for column, kind in (*columns, (self.r, "<f8"), (self.net, "<f8"), (self.p_long, "<f8")):
            digest.update(np.ascontiguousarray(column, dtype=kind).tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric on the sample (None where undefined) and on every draw, shape (B,)."""

    value: float | None
    draws: np.ndarray
    n_blocks: int

    def lcb(self, alpha: float) -> float:
        """One-sided lower confidence bound; -inf where undefined."""
        return -math.inf if self.value is None else lcb(self.value, self.draws, alpha, self.n_blocks)

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Two-sided interval of level 1 - `alpha`; None where undefined or unbounded."""
        if self.value is None:
            return None
        bounds = (
            lcb(self.value, self.draws, alpha / 2, self.n_blocks),
            ucb(self.value, self.draws, alpha / 2, self.n_blocks),
        )
        return bounds if all(map(math.isfinite, bounds)) else None

    def p_value(self, null: float) -> float:
        """One-sided p-value of H0: metric <= `null`; 1 where undefined."""
        return 1.0 if self.value is None else p_value(self.value, null, self.draws, self.n_blocks)


@dataclass(frozen=True, slots=True)
class Estimates:
    """The metrics of the score, from the same draws; `r_by_block` is total R, shape (n_blocks,).

    `balanced_accuracy` is the mean recall of the three classes, resting counting as NEUTRAL; where there are but two,
    resting is no answer, and it is `direction`.
    `direction` is the mean recall of LONG and SHORT over the rows that were traded and labelled with a
    side: 1/2 for any rule that knows nothing of direction, however well it times volatility or leans
    with a drift. `traded_blocks` counts blocks that hold a trade: the evidence behind trade metrics.
    """

    expectancy_r: Estimate
    balanced_accuracy: Estimate
    direction: Estimate
    log_profit_factor: Estimate
    win_rate_edge: Estimate
    f1_long_excess: Estimate
    f1_short_excess: Estimate
    r_by_block: np.ndarray
    n_blocks: int
    traded_blocks: int


def estimate(sample: Sample, *, seed: int, draws: int) -> Estimates:
    """Every metric of the score with its bootstrap draws.

    Notes
    -----
    Draws in which a ratio has no denominator are given what they show, so that all are finite: no
    trade earns E = 0 and dW = 0; balanced accuracy is over the classes that occur; a class neither
    labelled nor decided has F1 excess 0; without a losing (winning) trade dW is 1 (-1), and the
    missing money of the profit factor is half of one average trade. What is undefined on the sample
    itself is None: trade metrics without trades, class metrics when a class has no labels.
    """
    n_blocks = blocks(sample.y.size, sample.horizon)
    sums = _block_sums(sample, n_blocks)
    weights = draw_weights(n_blocks, draws, seed)
    has_trades, has_classes = sample.r.size > 0, bool(np.isin(sample.classes, sample.y).all())
    traded_blocks = int((sums[:, _TRADES] > 0).sum())
    half_trade = 0.5 * float(np.abs(sample.net).mean()) if has_trades else 0.0

    def of(metric: _Metric, columns: slice, defined: bool, known_blocks: int) -> Estimate:
        value, drawn = bootstrap(sums[:, columns], metric, weights)
        return Estimate(value if defined else None, drawn, known_blocks)

    def of_classes(metric: _Metric) -> Estimate:
        return of(lambda t: metric(t.reshape(*t.shape[:-1], K, K)), _CONFUSION, has_classes, n_blocks)

    def of_trades(metric: _Metric) -> Estimate:
        return of(metric, slice(None), has_trades, max(traded_blocks, 2))

    return Estimates(
        expectancy_r=of_trades(lambda t: _ratio(t[..., _R], t[..., _TRADES], 0.0)),
        balanced_accuracy=of_classes(balanced_accuracy if len(sample.classes) == K else side_recall),
        direction=of_classes(side_recall),
        log_profit_factor=of_trades(lambda t: _log_profit_factor(t, half_trade or 1.0)),
        win_rate_edge=of_trades(_win_rate_edge),
        f1_long_excess=of_classes(lambda c: _f1_excess(c, LONG)),
        f1_short_excess=of_classes(lambda c: _f1_excess(c, SHORT)),
        r_by_block=sums[:, _R],
        n_blocks=n_blocks,
        traded_blocks=traded_blocks,
    )


def calibration_excess(sample: Sample, *, seed: int) -> float | None:
    """Calibration error of the confidence, less what a calibrated one of this size would show by chance.

    Of the rows whose label has a side: how often it was LONG against what `p_long` said. None without such rows.
    """
    sided = sample.y != NEUTRAL
    if not sided.any():
        return None
    said, was = sample.p_long[sided], sample.y[sided] == LONG
    return ece(said, was) - noise_floor(said, horizon=sample.horizon, seed=seed)


def _block_sums(sample: Sample, n_blocks: int) -> np.ndarray:
    """Confusion counts and trade totals per time block, shape (n_blocks, 16)."""
    ids = block_ids(sample.y.size, n_blocks)
    cells = np.eye(K * K)[sample.y.astype(np.int64) * K + sample.y_pred]
    r, net, win = sample.r, sample.net, sample.r > 0
    gains = [np.where(win, r, 0.0), np.where(win, 0.0, -r), np.maximum(net, 0.0), np.maximum(-net, 0.0)]
    trades = np.column_stack([np.ones(r.size), r, win, *gains])
    by_trade = block_sums(trades, ids[sample.trade_rows], n_blocks) if r.size else np.zeros((n_blocks, trades.shape[1]))
    return np.hstack([block_sums(cells, ids, n_blocks), by_trade])


def _ratio(numerator: Any, denominator: Any, otherwise: float) -> np.ndarray:
    """Element-wise ratio with `otherwise` where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    out = np.full(numerator.shape, otherwise)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def _margins(confusion: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows labelled, and rows decided, as `label`."""
    return np.asarray(confusion[..., label, :].sum(axis=-1)), np.asarray(confusion[..., :, label].sum(axis=-1))


def _f1_excess(confusion: np.ndarray, label: int) -> np.ndarray:
    """F1 minus ``2 pi q / (pi + q)``, what decisions independent of the labels would reach."""
    labelled, decided = _margins(confusion, label)
    rows = confusion.sum(axis=(-2, -1))
    score = _ratio(2.0 * confusion[..., label, label], labelled + decided, 0.0)
    return np.asarray(score - _ratio(2.0 * labelled * decided, (labelled + decided) * rows, 0.0))


def side_recall(confusion: np.ndarray) -> np.ndarray:
    """Mean recall of LONG and SHORT among rows both labelled and decided with a side; 1/2 where a side is missing."""
    recalls = [
        _ratio(confusion[..., own, own], confusion[..., own, own] + confusion[..., own, other], 0.5)
        for own, other in ((LONG, SHORT), (SHORT, LONG))
    ]
    return np.asarray(0.5 * (recalls[0] + recalls[1]))


def _win_rate_edge(t: np.ndarray) -> np.ndarray:
    """Win rate minus break-even, which is ``E / (mean win + mean loss)``."""
    mean_win = _ratio(t[..., _WIN_R], t[..., _WINS], 0.0)
    mean_loss = _ratio(t[..., _LOSS_R], t[..., _TRADES] - t[..., _WINS], 0.0)
    return _ratio(_ratio(t[..., _R], t[..., _TRADES], 0.0), mean_win + mean_loss, 0.0)


def _log_profit_factor(t: np.ndarray, half_trade: float) -> np.ndarray:
    profit = np.where(t[..., _PROFIT] > 0, t[..., _PROFIT], half_trade)
    loss = np.where(t[..., _LOSS] > 0, t[..., _LOSS], half_trade)
    return np.asarray(np.log(profit / loss))
