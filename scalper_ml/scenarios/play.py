"""Play a scenario: a project in a folder of its own, every layer built as the assets build it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from scalper_ml.bars.interval import format_interval
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import Layer
from scalper_ml.project import Project
from scalper_ml.scenarios.scenario import Case
from scalper_ml.settings import Settings

__all__ = ["keys_of_layer", "open_case", "play"]

_DEFAULTS: Final[dict[str, Any]] = {
    "profile": "verify",
    "horizons": [5],
    "features": {},
    "labels": {"k_vol": 0.43, "kappa": 1.0, "max_gap_bars": 3},
    "splits": {
        "min_rows": 500,
        "test_size": 0.40,
        "calibrate_size": 0.05,
        "select_size": 0.05,
        "folds": 2,
        "scaler": "zscore",
        "max_class_share": 0.95,
        "seed": 7,
    },
    "backtest": {"fee_bps": 1.0, "spread_bps": 1.0, "impact": 0.5, "notional": 1000.0, "risk_per_trade": 0.005},
    "gate": {"version": "verify", "file": "config/per_coin_thresholds.json", "draws": 1000, "seed": 7},
    "drift": {"drift_threshold": 0.1, "max_age_days": 30},
    "storage": {"root": "warehouse"},
}


def open_case(case: Case, symbols: tuple[str, ...], seed: int, changes: Mapping[str, Any]) -> Project:
    """The project of some of a scenario's markets, in a folder named after markets, replicate and changes."""
    scenario = case.scenario
    specs = {symbol: scenario.spec(symbol, seed) for symbol in symbols}
    first = specs[symbols[0]]
    source = {
        "kind": "synthetic",
        "folder": "ticks",
        "days": case.scenario.fast_days if case.fast else case.scenario.days,
        "trades_per_bar": int(first.trades_per_bar),
        "markets": {symbol: {"scenario": scenario.name, "part": symbol, "seed": seed} for symbol in symbols},
    }
    values: dict[str, Any] = {**_DEFAULTS, "symbols": list(symbols), "source": source}
    values["bars"] = {"interval": format_interval(first.interval_us)}
    for layer in (scenario.settings, scenario.fast if case.fast else {}, changes):
        for name, given in layer.items():
            inside = isinstance(given, Mapping) and isinstance(values.get(name), Mapping)
            values[name] = {**values[name], **given} if inside else given
    label = "-".join([*symbols, str(seed), *sorted(changes)])
    return Project(settings=Settings.model_validate(values), folder=case.folder / scenario.name / label)


def keys_of_layer(settings: Settings, layer: Layer) -> Iterator[dict[str, str | int]]:
    """Every partition of a layer."""
    if layer.shape == "none":
        yield {}
        return
    for symbol in settings.symbols:
        if layer.shape == "symbol":
            yield {"symbol": symbol}
            continue
        for horizon in settings.horizons:
            yield {"symbol": symbol, "horizon": horizon}


def play(
    project: Project,
    *,
    after: Mapping[str, Callable[[Project, Mapping[str, str | int]], None]] | None = None,
    until: str = "champions",
) -> None:
    """Build every layer of a project in the order of the graph, up to and including `until`.

    Parameters
    ----------
    after : mapping of layer to callable
        Called with the keys of each partition once it is built.

    Raises
    ------
    ChecksFailedError
        What is needed next was blocked by its checks.
    """
    for layer in layers_of(project.settings):
        for keys in keys_of_layer(project.settings, layer):
            layer.build(project, keys)
            if after and layer.name in after:
                after[layer.name](project, keys)
        if layer.name == until:
            return
