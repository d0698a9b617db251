"""What all sections are: no key that is not known, nothing changed once read; and the numbers they are made of."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from scalper_ml.errors import ScalperError

__all__ = [
    "Horizon",
    "NotNegative",
    "Positive",
    "Section",
    "Severity",
    "Share",
    "Symbol",
    "Window",
    "as_value_error",
    "only",
]

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
Window = Annotated[int, Field(ge=1, le=2000)]
Horizon = Annotated[int, Field(ge=1, le=1440)]
Severity = Literal["error", "warn", "ignore"]


class Section(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_value_error(check: Callable[[], Any]) -> None:
    """Run a check of the library; its refusal becomes one of this file's, with line and key."""
    try:
        check()
    except ScalperError as error:
        raise ValueError(str(error)) from None


def only(name: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse names that are not allowed."""
    if unknown := sorted(set(given) - set(allowed)):
        raise ValueError(f"{name}: {unknown} not known; allowed: {sorted(allowed)}")
