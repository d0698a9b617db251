"""market: what the other coins did, as known at each close; one table for all coins."""

from typing import Any

from scalper_ml.bars.market import market_table
from scalper_ml.durable import parquet_bytes
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.project import Project
from scalper_ml.warehouse import Check, Manifest

__all__ = ["MARKET_LAYER"]


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    settings = project.settings
    present = _present(project)
    return {
        "code": code_digest("bars/market", "schema", "layers/market"),
        "lead": settings.lead,
        "bars": {symbol: manifest.content for symbol, manifest in present.items()},
    }


def _present(project: Project) -> dict[str, Manifest]:
    """Coins whose bars are there and passed their checks."""
    warehouse = project.warehouse
    found = {}
    for symbol in project.settings.symbols:
        keys = {"symbol": symbol}
        manifest = warehouse.manifest("bars", keys)
        if manifest is not None and not warehouse.blocked("bars", keys):
            found[symbol] = manifest
    return found


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    settings, warehouse = project.settings, project.warehouse
    present = _present(project)
    bars = {symbol: warehouse.read_table(manifest, columns=["ts_us", "close"]) for symbol, manifest in present.items()}
    table = market_table(bars, settings.interval_us, settings.lead)
    rows = {symbol: 0 for symbol in present}
    rows.update({r["values"]: r["counts"] for r in table["symbol"].value_counts().to_pylist()})
    missing = [symbol for symbol in settings.symbols if symbol not in present]
    checks = [
        Check("schema", True, f"{table.num_rows} rows over {len(rows)} coins"),
        Check("coins_present", not missing, f"configured coins without bars: {missing or 'none'}", blocking=False),
    ]
    summary = {"rows": table.num_rows, "rows_by_symbol": rows, "lead": settings.lead, "missing": missing}
    return warehouse.write(
        "market",
        keys,
        {"data.parquet": parquet_bytes(table)},
        inputs=inputs,
        summary=summary,
        checks=checks,
    )


MARKET_LAYER = Layer("market", "none", ("bars",), ("schema", "coins_present"), _inputs, _build)
