"""Scenarios in which no direction can be foretold at a price that can be traded."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.engine import Backtest, run_backtest
from scalper_ml.backtest.metrics import trade_metrics
from scalper_ml.gate.score import quality_score, sample_of
from scalper_ml.ingest.synthetic import simulate
from scalper_ml.layers.tick_sources import synthetic_spec
from scalper_ml.layers.ticks import read_all_ticks
from scalper_ml.project import Project
from scalper_ml.scenarios.play import play
from scalper_ml.scenarios.scenario import Case, Found
from scalper_ml.scenarios.scored import Scored, edge_of, partition, scored, truth_of
from scalper_ml.schema import PREDICTIONS, conform, us

__all__ = ["measure_bounce", "measure_drift", "measure_null", "measure_volatility", "verdict_of"]


def _one(case: Case, seed: int = 0, **changes: object) -> tuple[Project, str, int]:
    """The only market and horizon of a scenario, played."""
    (symbol,) = case.scenario.markets
    project = case.open((symbol,), seed, **changes)
    play(project)
    (horizon,) = project.settings.horizons
    return project, symbol, horizon


def measure_null(case: Case) -> Mapping[str, Found]:
    """Balanced accuracy against its block interval, Brier score of the sides, and the gate's verdict."""
    found = [scored(*_one(case, seed)) for seed in case.seeds]
    inside, said = [], []
    for one in found:
        accuracy = one.metrics["balanced_accuracy"]
        low, high = accuracy["ci"]
        inside.append(low <= accuracy["chance"] <= high)
        said.append(f"{accuracy['value']:.4f} in [{low:.4f}, {high:.4f}]")
    brier = [float(one.metrics["brier_side"]) for one in found]
    return {
        "chance_inside": Found(float(np.mean(inside)), f"balanced accuracy {', '.join(said)}; chance 0.3333"),
        "brier": Found(max(brier), ", ".join(f"{value:.4f}" for value in brier)),
        "verdict": verdict_of(found),
    }


def verdict_of(found: list[Scored]) -> Found:
    """REJECTED where the gate would trade none of them."""
    traded = [one for one in found if one.action != "NO_TRADE"]
    why = "; ".join(f"{one.action}: {', '.join(one.reasons)}" for one in found)
    return Found("REJECTED" if not traded else f"{len(traded)} of {len(found)} traded", why)


def _predicted(dataset: pa.Table, P: np.ndarray) -> pa.Table:
    """Predictions (m, 3) of the score role's rows."""
    mine = dataset["role"].to_numpy(zero_copy_only=False) == "score"
    rows = dataset.filter(pa.array(mine))
    n = rows.num_rows
    columns = [rows["ts_us"], rows["role"], np.full(n, -1, np.int32), *np.broadcast_to(P, (n, 3)).T]
    return conform(pa.table(dict(zip(PREDICTIONS.names, columns, strict=True))), PREDICTIONS, "predictions")


def _traded(project: Project, symbol: str, horizon: int, P: np.ndarray, costs: Costs) -> Backtest:
    """A rule of one's own through the backtest, on the score role."""
    warehouse, keys = project.warehouse, partition(symbol, horizon)
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    bars = warehouse.read_table(warehouse.require("bars", {"symbol": symbol}))
    return run_backtest(
        bars, dataset, _predicted(dataset, P), role="score", threshold=0.5, costs=costs, horizon=horizon,
        interval_us=project.settings.interval_us,
    )  # fmt: skip


def measure_drift(case: Case) -> Mapping[str, Found]:
    """A trend and nothing else: always-long earns, and the balanced-accuracy gate stops it."""
    project, symbol, horizon = _one(case)
    run = _traded(project, symbol, horizon, np.array([0.1, 0.2, 0.7]), Costs(fee_bps=0.0, spread_bps=0.0, impact=0.0))
    score = quality_score(sample_of(run, horizon), seed=7)
    metrics = trade_metrics(run, horizon).values
    stopped = "balanced_accuracy_not_significant" in score.reasons
    return {
        "always_long_earns": Found(
            float(metrics["expectancy_r"]), f"R a trade, {run.trades.num_rows} trades, no costs"
        ),
        "always_long": Found("REJECTED by the BA gate" if stopped else str(score.reasons), ", ".join(score.reasons)),
        "verdict": verdict_of([scored(project, symbol, horizon)]),
    }


def measure_bounce(case: Case) -> Mapping[str, Found]:
    """Labels of last trades are foretold by the last trade's side; mids are not, and nobody is paid for it."""
    project, symbol, horizon = _one(case)
    spec = synthetic_spec(project, symbol)
    ticks = read_all_ticks(project, project.warehouse.require("ticks", {"symbol": symbol}))
    ts, price, side = us(ticks["ts_us"]), ticks["price"].to_numpy(), ticks["side"].to_numpy()
    found: dict[str, Found] = {}
    closes = np.arange(spec.start_us + spec.interval_us, int(ts[-1]) - 300_000_000, 1_000_000)
    now = np.searchsorted(ts, closes, side="right") - 1
    for seconds in (1, 5, 60, 300):
        later = np.searchsorted(ts, closes + seconds * 1_000_000, side="right") - 1
        move = np.sign(price[later] - price[now])
        moved = move != 0
        found[f"last_{seconds}s"] = Found(float(np.mean(move[moved] == -side[now][moved])), "side of the last trade")
    truth = simulate(spec).truth
    one = scored(project, symbol, horizon)
    close, mid = us(truth["ts_us"]), truth["mid"].to_numpy()
    at = np.searchsorted(ts, close[:-1], side="right") - 1
    guessed = np.sign(np.diff(np.log(mid))) == -side[at]
    found["mid_60s"] = Found(float(guessed.mean()), f"{len(guessed):,} minutes, of the same guess")
    found |= _paid(project, symbol, horizon, ts, side)
    accuracy = one.metrics["balanced_accuracy"]
    verdict = verdict_of([one])
    found["verdict"] = Found(
        verdict.value, f"{verdict.detail}; balanced accuracy {accuracy['value']:.4f}, p {accuracy['p']:.3f}"
    )
    return found


def _paid(project: Project, symbol: str, horizon: int, ts: np.ndarray, side: np.ndarray) -> dict[str, Found]:
    """What the guess earns where it is executed: entered and left at the first trades after, half a spread each."""
    warehouse, keys = project.warehouse, partition(symbol, horizon)
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    decided = us(dataset["t0_us"])[dataset["role"].to_numpy(zero_copy_only=False) == "score"]
    last = side[np.searchsorted(ts, decided, side="right") - 1]
    P = np.where((last < 0)[:, None], [0.1, 0.2, 0.7], [0.7, 0.2, 0.1])
    spread = synthetic_spec(project, symbol).spread_bps
    run = _traded(project, symbol, horizon, P, Costs(fee_bps=0.0, spread_bps=spread, impact=0.0))
    net = run.trades["net"].to_numpy()
    error = net.std() / np.sqrt(len(net))
    said = f"{len(net):,} trades, standard error {error * 1e4:.2f} bp, no fees"
    return {"net_bps": Found(float(net.mean() * 1e4), said)}


def measure_volatility(case: Case) -> Mapping[str, Found]:
    """Volatility can be foretold and direction cannot: R2 of log realised volatility, and the gate's verdict."""
    project, symbol, horizon = _one(case)
    warehouse, keys = project.warehouse, partition(symbol, horizon)
    bars = warehouse.read_table(warehouse.require("bars", {"symbol": symbol}))
    targets = warehouse.read_table(warehouse.require("datasets", keys), "targets.parquet")
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    role = dataset["role"].to_numpy(zero_copy_only=False)
    rows = np.searchsorted(us(bars["ts_us"]), us(dataset["t0_us"]))
    past = _log_volatility(np.log(bars["close"].to_numpy()), (1, 5, 15, 60, 240))[rows]
    truth = np.log(truth_of(project, symbol).at(us(dataset["t0_us"]), "sigma"))[:, None]
    y = targets["log_rv"].to_numpy()
    good = np.isfinite(y) & np.isfinite(past).all(axis=1)
    fit, test = good & (role == "train"), good & (role == "score")
    ours, best = (_r2(X, y, fit, test) for X in (past, truth))
    one = scored(project, symbol, horizon)
    accuracy = edge_of(one, np.ones(len(one.ts_us))).accuracy
    return {
        "r2": Found(
            ours, f"log realised volatility on score, regressed on its past (HAR); of the true sigma {best:.3f}"
        ),
        "r2_share": Found(ours / best, "of what the true volatility at the close explains"),
        "verdict": verdict_of([one]),
        "direction": Found(accuracy, f"share of right sides of {len(one.ts_us):,}"),
    }


def _log_volatility(log_close: np.ndarray, windows: tuple[int, ...]) -> np.ndarray:
    """Log of the root mean square return of the last bars (n, windows); NaN before the first."""
    square = np.concatenate(([0.0], np.cumsum(np.diff(log_close, prepend=log_close[0]) ** 2)))
    out = np.full((len(log_close), len(windows)), np.nan)
    for j, window in enumerate(windows):
        mean = (square[window:] - square[:-window]) / window
        out[window - 1 :, j] = 0.5 * np.log(np.maximum(mean, 1e-14))
    return out


def _r2(X: np.ndarray, y: np.ndarray, fit: np.ndarray, test: np.ndarray) -> float:
    """Out-of-sample share of variance explained by a least-squares fit with a constant."""
    A = np.column_stack([np.ones(len(X)), X])
    beta = np.linalg.lstsq(A[fit], y[fit], rcond=None)[0]
    residual = y[test] - A[test] @ beta
    return float(1 - (residual**2).mean() / ((y[test] - y[fit].mean()) ** 2).mean())
