"""What can be forecast, what it is measured against, and how it is answered.

Every answer has a ``confidence``: the calibrated probability of the state it names. A coin flip between two states is
0.5, as everywhere in this package.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scalper_ml.errors import SettingsError

__all__ = ["TARGETS_BY_NAME", "Target", "target_named"]

Baseline = Literal["zero", "mean", "har", "rates"]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to forecast.

    Parameters
    ----------
    name : str
    column : str
        Of the table ``targets``, or beside it.
    states : tuple of str
        Classes by code; of a number what it is called below and above `middle`.
    number : bool
        Whether it is a number.
    baseline : {"zero", "mean", "har", "rates"}
        The forecast to beat: zero, the mean of train, HAR on past volatility, or the class shares of train.
    middle : {"zero", "median"}
        Where the states of a number part: at zero, or at the median of train.
    unit : str
    feed : str
        Layer that tells its column beside the table ``targets``; empty where the table has it.
    """

    name: str
    column: str
    states: tuple[str, ...]
    number: bool
    baseline: Baseline
    middle: Literal["zero", "median"] = "zero"
    unit: str = ""
    feed: str = ""

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a number."""
        return 0 if self.number else len(self.states)

    def values(self, targets: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """The target of every row (n,), and which rows have one: a return of exactly 0 has no direction."""
        found = targets[self.column].to_numpy().astype(np.float64)
        if self.name == "direction":
            return (found > 0).astype(np.float64), found != 0
        return found, np.isfinite(found)

    def answer(self, said: Mapping[str, Any], *, price: float | None) -> dict[str, Any]:
        """The documented answer of one row.

        Parameters
        ----------
        said : mapping
            ``value``, ``low``, ``high`` and ``above`` (probability beyond the middle) of a number; ``probabilities``
            of classes.
        price : float, optional
            Now; only the target price needs it.

        Raises
        ------
        SettingsError
            A price is asked for and none is given.

        Examples
        --------
        >>> target_named("direction").answer({"probabilities": [0.25, 0.75]}, price=None)
        {'direction': 'UP', 'confidence': 0.75}
        >>> said = {"value": 70.0, "low": 40.0, "high": 95.0, "above": 0.8}
        >>> target_named("risk").answer(said, price=None)
        {'risk': 70.0, 'low': 40.0, 'high': 95.0, 'state': 'HIGH', 'confidence': 0.8}
        >>> target_named("price").answer({"value": 0.0, "low": -0.01, "high": 0.01, "above": 0.5}, price=100.0)["price"]
        100.0
        """
        if not self.number:
            likely = int(np.argmax(said["probabilities"]))
            answer = {_SAID_AS[self.name]: self.states[likely], "confidence": float(said["probabilities"][likely])}
            if self.classes > 2:
                answer["probabilities"] = dict(zip(self.states, map(float, said["probabilities"]), strict=True))
            return answer
        up = said["above"] >= 0.5
        values = [float(said[key]) for key in ("value", "low", "high")]
        if self.name == "price":
            if price is None or not price > 0:
                raise SettingsError(f"a forecast of the price needs the price now, above 0; found {price!r}")
            values = [float(price * np.exp(value)) for value in values]
        elif self.name == "volatility":  # the log of a variance: said as a standard deviation in basis points
            values = [float(1e4 * np.exp(0.5 * value)) for value in values]
        elif self.name == "risk":
            values = [min(max(value, 0.0), 100.0) for value in values]
        return dict(zip((_SAID_AS[self.name], "low", "high"), values, strict=True)) | {
            "state": self.states[int(up)],
            "confidence": float(max(said["above"], 1.0 - said["above"])),
        }


_SAID_AS: Final = {
    "return": "return",
    "price": "price",
    "risk": "risk",
    "volatility": "volatility_bps",
    "momentum": "state",
    "direction": "direction",
    "open_interest": "open_interest_change",
}

TARGETS_BY_NAME: Final[Mapping[str, Target]] = {
    one.name: one
    for one in (
        Target("return", "ret", ("DOWN", "UP"), True, "zero", unit="log return from entry to exit"),
        Target("price", "ret", ("DOWN", "UP"), True, "zero", unit="log return from entry to exit, answered as a price"),
        Target("risk", "risk", ("LOW", "HIGH"), True, "mean", "median", "0 to 100"),
        Target("volatility", "log_rv", ("LOW", "HIGH"), True, "har", "median", "log of the realised variance"),
        Target("momentum", "momentum", ("FALLING", "QUIET", "RISING"), False, "rates"),
        Target("direction", "ret", ("DOWN", "UP"), False, "rates"),
        Target(
            "open_interest",
            "open_interest",
            ("FALLING", "RISING"),
            True,
            "zero",
            unit="log of the open interest known at the end of the horizon over that at the decision",
            feed="context",
        ),
    )
}


def target_named(name: str) -> Target:
    """The target called `name`.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.
    """
    if name not in TARGETS_BY_NAME:
        raise SettingsError(f"target {name!r} is unknown; expected one of {', '.join(TARGETS_BY_NAME)}")
    return TARGETS_BY_NAME[name]
