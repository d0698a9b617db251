"""Features: one kernel each, the same bits in batch, online and resumed.

A name is imported when it is first asked for: a live process starts without what only files and audits need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalper_ml.features.audit import AuditReport, Violation, look_ahead_audit, truncation_audit, warmup_audit
    from scalper_ml.features.engine import FeatureBlock, FeatureStream, compute
    from scalper_ml.features.inputs import available_groups, inputs_from_bars
    from scalper_ml.features.kind import Kind
    from scalper_ml.features.online import FeatureRow, OnlineFeatureBuilder
    from scalper_ml.features.reference import reference_page
    from scalper_ml.features.registry import FAMILIES, INPUT_COLUMNS, KINDS, FeatureSet, FeatureSpec, feature_set

__all__ = [
    "FAMILIES",
    "INPUT_COLUMNS",
    "KINDS",
    "AuditReport",
    "FeatureBlock",
    "FeatureRow",
    "FeatureSet",
    "FeatureSpec",
    "FeatureStream",
    "Kind",
    "OnlineFeatureBuilder",
    "Violation",
    "available_groups",
    "compute",
    "feature_set",
    "inputs_from_bars",
    "look_ahead_audit",
    "reference_page",
    "truncation_audit",
    "warmup_audit",
]

_HOMES = {
    "audit": ("AuditReport", "Violation", "look_ahead_audit", "truncation_audit", "warmup_audit"),
    "engine": ("FeatureBlock", "FeatureStream", "compute"),
    "inputs": ("available_groups", "inputs_from_bars"),
    "kind": ("Kind",),
    "online": ("FeatureRow", "OnlineFeatureBuilder"),
    "reference": ("reference_page",),
    "registry": ("FAMILIES", "INPUT_COLUMNS", "KINDS", "FeatureSet", "FeatureSpec", "feature_set"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"scalper_ml.features.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
