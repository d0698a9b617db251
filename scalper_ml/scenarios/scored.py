"""What the pipeline said on the score role of a partition, and what there was to be said."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scalper_ml.ingest.synthetic import simulate
from scalper_ml.layers.base import Keys
from scalper_ml.layers.tick_sources import synthetic_spec
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.validation.metrics import base_rates, classification_metrics

__all__ = ["Edge", "Scored", "Truth", "edge_of", "partition", "scored", "truth_of"]


def partition(symbol: str, horizon: int) -> Keys:
    """Keys of a symbol and horizon."""
    return {"symbol": symbol, "horizon": horizon}


@dataclass(frozen=True, slots=True)
class Truth:
    """By close (n,): stamps and what moves the next bar, as `SyntheticMarket.truth` has it."""

    ts_us: np.ndarray
    signal: np.ndarray
    columns: dict[str, np.ndarray]

    def at(self, ts_us: np.ndarray, name: str = "signal") -> np.ndarray:
        """A column at these closes."""
        rows = np.searchsorted(self.ts_us, ts_us)
        return np.asarray(self.columns[name][rows])


def truth_of(project: Project, symbol: str) -> Truth:
    """Simulate a project's market once more for what is behind it."""
    truth = simulate(synthetic_spec(project, symbol)).truth
    columns = {name: truth[name].to_numpy() for name in truth.column_names if name != "ts_us"}
    return Truth(us(truth["ts_us"]), columns["signal"], columns)


@dataclass(frozen=True)
class Scored:
    """The candidate on the score role: rows (n,), the report of its backtest, and of which kind it is."""

    keys: Keys
    ts_us: np.ndarray
    ret: np.ndarray
    y: np.ndarray
    P: np.ndarray
    base: np.ndarray
    horizon: int
    report: dict[str, Any]
    kind: str

    @property
    def side(self) -> np.ndarray:
        """The likelier side: +1 or -1."""
        return np.where(self.P[:, 2] >= self.P[:, 0], 1.0, -1.0)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Of the argmax and the probabilities; the interval of balanced accuracy covers 99 %."""
        return classification_metrics(
            self.y, self.P, self.base, ret=self.ret, horizon=self.horizon, seed=7, alpha=0.0099
        )

    @property
    def action(self) -> str:
        """Of the gate."""
        return str(self.report["decision"]["action"])

    @property
    def reasons(self) -> list[str]:
        """Codes of the gate."""
        return list(self.report["decision"]["reasons"])


def scored(project: Project, symbol: str, horizon: int) -> Scored:
    """Read the candidate's predictions, the dataset's labels and the report of a played partition."""
    warehouse, keys = project.warehouse, partition(symbol, horizon)
    candidate = warehouse.require("candidates", keys).summary
    predictions = warehouse.read_table(warehouse.require(candidate["layer"], keys), "predictions.parquet")
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    known, role = us(dataset["ts_us"]), dataset["role"].to_numpy(zero_copy_only=False)
    mine = predictions["role"].to_numpy(zero_copy_only=False) == "score"
    ts = us(predictions["ts_us"])[mine]
    rows = np.searchsorted(known, ts)
    y = dataset["y"].to_numpy().astype(np.int64)
    P = np.column_stack([predictions[name].to_numpy()[mine] for name in ("p_short", "p_neutral", "p_long")])
    report = json.loads(warehouse.read_bytes(warehouse.require("backtests", keys), "report.json"))
    ret = dataset["ret"].to_numpy()[rows]
    return Scored(keys, ts, ret, y[rows], P, base_rates(y[role == "train"]), horizon, report, candidate["kind"])


@dataclass(frozen=True, slots=True)
class Edge:
    """Share of right sides of a candidate and of the oracle on the same rows; `ratio` of what they are above a half.

    `ratio` is NaN where the oracle's own edge is less than two standard errors: there is nothing to take a share of.
    `foretold` is the ratio that the oracle's signal makes to be expected, the luck of the outcomes left out: of the
    sum of the sizes of the signal, how much lies on the candidate's side, less what lies on the other.
    """

    ratio: float
    accuracy: float
    oracle: float
    foretold: float
    kind: str

    def __str__(self) -> str:
        """As the details of a line have it."""
        return f"{self.ratio:.3f} ({self.kind}: {self.accuracy:.4f} of {self.oracle:.4f}, {self.foretold:.3f} foretold)"


def edge_of(found: Scored, signal: np.ndarray) -> Edge:
    """Edge of the candidate beside that of the oracle, which takes the side of the signal.

    Rows whose price did not move count for neither.
    """
    moved = found.ret != 0
    way = np.sign(found.ret[moved])
    accuracy = float(np.mean(way == found.side[moved]))
    oracle = float(np.mean(way == np.sign(signal[moved])))
    error = 0.5 / np.sqrt(np.count_nonzero(moved) / found.horizon)
    ratio = (accuracy - 0.5) / (oracle - 0.5) if oracle - 0.5 > 2 * error else float("nan")
    foretold = float(np.sum(found.side * signal) / np.sum(np.abs(signal)))
    return Edge(ratio, accuracy, oracle, foretold, found.kind)
