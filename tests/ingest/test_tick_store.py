"""The tick store: any order, split or repetition of the files gives the same days, and every row is accounted for."""

import gzip
import itertools
import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import find_sources
from scalper_ml.ingest.base import Duplicates
from scalper_ml.ingest.days import DayBuffer, day_bytes, day_trades
from scalper_ml.ingest.hashes import FileHashes
from scalper_ml.ingest.sniff import tick_layout
from scalper_ml.ingest.store import StoreState, TickStore
from scalper_ml.warehouse import Warehouse

MS = 1_704_067_200_000
DAY_MS = 86_400_000
Row = tuple[int, str, str, str, int]
KEYS = {"symbol": "X"}


def write(path: Path, rows: Sequence[Row], *, ids: bool = True) -> Path:
    """A file of (ms after 2024-01-01, price, qty, side, id) rows, with the ids in it or not."""
    lines = [",".join(map(str, (MS + row[0], *row[1 : 5 if ids else 4]))) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["ts,price,qty,side" + (",id" if ids else ""), *lines]) + "\n")
    return path


def ingest(
    root: Path, files: Sequence[Path], *, duplicates: Duplicates = "keep", publish: bool = True, version: str = "1"
) -> StoreState:
    """Ingest and publish; every ingest of these tests must account for every row."""
    warehouse = Warehouse(root)
    store = TickStore(
        warehouse, "X", version=version, told=lambda head, path: tick_layout(head, path), duplicates=duplicates
    )
    state = store.ingest(FileHashes(root / "hashes.json").of(files), warehouse.manifest("ticks", KEYS))
    placed = {f"date={day}/data.parquet": one.entry for day, one in state.days.items()}
    if publish:
        rejects = {one.entry["path"]: one.entry for one in state.rejects()}
        beside = {"state.json": state.to_json()}
        warehouse.write("ticks", KEYS, {}, placed=placed, beside=beside, placed_beside=rejects, inputs={})
    assert state.rows + state.repeats + len(quarantined(root, state)) == state.read
    assert state.quarantined == len(quarantined(root, state))
    return state


def quarantined(root: Path, state: StoreState) -> list[tuple[str, int, str, str]]:
    """Rows in quarantine: file, line, reason and text."""
    return list(state.quarantine(Warehouse(root).folder("ticks", KEYS)))


def hashes(state: StoreState) -> dict[str, str]:
    """What the days hold, as hashes of their bytes."""
    return {day: one.entry["sha256"] for day, one in state.days.items()}


def stored(root: Path, state: StoreState) -> list[tuple[int, float, int]]:
    """Offset in ms, price and id of every stored trade."""
    rows = []
    for day in state.days.values():
        trades = day_trades((root / "ticks" / "symbol=X" / day.entry["path"]).read_bytes())
        offsets = ((trades.ts_us - MS * 1000) // 1000).tolist()
        rows += list(zip(offsets, trades.price.tolist(), trades.trade_id.tolist(), strict=True))
    return rows


def test_files_that_share_trades_are_one_tape(tmp_path: Path) -> None:
    """Two files that overlap, in either order, hold each trade once; the shared ones count as repeats."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1), (0, "1", "1", "buy", 2), (5, "2", "1", "buy", 3)])
    two = write(tmp_path / "X2.csv", [(5, "2", "1", "buy", 3), (0, "1", "1", "buy", 2), (9, "3", "1", "buy", 4)])
    first = ingest(tmp_path / "a", [one, two])
    ingest(tmp_path / "b", [two])
    second = ingest(tmp_path / "b", [one, two])
    assert [row[2] for row in stored(tmp_path / "a", first)] == [1, 2, 3, 4]
    assert hashes(first) == hashes(second)
    assert (first.read, first.rows, first.repeats) == (second.read, second.rows, second.repeats) == (6, 4, 2)


def test_the_second_of_two_contradicting_rows_is_quarantined(tmp_path: Path) -> None:
    """One id with two prices: the first by stamp and price is kept, the other stands in quarantine with its file."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1)])
    two = write(tmp_path / "X2.csv", [(0, "2", "1", "buy", 1), (0, "2", "1", "buy", 9)])
    state = ingest(tmp_path / "a", [two, one])
    assert stored(tmp_path / "a", state) == [(0, 1.0, 1), (0, 2.0, 9)]
    assert [row[:2] for row in quarantined(tmp_path / "a", state)] == [("X2.csv", 2)]
    assert "repeated with other values" in quarantined(tmp_path / "a", state)[0][2]


def test_a_coarser_stamp_of_the_same_trade_is_a_repeat(tmp_path: Path) -> None:
    """The same ids stamped in ms by one file and in us by another are the same trades; the finer stamp is kept."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1), (7, "2", "1", "sell", 2)])
    two = tmp_path / "X2.csv"
    two.write_text(f"ts,price,qty,side,id\n{MS * 1000 + 456},1,1,buy,1\n{(MS + 7) * 1000},2,1,sell,2\n")
    state = ingest(tmp_path / "a", [one, two])
    day = next(iter(state.days.values()))
    trades = day_trades((tmp_path / "a" / "ticks" / "symbol=X" / day.entry["path"]).read_bytes())
    assert (trades.ts_us - MS * 1000).tolist() == [456, 7000]
    assert (state.rows, state.repeats, quarantined(tmp_path / "a", state)) == (2, 2, [])


rows_of = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5, DAY_MS - 1, DAY_MS, DAY_MS + 1, 3 * DAY_MS]),
        st.sampled_from(["1", "2.5"]),
        st.sampled_from(["1", "0.1"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 12),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25)
@given(rows=rows_of, ids=st.booleans(), seed=st.integers(0, 10**6))
def test_any_shuffle_split_and_repetition_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], ids: bool, seed: int
) -> None:
    """Rows shuffled, split over files, repeated and ingested one by one give the bytes of one file; all are counted."""
    folder, chance = tmp_path_factory.mktemp("law"), random.Random(seed)
    duplicates: Duplicates = "keep" if ids else "drop"
    whole = ingest(folder / "whole", [write(folder / "X.csv", rows, ids=ids)], duplicates=duplicates)
    shuffled = chance.sample(rows, len(rows))
    cuts = sorted(chance.choices(range(len(rows) + 1), k=2))
    parts = [part for part in (shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :]) if part]
    parts.append(chance.choices(rows, k=3))
    files = [write(folder / "parts" / f"X{i}.csv", part, ids=ids) for i, part in enumerate(parts)]
    chance.shuffle(files)
    state = StoreState()
    for count in range(1, len(files) + 1):  # one after another, as they arrive
        state = ingest(folder / "split", files[:count], duplicates=duplicates)
    assert hashes(state) == hashes(whole)
    at_once = ingest(folder / "at_once", files, duplicates=duplicates)
    assert hashes(at_once) == hashes(whole)
    assert (state.read, state.rows, state.repeats) == (at_once.read, at_once.rows, at_once.repeats)
    # copies of one part are one file, named by whichever came first
    assert sorted(row[2:] for row in quarantined(folder / "split", state)) == sorted(
        row[2:] for row in quarantined(folder / "at_once", at_once)
    )


@settings(max_examples=25)
@given(rows=rows_of, packed=st.booleans(), cut=st.floats(0, 1), other=rows_of, seed=st.integers(0, 10**6))
def test_a_file_cut_anywhere_and_repaired_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], packed: bool, cut: float, other: list[Row], seed: int
) -> None:
    """A file cut at any byte, packed or plain, read beside others, then put back whole: as if it had never been cut."""
    folder, chance = tmp_path_factory.mktemp("cut"), random.Random(seed)
    whole = write(folder / "plain.csv", chance.sample(rows, len(rows))).read_bytes()
    data = gzip.compress(whole, mtime=0) if packed else whole
    path, beside = folder / ("X1.csv.gz" if packed else "X1.csv"), write(folder / "X2.csv", other)
    path.write_bytes(data[: round(cut * len(data))])
    first = ingest(folder / "w", [path, beside], publish=False)
    refused = [file.file for file in first.refused]
    assert refused in ([], [path.name])
    assert refused or not packed or cut * len(data) >= len(data) - 0.5, "a cut archive must never pass for a whole one"
    if not refused:
        ingest(folder / "w", [path, beside])
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    state = ingest(folder / "w", [path, beside])
    expected = ingest(folder / "e", [path, beside])
    assert (hashes(state), state.refused) == (hashes(expected), [])
    assert (state.read, state.rows, state.repeats) == (expected.read, expected.rows, expected.repeats)
    assert quarantined(folder / "w", state) == quarantined(folder / "e", expected)


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2)), min_size=1, max_size=8), min_size=1, max_size=4)
)
def test_rows_without_ids_keep_their_highest_multiplicity(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, int]]]
) -> None:
    """Without ids, a trade is kept as often as the file that has it most often has it, no more and no less."""
    folder = tmp_path_factory.mktemp("most")
    files = [
        write(folder / f"X{i}.csv", [(at, str(price), "1", "buy", 0) for at, price in part], ids=False)
        for i, part in enumerate(parts)
    ]
    distinct = {path.read_text(): path for path in files}
    state = ingest(folder / "w", list(distinct.values()))
    keys = sorted({(at, float(price)) for part in parts for at, price in part})
    most = {key: max([(at, float(price)) for at, price in part].count(key) for part in parts) for key in keys}
    assert [row[:2] for row in stored(folder / "w", state)] == [key for key in keys for _ in range(most[key])]


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_truncated_file_is_repaired_by_its_whole_self(tmp_path: Path, version: str) -> None:
    """A file that was cut and is put in its place whole, or shorter, gives the bytes of the file as it stands."""
    rows = [(i * DAY_MS // 4, "1", "1", "buy", i) for i in range(12)]
    other = write(tmp_path / "X2.csv", [(1, "2", "1", "sell", 100), (2 * DAY_MS + 1, "2", "1", "sell", 101)])
    for first, last in ((7, 12), (12, 5)):
        root = tmp_path / f"w{first}"
        path = write(tmp_path / "X1.csv", rows[:first])
        ingest(root, [path, other])
        write(path, rows[:last])
        os.utime(path, ns=(1, 1))
        state = ingest(root, [path, other], version=version)
        expected = ingest(tmp_path / f"e{first}", [path, other])
        assert hashes(state) == hashes(expected)
        assert (state.read, state.rows) == (last + 2, last + 2)
        assert [file.file for file in state.replaced] == ["X1.csv"]


def test_only_the_days_that_a_late_row_belongs_to_are_written_again(tmp_path: Path) -> None:
    """A late file re-opens its own day: the files of all other days stay the same ones."""
    first = write(tmp_path / "X1.csv", [(i * DAY_MS, "1", "1", "buy", 10 * i) for i in range(5)])
    before = hashes(ingest(tmp_path / "w", [first]))
    folder = tmp_path / "w" / "ticks" / "symbol=X"
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    late = write(tmp_path / "X2.csv", [(2 * DAY_MS + 5, "1", "1", "buy", 21)])
    after = hashes(ingest(tmp_path / "w", [first, late]))
    assert [day for day in after if after[day] != before[day]] == ["2024-01-03"]
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet") if path in written}
    assert kept == {path: stamp for path, stamp in written.items() if path in kept}
    assert len(kept) == 4


def test_a_file_that_is_gone_leaves_what_it_gave(tmp_path: Path) -> None:
    """Raw files may be deleted after ingest: their trades stay, and a new file adds to them."""
    first = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1)])
    ingest(tmp_path / "w", [first])
    first.unlink()
    second = write(tmp_path / "X2.csv", [(5, "1", "1", "buy", 2)])
    state = ingest(tmp_path / "w", [second])
    assert [row[2] for row in stored(tmp_path / "w", state)] == [1, 2]


def test_what_cannot_be_withdrawn_is_said(tmp_path: Path) -> None:
    """A file is replaced while another of its day is gone: nothing is lost, and the day is named."""
    first = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1)])
    gone = write(tmp_path / "X2.csv", [(5, "1", "1", "buy", 2)])
    ingest(tmp_path / "w", [first, gone])
    gone.unlink()
    write(first, [(0, "1", "1", "buy", 3)])
    os.utime(first, ns=(1, 1))
    state = ingest_unchecked(tmp_path / "w", [first])
    assert [row[2] for row in stored(tmp_path / "w", state)] == [1, 3, 2]
    assert state.unwithdrawn == ["2024-01-01 X2.csv"]


def ingest_unchecked(root: Path, files: Sequence[Path]) -> StoreState:
    """As `ingest`, where the rows of a replaced file stay and the counts cannot add up."""
    warehouse = Warehouse(root)
    store = TickStore(warehouse, "X", version="1", told=lambda head, path: tick_layout(head, path))
    return store.ingest(FileHashes(root / "hashes.json").of(files), warehouse.manifest("ticks", KEYS))


@pytest.mark.parametrize("damage", ["cut", "gone", "altered"])
def test_a_damaged_day_is_made_anew_from_its_files(tmp_path: Path, damage: str) -> None:
    """A stored day that was cut or deleted heals with the next ingest; an altered one is never joined with new rows."""
    first = write(tmp_path / "X1.csv", [(i * 1000, "1", "1", "buy", i) for i in range(50)])
    state = ingest(tmp_path / "w", [first])
    path = tmp_path / "w" / "ticks" / "symbol=X" / state.days["2024-01-01"].entry["path"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.unlink()
    if damage != "gone":
        path.write_bytes(data if damage == "altered" else data[:-10])
    late = write(tmp_path / "X2.csv", [(500, "2", "1", "sell", 100)])
    healed = ingest(tmp_path / "w", [first, late])
    assert hashes(healed) == hashes(ingest(tmp_path / "e", [first, late]))


def test_a_damaged_day_without_its_file_is_named(tmp_path: Path) -> None:
    """Where the source of a damaged day is gone, too, the ingest fails and names the day and the file to put back."""
    first = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1)])
    state = ingest(tmp_path / "w", [first])
    (tmp_path / "w" / "ticks" / "symbol=X" / state.days["2024-01-01"].entry["path"]).unlink()
    first.unlink()
    late = write(tmp_path / "X2.csv", [(500, "2", "1", "sell", 100)])
    with pytest.raises(InputError, match=r"2024-01-01: .* is damaged, and X1.csv, .* is gone"):
        ingest(tmp_path / "w", [late])


def test_rows_in_quarantine_outlive_the_file_they_came_from(tmp_path: Path) -> None:
    """A contradiction stays in quarantine when its file is gone and the day is made anew; all rows are counted."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1), (1, "1", "1", "buy", 2)])
    two = write(tmp_path / "X2.csv", [(0, "2", "1", "buy", 1), (1, "1", "1", "buy", 2)])
    ingest(tmp_path / "w", [one, two])
    two.unlink()
    three = write(tmp_path / "X3.csv", [(1, "9", "1", "buy", 2)])
    state = ingest(tmp_path / "w", [one, three])
    assert [row[0] for row in quarantined(tmp_path / "w", state)] == ["X2.csv", "X3.csv"]
    assert (state.read, state.rows, state.repeats) == (5, 2, 1)
    assert state.unwithdrawn == []


def test_a_folder_that_moved_keeps_its_files(tmp_path: Path) -> None:
    """A project that was moved, some of its files as they were, notices one that is replaced at its new place."""
    rows = {"X": (0, "1", "1", "buy", 1), "X2": (1, "2", "1", "buy", 2)}
    ingest(tmp_path / "w", [write(tmp_path / "old" / f"{name}.csv", [row]) for name, row in rows.items()])
    (tmp_path / "old").rename(tmp_path / "new")
    moved = write(tmp_path / "new" / "X.csv", [(0, "3", "1", "buy", 7)])
    state = ingest(tmp_path / "w", [moved, tmp_path / "new" / "X2.csv"])
    assert stored(tmp_path / "w", state) == [(0, 3.0, 7), (1, 2.0, 2)]


def test_a_file_of_the_same_name_elsewhere_withdraws_nothing(tmp_path: Path) -> None:
    """Months unpacked one after the other into folders of their own, under one name, all stay, though each goes."""
    for month in range(3):
        path = write(tmp_path / f"month{month}" / "X.csv", [(month * DAY_MS, "1", "1", "buy", month)])
        state = ingest(tmp_path / "w", [path])
        path.unlink()
    assert [row[2] for row in stored(tmp_path / "w", state)] == [0, 1, 2]
    assert state.replaced == []


def test_an_ingest_that_was_never_published_is_taken_up(tmp_path: Path) -> None:
    """Days put in place by a killed ingest do no harm, and the next one gives the bytes of an undisturbed one."""
    files = [write(tmp_path / f"X{i}.csv", [(i * DAY_MS, "1", "1", "buy", i)]) for i in range(4)]
    ingest(tmp_path / "w", files[:2], publish=False)
    state = ingest(tmp_path / "w", files)
    assert hashes(state) == hashes(ingest(tmp_path / "e", files))
    folder = tmp_path / "w" / "ticks" / "symbol=X"
    assert {path.name for path in folder.rglob("data-*")} == {Path(d.entry["path"]).name for d in state.days.values()}


def test_sources_do_not_mix(tmp_path: Path) -> None:
    """Trades and aggregate trades of one venue would count twice: they are refused by name."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1)])
    two = tmp_path / "X2.csv"
    two.write_text(f"1,1,1,1,1,{MS},true\n")
    (refused,) = ingest(tmp_path / "w", [one, two]).refused
    assert "X2.csv: binance-usdm-aggtrades trades, but those of X are ['csv']" in (refused.refused or "")


def test_files_with_and_without_ids_do_not_mix(tmp_path: Path) -> None:
    """The same trades exported with ids and without would count twice: they are refused, and both are named."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 1)])
    two = write(tmp_path / "X2.csv", [(0, "1", "1", "buy", 1)], ids=False)
    (refused,) = ingest(tmp_path / "w", [one, two]).refused
    assert "X2.csv: its trades have no ids, those of X1.csv have ids" in (refused.refused or "")


def test_the_same_bytes_under_two_names_are_one_file(tmp_path: Path) -> None:
    """A copy of a file adds no row, not even to those read."""
    one = write(tmp_path / "X1.csv", [(0, "1", "1", "buy", 0)], ids=False)
    two = write(tmp_path / "X1 (copy).csv", [(0, "1", "1", "buy", 0)], ids=False)
    state = ingest(tmp_path / "w", [one, two])
    assert (state.read, state.rows, len(state.files)) == (1, 1, 1)


def test_days_leave_the_buffer_as_they_fill(tmp_path: Path) -> None:
    """The buffer never holds more than its limit and the newest day, whatever the length of the file."""
    from scalper_ml.ingest.batches import Batch
    from scalper_ml.ingest.order import Trades

    buffer = DayBuffer(100)
    days: list[str] = []
    for start in range(0, 1000, 50):
        ts_us = MS * 1000 + (start + np.arange(50)) * DAY_MS * 25
        ones = np.ones(50)
        buffer.append(Batch(Trades(ts_us, ones, ones, ones.astype(np.int8), np.arange(50)), np.arange(50), ()))
        if buffer.full:
            days += [day for day, _, _ in buffer.take(everything=False)]
    days += [day for day, _, _ in buffer.take(everything=True)]
    assert days == sorted(set(days))
    assert len(days) == 25


def test_a_stored_day_reads_back_bit_for_bit() -> None:
    """What is stored of a day is what it was, ids or none, and equal trades are equal bytes."""
    from scalper_ml.ingest.order import Trades

    rng = np.random.default_rng(3)
    n = 5000
    trades = Trades(
        MS * 1000 + np.sort(rng.integers(0, 86_400_000_000, n)),
        rng.lognormal(0, 9, n),
        rng.lognormal(0, 9, n),
        rng.choice(np.array([-1, 1], dtype=np.int8), n),
        np.where(rng.random(n) < 0.2, -1, rng.integers(0, 10**18, n)),
    )
    again = day_trades(day_bytes(trades, "source"))
    for name in ("ts_us", "price", "qty", "side", "trade_id"):
        assert np.array_equal(getattr(again, name), getattr(trades, name)), name
    assert day_bytes(trades, "source") == day_bytes(again, "source")


def test_files_of_a_symbol_are_found_by_name(tmp_path: Path) -> None:
    """A symbol's files begin with it and go on with no letter or digit; truths and other symbols are left out."""
    mine = ["BTCUSDT-trades-2024-01.zip", "BTCUSDT.csv", "BTCUSDT.csv.gz", "BTCUSDT_synthetic.csv", "BTCUSDT.feather"]
    others = [
        "BTCUSDTPERP.csv", "BTCUSDT2.csv", "BTCUSD.csv", "xBTCUSDT.csv", "BTCUSDT_synthetic.truth.json", "BTCUSDT.txt",
        ".BTCUSDT.csv.1.part", "btcusdt.csv",
    ]  # fmt: skip
    for name in mine + others:
        (tmp_path / name).touch()
    (tmp_path / "BTCUSDT-folder.csv").mkdir()
    assert [path.name for path in find_sources(tmp_path, "BTCUSDT")] == sorted(mine)
    assert find_sources(tmp_path, "ETHUSDT") == []
    with pytest.raises(InputError, match="no such folder"):
        find_sources(tmp_path / "none", "BTCUSDT")


def test_hashes_are_remembered_by_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unchanged file is not read again; one whose time was put back is, as its inode changed since."""
    path = tmp_path / "X.csv"
    path.write_text("one")
    os.utime(path, ns=(10, 10))
    first = FileHashes(tmp_path / "memory.json").of([path])[0]
    path.write_text("two")
    os.utime(path, ns=(10, 10))
    second = FileHashes(tmp_path / "memory.json").of([path])[0]
    assert second.sha256 != first.sha256
    assert second.unchanged()
    assert not first.unchanged()
    monkeypatch.setattr("hashlib.sha256", None)  # nothing is hashed from here on
    assert FileHashes(tmp_path / "memory.json").of([path]) == [second]


def test_every_pair_of_orders_agrees(tmp_path: Path) -> None:
    """Three files, one of which contradicts the others: every order of arrival ends with the same days and rejects."""
    contents = [
        [(0, "1", "1", "buy", 1), (3, "1", "1", "buy", 2)],
        [(0, "2", "1", "buy", 1), (DAY_MS, "1", "1", "buy", 3)],
        [(3, "1", "1", "buy", 2), (DAY_MS, "1", "1", "sell", 3)],
    ]
    files = [write(tmp_path / f"X{i}.csv", rows) for i, rows in enumerate(contents)]
    found = []
    for k, order in enumerate(itertools.permutations(files)):
        state = StoreState()
        for count in (1, 2, 3):
            state = ingest(tmp_path / f"w{k}", order[:count])
        found.append((hashes(state), quarantined(tmp_path / f"w{k}", state), state.repeats))
    assert all(one == found[0] for one in found)
