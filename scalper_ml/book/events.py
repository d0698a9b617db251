"""What a venue says in a capture, as typed events with event time and known time."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

__all__ = [
    "BookTicker",
    "Damage",
    "DamageKind",
    "DepthDiff",
    "Event",
    "Level",
    "Liquidation",
    "Measure",
    "Price",
    "Quantity",
    "Snapshot",
    "Trade",
    "micros",
]

Price = Annotated[float, Meta(gt=0, lt=1e300)]
Quantity = Annotated[float, Meta(ge=0, lt=1e300)]
Level = tuple[Price, Quantity]
"""Price and the quantity that rests there; quantity 0 removes the price."""

DamageKind = Literal["line", "trade", "quote", "depth", "measure"]

_EARLIEST: Final = 946_684_800_000_000  # 2000-01-01
_LATEST: Final = 4_102_444_800_000_000  # 2100-01-01


class _Event(Struct, frozen=True, gc=False):
    """Head of every event.

    Attributes
    ----------
    line : int
        Line of the capture, from 1.
    source : str
        Venue, market and kind: the format of tables made of it.
    symbol : str
        As the venue writes it; empty where it does not say (the only symbol of the capture).
    known_us : int
        When it was known to the recorder: never before `event_us`, never before an earlier line of its connection.
    event_us : int
        The venue's time of what happened; `known_us` where the venue gives none.
    """

    line: int
    source: str
    symbol: str
    known_us: int
    event_us: int


class Trade(_Event, frozen=True, gc=False):
    """A trade; `side` is the aggressor's, +1 buyer, -1 seller; `trade_id` is -1 where there is none."""

    price: float
    qty: float
    side: int
    trade_id: int = -1


class BookTicker(_Event, frozen=True, gc=False):
    """Top of book; `update_id` is -1 where there is none."""

    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    update_id: int = -1


class DepthDiff(_Event, frozen=True, gc=False):
    """Changed levels that carry a book at `prev_id` (or any id up to `last_id`) to `last_id`."""

    prev_id: int
    last_id: int
    bids: list[Level]
    asks: list[Level]


class Snapshot(_Event, frozen=True, gc=False):
    """All levels at `last_id`.

    Attributes
    ----------
    reset : bool
        Sent by the stream itself: a new chain starts here, whatever was before.
    whole : bool
        Every level of the venue, not only the best so many.
    """

    last_id: int
    bids: list[Level]
    asks: list[Level]
    reset: bool = False
    whole: bool = False


class Measure(_Event, frozen=True, gc=False):
    """One value beside the trades: ``funding_rate``, ``mark_price``, ``index_price``, ``open_interest``."""

    kind: str
    value: float


class Liquidation(_Event, frozen=True, gc=False):
    """A forced order; `side` is the order's: -1 sells a long position, +1 buys back a short one."""

    price: float
    qty: float
    side: int


class Damage(Struct, frozen=True, gc=False):
    """Something that cannot be read as what it claims to be; `symbol` is empty where it cannot be told."""

    line: int
    kind: DamageKind
    symbol: str
    reason: str
    raw: str


Event = Trade | BookTicker | DepthDiff | Snapshot | Measure | Liquidation | Damage


def micros(stamp: int) -> int:
    """One integer stamp in s, ms, us or ns as microseconds, by its magnitude.

    Raises
    ------
    ValueError
        If it is not of the years 2000 to 2099.

    Examples
    --------
    >>> micros(1_723_161_256_299), micros(1_723_161_255_030_314_667)
    (1723161256299000, 1723161255030314)
    """
    if stamp >= 10**17:
        us = stamp // 1000
    elif stamp >= 10**14:
        us = stamp
    else:
        us = stamp * (1000 if stamp >= 10**11 else 1_000_000)
    if not _EARLIEST <= us < _LATEST:
        raise ValueError(f"stamp: found {stamp}, expected one of the years 2000 to 2099 in s, ms, us or ns")
    return us
