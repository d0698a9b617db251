"""Settings of what is learned from bars: features, labels, splits, and the kinds of models."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scalper_ml.sections.base import NotNegative, Positive, Section, Share, Symbol, Window, as_value_error
from scalper_ml.vocabulary import INPUT_GROUPS

__all__ = ["Ensembles", "Features", "Forecasts", "Kinds", "LabelBarriers", "Labels", "Selection", "Splits", "Training"]


class Features(Section):
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

            as_value_error(lambda: feature_set(INPUT_GROUPS, families=self.families, windows=self.windows))
        return self


class LabelBarriers(Section):
    """Where a triple barrier stands; see `scalper_ml.labels.horizon.Barriers`."""

    upper: Positive = 1.0  # from the entry, in units of the horizon's volatility
    lower: Positive = 1.0
    hold: Annotated[int, Field(ge=1, le=100)] = 2  # horizons until time is up


class Labels(Section):
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


class Splits(Section):
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


class Selection(Section):
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


class Kinds(BaseModel, ABC):
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
            as_value_error(lambda kind=kind: self.kind(kind))  # type: ignore[misc]
            if not isinstance(params, dict):
                raise ValueError(f"{kind}: expected parameters by name, found {params!r}")
        for kind in {*self.kinds, *(self.__pydantic_extra__ or {})}:
            as_value_error(lambda kind=kind: self.kind(kind).params.parse(self.params_of(kind)))  # type: ignore[misc]
        return self


class Training(Kinds):
    """Which kinds of models are trained, an asset each."""

    kinds: Annotated[list[str], Field(min_length=1)] = ["xgb_classifier"]
    calibration: Literal["temperature", "platt", "beta", "isotonic"] = "temperature"
    tuned: bool = True  # where `scalper tune` has been run, its best parameters lie over those of the settings

    @classmethod
    def kind(cls, name: str) -> Any:
        """The model kind of a name."""
        from scalper_ml.models.registry import model_kind

        return model_kind(name)


class Ensembles(Kinds):
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


class Forecasts(Kinds):
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
            as_value_error(lambda kind=kind, target=target: self.kind(kind).target(target))  # type: ignore[misc]
        if unknown := [kind for kind in self.stack if kind not in self.kinds]:
            raise ValueError(f"stack {unknown} are not trained; forecasts.kinds: {self.kinds}")
        if self.stack and (len(self.stack) < 2 or len(set(self.stack)) != len(self.stack)):
            raise ValueError(f"stack needs two members or more; found {self.stack}")
        if self.stack and self.folds is not None and self.folds < 2:
            raise ValueError("stack learns from out-of-fold forecasts; set folds to 2 or more")
        return self
