"""Klines to bars: Binance's twelve columns with or without a header, and plain OHLCV."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scalper_ml.bars.interval import origin_us
from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Counts, Head, KlineFile, Layout
from scalper_ml.ingest.headers import KLINE_SPELLINGS, is_header, roles
from scalper_ml.ingest.lines import Columns, Fault
from scalper_ml.ingest.trades import quarantine_table
from scalper_ml.ingest.values import decimals, stamps_us
from scalper_ml.schema import BARS, stamps

__all__ = ["Klines", "kline_file"]

_NEEDED: Final = ("ts", "open", "high", "low", "close", "volume")
_TWELVE: Final = {
    "ts": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5,
    "close_time": 6, "quote_volume": 7, "count": 8, "buy_volume": 9,
}  # fmt: skip
_REASONS: Final = (
    "",
    "open_time: not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601",
    "prices: not numbers",
    "prices: not positive and finite",
    "high below low, open or close, or low above open or close",
    "volume: not a finite number, at least 0",
    "open_time: not on the grid of the interval",
    "no trades in the interval (volume 0): a bar needs a trade",
    "quote_volume, count or taker_buy_volume: not a number, or more bought than traded",
)
_CONFLICT: Final = "open_time: repeated with other values than its first row"


class Klines:
    """Klines by header name, or without a header by Binance's order."""

    formats: Mapping[str, str] = {
        "klines-12": "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore",
        "klines": "open_time,open,high,low,close,volume",
    }

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The columns by their names; without a header, twelve as Binance orders them, or six as OHLCV.

        Raises
        ------
        InputError
            If a needed column is missing, or the shape is unknown.
        """
        if not head.typed and not is_header(head.first):
            if len(head.first) not in (6, 12):
                raise InputError(
                    f"{path}: line 1 is no header and has {len(head.first)} columns; expected a header, "
                    "Binance's 12 kline columns, or 6: open time, open, high, low, close, volume"
                )
            columns = {role: at for role, at in _TWELVE.items() if at < len(head.first)}
            return Layout(self._name(columns), columns, has_header=False)
        found = roles(head.first, KLINE_SPELLINGS)
        missing = [role for role in _NEEDED if role not in found]
        if missing:
            known = "; ".join(f"{role} as one of {list(KLINE_SPELLINGS[role])}" for role in missing)
            raise InputError(f"{path}: line 1 has no column for {missing}; found {list(head.first)}, expected {known}")
        return Layout(self._name(found), found, has_header=True)

    def _name(self, columns: Mapping[str, int]) -> str:
        return "klines-12" if {"quote_volume", "count", "buy_volume"} <= set(columns) else "klines"


def kline_file(
    columns: Columns,
    texts: Callable[[np.ndarray], Sequence[str]],
    *,
    path: Path,
    source: str,
    sha256: str,
    interval_us: int | None,
) -> KlineFile:
    """Bars, quarantine and counts of one kline file.

    Raises
    ------
    InputError
        If the interval cannot be told, or is another than `interval_us`.
    """
    ts_us, stamped = stamps_us(columns.values["ts"])
    interval = _interval(columns.values, ts_us, stamped, interval_us, path)
    values, reasons = _checked(columns.values, ts_us, stamped, interval)
    rows = np.flatnonzero(reasons == 0)
    order = rows[np.argsort(ts_us[rows], kind="stable")]
    again = np.concatenate(([False], np.diff(ts_us[order]) == 0)) if order.size else np.zeros(0, dtype=bool)
    first = order[np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))] if order.size else order
    equal = np.logical_and.reduce([_same(column[order], column[first]) for column in values.values()])
    duplicate, conflict = again & equal, order[again & ~equal]
    bad = [(int(row), _REASONS[reasons[row]]) for row in np.flatnonzero(reasons)]
    bad = sorted([*bad, *((int(row), _CONFLICT) for row in conflict)])
    raw = texts(np.array([row for row, _ in bad], dtype=np.int64)) if bad else []
    faults = [Fault(int(columns.lines[row]), reason, text) for (row, reason), text in zip(bad, raw, strict=True)]
    faults = sorted([*faults, *columns.faults], key=lambda fault: fault.line)
    kept = order[~again]
    counts = Counts(len(reasons) + len(columns.faults), len(kept), int(duplicate.sum()), len(faults))
    bars = _bars(ts_us[kept], {name: column[kept] for name, column in values.items()}, interval)
    return KlineFile(bars, quarantine_table(path, faults), counts, source, sha256, interval)


def _interval(
    values: Mapping[str, pa.Array], ts_us: np.ndarray, stamped: np.ndarray, wanted: int | None, path: Path
) -> int:
    starts = np.unique(ts_us[stamped])
    found = 0
    if "close_time" in values and starts.size:
        close_us, closed = stamps_us(values["close_time"])
        spans = close_us[stamped & closed] - ts_us[stamped & closed]
        found = _most_common(np.rint(spans / 1e6).astype(np.int64)) * 1_000_000  # a close is 1 ms or 1 us short
    if found <= 0 and starts.size > 1:
        found = _most_common(np.diff(starts))
    if wanted is None:
        if found <= 0:
            raise InputError(
                f"{path}: {starts.size} readable stamps do not tell the interval; expected two, or give interval_us"
            )
        return found
    coarser = found > wanted and starts.size > 9 and not np.any(starts % found)
    if 0 < found < wanted or coarser:
        raise InputError(
            f"{path}: klines of {found} us, expected {wanted} us - read them as they are, "
            "and resample the bars to a longer interval"
        )
    return wanted


def _checked(
    values: Mapping[str, pa.Array], ts_us: np.ndarray, stamped: np.ndarray, interval: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every column as float64, and the code of each row's first fault."""
    out: dict[str, np.ndarray] = {}
    readable: dict[str, np.ndarray] = {}
    for role in ("open", "high", "low", "close", "volume", "quote_volume", "count", "buy_volume"):
        if role in values:
            out[role], readable[role] = decimals(values[role])
    prices = [out[role] for role in ("open", "high", "low", "close")]
    open_, high, low, close = prices
    with np.errstate(invalid="ignore"):
        unread = ~np.logical_and.reduce([readable[role] for role in ("open", "high", "low", "close")])
        wild = ~np.logical_and.reduce([(price > 0) & np.isfinite(price) for price in prices])
        torn = (high < np.maximum(np.maximum(open_, close), low)) | (low > np.minimum(open_, close))
        volume = out["volume"]
        odd_volume = ~readable["volume"] | ~((volume >= 0) & np.isfinite(volume))
        extra = np.zeros(len(ts_us), dtype=bool)
        for role in ("quote_volume", "count", "buy_volume"):
            if role in out:
                extra |= ~readable[role] | ~((out[role] >= 0) & np.isfinite(out[role]))
        if "buy_volume" in out:
            extra |= out["buy_volume"] > volume * (1 + 1e-12)
    off_grid = (ts_us - origin_us(interval)) % interval != 0
    tests = (~stamped, unread, wild, torn, odd_volume, off_grid, volume == 0, extra)
    return out, np.select(tests, np.arange(1, len(tests) + 1), 0).astype(np.int8)


def _bars(ts_us: np.ndarray, values: Mapping[str, np.ndarray], interval: int) -> pa.Table:
    quote, count, bought = (values.get(role) for role in ("quote_volume", "count", "buy_volume"))
    n = len(ts_us)
    columns: dict[str, Any] = {
        "open_ts_us": stamps(ts_us),
        "ts_us": stamps(ts_us + interval),
        **{role: values[role] for role in ("open", "high", "low", "close", "volume")},
        "quote_volume": quote,
        "trades": None if count is None else count.astype(np.int64),
        "buy_volume": bought,
        "sell_volume": None if bought is None else np.maximum(values["volume"] - bought, 0.0),
        "vwap": None if quote is None else quote / values["volume"],
        "gap": (np.diff(ts_us, prepend=ts_us[:1] - interval) // interval - 1).astype(np.int32),
        "revision": np.zeros(n, dtype=np.int32),
    }
    filled = {name: column for name, column in columns.items() if column is not None}
    return pa.table({field.name: filled.get(field.name, pa.nulls(n, field.type)) for field in BARS}, schema=BARS)


def _most_common(values: np.ndarray) -> int:
    found, times = np.unique(values, return_counts=True)
    return int(found[np.argmax(times)]) if found.size else 0


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))
