"""Facts of a day of ticks: a small, JSON-able record from which every rule, the gap table and coverage are derived."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from scalper_ml.errors import ContractError

__all__ = ["DAY_US", "DayFacts", "FlowSums", "Gap", "GapKind", "Print"]

DAY_US = 86_400_000_000

GapKind = Literal["missing", "silence", "unknown"]
"""``missing``: the ids jump. ``silence``: the ids go on, the venue printed nothing. ``unknown``: there are no ids."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without trades, or one that trades are missing from.

    Attributes
    ----------
    from_ts_us, to_ts_us : int
        The last trade before and the first trade after.
    kind : {"missing", "silence", "unknown"}
    last_id, first_id : int or None
        Ids of those two trades.
    missing : int or None
        Trades that the ids between say are missing; 0 in a silence, None without ids.
    holes : int
        Id jumps in it: more than one where a day has so many that neighbours are reported together.
    """

    from_ts_us: int
    to_ts_us: int
    kind: GapKind
    last_id: int | None = None
    first_id: int | None = None
    missing: int | None = None
    holes: int = 1

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.to_ts_us - self.from_ts_us) / 1e6


@dataclass(frozen=True, slots=True)
class Print:
    """A trade worth looking at: its stamp, its value (price or quantity) and the level it was held against."""

    ts_us: int
    value: float
    level: float


@dataclass(frozen=True, slots=True)
class FlowSums:
    """Sums over the seconds of a day from which the correlation of signed flow and return follows; they add up.

    `x` is the signed volume of a second over its volume, from -1 to 1; `y` its log return in units of the day's
    median absolute one, held within 5 of either sign.

    Examples
    --------
    >>> FlowSums(n=4, x=0.0, y=0.0, xx=4.0, yy=4.0, xy=2.0).correlation
    0.5
    >>> FlowSums(n=1, x=1.0, y=1.0, xx=1.0, yy=1.0, xy=1.0).correlation is None
    True
    """

    n: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def __add__(self, other: "FlowSums") -> "FlowSums":
        return FlowSums(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation, None where one of the two does not vary."""
        if self.n < 3:
            return None
        cov, xx, yy = (
            total / self.n - a * b / self.n**2
            for total, a, b in ((self.xy, self.x, self.y), (self.xx, self.x, self.x), (self.yy, self.y, self.y))
        )
        return cov / math.sqrt(xx * yy) if xx > 1e-12 and yy > 1e-12 else None

    @property
    def z(self) -> float:
        """Correlation in standard errors of an unrelated pair, ``correlation * sqrt(n)``; 0 where there is none."""
        return (self.correlation or 0.0) * math.sqrt(self.n)


@dataclass(frozen=True, slots=True)
class DayFacts:
    """What is known of a day of ticks without reading it again; of this day only, whatever the others hold.

    Attributes
    ----------
    day : str
        UTC date that holds the middle row, ``YYYY-MM-DD``.
    rows, outside_day : int
        Rows, and those of them stamped on another UTC date.
    sources : tuple of str
        Distinct sources, sorted. Ids of several sources are not compared: such a day counts as one without ids.
    first_ts_us, last_ts_us : int
    min_id, max_id : int or None
        Extremes of the trade ids; None without ids.
    without_id : int
        Rows without an id (all rows of a day of several sources).
    missing_ids, id_holes : int
        Ids between `min_id` and `max_id` that no row has, and runs of them.
    late_ids : int
        Rows whose id is below that of an earlier row, i.e. the order of ids contradicts the order of time.
    late_ids_us : int
        By how much at worst, in stamps.
    late_ids_ts_us : int or None
        Where it is worst.
    silence_limit_us : int
        A longer pause is a gap; see `scalper_ml.quality.fold.silence_limit`.
    gaps : tuple of Gap
        Within the day, by their start.
    price_low, price_high : float
    open_level, close_level : float
        Median of the first and last prices (up to 25).
    off_market, slips : int
        Prints away from their neighbours which the price returns from, and those away by a power of ten.
    level_shifts : int
        Places where the price moves by a power of ten and stays.
    off_market_prints, slip_prints : tuple of Print
        The first of them.
    qty_outliers : int
    qty_prints : tuple of Print
    flow : FlowSums
    stamps : int
        Distinct stamps.
    whole_ms : int
        Distinct stamps whose sub-millisecond digits are 000.
    whole_ms_run : int
        Most of them in a row; `whole_ms_ts_us` is the first stamp of that run.
    stuck_rows : int
        Most rows in a row of one stamp; `stuck_ts_us` is that stamp.
    minutes : int
        Minutes of the day with a trade.
    rows_per_hour : tuple of int
        Rows of the day by its UTC hour, 24.
    """

    day: str
    rows: int
    outside_day: int
    sources: tuple[str, ...]
    first_ts_us: int
    last_ts_us: int
    min_id: int | None
    max_id: int | None
    without_id: int
    missing_ids: int
    id_holes: int
    late_ids: int
    late_ids_us: int
    late_ids_ts_us: int | None
    silence_limit_us: int
    gaps: tuple[Gap, ...]
    price_low: float
    price_high: float
    open_level: float
    close_level: float
    off_market: int
    slips: int
    level_shifts: int
    off_market_prints: tuple[Print, ...]
    slip_prints: tuple[Print, ...]
    qty_outliers: int
    qty_prints: tuple[Print, ...]
    flow: FlowSums
    stamps: int
    whole_ms: int
    whole_ms_run: int
    whole_ms_ts_us: int
    stuck_rows: int
    stuck_ts_us: int
    minutes: int
    rows_per_hour: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """A document of numbers, text and lists; `from_json` gives the facts back."""
        document = asdict(self)
        for name in ("gaps", "off_market_prints", "slip_prints", "qty_prints"):
            document[name] = list(document[name])
        return document | {"sources": list(self.sources), "rows_per_hour": list(self.rows_per_hour)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "DayFacts":
        """Facts from what `to_json` gave.

        Raises
        ------
        ContractError
            The document has other keys: it was made by another version and has to be computed again.
        """
        expected, found = {one.name for one in fields(cls)}, set(document)
        if found != expected:
            raise ContractError(
                f"day facts {document.get('day', '(no day)')}: missing keys {sorted(expected - found)}, unexpected "
                f"{sorted(found - expected)}; compute them again from the ticks"
            )
        values = dict(document)
        values["gaps"] = tuple(Gap(**gap) for gap in values["gaps"])
        for name in ("off_market_prints", "slip_prints", "qty_prints"):
            values[name] = tuple(Print(**one) for one in values[name])
        values["sources"], values["rows_per_hour"] = tuple(values["sources"]), tuple(values["rows_per_hour"])
        return cls(**values | {"flow": FlowSums(**values["flow"])})
