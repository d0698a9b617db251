"""A file of trades through the loop, with what is asked about it."""

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.errors import BundleError, InsufficientDataError, SettingsError
from scalper_ml.gate.entry import project_gate
from scalper_ml.gate.environment import GateEnvironment
from scalper_ml.ingest.base import ColumnMapping, Contract, TickFile
from scalper_ml.ingest.batches import read_ticks
from scalper_ml.ingest.order import Trades
from scalper_ml.layers.base import Keys, keys_of
from scalper_ml.live.agreement import Agreement, agreement, score_trades, score_window
from scalper_ml.live.decisions import decisions_table
from scalper_ml.live.feed import TapeFeed, come_after, paced, trades_of
from scalper_ml.live.gate import Gate, GateOfProject, OpenGate
from scalper_ml.live.journal import Journal
from scalper_ml.live.lane import Lane, NoChampion
from scalper_ml.live.loop import Loop
from scalper_ml.live.run import drive, rest_of
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project
from scalper_ml.schema import us

__all__ = ["Replayed", "Request", "gate_of", "replay_file", "tape_of"]

_SETTINGS: Final = ("bars", "features", "labels", "backtest", "gate", "live")  # what the loop follows


@dataclass(frozen=True, slots=True)
class Request:
    """What to replay, and how; see ``scalper replay --help``."""

    ticks: Path
    symbol: str
    horizons: tuple[int, ...] = ()
    since_us: int = 0
    check: bool = False
    warm: bool = False
    speed: float | None = None
    open_gate: float | None = None
    out: Path | None = None
    every: int = 500_000
    environment: GateEnvironment | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it: paper trades in order, a line a horizon, and how they compare with the backtest.

    Parameters
    ----------
    ticks : int
        Trades given to the loop now.
    skipped : int
        Those the saved bars have already, of a warm start.
    late : int
        Those of bars that were closed, which were not taken.
    rejected : dict of str to int
        Rows of the file that are no trades, by reason, the commonest first.
    first_rejected : list of dict
        The first of them, with file, line, reason and text; empty where there is none.
    """

    ticks: int
    seconds: float
    trades: list[dict[str, Any]]
    summary: list[dict[str, Any]]
    agreements: list[Agreement]
    skipped: int = 0
    late: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_rejected: list[dict[str, Any]] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Every trade is one of the backtest's and the other way round, and there is one."""
        return all(one.complete for one in self.agreements) and any(one.replayed for one in self.agreements)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def gate_of(
    project: Project,
    environment: GateEnvironment | None = None,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> GateOfProject:
    """The gate that the settings publish, for a loop on paper.

    Parameters
    ----------
    now_us : callable
        The loop's clock: the market's in a replay.
    """
    return GateOfProject(project_gate(project, environment or GateEnvironment(), "paper", now_us))


def tape_of(project: Project, path: Path, symbol: str) -> TickFile:
    """Trades of a file and the rows that are none, read as `scalper ingest` reads it.

    Raises
    ------
    InputError
        It is no file of trades.
    """
    source = project.settings.source
    return read_ticks(
        path,
        symbol=symbol,
        format=source.format,
        duplicates=source.duplicates,
        columns=ColumnMapping(source.columns, source.words, source.name) if source.columns else None,
        contract=Contract(source.contract.size, source.contract.inverse) if source.contract else None,
    )


def replay_file(project: Project, request: Request) -> Replayed:
    """Run a file of trades through the loop.

    Raises
    ------
    SettingsError
        What is asked for contradicts itself, or is not configured.
    InputError
        The file cannot be read as trades.
    InsufficientDataError
        A warm start is asked for, and every trade is one of the saved ones.
    WarehouseError
        The project has not been built, or the output folder is of another replay.
    BundleError
        A champion is there, and cannot be opened.
    """
    keys_of(project.settings, symbol=request.symbol)
    if request.check and (request.warm or request.since_us):
        raise SettingsError("--check trades the score period from its start; leave out --warm and --since")
    if request.open_gate is not None and not 0 <= request.open_gate <= 1:
        raise SettingsError(f"--open-gate {request.open_gate:g}: expected a confidence in [0, 1]")
    if request.speed is not None and not 0 < request.speed < math.inf:
        raise SettingsError(f"--speed {request.speed:g}: expected seconds of trades a second, above 0 and finite")
    file = tape_of(project, request.ticks, request.symbol)
    trades = trades_of(file.ticks)
    end_us = int(trades.ts_us[-1]) if len(trades) else 0
    gate: Gate = OpenGate(request.open_gate or 0.0)
    if request.open_gate is None:
        gate = gate_of(project, request.environment, lambda: end_us)
    loop = _loop(project, request, gate)
    for horizon, champion in loop.lanes[request.symbol].champions.items():
        if isinstance(champion, NoChampion) and champion.broken:  # a bot goes on without it; a replay is a test
            raise BundleError(f"champion of {request.symbol} x {horizon}: {champion.reason}")
    skipped = 0
    if request.warm:
        lane = loop.lanes[request.symbol]
        later = come_after(trades, lane.last_ts_us, lane.last_id)
        if not later.any():
            raise InsufficientDataError(
                f"{request.ticks}: no trade after the saved ones, which go to {iso(lane.last_ts_us)}; expected "
                "a file of what came after - or leave out --warm"
            )
        skipped, trades = int((~later).sum()), trades.take(later)
    journal = None
    if request.out is not None:
        journal = Journal(request.out, _identity(project, request, trades, loop.lanes[request.symbol], gate))
        journal.resume(loop)
    rest = rest_of(loop, {request.symbol: trades})
    feed = TapeFeed(rest, chunk=min(65_536, request.every))
    saved = [loop.counts.trades.get(request.symbol, 0)]

    def due() -> bool:
        given = loop.counts.trades.get(request.symbol, 0)
        if given - saved[0] < request.every:
            return False
        saved[0] = given
        return True

    started = time.perf_counter()
    ran = drive(loop, feed if request.speed is None else paced(feed, request.speed), journal=journal, due=due)
    seconds = time.perf_counter() - started
    if journal is None:
        decisions, done = decisions_table(ran.decided), ran.trades
    else:
        decisions, table = journal.tables()
        done = _plain(table)
    done = sorted(done, key=lambda one: (one["exit_ts_us"], one["horizon"]))
    horizons = list(loop.lanes[request.symbol].champions)
    return Replayed(
        len(rest[request.symbol]),
        seconds,
        done,
        [_line(h, decisions, done) for h in horizons],
        [_agreement(project, request.symbol, h, gate, done) for h in horizons] if request.check else [],
        skipped,
        loop.counts.late.get(request.symbol, 0),
        dict(Counter(file.quarantine["reason"].to_pylist()).most_common()),
        file.quarantine.slice(0, 1).to_pylist(),
    )


def _loop(project: Project, request: Request, gate: Gate) -> Loop:
    loop = open_loop(project, [request.symbol], lane_rules(project, gate, "replay"), warm=request.warm, recorded=True)
    lane = loop.lanes[request.symbol]
    for horizon in request.horizons:
        keys_of(project.settings, symbol=request.symbol, horizon=horizon)
    if request.horizons:
        lane.keep(request.horizons)
    for horizon in lane.champions:
        keys: Keys = {"symbol": request.symbol, "horizon": horizon}
        lane.since[horizon] = score_window(project, keys)[0] if request.check else request.since_us
    return loop


def _identity(project: Project, request: Request, trades: Trades, lane: Lane, gate: Gate) -> dict[str, Any]:
    """What the decisions and trades of a replay follow from: a journal goes on only where all of it is the same."""
    digest = hashlib.sha256()
    for column in (trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id):
        digest.update(column.tobytes())
    champions = lane.champions.items()
    saved = project.warehouse.require("features", {"symbol": request.symbol}).content if request.warm else None
    return {
        "ticks": request.ticks.name,
        "rows": len(trades),
        "trades_sha256": digest.hexdigest(),
        "symbol": request.symbol,
        "check": request.check,
        "warm": saved,
        "open_gate": request.open_gate,
        "since_us": {str(h): since for h, since in lane.since.items()},
        "champions": {str(h): one.reason if isinstance(one, NoChampion) else one.bundle_id for h, one in champions},
        "gate": {str(h): asdict(gate.standing(request.symbol, h)) for h in lane.champions},
        "settings": {name: project.settings.fingerprint(name) for name in _SETTINGS},
    }


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    stamps = {name: us(table[name]).tolist() for name in table.column_names if name.endswith("ts_us")}
    rows = table.drop(list(stamps)).to_pylist()
    return [row | {name: values[k] for name, values in stamps.items()} for k, row in enumerate(rows)]


def _line(horizon: int, decisions: pa.Table, done: list[dict[str, Any]]) -> dict[str, Any]:
    own = decisions.filter(pc.equal(decisions["horizon"], horizon))
    reasons = Counter(own["reason"].to_pylist())
    ordered = reasons.pop("ordered", 0)
    r = [one["r"] for one in done if one["horizon"] == horizon]
    why = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
    mean = f"{sum(r) / len(r):+.4f}" if r else None
    return {
        "horizon": horizon,
        "decisions": own.num_rows,
        "ordered": ordered,
        "trades": len(r),
        "mean": mean,
        "why": why,
    }


def _agreement(project: Project, symbol: str, horizon: int, gate: Gate, done: list[dict[str, Any]]) -> Agreement:
    own = [one for one in done if one["horizon"] == horizon]
    standing = gate.standing(symbol, horizon)
    if not standing.trades:
        if own:
            return Agreement(horizon, len(own), 0, 0, f"trades although {standing.reason}")
        return Agreement(horizon, 0, 0, 0, nothing=f"gate: {standing.reason}")
    backtest = score_trades(project, {"symbol": symbol, "horizon": horizon}, standing.min_confidence)
    return agreement(horizon, own, backtest)
