"""What a user can set: sections with types, defaults and rules; `settings_file` reads them from YAML."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from scalper_ml.bars.interval import parse_interval
from scalper_ml.errors import ScalperError, SettingsError
from scalper_ml.vocabulary import INPUT_GROUPS

__all__ = [
    "Backtest",
    "Bars",
    "Book",
    "Context",
    "Drift",
    "Ensembles",
    "Features",
    "Forecasts",
    "Gate",
    "LabelBarriers",
    "Labels",
    "Live",
    "PlantedMarket",
    "Retry",
    "Settings",
    "Source",
    "Splits",
    "Storage",
    "Training",
]

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
Window = Annotated[int, Field(ge=1, le=2000)]
Horizon = Annotated[int, Field(ge=1, le=1440)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_value_error(check: Callable[[], Any]) -> None:
    """Run a check of the library; its refusal becomes one of this file's, with line and key."""
    try:
        check()
    except ScalperError as error:
        raise ValueError(str(error)) from None


_OF_SCENARIO = frozenset({"scenario", "part", "seed"})  # what a market that is a scenario may say


class PlantedMarket(_Section):
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

        _as_value_error(lambda: scenario(str(self.scenario)).spec(self.part, self.seed))
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A scenario without figures: its own are not here, and any would be refused when it is read again."""
        values: dict[str, Any] = plain(self)
        return values if self.scenario is None else {k: v for k, v in values.items() if k in _OF_SCENARIO}


class ContractSize(_Section):
    """What one contract is worth, for sources that count contracts."""

    size: Positive  # base units; of an inverse contract quote units
    inverse: bool = False


class Retry(_Section):
    """How long a remote place is asked before it is given up, a file."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 8
    total_s: Positive = 3600.0
    stall_timeout_s: Positive = 30.0  # longest wait for the next bytes


class Source(_Section):
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


class Listing(_Section):
    """First and last day on which a symbol could be traded; other days without trades are not missing."""

    listed: date | None = None
    delisted: date | None = None


class Quality(_Section):
    """Rules over ticks; see docs/ticks.md."""

    severities: dict[str, Literal["error", "warn", "ignore"]] = {}  # by rule; others keep their own
    silence_s: Annotated[float, Field(ge=10)] | None = None  # a longer pause is a gap; null: told from each day
    instruments: dict[Symbol, Listing] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.severities:
            from scalper_ml.quality import severities

            _as_value_error(lambda: severities(self.severities))
        return self


class EventBars(_Section):
    """Bars that end with a trade; see `scalper_ml.bars.spec.BarSpec`."""

    kind: Literal["tick", "volume", "dollar", "tick_imbalance", "volume_imbalance", "dollar_imbalance"]
    size: Positive


Severity = Literal["error", "warn", "ignore"]


class Context(_Section):
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
            _only("delay_s", self.delay_s, formats)
            _only("severities", self.severities, RULES)
            if taken := [name for name in self.kinds if name in CONTEXT_BARS.names]:
                raise ValueError(f"kinds {taken} are columns anyway; name only further kinds")
        return self


class Book(_Section):
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

            _only("severities", self.severities, RULES)
        return self


def _only(name: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    if unknown := sorted(set(given) - set(allowed)):
        raise ValueError(f"{name}: {unknown} not known; allowed: {sorted(allowed)}")


class Bars(_Section):
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


class Features(_Section):
    """What goes into the feature set; its id is a hash of all of it."""

    families: list[str] | None = None  # None: every family the source can feed
    windows: dict[str, list[Window | list[Window]]] = {}  # by feature kind
    reset_after_gap: Annotated[int, Field(ge=1)] = 240  # intervals without a bar that start the warm-up anew
    min_ticks: Annotated[int, Field(ge=0)] = 0  # a bar of fewer trades gives no decision
    lead: Symbol | None = None  # lead coin of the cross-asset family; default: the first symbol
    feed_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # of the closes at which a column of a feed must be known

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.families is not None or self.windows:
            from scalper_ml.features import feature_set

            _as_value_error(lambda: feature_set(INPUT_GROUPS, families=self.families, windows=self.windows))
        return self


class LabelBarriers(_Section):
    """Where a triple barrier stands; see `scalper_ml.labels.horizon.Barriers`."""

    upper: Positive = 1.0  # from the entry, in units of the horizon's volatility
    lower: Positive = 1.0
    hold: Annotated[int, Field(ge=1, le=100)] = 2  # horizons until time is up


class Labels(_Section):
    """What a row is told to expect, and how much it counts (METHOD 1)."""

    kind: Literal["fixed", "binary", "triple_barrier"] = "fixed"
    price: Literal["open", "trade", "mid", "side_mid"] = "open"  # of entry and exit; mid needs quotes, the rest trades
    latency_ms: Annotated[float, Field(ge=0)] = 250.0  # close of the bar to venue; not of open
    k_vol: NotNegative
    kappa: NotNegative
    max_gap_bars: Annotated[int, Field(ge=0)]
    barriers: LabelBarriers = LabelBarriers()
    targets: bool = False  # those of the specialists beside the labels
    attribution: NotNegative = 0.0  # power of a move's size in its weight
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0  # weight of the oldest label against the newest
    class_balance: Annotated[float, Field(ge=0, le=1)] = 0.0  # 1 makes classes count alike
    trend: NotNegative = 0.0  # power of the |t| of the straightest line within the horizon in a row's weight
    meta: str | None = None  # model kind whose out-of-fold sides get meta-labels: was taking them worth it?

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.kind == "triple_barrier" and self.price in ("mid", "side_mid"):
            raise ValueError(f"a triple_barrier cannot stand on {self.price}; set labels.price to trade or open")
        if self.targets and (self.kind == "triple_barrier" or self.price != "open"):
            raise ValueError("targets are of a fixed horizon on opens; set labels.kind to fixed and price to open")
        if self.trend and (self.kind == "triple_barrier" or self.price != "open"):
            raise ValueError(
                "trend weights are of opens within a fixed horizon; set labels.price to open, or trend to 0"
            )
        if self.meta is not None and self.kind == "triple_barrier":
            raise ValueError("meta-labels of a triple_barrier need barriers of each side; set labels.kind to fixed")
        return self


class Splits(_Section):
    """Shares of the label rows; what is left is the train role."""

    min_rows: Annotated[int, Field(ge=50)]
    test_size: Share  # the score role
    calibrate_size: Share
    select_size: Share
    folds: Annotated[int, Field(ge=2, le=20)]  # walk-forward folds inside train
    scaler: Literal["zscore", "minmax", "robust", "ewma", "none"]
    winsor: Annotated[float, Field(ge=0, le=0.25)] = 0.0  # share of train beyond each limit; 0: no limits
    ewma_halflife: Annotated[float, Field(ge=1)] = 1440  # bars; of the scaler ewma
    max_class_share: Share  # a class above this share of train fails the class-balance check
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _train_is_left(self) -> Self:
        taken = self.test_size + self.calibrate_size + self.select_size
        if taken > 0.8:
            raise ValueError(
                f"test_size + calibrate_size + select_size is {taken:.2f}; at most 0.80, train needs the rest"
            )
        return self


class Selection(_Section):
    """Choosing features before each fit, in each fold anew."""

    enabled: bool = False
    keep: Annotated[int, Field(ge=1)] = 60
    least: Annotated[int, Field(ge=1)] = 5
    max_correlation: Annotated[float, Field(gt=0, le=1)] = 0.9
    folds: Annotated[int, Field(ge=1, le=20)] = 3
    repeats: Annotated[int, Field(ge=1, le=100)] = 2
    rows: Annotated[int, Field(ge=50)] = 2000
    false_share: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _least_fits(self) -> Self:
        if self.least > self.keep:
            raise ValueError(f"least is {self.least}, more than keep, {self.keep}")
        return self


class _Kinds(BaseModel, ABC):
    """Kinds by name; every key that is no setting is a kind, its value parameters that the kind validates."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    kinds: list[str] = []

    @classmethod
    @abstractmethod
    def kind(cls, name: str) -> Any:
        """The registered kind of a name."""

    def params_of(self, kind: str) -> dict[str, Any]:
        """Parameters of a kind as the settings have them; what they leave out takes the kind's defaults."""
        return dict((self.__pydantic_extra__ or {}).get(kind) or {})

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"kinds has duplicates: {self.kinds}")
        for kind, params in (self.__pydantic_extra__ or {}).items():
            _as_value_error(lambda kind=kind: self.kind(kind))  # type: ignore[misc]
            if not isinstance(params, dict):
                raise ValueError(f"{kind}: expected parameters by name, found {params!r}")
        for kind in {*self.kinds, *(self.__pydantic_extra__ or {})}:
            _as_value_error(lambda kind=kind: self.kind(kind).params.parse(self.params_of(kind)))  # type: ignore[misc]
        return self


class Training(_Kinds):
    """Which kinds of models are trained, an asset each."""

    kinds: Annotated[list[str], Field(min_length=1)] = ["xgb_classifier"]
    calibration: Literal["temperature", "platt", "beta", "isotonic"] = "temperature"
    tuned: bool = True  # where `scalper tune` has been run, its best parameters lie over those of the settings

    @classmethod
    def kind(cls, name: str) -> Any:
        """The model kind of a name."""
        from scalper_ml.models.registry import model_kind

        return model_kind(name)


class Ensembles(_Kinds):
    """Which ensembles are made of the models, an asset each."""

    members: list[str] | None = None  # None: every kind that is trained
    horizon_weights: dict[int, Positive] = {}  # of the champions of a coin as one opinion; horizons not named count 1

    def weights_of(self, horizons: Iterable[int]) -> list[float]:
        """The weight of each horizon."""
        return [self.horizon_weights.get(horizon, 1.0) for horizon in horizons]

    @classmethod
    def kind(cls, name: str) -> Any:
        """The ensemble kind of a name."""
        from scalper_ml.ensembles.registry import ensemble_kind

        return ensemble_kind(name)


class Forecasts(_Kinds):
    """Which forecasters are trained beside the classifiers, an asset each: regressors, specialists, sequence models."""

    targets: dict[str, str] = {}  # by kind, of those that can learn several; else the kind's first
    stack: list[str] = []  # members of ensembles/ridge_stack; empty: none
    folds: Annotated[int, Field(ge=0, le=20)] | None = None  # None: splits.folds; 0: no out-of-fold forecasts

    @classmethod
    def kind(cls, name: str) -> Any:
        """The forecaster kind of a name."""
        from scalper_ml.forecasters.registry import forecaster_kind

        return forecaster_kind(name)

    def target_of(self, kind: str) -> str:
        """What a kind learns."""
        target: str = self.kind(kind).target(self.targets.get(kind))
        return target

    def feed_of(self, kind: str) -> str:
        """The layer beside the dataset that tells what a kind learns; empty where none is needed."""
        from scalper_ml.forecasters.targets import target_named

        return target_named(self.target_of(kind)).feed

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for kind, target in self.targets.items():
            _as_value_error(lambda kind=kind, target=target: self.kind(kind).target(target))  # type: ignore[misc]
        if unknown := [kind for kind in self.stack if kind not in self.kinds]:
            raise ValueError(f"stack {unknown} are not trained; forecasts.kinds: {self.kinds}")
        if self.stack and (len(self.stack) < 2 or len(set(self.stack)) != len(self.stack)):
            raise ValueError(f"stack needs two members or more; found {self.stack}")
        if self.stack and self.folds is not None and self.folds < 2:
            raise ValueError("stack learns from out-of-fold forecasts; set folds to 2 or more")
        return self


class Backtest(_Section):
    """Costs as the trader pays them, a side (METHOD 6.2)."""

    fee_bps: NotNegative
    spread_bps: NotNegative  # full spread; half of it is paid a side
    impact: NotNegative  # Y of the square-root law
    notional: Positive  # quote units of one order
    risk_per_trade: Share  # of equity, for the compounded equity curve only
    venue: Literal["binance_usdm", "binance_usdm_bnb", "binance_spot", "binance_spot_bnb"] | None = None  # its fees
    maker_fee_bps: float = 0.0  # of a maker's fill, where no venue is named
    ticks: bool = True  # fill with trades where there are trades
    latency_ms: NotNegative = 250.0  # from the close of the bar to the venue; with bars the next open is later
    entry: Literal["taker", "maker"] = "taker"
    wait_s: Positive = 60.0  # before a maker order is taken back
    stop: Positive | None = None  # from the entry, in units of sigma * sqrt(horizon)
    target: Positive | None = None
    opposite: bool = False  # leave when the other side is signalled
    tick: NotNegative = 0.0  # grids of prices and quantities; 0: none
    lot: NotNegative = 0.0
    min_notional: NotNegative = 0.0
    volume_share: Annotated[float, Field(gt=0, le=1)] = 0.1  # of the signal bar's volume that an order may be
    funding: bool = True  # charge it where the context has settlements


class Gate(_Section):
    """The published file and how its score is computed."""

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    file: str
    reports: str = "reports"  # folder of the JSON reports of coins and of all of them
    draws: Annotated[int, Field(ge=200)]
    seed: Annotated[int, Field(ge=0)]
    min_score: Annotated[float, Field(ge=0, le=100)] | None = None  # can only tighten


class Drift(_Section):
    """Recorded in every champion pointer; the drift monitors act on it."""

    drift_threshold: Share
    max_age_days: Positive


class Live(_Section):
    """The running loop: when it does not trade whatever a model says (0: no such filter), and how often it saves."""

    dead_volatility: NotNegative = 0.0  # sigma over the horizon below so many round-trip costs
    price_shock: NotNegative = 0.0  # a bar that moved more than so many sigma
    inactivity: NotNegative = 0.0  # a bar of fewer trades
    checkpoint_s: Positive = 10.0  # of a bot; what is not saved yet is fetched again after a kill
    grace_ms: NotNegative = 1000.0  # after the end of a bar, by the venue's clock, before it is closed without a trade
    champions_s: Positive = 2.0  # how often a bot looks for new champions


class Storage(_Section):
    """Where the platform writes: a local folder."""

    root: str

    @field_validator("root")
    @classmethod
    def _local(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("only local folders can be used yet, not a URL")
        return value


class Settings(_Section):
    """Everything a user sets; see ``config/settings.yaml``."""

    profile: str
    symbols: Annotated[list[Symbol], Field(min_length=1)]
    horizons: Annotated[list[Horizon], Field(min_length=1)]
    source: Source
    quality: Quality = Quality()
    context: Context = Context()
    book: Book = Book()
    bars: Bars
    features: Features
    labels: Labels
    splits: Splits
    selection: Selection = Selection()
    training: Training = Field(default_factory=Training)
    ensembles: Ensembles = Ensembles()
    forecasts: Forecasts = Field(default_factory=Forecasts)
    backtest: Backtest
    gate: Gate
    drift: Drift
    live: Live = Live()
    storage: Storage
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int, Field(ge=1, le=256)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, values in (("symbols", self.symbols), ("horizons", self.horizons)):
            if len(set(values)) != len(values):
                raise ValueError(f"{name} has duplicates: {values}")
        if self.labels.trend and min(self.horizons) < 2:
            raise ValueError(f"labels.trend needs horizons of at least 2 bars; horizons are {self.horizons}")
        if self.labels.meta is not None and self.labels.meta not in self.training.kinds:
            raise ValueError(f"labels.meta {self.labels.meta!r} is not trained; training.kinds: {self.training.kinds}")
        if self.source.kind == "synthetic" and (missing := [s for s in self.symbols if s not in self.source.markets]):
            raise ValueError(f"source.markets lacks {missing}; it describes {sorted(self.source.markets)}")
        if self.forecasts.kinds and not self.labels.targets:
            raise ValueError("forecasts.kinds learn the targets of the specialists; set labels.targets to true")
        fed = {kind: self.forecasts.target_of(kind) for kind in self.forecasts.kinds if self.forecasts.feed_of(kind)}
        if fed and self.context.folder is None:
            raise ValueError(
                f"forecasts.targets {fed}: this project has no such feed; set context.folder to where its files are"
            )
        if strangers := sorted(set(self.ensembles.horizon_weights) - set(self.horizons)):
            raise ValueError(f"ensembles.horizon_weights of {strangers}, which are not among horizons {self.horizons}")
        members = self.members
        if unknown := [kind for kind in members if kind not in self.training.kinds]:
            raise ValueError(f"ensembles.members {unknown} are not trained; training.kinds: {self.training.kinds}")
        if self.ensembles.kinds and (len(members) < 2 or len(set(members)) != len(members)):
            raise ValueError(f"ensembles.kinds {self.ensembles.kinds} need two members or more; found {members}")
        if self.labels.price == "mid" and self.book.folder is None:
            raise ValueError("labels.price 'mid' needs quotes; set book.folder, or labels.price to side_mid or open")
        if self.labels.price in ("trade", "side_mid") and self.source.kind == "klines":
            raise ValueError(f"labels.price {self.labels.price!r} needs trades, klines have none; set it to open")
        if self.features.lead and self.features.lead not in self.symbols:
            raise ValueError(f"features.lead {self.features.lead!r} is not one of the symbols {self.symbols}")
        return self

    @property
    def members(self) -> list[str]:
        """The kinds that ensembles are made of."""
        return self.training.kinds if self.ensembles.members is None else self.ensembles.members

    @property
    def interval_us(self) -> int:
        """Length of a bar in microseconds."""
        return parse_interval(self.bars.interval)

    @property
    def lead(self) -> str:
        """The coin whose returns the cross-asset features use as the leader."""
        return self.features.lead or self.symbols[0]

    def fingerprint(self, *sections: str) -> str:
        """First 16 hex digits of a hash over the named sections."""
        values = {name: self.model_dump(mode="json")[name] for name in sections}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
