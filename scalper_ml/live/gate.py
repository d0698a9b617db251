"""What the loop asks of the quality gate."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Gate", "OpenGate", "PublishedGate", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gate allows one symbol x horizon now.

    Parameters
    ----------
    trades : bool
        Whether a signal of enough confidence may be traded, be it on paper.
    min_confidence : float
        Least confidence, of the calibrated probabilities.
    action : str
        ``ACTIVE``, ``WARMUP``, ``LOW`` or ``NO_TRADE``.
    reason : str
        Code: why it may, or may not.
    size_factor : float
        Scales the order.
    """

    trades: bool
    min_confidence: float
    action: str
    reason: str
    size_factor: float = 1.0


class Gate(Protocol):
    """Says what may be traded; asked before every bar."""

    def standing(self, symbol: str, horizon: int) -> Standing:
        """What a symbol x horizon may do now. Never raises: what cannot be told may not trade."""


@dataclass(frozen=True, slots=True)
class OpenGate:
    """A gate that lets everything through at one confidence, for research; the loop's output says so.

    Examples
    --------
    >>> OpenGate(0.55).standing("BTCUSDT", 3).action
    'ACTIVE'
    """

    min_confidence: float

    def standing(self, symbol: str, horizon: int) -> Standing:
        """The same for all."""
        return Standing(True, self.min_confidence, "ACTIVE", "gate_open")


class PublishedGate:
    """The verdicts of the file that the gate publishes, read anew whenever it is replaced; closed without one.

    Parameters
    ----------
    path : Path
        ``config/per_coin_thresholds.json`` of the settings.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._coins: dict[str, Any] = {}
        self._wrong = ""

    def standing(self, symbol: str, horizon: int) -> Standing:
        """What the file says of a symbol x horizon; what it does not say, or cannot be read, may not trade."""
        self._refresh()
        try:
            verdict = self._coins[symbol]["horizons"][str(horizon)]
            action = str(verdict["action"])
            return Standing(
                action in ("ACTIVE", "WARMUP", "LOW"),
                float(verdict["min_confidence"]),
                action,
                str(verdict["reason"]),
                float(verdict["size_factor"]),
            )
        except (KeyError, TypeError, ValueError):
            return Standing(False, 1.0, "NO_TRADE", self._wrong or "not_in_the_gate_file", 0.0)

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            if (seen := (found.st_mtime_ns, found.st_ino)) == self._seen:
                return
            self._seen, self._coins, self._wrong = seen, {}, "gate_file_unreadable"
            self._coins = dict(json.loads(self._path.read_bytes())["coins"])
            self._wrong = ""
        except FileNotFoundError:
            self._seen, self._coins, self._wrong = None, {}, "gate_file_missing"
        except (OSError, ValueError, KeyError, TypeError):
            self._coins, self._wrong = {}, "gate_file_unreadable"
