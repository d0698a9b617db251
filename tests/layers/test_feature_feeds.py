"""The layer `features` with feeds beside the bars: what a coin's feeds can feed, as known at each close."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from feedproject import HOUR, MINUTE, build_flat_bars, feed_project

from scalper_ml.errors import ScalperError
from scalper_ml.features import feature_set
from scalper_ml.layers import layers_of
from scalper_ml.layers.book import BOOK_LAYER
from scalper_ml.layers.context import CONTEXT_LAYER
from scalper_ml.layers.context_bars import CONTEXT_BARS_LAYER
from scalper_ml.layers.features import FEATURES_LAYER, read_features
from scalper_ml.project import Project

START = 1_767_225_600_000_000  # 2026-01-01
SYMBOL = "EDGEUSDT"
KEYS = {"symbol": SYMBOL}
BARS = 48
PLAIN = feature_set(["klines", "calendar"])


def project_of(folder: Path, *overrides: str) -> tuple[Project, np.ndarray]:
    """Two days of hours of one coin with an empty folder `feeds` that is read for context and for the book."""
    where = folder / "feeds"
    where.mkdir(parents=True)
    options = (f"context.folder={where}/*.csv", f"book.folder={where}/*.txt")
    project = feed_project(folder, SYMBOL, *options, *overrides, interval="1h")
    return project, build_flat_bars(project, START, BARS)


def features_of(project: Project) -> dict[str, np.ndarray]:
    """Columns of the features, built with everything upstream."""
    for layer in (CONTEXT_LAYER, CONTEXT_BARS_LAYER, BOOK_LAYER):
        layer.build(project, KEYS)
    _, _, values, names = read_features(project, FEATURES_LAYER.build(project, KEYS))
    return {name: values[:, j] for j, name in enumerate(names)}


def write_long(folder: Path, rows: list[tuple[str, int, int, float]]) -> None:
    """A long table of context: kind, event and known time in microseconds, value."""
    lines = "".join(f"{kind},{event},{known},{value},demo\n" for kind, event, known, value in rows)
    (folder / "feeds" / "EDGEUSDT_long.csv").write_text("kind,event_ts,known_ts,value,source\n" + lines)


def write_quotes(folder: Path, rows: list[tuple[int, float, float]], name: str = "edgeusdt_quotes.txt") -> None:
    """Quotes of 99.99 and 100.01: stamp in microseconds and both quantities."""
    lines = "".join(f"{at // 1000},99.99,{bid},100.01,{ask}\n" for at, bid, ask in rows)
    (folder / "feeds" / name).write_text("ts,bid,bid_qty,ask,ask_qty\n" + lines)


def test_quotes_become_columns_as_known_at_the_close(tmp_path: Path) -> None:
    """Imbalance, spread and order flow equal a walk over the quotes; one a millisecond late belongs to the next bar."""
    project, closes = project_of(tmp_path)
    rng = np.random.default_rng(4)
    offsets = [(-5 * MINUTE, -MINUTE, 0), (-40 * MINUTE, -2 * MINUTE, 1000)]
    stamps = sorted(int(close) + off for i, close in enumerate(closes) for off in offsets[i % 2])
    quotes = [(at, float(bid), float(ask)) for at, (bid, ask) in zip(stamps, rng.integers(1, 9, (144, 2)), strict=True)]
    write_quotes(tmp_path, quotes)
    found = features_of(project)
    imbalance = [next((b - a) / (b + a) for at, b, a in reversed(quotes) if at <= close) for close in closes]
    np.testing.assert_allclose(found["obi1"], imbalance, rtol=1e-12)
    np.testing.assert_allclose(found["spread_bp"], 2.0, rtol=1e-9)
    np.testing.assert_allclose(found["queue_imb_chg_1"][1:], np.diff(imbalance), atol=1e-12)
    flow = np.append(0.0, [(b - b0) - (a - a0) for (_, b0, a0), (_, b, a) in pairwise(quotes)])
    bar = np.searchsorted(closes, stamps)
    sums = np.array([flow[bar == i].sum() for i in range(BARS)])
    last = [sums[i - 4 : i + 1] for i in range(4, BARS)]
    want = [one.sum() / np.sqrt((one**2).sum()) for one in last]
    np.testing.assert_allclose(found["ofi_z_5"][4:], want, rtol=1e-9)
    assert not {"obi_10bp_1", "funding_bp", "oi_chg_5"} & set(found)
    assert project.warehouse.require("features", KEYS).summary["absent"] == ["quote_volume", "buy_trades", "vwap"]


def test_context_is_seen_from_its_known_time_on(tmp_path: Path) -> None:
    """Open interest and ratios known 90 minutes after their event, one revised later: no close sees them before."""
    project, closes = project_of(tmp_path, "context.max_age_h={long_short_ratio: 6, open_interest: 6}")
    rng = np.random.default_rng(5)
    rows = []
    for kind in ("long_short_ratio", "open_interest"):
        for i, value in enumerate(rng.uniform(1, 3, BARS)):
            event = START - 2 * HOUR + i * HOUR
            rows.append((kind, event, event + 90 * MINUTE, float(value)))
    kind, event, _, _ = rows[20]
    rows.append((kind, event, event + 150 * MINUTE, 4.5))  # by then a newer hour is known: nobody sees it
    kind, event, _, _ = rows[BARS - 1]
    rows.append((kind, event, event + 100 * MINUTE, 3.5))
    write_long(tmp_path, rows)
    found = features_of(project)

    def known(kind: str, at: int) -> float:
        seen = [(event, when, value) for name, event, when, value in rows if name == kind and when <= at]
        return max(seen)[2]

    ratio = np.array([known("long_short_ratio", int(close)) for close in closes])
    interest = np.array([known("open_interest", int(close)) for close in closes])
    assert 4.5 not in ratio
    assert ratio[-1] == 3.5
    np.testing.assert_allclose(found["ls_ratio"], np.log(ratio), rtol=1e-12)
    np.testing.assert_allclose(found["oi_chg_5"][5:], np.clip(np.log(interest[5:] / interest[:-5]), -1, 1), rtol=1e-12)
    assert not {"funding_bp", "obi1", "basis_bp"} & set(found)
    absent = project.warehouse.require("features", KEYS).summary["absent"]
    assert {"funding_rate", "mark_price"} <= set(absent)
    assert not {"open_interest", "long_short_ratio"} & set(absent)


def test_funding_and_depth_files_become_columns(tmp_path: Path) -> None:
    """Rates of a venue's file, and depth known half a minute before each close: the values of those rows."""
    project, closes = project_of(tmp_path)
    rates = "".join(f"{START // 1000 + 8 * 3_600_000 * i},{1e-4 * (i + 2):.5f}\n" for i in range(-1, 7))
    (tmp_path / "feeds" / "EDGE-USDT-SWAP_funding.csv").write_text("fundingTime,fundingRate\n" + rates)
    lines = []
    for i, close in enumerate(closes.tolist()):
        stamp = datetime.fromtimestamp(close / 1e6 - 30, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
        for band, scale in ((5, 1.0), (10, 2.0), (25, 4.0)):
            lines += [f"{stamp},{-band / 100},{scale * (i + 1)},1", f"{stamp},{band / 100},{scale * 10},1"]
    (tmp_path / "feeds" / "EDGEUSDT-bookDepth-2026-01-01.txt").write_text(
        "timestamp,percentage,depth,notional\n" + "\n".join(lines) + "\n"
    )
    found = features_of(project)
    settled = (np.arange(BARS) + 1) // 8
    np.testing.assert_allclose(found["funding_bp"], settled + 2, rtol=1e-9)
    np.testing.assert_allclose(found["fund_to"], (8 - np.arange(1, BARS + 1) % 8) / 8, rtol=1e-9)
    bid = np.arange(1.0, BARS + 1)
    np.testing.assert_allclose(found["obi_10bp_1"], (bid - 10) / (bid + 10), rtol=1e-12)
    np.testing.assert_allclose(found["depth_near_bid_1"], 0.25, rtol=1e-12)
    np.testing.assert_allclose(found["depth_vol_1_1"], np.log(2 * (bid + 10)), rtol=1e-12)
    assert "obi1" not in found


def test_a_coin_without_feeds_has_the_set_it_had(tmp_path: Path) -> None:
    """Without folders, and with folders that hold nothing of the coin, the set is that of klines alone."""
    bare = feed_project(tmp_path / "bare", SYMBOL, interval="1h")
    build_flat_bars(bare, START, BARS)
    plain = FEATURES_LAYER.build(bare, KEYS)
    assert plain.summary["feature_set_id"] == PLAIN.id
    project, _ = project_of(tmp_path / "empty")
    assert tuple(features_of(project)) == PLAIN.names
    assert project.warehouse.require("features", KEYS).content == plain.content


def test_a_feed_known_too_seldom_is_left_out(tmp_path: Path) -> None:
    """Ratios known at half of the closes: in by default, out where more is asked for or the family is off."""
    rows = [("long_short_ratio", START + 23 * HOUR + i * HOUR, START + 24 * HOUR + i * HOUR, 2.0) for i in range(26)]
    for name, override, there in (
        ("half", "features.feed_share=0.5", True),
        ("more", "features.feed_share=0.6", False),
        ("off", "features.families=[momentum, book]", False),
    ):
        project, _ = project_of(tmp_path / name, override)
        write_long(tmp_path / name, rows)
        found = features_of(project)
        assert ("ls_ratio" in found) == there, name
        if there:
            assert np.isnan(found["ls_ratio"][:23]).all()
            assert np.isfinite(found["ls_ratio"][23:]).all()


def test_quotes_that_ended_long_ago_are_not_there(tmp_path: Path) -> None:
    """A capture of the first ten of 48 hours stands at every close: the coin has no quotes all the same."""
    project, closes = project_of(tmp_path)
    write_quotes(tmp_path, [(int(close) - MINUTE, 3.0, 1.0) for close in closes[:10]])
    assert "obi1" not in features_of(project)
    short, _ = project_of(tmp_path / "asked", "features.feed_share=0.2")
    write_quotes(tmp_path / "asked", [(int(close) - MINUTE, 3.0, 1.0) for close in closes[:10]])
    found = features_of(short)["obi1"]
    assert found[:10].tolist() == [0.5] * 10
    assert np.isnan(found[10:]).all()
    assert "bid_depth_5bps" not in short.warehouse.require("features", KEYS).summary["absent"]


def test_features_follow_their_feeds(tmp_path: Path) -> None:
    """The layer is downstream of the configured feeds: new quotes make it stale, a feed not built stops it by name."""
    project, closes = project_of(tmp_path)
    layers = {layer.name: layer for layer in layers_of(project.settings)}
    assert layers["features"].upstream == ("bars", "market", "context_bars", "book")
    assert FEATURES_LAYER.upstream == ("bars", "market")
    with pytest.raises(ScalperError, match="context_bars"):
        FEATURES_LAYER.build(project, KEYS)
    write_quotes(tmp_path, [(int(close) - MINUTE, 3.0, 1.0) for close in closes])
    assert set(features_of(project)["obi1"]) == {0.5}
    assert FEATURES_LAYER.fresh(project, KEYS)
    write_quotes(tmp_path, [(int(closes[-1]) - 1000, 1.0, 3.0)], "edgeusdt_more.txt")
    BOOK_LAYER.build(project, KEYS)
    assert not FEATURES_LAYER.fresh(project, KEYS)
    assert features_of(project)["obi1"][-1] == -0.5


def test_every_check_of_the_features_passes_with_feeds(tmp_path: Path) -> None:
    """With quotes in every bar the audit of the partition compares their columns too."""
    project, closes = project_of(tmp_path)
    write_quotes(tmp_path, [(int(close) - MINUTE, 3.0 + i % 3, 1.0) for i, close in enumerate(closes)])
    features_of(project)
    manifest = project.warehouse.require("features", KEYS)
    assert all(check["passed"] for check in manifest.checks)
    assert "quotes" in manifest.summary["groups"]
