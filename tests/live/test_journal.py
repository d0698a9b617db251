"""A loop that is put down and taken up again, however often and wherever, ends where an uninterrupted one does."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from liveproject import SYMBOL, cut, tape

from scalper_ml.errors import ContractError, FeatureSetError, ScalperError, WarehouseError
from scalper_ml.features import feature_set
from scalper_ml.ingest.order import Trades
from scalper_ml.live.feed import Message
from scalper_ml.live.journal import Journal, parts_of
from scalper_ml.live.lane import Lane
from scalper_ml.live.loop import Loop
from scalper_ml.live.replay import gate_of
from scalper_ml.live.run import drive, rest_of
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project


def fresh(project: Project) -> Loop:
    return open_loop(project, [SYMBOL], lane_rules(project, gate_of(project), "replay"), warm=False)


@pytest.fixture(scope="module")
def some(project: Project) -> Trades:
    """A third of the tape."""
    trades = tape(project)
    return trades.take(slice(0, len(trades) // 3))


def uninterrupted(project: Project, trades: Trades, folder: Path) -> tuple[pa.Table, pa.Table]:
    journal = Journal(folder)
    drive(fresh(project), [Message(SYMBOL, trades)], journal=journal)
    return journal.tables()


def test_interruptions_change_nothing(project: Project, some: Trades, tmp_path: Path) -> None:
    """Checkpoints, losses of what came after them, and restarts give the tables of one uninterrupted run."""
    rng = np.random.default_rng(5)
    expected = uninterrupted(project, some, tmp_path / "whole")
    folder = tmp_path / "cut"
    for _ in range(6):
        loop, journal = fresh(project), Journal(folder)
        journal.resume(loop)
        rest = rest_of(loop, {SYMBOL: some})[SYMBOL]
        pieces = cut(rest.take(slice(0, len(rest) // 3)), rng, 4)
        for place, piece in enumerate(pieces):
            loop.push(Message(SYMBOL, piece))
            if place == 1:
                journal.save(loop)  # what the later pieces did is lost
    loop, journal = fresh(project), Journal(folder)
    assert journal.resume(loop)
    drive(loop, [Message(SYMBOL, rest_of(loop, {SYMBOL: some})[SYMBOL])], journal=journal)
    found = journal.tables()
    assert loop.counts.trades == {SYMBOL: len(some)}
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.equals(theirs)
    assert found[1].num_rows > 50


def test_a_part_without_its_checkpoint_does_not_count(project: Project, some: Trades, tmp_path: Path) -> None:
    """A part that a killed process wrote before its checkpoint is neither read nor in the way."""
    expected = uninterrupted(project, some, tmp_path)
    stray = tmp_path / "decisions-000002-0123456789ab.parquet"
    stray.write_bytes(b"half a file")
    for mine, theirs in zip(parts_of(tmp_path), expected, strict=True):
        assert mine.equals(theirs)


def test_journals_of_other_loops_are_refused(project: Project, tmp_path: Path) -> None:
    """A folder of another run, a damaged checkpoint, and a checkpoint of other features or symbols are refused."""
    loop = fresh(project)
    Journal(tmp_path, {"symbol": SYMBOL}).save(loop)
    with pytest.raises(WarehouseError, match="another folder"):
        Journal(tmp_path, {"symbol": "BUSDT"})
    other = Lane(SYMBOL, feature_set(["klines"]), {1: loop.lanes[SYMBOL].champions[1]}, loop.lanes[SYMBOL].rules)
    with pytest.raises(FeatureSetError, match="feature set"):
        Journal(tmp_path, {"symbol": SYMBOL}).resume(Loop({SYMBOL: other}))
    with pytest.raises(ContractError, match="BUSDT"):
        Journal(tmp_path, {"symbol": SYMBOL}).resume(Loop({"BUSDT": other}))
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(WarehouseError, match="no checkpoint"):
        Journal(tmp_path, {"symbol": SYMBOL})


def test_damage_is_named(project: Project, some: Trades, tmp_path: Path) -> None:
    """A file for a folder, a lost, cut or changed part and a checkpoint of other content: each is refused by name."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(WarehouseError, match="file: a file; expected a folder"):
        Journal(tmp_path / "file")
    folder = tmp_path / "journal"
    uninterrupted(project, some, folder)
    (part,) = folder.glob("trades-*")
    whole = part.read_bytes()
    bent = bytearray(whole)
    bent[len(whole) // 2] ^= 1
    for data in (whole[:-9], b"", bytes(bent)):
        part.write_bytes(data)
        for read in (lambda: parts_of(folder), lambda: Journal(folder).resume(fresh(project))):
            with pytest.raises(WarehouseError, match=f"{part.name}.*not those that were written"):
                read()
    part.unlink()
    with pytest.raises(WarehouseError, match=f"{part.name}.*No such file.*put it back"):
        Journal(folder).resume(fresh(project))
    part.write_bytes(whole)
    assert Journal(folder).resume(fresh(project))


def test_a_checkpoint_of_other_content_is_refused(project: Project, tmp_path: Path) -> None:
    """Whatever of a checkpoint is replaced by something of another kind or left out: an error of ours, by its name."""
    loop = fresh(project)
    loop.push(Message(SYMBOL, tape(project).take(slice(0, 2000))))
    Journal(tmp_path).save(loop)
    path = tmp_path / "checkpoint.json"
    saved, other = json.loads(path.read_text()), fresh(project)
    for keys in leaves(saved):
        for value in (None, "nonsense", [7], {"a": 1}):
            damaged = json.loads(json.dumps(saved))
            inner = damaged
            for key in keys[:-1]:
                inner = inner[key]
            inner[keys[-1]] = value
            path.write_text(json.dumps(damaged))
            with contextlib.suppress(ScalperError):
                Journal(tmp_path).resume(other)
    for name in ("about", "parts", "loop", "version"):
        path.write_text(json.dumps({key: value for key, value in saved.items() if key != name}))
        with pytest.raises(WarehouseError, match=r"checkpoint\.json"):
            Journal(tmp_path).resume(fresh(project))
    lanes = saved["loop"]["lanes"]
    for wrong in ({"lanes": {}}, {"lanes": {SYMBOL: lanes[SYMBOL] | {"bars": "AAAA"}}}, {"counts": {"trade": 1}}):
        path.write_text(json.dumps(saved | {"loop": saved["loop"] | wrong}))
        with pytest.raises(ScalperError):
            Journal(tmp_path).resume(fresh(project))
    for text in ("[]", "7", "null", '{"version": 2}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(WarehouseError, match=r"checkpoint\.json"):
            Journal(tmp_path)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of a document stands; of lists the first."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*at, key)
        yield from leaves(one, (*at, key))


def test_a_warm_start_goes_on_bit_for_bit(project: Project) -> None:
    """From the saved bars and features the loop gives, for trades that come later, what one from the start gives."""
    trades = tape(project)
    last = int(trades.ts_us[-1])
    rng = np.random.default_rng(3)
    n = 400
    price = trades.price[-1] * np.exp(np.cumsum(1e-4 * rng.normal(size=n)))
    side = np.where(rng.random(n) < 0.5, 1, -1).astype(np.int8)
    later = Trades(last + np.cumsum(rng.integers(1, 9_000_000, n)), price, rng.lognormal(size=n), side,
                   trades.trade_id[-1] + 1 + np.arange(n))  # fmt: skip
    rules = lane_rules(project, gate_of(project), "replay")
    found = []
    for warm in (False, True):
        loop = open_loop(project, [SYMBOL], rules, warm=warm)
        loop.keeps_rows = True
        if not warm:
            loop.push(Message(SYMBOL, trades))
            loop.take()
        loop.push(Message(SYMBOL, later))
        (symbol, rows), *_ = loop.take().rows
        assert symbol == SYMBOL
        found.append(rows)
    loop.push(Message(SYMBOL, trades.take(slice(0, 5))))
    assert loop.counts.late == {SYMBOL: 5}, "trades of long ago are late, not fatal"
    cold, warm_rows = found
    assert len(cold.ts_us) > 10
    assert warm_rows.warm.all()
    for name in ("ts_us", "values"):
        assert getattr(cold, name).tobytes() == getattr(warm_rows, name).tobytes()
