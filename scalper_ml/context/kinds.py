"""Kinds of context: what a value is, its unit, and which values it can take."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["KINDS", "LIQUIDATIONS", "Allowed", "Kind", "kind_of"]

Allowed = Literal["any", "not negative", "positive"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of context.

    Attributes
    ----------
    name : str
        As in column `kind` of a context table.
    unit : str
    allowed : {"any", "not negative", "positive"}
        Which finite values are values of this kind; others go to quarantine.
    scheduled : bool
        Whether values come at regular times, so that one that does not come is missing.
    each : bool
        Whether every row is an event of its own (a liquidation): such rows are summed, never revised, and two of
        them at one time are two events. Otherwise a row is the level of something at its event time.
    """

    name: str
    unit: str
    allowed: Allowed = "any"
    scheduled: bool = True
    each: bool = False


_ALL: Final = (
    Kind("funding_rate", "fraction paid by longs to shorts at a settlement"),
    Kind("funding_interval_h", "hours between settlements", "positive"),
    Kind("mark_price", "quote per base", "positive"),
    Kind("index_price", "quote per base", "positive"),
    Kind("open_interest", "base", "not negative"),
    Kind("open_interest_value", "quote", "not negative"),
    Kind("long_short_ratio", "accounts that are long per account that is short", "not negative"),
    Kind("top_long_short_accounts", "the same among the largest accounts", "not negative"),
    Kind("top_long_short_positions", "long per short position of the largest accounts", "not negative"),
    Kind("taker_buy_volume", "quote, over the period that ends at the event time", "not negative"),
    Kind("taker_sell_volume", "quote, over the period that ends at the event time", "not negative"),
    Kind("taker_buy_sell_ratio", "bought per sold by takers, over the same period", "not negative"),
    Kind("liquidated_long", "quote, longs closed by a forced sale", "positive", scheduled=False, each=True),
    Kind("liquidated_short", "quote, shorts closed by a forced purchase", "positive", scheduled=False, each=True),
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _ALL})
"""The kinds that the platform's own sources give; a long table may bring others."""

LIQUIDATIONS: Final = ("liquidated_long", "liquidated_short")


def kind_of(name: str) -> Kind:
    """The kind of that name; one that is not listed is any finite level at any time.

    Examples
    --------
    >>> kind_of("open_interest").unit, kind_of("dvol").allowed
    ('base', 'any')
    """
    return KINDS.get(name, Kind(name, "not stated", scheduled=False))
