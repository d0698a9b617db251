"""Raw captures as ticks: read by the same command, under the same promises as any other file of trades."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from realdata import real_data
from tickproject import TickProject

from scalper_ml.errors import InputError
from scalper_ml.ingest import read_ticks
from scalper_ml.ingest.base import Contract
from scalper_ml.layers.ticks import read_all_ticks

AT_MS = 1_723_161_256_298
KEYS = {"symbol": "BTCUSDT"}


def message(at: int, **data: object) -> str:
    said = {"E": AT_MS + at, "T": AT_MS + at, "s": "BTCUSDT"} | data
    return f"{(AT_MS + at) * 1_000_000} " + json.dumps({"stream": "s", "data": said})


def trade(number: int, **changes: object) -> str:
    fields = {"e": "trade", "t": number, "p": "61800.30", "q": "0.006", "X": "MARKET", "m": number % 2 == 0}
    return message(10 * number, **(fields | changes))


def agg(number: int) -> str:
    return message(10 * number, e="aggTrade", a=number, p="61800.30", q="0.006", m=False)


def quote(at: int) -> str:
    return message(at, e="bookTicker", u=at, b="61800.2", B="1", a="61800.3", A="1")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """An empty project."""
    return TickProject.make(tmp_path / "project", monkeypatch)


def lines(*some: str) -> str:
    return "\n".join(some) + "\n"


def test_captures_become_ticks_whatever_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlapping captures, split otherwise and in another order, packed or not, store the same bytes."""
    every = [trade(i) for i in range(1, 41)]
    stored = []
    for number, cuts in enumerate([(0, 25, 20, 40), (10, 40, 0, 12)]):
        place = TickProject.make(tmp_path / str(number), monkeypatch)
        for at, (begin, end) in enumerate(zip(cuts[::2], cuts[1::2], strict=True)):
            name = f"btcusdt_2024080{8 + at}.gz" if number else f"BTCUSDT_2024080{8 + at}.log"
            path = place.put(f"in/{name}", lines(quote(1), *every[begin:end]))
            if number:
                path.write_bytes(gzip.compress(path.read_bytes()))
            done = place.scalper("ingest", str(path))
            assert done.code == 0, done.err
        manifest = place.open().warehouse.require("ticks", KEYS)
        assert (manifest.summary["format"], manifest.summary["rows"]) == ("binance-usdm-capture", 40)
        assert manifest.summary["duplicate"] == sum(cuts[1::2]) - sum(cuts[::2]) - 40
        stored.append(place.days())
    assert stored[0] == stored[1]


def test_a_damaged_message_is_in_quarantine_and_the_rest_is_read(place: TickProject) -> None:
    """A torn line and a price of zero are rejected with their line and text; accounting holds."""
    torn, zero = trade(2)[:-9], trade(3, p="0")
    place.put("in/BTCUSDT-capture.jsonl", lines(trade(1), torn, zero, trade(4)))
    assert place.scalper("ingest", "in").code == 0
    project = place.open()
    manifest = project.warehouse.require("ticks", KEYS)
    rows = project.warehouse.read_table(manifest, "quarantine.parquet").to_pylist()
    assert [(row["line"], row["raw"][-40:]) for row in rows] == [(2, torn[-40:]), (3, zero[-40:])]
    assert read_all_ticks(project, manifest)["trade_id"].to_pylist() == [1, 4]
    assert manifest.summary["read"] == 4


def test_aggregate_trades_beside_trades_must_be_chosen(place: TickProject) -> None:
    """A capture of both kinds is refused by name of both, read as the one that --format says, and only that."""
    place.put("in/BTCUSDT-capture.jsonl", lines(trade(1), agg(7), trade(2)))
    refused = place.scalper("ingest", "in")
    assert refused.code == 1
    assert "line 2: BTCUSDT in 2 formats ['binance-usdm-capture', 'binance-usdm-capture-agg']" in refused.err
    done = place.scalper("ingest", "in", "--format", "binance-usdm-capture-agg")
    assert done.code == 0, done.err
    project = place.open()
    assert read_all_ticks(project, project.warehouse.require("ticks", KEYS))["trade_id"].to_pylist() == [7]


def test_a_quiet_capture_is_no_other_source(place: TickProject) -> None:
    """A capture with quotes and no trade stands beside captures of aggregate trades, and is not read again."""
    place.put("in/BTCUSDT-1.jsonl", lines(quote(1), quote(2)))
    place.put("in/BTCUSDT-2.jsonl", lines(agg(3)))
    place.put("in/BTCUSDT-3.jsonl", lines(quote(4)))
    done = place.scalper("ingest", "in")
    assert done.code == 0, done.err
    assert place.open().warehouse.require("ticks", KEYS).summary["rows"] == 1
    assert "nothing new" in place.scalper("ingest", "in").out


def test_a_capture_of_another_symbol_or_format_is_refused(tmp_path: Path) -> None:
    """The message says what was asked for and what is there."""
    path = tmp_path / "capture"
    path.write_text(lines(trade(1)))
    with pytest.raises(InputError, match="nothing of symbol 'ETHUSDT'"):
        read_ticks(path, symbol="ETHUSDT")
    with pytest.raises(InputError, match="nothing of symbol 'BTCUSDT' in it as okx-capture"):
        read_ticks(path, symbol="BTCUSDT", format="okx-capture")
    with pytest.raises(InputError, match=r"found \['binance-usdm-capture'\] - choose one"):
        read_ticks(path, symbol="BTCUSDT", format="binance-usdm-capture-agg")


def test_contracts_of_coin_margined_captures_become_base_units(tmp_path: Path) -> None:
    """100 USD a contract of BTC, 10 USD of others, unless the user says another worth; base units take none."""
    path = tmp_path / "capture"
    path.write_text(lines(trade(1, s="BTCUSD_PERP", p="50000", q="4"), trade(2, s="ADAUSD_PERP", p="0.5", q="3")))
    assert read_ticks(path, symbol="BTCUSD_PERP").ticks["qty"].to_pylist() == [0.008]
    assert read_ticks(path, symbol="ADAUSDPERP").ticks["qty"].to_pylist() == [60.0]
    other = read_ticks(path, symbol="ADAUSDPERP", contract=Contract(1.0, inverse=True))
    assert other.ticks["qty"].to_pylist() == [6.0]
    path.write_text(lines(trade(1)))
    with pytest.raises(InputError, match="has quantities in base units"):
        read_ticks(path, symbol="BTCUSDT", contract=Contract(1.0))


@pytest.mark.parametrize("name", ["usdm/btcusdt_20240808.gz", "spot/ethusdt_20240808.gz"])
def test_a_real_capture_is_ingested_whole(place: TickProject, name: str) -> None:
    """Every trade message of a real capture is a tick: as many as a plain count, ids without a gap, none rejected."""
    path = real_data(f"feeds/binance/{name}")
    with gzip.open(path, "rt") as file:
        kinds = Counter(json.loads(line.split(" ", 1)[1]).get("data", {}).get("e") for line in file)
    symbol = path.name.split("_")[0].upper()
    done = place.scalper("ingest", str(path))
    assert done.code == 0, done.err
    project = place.open()
    manifest = project.warehouse.require("ticks", {"symbol": symbol})
    ids = read_all_ticks(project, manifest)["trade_id"].to_numpy()
    assert manifest.summary["read"] == manifest.summary["rows"] == kinds["trade"] == ids[-1] - ids[0] + 1


def test_a_capture_as_zstandard_is_read_and_a_cut_one_refused(tmp_path: Path) -> None:
    """The packing is known by its bytes; a cut file names the last whole line."""
    packed = pa.compress(lines(*map(trade, range(1, 200))).encode(), codec="zstd", asbytes=True)
    path = tmp_path / "capture"
    path.write_bytes(packed)
    assert read_ticks(path, symbol="BTCUSDT").counts.accepted == 199
    path.write_bytes(packed[:-20])
    with pytest.raises(InputError, match=r"truncated or damaged zstd after line \d+"):
        read_ticks(path, symbol="BTCUSDT")
