"""The layer `book` on real captures and quotes: what was known at each close, whatever the files."""

import gzip
import shutil
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from feedproject import MINUTE, build_flat_bars, feed_project
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.book.captures import read_capture_quotes
from scalper_ml.book.depth import book_bars, book_bars_schema
from scalper_ml.book.depth_rows import DEPTHS
from scalper_ml.book.sequence import QuoteSpool, bars_of_quotes, quotes_in_order
from scalper_ml.errors import ChecksFailedError, InputError
from scalper_ml.layers.book import BOOK_LAYER
from scalper_ml.project import Project
from scalper_ml.schema import QUOTES, stamps, us
from scalper_ml.warehouse import Manifest

CAPTURE = "feeds/binance/spot/ethusdt_20240808.gz"
STAMPED = "feeds/binance/usdm/ethusdt_20240808.gz"
TARDIS = "ticks/tardis_binance-futures_BTCUSDT_2020-02-22_quotes.csv.gz"
SECOND = 1_000_000
CAPTURED = 1_723_161_240 * SECOND  # 2024-08-08T23:54
KEYS = {"symbol": "ETHUSDT"}


@pytest.fixture(scope="module")
def capture() -> list[bytes]:
    """The first 4,000 lines of a real capture: snapshot, quotes, trades and diffs of half a minute."""
    with gzip.open(real_data(CAPTURE)) as file:
        return list(islice(file, 4000))


def eth(folder: Path, *overrides: str, interval: str = "1s") -> Project:
    """A project of ETHUSDT with a folder `feeds`."""
    (folder / "feeds").mkdir(parents=True, exist_ok=True)
    options = [f"book.folder={folder / 'feeds'}", f"bars.interval={interval}"]
    return feed_project(folder, "ETHUSDT", *options, *overrides, interval=interval)


def build(project: Project) -> Manifest:
    return BOOK_LAYER.build(project, {"symbol": project.settings.symbols[0]})


def outcome(manifest: Manifest, name: str) -> tuple[bool, str]:
    check: dict[str, Any] = next(check for check in manifest.checks if check["name"] == name)
    return check["passed"], check["description"]


def test_a_capture_gives_quotes_and_depth_of_each_bar(tmp_path: Path, capture: list[bytes]) -> None:
    """Real 1 s bars: mid, age and updates equal a plain loop over the quotes; depth grows with its band."""
    project = eth(tmp_path)
    closes = build_flat_bars(project, CAPTURED, 90)
    path = tmp_path / "feeds" / "ethusdt_20240808.gz"
    path.write_bytes(gzip.compress(b"".join(capture), 1))
    manifest = build(project)
    rows = project.warehouse.read_table(manifest)
    assert rows.schema.names == book_bars_schema([5, 10, 25]).names
    quotes = read_capture_quotes(path, "ETHUSDT").quotes
    known, bid, ask = us(quotes["ts_us"]).tolist(), quotes["bid"].to_pylist(), quotes["ask"].to_pylist()
    for row, close in zip(rows.to_pylist(), closes.tolist(), strict=True):
        seen = [i for i, at in enumerate(known) if at <= close]
        assert row["mid"] == ((bid[seen[-1]] + ask[seen[-1]]) / 2 if seen else None)
        assert row["quote_age_us"] == (close - known[seen[-1]] if seen else None)
        assert row["quote_updates"] == sum(close - SECOND < at <= close for at in known)
    deep = rows.filter(pa.compute.is_valid(rows["bid_depth_25bps"]))
    assert deep.num_rows > 10
    for side in ("bid", "ask"):
        near, middle, far = (deep[f"{side}_depth_{band}bps"].to_numpy() for band in (5, 10, 25))
        assert (near <= middle).all()
        assert (middle < far).all()
    assert all(
        outcome(manifest, name)[0] for name in ("accounting", "no_future", "crossed_quotes", "stale_quotes", "late")
    )
    [skew] = manifest.summary["clock_skew"]
    assert skew["behind"]
    assert -1400 < skew["median_ms"] < -1100
    assert BOOK_LAYER.fresh(project, KEYS)
    assert not (project.warehouse.folder("book", KEYS) / ".spool").exists()


def test_a_capture_cut_into_files_in_any_order_gives_the_same_top(tmp_path: Path) -> None:
    """Two overlapping halves under names in the wrong order, one of them packed, and a copy: the same content."""
    with gzip.open(real_data(STAMPED)) as file:
        capture = list(islice(file, 2500))
    whole, halves = (eth(tmp_path / name, "book.bands_bps=[]") for name in ("whole", "halves"))
    for project in (whole, halves):
        build_flat_bars(project, CAPTURED, 90)
    (tmp_path / "whole/feeds/ethusdt.gz").write_bytes(gzip.compress(b"".join(capture[:2500]), 1))
    where = tmp_path / "halves" / "feeds"
    (where / "a_ETH-USDT.txt").write_bytes(b"".join(capture[1200:2500]))
    (where / "b_ethusdt.gz").write_bytes(gzip.compress(b"".join(capture[:1400]), 1))
    shutil.copy(where / "b_ethusdt.gz", where / "copy_ethusdt.gz")
    one, other = build(whole), build(halves)
    assert one.content == other.content
    assert other.summary["files"] == 2
    assert other.summary["quotes"] > one.summary["quotes"]


def test_real_quotes_of_a_dump(tmp_path: Path) -> None:
    """9,999 real Tardis quotes: the bars' spread is that of the last quote known at the close, by local stamps."""
    (tmp_path / "feeds").mkdir()
    shutil.copy(real_data(TARDIS), tmp_path / "feeds")
    project = feed_project(tmp_path, "BTCUSDT", f"book.folder={tmp_path / 'feeds'}", interval="10s")
    closes = build_flat_bars(project, 1_582_329_600 * SECOND, 30)
    manifest = build(project)
    rows = project.warehouse.read_table(manifest)
    lines = gzip.decompress(real_data(TARDIS).read_bytes()).decode().splitlines()[1:]
    raw = np.array([[float(x) for x in line.split(",")[2:]] for line in lines])
    for close, spread in zip(closes.tolist(), rows["spread_bps"].to_pylist(), strict=True):
        seen = raw[np.maximum(raw[:, 0], raw[:, 1]) <= close]
        if not len(seen):
            assert spread is None
            continue
        last = seen[np.maximum(seen[:, 0], seen[:, 1]) == np.maximum(seen[:, 0], seen[:, 1]).max()]
        ask, bid = last[:, 3], last[:, 4]
        assert any(spread == pytest.approx(one) for one in (ask - bid) / (ask + bid) * 2e4)
    assert (manifest.summary["quotes"], manifest.summary["clock_skew"]) == (9999, [])
    assert (rows["bid_depth_5bps"].null_count, outcome(manifest, "accounting")[0]) == (30, True)


HEADER = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n"


def dump(*rows: tuple[int, float, float]) -> str:
    """Quotes at CAPTURED plus so many ms: bid and ask."""
    at = CAPTURED // 1000
    return HEADER + "".join(f"{i},{bid},2,{ask},1,{at + ms},{at + ms}\n" for i, (ms, bid, ask) in enumerate(rows))


def test_quotes_and_depth_dumps_side_by_side(tmp_path: Path) -> None:
    """Depth of a dump is known a second after its stamp, and too old after `depth_age_s`."""
    project = eth(tmp_path, "book.bands_bps=[20, 100]", "book.depth_age_s=30", interval="10s")
    build_flat_bars(project, CAPTURED, 6)
    (tmp_path / "feeds" / "ETHUSDT-bookTicker-2024-08-08.csv").write_text(
        dump((1000, 99.9, 100.1), (21000, 100, 100.2))
    )
    (tmp_path / "feeds" / "ETHUSDT-bookDepth-2024-08-08.csv").write_text(
        "timestamp,percentage,depth,notional\n"
        "2024-08-08 23:54:10,-1,70,7000\n2024-08-08 23:54:10,1,50,5000\n2024-08-08 23:54:10,-0.2,7,700\n"
    )
    manifest = build(project)
    rows = project.warehouse.read_table(manifest)
    assert rows["mid"].to_pylist() == pytest.approx([100.0, 100.0, 100.1, 100.1, 100.1, 100.1])
    assert rows["bid_depth_100bps"].to_pylist() == [None, 70.0, 70.0, 70.0, None, None]
    assert rows["bid_depth_20bps"].to_pylist() == [None, 7.0, 7.0, 7.0, None, None]
    assert rows["ask_depth_20bps"].null_count == 6
    assert manifest.summary["format"] == "binance-bookdepth+binance-bookticker"
    # a bar has a trade: over the ten seconds of the fourth bar the top stood still
    assert outcome(manifest, "stale_quotes")[1].startswith("1 of ")


def test_crossed_quotes_warn_or_block_as_the_settings_say(tmp_path: Path) -> None:
    """A crossed quote is counted with its example; with severity error the partition is blocked."""
    for severity, blocked in (("warn", False), ("ignore", False), ("error", True)):
        project = eth(tmp_path / severity, f"quality.severities={{crossed_quotes: {severity}}}")
        build_flat_bars(project, CAPTURED, 10)
        (tmp_path / severity / "feeds" / "ETHUSDT.csv").write_text(
            dump((1000, 99, 101), (2000, 101, 100), (3000, 5, 5))
        )
        manifest = build(project)
        passed, said = outcome(manifest, "crossed_quotes")
        assert passed == (severity == "ignore")
        assert severity == "ignore" or said.startswith("1 of 3 quotes are crossed: ")
        assert severity == "ignore" or "bid 101 ask 100" in said
        assert outcome(manifest, "locked")[1].startswith("1 of 3")
        assert bool(project.warehouse.blocked("book", KEYS)) == blocked
    with pytest.raises(ChecksFailedError, match="crossed_quotes"):
        project.warehouse.require("book", KEYS)


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("ETHUSDT.csv", b"what,is\n1,2\n", "no column for"),
        ("ethusdt.gz", gzip.compress(b"1723161254024619568 {}\n" * 2000)[:-30], "truncated"),
        ("ethusdt.txt", b"1723161254024619568 {}\n", "nothing of symbol"),
        ("ETHUSDT-bookDepth.csv", b"", "empty"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, data: bytes, part: str) -> None:
    """A file that cannot be read stops the build with its name, and leaves nothing behind."""
    project = eth(tmp_path)
    build_flat_bars(project, CAPTURED, 10)
    (tmp_path / "feeds" / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name}.*{part}"):
        build(project)
    folder = project.warehouse.folder("book", KEYS)
    assert [path.name for path in folder.iterdir()] == []


def test_quotes_of_two_formats_are_refused(tmp_path: Path) -> None:
    """Quotes of two venues or markets are not one book: refused, with the files of each."""
    project = eth(tmp_path)
    build_flat_bars(project, CAPTURED, 10)
    (tmp_path / "feeds" / "ETHUSDT_a.csv").write_text(dump((1000, 99, 101)))
    (tmp_path / "feeds" / "ETHUSDT_b.csv").write_text("ts,bid,bid_qty,ask,ask_qty\n1723161241000,99,1,101,1\n")
    with pytest.raises(InputError, match=r"ETHUSDT_a\.csv.*ETHUSDT_b\.csv"):
        build(project)


def test_a_symbol_without_files_has_rows_of_nulls_and_a_warning(tmp_path: Path) -> None:
    """No file of the symbol: every value is null, and a check names the folder."""
    project = eth(tmp_path)
    build_flat_bars(project, CAPTURED, 10)
    manifest = build(project)
    assert not outcome(manifest, "files_found")[0]
    assert manifest.summary["null_share"]["mid"] == 1
    assert manifest.summary["rows"] == 10


QUOTE_ROWS = st.lists(st.tuples(st.integers(0, 400), st.integers(90, 99), st.integers(100, 109)), max_size=40)


@settings(max_examples=30)
@given(rows=QUOTE_ROWS, cuts=st.lists(st.integers(0, 400), max_size=3), gap=st.integers(0, 3), data=st.data())
def test_quotes_of_any_files_give_the_bars_of_all_at_once(
    rows: list[tuple[int, int, int]],
    cuts: list[int],
    gap: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Quotes cut into files that overlap, in any order, give the bars of one table, and none sees the future."""
    rows = sorted(rows)
    at = np.array([row[0] for row in rows], dtype=np.int64)
    ts = stamps(CAPTURED + at)
    values = [np.array([row[i] for row in rows], dtype=np.float64) for i in (1, 2)]
    ones = np.ones(len(rows))
    ids = pa.array(np.arange(len(rows)))
    whole = pa.table([ts, ts, values[0], ones, values[1], ones, ids, pa.array(["x"] * len(rows), pa.string())], QUOTES)
    edges = sorted({0, 401, *cuts})
    folder = tmp_path_factory.mktemp("spool")
    spools = []
    for i, (first, end) in enumerate(pairwise(edges)):
        part = whole.filter(pa.array((at >= first - 20) & (at < end)))
        if part.num_rows:
            spools.append(QuoteSpool.put(part, folder / str(i), f"{(i * 7) % 5}"))
    opens = CAPTURED + np.arange(50, 350, 25 * (1 + gap)).astype(np.int64)
    closes = opens + 25
    built = bars_of_quotes(
        opens,
        closes,
        quotes_in_order(data.draw(st.permutations(spools))),
        DEPTHS.empty_table(),
        bands_bps=(),
        depth_age_us=MINUTE,
        audited=np.arange(len(opens)),
    )
    assert built.rows.equals(book_bars(opens, closes, whole)[0])
    assert (built.audited, built.changed) == (len(opens), [])
