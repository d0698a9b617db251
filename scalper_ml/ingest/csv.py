"""Trades with a header, in the spellings that exchanges, data vendors and notebooks use."""

from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import TRADE_SPELLINGS, is_header, roles

__all__ = ["HeaderTrades"]

_NEEDED: Final = ("ts", "price", "qty")
_FREQTRADE: Final = ("timestamp", "id", "type", "side", "price", "amount", "cost")


class HeaderTrades:
    """Any table of trades that names a stamp, a price, a quantity and who was the aggressor."""

    formats: tuple[str, ...] = ("csv", "ccxt-trades", "freqtrade-trades")

    def layout(self, head: Head, path: Path) -> Layout | None:
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
    if head.typed and tuple(head.first) == _FREQTRADE:
        return "freqtrade-trades"
    return "ccxt-trades" if head.typed and {"timestamp", "amount", "takerOrMaker"} <= set(head.first) else "csv"
