"""QuantConnect Lean's minute bars of trades: milliseconds since midnight UTC, the date in the file's name.

Bars of quotes (eleven columns) have no trades in them and are refused. Volumes of futures margined in coin
(``btcusd``) are contracts.

References
----------
https://www.quantconnect.com/docs/v2/lean-engine/data-formats
"""

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import is_header, number

__all__ = ["LeanKlines"]

_BARS: Final = "lean-crypto-klines"
_DATE: Final = re.compile(r"(?<!\d)(20\d{2})(\d{2})(\d{2})(?!\d)")
_COIN: Final = re.compile(r"(?:^|_)[a-z0-9]+usd_")
_DAY_MS: Final = 86_400_000


class LeanKlines:
    """Rows of ms since midnight, open, high, low, close, volume."""

    formats: Mapping[str, str] = {_BARS: "milliseconds since midnight,open,high,low,close,volume, without a header"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its shape: six numbers, the first below a day's milliseconds, and a date in the name.

        Raises
        ------
        InputError
            If no name has a date, or these are bars of quotes.
        """
        starts = [number(row[0]) for row in head.rows if row]
        inside = [start for start in starts if start is not None and 0 <= start < _DAY_MS]
        if head.typed or is_header(head.first) or len(head.first) not in (6, 11) or not inside:
            return None
        if 2 * len(inside) < len(starts):
            return None
        if len(head.first) == 11:
            raise InputError(
                f"{path}: line 1 has 11 columns, a bid and an ask bar: quotes hold no trades; expected 6, the bars of "
                "trades - take the file named _trade"
            )
        contracts = "_perp" in head.name and _COIN.search(head.name) is not None
        return Layout(
            _BARS,
            {role: at for at, role in enumerate(("ts", "open", "high", "low", "close", "volume"))},
            has_header=False,
            units="contracts" if contracts else "unknown",
            midnight_us=_midnight_us(head, path),
        )


def _midnight_us(head: Head, path: Path) -> int:
    for name in (head.name, path.name):
        if (found := _DATE.search(name)) is not None:
            year, month, day = (int(part) for part in found.groups())
            try:
                midnight = dt.datetime(year, month, day, tzinfo=dt.UTC)
            except ValueError:
                continue
            return int(midnight.timestamp()) * 1_000_000
    raise InputError(
        f"{path}: line 1 counts milliseconds since midnight, and neither {head.name!r} nor {path.name!r} says the day; "
        "expected a date such as 20221213 in the name"
    )
