"""Columns as a source has them to columns as ticks and bars need them: sides from signs, base units from contracts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Contract, Layout
from scalper_ml.ingest.lines import Columns
from scalper_ml.ingest.values import decimals, flags, sides

__all__ = ["base_columns", "with_contract"]

_WORD_OF_SIDE: Final = pa.array(["sell", "", "buy"])
_DAY_MS: Final = 86_400_000
_VOLUMES: Final = ("volume", "buy_volume")


def with_contract(layout: Layout, contract: Contract | None, path: Path) -> Layout:
    """The layout with what a contract is worth, as far as its quantities count contracts.

    Raises
    ------
    InputError
        If quantities count contracts and nothing says their worth, or if they are base units already.
    """
    if contract is not None:
        if layout.units == "base":
            raise InputError(
                f"{path}: {layout.format} has quantities in base units, found contract={contract}; expected none"
            )
        if not (np.isfinite(contract.size) and contract.size > 0):
            raise InputError(f"{path}: contract size {contract.size}; expected a finite number above 0")
        if contract.inverse and "volume" in layout.columns:
            raise InputError(
                f"{path}: klines of inverse contracts do not say their volume in base units; expected trades, "
                "or klines with a base volume"
            )
        return replace(layout, contract=contract)
    if layout.units == "contracts" and layout.contract is None:
        raise InputError(
            f"{path}: {layout.format} has quantities in contracts; expected contract=Contract(size): base units a "
            "contract, or quote units with inverse=True - the venue's instrument page says which"
        )
    return layout


def base_columns(columns: Columns, layout: Layout) -> Columns:
    """Columns with the roles that ticks and bars have, quantities in base units; the same object if nothing is to do.

    A value that cannot be read stays unreadable, so that its row goes to quarantine for its own reason.

    Examples
    --------
    >>> columns = Columns({"signed_qty": pa.array(["1.5", "-2"])}, np.array([1, 2]), ())
    >>> found = base_columns(columns, Layout("x", {"signed_qty": 0}, False)).values
    >>> found["qty"].to_pylist(), found["side"].to_pylist()
    (['1.5', '2'], ['buy', 'sell'])
    """
    if layout.plain:
        return columns
    values = dict(columns.values)
    if layout.words:
        role = "side" if "side" in values else "maker_side"
        values[role] = _sides_of(values[role], lambda column: _spoken(column, layout))
    if "signed_qty" in values:
        values["qty"], values["side"] = _unsigned(values.pop("signed_qty"))
    if "maker_side" in values:
        values["side"] = _sides_of(values.pop("maker_side"), lambda column: -sides(column))
    if "taker" in values:
        values["side"] = _sides_of(values.pop("taker"), _of_taker_flag)
    if layout.midnight_us is not None:
        values["ts"] = _since_midnight(values["ts"], layout.midnight_us)
    if layout.contract is not None:
        for role in ("qty", *_VOLUMES):
            if role in values:
                values[role] = _base(values[role], values.get("price"), layout.contract)
    return Columns(values, columns.lines, columns.faults)


def _sides_of(column: pa.Array, signs: Callable[[pa.Array], np.ndarray]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(signs(column).astype(np.int8) + 1), _WORD_OF_SIDE).cast(pa.string())


def _spoken(column: pa.Array, layout: Layout) -> np.ndarray:
    text = pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))
    found = np.zeros(len(column), dtype=np.int64)
    for word, sign in layout.words.items():
        found = np.where(pc.equal(text, word).to_numpy(zero_copy_only=False), sign, found)
    return found


def _of_taker_flag(column: pa.Array) -> np.ndarray:
    flag = flags(column)
    return np.where(flag == 1, 1, np.where(flag == 0, -1, 0))


def _unsigned(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        value, readable = decimals(column)
        word = pa.array(np.where(value < 0, "sell", "buy"))
        return pa.array(np.abs(value), mask=~readable, from_pandas=False), word
    text = pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))
    sold = pc.starts_with(text, "-")
    return pc.replace_substring_regex(text, "^-", ""), pc.if_else(sold, "sell", "buy")


def _since_midnight(column: pa.Array, midnight_us: int) -> pa.Array:
    value, readable = decimals(column)
    with np.errstate(invalid="ignore"):
        good = readable & (value >= 0) & (value < _DAY_MS)
    stamp = midnight_us + np.rint(np.where(good, value, 0.0) * 1000).astype(np.int64)
    return pa.array(stamp, mask=~good)


def _base(column: pa.Array, price: pa.Array | None, contract: Contract) -> pa.Array:
    qty, readable = decimals(column)
    if contract.inverse and price is not None:
        each, _ = decimals(price)
        with np.errstate(divide="ignore", invalid="ignore"):
            return pa.array(qty * contract.size / each, mask=~readable, from_pandas=False)
    return pa.array(qty * contract.size, mask=~readable, from_pandas=False)
