"""``scalper report`` and ``scalper forecast``: the models of a warehouse as a site, and what forecasters answer."""

import os
from pathlib import Path
from typing import Annotated

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.project import open_project

__all__ = ["forecast", "report"]

Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]


def report(
    out: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("reports/models"),
    symbol: Annotated[str | None, typer.Option(help="A configured symbol; default: all of them.")] = None,
    horizon: Annotated[int | None, typer.Option(help="A configured horizon, in bars; default: all of them.")] = None,
    profile: Profile = None,
    overrides: Overrides = None,
) -> None:
    """Write every model, ensemble and forecaster that is built as pages that need nothing else, and an index.

    Each metric stands beside its baseline, its interval, what is often asked for elsewhere and an honest verdict.
    """
    from scalper_ml.layers.base import asked_keys
    from scalper_ml.layers.model_report import write_site

    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    keys, shown = asked_keys(project.settings, symbol, horizon), console(stderr=True)

    def told(page: str) -> None:
        if shown.is_terminal:
            shown.print(page)

    written = write_site(project, out, keys, told=told)
    print(f"{len(written)} files, begin with {written[0]}")


def forecast(
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    kind: Annotated[list[str] | None, typer.Option(help="A forecaster of the settings; default: all of them.")] = None,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What forecasters answer on the last labelled bar, each as documented, with its confidence."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.forecasts import answer_of, forecast_layers

    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    kinds = kind or [layer.name.split("/")[1] for layer in forecast_layers(project.settings)]
    if not kinds:
        typer.echo("no forecaster is configured: forecasts.kinds of the settings is empty", err=True)
        raise SystemExit(1)
    found = [answer_of(project, keys, one) for one in kinds]
    if as_json:
        print_json(found)
        return
    shared = ("kind", "ts_us", "price_now")
    rows = [
        (
            one["kind"],
            ", ".join(f"{k} {_short(v)}" for k, v in one.items() if k not in (*shared, "confidence", "probabilities")),
            f"{one['confidence']:.3f}",
        )
        for one in found
    ]
    heads = {"forecaster": "left", "answer": "left", "confidence": "right"}
    console().print(table_of(f"{symbol} x {horizon}", heads, rows))


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
