"""decisions: what the bots and replays of a project decided on a symbol, and their paper trades."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.clock import iso
from scalper_ml.durable import parquet_bytes
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.live.journal import parts_of
from scalper_ml.project import Project
from scalper_ml.schema import us
from scalper_ml.warehouse import Check, Manifest

__all__ = ["DECISIONS_LAYER", "journals"]


def journals(project: Project) -> list[Path]:
    """Folders of the loops that write into the warehouse, in the order of their names."""
    return sorted(path.parent for path in (project.warehouse.root / "live").glob("*/checkpoint.json"))


def _parts(project: Project, symbol: str) -> dict[str, tuple[pa.Table, pa.Table]]:
    """Decisions and trades of a symbol by the name of their loop."""
    found = {}
    for folder in journals(project):
        tables = [table.filter(pc.equal(table["symbol"], symbol)) for table in parts_of(folder)]
        found[folder.name] = tables[0], tables[1]
    return found


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    own = {folder.name: sorted(path.name for path in folder.glob("*.parquet")) for folder in journals(project)}
    return {"code": code_digest("live/decisions", "live/broker", "live/journal", "layers/decisions"), "journals": own}


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    parts = _parts(project, str(keys["symbol"]))
    decisions, trades = (_joined(parts, place) for place in (0, 1))
    rows = decisions.num_rows
    lacking = pc.sum(pc.equal(decisions["reason"], "")).as_py() or 0 if rows else 0
    ts = us(decisions["ts_us"])
    ordered = int(pc.sum(decisions["ordered"]).as_py() or 0) if rows else 0
    summary = {
        "rows": rows,
        "loops": sorted(parts),
        "ordered": ordered,
        "trades": trades.num_rows,
        "reasons": {one["values"]: one["counts"] for one in decisions["reason"].value_counts().to_pylist()},
        "first": iso(int(ts[0])) if rows else None,
        "last": iso(int(ts[-1])) if rows else None,
    }
    checks = [
        Check("explained", lacking == 0, f"{lacking} of {rows} decisions without a reason", values={"rows": rows})
    ]
    files = {"data.parquet": parquet_bytes(decisions), "trades.parquet": parquet_bytes(trades)}
    return project.warehouse.write("decisions", keys, files, inputs=inputs, summary=summary, checks=checks)


def _joined(parts: dict[str, tuple[pa.Table, pa.Table]], place: int) -> pa.Table:
    """Rows of all loops with the loop's name, in order of time."""
    from scalper_ml.live.broker import PAPER_TRADES
    from scalper_ml.live.decisions import DECISIONS

    empty = (DECISIONS, PAPER_TRADES)[place].empty_table().append_column("loop", pa.array([], pa.string()))
    named = [
        tables[place].append_column("loop", pa.repeat(pa.scalar(name, pa.string()), tables[place].num_rows))
        for name, tables in parts.items()
    ]
    by = ("ts_us", "exit_ts_us")[place]
    return pa.concat_tables([empty, *named]).sort_by([(by, "ascending"), ("horizon", "ascending")]).combine_chunks()


DECISIONS_LAYER = Layer("decisions", "symbol", (), ("explained",), _inputs, _build)
