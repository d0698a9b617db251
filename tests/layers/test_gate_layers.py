"""Backtests, placebos and thresholds of a project, and the gate that reads them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flipproject import KEYS, SYMBOL, FlipProject, with_champion

from scalper_ml.backtest.log import trades_of
from scalper_ml.durable import parquet_bytes
from scalper_ml.gate.entry import project_gate
from scalper_ml.gate.environment import GateEnvironment
from scalper_ml.layers.backtests import backtest_report, tear_sheet_of
from scalper_ml.layers.thresholds import published_thresholds
from scalper_ml.layers.ticks import read_all_ticks
from scalper_ml.schema import us


@pytest.fixture
def place(tmp_path: Path) -> FlipProject:
    """A project with one accepted coin."""
    return with_champion().copy(tmp_path / "project")


def test_orders_are_filled_with_the_trades_of_the_source(place: FlipProject) -> None:
    """Each fill is the first trade a quarter of a second after the close that decided it, or that ends it."""
    project = place.project
    manifest = project.warehouse.require("backtests", KEYS)
    trades = project.warehouse.read_table(manifest, "trades.parquet")
    ticks = read_all_ticks(project, project.warehouse.require("ticks", {"symbol": SYMBOL}))
    ts, price = us(ticks["ts_us"]), ticks["price"].to_numpy()
    report = backtest_report(project, KEYS)
    assert report["execution"]["filled_with"] == "trades"
    assert trades.num_rows == report["metrics"]["trades_taken"] > 100
    entry = np.searchsorted(ts, us(trades["signal_ts_us"]) + 250_000)
    assert np.array_equal(trades["entry_price"].to_numpy(), price[entry])
    leave = np.searchsorted(ts, us(trades["signal_ts_us"]) + 250_000 + project.settings.interval_us)
    assert np.array_equal(trades["exit_price"].to_numpy(), price[leave])


def test_what_lies_in_the_warehouse_belongs_together(place: FlipProject) -> None:
    """The order log gives the stored trades byte for byte; the tear sheet is of the stored report."""
    warehouse = place.project.warehouse
    manifest = warehouse.require("backtests", KEYS)
    log = pq.read_table(pa.BufferReader(warehouse.read_bytes(manifest, "orders.parquet")))
    assert parquet_bytes(trades_of(log)) == warehouse.read_bytes(manifest, "trades.parquet")
    report = backtest_report(place.project, KEYS)
    assert report["report_id"] in tear_sheet_of(place.project, KEYS).decode()
    gates = {gate["name"]: gate["passed"] for gate in report["score"]["gates"]}
    assert gates["look_ahead_audit_failed"]
    assert gates["versions_differ"]
    assert report["robustness"]["deflated"]["trials"] > len(report["threshold"]["table"])
    candidate = warehouse.require("candidates", KEYS).summary
    assert report["robustness"]["superiority"] == candidate["superiority"]
    assert 0 < candidate["superiority"]["p"] <= 1 or candidate["superiority"]["best"]["expectancy_r"] > 0
    assert candidate["superiority"]["best"]["kind"] in {row["kind"] for row in candidate["comparison"]}


def test_bars_fill_where_trades_are_not_wanted(place: FlipProject) -> None:
    """With backtest.ticks off the same candidate is filled at opens."""
    bars = place.with_settings(backtest={"ticks": False}).project
    report = backtest_report(bars, KEYS, force=True)
    assert report["execution"]["filled_with"] == "bars"
    trades = bars.warehouse.read_table(bars.warehouse.require("backtests", KEYS), "trades.parquet")
    assert (us(trades["entry_ts_us"]) % bars.settings.interval_us == 0).all()


def test_the_gate_answers_for_the_project(place: FlipProject) -> None:
    """The accepted coin trades on paper at its confidence, and stops when its bundle is touched."""
    document, _ = published_thresholds(place.project)
    verdict = document["coins"][SYMBOL]["horizons"]["1"]
    gate = project_gate(place.project, GateEnvironment(), "paper", lambda: 0)
    answer = gate.should_trade(SYMBOL, verdict["min_confidence"])
    assert (answer["should_trade"], answer["reason_code"]) == (True, "accepted"), answer
    assert gate.should_trade(SYMBOL, verdict["min_confidence"] - 1e-6)["reason_code"] == "below_min_confidence"
    folder = place.project.warehouse.folder(verdict["layer"], KEYS) / "bundles" / verdict["bundle_id"]
    (folder / "scaler.json").write_bytes((folder / "scaler.json").read_bytes() + b" ")
    assert gate.should_trade(SYMBOL, 1.0)["reason_code"] == "bundle_not_verified"


def test_a_stricter_score_closes_the_gate_and_is_told(place: FlipProject) -> None:
    """gate.min_score 100: NO_TRADE, the change is in the metadata, the file before is kept, reports are written."""
    before = json.loads(place.project.path(place.project.settings.gate.file).read_bytes())
    strict = place.with_settings(gate={"min_score": 100.0}).project
    document, changes = published_thresholds(strict)
    assert document["coins"][SYMBOL]["reason"] == "score_below_min_score"
    assert [(one["symbol"], one["after"]["action"]) for one in changes] == [(SYMBOL, "NO_TRADE")]
    kept = list((strict.path(strict.settings.gate.file).parent / "history").glob("*.json"))
    assert before in [json.loads(path.read_bytes()) for path in kept]
    name = f"{SYMBOL}_{strict.settings.bars.interval}_{document['version']}.json"
    one = json.loads((strict.path("reports") / "per_coin" / name).read_bytes())
    assert one["horizons"]["1"]["report_id"] == document["coins"][SYMBOL]["horizons"]["1"]["report_id"]
    summary = json.loads((strict.path("reports") / f"summary_{document['version']}.json").read_bytes())
    assert summary["coins"][SYMBOL]["1"]["trades_taken"] == one["horizons"]["1"]["metrics"]["trades_taken"]


def test_the_placebos_of_the_coin_are_rejected(place: FlipProject) -> None:
    """Random signals on the coin's own resampled returns: REJECTED, each with its reasons."""
    summary = place.project.warehouse.require("placebo", {"symbol": SYMBOL}).summary
    assert summary["placebos"] == 2
    assert summary["accepted"] == 0
    assert all(row["reasons"] for row in summary["scores"])
