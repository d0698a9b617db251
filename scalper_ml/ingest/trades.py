"""Columns of trades to sorted, unique ticks, with every other row in quarantine or counted as a duplicate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Counts, Duplicates, TickFile
from scalper_ml.ingest.lines import Columns, Fault
from scalper_ml.ingest.values import decimals, flags, identifiers, sides, stamps_us
from scalper_ml.schema import QUARANTINE, TICKS, stamps

__all__ = ["Trades", "check_symbol", "quarantine_table", "tick_file", "ticks_table"]

_REASONS: Final = (
    "",
    "ts: not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601",
    "price: not a number",
    "price: not positive and finite",
    "qty: not a number",
    "qty: not positive and finite",
    "side: neither buy nor sell",
    "trade_id: not a whole number from 0 to 10^18",
)
_CONFLICT: Final = "trade_id: repeated with other values than its first row"


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades as columns of one length; `trade_id` is -1 where there is none."""

    ts_us: np.ndarray
    price: np.ndarray
    qty: np.ndarray
    side: np.ndarray
    trade_id: np.ndarray

    def take(self, rows: np.ndarray) -> "Trades":
        """Some of the trades, by position or mask."""
        return Trades(self.ts_us[rows], self.price[rows], self.qty[rows], self.side[rows], self.trade_id[rows])

    def __len__(self) -> int:
        return len(self.ts_us)


def tick_file(
    columns: Columns,
    texts: Callable[[np.ndarray], Sequence[str]],
    *,
    path: Path,
    symbol: str,
    source: str,
    sha256: str,
    duplicates: Duplicates,
) -> TickFile:
    """Ticks, quarantine and counts of one file.

    Parameters
    ----------
    columns : Columns
    texts : callable
        Gives the raw text of some rows, by position.
    path : Path
    symbol : str
    source : str
        The format: goes into the ticks' `source`.
    sha256 : str
    duplicates : {"keep", "drop"}
        Equal rows without an id.

    Raises
    ------
    InputError
        If the file has a symbol column that names another symbol.
    """
    if "symbol" in columns.values:
        check_symbol(columns, symbol, path)
    trades, reasons = _parsed(columns.values)
    rows = np.flatnonzero(reasons == 0)
    good = trades if len(rows) == len(trades) else trades.take(rows)
    duplicate, conflict = repeated(good, duplicates)
    bad = [(int(row), _REASONS[reasons[row]]) for row in np.flatnonzero(reasons)]
    bad += [(int(row), _CONFLICT) for row in rows[conflict]]
    bad.sort()
    raw = texts(np.array([row for row, _ in bad], dtype=np.int64)) if bad else []
    faults = [Fault(int(columns.lines[row]), reason, text) for (row, reason), text in zip(bad, raw, strict=True)]
    faults = sorted([*faults, *columns.faults], key=lambda fault: fault.line)
    twice = duplicate | conflict
    kept = in_order(good.take(~twice) if twice.any() else good)
    counts = Counts(len(reasons) + len(columns.faults), len(kept), int(duplicate.sum()), len(faults))
    return TickFile(ticks_table(kept, source), quarantine_table(path, faults), counts, source, sha256)


def check_symbol(columns: Columns, symbol: str, path: Path) -> None:
    """Refuse a file whose symbol column names another symbol, saying where."""
    coded = columns.values["symbol"].cast(pa.string()).dictionary_encode()
    names, expected = coded.dictionary.to_pylist(), plain_symbol(symbol)
    wrong = [i for i, name in enumerate(names) if name and plain_symbol(name) != expected]
    if wrong:
        at = int(np.flatnonzero(np.isin(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), wrong))[0])
        raise InputError(
            f"{path}: line {columns.lines[at]}, column symbol: found {columns.values['symbol'][at].as_py()!r}, "
            f"expected {symbol!r} - a file of one symbol, read under its own name"
        )


def plain_symbol(name: str) -> str:
    """A symbol without separators and settlement: ``BTC/USDT:USDT`` and ``btc-usdt`` are ``BTCUSDT``."""
    return "".join(letter for letter in name.split(":")[0].upper() if letter.isalnum())


def repeated(trades: Trades, duplicates: Duplicates) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the trades that repeat an earlier one, and of those that contradict one with the same id."""
    duplicate = np.zeros(len(trades), dtype=bool)
    conflict = np.zeros(len(trades), dtype=bool)
    named = np.flatnonzero(trades.trade_id >= 0)
    ids = trades.trade_id[named]
    if np.any(ids[1:] <= ids[:-1]):
        order = np.argsort(ids, kind="stable")
        fresh = np.concatenate(([True], np.diff(ids[order]) != 0))
        first = named[order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]]
        here = named[order]
        equal = _equal(trades, here, first)
        duplicate[here[~fresh & equal]] = True
        conflict[here[~fresh & ~equal]] = True
    if duplicates == "drop":
        bare = np.flatnonzero(trades.trade_id < 0)
        order = bare[np.lexsort((bare, trades.side[bare], trades.qty[bare], trades.price[bare], trades.ts_us[bare]))]
        duplicate[order[1:][_equal(trades, order[1:], order[:-1])]] = True
    return duplicate, conflict


def in_order(trades: Trades) -> Trades:
    """Trades by stamp, then id, then as they stood."""
    later = np.diff(trades.ts_us)
    if np.all((later > 0) | ((later == 0) & (np.diff(trades.trade_id) >= 0))):
        return trades
    return trades.take(np.lexsort((trades.trade_id, trades.ts_us)))


def ticks_table(trades: Trades, source: str) -> pa.Table:
    """Trades as a table of schema `TICKS`."""
    n = len(trades)
    sources = pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), pa.array([source])).cast(pa.string())
    ids = pa.array(trades.trade_id, mask=trades.trade_id < 0)
    columns = [stamps(trades.ts_us), trades.price, trades.qty, trades.side, ids, sources]
    return pa.table(dict(zip(TICKS.names, columns, strict=True)), schema=TICKS)


def quarantine_table(path: Path, faults: Sequence[Fault]) -> pa.Table:
    """Rejected rows as a table of schema `QUARANTINE`; a file is named without its folder."""
    rows = [{"file": path.name, "line": fault.line, "reason": fault.reason, "raw": fault.raw} for fault in faults]
    return pa.Table.from_pylist(rows, schema=QUARANTINE)


def _parsed(values: Mapping[str, pa.Array]) -> tuple[Trades, np.ndarray]:
    ts_us, stamped = stamps_us(values["ts"])
    price, price_read = decimals(values["price"])
    qty, qty_read = decimals(values["qty"])
    side = sides(values["side"]) if "side" in values else _maker_sides(values["maker"])
    trade_id, present, id_read = _ids(values, len(ts_us))
    with np.errstate(invalid="ignore"):
        price_good, qty_good = (price > 0) & np.isfinite(price), (qty > 0) & np.isfinite(qty)
    tests = (~stamped, ~price_read, ~price_good, ~qty_read, ~qty_good, side == 0, ~id_read)
    reasons = np.select(tests, np.arange(1, len(tests) + 1), 0).astype(np.int8)
    return Trades(ts_us, price, qty, side, np.where(present & id_read, trade_id, -1)), reasons


def _maker_sides(column: pa.Array) -> np.ndarray:
    maker = flags(column)
    return np.where(maker == 1, -1, np.where(maker == 0, 1, 0)).astype(np.int8)


def _ids(values: Mapping[str, pa.Array], n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    none = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    if "id" not in values:
        return none
    trade_id, present, readable = identifiers(values["id"])
    # ids that are all text (UUIDs of some venues) identify nothing in an integer column: the file has none
    return (trade_id, present, readable) if np.any(readable & present) or not present.any() else none


def _equal(trades: Trades, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    columns = (trades.ts_us, trades.price, trades.qty, trades.side)
    return np.asarray(np.logical_and.reduce([column[one] == column[other] for column in columns]))
