"""thresholds: the verdict of every configured coin x horizon, published as one JSON file with history."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalper_ml.durable import atomic_write, sha256_of
from scalper_ml.errors import ChecksFailedError, WarehouseError
from scalper_ml.gate.thresholds import FORMAT, build_thresholds, diff_thresholds, summary_of, thresholds_bytes
from scalper_ml.layers.backtests import BACKTESTS_LAYER
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.layers.candidates import candidates_layer, contenders
from scalper_ml.layers.datasets import DATASETS_LAYER
from scalper_ml.layers.features import FEATURES_LAYER
from scalper_ml.project import Project
from scalper_ml.reports.canonical import published_json
from scalper_ml.reports.tear_sheet import summary_page
from scalper_ml.warehouse import Check, Manifest

__all__ = ["THRESHOLDS_LAYER", "published_thresholds"]

CODE = (
    "gate/thresholds",
    "gate/decision",
    "gate/tiers",
    "validation/multiplicity",
    "reports/tear_sheet",
    "layers/thresholds",
)


def _scored(project: Project) -> dict[tuple[str, int], Manifest]:
    """Backtests of what is there today: one whose data, model or settings have changed since is not a score.

    That of a champion, or of its challenger, stays one while bars are added: drift watches over the one, the shadow run
    over the other.
    """
    warehouse, settings = project.warehouse, project.settings
    found = {}
    for symbol in settings.symbols:
        for horizon in settings.horizons:
            keys: Keys = {"symbol": symbol, "horizon": horizon}
            manifest = warehouse.manifest("backtests", keys)
            if manifest is not None and (_current(project, keys) or _of_champion(project, keys, manifest)):
                found[symbol, horizon] = manifest
    return found


def _current(project: Project, keys: Keys) -> bool:
    """Whether everything from the features to the backtest is fresh and passed its checks."""
    settings = project.settings
    learned = (DATASETS_LAYER, *contenders(settings), candidates_layer(settings), BACKTESTS_LAYER)
    try:
        return FEATURES_LAYER.fresh(project, {"symbol": keys["symbol"]}) and all(
            layer.fresh(project, keys) for layer in learned
        )
    except (WarehouseError, ChecksFailedError):  # something upstream is missing or blocked
        return False


def _of_champion(project: Project, keys: Keys, backtest: Manifest) -> bool:
    """Whether a backtest is of the champion or its challenger, scored by the code, costs and gate of today."""
    champion = project.warehouse.manifest("champions", keys)
    if champion is None:
        return False
    challenger = champion.summary.get("challenger") or {}
    if backtest.inputs["bundle_id"] not in (champion.summary["bundle_id"], challenger.get("bundle_id")):
        return False
    try:
        today = BACKTESTS_LAYER.inputs(project, keys)
    except (WarehouseError, ChecksFailedError):
        return False
    rules = ("code", "bundle_id", "costs", "risk_per_trade", "gate", "calendar", "execution")
    return all(backtest.inputs.get(name) == today[name] for name in rules)


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    settings = project.settings
    published = project.path(settings.gate.file)
    return {
        "code": code_digest(
            "gate/thresholds", "gate/decision", "gate/tiers", "validation/multiplicity", "layers/thresholds"
        ),
        "family": settings.fingerprint("symbols", "horizons", "bars", "gate", "drift"),
        "backtests": {
            f"{symbol} x {horizon}": manifest.content for (symbol, horizon), manifest in _scored(project).items()
        },
        "published": sha256_of(published.read_bytes()) if published.is_file() else None,
    }


def _write_reports(
    project: Project, document: dict[str, Any], summary: dict[str, Any], reports: Sequence[dict[str, Any]]
) -> None:
    """``per_coin/<SYMBOL>_<timeframe>_<version>.json`` and ``summary_<version>.json``, and a page of the latter."""
    folder, version = project.path(project.settings.gate.reports), document["version"]
    for symbol, coin in document["coins"].items():
        own = {str(report["horizon"]): report for report in reports if report["symbol"] == symbol}
        name = f"{symbol}_{document['timeframe']}_{version}.json"
        atomic_write(folder / "per_coin" / name, published_json({"symbol": symbol, "verdict": coin, "horizons": own}))
    atomic_write(folder / f"summary_{version}.json", published_json(summary))
    atomic_write(folder / f"summary_{version}.html", summary_page(document).encode())


def published_thresholds(project: Project, *, force: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The document as it is today and what its making changed; made where it is missing or stale."""
    manifest = project.warehouse.manifest("thresholds", {})
    changes: list[dict[str, Any]] = []
    if force or manifest is None or not THRESHOLDS_LAYER.fresh(project, {}):
        manifest = THRESHOLDS_LAYER.run(project, {})
        changes = manifest.summary["changes"]
    document: dict[str, Any] = json.loads(project.warehouse.read_bytes(manifest, "thresholds.json"))
    return document, changes


def _before(published: Path) -> dict[str, Any] | None:
    """The last document, if it is one of this format."""
    try:
        document = json.loads(published.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("format") == FORMAT else None


def _build(project: Project, keys: Keys) -> Manifest:
    warehouse, settings = project.warehouse, project.settings
    inputs = _inputs(project, keys)
    scored = _scored(project)
    reports = [json.loads(warehouse.read_bytes(manifest, "report.json")) for manifest in scored.values()]
    thresholds = build_thresholds(
        reports,
        symbols=settings.symbols,
        horizons=settings.horizons,
        version=settings.gate.version,
        timeframe=settings.bars.interval,
        min_score=settings.gate.min_score,
        max_age_days=settings.drift.max_age_days,
    )
    data = thresholds_bytes(thresholds)
    family = len(settings.symbols) * len(settings.horizons)
    missing = sorted(
        f"{symbol} x {horizon}"
        for symbol in settings.symbols
        for horizon in settings.horizons
        if (symbol, horizon) not in scored
    )
    checks = [
        Check(
            "complete",
            set(thresholds["coins"]) == set(settings.symbols),
            f"{len(thresholds['coins'])} coins, {family} verdicts",
        ),
        Check("all_scored", not missing, f"not scored, so NO_TRADE: {missing or 'none'}", blocking=False),
    ]
    published = project.path(settings.gate.file)
    changes = diff_thresholds(_before(published), thresholds)
    if published.is_file() and (before := published.read_bytes()) != data:
        atomic_write(published.parent / "history" / f"{published.stem}-{sha256_of(before)[:12]}.json", before)
    atomic_write(published, data)
    summary = summary_of(thresholds, reports)
    _write_reports(project, thresholds, summary, reports)
    return warehouse.write(
        "thresholds",
        keys,
        {
            "thresholds.json": data,
            "summary.json": published_json(summary),
            "summary.html": summary_page(thresholds).encode(),
        },
        inputs=inputs | {"published": sha256_of(data)},
        summary=thresholds["summary"] | {"changes": changes},
        checks=checks,
    )


THRESHOLDS_LAYER = Layer("thresholds", "none", ("backtests",), ("complete", "all_scored"), _inputs, _build)
