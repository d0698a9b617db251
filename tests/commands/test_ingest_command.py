"""``scalper ingest``: what it reads, what it says, and that a later run agrees with it."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
from rich.console import Console
from tickproject import DAY_MS, MS, TickProject, tape

from scalper_ml.commands.console import watcher
from scalper_ml.errors import ChecksFailedError
from scalper_ml.ingest.store import Progress, staged_state
from scalper_ml.layers.ticks import TICKS_LAYER, build_ticks, read_all_ticks

KEYS = {"symbol": "BTCUSDT"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """An empty project."""
    return TickProject.make(tmp_path / "project", monkeypatch)


def cells(out: str, symbol: str) -> list[str]:
    """The row of a symbol in a printed table."""
    row = next(line for line in out.splitlines() if line.startswith(f"{symbol} "))
    return row.replace(",", "").split()


def test_what_is_shown_is_what_the_warehouse_holds(place: TickProject) -> None:
    """Rows read, accepted, duplicate and quarantined add up, and are those of the partition and of its tables."""
    bad = tape(1).replace("\n", "\nno,trade,at,all,9\n", 1)
    place.put("in/BTCUSDT-1.csv", tape(0, 2))
    place.put("in/BTCUSDT-2.csv", bad)
    done = place.scalper("ingest", "in")
    assert done.code == 0, done.err
    new, files, read, accepted, duplicate, quarantined, days = map(int, cells(done.out, "BTCUSDT")[1:8])
    assert (new, files, days) == (2, 2, 2)
    assert accepted + duplicate + quarantined == read == 288 + 145
    assert (duplicate, quarantined) == (144, 1)
    project = place.open()
    manifest = project.warehouse.require("ticks", KEYS)
    assert read_all_ticks(project, manifest).num_rows == accepted
    assert project.warehouse.read_table(manifest, "quarantine.parquet").num_rows == quarantined
    assert sum(project.warehouse.read_table(manifest, "observations.parquet")["read"].to_pylist()) == read


def test_all_configured_symbols_that_have_a_file_are_ingested(place: TickProject) -> None:
    """Without --symbol, every configured symbol with a file there is read, and no other."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    place.put("in/SOLUSDT-1.csv", tape(0))
    assert place.scalper("ingest", "in").code == 0
    assert place.days("BTCUSDT")
    assert not place.days("ETHUSDT")
    place.put("in/ETHUSDT-1.csv", tape(0))
    done = place.scalper("ingest", "in")
    assert (cells(done.out, "BTCUSDT")[1], cells(done.out, "ETHUSDT")[1]) == ("0", "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "--symbol", "SOLUSDT"], "symbol 'SOLUSDT' is not configured"),
        (["in", "--symbol", "ETHUSDT"], "no file of ['ETHUSDT']"),
        (["in/SOLUSDT-1.csv"], "no file of a configured symbol ['BTCUSDT', 'ETHUSDT']"),
        (["in", "--since", "2024-01-01"], "--since and --until are for ccxt:EXCHANGE"),
        (["in", "--duplicates", "perhaps"], "source.duplicates"),
        (["in", "--profile", "demo"], "a planted market is no place for real trades"),
        (["ccxt:kraken"], "expected ccxt:EXCHANGE with --since and --until"),
        (["ccxt:kraken", "--since", "yesterday", "--until", "2024-01-02"], "--since 'yesterday': expected a moment"),
    ],
)
def test_wrong_usage_is_named(place: TickProject, arguments: list[str], said: str) -> None:
    """Wrong usage ends with code 2, names what was wrong, and writes nothing."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    place.put("in/SOLUSDT-1.csv", tape(0))
    before = place.tree()
    done = place.scalper("ingest", *arguments)
    assert done.code == 2
    assert said in done.err
    assert place.tree() == before


def test_a_file_of_any_name_is_read_if_the_symbol_is_named(place: TickProject) -> None:
    """A single file may be called anything where --symbol says whose trades it holds."""
    path = place.put("in/trades of monday.csv", tape(0))
    assert place.scalper("ingest", str(path)).code == 2
    assert place.scalper("ingest", str(path), "--symbol", "BTCUSDT").code == 0
    assert len(place.days()) == 1


def test_a_dry_run_writes_nothing(place: TickProject) -> None:
    """--dry-run tells new, known, replaced and refused files apart and leaves every file and folder as it was."""
    old = place.put("in/BTCUSDT-1.csv", tape(0))
    place.put("in/BTCUSDT-2.csv", tape(1))
    before = place.tree()
    done = place.scalper("ingest", "in", "--dry-run")
    assert [cells(line + "\n", "BTCUSDT")[2:] for line in done.out.splitlines() if "BTCUSDT" in line] == [
        [str(len(tape(day))), "csv", "new"] for day in (0, 1)
    ]
    assert place.tree() == before
    place.scalper("ingest", "in")
    old.write_text(tape(0, step_s=300))
    place.put("in/BTCUSDT-3.csv", "this,is,no,file,of\n1,2,3,4,5\n")
    before = place.tree()
    done = place.scalper("ingest", "in", "--dry-run")
    states = {line.split()[1]: line.split()[-1] for line in done.out.splitlines() if line.startswith("BTCUSDT ")}
    assert states == {"BTCUSDT-1.csv": "replaced", "BTCUSDT-2.csv": "known", "BTCUSDT-3.csv": "refused"}
    assert done.code == 1
    assert "BTCUSDT-3.csv" in done.err
    assert place.tree() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (tape(1).replace(",id\n", ",other\n"), "its trades have no ids, those of other files have ids"),
        ("1,100.0,1,1,1,1704153600000,true,true\n", "binance-spot-aggtrades trades, but those of the other files are"),
        (tape(1)[:300] + "no,trade,at,all,9\n" * 40, "of its first 49 rows would be rejected, the first at line"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_dry_run_says_which_files_will_not_be_taken(place: TickProject, wrong: str, said: str, before: bool) -> None:
    """A file that the ingest refuses, or is blocked by, is refused by the dry run, with the reason; the rest is new."""
    place.put("in/BTCUSDT-1.csv", tape(0, step_s=86_400))
    if before:
        assert place.scalper("ingest", "in").code == 0
    place.put("in/BTCUSDT-2.csv", wrong)
    done = place.scalper("ingest", "in", "--dry-run")
    states = {line.split()[1]: line.split()[-1] for line in done.out.splitlines() if line.startswith("BTCUSDT ")}
    assert states == {"BTCUSDT-1.csv": "known" if before else "new", "BTCUSDT-2.csv": "refused"}
    assert (done.code, said in done.err) == (1, True), done.err
    assert place.scalper("ingest", "in").code == 1


def test_a_second_ingest_writes_nothing(place: TickProject) -> None:
    """Over unchanged files nothing in the warehouse is touched, and it is said."""
    place.put("in/BTCUSDT-1.csv", tape(0, 3))
    written_ns = (MS + 9 * DAY_MS) * 1_000_000  # long ago, so that the file counts as settled
    os.utime(place.folder / "in" / "BTCUSDT-1.csv", ns=(written_ns, written_ns))
    first = place.scalper("ingest", "in")
    before = place.tree()
    second = place.scalper("ingest", "in")
    assert "nothing new" in second.out
    assert "nothing new" not in first.out
    assert cells(second.out, "BTCUSDT")[2:] == cells(first.out, "BTCUSDT")[2:]
    assert place.tree() == before


def test_what_was_ingested_elsewhere_stays_and_stays_fresh(place: TickProject) -> None:
    """Files of another place are part of the ticks: a run over the configured folder keeps them and builds once."""
    place.put("elsewhere/BTCUSDT-1.csv", tape(0))
    place.put("ticks/BTCUSDT-2.csv", tape(1))
    project = place.open()
    assert place.scalper("ingest", "elsewhere").code == 0
    assert not TICKS_LAYER.fresh(project, KEYS)  # the folder holds a file that was never read
    build_ticks(project, KEYS)
    assert len(place.days()) == 2
    assert TICKS_LAYER.fresh(project, KEYS)
    assert "nothing new" in place.scalper("ingest", "elsewhere").out
    assert TICKS_LAYER.fresh(project, KEYS)
    (place.folder / "elsewhere" / "BTCUSDT-1.csv").unlink()
    assert TICKS_LAYER.fresh(project, KEYS)
    place.put("ticks/BTCUSDT-2.csv", tape(1, step_s=300))
    assert not TICKS_LAYER.fresh(project, KEYS)
    build_ticks(project, KEYS)
    assert read_all_ticks(project, project.warehouse.require("ticks", KEYS)).num_rows == 144 + 288


@pytest.mark.parametrize("there", [True, False])
def test_files_of_elsewhere_are_read_again_where_that_is_needed(place: TickProject, there: bool) -> None:
    """After a change of how files are read, files of another place are read again if they are still there."""
    outside = place.put("elsewhere/BTCUSDT-1.csv", tape(0))
    place.put("ticks/BTCUSDT-2.csv", tape(0, 2))
    place.scalper("ingest", "elsewhere")
    if not there:
        outside.unlink()
    project = place.open("source.duplicates=drop")
    manifest = build_ticks(project, KEYS)
    assert manifest.summary["rows"] == 288
    withdrawn = next(check for check in manifest.checks if check["name"] == "withdrawn")
    assert withdrawn["passed"] is there
    assert manifest.summary["files"] == 2
    assert TICKS_LAYER.fresh(project, KEYS)


def test_a_refused_file_blocks_until_it_is_gone(place: TickProject) -> None:
    """A file that cannot be read ends with code 1 and blocks the ticks, whose last good state stays; then it passes."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    assert place.scalper("ingest", "in").code == 0
    good = place.days()
    wrong = place.put("in/BTCUSDT-2.csv", "this,is,no,file,of\n1,2,3,4,5\n")
    done = place.scalper("ingest", "in")
    assert done.code == 1
    assert "BTCUSDT-2.csv" in done.err
    assert "BTCUSDT-2.csv" in json.dumps(place.open().warehouse.blocked("ticks", KEYS))
    assert place.days() == good
    status = json.loads(place.scalper("ticks", "status", "--symbol", "BTCUSDT", "--json").out)
    assert [row["state"] for row in status] == ["blocked"]
    wrong.unlink()
    assert place.scalper("ingest", "in").code == 0
    assert place.open().warehouse.blocked("ticks", KEYS) is None
    assert place.days() == good


DAMAGE = {
    "truncated": lambda data: gzip.compress(data)[:-30],
    "checksum": lambda data: gzip.compress(data)[:-8] + b"\0\0\0\0" + gzip.compress(data)[-4:],
    "empty": lambda data: b"",
    "header": lambda data: gzip.compress(data.split(b"\n")[0]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_blocks_whatever_else_is_ingested(place: TickProject, damage: str) -> None:
    """A refused file is not forgotten over a good one: it blocks until it is repaired, and then was never bad."""
    rows, good = tape(0, 2).encode(), tape(2)
    bad = place.folder / "in" / "BTCUSDT-1.csv.gz"
    bad.parent.mkdir()
    bad.write_bytes(DAMAGE[damage](rows))
    assert place.scalper("ingest", "in").code == 1
    place.put("other/BTCUSDT-2.csv", good)
    done = place.scalper("ingest", "other")
    assert (done.code, str(bad) in done.err) == (1, True), done.err
    assert not place.days()
    status = place.scalper("ticks", "status")
    assert (status.code, "files_read" in status.out, str(bad) in status.out) == (1, True, True)
    (row,) = json.loads(place.scalper("ticks", "status", "--symbol", "BTCUSDT", "--json").out)
    sha256 = hashlib.sha256(bad.read_bytes()).hexdigest()
    assert [(one["file"], one["bytes"], one["sha256"]) for one in row["refused"]] == [
        (bad.name, bad.stat().st_size, sha256)
    ]
    files = json.loads(place.scalper("ticks", "files", "--json").out)
    assert [(one["file"], one["state"], one["read"]) for one in files] == [
        (bad.name, "refused", 0), ("BTCUSDT-2.csv", "read", 144)
    ]  # fmt: skip
    assert (files[0]["sha256"], files[0]["bytes"]) == (sha256, bad.stat().st_size)
    assert str(bad) in place.scalper("ticks", "files").out
    with pytest.raises(ChecksFailedError, match=r"files_read: 1 of 2 files were refused"):
        place.open().warehouse.require("ticks", KEYS)
    bad.write_bytes(gzip.compress(rows))
    assert place.scalper("ingest", "other").code == 0  # nobody names the repaired file, and it is read
    whole = TickProject.make(place.folder / "whole", place.patch)
    whole.put("in/BTCUSDT-1.csv", rows.decode())
    whole.put("in/BTCUSDT-2.csv", good)
    assert whole.scalper("ingest", "in").code == 0
    assert place.days() == whole.days()
    assert place.scalper("ticks", "status").code == 0
    files = json.loads(place.scalper("ticks", "files", "--json").out)
    assert sorted((one["sha256"] == sha256, one["state"]) for one in files) == [
        (False, "read"), (False, "read"), (True, "replaced")
    ]  # fmt: skip
    manifest = place.open().warehouse.require("ticks", KEYS)
    seen = place.open().warehouse.read_table(manifest, "observations.parquet").to_pylist()
    assert [(one["sha256"], bool(one["refused"]), one["replaced_by"] is None) for one in seen if one["refused"]] == [
        (sha256, True, False)
    ]


def test_a_damaged_file_that_is_taken_away_blocks_no_more(place: TickProject) -> None:
    """Once the refused file is gone the next ingest passes, whatever it is about."""
    bad = place.put("in/BTCUSDT-1.csv", "this,is,no,file,of\n1,2,3,4,5\n")
    place.put("other/BTCUSDT-2.csv", tape(2))
    assert [place.scalper("ingest", where).code for where in ("in", "other", "other")] == [1, 1, 1]
    bad.unlink()
    assert place.scalper("ingest", "other").code == 0
    assert place.scalper("ticks", "status").code == 0


def test_a_killed_ingest_forgets_no_refused_file(place: TickProject) -> None:
    """An ingest that ends before it has looked again at what the one before it refused leaves that on record."""
    place.put("in/BTCUSDT-9.csv", "this,is,no,file,of\n1,2,3,4,5\n")
    assert place.scalper("ingest", "in").code == 1
    for day in range(3):
        place.put(f"ticks/BTCUSDT-{day}.csv", tape(day))

    def killed(progress: Progress) -> None:
        if progress.file == "BTCUSDT-2.csv":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_ticks(place.open(), KEYS, progress=killed, save_every_s=0.0)
    state = staged_state(place.open().warehouse, "BTCUSDT")
    assert state is not None
    assert [file.file for file in state.files] == ["BTCUSDT-0.csv", "BTCUSDT-1.csv"]
    done = place.scalper("ingest", "ticks")
    assert (done.code, "BTCUSDT-9.csv" in done.err) == (1, True)


def test_a_good_file_replaced_by_a_damaged_one_stays_until_it_is_whole_again(place: TickProject) -> None:
    """Bytes that cannot be read take nothing away: the last good ticks stay, and the old file back is as before."""
    path = place.put("in/BTCUSDT-1.csv", tape(0))
    place.put("in/BTCUSDT-2.csv", tape(1))
    assert place.scalper("ingest", "in").code == 0
    good = place.days()
    path.write_bytes(b"\x00" * 300)
    assert [place.scalper("ingest", "in").code for _ in range(2)] == [1, 1]
    assert place.days() == good
    path.write_text(tape(0))
    assert place.scalper("ingest", "in").code == 0
    assert place.days() == good
    assert place.scalper("ticks", "status").code == 0


def test_the_good_days_of_a_refused_file_are_in_no_day(place: TickProject) -> None:
    """A file that breaks off after whole days gives none of them: what was read of it before is taken back."""
    rows = "".join(tape(day, step_s=1)[len("ts,price,qty,side,id\n") if day else 0 :] for day in range(14))
    bad = place.folder / "in" / "BTCUSDT-1.csv.gz"
    bad.parent.mkdir()
    bad.write_bytes(gzip.compress(rows.encode(), compresslevel=1)[:-100])
    place.put("in/BTCUSDT-2.csv", tape(3))
    assert place.scalper("ingest", "in").code == 1
    state = staged_state(place.open().warehouse, "BTCUSDT")
    assert state is not None
    assert (list(state.days), state.rows) == (["2024-01-04"], 144)
    bad.unlink()
    assert place.scalper("ingest", "in").code == 0
    whole = TickProject.make(place.folder / "whole", place.patch)
    whole.put("in/BTCUSDT-2.csv", tape(3))
    assert whole.scalper("ingest", "in").code == 0
    assert place.days() == whole.days()


def test_a_file_that_cannot_be_opened_is_refused_by_name(place: TickProject) -> None:
    """A link that leads nowhere is refused like a damaged file, and the others of its folder are read."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    assert place.scalper("ingest", "in").code == 0
    link = place.folder / "in" / "BTCUSDT-2.csv"
    link.symlink_to("nowhere.csv")
    done = place.scalper("ingest", "in")
    assert (done.code, "BTCUSDT-2.csv: cannot be read" in done.err) == (1, True), done.err
    link.unlink()
    link.symlink_to(place.put("aside.csv", tape(1)))
    assert place.scalper("ingest", "in").code == 0
    assert len(place.days()) == 2


def test_a_file_that_grows_while_it_is_read_is_refused_until_it_stands_still(place: TickProject) -> None:
    """Rows are appended under the reader's hands: nothing of the file is taken, and the next ingest reads it whole."""
    growing = place.put("ticks/BTCUSDT-1.csv", tape(0))
    grown: list[int] = []

    def grow(_: Progress) -> None:
        if not grown:
            grown.append(1)
            with growing.open("a") as file:
                file.write(tape(1).partition("\n")[2])

    manifest = build_ticks(place.open(), KEYS, progress=grow)
    (refused,) = (check["values"]["refused"] for check in manifest.checks if check["name"] == "files_read")
    assert "BTCUSDT-1.csv: changed while it was read" in refused[0]["why"]
    assert place.days() == {}
    assert build_ticks(place.open(), KEYS).summary["rows"] == 288


@pytest.mark.parametrize(
    ("wrong", "said"), [("warehouse", "cannot be read"), ("warehouse/ticks/symbol=BTCUSDT/date=2024-01-01", "written")]
)
def test_a_warehouse_that_cannot_be_used_is_named(place: TickProject, wrong: str, said: str) -> None:
    """A place that takes no files ends with code 2 and says which path, not with a trace."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    place.put(wrong, "a file where a folder should be")
    done = place.scalper("ingest", "in")
    assert (done.code, said in done.err, wrong in done.err) == (2, True, True), done.err


def test_a_file_that_does_not_exist_is_named_as_such(place: TickProject) -> None:
    """A path that leads nowhere is no folder that lacks files: neither file nor folder is there."""
    done = place.scalper("ingest", "nosuch.csv")
    assert (done.code, "nosuch.csv: no such file or folder" in done.err) == (2, True), done.err


@pytest.mark.parametrize("name", ["BTCUSDT-ünïcødé 日本.csv", "BTCUSDT-[1] {2} %20 'x'.csv"])
def test_a_file_of_any_name_is_read_and_observed(place: TickProject, name: str) -> None:
    """Letters of any script, blanks, brackets and quotes in a name mean nothing."""
    place.put(f"in/{name}", tape(0))
    assert place.scalper("ingest", "in").code == 0
    manifest = place.open().warehouse.require("ticks", KEYS)
    assert place.open().warehouse.read_table(manifest, "observations.parquet")["file"].to_pylist() == [name]


def test_rows_of_a_file_that_failed_a_check_go_with_it(place: TickProject) -> None:
    """A check that blocks keeps the rows out; once the file is taken away they are nowhere, not even set aside."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    early = place.put("in/BTCUSDT-2.csv", tape((time.time_ns() // 1_000_000 - MS) // DAY_MS + 2))  # after tomorrow
    for _ in range(2):
        done = place.scalper("ingest", "in")
        assert done.code == 1
        assert " clock, " in done.out
        assert "clock" in done.err
        assert not place.days()
    early.unlink()
    assert place.scalper("ingest", "in").code == 0
    assert len(place.days()) == 1


def test_an_option_that_the_settings_do_not_know_is_noted(place: TickProject) -> None:
    """--duplicates other than the settings is obeyed, and it is said that a run would undo it."""
    rows = [",".join(line.split(",")[:4]) for line in tape(0).splitlines()]
    place.put("in/BTCUSDT-1.csv", "\n".join([*rows, *rows[1:11]]) + "\n")
    done = place.scalper("ingest", "in", "--duplicates", "drop")
    assert done.code == 0
    assert cells(done.out, "BTCUSDT")[4:6] == ["144", "10"]
    assert "source.duplicates is 'keep' in the settings and was 'drop' here" in done.err
    assert place.scalper("ingest", "in", "--duplicates", "keep").err == ""


class OneDay:
    """An exchange with trades every hour, in pages of ten."""

    id = "fakex"

    def __init__(self) -> None:
        self.asked = 0

    def milliseconds(self) -> int:
        return MS + 50 * DAY_MS

    def fetch_trades(self, symbol: str, since: int | None = None, limit: int | None = None, params: Any = None) -> Any:
        self.asked += 1
        assert symbol == "BTC/USDT"
        stamps = [MS + hour * 3_600_000 for hour in range(48)]
        return [
            {"id": str(k), "timestamp": at, "symbol": symbol, "side": "buy", "price": 100.5, "amount": 2.0}
            for k, at in enumerate(stamps)
            if since is None or at >= since
        ][:10]


def test_trades_over_rest(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """ccxt:EXCHANGE with a window asks for its days once, and their origin is the exchange and its market."""
    exchange = OneDay()
    monkeypatch.setattr("scalper_ml.remote.rest._exchange", lambda name: exchange)
    window = ("--symbol", "BTCUSDT", "--since", "2024-01-01", "--until", "2024-01-02T12:00:00Z")
    done = place.scalper("ingest", "ccxt:fakex", *window)
    assert done.code == 0, done.err
    assert cells(done.out, "BTCUSDT")[1:5] == ["2", "2", "36", "36"]
    warehouse = place.open().warehouse
    table = warehouse.read_table(warehouse.require("ticks", KEYS), "observations.parquet")
    assert set(table["origin"].to_pylist()) == {"ccxt:fakex/BTC/USDT"}
    asked = exchange.asked
    assert "nothing new" in place.scalper("ingest", "ccxt:fakex", *window).out
    assert exchange.asked == asked


def test_ingest_needs_neither_dagster_nor_compiled_code_to_see_that_nothing_is_new(place: TickProject) -> None:
    """The command does not import Dagster, and where nothing is new no kernel, Arrow, pandas or SciPy either."""
    place.put("in/BTCUSDT-1.csv", tape(0))
    assert place.scalper("ingest", "in").code == 0
    code = (
        "import sys; from scalper_ml.cli import main; sys.argv = ['scalper', 'ingest', 'in']; main_ = main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(sorted({'dagster', 'scalper_assets', 'numba', 'pyarrow', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALPER")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.folder, capture_output=True, text=True, check=True, env=kept
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "nothing new" in done.stdout


def test_a_planted_market_and_real_trades_do_not_mix(place: TickProject) -> None:
    """Ticks of a planted market are not added to: real files in the same warehouse begin anew, and so the other way."""
    market = {"level": "null", "sigma_bps": 10.0, "start_price": 100.0}
    synthetic = (
        "source.kind=synthetic", "source.folder=planted", "source.days=1", "symbols=[BTCUSDT]",
        f"source.markets={{BTCUSDT: {json.dumps(market)}}}",
    )  # fmt: skip
    planted = place.open(*synthetic)
    place.put("in/BTCUSDT-1.csv", tape(0))
    place.scalper("ingest", "in")
    real = place.days()
    build_ticks(planted, KEYS)
    assert TICKS_LAYER.fresh(planted, KEYS)
    assert not real.keys() & place.days().keys()
    assert place.scalper("ingest", "in").code == 0
    assert place.days() == real


def test_a_watcher_draws_on_a_terminal() -> None:
    """On a terminal the file, the rows and the rate are drawn; elsewhere nothing is."""
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=160)
    with watcher(terminal) as watch:
        watch.fetching("BTCUSDT-1.zip", 10, 20)
        tell = watch.reading("BTCUSDT")
        assert tell is not None
        tell(Progress("BTCUSDT-1.zip", 5_000_000, 50, 100))
    assert "BTCUSDT BTCUSDT-1.zip" in out.getvalue()
    assert "5,000,000 rows" in out.getvalue()
    assert "M rows/s" in out.getvalue()
    with watcher(Console(file=io.StringIO())) as silent:
        assert silent.reading("BTCUSDT") is None


@pytest.mark.parametrize(
    "location", ["more/*/BTC*.csv", "file://{root}/more/a", "more/a/BTCUSDT-1.csv", "memory://more"]
)
def test_a_place_may_be_many_things(place: TickProject, location: str) -> None:
    """A glob, a file address, one file and an object store are read, as source and on the command line."""
    path = place.put("more/a/BTCUSDT-1.csv", tape(0, 2))
    store = fsspec.filesystem("memory")
    store.pipe("/more/BTCUSDT-1.csv", path.read_bytes())
    location = location.format(root=place.folder)
    build_ticks(place.open(f"source.folder={location}"), KEYS)
    expected = place.days()
    assert len(expected) == 2
    other = TickProject.make(place.folder.parent / "other", place.patch)
    other.put("more/a/BTCUSDT-1.csv", path.read_text())
    done = other.scalper("ingest", location)
    assert done.code == 0, done.err
    assert other.days() == expected
    store.rm("/more", recursive=True)
