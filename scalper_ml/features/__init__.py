"""Features: one kernel each, the same bits in batch, online and resumed."""

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
