"""What the loop asks of the quality gate."""

from dataclasses import dataclass
from typing import Final, Protocol

from scalper_ml.gate.quality_gate import QualityGate

__all__ = ["Gate", "GateOfProject", "OpenGate", "Standing"]

_COIN_FLIP: Final = 0.5


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


class GateOfProject:
    """The quality gate, asked what it would let through at full confidence; it fails closed by itself.

    Parameters
    ----------
    gate : QualityGate
        Of a paper loop; its clock is the loop's.
    """

    def __init__(self, gate: QualityGate) -> None:
        self._gate = gate

    def standing(self, symbol: str, horizon: int) -> Standing:
        """What the published verdict allows now."""
        answer = self._gate.should_trade(symbol, 1.0, horizon)
        least = answer["min_confidence"]
        return Standing(
            answer["should_trade"],
            _COIN_FLIP if least is None else least,
            answer["action"],
            answer["reason_code"],
            answer["size_factor"],
        )
