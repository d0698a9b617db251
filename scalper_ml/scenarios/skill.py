"""Scenarios in which there is something to be found: how much of it the pipeline finds."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from scalper_ml.layers.base import Keys
from scalper_ml.project import Project
from scalper_ml.scenarios.plant import plant_column
from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.scenario import Case, Found
from scalper_ml.scenarios.scored import Edge, Truth, edge_of, scored, truth_of

__all__ = ["measure_followers", "measure_hidden", "measure_transparent"]


def measure_transparent(case: Case) -> Mapping[str, Found]:
    """Level A: edge of the candidate over the oracle's on the same bars, mean over the replicates, by market."""
    found = {}
    for symbol in case.scenario.markets:
        rows = []
        for seed in case.seeds:
            project = case.open((symbol,), seed)
            play(project)
            truth = truth_of(project, symbol)
            (horizon,) = project.settings.horizons
            one = scored(project, symbol, horizon)
            rows.append(edge_of(one, truth.at(one.ts_us)))
        found[f"edge_{symbol}"] = _mean(rows)
    return found


def measure_hidden(case: Case) -> Mapping[str, Found]:
    """Level B: the same with the exact filter as the only feature beside volatility, and beside all features."""
    (symbol,) = case.scenario.markets
    found: dict[str, Found] = {}
    sets: dict[str, dict[str, object]] = {"alone": {"features": {"families": []}}, "beside": {}}
    for name, changes in sets.items():
        rows: dict[int, list[Edge]] = {}
        for seed in case.seeds:
            project = case.open((symbol,), seed, **changes)
            truth = truth_of(project, symbol)
            play(project, after={"features": partial(_plant_filter, truth)})
            for horizon in project.settings.horizons:
                one = scored(project, symbol, horizon)
                rows.setdefault(horizon, []).append(edge_of(one, truth.at(one.ts_us)))
        found |= {f"{name}_{horizon}": _mean(of) for horizon, of in rows.items()}
    return found


def _plant_filter(truth: Truth, project: Project, keys: Keys) -> None:
    plant_column(project, keys, "exact_filter", lambda _, ts_us: truth.at(ts_us))


def measure_followers(case: Case) -> Mapping[str, Found]:
    """A coin that does what another did a bar before: the edge with the features of other coins, and without."""
    leader, follower = case.scenario.markets
    with_others: list[Edge] = []
    alone: list[Edge] = []
    n = 0
    for seed in case.seeds:
        for rows, changes in ((with_others, {}), (alone, {"features": {"families": _without_others(case)}})):
            project = case.open((leader, follower), seed, **changes)
            play(project)
            one = scored(project, follower, 1)
            rows.append(edge_of(one, truth_of(project, follower).at(one.ts_us)))
        n += int(np.count_nonzero(one.ret))
    edge = float(np.mean([row.accuracy for row in alone])) - 0.5
    return {
        "edge_with": _mean(with_others),
        "edge_without": Found(edge / (0.5 / np.sqrt(n)), f"in standard errors; {_mean(alone).detail}"),
    }


def _without_others(case: Case) -> list[str]:
    """All families but those of other coins and of feeds."""
    from scalper_ml.features.registry import FAMILIES

    wanted = case.scenario.fast.get("features", {}).get("families") if case.fast else None
    return [family for family in wanted or FAMILIES if family not in ("cross", "book", "derivatives")]


def _mean(rows: list[Edge]) -> Found:
    """Mean ratio, and the candidates and accuracies behind it."""
    return Found(float(np.mean([row.ratio for row in rows])), ", ".join(map(str, rows)))
