"""Ticks or bars in, one feature vector a bar out: the batch kernels driven with one row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.features.engine import FeatureStream, columns_read
from scalper_ml.features.registry import FeatureSet
from scalper_ml.features.series import BAR_COLUMNS, MARKET_COLUMNS

__all__ = ["FeatureRow", "OnlineFeatureBuilder"]

_MARKET_AT = len(BAR_COLUMNS)
_FEEDS_AT = _MARKET_AT + len(MARKET_COLUMNS)


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """Features known at one close: `values` (f,) in the order of `FeatureSet.names`, and whether all are known."""

    ts_us: int
    values: np.ndarray
    warm: bool


class OnlineFeatureBuilder:
    """Stream trades or bars and get the vector the batch engine would have computed, bit for bit.

    Parameters
    ----------
    fs : FeatureSet
    interval_us : int
        Length of a bar.
    bar_state, feature_state : bytes, optional
        From `state()`, or from a batch run: the builder starts warm, without replaying history. Features without bars
        go on with the bar after the last one they saw, however long ago that was.

    Raises
    ------
    FeatureSetError
        `feature_state` belongs to another feature set or is damaged.
    ContractError
        `bar_state` belongs to another interval.

    Notes
    -----
    A bar is published when the first trade of a later interval arrives; trades older than the open bar are refused.
    """

    def __init__(
        self,
        fs: FeatureSet,
        interval_us: int,
        *,
        bar_state: bytes | None = None,
        feature_state: bytes | None = None,
    ) -> None:
        self.fs = fs
        self._stream = FeatureStream(fs, feature_state)
        self._bars = (
            BarBuilder.after(interval_us, self._stream.last_us)
            if bar_state is None
            else BarBuilder.from_state(interval_us, bar_state)
        )
        self._add = self._bars.adder()
        self._columns = columns_read(fs)
        self._X = np.full((1, len(self._columns)), np.nan)
        self._ts = np.zeros(1, dtype=np.int64)
        self._warm = np.zeros(1, dtype=np.bool_)

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the vector."""
        return self.fs.names

    def push_tick(
        self,
        ts_us: int,
        price: float,
        qty: float,
        side: int,
        trade_id: int = -1,
        *,
        market: Mapping[str, float] | None = None,
        context: Mapping[str, float | None] | None = None,
    ) -> FeatureRow | None:
        """Add one trade; the features of the bar it closed, or None.

        Parameters
        ----------
        ts_us : int
            Stamp in microseconds.
        price, qty : float
        side : int
            +1 aggressive buyer, -1 aggressive seller.
        market : mapping, optional
            Market columns as of the close of the bar this trade ends.
        context : mapping, optional
            Columns of CONTEXT_BARS and BOOK_BARS, with depths, as known at that close.

        Raises
        ------
        ContractError
            A trade older than the open bar, or one that is not a trade.
        """
        if self._add(ts_us, price, qty, side, trade_id):
            return None
        bar = self._bars.push_one(ts_us, price, qty, side, trade_id)
        return None if bar is None else self.push_bar(bar, market, context)

    def push_bar(
        self,
        bar: Mapping[str, Any],
        market: Mapping[str, float] | None = None,
        context: Mapping[str, float | None] | None = None,
    ) -> FeatureRow:
        """The features known at the close of one bar.

        Parameters
        ----------
        bar : mapping
            Columns of BARS; ``ts_us`` in microseconds; None or absent where the source has nothing.
        market : mapping, optional
            Columns of MARKET at the same close; without it the market features of this row are NaN.
        context : mapping, optional
            Columns of CONTEXT_BARS and BOOK_BARS, with depths, as known at the same close; features of those that are
            absent or None are NaN in this row.

        Raises
        ------
        ContractError
            A bar that breaks its contract or is not after the last one.
        """
        row = self._X[0]
        for j, name in enumerate(self._columns):
            source = bar if j < _MARKET_AT else market if j < _FEEDS_AT else context
            value = None if source is None else source.get(name)
            row[j] = np.nan if value is None else value
        self._ts[0] = bar["ts_us"]
        columns = np.empty((len(self.fs.names), 1))
        self._stream.advance(self._X, self._ts, columns, self._warm)
        return FeatureRow(int(self._ts[0]), columns[:, 0], bool(self._warm[0]))

    def finish(
        self, market: Mapping[str, float] | None = None, context: Mapping[str, float | None] | None = None
    ) -> FeatureRow | None:
        """Close the open bar, as at the end of a file; its features, or None if no bar is open."""
        bars = self._bars.finish()
        if bars.num_rows == 0:
            return None
        bar = {name: bars.column(name)[0].as_py() for name in bars.column_names if not name.endswith("ts_us")}
        return self.push_bar(bar | {"ts_us": bars.column("ts_us")[0].value}, market, context)

    def state(self) -> tuple[bytes, bytes]:
        """`bar_state` and `feature_state` to start another builder exactly here."""
        return self._bars.state(), self._stream.state()
