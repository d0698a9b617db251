"""``scalper serve``: the prediction API."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated

import typer

from scalper_ml.commands.console import console
from scalper_ml.errors import SettingsError
from scalper_ml.project import open_project

__all__ = ["serve"]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8100,
    profile: Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
) -> None:
    """Serve predictions, verdicts and metrics; documentation at /docs. SCALPER_API_TOKEN is the token, if any."""
    try:
        import uvicorn

        from scalper_ml.live.api import create_app
    except ImportError as error:
        raise SettingsError(f"the API needs {error.name}; install scalper-ml[api]") from None
    from scalper_ml.gate.environment import gate_environment
    from scalper_ml.live.replay import gate_of
    from scalper_ml.live.service import PredictionService

    token = os.environ.get("SCALPER_API_TOKEN") or None
    if token is None and not _loopback(host):
        raise SettingsError(f"--host {host}: other machines could ask; set SCALPER_API_TOKEN, or listen on 127.0.0.1")
    project = open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])
    app = create_app(PredictionService(project, gate_of(project, gate_environment(os.environ))), token=token)
    console().print(f"http://{host}:{port}/docs, {'with' if token else 'without'} a token", soft_wrap=True)
    uvicorn.run(app, host=host, port=port, log_level="warning")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
