"""When each symbol was listed: the universe as of a moment, so that what died later is not left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import pyarrow as pa

from scalper_ml.errors import SettingsError
from scalper_ml.quality.facts import DayFacts

__all__ = ["INSTRUMENTS", "Instrument", "instruments", "instruments_table", "universe_at"]

INSTRUMENTS: Final = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("listed", pa.date32()),  # first day of trading; null where unknown
        pa.field("delisted", pa.date32()),  # last day of trading; null where it still trades, or unknown
        pa.field("listed_by", pa.string(), nullable=False),  # "settings", "observed" or "unknown"
        pa.field("delisted_by", pa.string(), nullable=False),
    ]
)

Origin = Literal["settings", "observed", "unknown"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol and its first and last day of trading, both included; None where there is none or it is not known.

    Examples
    --------
    >>> coin = Instrument("LUNAUSDT", listed=date(2020, 8, 21), delisted=date(2022, 5, 13))
    >>> coin.on(date(2022, 5, 13)), coin.on(date(2022, 5, 14))
    (True, False)
    """

    symbol: str
    listed: date | None = None
    delisted: date | None = None
    listed_by: Origin = "unknown"
    delisted_by: Origin = "unknown"

    def on(self, day: date) -> bool:
        """Whether the symbol could trade on a day."""
        return (self.listed is None or day >= self.listed) and (self.delisted is None or day <= self.delisted)


def instruments(
    facts_by_symbol: Mapping[str, Mapping[str, DayFacts]],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    silent_days: int = 7,
) -> dict[str, Instrument]:
    """Listing dates of every symbol: as given in the settings, else as seen in the data.

    Seen means: listed on the first day with trades; delisted on the last one if the data of the other symbols go on
    for more than `silent_days` days.

    Parameters
    ----------
    facts_by_symbol : mapping
        Symbol to day to facts.
    settings : mapping, optional
        ``{symbol: {"listed": date, "delisted": date}}``, each optional, as dates or ``YYYY-MM-DD``.

    Raises
    ------
    SettingsError
        Names the symbol and the key: unknown, no date, or delisted before it was listed.

    Examples
    --------
    >>> found = instruments({}, {"LUNAUSDT": {"delisted": "2022-05-13"}})
    >>> found["LUNAUSDT"].delisted, found["LUNAUSDT"].listed
    (datetime.date(2022, 5, 13), None)
    """
    given = {symbol: _given(symbol, dates) for symbol, dates in (settings or {}).items()}
    seen = {s: sorted(map(date.fromisoformat, facts)) for s, facts in facts_by_symbol.items() if facts}
    latest = max((days[-1] for days in seen.values()), default=date.min)
    out = {}
    for symbol in sorted({*facts_by_symbol, *given}):
        known, days = given.get(symbol, {}), seen.get(symbol, [])
        ended = bool(days) and latest - days[-1] > timedelta(days=silent_days)
        listed, listed_by = _chosen(known, "listed", days[0] if days else None)
        delisted, delisted_by = _chosen(known, "delisted", days[-1] if ended else None)
        out[symbol] = Instrument(symbol, listed, delisted, listed_by, delisted_by)
    return out


def universe_at(known: Mapping[str, Instrument], t_us: int) -> tuple[str, ...]:
    """Symbols listed at a moment, sorted: those that died later are in it, those not yet born are not.

    A symbol without a known listing date counts as listed. On its last day it still does.

    Notes
    -----
    Whether a symbol is listed at `t_us` was known at `t_us`: no look-ahead.

    Examples
    --------
    >>> coins = {"A": Instrument("A"), "B": Instrument("B", listed=date(2024, 1, 2))}
    >>> universe_at(coins, 1_704_067_200_000_000), universe_at(coins, 1_704_153_600_000_000)
    (('A',), ('A', 'B'))
    """
    day = datetime.fromtimestamp(t_us // 1_000_000, UTC).date()
    return tuple(sorted(symbol for symbol, one in known.items() if one.on(day)))


def instruments_table(known: Mapping[str, Instrument]) -> pa.Table:
    """Instruments as a table of schema `INSTRUMENTS`, by symbol."""
    rows = [{name: getattr(known[symbol], name) for name in INSTRUMENTS.names} for symbol in sorted(known)]
    return pa.Table.from_pylist(rows, schema=INSTRUMENTS)


def _chosen(given: Mapping[str, date], key: str, seen: date | None) -> tuple[date | None, Origin]:
    if key in given:
        return given[key], "settings"
    return (seen, "observed") if seen else (None, "unknown")


def _given(symbol: str, dates: Mapping[str, Any]) -> dict[str, date]:
    out: dict[str, date] = {}
    allowed: Sequence[str] = ("listed", "delisted")
    for key, value in dates.items():
        if key not in allowed:
            raise SettingsError(f"instruments.{symbol}: unknown key {key!r}; allowed here: {list(allowed)}")
        if value is not None:
            out[key] = _date(value, f"instruments.{symbol}.{key}")
    if len(out) == 2 and out["delisted"] < out["listed"]:
        raise SettingsError(
            f"instruments.{symbol}: delisted {out['delisted']} is before listed {out['listed']}; expected after"
        )
    return out


def _date(value: Any, name: str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{name}: found {value!r}; expected a date such as 2024-01-31") from None
