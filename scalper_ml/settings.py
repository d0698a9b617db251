"""What a user can set: sections with types, defaults and rules; `settings_file` reads them from YAML."""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from scalper_ml.bars.interval import parse_interval
from scalper_ml.sections.base import Horizon, Section, Symbol
from scalper_ml.sections.learning import Ensembles, Features, Forecasts, Labels, Selection, Splits, Training
from scalper_ml.sections.market import Bars, Book, Context, Quality, Source
from scalper_ml.sections.trading import Backtest, Drift, Gate, Live

__all__ = ["Settings", "Storage"]


class Storage(Section):
    """Where the platform writes: a local folder."""

    root: str

    @field_validator("root")
    @classmethod
    def _local(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("only local folders can be used yet, not a URL")
        return value


class Settings(Section):
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
