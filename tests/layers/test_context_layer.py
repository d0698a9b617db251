"""The layers `context` and `context_bars` on real feeds: found, merged, refused, and never seen early."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from feedproject import HOUR, MINUTE, build_flat_bars, feed_project
from realdata import real_data

from scalper_ml.context.per_bar import MAX_AGE_US
from scalper_ml.errors import ChecksFailedError, InputError, SettingsError
from scalper_ml.layers.context import CONTEXT_LAYER
from scalper_ml.layers.context_bars import CONTEXT_BARS_LAYER, changed_by_vintage
from scalper_ml.project import Project
from scalper_ml.schema import CONTEXT_BARS, us
from scalper_ml.warehouse import Manifest

USDM = "derivs/binance_usdm_2025-05-25_06-13"
OKX = "derivs/okx_SOL-USDT-SWAP"
MAY_25 = 1_748_131_200_000_000


def feeds(folder: Path, *names: str) -> Path:
    """A folder with copies of real files."""
    (folder / "feeds").mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(real_data(name), folder / "feeds")
    return folder / "feeds"


def ada(folder: Path, *overrides: str, interval: str = "1m") -> Project:
    """A project of ADAUSDT with its real funding."""
    where = feeds(folder, f"{USDM}/ADAUSDT-8h-funding_rate.csv.gz")
    return feed_project(folder, "ADAUSDT", f"context.folder={where}", *overrides, interval=interval)


def lines_of(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def keys(project: Project) -> dict[str, str | int]:
    return {"symbol": project.settings.symbols[0]}


def context(project: Project) -> Manifest:
    return CONTEXT_LAYER.build(project, keys(project))


def outcome(manifest: Manifest, name: str) -> tuple[bool, str]:
    check: dict[str, Any] = next(check for check in manifest.checks if check["name"] == name)
    return check["passed"], check["description"]


def rows(project: Project) -> pa.Table:
    """The rows of `context_bars`, built."""
    context(project)
    return project.warehouse.read_table(CONTEXT_BARS_LAYER.build(project, keys(project)))


def test_a_jittered_rate_is_seen_from_its_stamp_on(tmp_path: Path) -> None:
    """At closes on the settlement the rate is the new one where its stamp is sharp, else that of 8 h before."""
    project = ada(tmp_path)
    closes = build_flat_bars(project, MAY_25, 20 * 24 * 60)
    found = rows(project)
    raw = [line.split(",") for line in lines_of(tmp_path / "feeds" / "ADAUSDT-8h-funding_rate.csv.gz")[1:]]
    known = np.array([int(stamp) * 1000 for stamp, *_ in raw])
    rate = np.array([float(value) for _, value, *_ in raw])
    naive = np.append(rate, np.nan)[np.searchsorted(known, closes, side="right") - 1]
    np.testing.assert_array_equal(found["funding_rate"].to_numpy(), naive)
    sharp = np.isin(closes, known[known % HOUR == 0])
    late = np.isin(closes, known[known % HOUR > 0] // HOUR * HOUR)
    assert (sharp.sum(), late.sum()) == (30, 28)
    age = found["funding_age_h"].to_numpy()
    assert (age[sharp] == 0).all()
    assert (age[late][1:] == 8).all()


def test_venue_spellings_and_candles_beside_the_feeds(tmp_path: Path) -> None:
    """Of SOL-USDT-SWAP files of SOLUSDT the feeds are read, candles and their bare headers are listed, not read."""
    project = feed_project(tmp_path, "SOLUSDT", f"context.folder={real_data(OKX)}", interval="15m")
    manifest = context(project)
    assert manifest.summary["rows"] == 43 + 345 * 4
    assert len(manifest.summary["candles"]) == 4
    assert outcome(manifest, "files_found")[0]
    assert not project.warehouse.blocked("context", keys(project))
    beside = project.warehouse.read_table(manifest, "observations.parquet").to_pylist()
    assert sum(row["read"] for row in beside) == manifest.summary["read"] == 1768
    assert sorted({row["format"] for row in beside}) == manifest.summary["format"].split("+")


def test_a_revision_is_invisible_before_it_was_known(tmp_path: Path) -> None:
    """Real open interest, every third hour revised 30 minutes after it was known: closes before see the first value."""
    name = "SOL-USDT-SWAP_open_interest.csv.gz"
    where = feeds(tmp_path, f"{OKX}/{name}")
    project = feed_project(tmp_path, "SOLUSDT", f"context.folder={where}", interval="15m")
    first = [line.split(",") for line in lines_of(where / name)[1:]]
    start = int(first[0][0]) * 1000
    closes = build_flat_bars(project, start, 345 * 4)
    plain = rows(project)
    revised = ["kind,event_ts,known_ts,value,source"]
    for stamp, _, value in first[::3]:
        known = int(stamp) * 1000 + 35 * MINUTE
        revised.append(f"open_interest_value,{stamp},{known},{float(value) * 0.9!r},okx-open-interest")
    (where / "SOLUSDT_revisions.csv").write_text("\n".join(revised) + "\n")
    found = rows(project)
    before, after = (table["open_interest_value"].to_numpy() for table in (plain, found))
    known_at = {int(stamp) * 1000 + 35 * MINUTE for stamp, *_ in first[::3]}
    seen = np.array([bool({(int(at) - 35 * MINUTE) // HOUR * HOUR + 35 * MINUTE} & known_at) for at in closes])
    seen &= (closes - 5 * MINUTE) // HOUR == (closes - 35 * MINUTE) // HOUR  # no newer hour is known yet
    same = (before == after) | np.isnan(before)
    np.testing.assert_array_equal(same, ~seen | np.isnan(before))
    assert seen.sum() >= 115
    check = CONTEXT_BARS_LAYER.build(project, keys(project))
    assert outcome(check, "no_future")[0]
    assert context(project).summary["kinds"]["open_interest_value"]["revised"] == 115


def test_the_check_for_the_future_finds_a_revision_seen_early(tmp_path: Path) -> None:
    """Rows made with the last revision of every event, as a table without known times would, are found out."""
    project = ada(tmp_path)
    build_flat_bars(project, MAY_25 + 16 * HOUR, 600)
    at = MAY_25 + 17 * HOUR
    (tmp_path / "feeds" / "ADAUSDT_long.csv").write_text(
        "kind,event_ts,known_ts,value,source\n"
        f"open_interest,{at},{at},100,x\nopen_interest,{at},{at + 2 * HOUR},140,x\n"
    )
    table = rows(project)
    whole = project.warehouse.read_table(project.warehouse.require("context", keys(project)))
    options: dict[str, Any] = {"bar_us": MINUTE, "kinds": (), "max_age_us": MAX_AGE_US}
    places = np.arange(0, 600, 29)
    assert changed_by_vintage(table, whole, places, **options) == []
    early = table["open_interest"].to_numpy().copy()
    early[early == 100] = 140
    at_column = table.schema.get_field_index("open_interest")
    wrong = table.set_column(at_column, CONTEXT_BARS.field("open_interest"), pa.array(early))
    changed = changed_by_vintage(wrong, whole, places, **options)
    assert changed
    assert {text.split()[0] for text in changed} == {"open_interest"}


def test_a_missing_day_is_listed(tmp_path: Path) -> None:
    """Three settlements of one day taken out of real funding: the day, the hole and its length are named."""
    project = ada(tmp_path)
    path = tmp_path / "feeds" / "ADAUSDT-8h-funding_rate.csv.gz"
    day = range(MAY_25 // 1000 + 5 * 86_400_000, MAY_25 // 1000 + 6 * 86_400_000)
    lines = lines_of(path)
    kept = [lines[0], *(line for line in lines[1:] if int(line.split(",")[0]) not in day)]
    path.write_bytes(gzip.compress("\n".join(kept).encode()))
    assert len(lines) - len(kept) == 3
    manifest = context(project)
    assert outcome(manifest, "missing_days") == (
        False,
        "funding_rate: 1 UTC days without any value between the first and the last (2025-05-30)",
    )
    assert not outcome(manifest, "missing")[0]
    [gap] = project.warehouse.read_table(manifest, "context_gaps.parquet").to_pylist()
    assert (gap["kind"], gap["missing"], gap["period_us"]) == ("funding_rate", 3, 8 * HOUR)
    assert not project.warehouse.blocked("context", keys(project))


BROKEN = [
    (b"", ["empty"]),
    (gzip.compress(b"fundingTime,fundingRate\n1748188800000,0.0001\n" * 50)[:-20], ["truncated"]),
    (gzip.compress(b"when,what\n1,2\n"), ["line 1", "'when'"]),
    (
        gzip.compress(
            b"timestamp,open,high,low,close,volume\n"
            b"1748188800000,0.74,0.76,0.73,0.75,0\n1748217600000,0.75,0.78,0.74,0.77,9\n"
        ),
        ["line 3", "volume"],
    ),
]


@pytest.mark.parametrize(("data", "parts"), BROKEN, ids=["empty", "truncated", "columns", "volume"])
def test_a_broken_file_is_refused_by_name_and_the_last_good_stays(
    tmp_path: Path, data: bytes, parts: list[str]
) -> None:
    """A file that cannot be read stops the build with an error that names it; what was published stays as it was."""
    project = ada(tmp_path)
    before = context(project)
    (tmp_path / "feeds" / "ADAUSDT-more.csv.gz").write_bytes(data)
    with pytest.raises(InputError) as caught:
        context(project)
    for part in ("ADAUSDT-more.csv.gz", *parts):
        assert part in str(caught.value)
    assert project.warehouse.manifest("context", keys(project)) == before


def test_order_names_splits_and_repeats_of_files_are_irrelevant(tmp_path: Path) -> None:
    """The same values in other files, cut in two, overlapping and in another order, give the same content."""
    one, other = ada(tmp_path / "one"), ada(tmp_path / "other")
    where = tmp_path / "other" / "feeds"
    header, *lines = lines_of(where / "ADAUSDT-8h-funding_rate.csv.gz")
    (where / "ADAUSDT-8h-funding_rate.csv.gz").unlink()
    for name, part in (("z-ADA-USDT", lines[:30]), ("a_adausdt_x", lines[25:][::-1])):
        (where / f"{name}.csv").write_text("\n".join([header, *part]) + "\n")
    manifests = [context(project) for project in (one, other)]
    assert manifests[0].content == manifests[1].content
    assert (manifests[1].summary["duplicate"], manifests[0].summary["duplicate"]) == (5, 0)
    assert [outcome(m, "stamps_in_order")[0] for m in manifests] == [True, False]


def test_what_is_unchanged_is_fresh(tmp_path: Path) -> None:
    """A renamed file leaves both layers fresh; a new value makes them stale, and a setting of theirs, too."""
    project = ada(tmp_path)
    build_flat_bars(project, MAY_25, 100)
    rows(project)
    path = tmp_path / "feeds" / "ADAUSDT-8h-funding_rate.csv.gz"
    path = path.rename(path.with_name("ADA_USDT_funding.csv.gz"))
    assert all(layer.fresh(project, keys(project)) for layer in (CONTEXT_LAYER, CONTEXT_BARS_LAYER))
    delayed = ada(tmp_path / "same", "context.delay_s={freqtrade-funding: 60}")
    delayed = Project(delayed.settings.model_copy(update={"storage": project.settings.storage}), delayed.folder)
    assert not CONTEXT_LAYER.fresh(delayed, keys(project))
    older = ada(tmp_path / "same", "context.max_age_h={funding_rate: 4}")
    older = Project(older.settings.model_copy(update={"storage": project.settings.storage}), older.folder)
    assert CONTEXT_LAYER.fresh(older, keys(project))
    assert not CONTEXT_BARS_LAYER.fresh(older, keys(project))
    path.write_bytes(gzip.compress("\n".join(lines_of(path)[:-1]).encode()))
    assert not CONTEXT_LAYER.fresh(project, keys(project))


def test_delay_and_age_of_the_settings_hold(tmp_path: Path) -> None:
    """A rate delayed by 60 s is seen a minute later, and one older than 4 h is not seen at all."""
    project = ada(tmp_path, "context.delay_s={freqtrade-funding: 60}", "context.max_age_h={funding_rate: 4}")
    closes = build_flat_bars(project, MAY_25 + 15 * HOUR, 8 * 60)
    age = rows(project)["funding_age_h"].to_numpy()
    since = (closes - (MAY_25 + 16 * HOUR)) / HOUR
    np.testing.assert_array_equal(np.isnan(age), ~((since >= 1 / 60) & (since <= 4)))


def test_rates_in_percent_block_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    """Real rates, the later half in percent, are blocked with the rule and the place; as a warning they pass."""
    project = ada(tmp_path)
    path = tmp_path / "feeds" / "ADAUSDT-8h-funding_rate.csv.gz"
    header, *lines = lines_of(path)
    parts = [line.split(",") for line in lines]
    scaled = [[ts, str(float(rate) * (1 if i < 29 else 1e4)), *rest] for i, (ts, rate, *rest) in enumerate(parts)]
    path.write_bytes(gzip.compress("\n".join([header, *map(",".join, scaled)]).encode()))
    manifest = context(project)
    assert not outcome(manifest, "rate_unit")[0]
    assert not outcome(manifest, "rate_size")[0]
    with pytest.raises(ChecksFailedError, match="rate_size"):
        project.warehouse.require("context", keys(project))
    lenient = ada(tmp_path / "x", "context.severities={rate_unit: warn, rate_size: ignore}")
    path.rename(tmp_path / "x" / "feeds" / path.name)
    assert not outcome(context(lenient), "rate_unit")[0]
    assert outcome(context(lenient), "rate_size") == (True, "ignored, as the settings say")
    assert lenient.warehouse.require("context", keys(lenient)).summary["rows"] == 58


def test_a_symbol_without_files_is_empty_and_says_so(tmp_path: Path) -> None:
    """No file of the symbol: an empty table, columns of NaN, and warnings that name the folder."""
    (tmp_path / "feeds").mkdir()
    project = feed_project(tmp_path, "ADAUSDT", f"context.folder={tmp_path / 'feeds'}")
    build_flat_bars(project, MAY_25, 10)
    manifest = context(project)
    passed, said = outcome(manifest, "files_found")
    assert not passed
    assert "ADAUSDT" in said
    assert str(tmp_path / "feeds") in said
    found = CONTEXT_BARS_LAYER.build(project, keys(project))
    assert not outcome(found, "filled")[0]
    assert set(found.summary["nan_share"].values()) == {1.0}


def test_a_further_kind_is_a_column(tmp_path: Path) -> None:
    """A kind of a long table that the settings name becomes a column of its own; a known column is refused."""
    project = ada(tmp_path, "context.kinds=[dvol]")
    closes = build_flat_bars(project, MAY_25 + 16 * HOUR, 10)
    at = closes[4]
    (tmp_path / "feeds" / "ADAUSDT_dvol.csv").write_text(f"kind,event_ts,known_ts,value\ndvol,{at - 9},{at},55.5\n")
    np.testing.assert_array_equal(rows(project)["dvol"].to_numpy(), [np.nan] * 4 + [55.5] * 6)
    for wrong, part in (("context.kinds=[mark_price]", "mark_price"), ("context.severities={what: warn}", "what")):
        with pytest.raises(SettingsError, match=part):
            ada(tmp_path, wrong)


def test_a_feed_that_died_is_a_warning(tmp_path: Path) -> None:
    """Bars that go on for two days after the last settlement: the kind, and when it last came."""
    project = ada(tmp_path, interval="1h")
    build_flat_bars(project, MAY_25, 24 * 22)
    context(project)
    manifest = CONTEXT_BARS_LAYER.build(project, keys(project))
    passed, said = outcome(manifest, "stale")
    assert not passed
    assert "2025-06-13 16:00" in said
    stale = project.warehouse.read_table(manifest)
    ages = us(stale["ts_us"]) > MAY_25 + (19 * 24 + 16 + 25) * HOUR
    assert np.isnan(stale["funding_rate"].to_numpy()[ages]).all()
