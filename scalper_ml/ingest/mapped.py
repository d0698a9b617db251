"""Files whose columns the user names."""

from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import ColumnMapping, Head, Layout
from scalper_ml.ingest.headers import is_header

__all__ = ["KLINE_ROLES", "TICK_ROLES", "mapped_layout"]

_SIDES: Final = ("side", "maker_side", "maker", "taker")
TICK_ROLES: Final = ("ts", "price", "qty", "signed_qty", *_SIDES, "id", "symbol")
KLINE_ROLES: Final = (
    "ts", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "buy_volume", "symbol",
)  # fmt: skip


def mapped_layout(head: Head, mapping: ColumnMapping, path: Path, *, klines: bool = False) -> Layout:
    """The layout that a mapping says.

    Raises
    ------
    InputError
        If the mapping lacks a role, has an unknown one, or names a column that the file does not have.
    """
    _check_roles(mapping, path, KLINE_ROLES if klines else TICK_ROLES, klines)
    by_name = [at for at in mapping.columns.values() if isinstance(at, str)]
    has_header = head.typed or bool(by_name) or is_header(head.first)
    names = list(head.first)
    missing = [name for name in by_name if name not in names]
    if missing:
        raise InputError(f"{path}: line 1 has no column {missing}; found {names}, expected the names of the mapping")
    beyond = [at for at in mapping.columns.values() if isinstance(at, int) and not 0 <= at < len(names)]
    if beyond:
        raise InputError(
            f"{path}: line 1 has {len(names)} columns; found positions {beyond} in the mapping, "
            f"expected 0 to {len(names) - 1}"
        )
    places = {role: names.index(at) if isinstance(at, str) else at for role, at in mapping.columns.items()}
    words = {word: 1 if side == "buy" else -1 for word, side in mapping.words.items()}
    return Layout(mapping.name, places, has_header, words=words)


def _check_roles(mapping: ColumnMapping, path: Path, known: tuple[str, ...], klines: bool) -> None:
    given = set(mapping.columns)
    unknown = sorted(given - set(known))
    if unknown:
        raise InputError(f"{path}: mapping has roles {unknown}; expected some of {list(known)}")
    needed = ("ts", "open", "high", "low", "close", "volume") if klines else ("ts", "price")
    missing = [role for role in needed if role not in given]
    if not klines:
        missing += [] if len(given & {"qty", "signed_qty"}) == 1 else ["qty or signed_qty"]
        sides = given & {"signed_qty", *_SIDES}
        missing += [] if len(sides) == 1 else [f"one of signed_qty, {', '.join(_SIDES)}"]
    if missing:
        raise InputError(f"{path}: mapping has {sorted(given)}; expected exactly one column each for {missing}")
    twice = sorted({str(at) for at in mapping.columns.values() if list(mapping.columns.values()).count(at) > 1})
    if twice:
        raise InputError(f"{path}: mapping gives columns {twice} two roles; expected one each")
    if mapping.words and not given & {"side", "maker_side"}:
        raise InputError(
            f"{path}: mapping has words {dict(mapping.words)}; expected a side or maker_side column for them"
        )
