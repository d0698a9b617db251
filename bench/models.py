"""Every kind of model on 20,000 rows of 160 features: training, what it costs beside the bare fits, one-row answers."""

import dataclasses
import time
from typing import Any

import numpy as np
import pyarrow as pa

from bench.measure import Figure, latencies_us
from bench.tuning import FEATURES, ROWS, market
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.ensembles.train import train_ensemble
from scalper_ml.models.base import FitContext, Floats
from scalper_ml.models.bundle import load_bundle
from scalper_ml.models.fitting import TrainingData, fit_rows, out_of_fold
from scalper_ml.models.registry import model_kind, model_kinds
from scalper_ml.models.sealing import TrainedModel
from scalper_ml.models.train import TrainOptions, train_model
from scalper_ml.schema import DATASET, stamps

__all__ = ["run"]

NAMES = tuple(f"feature_{j}" for j in range(FEATURES))
LINEAGE = {"symbol": "AAAUSDT", "horizon": 1, "label_version": "l1"}
BOOSTED = ("xgb_classifier", "lgb_classifier", "cat_classifier")
ANSWERS = 2_000


def table_of_market(data: TrainingData) -> pa.Table:
    """The same market as a DATASET."""
    n = data.y.size
    ones, zeros = np.ones(n), np.zeros(n)
    columns: dict[str, Any] = {
        "ts_us": stamps(data.ts), "t0_us": stamps(data.t0), "t1_us": stamps(data.t1), "y": data.y.astype(np.int8),
        "y_binary": (data.ret > 0).astype(np.int8), "ret": data.ret, "entry_price": 100 * ones,
        "exit_price": 100 * np.exp(data.ret), "deadband": 2.6e-4 * ones, "cost": zeros, "sigma": 6e-4 * ones,
        "weight": data.weight, "role": data.role.tolist(),
    }  # fmt: skip
    return pa.table(columns, schema=DATASET)


def bare_seconds(kind: str, data: TrainingData, scaler: Scaler, options: TrainOptions) -> tuple[float, float]:
    """CPU seconds of the library alone on the arrays that training gave it: its fits, and these with what it is asked.

    The fits are the final one and one a fold; asked are predictions of the rows no fit has seen, and the contributions
    to those that are explained.
    """
    spec, context = model_kind(kind), FitContext(1, 7)
    given: list[tuple[Any, ...]] = []
    asked: list[Floats] = []

    class Told:
        """A fitted model that keeps what it is asked."""

        def __init__(self, model: Any) -> None:
            self._model = model

        def predict_proba(self, X: Floats) -> Floats:
            asked.append(X)
            return np.asarray(self._model.predict_proba(X))

    def told(*arguments: Any) -> Any:
        given.append(arguments)
        return Told(spec.fit(*arguments))

    watched = dataclasses.replace(spec, fit=told)
    rules: dict[str, Any] = {"n_folds": options.n_folds, "stop_share": options.stop_share}
    out_of_fold(watched, data, scaler, spec.params(), context, **rules)
    fit_rows(watched, data, data.rows("train"), scaler, spec.params(), context, options.stop_share)
    asked.append(scaler.transform(data.X[data.role != "train"]))
    explained = scaler.transform(data.X[data.rows("select")[: options.shap_rows]])
    started = time.process_time()
    fitted = [spec.fit(*arguments) for arguments in given]
    fits = time.process_time() - started
    for model, X in zip(fitted, asked, strict=True):
        model.predict_proba(X)
    fitted[-1].contributions(explained)
    return fits, time.process_time() - started


def beside(what: str, spent: Floats) -> list[Figure]:
    """Training (seconds) beside the library's fits, and beside its fits, predictions and contributions."""
    taken, fits, calls = spent.tolist()
    return [
        Figure(what, taken, "CPU s", "the libraries' fits", fits, taken / fits, "at most 1.10"),
        Figure("the same", taken, "CPU s", "and what is asked of them", calls, taken / calls),
    ]


def run() -> list[Figure]:
    """Training of every kind, its share beyond the bare fits, and p99 of one-row answers."""
    data = market()
    table = table_of_market(data)
    scaler = Scaler("zscore").fit(data.X, NAMES, rows=data.rows("train"))
    options = TrainOptions()
    found: dict[str, TrainedModel] = {}
    figures, totals = [], np.zeros(3)
    few = market(2_000)
    small = few.X, table_of_market(few), Scaler("zscore").fit(few.X, NAMES, rows=few.rows("train")), NAMES, "fs"
    for kind in model_kinds():
        train_model(kind, *small, seed=7, lineage=LINEAGE, options=options)  # imports, once a process
        started = time.process_time()
        found[kind] = train_model(kind, data.X, table, scaler, NAMES, "fs", seed=7, lineage=LINEAGE, options=options)
        taken = time.process_time() - started
        spent = np.array([taken, *bare_seconds(kind, data, scaler, options)])
        totals += spent
        figures += beside(f"{kind}: {ROWS:,} rows x {FEATURES}, trained, calibrated, explained, sealed", spent)
    figures += beside("all of them", totals)
    figures.append(Figure("all of them", float(totals[0]), "CPU s", goal="at most 90 s"))
    for kind, members, goal in (
        ("stacking", tuple(found), "at most 5000 us"),
        ("weighted_average", BOOSTED, "at most 1000 us"),
    ):
        files = {member: found[member].files for member in members}
        ensemble = train_ensemble(kind, files, data.X, table, NAMES, seed=7, lineage=LINEAGE, options=options)
        model = load_bundle(ensemble.files)
        taken_us = latencies_us(lambda i, model=model: model.predict_proba(data.X[i % ROWS][None]), ANSWERS)  # type: ignore[misc]
        for share, wanted in ((0.5, ""), (0.99, goal)):
            what = f"one row, {kind} of {len(members)}, p{100 * share:.0f}"
            figures.append(Figure(what, taken_us[int(share * len(taken_us))], "us", goal=wanted))
    return figures
