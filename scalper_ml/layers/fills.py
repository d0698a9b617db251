"""What orders of a backtest are filled with, out of the warehouse: trades, and settlements of funding."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.backtest.events import Tape
from scalper_ml.backtest.execution import VENUE_FEES_BPS, Execution, Funding
from scalper_ml.layers.base import Keys
from scalper_ml.layers.ticks import tick_days
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.warehouse import Manifest

__all__ = ["funding_of", "project_execution", "tape_of", "tick_partition"]

DAY_US = 86_400_000_000


def project_execution(project: Project) -> Execution:
    """How the settings have orders sent."""
    chosen = project.settings.backtest
    return Execution(
        latency_us=round(chosen.latency_ms * 1000),
        entry=chosen.entry,
        wait_us=round(chosen.wait_s * 1e6),
        maker_bps=chosen.maker_fee_bps if chosen.venue is None else VENUE_FEES_BPS[chosen.venue][0],
        stop=chosen.stop,
        target=chosen.target,
        opposite=chosen.opposite,
        tick=chosen.tick,
        lot=chosen.lot,
        min_notional=chosen.min_notional,
        volume_share=chosen.volume_share,
    )


def tick_partition(project: Project, keys: Keys) -> Manifest | None:
    """The trades that orders are filled with; None where the settings or the source have none."""
    settings = project.settings
    if not settings.backtest.ticks or settings.source.kind == "klines" or settings.labels.price != "open":
        return None
    if settings.labels.kind == "triple_barrier":
        return None
    return project.warehouse.require("ticks", {"symbol": keys["symbol"]})


def tape_of(project: Project, ticks: Manifest, dataset: pa.Table, horizon: int, execution: Execution) -> Tape:
    """The trades of the roles select and score.

    Of takers that leave when their time is up only the trades that can fill one are kept: a day is held at a time.
    """
    traded = dataset.filter(pc.is_in(dataset["role"], pa.array(["select", "score"])))
    decided, bar = us(traded["ts_us"]), project.settings.interval_us
    first, last = int(decided[0]), int(decided[-1]) + (horizon + 2) * bar + execution.latency_us + DAY_US  # of silence
    days = _days(project, ticks, first, last)
    if execution.as_labels:
        arrives = decided + execution.latency_us
        moments = [arrives + late * bar + hold * bar for late in (0, 1) for hold in (0, horizon)]
        return Tape.executable(days, np.concatenate(moments))
    parts = list(days)
    return Tape.of_trades(*(np.concatenate([part[k] for part in parts]) for k in (0, 1)))


def _days(project: Project, ticks: Manifest, first_us: int, last_us: int) -> Iterator[tuple[Any, Any]]:
    for _, table in tick_days(project, ticks, first_us, last_us):
        yield us(table["ts_us"]), table["price"].to_numpy()


def funding_of(project: Project, keys: Keys) -> tuple[Manifest, Funding] | None:
    """Settlements of the symbol, each with the rate known last; None where there are none."""
    if not project.settings.backtest.funding:
        return None
    manifest = project.warehouse.manifest("context", {"symbol": keys["symbol"]})
    if manifest is None:
        return None
    table = project.warehouse.read_table(manifest, columns=["kind", "event_ts_us", "revision", "value"])
    table = table.filter(pc.equal(table["kind"], "funding_rate"))
    if table.num_rows == 0:
        return None
    ts, revision = us(table["event_ts_us"]), table["revision"].to_numpy()
    order = np.lexsort((revision, ts))
    newest = np.append(np.diff(ts[order]) > 0, True)
    return manifest, Funding(ts[order][newest], table["value"].to_numpy()[order][newest])
