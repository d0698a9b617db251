"""The gate: what a score allows, and whether a signal may be traded.

>>> from scalper_ml.gate import get_quality_gate
>>> gate = get_quality_gate(paper=True)
>>> gate.should_trade("NOSUCHCOIN", 0.9)["should_trade"]
False
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalper_ml.gate.entry import get_quality_gate

__all__ = ["get_quality_gate"]


def __getattr__(name: str) -> Any:
    """`get_quality_gate`, imported when it is asked for: scores need nothing of it."""
    if name != "get_quality_gate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scalper_ml.gate.entry import get_quality_gate

    return get_quality_gate
