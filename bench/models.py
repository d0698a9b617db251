"""Every kind of model on 20,000 rows of 160 features: training, what it costs beside the bare fits, one-row answers."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from bench.measure import Figure, cpu_seconds, latencies_us
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
PAIRS = 5
"""Medians of so many trainings and as many bare fits, in turn: one of either says little on a shared machine."""


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


class Bare:
    """The library alone: what training of a kind asks of it, on the same arrays."""

    def __init__(self, kind: str, data: TrainingData, scaler: Scaler, options: TrainOptions) -> None:
        self._spec = model_kind(kind)
        self._given: list[tuple[Any, ...]] = []
        self._asked: list[Floats] = []
        self._fitted: list[Any] = []
        context = FitContext(1, 7)
        watched = dataclasses.replace(self._spec, fit=self._told)
        params, stop_share = self._spec.params(), options.stop_share
        out_of_fold(watched, data, scaler, params, context, n_folds=options.n_folds, stop_share=stop_share)
        fit_rows(watched, data, data.rows("train"), scaler, params, context, stop_share)
        self._asked.append(scaler.transform(data.X[data.role != "train"]))
        self._explained = scaler.transform(data.X[data.rows("select")[: options.shap_rows]])

    def _told(self, *arguments: Any) -> Any:
        self._given.append(arguments)
        return Told(self._spec.fit(*arguments), self._asked)

    def fits(self) -> None:
        """One fit a fold, and the final one."""
        self._fitted = [self._spec.fit(*arguments) for arguments in self._given]

    def answers(self) -> None:
        """Predictions of the rows no fit has seen, and contributions to those that are explained."""
        for model, X in zip(self._fitted, self._asked, strict=True):
            model.predict_proba(X)
        self._fitted[-1].contributions(self._explained)


class Told:
    """A fitted model that keeps what it is asked."""

    def __init__(self, model: Any, asked: list[Floats]) -> None:
        self._model = model
        self._asked = asked

    def predict_proba(self, X: Floats) -> Floats:
        self._asked.append(X)
        return np.asarray(self._model.predict_proba(X))


def beside(what: str, spent: dict[str, float]) -> list[Figure]:
    """Training (seconds) beside the library's fits, and beside its fits, predictions and contributions."""
    taken, fits, calls = spent["training"], spent["fits"], spent["fits"] + spent["answers"]
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
    figures, spent = [], {}
    for kind in model_kinds():
        bare = Bare(kind, data, scaler, options)

        def training(kind: str = kind) -> None:
            found[kind] = train_model(
                kind, data.X, table, scaler, NAMES, "fs", seed=7, lineage=LINEAGE, options=options
            )

        spent[kind] = cpu_seconds({"training": training, "fits": bare.fits, "answers": bare.answers}, PAIRS)
        figures += beside(f"{kind}: {ROWS:,} rows x {FEATURES}, trained, calibrated, explained, sealed", spent[kind])
    totals = {part: sum(one[part] for one in spent.values()) for part in ("training", "fits", "answers")}
    figures += beside("all of them", totals)
    figures.append(Figure("all of them", totals["training"], "CPU s", goal="at most 90 s"))
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
