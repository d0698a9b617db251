"""``scalper tune``: search the parameters of a kind on one dataset."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.errors import SettingsError
from scalper_ml.project import open_project

__all__ = ["tune"]


def tune(
    kind: Annotated[str, typer.Option(help="A kind of model, e.g. lgb_classifier.")],
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials of the study, those it has already among them.")] = 100,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, at most 4 of use; default: the setting.")
    ] = None,
    folds: Annotated[int, typer.Option(min=0, max=20, help="Purged walk-forward folds; 0: one purged hold-out.")] = 0,
    objective: Annotated[str, typer.Option(help="accuracy (.7 accuracy + .3 directional) or log_loss.")] = "accuracy",
    seed: Annotated[int | None, typer.Option(min=0, help="Of the proposals; default: splits.seed.")] = None,
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Search the parameters of a kind with Optuna on the train role of a dataset; the next training takes the best.

    A study that was stopped, or killed, goes on where it was. More trials later extend it.
    """
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.tuning import TuneOptions, tune_kind
    from scalper_ml.tuning.study import Trial

    if objective not in ("accuracy", "log_loss"):
        raise SettingsError(f"--objective {objective!r}: expected accuracy or log_loss")
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    options = TuneOptions(
        folds=folds,
        objective=objective,  # type: ignore[arg-type]
        seed=project.settings.splits.seed if seed is None else seed,
    )
    shown, started = console(stderr=True), time.perf_counter()

    def told(trial: Trial, best: float) -> None:
        if shown.is_terminal:
            score = "given up" if trial.score is None else f"{trial.score:.4f}"
            shown.print(f"trial {trial.number}: {score}; best {best:.4f}", highlight=False)

    study, manifest = tune_kind(
        project, kind, keys, trials=trials, workers=workers or project.settings.workers, options=options, told=told
    )
    if as_json:
        print_json([manifest.summary])
        return
    best = study.best
    top = sorted((one for one in study.trials if one.score is not None), key=lambda one: (-one.score, one.number))[:5]  # type: ignore[operator]
    columns = {"trial": "right", "score": "right", "accuracy": "right", "directional": "right", "log loss": "right"}
    rows = [
        (one.number, *(_short(v) for v in (one.score, one.accuracy, one.directional_accuracy, one.log_loss)),
         ", ".join(f"{name}={value:.4g}" for name, value in sorted(one.params.items())))
        for one in top
    ]  # fmt: skip
    title = (
        f"{kind} on {symbol} x {horizon}: study {manifest.summary['study']}, {len(study.trials)} trials, "
        f"{study.given_up} given up, {time.perf_counter() - started:.0f} s"
    )
    out = console()
    out.print(table_of(title, columns | {"parameters": "left"}, rows))
    out.print(
        f"training takes the parameters of trial {best.number} from now on; training.tuned=false keeps the settings'",
        highlight=False,
    )


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
