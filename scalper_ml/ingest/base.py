"""What an ingested file is: accepted rows, rejected rows with their reasons, and counts that add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

__all__ = [
    "Adapter",
    "ColumnMapping",
    "Contract",
    "Counts",
    "Duplicates",
    "Head",
    "KlineFile",
    "Layout",
    "TickFile",
    "Units",
]

Duplicates = Literal["keep", "drop"]
"""What to do with equal rows that carry no trade id: equal trades are normal, so they are kept by default."""

Units = Literal["base", "contracts", "unknown"]
"""What a quantity counts: units of the base coin, contracts, or whatever the file's author counted."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a source: ``accepted + duplicate + quarantined == read``, always.

    Examples
    --------
    >>> Counts(read=5, accepted=3, duplicate=1, quarantined=1) + Counts(1, 1, 0, 0)
    Counts(read=6, accepted=4, duplicate=1, quarantined=1)
    """

    read: int
    accepted: int
    duplicate: int
    quarantined: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.read + other.read,
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True, slots=True)
class TickFile:
    """Trades of one file (or of several, merged).

    Attributes
    ----------
    ticks : pyarrow.Table
        Schema `TICKS`, sorted by stamp then id, unique.
    quarantine : pyarrow.Table
        Schema `QUARANTINE`; `line` counts from 1 (line of a text file, record of any other; 0 if found on merging).
    counts : Counts
    format : str
        What the file was read as; also the `source` of its ticks.
    sha256 : str
        Of the file's bytes on disk.
    """

    ticks: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KlineFile:
    """Bars of one kline file; attributes as `TickFile`, with bars of schema `BARS` and their length."""

    bars: pa.Table
    quarantine: pa.Table
    counts: Counts
    format: str
    sha256: str
    interval_us: int


@dataclass(frozen=True, slots=True)
class Contract:
    """What one contract is worth.

    Attributes
    ----------
    size : float
        Base units a contract; of an inverse one (margined and settled in the base coin), quote units a contract.
    inverse : bool

    Examples
    --------
    OKX BTC-USDT-SWAP is 0.01 BTC a contract, Binance BTCUSD_PERP 100 USD:

    >>> Contract(0.01), Contract(100.0, inverse=True)
    (Contract(size=0.01, inverse=False), Contract(size=100.0, inverse=True))
    """

    size: float
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which column of a file plays which role, where the file's own names do not say.

    Attributes
    ----------
    columns : mapping
        Role to column name, or to position from 0 for a file without a header. Trades need ``ts``, ``price``, a
        quantity (``qty``, or ``signed_qty``: negative where the seller was the aggressor), and without a signed
        one the side: ``side`` (of the aggressor), ``maker_side`` (of the resting order), ``maker`` (a flag: true
        where the buyer was the maker) or ``taker`` (a flag: true where the buyer was the aggressor); ``id`` and
        ``symbol`` are optional. Klines need ``ts``, ``open``, ``high``, ``low``, ``close``, ``volume``.
    words : mapping
        Words of the side column to ``"buy"`` or ``"sell"``; where given, no others are known.
    name : str
        Goes into the ticks' `source`: venue, market and kind.

    Examples
    --------
    >>> mapping = ColumnMapping({"ts": "when", "price": "px", "signed_qty": "size"}, name="desk-spot-trades")
    >>> mapping.columns["signed_qty"]
    'size'
    """

    columns: Mapping[str, str | int]
    words: Mapping[str, Literal["buy", "sell"]] = field(default_factory=dict)
    name: str = "mapped"


@dataclass(frozen=True, slots=True)
class Head:
    """The first lines of a text file as fields, or the column names of a table file and its first rows.

    Attributes
    ----------
    first, second : sequence of str
        The first two lines that are not blank; of a table its column names, and nothing.
    typed : bool
        Whether it is a table with column names of its own (Feather, Parquet, JSON records).
    rows : sequence of sequence of str
        The first rows, a header not among them.
    name : str
        Of the file inside an archive, else of the file.
    whole : bool
        Whether `rows` are all rows of the file.
    """

    first: Sequence[str]
    second: Sequence[str] = ()
    typed: bool = False
    rows: Sequence[Sequence[str]] = ()
    name: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a source are, and what is in them.

    Attributes
    ----------
    format : str
        Name of the format: venue, market and kind where known.
    columns : dict
        Role (``ts``, ``price``, ``qty``, ``side``, ``maker``, ``id``, ``symbol``; for klines ``open`` ...) to position.
        The roles ``signed_qty``, ``maker_side`` and ``taker`` (see `ColumnMapping`) are derived from.
    has_header : bool
    names : tuple of str
    units : {"base", "contracts", "unknown"}
        What quantities count.
    contract : Contract, optional
        What a contract is worth; needed where quantities count contracts.
    midnight_us : int, optional
        Start of the day in which stamps count milliseconds; stamps are whole ones where it is None.
    words : mapping
        Words of the side column to +1 or -1; the usual ones where it is empty.
    messages : bool
        Whether lines are messages of a websocket, in no columns (see `scalper_ml.ingest.captures`).
    """

    format: str
    columns: dict[str, int]
    has_header: bool
    names: tuple[str, ...] = field(default=())
    units: Units = "unknown"
    contract: Contract | None = None
    midnight_us: int | None = None
    words: Mapping[str, int] = field(default_factory=dict)
    messages: bool = False

    @property
    def plain(self) -> bool:
        """Whether the columns are what their roles say, with nothing to derive (see `scalper_ml.ingest.derived`)."""
        derived = {"signed_qty", "maker_side", "taker"} & set(self.columns)
        return not derived and not self.words and self.contract is None and self.midnight_us is None


class Adapter(Protocol):
    """A source of trades or klines: knows its own layouts, nothing else.

    Adding a source is one file with one of these, listed in `scalper_ml.ingest.sniff`, and one fixture.
    """

    formats: Mapping[str, str]
    """Name of each of its layouts, and the columns of it; a ``*`` in a name is what the file says, such as a venue."""

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout if this file is of this source, else None.

        Parameters
        ----------
        head : Head
        path : Path
        wanted : str, optional
            The format that the user says it is: decides where the file leaves it open.

        Raises
        ------
        InputError
            If it is of this source, and broken or open to two readings.
        """
        ...
