"""Settings of what is known of the market: where raw data comes from, its quality, and the bars made of it."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from scalper_ml.bars.interval import parse_interval
from scalper_ml.errors import SettingsError
from scalper_ml.sections.base import NotNegative, Positive, Section, Severity, Symbol, as_value_error, only

__all__ = [
    "Bars",
    "Book",
    "Context",
    "ContractSize",
    "EventBars",
    "Listing",
    "PlantedMarket",
    "Quality",
    "Retry",
    "Source",
]

_OF_SCENARIO = frozenset({"scenario", "part", "seed"})  # what a market that is a scenario may say


class PlantedMarket(Section):
    """A synthetic market of METHOD 7: what is planted in it is known. Its level and figures, or a named scenario."""

    scenario: str | None = None  # of `scalper verify --list`; its figures are those of the scenario
    part: str | None = None  # which market of the scenario, where it has several
    level: Literal["A", "B", "null"] | None = None
    sigma_bps: Positive | None = None  # 1-bar standard deviation of log returns
    rho: Annotated[float, Field(ge=0, lt=1)] = 0.0  # correlation of the signal with the next bar's return
    phi: Annotated[float, Field(ge=0, lt=1)] = 0.9  # persistence of the signal, per bar
    spread_bps: NotNegative = 1.0
    start_price: Positive = 100.0
    seed: Annotated[int, Field(ge=0)] = 7  # of a scenario the number of a replicate

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.scenario is None:
            if self.level is None or self.sigma_bps is None:
                raise ValueError("a market needs level and sigma_bps, or scenario")
            return self
        if own := sorted(self.model_fields_set - _OF_SCENARIO):
            raise ValueError(f"scenario {self.scenario!r} has figures of its own; leave out {own}")
        from scalper_ml.scenarios.registry import scenario

        as_value_error(lambda: scenario(str(self.scenario)).spec(self.part, self.seed))
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A scenario without figures: its own are not here, and any would be refused when it is read again."""
        values: dict[str, Any] = plain(self)
        return values if self.scenario is None else {k: v for k, v in values.items() if k in _OF_SCENARIO}


class ContractSize(Section):
    """What one contract is worth, for sources that count contracts."""

    size: Positive  # base units; of an inverse contract quote units
    inverse: bool = False


class Retry(Section):
    """How long a remote place is asked before it is given up, a file."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 8
    total_s: Positive = 3600.0
    stall_timeout_s: Positive = 30.0  # longest wait for the next bytes


class Source(Section):
    """Where raw data comes from: planted markets, tick files, or klines that enter at the bar layer."""

    kind: Literal["synthetic", "ticks", "klines"]
    folder: str = "ticks"  # folder, glob, web listing or object-store address; synthetic markets are written there
    options: Annotated[dict[str, Any], Field(exclude=True, repr=False)] = {}  # of the object store; shown nowhere
    retry: Retry = Retry()
    format: str | None = None  # override of the sniffed format
    columns: dict[str, str | int] | None = None  # role to column name or position, where no format fits
    words: dict[str, Literal["buy", "sell"]] = {}  # of a mapped side column, where they are none of the usual ones
    name: str = "mapped"  # venue, market and kind of a mapped source
    contract: ContractSize | None = None
    duplicates: Literal["keep", "drop"] = "keep"  # equal rows without a trade id
    days: Positive = 10  # synthetic: length of each market
    trades_per_bar: Annotated[int, Field(ge=4)] = 30  # synthetic: mean trades in a bar
    start: str = "2026-01-01T00:00:00Z"  # synthetic: first stamp
    markets: dict[Symbol, PlantedMarket] = {}

    @field_validator("start")
    @classmethod
    def _stamp(cls, value: str) -> str:
        if datetime.fromisoformat(value).utcoffset() != timedelta(0):
            raise ValueError("expected a stamp in UTC such as 2026-01-01T00:00:00Z")
        return value


class Listing(Section):
    """First and last day on which a symbol could be traded; other days without trades are not missing."""

    listed: date | None = None
    delisted: date | None = None


class Quality(Section):
    """Rules over ticks; see docs/ticks.md."""

    severities: dict[str, Literal["error", "warn", "ignore"]] = {}  # by rule; others keep their own
    silence_s: Annotated[float, Field(ge=10)] | None = None  # a longer pause is a gap; null: told from each day
    instruments: dict[Symbol, Listing] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.severities:
            from scalper_ml.quality import severities

            as_value_error(lambda: severities(self.severities))
        return self


class EventBars(Section):
    """Bars that end with a trade; see `scalper_ml.bars.spec.BarSpec`."""

    kind: Literal["tick", "volume", "dollar", "tick_imbalance", "volume_imbalance", "dollar_imbalance"]
    size: Positive


class Context(Section):
    """Feeds beside the trades: funding, open interest, ratios, taker volume, liquidations."""

    folder: str | None = None  # folder or pattern; null: no such layers
    delay_s: dict[str, NotNegative] = {}  # publication delay by format, instead of the format's own
    max_age_h: dict[str, Positive] = {}  # oldest event that still counts at a close, by kind
    kinds: list[str] = []  # further kinds of long tables, each a column of its own
    severities: dict[str, Severity] = {}  # by check; others keep their own

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.delay_s or self.severities or self.kinds:
            from scalper_ml.context import CONTEXT_BARS, CONTEXT_SOURCES
            from scalper_ml.context.quality import RULES

            formats = sorted(name for source in CONTEXT_SOURCES for name in source.formats)
            only("delay_s", self.delay_s, formats)
            only("severities", self.severities, RULES)
            if taken := [name for name in self.kinds if name in CONTEXT_BARS.names]:
                raise ValueError(f"kinds {taken} are columns anyway; name only further kinds")
        return self


class Book(Section):
    """Quotes and depth: raw captures, and dumps of quotes and of depth."""

    folder: str | None = None  # folder or pattern; null: no such layer
    format: str | None = None  # of the quotes, where files hold several
    bands_bps: list[Positive] = [5, 10, 25]  # depth columns: distances from the mid
    depth_age_s: Positive = 120  # oldest depth that still counts at a close
    stale_quote_s: Positive = 5
    late_quote_s: Positive = 1
    clock_offset_ms: float = 0  # added to every stamp of a capture's recorder
    severities: dict[str, Severity] = {}  # by check; others keep their own

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.severities:
            from scalper_ml.book.quote_quality import RULES

            only("severities", self.severities, RULES)
        return self


class Bars(Section):
    """Time bars, which all else is built on, and event bars beside them; klines are resampled exactly."""

    interval: str
    klines: str | None = None  # folder of the venue's klines, to reconcile bars from ticks with
    events: list[EventBars] = []

    @field_validator("interval")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            parse_interval(value)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return value
