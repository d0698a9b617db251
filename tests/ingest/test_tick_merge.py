"""Several files of one symbol, and the files of a folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import TickFile, find_sources, merge_ticks, read_ticks
from scalper_ml.schema import us

MS = 1_704_067_200_000
Row = tuple[int, int, int]


def tick_file(folder: Path, rows: list[Row], name: str, ids: bool) -> TickFile:
    """A file of (offset, price, id) rows, with the ids in it or not."""
    lines = [f"{MS + offset},{price},1,buy" + (f",{trade_id}" if ids else "") for offset, price, trade_id in rows]
    path = folder / name
    path.write_text("\n".join(["ts,price,qty,side" + (",id" if ids else ""), *lines]) + "\n")
    return read_ticks(path, symbol="X")


def stamps_and_prices(file: TickFile) -> list[tuple[int, float]]:
    return list(zip((us(file.ticks["ts_us"]) // 1000 - MS).tolist(), file.ticks["price"].to_pylist(), strict=True))


def test_overlapping_files_with_ids_hold_each_trade_once(tmp_path: Path) -> None:
    """Two days that share trades, given in either order, are one tape; the shared trades count as duplicates."""
    one = tick_file(tmp_path, [(0, 1, 1), (0, 1, 2), (5, 2, 3)], "a.csv", ids=True)
    two = tick_file(tmp_path, [(5, 2, 3), (0, 1, 2), (9, 3, 4)], "b.csv", ids=True)
    merged = merge_ticks([one, two])
    assert merged.ticks["trade_id"].to_pylist() == [1, 2, 3, 4]
    assert merged.ticks.equals(merge_ticks([two, one]).ticks)
    counts = merged.counts
    assert (counts.read, counts.accepted, counts.duplicate, counts.quarantined) == (6, 4, 2, 0)


def test_an_id_with_other_values_in_another_file_is_quarantined(tmp_path: Path) -> None:
    """A re-uploaded file that contradicts the first one does not replace its trade silently."""
    one = tick_file(tmp_path, [(0, 1, 1)], "a.csv", ids=True)
    two = tick_file(tmp_path, [(0, 2, 1)], "b.csv", ids=True)
    merged = merge_ticks([one, two])
    assert stamps_and_prices(merged) == [(0, 1.0)]
    assert (merged.counts.read, merged.counts.accepted, merged.counts.quarantined) == (2, 1, 1)
    assert "another file with other values" in merged.quarantine["reason"][0].as_py()


rows_without_ids = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2), st.just(0)), min_size=1, max_size=8)


@given(st.lists(rows_without_ids, min_size=1, max_size=4))
def test_rows_without_ids_keep_their_highest_multiplicity(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]]
) -> None:
    """Without ids, a trade is kept as often as the file that has it most often has it, no more and no less."""
    folder = tmp_path_factory.mktemp("merge")
    files = [tick_file(folder, rows, f"{i}.csv", ids=False) for i, rows in enumerate(parts)]
    merged = merge_ticks(files)
    keys = sorted({(offset, float(price)) for rows in parts for offset, price, _ in rows})
    most = {key: max([(o, float(p)) for o, p, _ in rows].count(key) for rows in parts) for key in keys}
    assert sorted(stamps_and_prices(merged)) == [key for key in keys for _ in range(most[key])]
    counts = merged.counts
    assert counts.accepted + counts.duplicate + counts.quarantined == counts.read == sum(map(len, parts))
    assert counts.accepted == merged.ticks.num_rows


def test_sources_do_not_mix(tmp_path: Path) -> None:
    """Trades and aggregate trades of one venue would count twice: they are refused, as is merging nothing."""
    one = tick_file(tmp_path, [(0, 1, 1)], "a.csv", ids=True)
    (tmp_path / "b.csv").write_text(f"1,1,1,1,1,{MS},true\n")
    two = read_ticks(tmp_path / "b.csv", symbol="X")
    with pytest.raises(InputError, match=r"2 sources \['binance-usdm-aggtrades', 'csv'\]; expected one"):
        merge_ticks([one, two])
    with pytest.raises(InputError, match="no files"):
        merge_ticks([])


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
