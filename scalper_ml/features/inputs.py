"""From tables of bars and of what was known beside them to the input matrix, and what a source can feed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from scalper_ml.bars.table import ClosedBars
from scalper_ml.errors import ContractError
from scalper_ml.features.feeds import BOOK_COLUMNS, DERIVATIVE_COLUMNS, QUOTE_COLUMNS
from scalper_ml.features.series import BAR_COLUMNS, INPUT_COLUMNS, MARKET_COLUMNS
from scalper_ml.schema import InputGroup, us

__all__ = ["available_groups", "fed_groups", "inputs_from_bars", "known_shares"]

_TRADE_COLUMNS = ("trades", "buy_volume", "sell_volume")
_FEEDS: tuple[tuple[InputGroup, tuple[str, ...]], ...] = (
    ("quotes", QUOTE_COLUMNS),
    ("book", BOOK_COLUMNS),
    ("derivatives", DERIVATIVE_COLUMNS),
)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64()).to_numpy()  # NaN where null
    return values


def inputs_from_bars(
    bars: pa.Table | ClosedBars,
    market: pa.Table | None = None,
    context: pa.Table | None = None,
    book: pa.Table | None = None,
    *,
    columns: Sequence[str] = INPUT_COLUMNS,
) -> np.ndarray:
    """The input matrix of a table of bars, float64 (n, len(columns)), NaN where null.

    Parameters
    ----------
    bars : pyarrow.Table or ClosedBars
        Schema BARS.
    market : pyarrow.Table, optional
        Schema MARKET, rows of this symbol.
    context : pyarrow.Table, optional
        Schema CONTEXT_BARS; further columns are not read.
    book : pyarrow.Table, optional
        Schema BOOK_BARS with depths; bands that are not inputs are not read.
    columns : sequence of str
        `INPUT_COLUMNS`, or those of them a set reads: `scalper_ml.features.engine.columns_read`.

    Raises
    ------
    ContractError
        A table has two rows for one close.

    Notes
    -----
    Each table is joined on the close, at which its rows were known; a bar without a row gets NaN, never a neighbour's.
    """
    if isinstance(bars, ClosedBars):
        ts, own = bars.column("ts_us"), [bars.column(name) for name in BAR_COLUMNS]
    else:
        ts, own = us(bars.column("ts_us")), [_floats(bars.column(name)) for name in BAR_COLUMNS]
    X = np.full((len(ts), len(columns)), np.nan)
    for j, column in enumerate(own):
        X[:, j] = column
    _join(X, ts, market, MARKET_COLUMNS, "market")
    _join(X, ts, context, DERIVATIVE_COLUMNS, "context")
    _join(X, ts, book, (*QUOTE_COLUMNS, *BOOK_COLUMNS), "book")
    return X


def _join(X: np.ndarray, ts: np.ndarray, table: pa.Table | None, names: Sequence[str], what: str) -> None:
    if table is None or table.num_rows == 0:
        return
    known = us(table.column("ts_us"))
    order = np.argsort(known, kind="stable")
    known = known[order]
    if (np.diff(known) == 0).any():
        twice = int(known[1:][np.diff(known) == 0][0])
        raise ContractError(f"{what}: two rows for the close {twice} us; expected one - pass the rows of one symbol")
    at = np.minimum(np.searchsorted(known, ts), len(known) - 1)
    found = known[at] == ts
    for name in names:
        if name in table.column_names and (j := INPUT_COLUMNS.index(name)) < X.shape[1]:
            X[found, j] = _floats(table.column(name))[order][at[found]]


def known_shares(table: pa.Table) -> dict[str, float]:
    """Share of the rows of a table of context or of the book at which each of its columns is known.

    Examples
    --------
    >>> known_shares(pa.table({"ts_us": [1, 2], "funding_rate": [0.1, float("nan")], "mid": [None, 1.0]}))
    {'funding_rate': 0.5, 'mid': 0.5}
    """
    rows = max(table.num_rows, 1)
    names = [name for name in table.column_names if name != "ts_us"]
    return {name: float(np.isfinite(_floats(table.column(name))).sum()) / rows for name in names}


def fed_groups(shares: Mapping[str, float], least: float) -> tuple[tuple[InputGroup, ...], tuple[str, ...]]:
    """Groups of feeds that columns known at such shares of the closes can feed, and what of these groups is absent.

    Parameters
    ----------
    shares : mapping
        By column, from `known_shares`; a column that is not named is not there.
    least : float
        Smallest share at which a column is there. A column known at fewer closes would leave most rows without a
        value, and a row counts only if all its features are known.

    Examples
    --------
    >>> fed_groups({"bid_depth_5bps": 0.9, "ask_depth_5bps": 0.9, "open_interest": 0.1}, 0.5)
    (('book',), ('bid_depth_10bps', 'ask_depth_10bps', 'bid_depth_25bps', 'ask_depth_25bps'))
    """
    groups: list[InputGroup] = []
    absent: list[str] = []
    for group, names in _FEEDS:
        there = [name for name in names if shares.get(name, 0.0) > 0.0 and shares[name] >= least]
        if there and (group != "quotes" or "quote_age_us" in there):  # the number of quotes is always known
            groups.append(group)
            absent += [name for name in names if name not in there]
    return tuple(groups), tuple(absent)


def available_groups(
    bars: pa.Table,
    market: pa.Table | None = None,
    context: pa.Table | None = None,
    book: pa.Table | None = None,
    *,
    least: float = 0.5,
) -> tuple[tuple[InputGroup, ...], tuple[str, ...]]:
    """What a source can feed: its input groups, and the columns absent although their group is there.

    Parameters
    ----------
    bars, market, context, book : pyarrow.Table
        As for `inputs_from_bars`.
    least : float
        Share of the closes at which a column of `context` or `book` must be known to be there.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from scalper_ml.schema import BARS
    >>> available_groups(BARS.empty_table())
    (('klines', 'calendar'), ())
    """
    groups: list[InputGroup] = ["klines"]

    def empty(name: str) -> bool:
        return bool(bars.column(name).null_count == bars.num_rows)

    absent = tuple(name for name in ("quote_volume", "buy_trades", "vwap") if empty(name) and bars.num_rows)
    if not any(empty(name) for name in _TRADE_COLUMNS):
        groups.append("trades")
    if market is not None and market.num_rows:
        groups.append("market")
    shares = [known_shares(table) for table in (context, book) if table is not None]
    fed, lacking = fed_groups(dict(item for one in shares for item in one.items()), least)
    return (*groups, "calendar", *fed), (*absent, *lacking)
