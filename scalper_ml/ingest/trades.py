"""Columns of trades to sorted, unique ticks, with every other row in quarantine or counted as a duplicate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.errors import InputError
from scalper_ml.ingest.lines import Columns, Fault
from scalper_ml.ingest.order import Trades
from scalper_ml.ingest.values import ABSURD, DUST, decimals, flags, identifiers, sides, stamps_us
from scalper_ml.schema import QUARANTINE, TICKS, stamps

__all__ = [
    "CONFLICT",
    "REASONS",
    "check_symbol",
    "parse_trades",
    "plain_symbol",
    "quarantine_table",
    "ticks_table",
    "trade_text",
]

REASONS: Final = (
    "",
    "ts: not a stamp of the years 2000 to 2099 in s, ms, us, ns or ISO 8601",
    "price: not a number",
    "price: not positive and finite",
    "price: not a number from 10^-18 to below 10^15",
    "qty: not a number",
    "qty: not positive and finite",
    "qty: not a number below 10^15",
    "side: neither buy nor sell",
    "trade_id: not a whole number from 0 to below 2^63",
)
CONFLICT: Final = "trade_id: repeated with other values than the row that is kept, the first by stamp"


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


def ticks_table(trades: Trades, source: str) -> pa.Table:
    """Trades as a table of schema `TICKS`."""
    n = len(trades)
    sources = pa.repeat(pa.scalar(source), n)
    ids = pa.array(trades.trade_id, mask=trades.trade_id < 0)
    columns = [stamps(trades.ts_us), trades.price, trades.qty, trades.side, ids, sources]
    return pa.table(dict(zip(TICKS.names, columns, strict=True)), schema=TICKS)


def quarantine_table(path: Path, faults: Sequence[Fault]) -> pa.Table:
    """Rejected rows as a table of schema `QUARANTINE`; a file is named without its folder."""
    rows = [{"file": path.name, "line": fault.line, "reason": fault.reason, "raw": fault.raw} for fault in faults]
    return pa.Table.from_pylist(rows, schema=QUARANTINE)


def parse_trades(values: Mapping[str, pa.Array], *, named: bool = False) -> tuple[Trades, np.ndarray]:
    """Columns by role as trades, and the place in `REASONS` of what is wrong with each row, 0 where nothing is.

    Parameters
    ----------
    values : mapping of role to array
    named : bool
        Whether ids are known to be numbers; otherwise a column of nothing but text names no trade (see `_ids`).
    """
    ts_us, stamped = stamps_us(values["ts"])
    price, price_read = decimals(values["price"])
    qty, qty_read = decimals(values["qty"])
    side = sides(values["side"]) if "side" in values else _maker_sides(values["maker"])
    trade_id, present, id_read = _ids(values, len(ts_us), named)
    with np.errstate(invalid="ignore"):
        price_good, qty_good = (price > 0) & np.isfinite(price), (qty > 0) & np.isfinite(qty)
        price_wild, qty_wild = (price < DUST) | (price >= ABSURD), qty >= ABSURD
    tests = (~stamped, ~price_read, ~price_good, price_wild, ~qty_read, ~qty_good, qty_wild, side == 0, ~id_read)
    reasons = np.select(tests, np.arange(1, len(tests) + 1), 0).astype(np.int8)
    return Trades(ts_us, price, qty, side, np.where(present & id_read, trade_id, -1)), reasons


def _maker_sides(column: pa.Array) -> np.ndarray:
    maker = flags(column)
    return np.where(maker == 1, -1, np.where(maker == 0, 1, 0)).astype(np.int8)


def _ids(values: Mapping[str, pa.Array], n: int, named: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    none = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    if "id" not in values:
        return none
    trade_id, present, readable = identifiers(values["id"])
    # ids that are all text (UUIDs of some venues) identify nothing in an integer column: the file has none
    return (trade_id, present, readable) if named or np.any(readable & present) or not present.any() else none


def trade_text(trades: Trades, row: int) -> str:
    """One trade as text: stamp, price, quantity, side and id."""
    columns = (trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id)
    return ",".join(str(column[row]) for column in columns)
