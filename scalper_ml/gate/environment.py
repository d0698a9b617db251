"""What the environment says about the gate: read from a mapping, so that nothing here looks at the process's own."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from scalper_ml.errors import SettingsError

__all__ = ["GateEnvironment", "gate_environment"]

Device = Literal["auto", "cpu", "cuda"]

_WORDS: Final = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)


@dataclass(frozen=True, slots=True)
class GateEnvironment:
    """Settings of the gate that a process is started with.

    Attributes
    ----------
    enabled : bool
        ``QUALITY_GATE_ENABLED``. False answers UNGATED: every signal may be traded on paper, none for money.
    file : str or None
        ``QUALITY_GATE_FILE``: the thresholds, instead of those of the project.
    min_confidence : float or None
        ``MIN_CONFIDENCE``, in [0, 1]: stands in the place of the tier's floor. A signal below the threshold that was
        scored is refused all the same, and REJECTED stays closed.
    per_coin : bool
        ``USE_ML_PER_COIN``. False refuses every signal: there is no model for all coins at once.
    timeframe : str or None
        ``ML_DEFAULT_TF``: bars the process trades on; a file of others is refused.
    device : {"auto", "cpu", "cuda"}
        ``ML_DEVICE``: where models are to run; the gate itself does not use it.
    """

    enabled: bool = True
    file: str | None = None
    min_confidence: float | None = None
    per_coin: bool = True
    timeframe: str | None = None
    device: Device = "auto"


def gate_environment(environment: Mapping[str, str]) -> GateEnvironment:
    """The gate's settings in `environment`; what is unset or empty takes its default.

    Raises
    ------
    SettingsError
        A value has no meaning; names the variable.

    Examples
    --------
    >>> gate_environment({"QUALITY_GATE_ENABLED": "off", "MIN_CONFIDENCE": "0.7"}).min_confidence
    0.7
    """
    device = environment.get("ML_DEVICE") or "auto"
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"ML_DEVICE is {device!r}; expected auto, cpu or cuda")
    return GateEnvironment(
        enabled=_switch(environment, "QUALITY_GATE_ENABLED"),
        file=environment.get("QUALITY_GATE_FILE") or None,
        min_confidence=_probability(environment, "MIN_CONFIDENCE"),
        per_coin=_switch(environment, "USE_ML_PER_COIN"),
        timeframe=environment.get("ML_DEFAULT_TF") or None,
        device=cast(Device, device),
    )


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name) or "1"
    if text.strip().lower() not in _WORDS:
        raise SettingsError(f"{name} is {text!r}; expected one of {', '.join(_WORDS)}")
    return _WORDS[text.strip().lower()]


def _probability(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise SettingsError(f"{name} is {text!r}; expected a number in [0, 1]")
    return value
