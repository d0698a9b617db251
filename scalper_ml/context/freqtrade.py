"""Candles as freqtrade stores them for funding rates and mark prices."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from scalper_ml.context.base import HOUR_US, Parsed, Request, known_us, snapped, values_of
from scalper_ml.errors import InputError
from scalper_ml.ingest.lines import Columns
from scalper_ml.ingest.values import decimals, stamps_us

__all__ = ["FreqtradeCandles"]

_NEEDED: Final = ("open", "high", "low", "close", "volume")
_MARK_DELAY_US: Final = 1_000_000
"""A mark price is computed once a second: the first one of a candle is known a second after its start."""


class FreqtradeCandles:
    """``timestamp`` or ``date``, then ``open, high, low, close, volume``.

    Of a funding file the rate is in ``open`` and the other columns are 0: known when settled, at its stamp. Of a
    mark file only ``open`` is used, as the mark price at its stamp: high, low and close of a candle are of its
    future, and the last candle of a download need not be complete.
    """

    formats: tuple[str, ...] = ("freqtrade-funding", "freqtrade-mark")

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """The columns, if these six and no others are there."""
        ts = [name for name in ("timestamp", "date") if name in names]
        if not ts or set(names) != {ts[0], *_NEEDED}:
            return None
        return {"ts": names.index(ts[0]), **{name: names.index(name) for name in _NEEDED}}

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """Funding rates or mark prices, told by what the other columns hold.

        Raises
        ------
        InputError
            If they are neither: candles of trades, for one.
        """
        rest = {name: decimals(columns.values[name])[0] for name in _NEEDED[1:]}
        prices = np.concatenate([rest[name] for name in ("high", "low", "close")])
        stamp, stamped = stamps_us(columns.values["ts"])
        column = ("open", columns.values["open"])
        if not np.any(prices):
            event = snapped(stamp, HOUR_US)
            known = known_us(stamp, event, request.delay(0))
            values = values_of("funding_rate", column, stamped, event, known)
            return Parsed("freqtrade-funding", [values], stamp[stamped])
        if np.any(rest["volume"] > 0):
            row = int(np.flatnonzero(rest["volume"] > 0)[0])
            raise InputError(
                f"{request.path}: line {columns.lines[row]}, column volume: found {rest['volume'][row]}, expected 0 - "
                "candles with a volume are of trades, not of funding or mark; read them as klines"
            )
        known = known_us(stamp, stamp, request.delay(_MARK_DELAY_US))
        return Parsed("freqtrade-mark", [values_of("mark_price", column, stamped, stamp, known)], stamp[stamped])
