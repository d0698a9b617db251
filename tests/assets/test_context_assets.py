"""The assets of feeds: there where a folder is configured, in the right phase, described; else nothing changes."""

import gzip
import json
from pathlib import Path
from typing import Any

from dagster import materialize
from feedproject import HOUR, build_flat_bars, feed_project

from scalper_assets.assets.catalogue import CATALOGUE
from scalper_assets.assets.factory import make_asset
from scalper_assets.driver import Step, plan, stale_layers
from scalper_assets.partitions import BY_SYMBOL
from scalper_assets.resources import ProjectResource
from scalper_ml.layers import layers_of
from scalper_ml.layers.base import code_digest
from scalper_ml.layers.book import BOOK_LAYER
from scalper_ml.layers.context import CONTEXT_LAYER
from scalper_ml.layers.context_bars import CONTEXT_BARS_LAYER
from scalper_ml.project import Project

FEEDS = (CONTEXT_LAYER, CONTEXT_BARS_LAYER, BOOK_LAYER)
START = 1_767_225_600_000_000
SYMBOL = "EDGEUSDT"  # a partition of the shipped profile, which the code location is loaded with
STEP = Step(("bars", "context", "context_bars", "book"), (("symbol", SYMBOL),))


def with_feeds(folder: Path) -> Project:
    """Bars of two days with funding, open interest and quotes beside them."""
    where = folder / "feeds"
    where.mkdir(exist_ok=True)
    project = feed_project(folder, SYMBOL, f"context.folder={where}/*.csv", f"book.folder={where}/*.txt", interval="1h")
    build_flat_bars(project, START, 48)
    rates = "".join(f"{START // 1000 + 8 * 3_600_000 * i},0.000{i + 1}\n" for i in range(6))
    (where / "EDGE-USDT-SWAP_funding.csv").write_text("fundingTime,fundingRate\n" + rates)
    quotes = "".join(f"{START // 1000 + 600_000 * i},99,1,{101 + i % 3},1\n" for i in range(200))
    (where / "edgeusdt_quotes.txt").write_text("ts,bid,bid_qty,ask,ask_qty\n" + quotes)
    return project


def materialized(project: Project, *layers: Any) -> Any:
    """One run of some assets, its failures recorded rather than raised."""
    resources = {"project": ProjectResource.of(project)}
    assets = [make_asset(layer) for layer in layers]
    assert SYMBOL in BY_SYMBOL.get_partition_keys()
    return materialize(assets, partition_key=SYMBOL, resources=resources, raise_on_error=False)


def test_feeds_are_layers_only_where_a_folder_is_configured(tmp_path: Path) -> None:
    """Without folders the layers are those there were; with them they follow the bars, in the bars' phase."""
    bare = feed_project(tmp_path, SYMBOL)
    names = [layer.name for layer in layers_of(bare.settings)]
    assert not {"context", "context_bars", "book"} & set(names)
    fed = with_feeds(tmp_path)
    found = [layer.name for layer in layers_of(fed.settings)]
    assert found == [*names[:1], "context", "context_bars", "book", *names[1:]]
    assert plan(fed, symbols=[SYMBOL], horizons=[1], only="ticks")[0] == [STEP]
    (first,) = plan(fed, symbols=[SYMBOL], horizons=[1])[0]
    assert first == Step((*STEP.layers, "decisions"), STEP.keys)


def test_catalogue_describes_the_feeds() -> None:
    """Each of the three layers has an entry with each of its checks and sources that exist."""
    for layer in FEEDS:
        entry = CATALOGUE[layer.name]
        assert set(entry.checks) == set(layer.checks)
        assert len(code_digest(*entry.code)) == 12
        assert len(entry.description) > 60


def test_feeds_materialise_with_checks_and_metadata(tmp_path: Path) -> None:
    """A run of the three assets succeeds, reports every check and describes kinds, shares and columns."""
    project = with_feeds(tmp_path)
    result = materialized(project, *FEEDS)
    assert result.success
    reported = {(one.asset_key.to_user_string(), one.check_name) for one in result.get_asset_check_evaluations()}
    assert reported == {(layer.name, check) for layer in FEEDS for check in layer.checks}
    shown = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert shown["context"]["kinds"].records[0].data["kind"] == "funding_rate"
    assert shown["context_bars"]["dagster/row_count"].value == 48
    shares = {row.data["column"]: row.data["share"] for row in shown["book"]["null_share"].records}
    assert (shares["mid"], shares["bid_depth_5bps"]) == (0.0, 1.0)
    rate = project.warehouse.read_table(project.warehouse.require("context_bars", {"symbol": SYMBOL}))["funding_rate"]
    assert rate.to_pylist()[:9] == [0.0001] * 7 + [0.0002] * 2
    views = project.warehouse.refresh_views()
    assert {"context", "context_bars", "context_gaps", "book"} <= set(views)


def test_a_broken_feed_blocks_what_reads_it_and_nothing_else(tmp_path: Path) -> None:
    """A truncated file fails its asset by name and blocks the partition; what was published and the book stay good."""
    project = with_feeds(tmp_path)
    assert materialized(project, *FEEDS).success
    keys = {"symbol": SYMBOL}
    before = {name: project.warehouse.require(name, keys).content for name in ("context", "context_bars", "book")}
    (tmp_path / "feeds" / "EDGEUSDT_more.csv").write_bytes(gzip.compress(b"fundingTime,fundingRate\n" * 99)[:-9])
    assert stale_layers(project, STEP, force=False) == ("context", "context_bars")
    result = materialized(project, *FEEDS)
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "EDGEUSDT_more.csv" in failure.user_failure_data.description
    assert project.warehouse.blocked("context", keys)
    assert not project.warehouse.blocked("book", keys)
    manifests = {name: project.warehouse.manifest(name, keys) for name in before}
    assert {name: manifest.content for name, manifest in manifests.items() if manifest} == before
    (tmp_path / "feeds" / "EDGEUSDT_more.csv").unlink()
    assert materialized(project, CONTEXT_LAYER).success
    assert stale_layers(project, STEP, force=False) == ()


def test_only_what_is_stale_runs(tmp_path: Path) -> None:
    """A new file of one feed makes that feed and its rows stale, not the bars, not the book."""
    project = with_feeds(tmp_path)
    assert stale_layers(project, STEP, force=False) == ("context", "context_bars", "book")
    assert materialized(project, *FEEDS).success
    assert stale_layers(project, STEP, force=False) == ()
    (tmp_path / "feeds" / "EDGEUSDT_b.txt").write_text(f"ts,bid,bid_qty,ask,ask_qty\n{START + HOUR},99,1,100,1\n")
    assert stale_layers(project, STEP, force=False) == ("book",)


def test_feeds_from_the_command_lines(tiny_copy: Any) -> None:
    """`scalper run --only ticks` and `dagster asset materialize --select context` build the feeds of a project."""
    where = tiny_copy.folder / "feeds"
    where.mkdir()
    for symbol in ("EDGEUSDT", "NULLUSDT"):
        rows = "".join(f"{START // 1000 + 8 * 3_600_000 * i},0.0001\n" for i in range(6))
        (where / f"{symbol}-fundingRate.csv").write_text("fundingTime,fundingRate\n" + rows)
    before = tiny_copy.contents()
    done = tiny_copy.scalper("run", "--only", "ticks", "--set", f"context.folder={where}")
    assert done.returncode == 0, done.stdout + done.stderr
    found = tiny_copy.contents()
    assert {name.split()[0] for name in found.keys() - before.keys()} == {"context", "context_bars"}
    assert {name: found[name] for name in before} == before
    done = tiny_copy.materialize("context", "EDGEUSDT", SCALPER__CONTEXT__FOLDER=json.dumps(str(where)))
    assert done.returncode == 0, done.stderr[-2000:]
    assert tiny_copy.contents() == found


def test_a_crossed_quote_is_an_asset_check_with_the_severity_of_the_settings(tmp_path: Path) -> None:
    """The rule of the settings' section `quality` shows on the asset `book`: a warning, or an error where set so."""
    for severity, level in (("warn", "WARN"), ("error", "ERROR")):
        (tmp_path / severity).mkdir()
        plain = with_feeds(tmp_path / severity)
        (tmp_path / severity / "feeds" / "edgeusdt_quotes.txt").write_text(
            f"ts,bid,bid_qty,ask,ask_qty\n{START // 1000},99,1,101,1\n{START // 1000 + 600_000},102,1,101,1\n"
        )
        where = tmp_path / severity / "feeds"
        overrides = (f"book.folder={where}/*.txt", f"quality.severities={{crossed_quotes: {severity}}}")
        project = feed_project(tmp_path / severity, SYMBOL, *overrides, interval="1h")
        assert plain.warehouse.root == project.warehouse.root
        found = {one.check_name: one for one in materialized(project, BOOK_LAYER).get_asset_check_evaluations()}
        assert (found["crossed_quotes"].passed, found["crossed_quotes"].severity.name) == (False, level)
        assert "bid 102 ask 101" in str(found["crossed_quotes"].metadata) + str(found["crossed_quotes"].description)
        assert "stale_quotes" in found
