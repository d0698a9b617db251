"""backtests: the candidate's out-of-sample trades on score, and what they allow."""

import json
from typing import Any

import numpy as np

from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.log import order_log
from scalper_ml.backtest.report import build_report, report_bytes
from scalper_ml.durable import parquet_bytes
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.datasets import dataset_params, project_costs
from scalper_ml.layers.fills import funding_of, project_execution, tape_of, tick_partition
from scalper_ml.project import Project
from scalper_ml.reports.tear_sheet import tear_sheet
from scalper_ml.schema import us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["BACKTESTS_LAYER", "backtest_report", "tear_sheet_of"]


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    warehouse, settings = project.warehouse, project.settings
    candidate = warehouse.require("candidates", keys)
    return {
        "code": code_digest("backtest", "gate", "validation", "reports", "schema", "kernel", "layers/backtests"),
        "bars": warehouse.require("bars", {"symbol": keys["symbol"]}).content,
        "dataset": warehouse.require("datasets", keys).content,
        "bundle_id": candidate.summary["bundle_id"],
        "kind": candidate.summary["kind"],
        "layer": candidate.summary["layer"],
        "trials": candidate.summary["trials"],
        "superiority": candidate.summary.get("superiority"),  # candidates of earlier versions have none
        "costs": project_costs(project).to_dict(),
        "risk_per_trade": settings.backtest.risk_per_trade,
        "gate": {"version": settings.gate.version, "draws": settings.gate.draws, "seed": settings.gate.seed},
        "evidence": _evidence(project, keys, candidate.summary["layer"]),
        "benchmark": None if (bars := _benchmark(project)) is None else [bars.keys["symbol"], bars.content],
        "calendar": settings.source.kind != "synthetic",
        "execution": project_execution(project).to_dict(),
        "ticks": None if (ticks := tick_partition(project, keys)) is None else ticks.content,
        "funding": None if (funding := funding_of(project, keys)) is None else funding[0].content,
    }


def _evidence(project: Project, keys: Keys, layer: str) -> dict[str, bool]:
    """What the score rests on: the features' audit, and that labels, features and model are of one another."""
    warehouse = project.warehouse
    features = warehouse.require("features", {"symbol": keys["symbol"]})
    dataset, model = warehouse.require("datasets", keys), warehouse.require(layer, keys)
    audit = [check["passed"] for check in features.checks if check["name"] == "no_future"]
    of_features = dataset.inputs.get("features") == features.content == model.inputs.get("features")
    return {
        "look_ahead_audit_failed": audit == [True],
        "versions_differ": of_features and model.inputs.get("dataset") == dataset.content,
    }


def _benchmark(project: Project) -> Manifest | None:
    """Bars of BTC, or else of the lead coin, where there are some."""
    settings = project.settings
    name = next((symbol for symbol in settings.symbols if symbol.startswith(("BTC", "XBT"))), settings.lead)
    return project.warehouse.manifest("bars", {"symbol": name})


def _build(project: Project, keys: Keys) -> Manifest:
    warehouse, settings = project.warehouse, project.settings
    inputs = _inputs(project, keys)
    layer = inputs["layer"]
    bars = warehouse.read_table(warehouse.require("bars", {"symbol": keys["symbol"]}))
    dataset = warehouse.read_table(warehouse.require("datasets", keys))
    predictions = warehouse.read_table(warehouse.require(layer, keys), "predictions.parquet")
    benchmark, execution = _benchmark(project), project_execution(project)
    rule = AsLabelled.of(dataset_params(project, int(keys["horizon"])).labels)
    ticks, funding = tick_partition(project, keys), funding_of(project, keys)
    evaluation = build_report(
        bars,
        dataset,
        predictions,
        symbol=str(keys["symbol"]),
        timeframe=settings.bars.interval,
        version=settings.gate.version,
        horizon=int(keys["horizon"]),
        interval_us=settings.interval_us,
        costs=project_costs(project),
        seed=settings.gate.seed,
        draws=settings.gate.draws,
        risk_per_trade=settings.backtest.risk_per_trade,
        rule=rule,
        execution=execution,
        tape=None if ticks is None else tape_of(project, ticks, dataset, int(keys["horizon"]), execution),
        funding=None if funding is None else funding[1],
        lineage={key: inputs[key] for key in ("bars", "dataset", "bundle_id", "kind", "layer", "trials", "calendar")},
        trials=inputs["trials"],
        superiority=inputs["superiority"],
        evidence=inputs["evidence"],
        benchmark=None if benchmark is None else (benchmark.keys["symbol"], warehouse.read_table(benchmark)),
    )
    report, trades = evaluation.report, evaluation.run.trades
    role = dataset["role"].to_numpy(zero_copy_only=False)
    t0, t1 = us(dataset["t0_us"]), us(dataset["t1_us"])
    known = t1[np.isin(role, ("train", "calibrate", "select"))].max()
    signals = us(trades["signal_ts_us"])
    legs = sum(trades[name].to_numpy() for name in ("fees", "spread", "slippage", "funding"))
    error = (
        float(np.abs(trades["gross"].to_numpy() - legs - trades["net"].to_numpy()).max()) if trades.num_rows else 0.0
    )
    decision = report["decision"]
    checks = [
        Check(
            "out_of_sample",
            bool((signals > known).all() and np.isin(signals, t0[role == "score"]).all()),
            f"{trades.num_rows} trades, all signalled in the score role",
        ),
        Check("accounting", error <= 1e-12, f"largest gap between gross - costs and net: {error:.1e}"),
        Check(
            "gates",
            decision["action"] != "NO_TRADE",
            ", ".join(decision["reasons"]),
            blocking=False,
            values={"trades": int(report["metrics"]["trades_taken"]), "score": decision["score_0_100"]},
        ),
    ]
    files = {
        "report.json": report_bytes(report),
        "trades.parquet": parquet_bytes(trades),
        "equity.parquet": parquet_bytes(evaluation.run.equity),
        "orders.parquet": parquet_bytes(order_log(evaluation.run.entries)),
        "tear_sheet.html": tear_sheet(report, bars, trades, evaluation.run.equity).encode(),
    }
    summary = {
        "report_id": report["report_id"],
        "deflated": report["robustness"]["deflated"],
        "bundle_id": inputs["bundle_id"],
        **{
            key: decision[key]
            for key in ("action", "quality_tier", "score_0_100", "raw_score", "min_confidence", "reason")
        },
        "threshold": report["threshold"]["threshold"],
        "metrics": report["metrics"],
    }
    return warehouse.write("backtests", keys, files, inputs=inputs, summary=summary, checks=checks)


BACKTESTS_LAYER = Layer(
    "backtests",
    "symbol_horizon",
    ("candidates", "datasets", "bars"),
    ("out_of_sample", "accounting", "gates"),
    _inputs,
    _build,
)


def backtest_report(project: Project, keys: Keys, *, force: bool = False) -> dict[str, Any]:
    """The report of a candidate as it is today; made where it is missing or stale."""
    manifest = project.warehouse.manifest("backtests", keys)
    if force or manifest is None or not BACKTESTS_LAYER.fresh(project, keys):
        manifest = BACKTESTS_LAYER.run(project, keys)
    report: dict[str, Any] = json.loads(project.warehouse.read_bytes(manifest, "report.json"))
    return report


def tear_sheet_of(project: Project, keys: Keys) -> bytes:
    """The tear sheet of a backtest that is there."""
    return project.warehouse.read_bytes(project.warehouse.require("backtests", keys), "tear_sheet.html")
