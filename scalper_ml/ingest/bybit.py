"""Bybit's public trade dumps: linear and inverse contracts, and spot.

The contract dumps carry both notionals. A linear one counts base units; an inverse one counts dollars, and its base
quantity is in the column ``foreignNotional``. Ids of the contracts are UUIDs; those of spot count from 1 in every
file, so they identify nothing beyond it and are not read.

References
----------
https://public.bybit.com/trading, https://public.bybit.com/spot
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import is_header, number, places

__all__ = ["BybitTrades"]

_LINEAR: Final = "bybit-linear-trades"
_INVERSE: Final = "bybit-inverse-trades"
_SPOT: Final = "bybit-spot-trades"
_CONTRACTS: Final = {
    "ts": "timestamp", "symbol": "symbol", "side": "side", "size": "size", "price": "price",
    "id": "trdmatchid", "home": "homenotional", "foreign": "foreignnotional",
}  # fmt: skip
_SPOT_COLUMNS: Final = {"id": "id", "ts": "timestamp", "price": "price", "qty": "volume", "side": "side"}
_HEADER: Final = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional[,RPI]"
)


class BybitTrades:
    """The three layouts of Bybit's dumps; later columns, such as ``rpi``, may follow."""

    formats: Mapping[str, str] = {_LINEAR: _HEADER, _INVERSE: _HEADER, _SPOT: "id,timestamp,price,volume,side[,rpi]"}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its header; linear or inverse by what the notionals are.

        Raises
        ------
        InputError
            If the notionals are neither those of linear contracts nor of inverse ones.
        """
        if head.typed or not is_header(head.first):
            return None
        spot = places(head.first, _SPOT_COLUMNS)
        if spot is not None and list(spot.values()) == [0, 1, 2, 3, 4] and len(head.first) <= 6:
            del spot["id"]
            return Layout(_SPOT, spot, has_header=True, units="base")
        found = places(head.first, _CONTRACTS)
        if found is None or wanted == _SPOT:
            return None
        name = wanted or _market(head, found, path)
        columns = {role: at for role, at in found.items() if role not in ("size", "home", "foreign")}
        columns["qty"] = found["foreign"] if name == _INVERSE else found["size"]
        return Layout(name, columns, has_header=True, units="base")


def _market(head: Head, found: Mapping[str, int], path: Path) -> str:
    linear = inverse = 0
    for row in head.rows:
        values = (
            [number(row[found[role]]) for role in ("size", "price", "foreign")] if len(row) == len(head.first) else []
        )
        if values and all(value is not None and value > 0 for value in values):
            size, price, foreign = (float(value) for value in values if value is not None)
            linear += abs(foreign / (size * price) - 1) < 0.01
            inverse += abs(foreign * price / size - 1) < 0.01
    if head.rows and not linear and not inverse:
        raise InputError(
            f"{path}: line 2, column foreignNotional: found neither size times price (linear) nor size by price "
            f"(inverse) in {len(head.rows)} rows; expected one of them, or give format={_LINEAR!r} or {_INVERSE!r}"
        )
    return _INVERSE if inverse > linear else _LINEAR
