"""OKX's trading statistics and funding rates, as tables with a ``ts`` column."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from scalper_ml.context.base import HOUR_US, Parsed, Request, Values, known_us, snapped, values_of
from scalper_ml.ingest.lines import Columns
from scalper_ml.ingest.values import stamps_us

__all__ = ["OkxStatistics"]

_MINUTE_US: Final = 60_000_000
_STATISTICS_DELAY_US: Final = 5 * _MINUTE_US
"""Statistics are made after their period; how long after is not published, so one shortest period (5m) is allowed."""

_FORMATS: Final[Mapping[tuple[str, ...], tuple[str, int, int]]] = {
    ("fundingrate",): ("okx-funding", HOUR_US, 0),
    ("ratio",): ("okx-long-short", 5 * _MINUTE_US, _STATISTICS_DELAY_US),
    ("oi", "oivalue"): ("okx-open-interest", 5 * _MINUTE_US, _STATISTICS_DELAY_US),
    ("sellvol", "buyvol"): ("okx-taker-volume", 5 * _MINUTE_US, _STATISTICS_DELAY_US),
}
"""Columns beside ``ts`` to format, schedule and publication delay."""
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "fundingrate": ("fundingRate", "funding_rate"),
    "ratio": ("ratio", "long_short_ratio"),
    "oi": ("oi", "open_interest"),
    "oivalue": ("oi_value", "open_interest_value"),
    "sellvol": ("sellVol", "taker_sell_volume"),
    "buyvol": ("buyVol", "taker_buy_volume"),
}


class OkxStatistics:
    """Funding rate, long/short account ratio, open interest or taker volume, by the columns beside ``ts``.

    The stamp is the end of the period: hourly taker volumes equal the traded volume of the hour before their stamp.
    Where ``oi`` only repeats ``oi_value``, both are in quote units, and ``oi`` counts as a repeat.
    """

    formats: tuple[str, ...] = tuple(name for name, _, _ in _FORMATS.values())

    def roles(self, names: Sequence[str]) -> dict[str, int] | None:
        """The columns, if they are those of one of the four tables."""
        known = [columns for columns in _FORMATS if set(names) == {"ts", *columns}]
        return {name: names.index(name) for name in ("ts", *known[0])} if known else None

    def parse(self, columns: Columns, request: Request) -> Parsed:
        """One or two kinds."""
        named = tuple(name for name in columns.values if name != "ts")
        format, step_us, delay_us = _FORMATS[named]
        stamp, stamped = stamps_us(columns.values["ts"])
        event = snapped(stamp, step_us)
        known = known_us(stamp, event, request.delay(delay_us))
        values = [
            values_of(_KINDS[name][1], (_KINDS[name][0], columns.values[name]), stamped, event, known) for name in named
        ]
        return Parsed(format, _in_one_unit(values) if format == "okx-open-interest" else values, stamp[stamped])


def _in_one_unit(values: Sequence[Values]) -> list[Values]:
    base, quote = values
    good = (base.fault == "") & (quote.fault == "")
    same = bool(np.all(base.value[good] == quote.value[good])) and bool(good.any())
    return [replace(base, repeats=good & same), quote]
