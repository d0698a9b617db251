"""What the UI shows of a materialisation: counts, schemas, small plots and tables."""

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dagster import MetadataValue, TableColumn, TableRecord, TableSchema

from scalper_ml.clock import iso
from scalper_ml.drift.cusum import LIMIT
from scalper_ml.features.registry import FeatureSet
from scalper_ml.project import Project
from scalper_ml.quality.coverage import coverage_plot, joined_coverage
from scalper_ml.quality.instruments import Instrument
from scalper_ml.reports import plots
from scalper_ml.reports.targets import verdicts_of_forecast
from scalper_ml.schema import CLASSES, COLUMNS
from scalper_ml.warehouse import Manifest

__all__ = ["describe", "plain"]

Metadata = dict[str, Any]

SHOWN = 20  # rows of a table of files or gaps


def plain(values: Mapping[str, Any]) -> Metadata:
    """Numbers rounded for reading and text as it is, everything else as JSON."""
    return {
        name.lower().replace(" ", "_"): _readable(value)
        if isinstance(value, bool | int | float | str)
        else MetadataValue.json(value)
        for name, value in values.items()
        if value is not None
    }


def _readable(value: Any) -> Any:
    """A number with six significant digits; anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def describe(project: Project, manifest: Manifest) -> Metadata:
    """Metadata of a partition that has just been written."""
    layer = manifest.layer.split("/")[0]
    metadata: Metadata = {
        "path": MetadataValue.path(str(project.warehouse.folder(manifest.layer, manifest.keys))),
        "content": manifest.content[:16],
        "bytes": sum(entry["bytes"] for entry in manifest.files.values()),
    }
    for name in manifest.files:
        if name.endswith("data.parquet"):
            metadata["dagster/column_schema"] = _schema(project, manifest, name)
            break
    if isinstance(manifest.summary.get("rows"), int):
        metadata["dagster/row_count"] = int(manifest.summary["rows"])
    return metadata | DESCRIBE[layer](project, manifest)


def _schema(project: Project, manifest: Manifest, file: str) -> TableSchema:
    schema = project.warehouse.read_schema(manifest, file)
    described = dict(COLUMNS.get(manifest.layer, {}))
    if manifest.layer == "features":
        fs = FeatureSet.from_json(project.warehouse.read_bytes(manifest, "feature_set.json").decode())
        described = {s.name: f"{s.family}, {s.unit}: {s.definition} (from row {s.warmup} on)" for s in fs.specs}
        described |= {"ts_us": "close of the bar, UTC", "warm": "every column is known and the bar has enough ticks"}
    return TableSchema(
        columns=[TableColumn(field.name, str(field.type), description=described.get(field.name)) for field in schema]
    )


def _plot(svg: bytes, alt: str) -> Any:
    return MetadataValue.md(plots.as_markdown(svg, alt))


def _file(project: Project, manifest: Manifest, name: str) -> Any:
    """Where a file of a partition lies."""
    folder = project.warehouse.folder(manifest.layer, manifest.keys)
    return MetadataValue.path(str(folder / manifest.files[name]["path"]))


def _table(rows: list[dict[str, Any]]) -> Any:
    """Records of equal keys as a table; nested values as JSON."""
    flat = [
        {
            k: _readable(v) if isinstance(v, bool | int | float | str) else ("-" if v is None else json.dumps(v))
            for k, v in row.items()
        }
        for row in rows
    ]
    return MetadataValue.table(records=[TableRecord(row) for row in flat]) if flat else MetadataValue.text("none")


def _ordered(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named values of a row."""
    return {name: row[name] for name in names}


def _ticks(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    names = ("files", "format", "read", "duplicate", "quarantined", "days", "first", "last", "listed", "delisted")
    beside = {name: project.warehouse.read_table(manifest, f"{name}.parquet") for name in ("observations", "gaps")}
    files = [
        {"file": row["file"], "bytes": row["bytes"], "read": row["read"], "quarantined": row["quarantined"],
         "from": _day(row["first_ts_us"]), "to": _day(row["last_ts_us"]), "sha256": row["sha256"][:12]}
        for row in beside["observations"].slice(max(beside["observations"].num_rows - SHOWN, 0)).to_pylist()
    ]  # fmt: skip
    gaps = sorted(beside["gaps"].to_pylist(), key=lambda row: row["from_ts_us"] - row["to_ts_us"])[:SHOWN]
    return {
        "coverage": _plot(
            coverage_plot(project.warehouse.read_table(manifest, "coverage.parquet")), "share of minutes with trades"
        ),
        **plain({k: summary[k] for k in names}),
        "newest_files": _table(files),
        "longest_gaps": _table(
            [
                {"kind": row["kind"], "from": _second(row["from_ts_us"]), "to": _second(row["to_ts_us"]),
                 "missing": row["missing"]}
                for row in gaps
            ]
        ),
    }  # fmt: skip


def _event_bars(project: Project, manifest: Manifest) -> Metadata:
    counts = {name.removesuffix(".parquet"): manifest.summary[name.removesuffix(".parquet")] for name in manifest.files}
    return {"bars": _table([{"kind": kind, "bars": count} for kind, count in counts.items()])}


def _day(stamp: datetime | None) -> str:
    return "-" if stamp is None else f"{stamp:%Y-%m-%d}"


def _second(stamp: datetime | None) -> str:
    return "-" if stamp is None else f"{stamp:%Y-%m-%d %H:%M:%S}"


def _bars(project: Project, manifest: Manifest) -> Metadata:
    bars = project.warehouse.read_table(manifest, columns=["ts_us", "close", "volume"])
    shown = plain({k: manifest.summary[k] for k in ("origin", "interval", "first", "last", "missing_intervals")})
    return shown | {
        "null_columns": ", ".join(manifest.summary["null_columns"]) or "none",
        "price": _plot(plots.price(bars), "closing price"),
    }


def _context(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    return plain({k: summary[k] for k in ("files", "format", "read", "duplicate", "quarantined")}) | {
        "candles": ", ".join(summary["candles"]) or "none",
        "kinds": _table([{"kind": kind, **row} for kind, row in summary["kinds"].items()]),
        "interval_changes": _table(summary["interval_changes"]),
    }


def _context_bars(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    return plain({k: summary[k] for k in ("first", "last", "ages_h")}) | {
        "nan_share": _table([{"column": name, "share": share} for name, share in summary["nan_share"].items()]),
        "interval_changes": "; ".join(summary["interval_changes"]) or "none",
    }


def _book(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    names = ("first", "last", "files", "format", "quotes", "read", "duplicate", "quarantined")
    return plain({k: summary[k] for k in names}) | {
        "null_share": _table([{"column": name, "share": share} for name, share in summary["null_share"].items()]),
        "clock_skew": _table(summary["clock_skew"]),
    }


def _market(project: Project, manifest: Manifest) -> Metadata:
    counts = manifest.summary["rows_by_symbol"]
    return {
        "lead": manifest.summary["lead"],
        "missing": ", ".join(manifest.summary["missing"]) or "none",
        "rows_by_symbol": _table([{"symbol": symbol, "rows": rows} for symbol, rows in counts.items()]),
        **_coverage_of_all(project),
    }


def _coverage_of_all(project: Project) -> Metadata:
    """Share of minutes with trades, all symbols by day; nothing where bars are made of klines."""
    found = (project.warehouse.manifest("ticks", {"symbol": symbol}) for symbol in project.settings.symbols)
    tables = [project.warehouse.read_table(one, "coverage.parquet") for one in found if one is not None]
    if not tables:
        return {}
    listed = {
        symbol: Instrument(symbol, listing.listed, listing.delisted)
        for symbol, listing in project.settings.quality.instruments.items()
    }
    return {"coverage": _plot(coverage_plot(joined_coverage(tables, listed)), "share of minutes with trades")}


def _features(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    shown = ("features", "feature_set_id", "warm_rows", "warmup", "state_bytes", "first", "last")
    rows = project.warehouse.read_table(manifest, "reference.parquet").to_pylist()
    late = sorted(rows, key=lambda row: (-row["nan_rows"], row["feature"]))[:SHOWN]
    names = ("feature", "nan_rows", "first_valid", "mean", "sd", "min", "max")
    return plain({k: summary[k] for k in shown}) | {
        "groups": ", ".join(summary["groups"]),
        "absent": ", ".join(summary["absent"]),
        "nan_map": _plot(plots.shares_over_time(summary["nan_map"], title="share of NaN"), "share of NaN by family"),
        "nan_values": sum(row["nan_rows"] for row in rows),
        "longest_nan": _table([_ordered(row, *names) for row in late]),
        "reference_histograms": f"reference.parquet: edges and counts of {len(rows)} features over the warm rows",
    }


def _datasets(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    roles = [
        {
            "role": role,
            "rows": part["rows"],
            "effective": round(part["n_eff"], 1),
            **{name: round(share, 4) for name, share in part["class_shares"].items()},
            "from": part["first_t0"][:16],
            "known by": part["last_t1"][:16],
        }
        for role, part in summary["roles"].items()
    ]
    return {
        "dagster/row_count": int(summary["label_rows"]),
        "label_version": summary["label_version"],
        "feature_set_id": summary["feature_set_id"],
        "dropped": MetadataValue.json(summary["dropped"]),
        "purged": MetadataValue.json(summary["purged"]),
        "roles": _table(roles),
        "class_balance": _plot(
            plots.class_balance({r: [p["class_counts"][c] for c in CLASSES] for r, p in summary["roles"].items()}),
            "class balance by role",
        ),
    }


def _forecasts(project: Project, manifest: Manifest) -> Metadata:
    """Forecasters and their stack: every metric beside its baseline, where it learnt and what it listens to."""
    summary = manifest.summary
    rows = verdicts_of_forecast(summary["metrics"]["select"], summary["target"])
    shown = plain({name: summary[name] for name in ("target", "unit", "baseline", "lookback", "best_iteration")})
    curve = {} if not summary["learning_curve"] else {
        "learning_curve": _plot(
            plots.learning_curve({"loss": summary["learning_curve"]}, title="loss on the rows to stop on, by round"),
            "loss by round",
        )
    }  # fmt: skip
    shares = summary.get("shares", {})
    return {
        "bundle_id": summary["bundle_id"][:16],
        **shown,
        "select": _table([dict(row) for row in rows]),
        **plain({} if summary["interval"] is None else {f"bounds_{k}": v for k, v in summary["interval"].items()}),
        **curve,
        "importance": _plot(
            plots.importance(summary["importance"], title="share of each feature"), "share of each feature"
        ),
        **({"members": _table([{"member": name, "share": share} for name, share in shares.items()])} if shares else {}),
        "warnings": "; ".join(summary["warnings"]) or "none",
    }


def _models(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    if "target" in summary:
        return _forecasts(project, manifest)
    select = summary["metrics"]["select"]
    names = (
        "accuracy",
        "majority_accuracy",
        "mcc",
        "log_loss",
        "log_loss_base",
        "log_loss_skill",
        "brier_skill",
        "ece",
        "ece_excess",
    )
    by_role = {
        role: {
            "balanced_accuracy": values["balanced_accuracy"]["value"],
            "its 95 % interval": json.dumps([round(bound, 4) for bound in values["balanced_accuracy"]["ci"] or []]),
            "its chance": values["balanced_accuracy"]["chance"],
            **{name: values[name] for name in names},
        }
        for role, values in summary["metrics"].items()
    }
    rows = next(iter(by_role.values()))
    metrics = [{"metric": row, **{role: values[row] for role, values in by_role.items()}} for row in rows]
    return {
        "bundle_id": summary["bundle_id"][:16],
        **plain({"best_iteration": summary["best_iteration"], "temperature": summary["calibration"]["temperature"]}),
        "select_balanced_accuracy": _readable(float(select["balanced_accuracy"]["value"])),
        **{f"select_{name}": _readable(float(select[name])) for name in ("log_loss_skill", "ece_excess")},
        "metrics": _table(metrics),
        "importance": _plot(
            plots.importance(summary["importance"], title="share of gain by feature"), "share of gain by feature"
        ),
        "confusion_select": _plot(
            plots.confusion(select["confusion"], title="predicted class against label"),
            "predicted class against label on select",
        ),
        "reliability_select": _plot(
            plots.reliability(select["reliability"], title="probability of the predicted class: said and seen"),
            "probability said against frequency seen on select",
        ),
        **_study(project, manifest),
        **_selection(summary.get("selection")),
        "warnings": "; ".join(summary["warnings"]) or "none",
    }


def _study(project: Project, manifest: Manifest) -> Metadata:
    """The study behind the parameters of a model, where there is one."""
    tuning = manifest.summary.get("tuning")
    if tuning is None:
        return {}
    kind = manifest.layer.split("/")[1]
    rows = project.warehouse.read_table(project.warehouse.require(f"tuning/{kind}", manifest.keys)).to_pylist()
    scores = [row["score"] for row in rows if row["score"] is not None]
    best = list(itertools.accumulate(scores, max))
    return {
        "study": tuning["study"],
        "study_trials": tuning["trials"],
        "study_params": MetadataValue.json(tuning["params"]),
        "study_scores": _plot(
            plots.learning_curve(
                {"best so far": best, "trial": scores}, title="score of the trials that were finished"
            ),
            "score by trial",
        ),
    }


def _ensembles(project: Project, manifest: Manifest) -> Metadata:
    if "target" in manifest.summary:
        return _forecasts(project, manifest)
    members, shares = manifest.summary["members"], manifest.summary["shares"]
    rows = [{"member": name, "share": shares[name], "bundle": members[name][:16]} for name in members]
    return _models(project, manifest) | {"members": _table(rows)}


def _selection(selection: Mapping[str, Any] | None) -> Metadata:
    """The chosen set and the scores behind it, where features were chosen."""
    if selection is None:
        return {}
    return {
        "feature_set_id": selection["id"],
        "selected_features": len(selection["names"]),
        **plain({"selection_stability": selection["stability"]}),
        "selection": _table([dict(score) for score in selection["scores"][:SHOWN]]),
    }


def _candidates(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    return {
        "kind": summary["kind"],
        "bundle_id": summary["bundle_id"][:16],
        "trials": summary["trials"],
        "comparison": _table(list(summary["comparison"])),
        "superiority": MetadataValue.json(summary["superiority"]),
    }


def _meta_labels(project: Project, manifest: Manifest) -> Metadata:
    return plain({name: value for name, value in manifest.summary.items() if name != "rows"})


def _backtests(project: Project, manifest: Manifest) -> Metadata:
    report = json.loads(project.warehouse.read_bytes(manifest, "report.json"))
    trades = project.warehouse.read_table(manifest, "trades.parquet")
    equity = project.warehouse.read_table(manifest, "equity.parquet")
    bars = project.warehouse.read_table(project.warehouse.require("bars", {"symbol": manifest.keys["symbol"]}))
    metrics, score, decision = report["metrics"], report["score"], report["decision"]
    ladder = metrics["expectancy_r_at_cost"]
    names = (
        "trades_taken",
        "win_rate",
        "expectancy_r",
        "profit_factor",
        "balanced_accuracy",
        "f1_long",
        "f1_short",
        "coverage",
    )
    return {
        "dagster/row_count": trades.num_rows,
        "report_id": report["report_id"],
        "threshold": _readable(report["threshold"]["threshold"]),
        "published_min_confidence": _readable(decision["min_confidence"]),
        **plain({k: decision[k] for k in ("action", "reason", "quality_tier", "score_0_100", "raw_score")}),
        **plain({k: metrics[k] for k in names}),
        **plain({f"deflated_{k}": v for k, v in manifest.summary["deflated"].items()}),
        "score": _table([_ordered(row, "name", "points", "weight", "value", "lcb") for row in score["components"]]),
        "gates": _table(
            [
                {"failed gate would say": row["name"], "holds": row["passed"], **_ordered(row, "observed", "limit")}
                for row in score["gates"]
            ]
        ),
        "equity": _plot(plots.equity(equity), "cumulative R on the score role"),
        "signals": _plot(plots.price_with_signals(bars, trades), "price and trades"),
        "confusion": _plot(plots.confusion(metrics["confusion_matrix"]), "decisions against labels on score"),
        "calibration": _plot(plots.reliability(report["calibration"]["curve"]), "confidence: said and seen on score"),
        "drawdown": _plot(plots.drawdown(equity), "equity below its peak"),
        "suspicious": MetadataValue.text(", ".join(report["suspicious"]) or "no"),
        "cost_ladder": _table([{"costs": name, "expectancy_r": r} for name, r in (ladder or {}).items()]),
        "months": _table(metrics["by_month"]),
        "what_accuracy_would_pay": _table(report["what_pays"]["selective"]),
        "robustness": MetadataValue.json(report["robustness"]),
        "tear_sheet": _file(project, manifest, "tear_sheet.html"),
        "score_components": _plot(plots.score_components(score["components"]), "points by component"),
    }


def _placebo(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    return plain({k: summary[k] for k in ("placebos", "accepted")}) | {"scores": _table(list(summary["scores"]))}


def _thresholds(project: Project, manifest: Manifest) -> Metadata:
    thresholds = json.loads(project.warehouse.read_bytes(manifest, "thresholds.json"))
    names = ("action", "reason", "quality_tier", "score_0_100", "min_confidence")
    rows = [
        {"symbol": symbol, "horizon": horizon, **{k: verdict[k] for k in names}}
        for symbol, coin in thresholds["coins"].items()
        for horizon, verdict in sorted(coin["horizons"].items(), key=lambda item: int(item[0]))
    ]
    return {
        "file": MetadataValue.path(str(project.path(project.settings.gate.file))),
        "dagster/row_count": len(rows),
        **plain(thresholds["summary"]),
        "verdicts": _table(rows),
        "changes": _table(
            [
                {
                    "symbol": one["symbol"],
                    "horizon": one["horizon"],
                    **{f"{k} {when}": (one[when] or {}).get(k) for k in names for when in ("before", "after")},
                }
                for one in manifest.summary["changes"]
            ]
        ),
        "page": _file(project, manifest, "summary.html"),
        "reports": MetadataValue.path(str(project.path(project.settings.gate.reports))),
    }


def _champions(project: Project, manifest: Manifest) -> Metadata:
    history = json.loads(project.warehouse.read_bytes(manifest, "history.json"))
    names = ("action", "quality_tier", "score_0_100", "min_confidence", "kind", "bundle_id", "suspended", "reason")
    shown = {name: manifest.summary[name] for name in names}
    rows = [
        {"at": iso(one["at_us"])[:16], "event": one["event"], "bundle": (one["bundle_id"] or "none")[:12],
         "reason": one["reason"]}
        for one in reversed(history[-SHOWN:])
    ]  # fmt: skip
    challenger = manifest.summary["challenger"]
    return plain(shown) | {
        "transitions_so_far": len(history),
        "transitions": _table(rows),
        **(plain({f"challenger_{k}": v for k, v in challenger.items()}) if challenger else {}),
    }


def _decisions(project: Project, manifest: Manifest) -> Metadata:
    return plain({name: value for name, value in manifest.summary.items() if name != "rows"})


def _drift(project: Project, manifest: Manifest) -> Metadata:
    shown = plain({name: manifest.summary[name] for name in ("state", "reason")})
    return shown if manifest.summary["state"] == "NO_CHAMPION" else shown | DRIFT[manifest.layer](project, manifest)


def _curves(curves: Mapping[str, list[float]], title: str) -> Any:
    """Lines by number; in words where there are no two points to join."""
    if max(map(len, curves.values())) < 2:
        return MetadataValue.text("not yet: fewer than two points")
    return _plot(plots.learning_curve(curves, title=title), title)


def _drift_features(project: Project, manifest: Manifest) -> Metadata:
    rows = project.warehouse.read_table(manifest).to_pylist()
    ratios = {row["feature"]: row["psi"] / row["psi_limit"] for row in rows}
    return {
        **plain({name: manifest.summary[name] for name in ("window", "rows_since", "leading_beyond")}),
        "psi": _plot(
            plots.importance(ratios, title="PSI in units of its limit: beyond 1 it has moved"), "PSI by feature"
        ),
        "furthest": _table(rows[:SHOWN]),
    }


def _drift_predictions(project: Project, manifest: Manifest) -> Metadata:
    rows = project.warehouse.read_table(manifest).to_pylist()
    lines = {name: [row[name] for row in rows] for name in ("expected_accuracy", "accuracy")}
    return {
        "labels": manifest.summary["labels"],
        "accuracy": _curves(lines, "accuracy expected and seen, by day"),
        "days": _table(rows[-SHOWN:]),
    }


def _drift_performance(project: Project, manifest: Manifest) -> Metadata:
    summary = manifest.summary
    state = json.loads(project.warehouse.read_bytes(manifest, "state.json"))["monitor"]
    looks = state["looks"]
    sums = {name: [look[name] or 0.0 for look in looks] for name in ("cusum_accuracy", "cusum_r")}
    sums["limit"] = [LIMIT] * len(looks)
    earned = {"total_r": [look["total_r"] for look in looks]}
    alarms = [{"fired": one["name"], "at": iso(one["ts_us"])[:16], "labels": one["labels"], "detail": one["detail"]}
              for one in summary["alarms"]]  # fmt: skip
    return {
        **plain({name: summary[name] for name in ("labels", "trades", "total_r", "drawdown_r")}),
        **plain(summary["last_look"] or {}),
        "evidence": _curves(sums, "evidence of no skill, by look"),
        "earned": _curves(earned, "R earned since score, by look"),
        "alarms": _table(alarms),
        "not_monitored": MetadataValue.json(summary["skipped"]),
    }


DRIFT: dict[str, Callable[[Project, Manifest], Metadata]] = {
    "drift/features": _drift_features,
    "drift/predictions": _drift_predictions,
    "drift/performance": _drift_performance,
}

DESCRIBE: dict[str, Callable[[Project, Manifest], Metadata]] = {
    "ticks": _ticks,
    "bars": _bars,
    "event_bars": _event_bars,
    "context": _context,
    "context_bars": _context_bars,
    "book": _book,
    "market": _market,
    "features": _features,
    "datasets": _datasets,
    "models": _models,
    "meta_labels": _meta_labels,
    "ensembles": _ensembles,
    "candidates": _candidates,
    "backtests": _backtests,
    "placebo": _placebo,
    "thresholds": _thresholds,
    "champions": _champions,
    "drift": _drift,
    "decisions": _decisions,
}
