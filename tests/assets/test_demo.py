"""The main job end to end: what the README promises of `make run`."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from scalper_assets.assets.catalogue import warnings_of
from scalper_assets.driver import Outcome, Step, plan, run_plan
from scalper_ml.errors import ScalperError
from scalper_ml.layers import layers_of
from scalper_ml.layers.models import bundle_of
from scalper_ml.project import open_project
from scalper_ml.schema import us

Demo = tuple[Any, str]


def published(place: Any) -> dict[str, Any]:
    """The thresholds file."""
    result: dict[str, Any] = json.loads((place.folder / "config" / "per_coin_thresholds.json").read_text())
    return result


def test_paying_edge_trades(demo: Demo) -> None:
    """The coin whose edge pays its costs is ACTIVE or WARMUP."""
    coin = published(demo[0])["coins"]["EDGEUSDT"]
    assert coin["action"] in ("ACTIVE", "WARMUP")
    assert coin["reason"] == "accepted"


def test_edge_smaller_than_costs_is_rejected_for_expectancy(demo: Demo) -> None:
    """The coin whose edge is eaten by costs is REJECTED for its expectancy; its balanced accuracy is significant."""
    place = demo[0]
    coin = published(place)["coins"]["COSTUSDT"]
    assert (coin["quality_tier"], coin["action"], coin["reason"]) == (
        "REJECTED",
        "NO_TRADE",
        "expectancy_not_significant",
    )
    for horizon in (1, 3):
        manifest = place.project().warehouse.require("backtests", {"symbol": "COSTUSDT", "horizon": horizon})
        report = json.loads(place.project().warehouse.read_bytes(manifest, "report.json"))
        assert "balanced_accuracy_not_significant" not in report["decision"]["reasons"]


def test_null_market_is_rejected(demo: Demo) -> None:
    """The market in which nothing can be learned is REJECTED at every horizon."""
    horizons = published(demo[0])["coins"]["NULLUSDT"]["horizons"]
    assert {row["quality_tier"] for row in horizons.values()} == {"REJECTED"}


def test_summary_counts_coins(demo: Demo) -> None:
    """The summary's counts add up to the coins, and coverage is the share that may trade."""
    thresholds = published(demo[0])
    summary = thresholds["summary"]
    assert (
        summary["active_coins"] + summary["warmup_coins"] + summary["no_trade_coins"] == len(thresholds["coins"]) == 3
    )
    assert summary["coverage"] == pytest.approx(1 / 3)


def test_output_states_the_market_and_where_results_are(demo: Demo) -> None:
    """The run says what was planted, what it costs, what came out and where it lies."""
    printed = demo[1]
    for part in (
        "20 days",
        "20 trades a bar",
        "fees 1 bp a side",
        "expectancy_not_significant",
        "per_coin_thresholds.json",
        "warehouse",
    ):
        assert part in printed


def test_runs_keep_their_events_and_no_copy_of_what_is_printed(demo: Demo) -> None:
    """Dagster knows every run that built something; no process was started to copy what it printed."""
    place = demo[0]
    with closing(sqlite3.connect(place.folder / ".dagster" / "event_log.db")) as log:
        found = "select distinct run_id from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
        runs = {run_id for (run_id,) in log.execute(found)}
    copied = {path.parent.name for path in (place.folder / ".dagster" / "storage").glob("*/compute_logs")}
    assert len(runs - copied) == 20


def test_coins_on_other_bars_are_brought_along(demo: Demo) -> None:
    """Asked for one coin on other bars, the plan makes those of the others too: the market is of one interval."""
    place = demo[0]
    for interval, coins in (("1m", 1), ("5m", 3)):
        project = open_project({}, place.folder, overrides=[f"bars.interval={interval}"])
        first = plan(project, symbols=["EDGEUSDT"], horizons=[1])[0]
        assert len(first) == coins


def test_second_run_recomputes_nothing(demo: Demo) -> None:
    """A second run, from the shell, finds everything fresh and says so."""
    place = demo[0]
    before = place.contents()
    done = place.shell("scalper", "run")
    assert done.returncode == 0, done.stderr
    assert "nothing to recompute" in done.stdout
    assert place.contents() == before


def test_every_partition_is_there_with_its_checks(demo: Demo) -> None:
    """Every layer has all its partitions, and each recorded every check it declares."""
    project = demo[0].project()
    symbols, horizons = len(project.settings.symbols), len(project.settings.horizons)
    expected = {"symbol": symbols, "none": 1, "symbol_horizon": symbols * horizons}
    for layer in layers_of(project.settings):
        manifests = list(project.warehouse.partitions(layer.name))
        assert len(manifests) == expected[layer.shape], layer.name
        for manifest in manifests:
            assert tuple(check["name"] for check in manifest.checks) == layer.checks
            warns = {check["name"] for check in manifest.checks if not check["blocking"]}
            assert warns == warnings_of(layer.name, project.settings) & set(layer.checks), layer.name


def test_views_answer_sql(demo: Demo) -> None:
    """The DuckDB file answers SQL over every table."""
    place = demo[0]
    with duckdb.connect(str(place.folder / "warehouse" / "demo" / "scalper.duckdb"), read_only=True) as connection:
        bars = connection.sql("SELECT symbol, count(*) FROM bars GROUP BY 1 ORDER BY 1").fetchall()
        trades = connection.sql(
            "SELECT count(*), max(abs(gross - fees - spread - slippage - net)) FROM backtests_trades"
        ).fetchall()
    assert bars == [("COSTUSDT", 28800), ("EDGEUSDT", 28800), ("NULLUSDT", 28800)]
    assert trades[0][0] > 0
    assert trades[0][1] < 1e-12


def test_champion_is_the_scored_candidate(demo: Demo) -> None:
    """A champion pointer names the bundle that was scored, and that bundle loads; a rejected one has none."""
    project = demo[0].project()
    accepted = {True: 0, False: 0}
    for manifest in project.warehouse.partitions("champions"):
        candidate = project.warehouse.require("candidates", manifest.keys).summary
        trades = manifest.summary["action"] != "NO_TRADE"
        accepted[trades] += 1
        assert manifest.summary["bundle_id"] == (candidate["bundle_id"] if trades else None)
        if trades:
            bundle_of(project, candidate["layer"], manifest.keys, manifest.summary["bundle_id"])
    assert accepted[True] >= 1
    assert accepted[False] >= 4


def test_profile_command_shows_the_dataset(demo: Demo) -> None:
    """`scalper profile` shows class balance by role and statistics by feature."""
    done = demo[0].scalper("profile", "--symbol", "EDGEUSDT", "--horizon", "3")
    assert done.returncode == 0, done.stderr
    for part in ("train", "calibrate", "select", "score", "NEUTRAL", "NaN"):
        assert part in done.stdout
    as_json = json.loads(demo[0].scalper("profile", "--symbol", "EDGEUSDT", "--horizon", "3", "--json").stdout)
    assert as_json["rows"] > 10_000


def test_models_recover_most_of_what_can_be_known(demo: Demo) -> None:
    """On the score rows the models' direction keeps at least .85 of the oracle's edge, and .9 on average.

    The oracle is the planted signal, read back from the signed flow of the same bars.
    """
    project = demo[0].project()
    ratios = []
    for symbol in ("EDGEUSDT", "COSTUSDT"):
        bars = project.warehouse.read_table(project.warehouse.require("bars", {"symbol": symbol}))
        signal = np.log(bars["buy_volume"].to_numpy() / bars["sell_volume"].to_numpy())
        for horizon in (1, 3):
            keys = {"symbol": symbol, "horizon": horizon}
            dataset = project.warehouse.read_table(project.warehouse.require("datasets", keys)).to_pandas()
            manifest = project.warehouse.require("models/xgb_classifier", keys)
            predictions = project.warehouse.read_table(manifest, "predictions.parquet").to_pandas()
            rows = predictions[predictions["role"] == "score"].merge(dataset[["ts_us", "ret"]], on="ts_us")
            rows = rows[rows["ret"] != 0]
            known = signal[np.searchsorted(us(bars["ts_us"]), us(pa.array(rows["ts_us"])))]
            up = rows["ret"].to_numpy() > 0
            model = ((rows["p_long"] >= rows["p_short"]).to_numpy() == up).mean() - 0.5
            oracle = ((known > 0) == up).mean() - 0.5
            assert oracle > 0.03
            ratios.append(model / oracle)
    assert min(ratios) >= 0.85
    assert np.mean(ratios) >= 0.9


def test_a_killed_worker_ends_a_run_with_the_reason(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that the system kills is no page of traceback: what happened is said, and what to do."""
    monkeypatch.setattr("scalper_assets.driver.execute", _killed)
    step = Step(("bars",), (("symbol", "EDGEUSDT"),))
    with pytest.raises(ScalperError, match="a worker was killed"):
        run_plan([[step, step]], workers=2)


def _killed(step: Step, force: bool) -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(step, (), 0.0)
