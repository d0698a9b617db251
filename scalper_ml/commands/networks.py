"""``--epochs`` and ``--batch-size``: one value for every network that a project trains."""

from dataclasses import fields
from typing import Annotated

import typer

from scalper_ml.errors import SettingsError
from scalper_ml.settings import Settings

__all__ = ["BatchSize", "Epochs", "network_overrides"]

Epochs = Annotated[
    int | None, typer.Option(help="Most passes over the rows, of every network; forecasts.<kind>.epochs.")
]
BatchSize = Annotated[int | None, typer.Option(help="Rows at a time, of every network; forecasts.<kind>.batch_size.")]


def network_overrides(settings: Settings, *, epochs: int | None, batch_size: int | None) -> list[str]:
    """The options as overrides of every kind trained here that has such a parameter.

    Raises
    ------
    SettingsError
        A value is given and no kind of the settings has the parameter.
    """
    trained = [
        (section, kind, {field.name for field in fields(kinds.kind(kind).params)})
        for section, kinds in (("training", settings.training), ("forecasts", settings.forecasts))
        for kind in kinds.kinds
    ]
    found = []
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value is None:
            continue
        having = [f"{section}.{kind}.{name}={value}" for section, kind, known in trained if name in known]
        if not having:
            from scalper_ml.forecasters.registry import forecaster_kinds

            networks = [k for k, one in forecaster_kinds().items() if name in {f.name for f in fields(one.params)}]
            raise SettingsError(
                f"--{name.replace('_', '-')} {value}: no kind that is trained here has {name}; trained are "
                f"{[kind for _, kind, _ in trained]}, name one of {networks} in forecasts.kinds"
            )
        found += having
    return found
