"""Proof on a partition's own data that the live builder gives what was stored: zero differing bits."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalper_ml.features.engine import compute
from scalper_ml.features.online import FeatureRow, OnlineFeatureBuilder
from scalper_ml.features.registry import FeatureSet
from scalper_ml.features.series import BAR_COLUMNS, INPUT_COLUMNS
from scalper_ml.layers.base import Keys
from scalper_ml.project import Project
from scalper_ml.schema import TICKS, us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["parity_check"]

MOST_TICKS = 50_000
MOST_BARS = 500
_BESIDE_AT = len(BAR_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Sample:
    """What is replayed: from bar `begin` on, out of what, and from which state of the bar builder."""

    begin: int
    source: str
    day: str | None
    bar_state: bytes | None


def parity_check(
    project: Project,
    keys: Keys,
    bars: Manifest,
    table: pa.Table,
    X: np.ndarray,
    ts_us: np.ndarray,
    fs: FeatureSet,
    values: np.ndarray,
    warm: np.ndarray,
) -> Check:
    """Replay a sample of the partition through `OnlineFeatureBuilder` and compare with the stored rows bit by bit.

    Where bars were made of ticks, it is the ticks of one day, drawn by the seed of the splits among the days after
    the warm-up, from the state the bars had before it: at most 50,000 of them. Klines are replayed as bars.
    """
    if len(ts_us) == 0:
        return Check("online_parity", True, "no bars to replay")
    sample = _drawn(project, keys, bars, fs, len(ts_us))
    state = compute(fs, X[: sample.begin], ts_us[: sample.begin]).state
    builder = OnlineFeatureBuilder(fs, project.settings.interval_us, bar_state=sample.bar_state, feature_state=state)
    beside = _Beside(X, sample.begin) if {"market", "quotes", "book", "derivatives"} & set(fs.groups) else None
    if sample.day is None:
        rows, fed = _from_bars(builder, table, beside, sample.begin)
    else:
        rows, fed = _from_ticks(builder, project, keys, sample.day, beside)
    at = slice(sample.begin, sample.begin + len(rows))
    wrong = _differing(rows, ts_us[at], values[at], warm[at], fs)
    shown = ", ".join(f"{name} ({count})" for name, count in list(wrong.items())[:5])
    return Check(
        "online_parity",
        not wrong and bool(rows),
        f"{len(rows)} bars out of {fed:,} {sample.source}: {len(rows) * len(fs.names):,} values, "
        f"{f'differing: {shown}' if wrong else 'no bit differs' if rows else 'no bar closed'}",
        values={"source": sample.source, "fed": fed, "bars": len(rows), "first_row": sample.begin,
                "differing_values": sum(wrong.values())},
    )  # fmt: skip


def _drawn(project: Project, keys: Keys, bars: Manifest, fs: FeatureSet, n: int) -> _Sample:
    rng = np.random.default_rng(project.settings.splits.seed)
    days = _days(project, keys, bars)
    if not days:
        late = min(fs.warmup, max(n - MOST_BARS, 0))
        return _Sample(int(rng.integers(late, max(n - MOST_BARS, late) + 1)), "bars", None, None)
    begin, starts = 0, []
    for day, one in days.items():
        if one["bars"]:
            starts.append((day, begin))
        begin += one["bars"]
    warm = [start for start in starts if start[1] >= fs.warmup] or starts[-1:]
    day, begin = warm[int(rng.integers(len(warm)))]
    return _Sample(begin, f"ticks of {day}", day, bytes.fromhex(days[day]["before"]))


def _days(project: Project, keys: Keys, bars: Manifest) -> dict[str, Any]:
    """The record of the days the bars were made of, where their ticks are still those; none for klines."""
    if "days.json" not in bars.beside:
        return {}
    days: dict[str, Any] = json.loads(project.warehouse.read_bytes(bars, "days.json"))["days"]
    ticks = project.warehouse.require("ticks", keys)
    held = {name: entry["sha256"] for name, entry in ticks.files.items()}
    same = all(held.get(f"date={day}/data.parquet") == one["ticks"] for day, one in days.items())
    return days if same and any(one["bars"] for one in days.values()) else {}


class _Beside:
    """What was known beside a bar, market and feeds, by the row of the bar that closes next."""

    def __init__(self, X: np.ndarray, begin: int) -> None:
        self._X, self._row = X, begin

    def now(self) -> dict[str, float]:
        row = self._X[min(self._row, len(self._X) - 1), _BESIDE_AT:]
        return dict(zip(INPUT_COLUMNS[_BESIDE_AT:], row.tolist(), strict=True))

    def next(self) -> None:
        self._row += 1


def _from_ticks(
    builder: OnlineFeatureBuilder, project: Project, keys: Keys, day: str, beside: _Beside | None
) -> tuple[list[FeatureRow], int]:
    ticks = project.warehouse.read_table(project.warehouse.require("ticks", keys), f"date={day}/data.parquet")
    ticks = ticks.cast(TICKS).slice(0, MOST_TICKS)
    rows: list[FeatureRow] = []
    now = beside.now() if beside else None
    for trade in _trades(ticks):
        row = builder.push_tick(*trade, market=now, context=now)
        if row is not None:
            rows.append(row)
            if beside is not None:
                beside.next()
                now = beside.now()
    return rows, ticks.num_rows


def _trades(ticks: pa.Table) -> Iterator[tuple[int, float, float, int, int]]:
    price, qty, side = (ticks[name].to_numpy().tolist() for name in ("price", "qty", "side"))
    ids = [-1 if one is None else one for one in ticks["trade_id"].to_pylist()]
    return zip(us(ticks["ts_us"]).tolist(), price, qty, side, ids, strict=True)


def _from_bars(
    builder: OnlineFeatureBuilder, table: pa.Table, beside: _Beside | None, begin: int
) -> tuple[list[FeatureRow], int]:
    part = table.slice(begin, MOST_BARS)
    names = [name for name in part.column_names if not name.endswith("ts_us")]
    columns = [part[name].to_pylist() for name in names]
    rows = []
    for ts, *cells in zip(us(part["ts_us"]).tolist(), *columns, strict=True):
        bar = dict(zip(names, cells, strict=True)) | {"ts_us": ts}
        now = beside.now() if beside else None
        rows.append(builder.push_bar(bar, now, now))
        if beside is not None:
            beside.next()
    return rows, part.num_rows


def _differing(
    rows: list[FeatureRow], ts_us: np.ndarray, values: np.ndarray, warm: np.ndarray, fs: FeatureSet
) -> dict[str, int]:
    """Values that differ in a bit, by feature; stamps and warm flags count as features of those names."""
    if not rows:
        return {}
    live = np.stack([row.values for row in rows])
    off = np.count_nonzero(live.view(np.int64) != np.ascontiguousarray(values).view(np.int64), axis=0)
    found = {name: int(count) for name, count in zip(fs.names, off.tolist(), strict=True) if count}
    for name, mine, theirs in (("ts_us", [r.ts_us for r in rows], ts_us), ("warm", [r.warm for r in rows], warm)):
        if count := int(np.count_nonzero(np.array(mine) != theirs)):
            found[name] = count
    return found
