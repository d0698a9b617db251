"""What ensembles find of a hidden signal with window features alone, and what a stack makes of nothing."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scalper_ml.project import Project
from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.scenario import Case, Found
from scalper_ml.scenarios.scored import Edge, Scored, edge_of, partition, scored, truth_of

__all__ = ["measure_average", "measure_stack_of_nothing"]


def measure_average(case: Case) -> Mapping[str, Found]:
    """Level B without its filter: edge of the averaged ensemble over the oracle's, on score, by horizon."""
    (symbol,) = case.scenario.markets
    rows: dict[int, list[Edge]] = {}
    for seed in case.seeds:
        project = case.open((symbol,), seed)
        play(project)
        truth = truth_of(project, symbol)
        for horizon in project.settings.horizons:
            one = said_by(project, symbol, horizon, "weighted_average")
            rows.setdefault(horizon, []).append(edge_of(one, truth.at(one.ts_us)))
    return {
        f"average_{horizon}": Found(float(np.mean([one.ratio for one in of])), ", ".join(str(one) for one in of))
        for horizon, of in rows.items()
    }


def measure_stack_of_nothing(case: Case) -> Mapping[str, Found]:
    """The null market: largest Brier score of the sides of the stack, on score."""
    (symbol,) = case.scenario.markets
    brier = []
    for seed in case.seeds:
        project = case.open((symbol,), seed)
        play(project)
        (horizon,) = project.settings.horizons
        brier.append(float(said_by(project, symbol, horizon, "stacking").metrics["brier_side"]))
    return {"brier": Found(max(brier), ", ".join(f"{value:.4f}" for value in brier))}


def said_by(project: Project, symbol: str, horizon: int, ensemble: str) -> Scored:
    """What one ensemble said on the score role, whichever model is the candidate."""
    one = scored(project, symbol, horizon)
    manifest = project.warehouse.require(f"ensembles/{ensemble}", partition(symbol, horizon))
    table = project.warehouse.read_table(manifest, "predictions.parquet")
    mine = table["role"].to_numpy(zero_copy_only=False) == "score"
    P = np.column_stack([table[name].to_numpy()[mine] for name in ("p_short", "p_neutral", "p_long")])
    return replace(one, P=P, kind=ensemble)
