"""Where a forecaster is fitted."""

import importlib.util

from scalper_ml.errors import SettingsError
from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.models.base import Device
from scalper_ml.models.xgb_classifier import pick_device as pick_for_xgboost

__all__ = ["pick_device", "require_torch"]


def pick_device(kind: ForecasterKind, wanted: str) -> Device:
    """``cpu`` or ``cuda``: ``auto`` takes the GPU where the kind can use it and the installed library sees one.

    Raises
    ------
    SettingsError
        ``cuda`` is asked for and the installed library cannot.
    """
    if "cuda" not in kind.devices or wanted == "cpu":
        return "cpu"
    if kind.extra != "torch":
        return pick_for_xgboost(wanted)
    require_torch(kind.name)
    import torch

    able = bool(torch.cuda.is_available())
    if wanted == "cuda" and not able:
        raise SettingsError("device: cuda, but the installed torch sees no GPU; install a CUDA build of torch 2.13.0")
    return "cuda" if able else "cpu"


def require_torch(kind: str) -> None:
    """Refuse to fit without torch, naming what to install.

    Raises
    ------
    SettingsError
        torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise SettingsError(
            f"{kind} is fitted by torch, which is not installed: pip install 'scalper-ml[torch]' -c constraints.txt; "
            "forecasting with a bundle needs none"
        )
