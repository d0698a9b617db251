"""What ensembles find of a hidden signal with window features alone, and what a stack makes of nothing."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.layers.evaluation import mean_over_horizons
from scalper_ml.project import Project
from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.scenario import Case, Found
from scalper_ml.scenarios.scored import Edge, Scored, edge_of, partition, scored, truth_of
from scalper_ml.schema import us

__all__ = ["measure_average", "measure_stack_of_nothing"]


def measure_average(case: Case) -> Mapping[str, Found]:
    """Level B without its filter: edge of the averaged ensemble over the oracle's, on score, by horizon.

    It is the mean over the kinds of models and over the horizons, whose signal is one.
    """
    (symbol,) = case.scenario.markets
    rows: dict[int, list[Edge]] = {}
    for seed in case.seeds:
        project = case.open((symbol,), seed)
        play(project)
        truth, horizons = truth_of(project, symbol), project.settings.horizons
        said = {horizon: predicted(project, symbol, horizon, "weighted_average") for horizon in horizons}
        mean = mean_over_horizons(said, project.settings.ensembles.weights_of(horizons))[1]
        for horizon in horizons:
            one = beside(scored(project, symbol, horizon), mean, "averaged")
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
        stack = predicted(project, symbol, horizon, "stacking")
        brier.append(float(beside(scored(project, symbol, horizon), stack, "stacking").metrics["brier_side"]))
    return {"brier": Found(max(brier), ", ".join(f"{value:.4f}" for value in brier))}


def predicted(project: Project, symbol: str, horizon: int, ensemble: str) -> pa.Table:
    """What one ensemble said on the score role."""
    manifest = project.warehouse.require(f"ensembles/{ensemble}", partition(symbol, horizon))
    table = project.warehouse.read_table(manifest, "predictions.parquet")
    return table.filter(pc.equal(table["role"], "score"))


def beside(one: Scored, said: pa.Table, kind: str) -> Scored:
    """What was said of the score role in place of the candidate, on the rows it was said of."""
    rows = np.searchsorted(one.ts_us, us(said["ts_us"]))
    P = np.column_stack([said[name].to_numpy() for name in ("p_short", "p_neutral", "p_long")])
    return replace(one, ts_us=one.ts_us[rows], ret=one.ret[rows], y=one.y[rows], P=P, kind=kind)
