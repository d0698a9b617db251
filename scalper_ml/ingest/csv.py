"""Trades with a header, in the spellings that exchanges, data vendors and notebooks use."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import TRADE_SPELLINGS, is_header, roles

__all__ = ["HeaderTrades"]

_NEEDED: Final = ("ts", "price", "qty")
_COLUMNS: Final = "named ts, price, qty and side, or as those are commonly spelled"


class HeaderTrades:
    """Any table of trades that names a stamp, a price, a quantity and who was the aggressor."""

    formats: Mapping[str, str] = {"csv": _COLUMNS, "ccxt-trades": "timestamp,symbol,id,takerOrMaker,side,price,amount"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The columns by their names.

        Raises
        ------
        InputError
            If there is no header, or it lacks a needed column: names both sides.
        """
        if not head.typed and not is_header(head.first):
            raise InputError(
                f"{path}: line 1 {','.join(head.first)!r} is no header, and without one {len(head.first)} such columns "
                "are no known layout; expected a header naming ts, price, qty and side"
            )
        found = roles(head.first, TRADE_SPELLINGS)
        missing = [role for role in _NEEDED if role not in found]
        if "side" not in found and "maker" not in found:
            missing.append("side")
        if missing:
            known = "; ".join(f"{role} as one of {list(TRADE_SPELLINGS[role])}" for role in missing)
            raise InputError(
                f"{path}: line 1 has no column for {missing}; found {list(head.first)}, expected {known}"
                + (" or is_buyer_maker" if "side" in missing else "")
            )
        return Layout(_format(head), found, has_header=True)


def _format(head: Head) -> str:
    return "ccxt-trades" if head.typed and {"timestamp", "amount", "takerOrMaker"} <= set(head.first) else "csv"
