"""``scalper train``, ``evaluate``, ``compare`` and ``explain``: saved models from the command line."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.commands.networks import BatchSize, Epochs, network_overrides
from scalper_ml.project import Project, open_project

__all__ = ["compare", "evaluate", "explain", "train"]

Symbol = Annotated[str, typer.Option(help="A configured symbol.")]
Horizon = Annotated[int, typer.Option(help="A configured horizon, in bars.")]
Kind = Annotated[str | None, typer.Option(help="A model or ensemble of the settings; default: the candidate.")]
Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def _opened(profile: str | None, overrides: list[str] | None) -> Project:
    return open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])


def _kind(project: Project, keys: Any, kind: str | None) -> str:
    return kind or str(project.warehouse.require("candidates", keys).summary["kind"])


def train(
    symbol: Annotated[str | None, typer.Option(help="A configured symbol; default: all of them.")] = None,
    horizon: Annotated[int | None, typer.Option(help="A configured horizon, in bars; default: all of them.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this model or ensemble; may be repeated.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train what is fresh, too.")] = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Train every stale model and ensemble of the datasets that are there, and choose the candidates.

    `scalper run --only train` does the same as Dagster runs, which the UI shows, and makes the datasets first.
    """
    from scalper_ml.layers.base import asked_keys
    from scalper_ml.layers.evaluation import Built, stale_below, train_stale

    project = _opened(profile, overrides)
    if sizes := network_overrides(project.settings, epochs=epochs, batch_size=batch_size):
        project = _opened(profile, [*sizes, *(overrides or [])])
    shown = console(stderr=True)

    def told(step: Built) -> None:
        if shown.is_terminal:
            where = " x ".join(map(str, step.keys.values()))
            shown.print(f"{step.layer} {where}: {'trained' if step.built else 'fresh'}, {step.seconds:.1f} s")

    found: list[Built] = []
    for keys in asked_keys(project.settings, symbol, horizon):
        if stale := stale_below(project, keys):
            where = " x ".join(map(str, keys.values()))
            shown.print(
                f"{where}: {stale} is of other settings or files, and so is what is trained of it; `scalper run --only "
                "train` (or without --only) with the same options makes it again",
                soft_wrap=True,
            )
        found += train_stale(project, keys, kind or (), force=force, told=told)
    if as_json:
        print_json([{"layer": o.layer, **o.keys, "built": o.built, "bundle_id": o.summary["bundle_id"]} for o in found])
        return
    columns = {"model": "left", "symbol": "left", "h": "right", "bundle": "left", "skill": "right"}
    columns |= {"bal. acc.": "right", "ECE excess": "right", "": "left", "seconds": "right"}
    rows = []
    for step in found:
        on = step.summary["metrics"]["select"] if "metrics" in step.summary else None
        skill = on and (on["r2"]["value"] if "r2" in on else on["log_loss_skill"])
        numbers = ("" if skill is None else f"{skill:+.4f}", "", "")
        if on and "r2" not in on:
            numbers = (numbers[0], f"{on['balanced_accuracy']['value']:.4f}", f"{on['ece_excess']:+.4f}")
        name = step.layer if on else f"{step.layer}: {step.summary['kind']}"
        rows.append((name, *step.keys.values(), step.summary["bundle_id"][:12], *numbers,
                     "trained" if step.built else "fresh", f"{step.seconds:.1f}"))  # fmt: skip
    console().print(table_of("On select: log-loss skill or R2, balanced accuracy, calibration error", columns, rows))


def evaluate(
    symbol: Symbol,
    horizon: Horizon,
    kind: Kind = None,
    role: Annotated[
        str, typer.Option(help="select, calibrate or score. Score is what the backtest reports.")
    ] = "select",
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Metrics of a saved bundle on rows it was not fitted on, each beside its baseline and what no skill would give."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.evaluation import evaluate_saved
    from scalper_ml.layers.forecasts import evaluate_forecast, forecast_named
    from scalper_ml.reports.targets import verdicts, verdicts_of_forecast

    project = _opened(profile, overrides)
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    forecaster = kind is not None and forecast_named(project.settings, kind) is not None
    if forecaster:
        found = evaluate_forecast(project, keys, str(kind), role)
        rows = verdicts_of_forecast(found, found["target"])
    else:
        found = evaluate_saved(project, keys, _kind(project, keys, kind), role)
        rows = verdicts(found)
    if as_json:
        print_json([{**found, "verdicts": rows}])
        return
    title = (
        f"{found['kind']} {found['bundle_id'][:12]} on {role} of {symbol} x {horizon}: {found['rows']:,} rows, "
        f"{found['n_eff']:,.0f} effective"
    )
    out = console()
    heads = {"metric": "left", "value": "right", "95 % interval": "right", "no skill": "right"}
    heads |= {"asked for elsewhere": "right", "verdict": "left"}
    out.print(table_of(title, heads, [tuple(row.values()) for row in rows]))
    if forecaster:
        return
    by_class = [
        (name, *(_short(one[key]) for key in ("precision", "recall", "f1", "f1_chance")), _short(found["auc"][name]))
        for name, one in found["classes"].items()
    ]
    heads = {"class": "left", "precision": "right", "recall": "right", "F1": "right", "F1 of chance": "right"}
    out.print(table_of("By class", heads | {"AUC": "right"}, by_class))
    heads = {"actual": "left", **{name: "right" for name in found["classes"]}}
    out.print(
        table_of("Predicted", heads, [(n, *row) for n, row in zip(found["classes"], found["confusion"], strict=True)])
    )


def compare(
    symbol: Symbol,
    horizon: Annotated[
        int | None, typer.Option(help="A configured horizon, in bars; default: all, beside their weighted mean.")
    ] = None,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Every model and ensemble of a symbol x horizon on select, the best first.

    Without a horizon the candidate of each beside the mean over all of them, weighted by ensembles.horizon_weights.
    """
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.evaluation import compare_across, compare_saved

    project = _opened(profile, overrides)
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    rows = compare_across(project, symbol) if horizon is None else compare_saved(project, keys)
    if as_json:
        print_json(rows)
        return
    if horizon is None:
        for one in project.settings.horizons:
            _print_compared(f"{symbol} x {one}", [row for row in rows if row["horizon"] == one])
        return
    _print_compared(f"{symbol} x {horizon}", rows)


def _print_compared(where: str, rows: list[dict[str, Any]]) -> None:
    heads = {"model": "left", "log loss": "right", "skill": "right", "behind": "right", "95 % interval": "right"}
    heads |= {"Brier skill": "right", "bal. acc.": "right", "directional": "right", "": "left"}
    cells = [
        (row["kind"], f"{row['log_loss']:.5f}", f"{row['log_loss_skill']:+.4f}", f"{row['behind']:.5f}",
         "" if row["behind_ci"] is None else "{:+.5f} {:+.5f}".format(*row["behind_ci"]),
         f"{row['brier_skill']:+.4f}", f"{row['balanced_accuracy']:.4f}", _short(row["directional_accuracy"]),
         "chosen" if row.get("chosen") else "as good" if row["as_good"] else "")
        for row in rows
    ]  # fmt: skip
    console().print(table_of(f"{where}: {rows[0]['rows']:,} rows of select", heads, cells))


def explain(
    symbol: Symbol,
    horizon: Horizon,
    kind: Kind = None,
    at: Annotated[str | None, typer.Option(help="Close of a labelled bar, UTC: take that prediction apart.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Most rows of select, evenly spaced.")] = 500,
    top: Annotated[int, typer.Option(min=1, help="Features to list.")] = 20,
    permute: Annotated[
        bool, typer.Option("--permute", help="Permutations also where contributions are exact.")
    ] = False,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Rank the features of a saved model: native TreeSHAP or linear contributions; permutations for the rest."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.evaluation import explain_forecast, explain_saved
    from scalper_ml.layers.forecasts import forecast_named

    project = _opened(profile, overrides)
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    forecaster = kind is not None and forecast_named(project.settings, kind) is not None
    explain_one = explain_forecast if forecaster else explain_saved
    found = explain_one(project, keys, _kind(project, keys, kind), rows=rows, at=at, permute=permute)
    if as_json:
        effects = [{"feature": one.name, "effect": one.effect, "spread": one.spread} for one in found.effects]
        said = {"kind": found.kind, "method": found.method, "rows": found.rows, "effects": effects}
        print_json([said | {"row": found.row.to_dict() if found.row else None}])
        return
    out = console()
    cells = [(place + 1, one.name, f"{one.effect:.5f}", f"{one.spread:.5f}" if one.spread else "")
             for place, one in enumerate(found.effects[:top])]  # fmt: skip
    heads = {"": "right", "feature": "left", "effect": "right", "spread": "right"}
    out.print(table_of(f"{found.kind}: {found.method}, {found.rows:,} rows of select", heads, cells))
    if found.row is None:
        return
    parts = [(name, f"{value:.6g}", f"{part:+.5f}") for name, value, part in found.row.contributions[:top]]
    rest = sum(part for _, _, part in found.row.contributions[top:])
    parts = [("before any feature", "", f"{found.row.base:+.5f}"), *parts, ("all others", "", f"{rest:+.5f}")]
    parts.append((found.row.what, "", f"{found.row.odds:+.5f}"))
    P = f": {'/'.join(found.row.states)} {'/'.join(f'{p:.4f}' for p in found.row.probabilities)}"
    title = f"Closing {at}{P if found.row.states else ''}"
    out.print(table_of(title, {"": "left", "value": "right", "adds": "right"}, parts))


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
